"""Series, registers and certificates on stage: the instructor's and the member's, and somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from tests.support.identity import User
from tests.support.world import World

EARLIER = (
    "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
    "return pg_catalog.now() - interval '10 days'"
)


def fill(world: World, people: Mapping[str, User]) -> None:
    """Two instructors with a series each, and a session of a week ago that was attended and certified."""
    db = world.db
    clock: str = db.execute("select pg_get_functiondef('private.now()'::regprocedure)").fetchone()[0]  # type: ignore[index]
    today: date = db.execute("select private.today()").fetchone()[0]  # type: ignore[index]
    course = world.insert("public.courses", code="TRN 9", title="Fire Safety", duration_minutes=30, price=40).id
    others = (
        (people["instructor"], people["member"], "Fiona"),
        (world.user("instructor", full_name="Otto Trainer"), world.user("member", full_name="Olga Attendee"), "Otto"),
    )
    for number, (teacher, attendee, name) in enumerate(others):
        series = world.insert(
            "public.session_series", course_id=course, instructor_id=teacher.profile_id, rrule="FREQ=WEEKLY;COUNT=2", first_date=today + timedelta(40),
            start_time="03:00", time_zone="UTC", exdates=[today + timedelta(60)], notes=f"Series of {name}", created_by=people["manager"].id,
        ).id  # fmt: skip
        db.execute(
            "select private.make_series_sessions(s, private.series_through(), false) from public.session_series s where id = %s",
            [series],
        )
        # Nobody books what is over: it was booked ten days ago.
        db.execute(EARLIER.encode())
        session = world.insert(
            "public.course_sessions", course_id=course, instructor_id=teacher.profile_id, session_date=today - timedelta(7 + number),
            start_time="03:00", time_zone="UTC", notes=f"Held by {name}", created_by=people["manager"].id,
        ).id  # fmt: skip
        bookings = [
            world.insert("public.session_bookings", session_id=session, profile_id=attendee.profile_id).id,
            world.insert("public.session_bookings", session_id=session, attendee_name=f"Guest of {name}").id,
            world.insert("public.session_bookings", session_id=session, attendee_name=f"Nobody of {name}").id,
        ]
        gone = world.insert("public.session_bookings", session_id=session, attendee_name=f"Gone of {name}").id
        db.execute("update public.session_bookings set status = 'cancelled' where id = %s", [gone])
        db.execute(clock.encode())
        db.execute("update public.course_sessions set status = 'completed' where id = %s", [session])
        for booking in bookings[:2]:
            world.insert(
                "public.attendance",
                booking_id=booking,
                status="present",
                notes=f"Sat with {name}",
                marked_by=people["staff"].id,
            )
            world.insert("public.certificates", booking_id=booking)
        db.execute(
            "update public.certificates set revoked_at = private.now(), revocation_reason = 'Left early' where booking_id = %s",
            [bookings[1]],
        )
        db.execute("update public.certificates set issued_by = %s, revoked_by = case when revoked_at is not null then %s::uuid end where booking_id = any(%s)",
            [people["staff"].id, people["manager"].id, bookings])  # fmt: skip
        if name == "Fiona":
            db.execute(
                "insert into public.session_bookings (session_id, attendee_name) select id, 'Early of Fiona' from public.course_sessions "
                "where series_id = %s order by session_date limit 1", [series],
            )  # fmt: skip
