"""Damage to sessions, their bookings and their seats."""

from __future__ import annotations

from tests.support.damage import Damage, Town


def prepare(town: Town) -> None:
    """A session for each damage, at a time of its own where it takes a room, with a booking of two seats."""
    one, names = town.one, town.names
    course = one(
        "insert into public.courses (code, title, duration_minutes) values ('SEATS 1', 'Lifting', 30) returning id"
    )
    room = one("insert into public.locations (name) values ('Room to be damaged') returning id")

    def session(name: str, days: int = 45, place: str | None = None, minimum: int | None = None) -> None:
        names[name] = one(
            "insert into public.course_sessions (course_id, session_date, start_time, time_zone, max_capacity, location_id, min_bookings) "
            "values (%s, private.today() + %s, '04:00', 'UTC', 5, %s, %s) returning id",
            course, days, place, minimum,
        )  # fmt: skip

    for name in ("thin", "wide", "unseated", "greedy", "haunted", "kept", "off"):
        session(name)
        names[f"{name}_booking"] = one(
            "insert into public.session_bookings (session_id, attendee_name, seats) values (%s, %s, 2) returning id",
            names[name],
            f"Guest of {name}",
        )
    one("select id from public.cancel_session(%s, 'Planted.')", names["off"])
    session("shifted", place=room)
    session("undecided", minimum=3)
    session("over", days=-9)
    town.db.execute("update public.course_sessions set status = 'completed' where id = %s", [names["over"]])


DAMAGES = [
    Damage(
        "seats are gone",
        "delete from public.session_seats where session_id = '{thin}' and booking_id is null",
        (
            ("session_seats_differ", "critical", "course_sessions", "{thin}"),
        ), mended=True,
    ),
    Damage(
        "a seat too many",
        "insert into public.session_seats (session_id, seat_no) values ('{wide}', 6)",
        (
            ("session_seats_differ", "critical", "course_sessions", "{wide}"),
        ), mended=True,
    ),
    Damage(
        "a booking without its seats",
        "update public.session_seats set booking_id = null, owner_live = null where booking_id = '{unseated_booking}'",
        (
            ("booking_seats_differ", "critical", "session_bookings", "{unseated_booking}"),
        ), mended=True,
    ),
    Damage(
        "a booking with more seats than it says",
        "update public.session_seats set booking_id = '{greedy_booking}', owner_live = true where session_id = '{greedy}' and seat_no = 5",
        (
            ("booking_seats_differ", "critical", "session_bookings", "{greedy_booking}"),
        ), mended=True,
    ),
    Damage(
        "seats of a booking that is gone",
        "delete from public.session_bookings where id = '{haunted_booking}'",
        (
            ("seats_of_nothing", "critical", "course_sessions", "{haunted}"),
        ), mended=True,
        undo_needs="insert into public.session_bookings (id, session_id, attendee_name, seats, price) values ('{haunted_booking}', '{haunted}', 'Back', 2, 0)",
    ),
    Damage(
        "a cancelled booking that keeps its seats",
        "update public.session_bookings set status = 'cancelled', cancelled_at = booked_at where id = '{kept_booking}'",
        (
            ("booking_seats_differ", "critical", "session_bookings", "{kept_booking}"),
        ), mended=True,
        undo_needs="update public.session_bookings set status = 'confirmed', cancelled_at = null where id = '{kept_booking}'",
    ),
    Damage(
        "a booking of a cancelled session that is not",
        "update public.session_bookings set status = 'confirmed', cancelled_at = null where id = '{off_booking}'; "
        "update public.session_seats set booking_id = '{off_booking}', owner_live = true where session_id = '{off}' and seat_no < 3",
        (
            ("bookings_of_cancelled_sessions", "error", "session_bookings", "{off_booking}"),
        ), mended=True,
    ),
    Damage(
        "a session an hour after its time",
        "update public.course_sessions set starts_at = starts_at + interval '1 hour', ends_at = ends_at + interval '1 hour' where id = '{shifted}'",
        (
            ("session_instants_differ", "error", "course_sessions", "{shifted}"),
            ("claims_differ", "critical", "course_sessions", "course_sessions {shifted}"),
        ), mended=True,
    ),
    Damage(
        "a session of the past that is still to come",
        "update public.course_sessions set status = 'scheduled' where id = '{over}'",
        (
            ("sessions_past_but_open", "warning", "course_sessions", "{over}"),
        ), mended=True,
    ),
    Damage(
        "a session nobody decided about",
        "update public.course_sessions set decide_by = private.now() - interval '1 hour' where id = '{undecided}'",
        (
            ("sessions_undecided", "error", "course_sessions", "{undecided}"),
        ),
    ),
]  # fmt: skip
