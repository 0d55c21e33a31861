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
        """A person who can sign in, as signing up makes one, who is also given `role`; None takes even `member` away.

        `profile` are further columns of public.user_profiles.
        """
        number = next(self._numbers)
        user_id = uuid4()
        name = full_name or f"{(role or 'stranger').title()} {number}"
        email = f"{role or 'stranger'}{number}@example.org"
        self.db.execute(
            "insert into auth.users (id, email, aud, role, raw_user_meta_data) values (%s, %s, %s, %s, %s)",
            [user_id, email, "authenticated", "authenticated", Jsonb({"full_name": name})],
        )
        for column, value in profile.items():
            self.db.execute(
                sql.SQL("update public.user_profiles set {} = %s where user_id = %s").format(sql.Identifier(column)),
                [value, user_id],
            )
        if role is None:
            self.db.execute("delete from public.user_roles where user_id = %s", [user_id])
        elif role != "member":
            self.db.execute("insert into public.user_roles (user_id, role_name) values (%s, %s)", [user_id, role])
        row = self.db.execute("select id from public.user_profiles where user_id = %s", [user_id]).fetchone()
        assert row is not None
        return User(user_id, email, name, role, row[0])

    def insert(self, table: str, **values: Any) -> Any:
        """Inserts one row into `table` ("schema.name") and returns it whole, as a named tuple.

        A dict becomes jsonb.
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
