"""Imports at the same time as each other, and as single bookings."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.ledger import Ledger
from tests.support.server import Database
from tests.support.timetables import lesson
from tests.support.waiting import until_blocked

Connection = psycopg.Connection[Any]


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


def importing(
    rows: list[dict[str, Any]], mode: str = "skip", told: list[Any] | None = None
) -> Callable[[Connection], None]:
    def change(by: Connection) -> None:
        row = by.execute("select public.import_meetings(%s, 'UTC', %s)", [Jsonb(rows), mode]).fetchone()
        assert row is not None
        if told is not None:
            told.append(row[0])

    return change


ROWS = [lesson("1", "Room A", "Ann"), lesson("2", "Room A", "Bo"), lesson("3", "Room B", "Ann", "11:00-12:00")]


@pytest.mark.parametrize("known", [False, True], ids=["new names", "known names"])
def test_the_same_file_twice_at_once_is_imported_once(ledger: Ledger, known: bool) -> None:
    if known:
        for name in ("Ann", "Bo"):
            ledger.person(name)
        for name in ("Room A", "Room B"):
            ledger.place(name)
    told: list[dict[str, Any]] = []
    outcome = ledger.collide(importing(ROWS), importing(ROWS, told=told))
    assert outcome.waited
    assert outcome.error is None
    assert (told[0]["imported"], told[0]["unchanged"]) == (0, 2)
    assert ledger.one("select count(*) from public.resources") == 4
    assert ledger.faults() == []


def test_rows_that_name_nobody_are_imported_once_too(ledger: Ledger) -> None:
    rows = [lesson("1"), lesson("2")]
    told: list[dict[str, Any]] = []
    outcome = ledger.collide(importing(rows, "refuse"), importing(rows, "refuse", told))
    assert outcome.error is None
    assert told[0]["unchanged"] == 2
    assert ledger.one("select count(*) from public.meetings") == 2


def test_without_the_lock_the_same_people_are_made_twice(ledger: Ledger) -> None:
    ledger.rewrite(
        "private.import_rows(jsonb, jsonb)",
        "perform pg_advisory_xact_lock(hashtextextended('import_meetings', 0))",
        "perform 1",
    )
    rows = [lesson("1", "", "Ann")]
    outcome = ledger.collide(importing(rows), importing([lesson("2", "", "Ann", "15:00-16:00")]))
    assert outcome.error is None
    assert ledger.one("select count(*) from public.resources where name = 'Ann'") == 2


def test_an_import_that_meets_a_booking_in_the_making_leaves_nothing(ledger: Ledger) -> None:
    """The booking is not committed when the import reads the ledger; the constraint makes it wait, and decides."""
    room = ledger.place("Room A")

    def book(by: Connection) -> None:
        ledger.meeting("Booked", room, by=by, date="2018-10-01", start_time="09:30", end_time="09:45", time_zone="UTC")

    for mode in ("refuse", "skip", "override"):
        outcome = ledger.collide(book, importing([lesson("1", "Room B", "Ann"), lesson("2", "Room A", "Bo")], mode))
        assert outcome.waited
        assert outcome.code == "time_conflict"
        assert "Booked" in outcome.refusal.message
        assert ledger.one("select count(*) from public.meetings where title <> 'Booked'") == 0
        assert ledger.one("select count(*) from public.resources") == 1
        ledger.db.execute("delete from public.meetings")
    assert ledger.faults() == []


def test_a_booking_that_meets_an_import_is_refused(ledger: Ledger) -> None:
    ann = ledger.person("Ann")

    def book(by: Connection) -> None:
        ledger.meeting("Late", ann, by=by, date="2018-10-01", start_time="09:30", end_time="09:45", time_zone="UTC")

    outcome = ledger.collide(importing(ROWS), book)
    assert outcome.waited
    assert outcome.code == "time_conflict"
    assert "Course 1" in outcome.refusal.message
    assert ledger.faults() == []


def test_an_import_waits_for_a_rule_in_the_making_and_then_sees_it(ledger: Ledger) -> None:
    ann, room = ledger.person("Ann"), ledger.place("Room A")
    told: list[dict[str, Any]] = []

    def rule(by: Connection) -> None:
        ledger.rule("Weekly", ann, by=by, weekday=1, effective="[2018-09-01,2018-12-01)")

    rows = [lesson("1", "Room A", "Ann"), lesson("2", "Room A", times="11:00-12:00")]
    outcome = ledger.collide(rule, importing(rows, "skip", told))
    assert outcome.waited
    assert outcome.error is None
    assert (told[0]["imported"], told[0]["left_out"][0]["with"]["title"]) == (1, "Weekly")
    assert ledger.one("select count(*) from public.claims where resource_id = %s and title = 'Course 2'", room) == 1
    assert ledger.faults() == []


NO_LOCK_ON_HAPPENINGS = (
    "create or replace function private.lock_import_sources(p_overlaps private.import_overlap[]) returns void "
    "language sql as 'select'"
)


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "without the lock"])
def test_overriding_and_moving_what_it_takes_in_do_not_stand_in_a_circle(ledger: Ledger, guarded: bool) -> None:
    """A move holds the meeting and then wants its resources; so the import locks happenings before resources too."""
    ann = ledger.person("Ann")
    meeting = ledger.meeting("Standing", ann, date="2018-10-01", start_time="09:30", end_time="09:45", time_zone="UTC")
    if not guarded:
        ledger.weaken(NO_LOCK_ON_HAPPENINGS)
    mover, importer = ledger.database.connect(autocommit=False), ledger.database.connect()
    observer = ledger.database.connect(admin=True)
    mover.execute("update public.meetings set notes = 'held' where id = %s", [meeting])
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(importing([lesson("1", "", "Ann")], "override"), importer)
        until_blocked(observer, importer)
        errors: list[BaseException | None] = []
        try:
            mover.execute("update public.meetings set end_time = '09:50' where id = %s", [meeting])
            mover.commit()
        except psycopg.Error as error:
            errors.append(error)
            mover.rollback()
        errors.append(running.exception())
    assert [type(error) for error in errors if error] == ([] if guarded else [psycopg.errors.DeadlockDetected])
    assert ledger.faults() == []
