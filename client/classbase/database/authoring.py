"""Writes migrations from sql/: the difference between what the migrations make and what sql/ says."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from classbase import backend_files
from classbase.database.drift import difference, rows_of_all_tables, schema_dump
from classbase.database.loader import load_sql, sql_files
from classbase.database.migrations import migrate, migration_files
from classbase.database.scratch import SUPERUSER, Scratch
from classbase.database.statements import execute_file, split_statements
from classbase.embedded.binaries import node_modules_dirs
from classbase.embedded.errors import Missing

FOUNDATION = "20261121000000_foundation.sql"


@dataclass
class Drift:
    """How the migrations' database differs from sql/'s; all three are empty when they agree.

    `cli_diff` is SQL as the Supabase CLI wrote it, `schema` and `rows` are lines of unified diffs (`-` is what the
    migrations make, `+` what sql/ says).
    """

    cli_diff: str = ""
    schema: list[str] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.cli_diff or self.schema or self.rows)


def supabase_command() -> str:
    """The Supabase CLI. Raises Missing when it is not installed."""
    for folder in node_modules_dirs():
        if (folder / ".bin" / "supabase").exists():
            return str(folder / ".bin" / "supabase")
    raise Missing("The Supabase CLI is not installed.", "Install Node.js 20 or later, then run `npm ci`.")


def cli_diff(from_dsn: str, to_dsn: str) -> str:
    """What `supabase db diff` says turns one database into the other; empty when it sees no difference.

    Raises RuntimeError with its words when it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "diff.sql"  # on standard output notices are mixed in
        done = run_supabase("db", "diff", "--from", from_dsn, "--to", to_dsn, "--output", str(file))
        if done.returncode != 0:
            raise RuntimeError(f"supabase db diff failed:\n{done.stderr.strip() or done.stdout.strip()}")
        return file.read_text(encoding="utf-8").strip() if file.exists() else ""


def run_supabase(*arguments: str, workdir: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the Supabase CLI, without Docker, on the folder that holds supabase/ (default: ours).

    `--yes` and no standard input: it never waits for an answer.
    """
    command = [supabase_command(), *arguments, "--yes", "--workdir", str(workdir or backend_files.root())]
    environment = {**os.environ, "DO_NOT_TRACK": "1", "SUPABASE_TELEMETRY_DISABLED": "1", "PGSSLMODE": "disable"}
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment
    )


def foundation(sql_dir: Path | None = None) -> str:
    """sql/ as one migration: from nothing, sql/ itself is the difference."""
    root = sql_dir or backend_files.sql_dir()
    parts = ["-- Written by `make squash` from sql/. Edit sql/, never this file.\n"]
    for file in sql_files(root):
        parts.append(f"\n-- sql/{file.relative_to(root).as_posix()}\n\n{file.read_text(encoding='utf-8').strip()}\n")
    return "".join(parts)


def squash(migrations_dir: Path | None = None) -> Path:
    """Replaces all migrations by one that is sql/; returns its file.

    Only before 1.0: from then on somebody's database stands on every landed migration (raises ValueError).
    """
    if int(version("classbase").split(".")[0]) >= 1:
        raise ValueError("a landed migration is never edited from 1.0 on: write a new one with `make migration`")
    folder = backend_files.migrations_dir() if migrations_dir is None else migrations_dir
    folder.mkdir(parents=True, exist_ok=True)
    for migration in migration_files(folder):
        migration.file.unlink()
    file = folder / FOUNDATION
    file.write_text(foundation(), encoding="utf-8")
    return file


def find_drift(scratch: Scratch, migrations_dir: Path | None = None) -> tuple[Drift, str, str]:
    """Loads the migrations into one scratch database and sql/ into another and compares them.

    Returns the drift and the names of the two databases. Raises StatementError when either does not load.
    """
    migrated, declared = scratch.database(), scratch.database()
    with scratch.connect(migrated) as connection:
        migrate(connection, migrations_dir=migrations_dir)
    with scratch.connect(declared) as connection:
        load_sql(connection)
    return compare(scratch, migrated, declared), migrated, declared


def compare(scratch: Scratch, migrated: str, declared: str) -> Drift:
    """Compares two scratch databases by the CLI's diff, their schema dumps and their rows."""
    with scratch.connect(migrated) as have, scratch.connect(declared) as want:
        return Drift(
            cli_diff(scratch.dsn(migrated), scratch.dsn(declared)),
            difference(
                schema_dump(scratch.dsn(migrated), scratch.bin_dir), schema_dump(scratch.dsn(declared), scratch.bin_dir)
            ),
            difference(rows_of_all_tables(have), rows_of_all_tables(want)),
        )


def write_migration(scratch: Scratch, name: str, migrations_dir: Path | None = None) -> tuple[Path | None, Drift]:
    """Writes the migration `<now>_<name>.sql` that takes the migrations' database to what sql/ says.

    The Supabase CLI writes the difference; what it leaves out (extended statistics, rows) is added. Returns the file
    (None when there is nothing to do) and what still differs after applying it, which a person has to see to.

    Raises:
        ValueError: `name` is not snake_case.
        StatementError: the migrations, sql/ or the difference between them does not load.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"a migration's name is snake_case, unlike {name!r}")
    folder = backend_files.migrations_dir() if migrations_dir is None else migrations_dir
    drift, migrated, declared = find_drift(scratch, folder)
    if not drift:
        return None, drift
    existing = migration_files(folder)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d%H%M%S")
    if existing and stamp <= existing[-1].version:
        stamp = str(int(existing[-1].version) + 1)
    file = folder / f"{stamp}_{name}.sql"
    parts = [_HEADER, portable(drift.cli_diff)]
    file.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    with scratch.connect(migrated) as have, scratch.connect(declared) as want:
        with have.transaction():
            execute_file(have, file)
        parts.append("\n".join(_statistics(have, want)))
    if drift.rows:
        root = backend_files.sql_dir()
        names = {file: file.relative_to(root).as_posix() for file in sql_files()}
        reference = [file for file, name in names.items() if name.split("/")[1] in ("reference.sql", "reference")]
        parts += [f"-- sql/{names[file]}\n\n{file.read_text(encoding='utf-8').strip()}" for file in reference]
    parts.append("-- What diagnosis compares the schema with from now on.\nselect private.record_schema();")
    file.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return file, find_drift(scratch, folder)[0]


_HEADER = """\
-- Written from the difference between the migrations before it and sql/. Read it before it lands: a renamed column
-- reads as one dropped and one added, and a new not-null column needs its old rows filled in.
-- Runs before the code that needs it."""


def portable(diff: str) -> str:
    """The CLI's diff without what belongs to the scratch server.

    It spells out the owner's rights on what the owner makes: by name, which is another one elsewhere, and with
    privileges that older servers do not have. An owner has them anyway.
    """
    kept = []
    for statement in split_statements(diff):
        text = statement.text.replace(f'FOR ROLE "{SUPERUSER}" ', "")
        if not re.search(rf'^(GRANT|REVOKE)\s.*\s(TO|FROM) "{SUPERUSER}"$', text, re.DOTALL):
            kept.append(f"{text};")
    return "\n\n".join(kept)


_STATISTICS = """
select quote_ident(n.nspname) || '.' || quote_ident(s.stxname), pg_catalog.pg_get_statisticsobjdef(s.oid)
from pg_catalog.pg_statistic_ext s
join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
where n.nspname in ('public', 'private')
order by 1
"""


def _statistics(have: psycopg.Connection[Any], want: psycopg.Connection[Any]) -> list[str]:
    had, wanted = _definitions(have), _definitions(want)
    changed = {name for name in had.keys() | wanted.keys() if had.get(name) != wanted.get(name)}
    return [f"drop statistics if exists {name};" for name in sorted(changed & had.keys())] + [
        f"{wanted[name]};" for name in sorted(changed & wanted.keys())
    ]


def _definitions(connection: psycopg.Connection[Any]) -> dict[str, str]:
    with connection.transaction():
        connection.execute("set local search_path = ''")  # so that definitions name their schemas
        return dict(connection.cursor(row_factory=tuple_row).execute(_STATISTICS).fetchall())
