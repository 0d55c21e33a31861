"""Closing and claiming at once: each sees the other, and nobody waits in a circle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.calls import call, read_refusal
from tests.support.identity import User, as_user
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World

Db = psycopg.Connection[Any]


Row = dict[str, Any]


def close(db: Db, caller: User | str | None, first: date | str, **more: Any) -> list[Row]:
    return call(db, caller, "add_closure", **{"p_name": "Feast", "p_starts_on": first, **more})


def weekly(db: Db, resources: list[Any], day: date, title: str = "Yoga", **more: Any) -> UUID:
    """A rule on the weekday of `day`, 18:00 to 19:00."""
    [row] = call(
        db, None, "create_weekly_rule", p_title=title, p_resource_ids=resources,
        p_weekday=(day.weekday() + 1) % 7, p_start_time="18:00", p_end_time="19:00", **more,
    )  # fmt: skip
    return UUID(str(row["id"]))


def meet(db: Db, resources: list[Any], day: date, start: str = "10:00", end: str = "11:00") -> UUID:
    [row] = call(
        db, None, "schedule_meeting", p_title="Lesson", p_date=day, p_start_time=start, p_end_time=end,
        p_resource_ids=resources,
    )  # fmt: skip
    return UUID(str(row["id"]))


def place(world: World, name: str = "Room", **more: Any) -> UUID:
    return UUID(str(world.insert("public.locations", name=name, **more).id))


@pytest.mark.parametrize("everything", [True, False])
def test_closing_and_claiming_see_each_other(
    database: Database, db: Db, world: World, boss: User, day: date, everything: bool
) -> None:
    """Where claims in closures are refused, either the claim is refused or the closure lists it."""
    room = place(world)
    db.execute("update public.settings set value = '\"refuse\"' where key = 'availability_policy'")
    steps: list[tuple[str, list[Any]]] = [
        ("select from public.schedule_meeting('Lesson', %s, '10:00', '11:00', %s)", [day, [room]]),
        (
            "select source_id from public.add_closure('Feast', %s, p_location_id => %s)",
            [day, None if everything else room],
        ),
    ]

    def run(connection: Db, step: int) -> list[Any]:
        with as_user(connection, boss):
            statement, arguments = steps[step]
            return connection.execute(statement, arguments).fetchall()

    def race(first_step: int) -> Any:
        first, second = database.connect(), database.connect()
        try:
            with ThreadPoolExecutor(1) as pool:
                with first.transaction():
                    run(first, first_step)
                    running = pool.submit(run, second, 1 - first_step)
                    if guarded:
                        until_blocked(db, second)
                    else:
                        running.result(60)
                try:
                    return running.result(60)
                except psycopg.Error as error:
                    return read_refusal(error).code
        finally:
            db.execute("delete from public.meetings")
            db.execute("delete from public.closures")

    guarded = True
    assert race(1) == "time_conflict"
    [(listed,)] = race(0)
    assert listed is not None
    guarded = False
    db.execute("create or replace function private.lock_resources(p_ids uuid[]) returns void language sql as 'select'")
    assert race(1) == [()]
    assert race(0) == [(None,)]


@contextmanager
def suppress_conflict() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        if read_refusal(error).code != "time_conflict":
            raise


@pytest.mark.parametrize("policy", ["warn", "refuse"])
def test_closing_while_rules_change_never_deadlocks(
    database: Database, db: Db, world: World, ana: User, boss: User, day: date, policy: str
) -> None:
    """Closing cancels the dates that others cancel, restore and move at the same time, one transaction each."""
    db.execute("update public.settings set value = to_jsonb(%s::text) where key = 'availability_policy'", [policy])
    room, hall = place(world), place(world, "Hall")
    dates = [day + timedelta(days=n) for n in range(3)]
    rules = [weekly(db, [room, ana.profile_id], dates[0]), weekly(db, [room], dates[1]), weekly(db, [hall], dates[2])]
    start = threading.Barrier(4)

    def shut(connection: Db, where: UUID | None) -> None:
        start.wait(60)
        for _ in range(12):
            with as_user(connection, boss):
                connection.execute(
                    "select from public.add_closure('Feast', %s, %s, %s, true)", [dates[0], dates[2], where]
                )
            connection.execute("delete from public.closures where location_id is not distinct from %s", [where])

    def edit(connection: Db, offset: int) -> None:
        start.wait(60)
        for n in range(offset, 36 + offset):
            rule, on = rules[n % 3], dates[n % 3]
            for statement, arguments in (
                ("update public.weekly_rules set start_time = %s where id = %s", [f"17:{n:02}", rule]),
                ("select public.restore_occurrence(%s, %s)", [rule, on]),
                ("select public.cancel_occurrence(%s, %s)", [rule, on]),
                ("delete from public.weekly_rule_exceptions where rule_id = %s", [rule]),
            ):
                # Putting a date back into a closure may be refused; nothing else may.
                with suppress_conflict():
                    connection.execute(statement.encode(), arguments)

    with ThreadPoolExecutor(4) as pool:
        running = [
            pool.submit(shut, database.connect(), None),
            pool.submit(shut, database.connect(), room),
            pool.submit(edit, database.connect(), 0),
            pool.submit(edit, database.connect(), 1),
        ]
        for each in running:
            each.result(200)
    assert db.execute("select count(*) from public.closures").fetchone() == (0,)
