"""A database with something in every table, for tests that go over all of them.

A module puts its rows there by having `tests/<module>/sample.py` with a function `fill(world, people)`. Some rows should
belong to the people on stage and some to others, so that what each may see differs.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg

from classbase.database.loader import modules
from tests.support.identity import User
from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.world import World

TESTS = Path(__file__).parents[1]

# Who is on stage: somebody who signed in and holds no role, and one person of each role.
ROLES = ("nobody", "member", "instructor", "staff", "manager", "admin")


@dataclass
class Stage:
    """A filled database; `people` has a User for each name of ROLES. Whatever a test does to it is rolled back."""

    database: Database
    db: psycopg.Connection[Any]
    world: World
    people: Mapping[str, User]

    @classmethod
    def set(cls, server: TestServer) -> Stage:
        """Makes a database and lets every module fill it."""
        database = server.create_database(TEMPLATE)
        db = database.connect()
        world = World(db)
        people = {role: world.user(None if role == "nobody" else role) for role in ROLES}
        for sample in module_files("sample"):
            sample.fill(world, people)
        return cls(database, db, world, people)

    @contextmanager
    def rehearsal(self) -> Iterator[psycopg.Connection[Any]]:
        """A transaction that is rolled back."""
        with self.db.transaction(force_rollback=True):
            yield self.db


def module_files(name: str) -> list[ModuleType]:
    """The Python modules `tests/<module>/<name>.py` and `<name>_<part>.py` that are there, in the order of the modules."""
    found = [
        f"tests.{module.name}.{file.stem}"
        for module in modules()
        for pattern in (f"{name}.py", f"{name}_*.py")
        for file in sorted((TESTS / module.name).glob(pattern))
    ]
    return [importlib.import_module(module) for module in found]
