"""Booking a session: by function and by plain INSERT, alone and in groups, moved and cancelled."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.support.calls import call, refused
from tests.support.identity import as_role, as_user
from tests.support.rest import Rest
from tests.support.training import Training, guests


@pytest.fixture(autouse=True)
def nothing_is_broken(training: Training) -> Any:
    yield
    assert training.broken() == []


def test_a_booking_takes_its_seat_or_fails(training: Training) -> None:
    session = training.session(2)
    ann = training.world.user()
    [booking] = training.book(session, ann)
    assert (booking["profile_id"], booking["user_id"], booking["booked_by"]) == (ann.profile_id, ann.id, ann.id)
    assert (booking["status"], booking["price"], booking["seats"]) == ("confirmed", 10, 1)
    assert (training.left(session), training.taken(session)) == (1, 1)
    training.guest(session)
    with refused("seats_full") as refusal:
        training.book(session, training.world.user())
    assert refusal.details["seats_left"] == 0
    with refused("seats_full"):
        training.guest(session)
    assert training.one("select count(*) from public.session_bookings") == 2


def test_a_group_gets_all_its_seats_or_none(training: Training) -> None:
    session, ann = training.session(4), training.world.user()
    assert len(training.book(session, ann, p_attendees=guests("A", "B", "C"))) == 3
    with refused("seats_full") as refusal:
        training.book(session, ann, p_attendees=guests("D", "E"))
    assert (refusal.details["wanted"], refusal.details["seats_left"]) == (2, 1)
    assert training.taken(session) == 3
    training.book(session, ann, p_attendees='[{"name": "D", "seats": 1}]')
    assert training.left(session) == 0


def test_one_booking_may_take_several_seats(training: Training) -> None:
    session = training.session(5)
    booking = training.guest(session, seats=3)
    assert training.one("select price from public.session_bookings where id = %s", booking) == 30
    training.db.execute("update public.session_bookings set seats = 5 where id = %s", [booking])
    assert training.left(session) == 0
    with refused("seats_full"):
        training.db.execute("update public.session_bookings set seats = 6 where id = %s", [booking])
    training.db.execute("update public.session_bookings set seats = 2 where id = %s", [booking])
    assert training.left(session) == 3
    assert training.one("select price from public.session_bookings where id = %s", booking) == 20


def test_one_statement_may_book_several_sessions(training: Training) -> None:
    one, other = training.session(2), training.session(2, start_time="12:00")
    insert = (
        "insert into public.session_bookings (session_id, attendee_name) "
        "select s, g::text from unnest(%s::uuid[]) s cross join generate_series(1, %s) g"
    )
    with refused("seats_full"):
        training.db.execute(insert, [[one, other], 3])
    training.db.execute(insert, [[one, other], 2])
    assert (training.left(one), training.left(other)) == (0, 0)


@pytest.mark.parametrize("twice", [{}, {"email": "bob@example.org", "name": "Bob"}])
def test_nobody_books_a_session_twice(training: Training, twice: dict[str, str]) -> None:
    session, ann = training.session(), training.world.user()
    training.book(session, ann, p_attendees=json.dumps([twice]))
    with refused("duplicate"):
        training.book(session, ann, p_attendees=json.dumps([twice]))
    with refused("duplicate"):
        training.book(session, None, p_attendees=json.dumps([twice or {"profile_id": str(ann.profile_id)}]))
    [booking] = call(
        training.db, ann, "cancel_booking",
        p_booking_id=training.one("select id from public.session_bookings"), p_reason="Ill.",
    )  # fmt: skip
    assert (booking["status"], booking["cancellation_reason"]) == ("cancelled", "Ill.")
    training.book(session, ann, p_attendees=json.dumps([twice]))
    assert training.taken(session) == 1


def test_the_same_key_books_once(training: Training) -> None:
    session, ann = training.session(), training.world.user()
    first = training.book(session, ann, p_attendees=guests("A", "B"), p_idempotency_key="k")
    again = training.book(session, ann, p_attendees=guests("A", "B"), p_idempotency_key="k")
    assert {row["id"] for row in first} == {row["id"] for row in again}
    assert training.taken(session) == 2
    with refused("idempotency_mismatch"):
        training.book(session, ann, p_attendees=guests("A"), p_idempotency_key="k")


def test_who_may_book_whom(training: Training) -> None:
    session, ann, bob = training.session(), training.world.user(), training.world.user()
    for other in ({"profile_id": str(bob.profile_id)}, {"user_id": str(bob.id)}):
        with refused("forbidden"):
            training.book(session, ann, p_attendees=json.dumps([other]))
    training.book(session, ann, p_attendees=json.dumps([{"profile_id": str(ann.profile_id)}, {"name": "Her guest"}]))
    training.book(session, training.manager, p_attendees=json.dumps([{"user_id": str(bob.id)}]))
    [(profile, booked_by)] = training.db.execute(
        "select profile_id, booked_by from public.session_bookings where user_id = %s", [bob.id]
    ).fetchall()
    assert (profile, booked_by) == (bob.profile_id, training.manager.id)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        training.book(session, "anon")
    with refused("invalid_input"):
        training.book(session, "service_role")
    training.world.db.execute("update public.user_profiles set is_active = false where id = %s", [ann.profile_id])
    with refused("forbidden"):
        training.book(session, ann, p_attendees=guests("Another"))


def test_a_plain_insert_over_rest_takes_a_seat_or_fails(training: Training, rest: Rest) -> None:
    session, ann, bob = training.session(1), training.world.user(), training.world.user()
    for_bob = rest.post("/session_bookings", {"session_id": str(session), "user_id": str(bob.id)}, user=ann)
    assert for_bob.status_code == 403
    assert rest.post("/session_bookings", {"session_id": str(session)}, user=ann).status_code == 201
    full = rest.post("/session_bookings", {"session_id": str(session), "attendee_name": "Guest"}, user=ann)
    assert (full.status_code, full.json()["code"]) == (409, "seats_full")
    [row] = rest.get("/course_sessions?select=id,current_bookings,seats_left", user=None).json()
    assert row == {"id": str(session), "current_bookings": 1, "seats_left": 0}
    assert rest.get("/session_bookings", user=bob).json() == []
    [mine] = rest.get("/session_bookings?select=id,status", user=ann).json()
    attended = rest.patch(f"/session_bookings?id=eq.{mine['id']}", {"status": "attended"}, user=ann)
    assert (attended.status_code, attended.json()["code"]) == (403, "forbidden")
    [gone] = rest.patch(f"/session_bookings?id=eq.{mine['id']}", {"status": "cancelled"}, user=ann).json()
    assert gone["is_live"] is False
    assert training.left(session) == 1


@pytest.mark.parametrize(
    ("attendees", "fields"),
    [
        ("[]", {"p_attendees"}),
        ("{}", {"p_attendees"}),
        ('["Ann"]', {"p_attendees[0]"}),
        ('[{"who": "Ann"}]', {"p_attendees[0].who"}),
        ('[{"name": "A", "seats": 0}]', {"p_attendees[0].seats"}),
        ('[{"name": 7}]', {"p_attendees[0].name"}),
        ('[{"profile_id": "me"}]', {"p_attendees[0].profile_id"}),
        ('[{"name": "A", "email": "at home"}]', {"attendee_email"}),
    ],
)
def test_bad_attendees_are_named(training: Training, attendees: str, fields: set[str]) -> None:
    session = training.session()
    with refused("invalid_input") as refusal:
        training.book(session, training.manager, p_attendees=attendees)
    assert refusal.fields == fields


def test_no_more_at_once_than_is_allowed(training: Training) -> None:
    session, ann = training.session(20), training.world.user()
    crowd = guests(*(f"G{n}" for n in range(13)))
    with refused("limit_exceeded"):
        training.book(session, ann, p_attendees=crowd)
    with refused("limit_exceeded"):
        training.book(session, ann, p_attendees='[{"name": "Crowd", "seats": 13}]')
    with refused("limit_exceeded") as refusal:
        call(training.db, ann, "hold_seats", p_session_id=session, p_seats=13)
    assert refusal.details["field"] == "p_seats"
    training.book(session, training.manager, p_attendees=crowd)


def test_no_more_at_once_by_plain_writing(training: Training) -> None:
    session, ann = training.session(20), training.world.user()
    many = "insert into public.session_bookings (session_id, attendee_name) select %s, 'G' || g from generate_series(1, 13) g"
    with as_user(training.db, ann) as by:
        with refused("limit_exceeded") as refusal, by.transaction():
            by.execute(many, [session])
        assert refusal.details == {"field": "seats", "limit": 12, "seats": 13}
        with refused("limit_exceeded"), by.transaction():
            by.execute(
                "insert into public.session_bookings (session_id, attendee_name, seats) values (%s, 'Crowd', 13)",
                [session],
            )
        by.execute(
            "insert into public.session_bookings (session_id, attendee_name, seats) values (%s, 'Crowd', 12)", [session]
        )
        with refused("limit_exceeded"), by.transaction():
            by.execute("update public.session_bookings set seats = 13")
        by.execute("update public.session_bookings set seats = 6")
    assert training.left(session) == 14
    # For those who book for others, and for the database's own programs, the session's seats are the limit.
    with as_user(training.db, training.manager) as by:
        by.execute(many, [session])
    training.guest(training.session(20, start_time="12:00"), seats=20)


def test_what_is_cancelled_over_or_begun_is_not_booked(training: Training) -> None:
    db = training.db
    cancelled = training.session()
    call(db, training.manager, "cancel_session", p_id=cancelled, p_reason="Ill.")
    begun = training.session(start_time="00:00", end_time="00:01", session_date=training.today)
    over = training.session(session_date=training.today - timedelta(days=3))
    for session in (cancelled, begun, over):
        with refused("illegal_transition"):
            training.book(session, training.world.user())
        with refused("illegal_transition"):
            training.guest(session)
    with refused("not_found"):
        training.book(training.course, training.world.user())


def test_required_courses_come_first(training: Training) -> None:
    basic, also = training.make_course("BASIC"), training.make_course("ALSO")
    for required in (basic, also):
        training.world.insert("public.course_prerequisites", course_id=training.course, required_course_id=required)
    before = training.session(course_id=basic, session_date=training.today - timedelta(days=3))
    session, ann = training.session(), training.world.user()
    with refused("invalid_input") as refusal:
        training.book(session, ann)
    assert refusal.message == "AID requires ALSO or BASIC first"
    with refused("invalid_input"):
        training.guest(session)
    attended(training, before, ann.profile_id)
    training.book(session, ann)


def attended(training: Training, session: Any, profile_id: Any) -> None:
    """Somebody was there, in a session that is over."""
    with training.db.transaction():
        training.db.execute(
            "update public.course_sessions set session_date = %s where id = %s", [training.day, session]
        )
        booking = training.guest(session, profile_id=profile_id, name=None)  # type: ignore[arg-type]
        training.db.execute(
            "update public.course_sessions set session_date = %s where id = %s",
            [training.today - timedelta(days=3), session],
        )
        training.db.execute("update public.session_bookings set status = 'attended' where id = %s", [booking])


def test_what_is_not_repeatable_is_taken_once(training: Training) -> None:
    training.db.execute("update public.courses set is_repeatable = false where id = %s", [training.course])
    ann, bob = training.world.user(), training.world.user()
    one, other = training.session(), training.session(start_time="12:00")
    [booking] = training.book(one, ann)
    with refused("duplicate") as refusal:
        training.book(other, ann)
    assert refusal.message == "AID is taken once only"
    training.book(other, bob)
    call(training.db, ann, "transfer_booking", p_booking_id=booking["id"], p_to_session_id=other)
    call(training.db, ann, "cancel_booking", p_booking_id=booking["id"])
    training.book(one, ann)


def test_a_transfer_never_loses_the_seat_it_has(training: Training) -> None:
    db, ann = training.db, training.world.user()
    here, full, there = (
        training.session(1),
        training.session(1, start_time="12:00"),
        training.session(1, start_time="14:00", price=15),
    )
    [booking] = training.book(here, ann)
    training.guest(full)
    with refused("seats_full"):
        call(db, ann, "transfer_booking", p_booking_id=booking["id"], p_to_session_id=full)
    assert training.one("select session_id from public.session_seats where booking_id = %s", booking["id"]) == here
    [moved] = call(
        db, ann, "transfer_booking", p_booking_id=booking["id"], p_to_session_id=there, p_idempotency_key="k"
    )
    assert (moved["session_id"], moved["price"]) == (there, 15)
    assert call(
        db, ann, "transfer_booking", p_booking_id=booking["id"], p_to_session_id=there, p_idempotency_key="k"
    ) == [moved]
    assert (training.left(here), training.left(there)) == (1, 0)
    with refused("not_found"):
        call(db, training.world.user(), "transfer_booking", p_booking_id=booking["id"], p_to_session_id=here)
    with refused("forbidden"):
        training.world.db.execute(
            "insert into public.user_permissions (user_id, permission, is_granted, reason) values (%s, 'update:session_booking', false, 'x')",
            [training.manager.id],
        )
        call(db, training.manager, "transfer_booking", p_booking_id=booking["id"], p_to_session_id=here)


def test_what_is_cancelled_stays_cancelled(training: Training) -> None:
    session, ann = training.session(), training.world.user()
    [booking] = training.book(session, ann)
    call(training.db, ann, "cancel_booking", p_booking_id=booking["id"], p_idempotency_key="k")
    call(training.db, ann, "cancel_booking", p_booking_id=booking["id"], p_idempotency_key="k")
    with refused("illegal_transition"):
        call(training.db, ann, "cancel_booking", p_booking_id=booking["id"])
    for change in ("status = 'confirmed'", "seats = 2", f"session_id = '{training.session(start_time='12:00')}'"):
        with refused("illegal_transition"):
            training.db.execute(f"update public.session_bookings set {change}".encode())


def test_attendance_is_marked_from_the_start_on(training: Training) -> None:
    session = training.session()
    booking = training.guest(session)
    with refused("illegal_transition"):
        training.db.execute("update public.session_bookings set status = 'attended' where id = %s", [booking])
    training.db.execute(
        "update public.course_sessions set session_date = %s where id = %s",
        [training.today - timedelta(days=1), session],
    )
    for status in ("attended", "no_show", "confirmed", "attended"):
        training.db.execute("update public.session_bookings set status = %s where id = %s", [status, booking])
    assert training.taken(session) == 1
    with refused("illegal_transition"):
        call(training.db, None, "cancel_booking", p_booking_id=booking)


def test_a_booking_that_is_deleted_frees_its_seat(training: Training) -> None:
    session = training.session(1)
    training.guest(session)
    training.db.execute("delete from public.session_bookings")
    assert training.left(session) == 1


def test_seats_are_nobodys_to_write(training: Training) -> None:
    session = training.session(1)
    for statement in (
        "update public.session_seats set held_until = null",
        "delete from public.session_seats",
        "insert into public.session_seats (session_id, seat_no) select session_id, 2 from public.session_seats",
        "truncate public.session_seats",
    ):
        with refused("forbidden"):
            training.db.execute(statement.encode())
    with (
        as_user(training.db, training.manager) as by,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        by.transaction(),
    ):
        by.execute("update public.session_seats set booking_id = null")
    with as_role(training.db, "anon") as by, pytest.raises(psycopg.errors.InsufficientPrivilege), by.transaction():
        by.execute("select booking_id from public.session_seats")
    assert training.left(session) == 1


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_other_isolation_levels_are_refused(training: Training, level: str) -> None:
    session = training.session()
    with refused("invalid_input"), training.db.transaction():
        training.db.execute(f"set transaction isolation level {level}".encode())
        training.guest(session)


def test_a_login_that_goes_leaves_the_booking(training: Training) -> None:
    session, ann = training.session(), training.world.user()
    [booking] = training.book(session, ann)
    training.db.execute("delete from auth.users where id = %s", [ann.id])
    row = training.db.execute("select user_id, booked_by, profile_id, status from public.session_bookings").fetchone()
    assert row == (None, None, ann.profile_id, "confirmed")
    assert isinstance(booking["booked_at"], datetime)
