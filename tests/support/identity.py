"""Acting as somebody, exactly as PostgREST would set it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql


@dataclass(frozen=True)
class User:
    """A person with a login. `role` is the role of 10_people they were given (None: none at all)."""

    id: UUID
    email: str
    full_name: str
    role: str | None
    profile_id: UUID | None = None
    app_metadata: dict[str, Any] = field(default_factory=dict, hash=False)

    def claims(self) -> dict[str, Any]:
        """The claims of this person's token, as Supabase Auth writes them."""
        return {
            "sub": str(self.id),
            "role": "authenticated",
            "aud": "authenticated",
            "email": self.email,
            "app_metadata": self.app_metadata,
        }


_SETTINGS = ("role", "request.jwt.claims", "request.headers", "request.method", "request.path", "request.cookies")


@contextmanager
def _acting(
    connection: psycopg.Connection[Any], role: str, claims: dict[str, Any], method: str, path: str
) -> Iterator[psycopg.Connection[Any]]:
    with connection.transaction():
        before = connection.execute(
            sql.SQL("select {}").format(
                sql.SQL(", ").join(sql.SQL("current_setting({}, true)").format(name) for name in _SETTINGS)
            )
        ).fetchone()
        now = (role, json.dumps(claims), "{}", method, path, "{}")
        _set_local(connection, now)
        yield connection
        # What was set in a transaction around this one outlives the savepoint; a failure has undone it already.
        _set_local(connection, [value or "" for value in before or ()])


def _set_local(connection: psycopg.Connection[Any], values: Any) -> None:
    for name, value in zip(_SETTINGS, values, strict=True):
        connection.execute("select set_config(%s, %s, true)", [name, value or ("none" if name == "role" else "")])


@contextmanager
def as_user(
    connection: psycopg.Connection[Any], user: User, *, method: str = "POST", path: str = "/rpc/test"
) -> Iterator[psycopg.Connection[Any]]:
    """A transaction in which `connection` acts as `user`, a signed-in person.

    Sets the role and the `request.*` settings that PostgREST sets, for this transaction (or savepoint) only. On an
    error everything done inside is rolled back.
    """
    with _acting(connection, "authenticated", user.claims(), method, path) as acting:
        yield acting


@contextmanager
def as_role(
    connection: psycopg.Connection[Any], role: str, *, method: str = "POST", path: str = "/rpc/test"
) -> Iterator[psycopg.Connection[Any]]:
    """A transaction in which `connection` acts as `anon`, `service_role`, or `authenticated` without a name."""
    with _acting(connection, role, {"role": role}, method, path) as acting:
        yield acting
