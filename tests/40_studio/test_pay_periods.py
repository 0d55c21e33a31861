"""Closed pay periods: what no longer changes, through any door, and two at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.support.calls import call, read_refusal, refused
from tests.support.identity import as_user
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.studio import Studio
from tests.support.waiting import until_blocked
from tests.support.world import World

INSIDE, OUTSIDE = -30, -20


@pytest.fixture
def studio(world: World) -> Studio:
    """With a pay period P of the days -34 to -24."""
    made = Studio(world)
    world.insert("public.pay_periods", name="P", starts_on=made.day(-34), ends_on=made.day(-24))
    return made


def close(studio: Studio) -> None:
    call(studio.db, None, "close_pay_period", p_name="P")


def done(studio: Studio, day: int = INSIDE, **values: Any) -> Any:
    return studio.assignment(day, **{"class_status": "completed", "payment_amount": 50, **values})


def status(studio: Studio) -> Any:
    return studio.db.execute("select status from public.pay_periods where name = 'P'").fetchone()[0]  # type: ignore[index]


CHANGES = {
    "amount": "payment_amount = 60",
    "paid": "payment_status = 'paid'",
    "not paid": "payment_status = 'cancelled'",
    "type": "payment_type = 'monthly'",
    "rate": "rate = 10",
    "who": "instructor_id = (select id from public.user_profiles where full_name = 'Odo Other')",
    "start": "start_time = '09:00'",
    "end": "end_time = '11:30'",
    "day": "date = date + 1",
    "out of it": "date = date + 10",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_that_is_paid_for_changes(studio: Studio, change: str) -> None:
    row = done(studio)
    close(studio)
    statement = f"update public.class_assignments set {change} where id = %s".encode()
    with refused("illegal_transition") as refusal:
        studio.db.execute(statement, [row.id])
    assert refusal.details["pay_period"] == "P"
    assert "reopen_pay_period" in (refusal.hint or "")
    call(studio.db, None, "reopen_pay_period", p_name="P", p_reason="A mistake.")
    studio.db.execute(statement, [row.id])


def test_classes_neither_come_nor_go(studio: Studio) -> None:
    row, outside = done(studio), done(studio, OUTSIDE)
    close(studio)
    for forbidden in (
        lambda: done(studio, -34),
        lambda: studio.assignment(-24, class_status="cancelled"),
        lambda: studio.db.execute("delete from public.class_assignments where id = %s", [row.id]),
        lambda: studio.db.execute("update public.class_assignments set date = date - 10 where id = %s", [outside.id]),
        lambda: studio.db.execute("truncate public.class_assignments cascade"),
    ):
        with pytest.raises(psycopg.Error) as error:
            forbidden()
        assert read_refusal(error.value).code in ("illegal_transition", "forbidden")
    studio.db.execute("update public.class_assignments set notes = 'Well taught.' where id = %s", [row.id])
    studio.db.execute("delete from public.class_assignments where id = %s", [outside.id])
    done(studio, -35)
    done(studio, -23)


def test_a_changed_class_type_does_not_change_the_amount_by_the_back_door(studio: Studio) -> None:
    """The rate frozen for one class type would be taken anew for another."""
    db = studio.db
    for class_type, rate in ((None, 40), (studio.hatha, 50)):
        studio.world.insert("public.instructor_rates", instructor_id=studio.teacher.profile_id, class_type_id=class_type,
            rate=rate, effective_from=studio.day(-100))  # fmt: skip
    row = done(studio, payment_amount=None)
    close(studio)
    with refused("illegal_transition"):
        db.execute("update public.class_assignments set class_type_id = null where id = %s", [row.id])
    assert db.execute("select payment_amount from public.class_assignments").fetchone() == (50,)


def test_moving_to_the_archive_is_no_change(studio: Studio) -> None:
    row = done(studio)
    close(studio)
    studio.db.execute("select private.archive_classes(%s)", [[row.id]])
    assert studio.db.execute("select count(*) from public.class_assignments").fetchone() == (0,)
    with refused("illegal_transition"):
        studio.db.execute(
            "insert into public.class_assignments_archive select (jsonb_populate_record(a, %s)).* from public.class_assignments_archive a",
            ['{"id": "00000000-0000-0000-0000-000000000001"}'],
        )
    call(studio.db, None, "reopen_pay_period", p_name="P", p_reason="A class was forgotten.")
    studio.db.execute(
        "insert into public.class_assignments_archive select (jsonb_populate_record(a, %s)).* from public.class_assignments_archive a",
        ['{"id": "00000000-0000-0000-0000-000000000001"}'],
    )


def test_what_is_archived_with_another_amount_is_refused(studio: Studio) -> None:
    row = done(studio)
    close(studio)
    with refused("illegal_transition"), studio.db.transaction():
        studio.db.execute(
            "insert into public.class_assignments_archive "
            "select (jsonb_populate_record(null::public.class_assignments_archive, to_jsonb(a) || "
            '\'{"payment_amount": 1, "booking_ids": [], "archived_at": "2026-01-01T00:00:00Z"}\')).* '
            "from public.class_assignments a where a.id = %s",
            [row.id],
        )


def test_a_period_closes_once_everything_in_it_is_over(studio: Studio) -> None:
    row = studio.assignment(INSIDE)
    studio.assignment(OUTSIDE)
    with refused("illegal_transition") as refusal:
        close(studio)
    assert refusal.details["scheduled"] == 1
    studio.db.execute("update public.class_assignments set class_status = 'completed' where id = %s", [row.id])
    close(studio)
    assert status(studio) == "closed"


def test_closing_and_reopening_take_turns_and_are_recorded(studio: Studio) -> None:
    manager = studio.world.user("manager")
    [closed] = call(studio.db, manager, "close_pay_period", p_name=" P ", p_idempotency_key="k")
    assert closed["status"] == "closed"
    assert call(studio.db, manager, "close_pay_period", p_name=" P ", p_idempotency_key="k") == [closed]
    with refused("illegal_transition"):
        call(studio.db, manager, "close_pay_period", p_name="P")
    with refused("invalid_input") as refusal:
        call(studio.db, manager, "reopen_pay_period", p_name="P", p_reason=" ")
    assert refusal.fields == {"p_reason"}
    [opened] = call(studio.db, manager, "reopen_pay_period", p_name="P", p_reason=" Wrong\x07 rate. ")
    assert opened["status"] == "open"
    with refused("illegal_transition"):
        call(studio.db, manager, "reopen_pay_period", p_name="P", p_reason="Again.")
    with refused("not_found"):
        call(studio.db, manager, "close_pay_period", p_name="Q")
    assert studio.db.execute(
        "select event_no, kind, reason, recorded_by from public.pay_period_events order by event_no"
    ).fetchall() == [(1, "closed", None, manager.id), (2, "reopened", "Wrong rate.", manager.id)]


def test_plain_statements_obey_the_same_rules(studio: Studio) -> None:
    manager, staff = studio.world.user("manager"), studio.world.user("staff")
    event = (
        "insert into public.pay_period_events (pay_period_id, kind, reason) select id, %s, %s from public.pay_periods"
    )
    with as_user(studio.db, manager):
        studio.db.execute(event, ["closed", None])
    for kind, reason, code in (
        ("closed", None, "illegal_transition"),
        ("reopened", None, "invalid_input"),
        ("lost", None, "invalid_input"),
    ):
        with refused(code), as_user(studio.db, manager):
            studio.db.execute(event, [kind, reason])
    with refused("forbidden"), as_user(studio.db, staff):
        studio.db.execute(event, ["reopened", "Mine."])
    for statement, code in (
        ("update public.pay_periods set status = 'open'", "illegal_transition"),
        ("update public.pay_periods set name = 'Q'", "illegal_transition"),
        ("update public.pay_periods set ends_on = ends_on - 1", "illegal_transition"),
        ("delete from public.pay_periods", "illegal_transition"),
        ("insert into public.pay_periods (name, starts_on, ends_on, status) values ('Q', '2020-01-01', '2020-01-31', 'closed')", "illegal_transition"),
        ("update public.pay_period_events set reason = 'Mine.'", "forbidden"),
        ("delete from public.pay_period_events", "forbidden"),
    ):  # fmt: skip
        with refused(code):
            studio.db.execute(statement.encode())
    assert status(studio) == "closed"


def test_an_open_period_can_be_changed_until_it_was_closed_once(studio: Studio) -> None:
    studio.db.execute("update public.pay_periods set name = 'Q', ends_on = ends_on + 1")
    studio.db.execute("delete from public.pay_periods")


@pytest.mark.parametrize(
    ("values", "code", "fields"),
    [
        ({"name": " ", "starts_on": "2020-02-01", "ends_on": "2020-01-01"}, "invalid_input", {"name", "ends_on"}),
        ({"name": "Q", "starts_on": "2020-01-01", "ends_on": "2999-01-01"}, "invalid_input", {"ends_on"}),
        ({"name": "P", "starts_on": "2020-01-01", "ends_on": "2020-01-31"}, "duplicate", set()),
        ({"name": "Q", "starts_on": "2000-01-01", "ends_on": "2199-01-31"}, "duplicate", set()),
    ],
)
def test_periods_that_make_no_sense(studio: Studio, values: dict[str, Any], code: str, fields: set[str]) -> None:
    with refused(code) as refusal:
        studio.world.insert("public.pay_periods", **values)
    assert refusal.fields == fields


def test_over_rest(studio: Studio, rest: Rest) -> None:
    row = done(studio)
    manager = studio.world.user("manager")
    assert rest.post("/rpc/close_pay_period", {"p_name": "P"}, user=studio.world.user("staff")).status_code == 403
    assert rest.post("/rpc/close_pay_period", {"p_name": "P"}, user=studio.teacher).status_code == 403
    assert rest.post("/rpc/close_pay_period", {"p_name": "P"}, user=manager).json()[0]["status"] == "closed"
    answer = rest.patch(f"/class_assignments?id=eq.{row.id}", {"payment_amount": 1}, user=manager)
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
    answer = rest.delete(f"/class_assignments?id=eq.{row.id}", user=manager)
    assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")
    answer = rest.post("/rpc/reopen_pay_period", {"p_name": "P", "p_reason": "Why not."}, user=manager)
    assert answer.json()[0]["status"] == "open"
    assert rest.patch(f"/class_assignments?id=eq.{row.id}", {"payment_amount": 1}, user=manager).status_code == 200
    assert [row["name"] for row in rest.get("/pay_periods", user=studio.teacher).json()] == ["P"]
    assert rest.get("/pay_period_events", user=studio.teacher).json() == []


# Two at once

WRITES: dict[str, Callable[[Studio, Any, psycopg.Connection[Any]], None]] = {
    "insert": lambda studio, row, by: by.execute(
        "insert into public.class_assignments (instructor_id, date, class_status, payment_amount) values (%s, %s, 'completed', 7)",
        [studio.teacher.profile_id, studio.day(INSIDE)],
    ) and None,
    "update": lambda studio, row, by: by.execute(
        "update public.class_assignments set payment_amount = 7 where id = %s", [row.id]
    ) and None,
    "delete": lambda studio, row, by: by.execute("delete from public.class_assignments where id = %s", [row.id]) and None,
    "move in": lambda studio, row, by: by.execute(
        "update public.class_assignments set date = %s, start_time = '15:00', end_time = '16:00' where date = %s",
        [studio.day(INSIDE), studio.day(OUTSIDE)],
    ) and None,
}  # fmt: skip


def total(db: psycopg.Connection[Any], studio: Studio) -> Any:
    row = db.execute(
        "select sum(payment_amount), count(*) from public.class_assignments where date between %s and %s",
        [studio.day(-34), studio.day(-24)],
    ).fetchone()
    return row


@pytest.fixture
def pair(studio: Studio, database: Database) -> Any:
    done(studio, OUTSIDE)
    with ThreadPoolExecutor(1) as pool:
        yield database.connect(), database.connect(), pool


@pytest.mark.parametrize("write", WRITES)
def test_closing_waits_for_whoever_is_writing(studio: Studio, pair: Any, write: str) -> None:
    """What was written first is in the period that is closed."""
    row = done(studio)
    writer, closer, pool = pair
    before = total(studio.db, studio)
    with writer.transaction():
        WRITES[write](studio, row, writer)
        closing: Future[Any] = pool.submit(call, closer, None, "close_pay_period", p_name="P")
        until_blocked(studio.db, closer)
        assert status(studio) == "open"
    assert closing.result()[0]["status"] == "closed"
    assert total(studio.db, studio) != before


@pytest.mark.parametrize("write", WRITES)
def test_whoever_writes_while_it_closes_finds_it_closed(studio: Studio, pair: Any, write: str) -> None:
    """Their statement began before the period was closed, and sees that it was."""
    row = done(studio)
    writer, closer, pool = pair
    before = total(studio.db, studio)
    with closer.transaction():
        call(closer, None, "close_pay_period", p_name="P")
        writing: Future[Any] = pool.submit(WRITES[write], studio, row, writer)
        until_blocked(studio.db, writer)
    with refused("illegal_transition"):
        writing.result()
    assert total(studio.db, studio) == before


@pytest.mark.parametrize("write", WRITES)
def test_without_the_lock_the_race_is_lost(studio: Studio, pair: Any, write: str) -> None:
    """So the two tests above prove something."""
    row = done(studio)
    writer, closer, _ = pair
    body = studio.db.execute("select pg_get_functiondef('private.check_pay_period_event()'::regprocedure)").fetchone()
    assert body is not None
    weakened = body[0].replace("lock table", "-- lock table")
    assert weakened != body[0]
    studio.db.execute(weakened)
    before = total(studio.db, studio)
    with writer.transaction():
        WRITES[write](studio, row, writer)
        call(closer, None, "close_pay_period", p_name="P")
        assert status(studio) == "closed"
    assert total(studio.db, studio) != before, "what was closed changed afterwards"


def test_whoever_writes_does_not_wait_for_reopening(studio: Studio, pair: Any) -> None:
    row = done(studio)
    writer, opener, _ = pair
    close(studio)
    with opener.transaction():
        call(opener, None, "reopen_pay_period", p_name="P", p_reason="A mistake.")
        with refused("illegal_transition"):
            WRITES["update"](studio, row, writer)
    WRITES["update"](studio, row, writer)


def test_of_two_who_close_it_one_does(studio: Studio, pair: Any) -> None:
    first, second, pool = pair
    with first.transaction():
        call(first, None, "close_pay_period", p_name="P")
        late = pool.submit(call, second, None, "close_pay_period", p_name="P")
        until_blocked(studio.db, second)
    with refused("illegal_transition"):
        late.result()
    assert studio.db.execute("select count(*) from public.pay_period_events").fetchone() == (1,)


def test_archiving_beside_closing_deadlocks_nobody(studio: Studio, pair: Any) -> None:
    row = done(studio)
    archiver, closer, pool = pair
    with archiver.transaction():
        archiver.execute("select private.archive_classes(%s)", [[row.id]])
        closing = pool.submit(call, closer, None, "close_pay_period", p_name="P")
        until_blocked(studio.db, closer)
    assert closing.result()[0]["status"] == "closed"
    other = done(studio, OUTSIDE - 1)
    call(studio.db, None, "reopen_pay_period", p_name="P", p_reason="Once more.")
    with closer.transaction():
        call(closer, None, "close_pay_period", p_name="P")
        moving = pool.submit(archiver.execute, "select private.archive_classes(%s)", [[other.id]])
        until_blocked(studio.db, archiver)
    moving.result()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_other_isolation_levels_are_refused(studio: Studio, level: str) -> None:
    with refused("invalid_input"), studio.db.transaction():
        studio.db.execute(f"set transaction isolation level {level}".encode())
        close(studio)
