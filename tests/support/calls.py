"""Calling public functions as somebody, and being refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from tests.support.identity import User, as_role, as_user


@dataclass
class Refusal:
    """What private.fail said, known once the block of `refused` has ended."""

    code: str = ""
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    hint: str | None = None

    @property
    def fields(self) -> set[str]:
        """The names of all offending fields."""
        return {error["field"] for error in self.details.get("errors", [])}


def read_refusal(error: psycopg.Error) -> Refusal:
    """What an error of ours says; fails the test for any other error."""
    assert error.sqlstate == "PGRST", error
    said = json.loads(error.diag.message_primary or "")
    return Refusal(said["code"], said["message"], json.loads(said["details"]), said["hint"])


@contextmanager
def refused(code: str) -> Iterator[Refusal]:
    """`with refused("forbidden") as refusal:` what is inside is refused with that code."""
    told = Refusal()
    with pytest.raises(psycopg.Error) as caught:
        yield told
    told.__dict__.update(read_refusal(caught.value).__dict__)
    assert told.code == code, told


def call(
    connection: psycopg.Connection[Any], caller: User | str | None, function: str, /, **arguments: Any
) -> list[dict[str, Any]]:
    """Calls a public function as a person, as an API role by name, or as the owner (None); gives its rows."""
    statement = sql.SQL("select * from public.{}({})").format(
        sql.Identifier(function),
        sql.SQL(", ").join(
            sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in arguments
        ),
    )
    with connection.cursor(row_factory=dict_row) as cursor:
        if caller is None:
            return cursor.execute(statement, arguments).fetchall()
        with as_role(connection, caller) if isinstance(caller, str) else as_user(connection, caller):
            return cursor.execute(statement, arguments).fetchall()
