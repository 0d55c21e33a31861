"""Our supabase/ folder is one the Supabase CLI deploys, and our books are its books."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from typer.testing import CliRunner

from classbase.cli.app import build_app
from classbase.database.drift import difference, rows_of_all_tables, schema_dump
from classbase.database.migrations import migrate, migration_files
from tests.supabase.conftest import Supabase
from tests.support.server import Database

VERSIONS = [migration.version for migration in migration_files()]


def books(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select version, name, statements from supabase_migrations.schema_migrations order by version"
    ).fetchall()


def listed(supabase: Supabase, database: Database) -> list[tuple[str | None, str | None]]:
    out = supabase("migration", "list", f"--remote={database.dsn}", "--output-format", "json").stdout
    # Notices come before the document.
    return [(row["local"], row["remote"]) for row in json.loads(out[out.index("{") :])["migrations"]]


def test_the_cli_deploys_and_classbase_agrees(supabase: Supabase, empty: Database, database: Database) -> None:
    assert VERSIONS
    supabase("db", "push", f"--remote={empty.dsn}")
    assert listed(supabase, empty) == [(version, version) for version in VERSIONS]
    done = CliRunner().invoke(build_app(), ["migrate", "--db-url", empty.dsn, "--json"])
    assert json.loads(done.stdout)["already_applied"] == VERSIONS
    assert json.loads(done.stdout)["applied"] == []
    server = empty.server
    with database.connect() as other:
        # The same by whichever tool, down to the statements in the books.
        migrated = server.create_database("classbase_platform")
        try:
            with migrated.connect() as connection:
                migrate(connection)
                assert books(connection) == books(empty.connect())
            dumps = [schema_dump(d.admin_dsn, server.bin_dir) for d in (empty, migrated)]
            assert difference(*dumps) == []
            assert rows_of_all_tables(empty.connect()) == rows_of_all_tables(other)
        finally:
            migrated.drop()


def test_classbase_migrates_and_the_cli_agrees(supabase: Supabase, empty: Database) -> None:
    done = CliRunner().invoke(build_app(), ["migrate", "--db-url", empty.dsn, "--json"])
    assert json.loads(done.stdout)["applied"] == VERSIONS
    before = books(empty.connect())
    assert listed(supabase, empty) == [(version, version) for version in VERSIONS]
    assert "up to date" in supabase("db", "push", f"--remote={empty.dsn}").stdout
    assert books(empty.connect()) == before
