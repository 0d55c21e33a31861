"""Sample rows, for tests that need somebody or something to be there."""

from __future__ import annotations

import itertools
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb

from tests.support.identity import User


class World:
    """Makes people and rows through the owner's connection `db`.

    Names and addresses are numbered, so that two of a kind never clash.
    """

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self.db = db
        self._numbers = itertools.count(1)

    def user(self, role: str | None = "member", *, full_name: str | None = None, **profile: Any) -> User:
        """A person who can sign in: a row of auth.users, a profile, and `role` (None gives no role).

        `profile` are further columns of public.user_profiles.
        """
        number = next(self._numbers)
        name = full_name or f"{(role or 'stranger').title()} {number}"
        email = f"{role or 'stranger'}{number}@example.org"
        user_id = uuid4()
        self.db.execute("insert into auth.users (id, email) values (%s, %s)", [user_id, email])
        made = self.db.execute("select id from public.user_profiles where user_id = %s", [user_id]).fetchone()
        columns = {"full_name": name, "email": email, **profile}
        if made is None:
            profile_id = self.insert("public.user_profiles", user_id=user_id, **columns).id
        else:  # made by a trigger on auth.users
            profile_id = made[0]
            assignments = sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(c), _literal(v)) for c, v in columns.items()
            )
            self.db.execute(
                sql.SQL("update public.user_profiles set {} where user_id = {}").format(assignments, user_id)
            )
        if role is not None:
            self.db.execute(
                "insert into public.user_roles (user_id, role_name) values (%s, %s) on conflict do nothing",
                [user_id, role],
            )
        return User(user_id, email, name, role, profile_id)

    def insert(self, table: str, **values: Any) -> Any:
        """Inserts one row into `table` ("schema.name") and returns it whole, as a named tuple.

        A dict or list becomes jsonb.
        """
        name = sql.Identifier(*table.split("."))
        with self.db.cursor(row_factory=namedtuple_row) as cursor:
            if values:
                cursor.execute(
                    sql.SQL("insert into {} ({}) values ({}) returning *").format(
                        name,
                        sql.SQL(", ").join(map(sql.Identifier, values)),
                        sql.SQL(", ").join(map(_literal, values.values())),
                    )
                )
            else:
                cursor.execute(sql.SQL("insert into {} default values returning *").format(name))
            return cursor.fetchone()


def _literal(value: Any) -> sql.Literal:
    return sql.Literal(Jsonb(value) if isinstance(value, dict) else value)
