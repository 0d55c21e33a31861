"""The ledger, for tests of this module."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest

from tests.support.free_time import Scene
from tests.support.identity import User
from tests.support.ledger import Ledger
from tests.support.server import Database
from tests.support.world import World


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """A ledger of its own for each test."""
    return Ledger(database)


@pytest.fixture
def scene(db: psycopg.Connection[Any], world: World) -> Scene:
    """Two people, a place and a piece of equipment, about whom nothing is known."""
    people = [world.insert("public.user_profiles", full_name=f"Person {n}").id for n in range(2)]
    place = world.insert("public.locations", name="Room").id
    tool = world.insert("public.resources", kind="equipment", name="Projector").id
    return Scene(db, people, place, tool)


@pytest.fixture
def day(db: psycopg.Connection[Any]) -> date:
    """A day three weeks ahead, where the organisation is."""
    row = db.execute("select private.today() + 21").fetchone()
    assert row is not None
    found: date = row[0]
    return found


@pytest.fixture
def ana(world: World) -> User:
    """Somebody who works."""
    return world.user("instructor", full_name="Ana")


@pytest.fixture
def boss(world: World) -> User:
    """Somebody who decides."""
    return world.user("manager")
