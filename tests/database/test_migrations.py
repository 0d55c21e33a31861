"""`migrate`: in order, one transaction each, once however many run at once."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner

from classbase.cli.app import build_app
from classbase.database.migrations import migrate, migration_files, migration_state
from classbase.database.statements import StatementError
from tests.support.server import Database, TestServer
from tests.support.waiting import until_blocked

FIRST, SECOND, THIRD = "20260101000000", "20260102000000", "20260103000000"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / f"{FIRST}_first.sql").write_text("create table public.a (id integer primary key);\n")
    (tmp_path / f"{SECOND}_second.sql").write_text(
        "-- why\ninsert into public.a values (1);\ninsert into public.a values (2)"
    )
    (tmp_path / "README.md").write_text("not a migration")
    (tmp_path / "notes.sql").write_text("not one either")
    return tmp_path


def books(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select version, name, statements from supabase_migrations.schema_migrations order by version"
    ).fetchall()


def test_pending_migrations_are_applied_in_order_and_written_down(empty: Database, folder: Path) -> None:
    connection = empty.connect()
    assert [m.version for m in migration_state(connection, migrations_dir=folder).pending] == [FIRST, SECOND]
    assert connection.execute("select to_regnamespace('supabase_migrations')").fetchone() == (None,)
    told: list[str] = []
    assert migrate(connection, migrations_dir=folder, on_applied=lambda m: told.append(str(m))) == [FIRST, SECOND]
    assert told == [f"{FIRST}_first", f"{SECOND}_second"]
    assert connection.execute("select count(*) from public.a").fetchone() == (2,)
    assert books(connection) == [
        (FIRST, "first", ["create table public.a (id integer primary key)"]),
        (SECOND, "second", ["-- why\ninsert into public.a values (1)", "insert into public.a values (2)"]),
    ]
    assert migrate(connection, migrations_dir=folder) == []
    (folder / f"{THIRD}_third.sql").write_text("drop table public.a;")
    (folder / f"{FIRST}_first.sql").unlink()
    state = migration_state(connection, migrations_dir=folder)
    assert ([m.version for m in state.applied], [m.version for m in state.pending]) == ([SECOND], [THIRD])
    assert state.unknown == [FIRST]


def test_a_connection_that_is_not_in_autocommit_keeps_what_was_applied(empty: Database, folder: Path) -> None:
    connection = empty.connect(autocommit=False)
    migrate(connection, migrations_dir=folder)
    connection.rollback()
    assert len(books(connection)) == 2


def test_a_migration_that_fails_leaves_nothing_and_those_before_it_stay(empty: Database, folder: Path) -> None:
    file = folder / f"{THIRD}_third.sql"
    file.write_text("create table public.b ();\n\ninsert into public.a\nvalues (1);\n")
    connection = empty.connect()
    with pytest.raises(StatementError, match="duplicate key") as refused:
        migrate(connection, migrations_dir=folder)
    assert (refused.value.file, refused.value.line) == (file, 3)
    assert refused.value.statement == "insert into public.a\nvalues (1)"
    assert [version for version, *_ in books(connection)] == [FIRST, SECOND]
    assert connection.execute("select to_regclass('public.b')").fetchone() == (None,)
    file.write_text("create table public.b ();")
    assert migrate(connection, migrations_dir=folder) == [THIRD]


def test_two_runs_at_once_apply_each_migration_once(empty: Database, folder: Path) -> None:
    # The first run is held inside its first migration by a lock on a table that migration wants.
    (folder / f"{FIRST}_first.sql").write_text(
        "lock table public.gate; create table public.a (id integer primary key);"
    )
    holder, *runners = [empty.connect() for _ in range(3)]
    holder.execute("create table public.gate ()")
    applied: list[list[str]] = [[], []]

    def run(number: int) -> None:
        applied[number] = migrate(runners[number], migrations_dir=folder, lock_timeout="60s")

    threads = [threading.Thread(target=run, args=[number]) for number in range(2)]
    with holder.transaction():
        holder.execute("lock table public.gate")
        for number, thread in enumerate(threads):
            thread.start()
            until_blocked(holder, runners[number])
    for thread in threads:
        thread.join(60)
    assert sorted(applied[0] + applied[1]) == [FIRST, SECOND]
    assert holder.execute("select count(*) from public.a").fetchone() == (2,)


def test_a_migration_gives_up_on_a_table_somebody_holds(empty: Database, folder: Path) -> None:
    holder, connection = empty.connect(), empty.connect()
    migrate(connection, migrations_dir=folder)
    (folder / f"{THIRD}_third.sql").write_text("alter table public.a add column note text;")
    with holder.transaction():
        holder.execute("select from public.a")
        with pytest.raises(StatementError) as refused:
            migrate(connection, migrations_dir=folder, lock_timeout="50ms")
    assert refused.value.sqlstate == "55P03"
    assert migrate(connection, migrations_dir=folder) == [THIRD]


def test_two_files_of_one_version_are_refused(folder: Path) -> None:
    (folder / f"{SECOND}_again.sql").touch()
    with pytest.raises(ValueError, match=f"{SECOND}_again.sql and {SECOND}_second.sql"):
        migration_files(folder)


def run_cli(*arguments: str) -> Any:
    return CliRunner().invoke(build_app(), ["migrate", *arguments])


def test_the_command_says_what_it_would_do_and_did(empty: Database, folder: Path) -> None:
    options = ("--db-url", empty.dsn, "--migrations", str(folder))
    plan = json.loads(run_cli(*options, "--dry-run", "--json").stdout)
    assert (plan["pending"], plan["applied"], plan["platform_prepared"]) == ([FIRST, SECOND], [], False)
    assert empty.connect().execute("select to_regclass('public.a')").fetchone() == (None,)
    assert f"{SECOND}_second" in run_cli(*options, "--dry-run").stdout
    done = json.loads(run_cli(*options, "--json").stdout)
    assert (done["pending"], done["applied"]) == ([], [FIRST, SECOND])
    assert "Nothing to do" in run_cli(*options).stdout


def test_the_command_prepares_a_postgres_that_is_no_supabase_project(server: TestServer, folder: Path) -> None:
    bare = server.create_database()
    try:
        (folder / f"{FIRST}_first.sql").write_text("create table public.a (id uuid default auth.uid());")
        (folder / f"{SECOND}_second.sql").unlink()
        done = json.loads(run_cli("--db-url", bare.admin_dsn, "--migrations", str(folder), "--json").stdout)
        assert done["platform_prepared"] is True
        assert done["applied"] == [FIRST]
    finally:
        bare.drop()
