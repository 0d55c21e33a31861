"""Applies supabase/migrations, keeping the same books as the Supabase CLI.

`supabase db push`, `supabase migration list` and `migrate` read and write one table, so a database may be looked after
with either, or with both in turns.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from classbase import backend_files
from classbase.database.statements import execute_file

# What the Supabase CLI makes; it also adds the last two columns to tables it made before it knew of them.
_BOOKS = """
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
"""
_HAS_BOOKS = """
select count(*) = 3 from pg_catalog.pg_attribute
where attrelid = pg_catalog.to_regclass('supabase_migrations.schema_migrations')
  and attname in ('version', 'name', 'statements') and not attisdropped
"""
_FILE_NAME = re.compile(r"(?P<version>\d+)_(?P<name>.*)\.sql")


@dataclass(frozen=True)
class Migration:
    """One file `<version>_<name>.sql`; a version is a UTC timestamp of fourteen digits."""

    version: str
    name: str
    file: Path

    def __str__(self) -> str:
        return f"{self.version}_{self.name}"


@dataclass(frozen=True)
class MigrationState:
    """Where a database stands: what it has, what it lacks, and versions it has that are not among our files."""

    applied: list[Migration]
    pending: list[Migration]
    unknown: list[str]


def migration_files(migrations_dir: Path | None = None) -> list[Migration]:
    """The migrations in `migrations_dir` (default: the package's own), oldest first.

    Files of other names are left alone, as the Supabase CLI leaves them. Raises ValueError when two share a version,
    and FileNotFoundError when there is no such folder.
    """
    folder = backend_files.migrations_dir() if migrations_dir is None else migrations_dir
    found: dict[str, Migration] = {}
    for file in sorted(folder.iterdir()):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            continue
        version = match["version"]
        if version in found:
            raise ValueError(f"two migrations have the version {version}: {found[version].file.name} and {file.name}")
        found[version] = Migration(version, match["name"], file)
    return [found[version] for version in sorted(found)]


def migration_state(connection: psycopg.Connection[Any], *, migrations_dir: Path | None = None) -> MigrationState:
    """Compares the database's books with the files of `migrations_dir` (default: the package's own)."""
    files = migration_files(migrations_dir)
    with connection.transaction():
        done = _applied(connection)
    return MigrationState(
        applied=[migration for migration in files if migration.version in done],
        pending=[migration for migration in files if migration.version not in done],
        unknown=sorted(done - {migration.version for migration in files}),
    )


def migrate(
    connection: psycopg.Connection[Any],
    *,
    migrations_dir: Path | None = None,
    lock_timeout: str = "10s",
    on_applied: Callable[[Migration], None] | None = None,
) -> list[str]:
    """Applies what is pending, oldest first, each migration in a transaction of its own.

    Two runs at once apply each migration once. A migration that waits for a table longer than `lock_timeout` (a
    Postgres interval) gives up rather than hold up everybody behind it; running again goes on where it stopped.
    `on_applied` is called after each commit. Returns the versions applied by this call.

    Raises:
        StatementError: a statement was refused; its migration left nothing behind, those before it stay.
        ValueError: two files share a version.
    """
    done_here: list[str] = []
    for migration in migration_state(connection, migrations_dir=migrations_dir).pending:
        with connection.transaction():
            # The lock comes first and is held to the commit; the books are read after it, in a new statement.
            connection.execute("select pg_advisory_xact_lock(hashtextextended('classbase migrate', 0))")
            if migration.version in _applied(connection):
                continue
            connection.execute("select set_config('lock_timeout', %s, true)", [lock_timeout])
            connection.execute("set local statement_timeout = 0")
            if not has_books(connection):
                connection.execute(_BOOKS.encode())
            statements = execute_file(connection, migration.file)
            connection.execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements) values (%s, %s, %s)",
                [migration.version, migration.name, [statement.text for statement in statements]],
            )
            connection.execute("notify pgrst, 'reload schema'")
        done_here.append(migration.version)
        if on_applied is not None:
            on_applied(migration)
    return done_here


def has_books(connection: psycopg.Connection[Any]) -> bool:
    """Whether the database keeps books of migrations at all: one that was loaded from sql/ does not."""
    row = connection.cursor(row_factory=tuple_row).execute(_HAS_BOOKS).fetchone()
    return row is not None and bool(row[0])


def _applied(connection: psycopg.Connection[Any]) -> set[str]:
    if not has_books(connection):
        return set()
    rows = connection.cursor(row_factory=tuple_row).execute("select version from supabase_migrations.schema_migrations")
    return {version for (version,) in rows}
