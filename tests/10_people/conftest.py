"""What the tests of this module share: refusals, and a short way to call functions as somebody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from tests.support.identity import User, as_role, as_user


@dataclass
class Refusal:
    """What private.fail said."""

    code: str = ""
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    hint: str | None = None

    @property
    def fields(self) -> set[str]:
        """The names of all offending fields."""
        return {error["field"] for error in self.details.get("errors", [])}


Refused = Callable[[str], AbstractContextManager[Refusal]]
Call = Callable[..., list[dict[str, Any]]]


@contextmanager
def _refused(code: str) -> Iterator[Refusal]:
    told = Refusal()
    with pytest.raises(psycopg.Error) as caught:
        yield told
    assert caught.value.sqlstate == "PGRST", caught.value
    said = json.loads(caught.value.diag.message_primary or "")
    told.code, told.message, told.hint = said["code"], said["message"], said["hint"]
    told.details = json.loads(said["details"])
    assert told.code == code, said


@pytest.fixture(scope="session")
def refused() -> Refused:
    """`with refused("forbidden") as refusal:` what is inside is refused with that code."""
    return _refused


@pytest.fixture
def call(db: psycopg.Connection[Any]) -> Call:
    """`call(user, "grant_role", p_user_id=…)` calls a public function as a person, as "service_role"/"anon", or as the
    owner (None); gives its rows."""

    def run(caller: User | str | None, function: str, /, **arguments: Any) -> list[dict[str, Any]]:
        statement = sql.SQL("select * from public.{}({})").format(
            sql.Identifier(function),
            sql.SQL(", ").join(
                sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in arguments
            ),
        )
        with db.cursor(row_factory=dict_row) as cursor:
            if caller is None:
                return cursor.execute(statement, arguments).fetchall()
            with as_role(db, caller) if isinstance(caller, str) else as_user(db, caller):
                return cursor.execute(statement, arguments).fetchall()

    return run


def _rows(db: psycopg.Connection[Any], statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
    return db.execute(statement, arguments).fetchall()


@pytest.fixture
def rows(db: psycopg.Connection[Any]) -> Callable[..., list[tuple[Any, ...]]]:
    """`rows("select …", argument, …)` as the owner."""

    def run(statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        return _rows(db, statement, *arguments)

    return run


@pytest.fixture(scope="session")
def reference() -> str:
    """This module's reference.sql, as migrations repeat it."""
    path = Path(__file__).parents[2] / "sql" / "10_people" / "reference.sql"
    return path.read_text(encoding="utf-8")
