"""Who may import a timetable, what they learn, and calls that are made again."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.identity import User
from tests.support.importing import CHAIN, Connection, count, run
from tests.support.ledger import Ledger
from tests.support.server import Database
from tests.support.timetables import lesson
from tests.support.world import World


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.mark.parametrize("role", ["member", "instructor", "staff", "anon"])
def test_others_may_not_import(db: Connection, world: World, role: str) -> None:
    caller = role if role == "anon" else world.user(role)
    if role == "anon":
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(db, [lesson()], caller=caller)
        return
    for dry in (False, True):
        with refused("forbidden") as refusal:
            run(db, [lesson()], caller=caller, p_dry_run=dry)
        assert refusal.details["permission"] == "bulk:calendar"


def test_managers_import_and_are_named(db: Connection, world: World) -> None:
    manager = world.user("manager")
    report = run(db, CHAIN, "override", manager)
    assert report["imported"] == 4
    assert db.execute("select distinct created_by from public.meetings").fetchall() == [(manager.id,)]
    assert db.execute("select granted_by from public.overrides").fetchall() == [(manager.id,)]


@pytest.fixture
def clerk(db: Connection, world: World) -> Callable[..., User]:
    """Somebody who holds exactly these permissions."""

    def make(*permissions: str) -> User:
        user = world.user("member")
        for permission in permissions:
            db.execute("insert into public.user_permissions values (%s, %s, true, 'Imports')", [user.id, permission])
        return user

    return make


def test_overriding_needs_a_permission_of_its_own(db: Connection, clerk: Callable[..., User]) -> None:
    caller = clerk("bulk:calendar")
    with refused("forbidden") as refusal:
        run(db, CHAIN, "override", caller)
    assert refusal.details["permission"] == "grant:override"
    own = [lesson("1", "Room A", times="09:00-12:00"), lesson("1", "Room A", times="09:00-10:00")]
    assert run(db, own, "refuse", caller)["overrides"]["groups"] == 1, "a section is no stranger to itself"


def test_joining_a_granted_group_needs_the_permission_too(
    db: Connection, ledger: Ledger, clerk: Callable[..., User]
) -> None:
    """Otherwise a row of the same section would take a group that ends into one that never does."""
    run(db, [lesson("1", "Room A", times="09:00-12:00")])
    [(meeting, room)] = db.execute("select source_id, resource_id from public.claims").fetchall()
    ends = ledger.one("select private.now() + interval '1 day'")
    other = ledger.meeting(
        "Other", date="2018-10-01", start_time="11:00", end_time="12:00", time_zone="America/New_York"
    )
    ledger.override(meeting, other, expires_at=ends)
    db.execute("insert into public.meeting_participants values (%s, %s)", [other, room])
    rows = [lesson("1", "Room A", times="09:00-12:00"), lesson("1", "Room A", times="09:00-10:00")]
    with refused("forbidden"):
        run(db, rows, "skip", clerk("bulk:calendar"))
    assert run(db, rows, "skip", clerk("bulk:calendar", "grant:override"))["imported"] == 1
    assert ledger.faults() == []


def test_who_may_not_read_the_calendar_learns_only_that_time_is_taken(
    db: Connection, ledger: Ledger, clerk: Callable[..., User]
) -> None:
    room = ledger.place("Room A")
    ledger.meeting(
        "Secret", room, date="2018-10-01", start_time="09:00", end_time="10:00", time_zone="America/New_York"
    )
    caller = clerk("bulk:calendar")
    report = run(db, CHAIN, "skip", caller, p_dry_run=True)
    assert "Secret" not in str(report)
    assert set(report["left_out"][0]["with"]) == {"starts_at", "ends_at"}
    with refused("time_conflict") as refusal:
        run(db, CHAIN[:1], "refuse", caller)
    assert "Secret" not in refusal.message + str(refusal.details)
    assert "taken by something else" in refusal.message
    assert "Secret" in str(run(db, CHAIN, "skip", clerk("bulk:calendar", "read:calendar"), p_dry_run=True))


def test_a_retried_call_gets_the_first_answer(db: Connection, world: World) -> None:
    manager = world.user("manager")
    first = run(db, CHAIN, "skip", manager, p_idempotency_key="k1")
    db.execute("delete from public.meetings")
    assert run(db, CHAIN, "skip", manager, p_idempotency_key="k1") == first
    assert count(db, "meetings") == 0
    with refused("idempotency_mismatch"):
        run(db, CHAIN[:3], "skip", manager, p_idempotency_key="k1")
    with refused("idempotency_mismatch"):
        run(db, CHAIN, "override", manager, p_idempotency_key="k1")
    assert run(db, CHAIN, "skip", manager, p_idempotency_key="k2")["imported"] == 2


def test_a_refused_call_may_be_made_again_under_its_key(db: Connection) -> None:
    with refused("time_conflict"):
        run(db, CHAIN, p_idempotency_key="k1")
    assert run(db, CHAIN[:1], p_idempotency_key="k1")["imported"] == 1


def test_other_isolation_levels_are_refused(database: Database) -> None:
    connection = database.connect(autocommit=False)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    with refused("invalid_input"):
        run(connection, [lesson()])
