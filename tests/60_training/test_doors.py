"""What holds through every door: REST as each role, functions, plain SQL as the owner."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.training import Training, guests
from tests.support.waiting import until_blocked

Connection = psycopg.Connection[Any]


@pytest.fixture
def session(training: Training) -> UUID:
    return training.session(4, instructor_id=training.world.user("instructor").profile_id)


def deactivate(training: Training, user: User) -> None:
    training.db.execute("update public.user_profiles set is_active = false where id = %s", [user.profile_id])


def test_who_left_books_and_changes_nothing_over_rest(training: Training, session: UUID, rest: Rest) -> None:
    ann = training.world.user("member")
    [mine] = training.book(session, ann)
    deactivate(training, ann)
    for body in ({}, {"attendee_name": "Her guest"}):
        said = rest.post("/session_bookings", {"session_id": str(session), **body}, user=ann)
        assert said.status_code in (400, 403), said.text
    for change in ({"status": "cancelled"}, {"seats": 2}, {"notes": "Mine"}):
        assert rest.patch(f"/session_bookings?id=eq.{mine['id']}", change, user=ann).json() == []
    rows = training.db.execute("select status, seats, notes from public.session_bookings").fetchall()
    assert rows == [("confirmed", 1, None)]


def test_an_instructor_who_left_neither_marks_nor_sees_who_comes(training: Training, rest: Rest) -> None:
    tess = training.world.user("instructor")
    session = training.session(instructor_id=tess.profile_id)
    guest = training.guest(session, "Gus", attendee_email="gus@example.org")
    assert len(rest.get("/session_bookings", user=tess).json()) == 1
    deactivate(training, tess)
    training.db.execute(
        "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
        "return pg_catalog.now() + interval '8 days'"
    )
    marks = Jsonb([{"booking_id": str(guest), "status": "present"}])
    with refused("forbidden"):
        call(training.db, tess, "mark_attendance", p_session_id=session, p_marks=marks)
    call(training.db, training.manager, "mark_attendance", p_session_id=session, p_marks=marks)
    assert rest.get("/session_bookings", user=tess).json() == []
    assert rest.get("/attendance", user=tess).json() == []


def test_a_session_never_has_more_seats_than_its_course_allows(training: Training, rest: Rest) -> None:
    small = training.make_course("SMALL", default_capacity=4)
    withdrawn = training.make_course("GONE", is_active=False)
    session = training.session(12)
    for change in ({"max_capacity": 13}, {"course_id": str(small)}, {"course_id": str(withdrawn)}):
        said = rest.patch(f"/course_sessions?id=eq.{session}", change, user=training.manager)
        assert (said.status_code, said.json()["code"]) == (400, "invalid_input"), change
        with refused("invalid_input"):
            training.db.execute(
                "update public.course_sessions s set (max_capacity, course_id) = "
                "(select c.max_capacity, c.course_id from jsonb_populate_record(s, %s) c) where id = %s",
                [Jsonb(change), session],
            )
    # With so few seats it may be one of the small course.
    change = {"course_id": str(small), "max_capacity": 4}
    assert rest.patch(f"/course_sessions?id=eq.{session}", change, user=training.manager).status_code == 200
    # What a course allows later makes none wrong that are there.
    training.db.execute("update public.courses set default_capacity = 2 where id = %s", [small])
    assert (
        rest.patch(f"/course_sessions?id=eq.{session}", {"price": 1}, user=training.manager).json()[0]["max_capacity"]
        == 4
    )


def test_a_session_that_was_marked_is_not_cancelled(training: Training) -> None:
    """Between its start and the job that says so, a session is still scheduled."""
    session = training.session()
    guest = training.guest(session)
    training.guest(session, "Other")
    training.db.execute(
        "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
        "return pg_catalog.now() + interval '8 days'"
    )
    marks = Jsonb([{"booking_id": str(guest), "status": "present"}])
    call(training.db, training.manager, "mark_attendance", p_session_id=session, p_marks=marks)
    with refused("illegal_transition"):
        call(training.db, training.manager, "cancel_session", p_id=session, p_reason="Late")
    with refused("illegal_transition"):
        training.db.execute(
            "update public.course_sessions set status = 'cancelled', cancellation_reason = 'Late' where id = %s",
            [session],
        )
    assert training.broken() == []


def test_an_address_that_is_there_is_not_taken_by_changing_to_it(training: Training, session: UUID, rest: Rest) -> None:
    training.guest(session, "One", attendee_email="one@example.org")
    other = training.guest(session, "Two", attendee_email="two@example.org")
    said = rest.patch(f"/session_bookings?id=eq.{other}", {"attendee_email": "One@example.org"}, user=training.manager)
    assert (said.status_code, said.json()["code"]) == (409, "duplicate")


@pytest.mark.parametrize("role", [None, "nobody", "member", "instructor", "staff", "manager"])
def test_only_who_may_writes_sessions_over_rest(
    training: Training, session: UUID, rest: Rest, role: str | None
) -> None:
    user = None if role is None else training.world.user(None if role == "nobody" else role)
    may = role in ("staff", "manager")
    body = {"course_id": str(training.course), "session_date": str(training.day), "start_time": "15:00"}
    assert rest.post("/course_sessions", body, user=user).status_code == (201 if may else 403 if role else 401)
    changed = rest.patch(f"/course_sessions?id=eq.{session}", {"price": 1}, user=user)
    assert changed.status_code == (401 if role is None else 200)
    assert (changed.json() != []) is may or role is None
    for column, value in (("starts_at", "2030-01-01"), ("created_by", None), ("cancelled_at", "2030-01-01")):
        said = rest.patch(f"/course_sessions?id=eq.{session}", {column: value}, user=user)
        assert said.status_code in (401, 403), column
    for table in ("session_seats", "session_holds", "attendance", "certificates", "session_series"):
        assert rest.post(f"/{table}", {}, user=user).status_code in (401, 403), table
        assert rest.delete(f"/{table}?select=*", user=user).status_code in (401, 403), table
    assert rest.delete("/session_bookings", user=user).status_code in (401, 403)


def test_a_session_that_was_ever_booked_is_not_deleted(training: Training, session: UUID, rest: Rest) -> None:
    free = training.session(start_time="15:00")
    booking = training.guest(session)
    staff = training.world.user("staff")
    for who in (staff, training.world.user("member")):
        assert rest.delete(f"/course_sessions?id=eq.{free}", user=who).json() == []
    said = rest.delete(f"/course_sessions?id=eq.{session}", user=training.manager)
    assert (said.status_code, said.json()["code"]) == (409, "illegal_transition")
    training.db.execute("update public.session_bookings set status = 'cancelled' where id = %s", [booking])
    for who in (training.manager, "service_role"):
        said = rest.delete(f"/course_sessions?id=eq.{session}", user=who)
        assert (said.status_code, said.json()["code"]) == (409, "illegal_transition")
    with refused("illegal_transition"):
        training.db.execute("delete from public.course_sessions where id = %s", [session])
    assert len(rest.delete(f"/course_sessions?id=eq.{free}", user=training.manager).json()) == 1


def told(training: Training, topic: UUID) -> list[tuple[str, Any, Any]]:
    """What the feed said of a session: events, seats of bookings, seats that are left."""
    return training.db.execute(
        "select event, (payload ->> 'seats')::integer, (payload ->> 'seats_left')::integer from public.changes where topic = %s order by id",
        [f"session:{topic}"],
    ).fetchall()


def test_whatever_frees_or_takes_seats_says_so(training: Training, session: UUID) -> None:
    booking = training.guest(session, seats=2)
    training.db.execute("delete from public.session_bookings where id = %s", [booking])
    [hold] = call(training.db, training.manager, "hold_seats", p_session_id=session, p_seats=3)
    training.db.execute("delete from public.session_holds where id = %s", [hold["id"]])
    assert told(training, session) == [
        ("session-created", None, 4),
        ("booking-confirmed", 2, 2),
        ("session-update", None, 2),
        ("booking-cancelled", 2, 4),
        ("session-update", None, 4),
        ("session-update", None, 1),
        ("session-update", None, 4),
    ]


def test_a_session_that_is_deleted_is_gone_for_who_follows_it(training: Training) -> None:
    session = training.session(3)
    training.db.execute("delete from public.course_sessions where id = %s", [session])
    assert told(training, session) == [("session-created", None, 3), ("session-cancelled", None, 0)]
    payload = training.one(
        "select payload from public.changes where topic = %s and event = 'session-cancelled'",
        f"course:{training.course}",
    )
    assert (payload["session_id"], payload["status"]) == (str(session), "deleted")


@pytest.mark.parametrize("days", [("2026-01-01", "infinity"), ("-infinity", "2026-01-01"), ("-infinity", "infinity")])
def test_no_end_of_time_in_the_calendar(training: Training, rest: Rest, days: tuple[str, str]) -> None:
    said = rest.post("/rpc/calendar_availability", {"p_from": days[0], "p_to": days[1]}, user=None)
    assert (said.status_code, said.json()["code"]) == (400, "invalid_input"), said.text


def test_a_change_that_cannot_be_read_is_named(training: Training, session: UUID, rest: Rest) -> None:
    for value in ("soon", "2026-13-01", 7, True, [], "infinity"):
        said = rest.post(
            "/rpc/update_session",
            {"p_id": str(session), "p_expected_version": 1, "p_changes": {"decide_by": value}},
            user=training.manager,
        )
        assert (said.status_code, said.json()["code"]) == (400, "invalid_input"), said.text
        assert "decide_by" in said.text


def test_so_many_seats_that_they_cannot_be_added_up(training: Training, session: UUID, rest: Rest) -> None:
    many = [{"name": name, "seats": 2**31 - 1} for name in "ab"]
    for who in (training.world.user("member"), training.manager):
        said = rest.post("/rpc/book_session", {"p_session_id": str(session), "p_attendees": many}, user=who)
        assert said.json()["code"] in {"invalid_input", "limit_exceeded"}, said.text


def test_seats_are_columns_to_filter_and_order_by(training: Training, rest: Rest) -> None:
    few, many = training.session(2), training.session(9)
    training.guest(few)
    got = rest.get("/course_sessions?select=id,seats_left,current_bookings&order=seats_left.desc", user=None).json()
    assert got == [
        {"id": str(many), "seats_left": 9, "current_bookings": 0},
        {"id": str(few), "seats_left": 1, "current_bookings": 1},
    ]
    got = rest.get("/course_sessions?select=id&seats_left=gte.2", user=None).json()
    assert got == [{"id": str(many)}]


def test_two_servers_hold_for_two_strangers(training: Training, session: UUID) -> None:
    """A server holds for who is not signed in, such as at a checkout: one does not take the other's."""
    for _ in range(2):
        call(training.db, "service_role", "hold_seats", p_session_id=session, p_seats=2)
    assert training.left(session) == 0
    with refused("seats_full"):
        call(training.db, "service_role", "hold_seats", p_session_id=session)
    training.db.execute(
        "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
        "return pg_catalog.now() + interval '11 minutes'"
    )
    assert training.left(session) == 4
    assert len(training.book(session, training.world.user(), p_attendees=guests("A", "B", "C", "D"))) == 4


def test_one_key_cancels_and_moves_once(training: Training, session: UUID) -> None:
    ann, other = training.world.user(), training.session(start_time="15:00")
    [booking] = training.book(session, ann)
    for _ in range(2):
        [moved] = call(
            training.db,
            ann,
            "transfer_booking",
            p_booking_id=booking["id"],
            p_to_session_id=other,
            p_idempotency_key="m",
        )
        assert moved["session_id"] == other
    for _ in range(2):
        [gone] = call(training.db, ann, "cancel_booking", p_booking_id=booking["id"], p_idempotency_key="c")
        assert gone["status"] == "cancelled"
    with refused("idempotency_mismatch"):
        call(training.db, ann, "cancel_booking", p_booking_id=booking["id"], p_reason="Ill", p_idempotency_key="c")
    assert json.dumps(training.broken()) == "[]"


def test_nobody_books_in_the_name_of_a_login_without_a_profile(training: Training, session: UUID, rest: Rest) -> None:
    ann, ghost = training.world.user(), training.world.user()
    training.db.execute("delete from public.user_profiles where id = %s", [ghost.profile_id])
    body = {"session_id": str(session), "user_id": str(ghost.id), "attendee_name": "Ghost"}
    assert rest.post("/session_bookings", body, user=ann).status_code == 403
    assert rest.post("/session_bookings", body, user=training.manager).status_code == 201


def test_an_owner_at_a_prompt_gets_no_further(training: Training, session: UUID) -> None:
    booking = training.guest(session)
    for statement in (
        "update public.session_bookings set status = 'attended'",
        "update public.session_bookings set seats = 5",
        "update public.session_bookings set status = 'attended', seats = 4",
        "insert into public.attendance (booking_id, session_id, status) select id, session_id, 'present' from public.session_bookings",
        "insert into public.certificates (booking_id) select id from public.session_bookings",
        "update public.session_bookings set session_id = gen_random_uuid()",
        "update public.course_sessions set max_capacity = 0",
        "update public.course_sessions set status = 'completed'",
        "update public.course_sessions set min_bookings = 5",
        "delete from public.course_sessions",
        "update public.session_seats set booking_id = null, owner_live = null",
        "insert into public.session_seats (session_id, seat_no) select id, 99 from public.course_sessions",
        "delete from public.session_seats",
    ):
        with pytest.raises(psycopg.Error), training.db.transaction():
            training.db.execute(statement.encode())
    for table in ("course_sessions", "session_bookings", "session_seats", "attendance", "certificates"):
        with pytest.raises(psycopg.Error), training.db.transaction():
            training.db.execute(f"truncate public.{table} cascade".encode())
    assert training.broken() == []
    assert training.one("select status from public.session_bookings where id = %s", booking) == "confirmed"
    assert training.day - training.today == timedelta(days=7)


def test_a_minimum_that_is_reached_by_lowering_it(training: Training) -> None:
    session = training.session(6, min_bookings=4)
    training.guest(session, seats=2)
    for minimum, status in ((3, "tentative"), (2, "scheduled"), (5, "scheduled")):
        training.db.execute("update public.course_sessions set min_bookings = %s where id = %s", [minimum, session])
        assert training.status(session) == status


def test_a_session_moved_before_its_deadline_is_undecided_when_it_starts(training: Training) -> None:
    session = training.session(6, min_bookings=4, decide_by=f"{training.day}T09:00Z")
    training.db.execute("update public.course_sessions set session_date = session_date - 3 where id = %s", [session])
    undecided = "select count(*) from private.check_sessions_undecided()"
    assert training.one(undecided) == 0
    training.db.execute(
        "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
        "return pg_catalog.now() + interval '5 days'"
    )
    assert training.one(undecided) == 1


def two_at_once(
    training: Training, database: Database, first: Callable[[Connection], Any], second: Callable[[Connection], Any]
) -> str | None:
    """`first` in an open transaction; `second` is seen to wait for it; the SQLSTATE with which it is refused then."""
    one, other = database.connect(autocommit=False), database.connect()
    one.execute("select")  # begins the transaction that stays open when `first` is done
    first(one)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(second, other)
        until_blocked(training.db, other)
        one.commit()
        try:
            answer.result(timeout=60)
        except psycopg.Error as error:
            return error.sqlstate
    return None


def test_one_person_holds_once_however_often_they_ask_at_once(
    training: Training, session: UUID, database: Database
) -> None:
    ann = training.world.user()

    def hold(by: Connection) -> None:
        call(by, ann, "hold_seats", p_session_id=session, p_seats=2)

    assert two_at_once(training, database, hold, hold) is None
    assert training.left(session) == 2


def test_a_session_is_not_deleted_from_under_who_is_booking_it(
    training: Training, session: UUID, database: Database
) -> None:
    def book(by: Connection) -> None:
        by.execute("insert into public.session_bookings (session_id, attendee_name) values (%s, 'Ann')", [session])

    def delete(by: Connection) -> None:
        by.execute("delete from public.course_sessions where id = %s", [session])

    assert two_at_once(training, database, book, delete) in {"PGRST", "23503"}
    assert training.taken(session) == 1
    assert training.broken() == []
    other = training.session(2, start_time="18:00")

    def delete_other(by: Connection) -> None:
        by.execute("delete from public.course_sessions where id = %s", [other])

    def book_other(by: Connection) -> None:
        by.execute("insert into public.session_bookings (session_id, attendee_name) values (%s, 'Bob')", [other])

    assert two_at_once(training, database, delete_other, book_other) is not None
    assert training.one("select count(*) from public.session_bookings where session_id = %s", other) == 0
    assert training.broken() == []
