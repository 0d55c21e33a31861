"""`classbase fix schema`: the schema as it was shipped."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NoReturn

import psycopg
import typer
from rich.text import Text

from classbase.cli.output import OK, PROBLEMS, CommandError, Output, printable
from classbase.database.migrations import has_books, migration_state
from classbase.database.repair import Repair, SchemaDamage, packaged_schema, repair, server_major


def fix_schema(out: Output, dsn: str, *, strict: bool, dry_run: bool, yes: bool) -> NoReturn:
    """Says what differs from the packaged SQL and which statements mend it, asks, and runs them in one transaction.

    Ends the command: 0 nothing left of it, 1 something could not be put back (or, in a dry run, would be mended).

    Raises:
        CommandError: migrations are pending, so that what is packaged is not what the database should be.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        if has_books(connection):
            state = migration_state(connection)
            if state.pending or state.unknown:
                hint = "Run `classbase migrate` first." if state.pending else "Use the version that applied them."
                raise CommandError(
                    "The database is of another version than this package.", hint, code="migrations_differ"
                )
        with out.stderr.status("Loading the packaged SQL") if not (out.as_json or out.quiet) else nullcontext():
            packaged = packaged_schema(server_major(connection))
        done = repair(connection, packaged, strict=strict, dry_run=True)
        if done.mended and not dry_run:
            if not out.as_json:
                _print(out, done, would=True)
            out.confirm("Mend these?", yes=yes)
            done = repair(connection, packaged, strict=strict)
    if out.as_json:
        mended = [{**_named(damage), "statements": damage.statements} for damage in done.mended]
        refused = [{**_named(damage), "reason": why} for damage, why in done.refused]
        out.json({"dry_run": dry_run, "mended": mended, "refused": refused})
    else:
        _print(out, done, would=dry_run)
    raise typer.Exit(PROBLEMS if done.refused or (dry_run and done.mended) else OK)


def _named(damage: SchemaDamage) -> dict[str, str]:
    return {"kind": damage.kind, "name": damage.name, "difference": damage.difference}


def _print(out: Output, done: Repair, *, would: bool) -> None:
    if not done.mended and not done.refused:
        out.stdout.print(Text("Nothing to mend: the schema is as it was shipped.", "bold green"))
    for damage in done.mended:
        line = Text("~ " if would else "✓ ", "bold cyan" if would else "bold green")
        line.append(printable(str(damage)), "bold").append(f"  {damage.difference}", "dim")
        out.stdout.print(line, soft_wrap=True)
        for statement in damage.statements:
            out.stdout.print(
                Text(f"    {printable(statement).strip()};".replace("\n", "\n    "), "cyan"), soft_wrap=True
            )
    for damage, why in done.refused:
        out.stdout.print(
            Text("✗ ", "bold red").append(printable(str(damage)), "bold").append(f"  {damage.difference}", "dim"),
            soft_wrap=True,
        )
        out.stdout.print(Text(f"    {printable(why)}", "red"), soft_wrap=True)
