"""The platform's part of the database, for a Postgres that is not Supabase's.

Supabase gives a project roles for its API, an `auth` schema and an `extensions` schema before the first migration
runs. The SQL files beside this module make the same, each thing only where it is missing, so that on a real
Supabase project, and on a second call, nothing changes.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import psycopg


def standin_files() -> list[tuple[str, str]]:
    """The stand-in's SQL files in load order: (name, text)."""
    found = [entry for entry in files(__name__).iterdir() if entry.name.endswith(".sql")]
    return [(entry.name, entry.read_text(encoding="utf-8")) for entry in sorted(found, key=lambda entry: entry.name)]


def is_supabase(conn: psycopg.Connection[Any]) -> bool:
    """Whether this database is a Supabase project's, whose platform parts are its own business."""
    row = conn.execute(
        "select exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin')"
        " and pg_catalog.to_regclass('auth.schema_migrations') is not null as answer"
    ).fetchone()
    assert row is not None
    return bool(row["answer"] if isinstance(row, dict) else row[0])


def install_standin(conn: psycopg.Connection[Any]) -> bool:
    """Makes the API roles, the `auth` schema and the `extensions` schema where they are missing.

    Args:
        conn: a connection as a superuser (or a role that may create roles and schemas), outside a transaction or in
            one; what it does is one transaction.

    Returns:
        False when the database is a Supabase project's and was left alone, otherwise True.

    Raises:
        psycopg.errors.InsufficientPrivilege: the role may not create what is missing.
    """
    if is_supabase(conn):
        return False
    with conn.transaction():
        for _, text in standin_files():
            conn.execute(text.encode())
    return True
