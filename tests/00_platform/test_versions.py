"""Two people editing one row: the second is told, with what is there now."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.ledger import Connection, Ledger
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.world import World

RENAME = "update public.locations set name = %s, version = %s where name like 'Hall%%'"


@pytest.fixture
def hall(world: World) -> Any:
    return world.insert("public.locations", name="Hall")


def test_it_counts_and_stamps(db: psycopg.Connection[Any], hall: Any) -> None:
    db.execute(RENAME, ["Hall 1", 1])
    db.execute("update public.locations set name = 'Hall 2'")
    row = db.execute("select version, updated_at > created_at, created_at from public.locations").fetchone()
    assert row == (3, True, hall.created_at)


def test_an_older_version_is_refused(db: psycopg.Connection[Any], hall: Any) -> None:
    db.execute(RENAME, ["Hall 1", 1])
    with refused("stale_version") as refusal:
        db.execute(RENAME, ["Hall 2", 1])
    assert refusal.details["current"]["name"] == "Hall 1"
    assert refusal.details["current"]["version"] == 2
    for invented in (5, -1, None):
        with refused("stale_version"):
            db.execute(RENAME, ["Hall 2", invented])


@pytest.mark.parametrize("guarded", [True, False])
def test_the_second_of_two_editors_is_told(database: Database, hall: Any, guarded: bool) -> None:
    ledger = Ledger(database)
    if not guarded:
        ledger.weaken("drop trigger t10_keep_version on public.locations")

    def rename(name: str) -> Any:
        def change(by: Connection) -> None:
            by.execute(RENAME, [name, 1])

        return change

    outcome = ledger.collide(rename("Hall of Ann"), rename("Hall of Bob"))
    assert outcome.waited
    assert outcome.code == ("stale_version" if guarded else None)
    assert ledger.one("select name from public.locations") == ("Hall of Ann" if guarded else "Hall of Bob")


def test_over_rest(rest: Rest, world: World, hall: Any) -> None:
    manager = world.user("manager")
    path = f"/locations?id=eq.{hall.id}"
    assert rest.patch(path, {"name": "Hall 1", "version": 1}, user=manager).json()[0]["version"] == 2
    stale = rest.patch(path, {"name": "Hall 2", "version": 1}, user=manager)
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_version")
