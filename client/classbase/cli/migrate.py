"""`classbase migrate`: brings a database to this release."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from classbase.cli.options import DbUrlOption, DryRunOption, JsonOption, ProjectDirOption, QuietOption, resolve_target
from classbase.cli.output import CommandError, Output, UsageError
from classbase.database.migrations import Migration, MigrationState, migrate, migration_files, migration_state
from classbase.database.statements import StatementError
from classbase.embedded.standin import install_standin

MigrationsOption = Annotated[
    Path | None,
    typer.Option(
        "--migrations", help="A folder of migrations; by default this release's own.", exists=True, file_okay=False
    ),
]
LockTimeoutOption = Annotated[
    str,
    typer.Option("--lock-timeout", help="Give up when a table is not free after this long, such as 10s or 2min."),
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("migrate")(migrate_command)


def migrate_command(
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    migrations: MigrationsOption = None,
    lock_timeout: LockTimeoutOption = "10s",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Apply the migrations a database lacks, each in a transaction of its own.

    The books are the Supabase CLI's: `supabase db push` and `supabase migration list` see what was applied here, and
    the other way round. A Postgres that is no Supabase project is first given what the platform brings.
    """
    out = Output(as_json=as_json, quiet=quiet)
    url = resolve_target(db_url=db_url, project_dir=project_dir).database()
    try:
        migration_files(migrations)
    except ValueError as error:
        raise CommandError(f"{error}.".capitalize(), "Rename one of them.", code="migration_failed") from error
    with psycopg.connect(url, autocommit=True, connect_timeout=15, application_name="classbase migrate") as connection:
        bare = _lacks_platform(connection)
        before = migration_state(connection, migrations_dir=migrations)
        done: list[str] = []
        if not dry_run:
            if bare:
                _prepare(connection)
                out.notice("Made the API roles and the schemas auth and extensions, which this Postgres did not have.")
            done = _apply(out, connection, before, migrations, lock_timeout)
    _say(out, before, done, bare=bare, dry_run=dry_run)


def _lacks_platform(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "select to_regrole('anon') is null or to_regrole('authenticated') is null or to_regrole('service_role') is null"
        " or to_regprocedure('auth.uid()') is null or to_regclass('auth.users') is null"
    ).fetchone()
    return row is not None and bool(row[0])


def _prepare(connection: psycopg.Connection[Any]) -> None:
    try:
        install_standin(connection)
    except psycopg.errors.InsufficientPrivilege as error:
        raise CommandError(
            "This Postgres lacks what Supabase brings (roles anon, authenticated and service_role, schema auth), and "
            f"this user may not make it: {error.diag.message_primary}",
            "Run it once as a superuser; later runs need only the owner.",
            code="not_prepared",
        ) from error


def _apply(
    out: Output,
    connection: psycopg.Connection[Any],
    before: MigrationState,
    migrations: Path | None,
    lock_timeout: str,
) -> list[str]:
    def tell(migration: Migration) -> None:
        out.notice(f"Applied {migration}.")

    try:
        return migrate(connection, migrations_dir=migrations, lock_timeout=lock_timeout, on_applied=tell)
    except psycopg.errors.InvalidParameterValue as error:
        raise UsageError(f"--lock-timeout {lock_timeout} is no length of time.", "Say 10s, 500ms or 2min.") from error
    except StatementError as error:
        waited = error.sqlstate == "55P03"
        raise CommandError(
            str(error),
            "Somebody held the table for too long; run it again, or allow more with --lock-timeout."
            if waited
            else "That migration left nothing behind; those before it stay.",
            code="lock_timeout" if waited else "migration_failed",
            details={
                "file": str(error.file),
                "line": error.line,
                "sqlstate": error.sqlstate,
                "statement": error.statement,
                "pending": [migration.version for migration in before.pending],
            },
        ) from error


def _say(out: Output, before: MigrationState, done: list[str], *, bare: bool, dry_run: bool) -> None:
    if out.as_json:
        out.json(
            {
                "dry_run": dry_run,
                "platform_prepared": bare and not dry_run,
                "already_applied": [migration.version for migration in before.applied],
                "pending": [migration.version for migration in before.pending if migration.version not in done],
                "applied": done,
                "only_in_database": before.unknown,
            }
        )
        return
    if before.unknown:
        out.warning(f"The database has migrations this release does not know: {', '.join(before.unknown)}.")
    if dry_run and before.pending:
        out.text("Would apply:")
        for migration in before.pending:
            out.text(f"  {migration}")
    elif done:
        out.text(f"Applied {len(done)} of {len(before.applied) + len(before.pending)} migrations.")
    else:
        out.text(f"Nothing to do: {len(before.applied)} migrations are applied.")
