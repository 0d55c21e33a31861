"""`classbase migration …`: writes migrations from sql/; for work in a checkout."""

from __future__ import annotations

from typing import Annotated

import typer

from classbase import backend_files
from classbase.cli.options import JsonOption, QuietOption
from classbase.cli.output import PROBLEMS, CommandError, Output, UsageError
from classbase.database.authoring import Drift, find_drift, squash, write_migration
from classbase.database.scratch import scratch_server
from classbase.database.statements import StatementError

app = typer.Typer(no_args_is_help=True, help="Write migrations from sql/ (in a checkout).")


def register(root: typer.Typer) -> None:
    """Adds the group."""
    root.add_typer(app, name="migration")


@app.callback()
def in_checkout_only() -> None:
    """Write migrations from sql/ (in a checkout)."""
    if not backend_files.in_checkout():
        raise CommandError(
            "An installed package's migrations are not for writing.", "Run this in a checkout.", code="no_checkout"
        )


@app.command("new")
def new_command(
    name: Annotated[str, typer.Argument(help="What it does, in snake_case, such as add_waiting_lists.")],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write a migration with the difference between the migrations and sql/."""
    out = Output(as_json=as_json, quiet=quiet)
    out.notice("Loading the migrations and sql/ into two scratch databases…")
    try:
        with scratch_server() as scratch:
            file, left = write_migration(scratch, name)
    except ValueError as error:
        raise UsageError(f"{error}.".capitalize()) from error
    except StatementError as error:
        raise _does_not_load(error) from error
    if out.as_json:
        out.json({"file": file, "left": left})
    elif file is None:
        out.text("Nothing to do: the migrations make what sql/ says.")
    else:
        out.text(f"Wrote {file.relative_to(backend_files.root())}. Read it before it lands.")
        _print(out, left, "It does not reach all of sql/; see to the rest by hand:")
    if left:
        raise typer.Exit(PROBLEMS)


@app.command("squash")
def squash_command(as_json: JsonOption = False) -> None:
    """Replace all migrations by one that is sql/ (until 1.0)."""
    out = Output(as_json=as_json)
    try:
        file = squash()
    except ValueError as error:
        raise UsageError(f"{error}.".capitalize()) from error
    if out.as_json:
        out.json({"file": file})
    else:
        out.text(f"Wrote {file.relative_to(backend_files.root())}.")


@app.command("check")
def check_command(as_json: JsonOption = False) -> None:
    """Say whether the migrations make what sql/ says (exit code 1 when they do not)."""
    out = Output(as_json=as_json)
    try:
        with scratch_server() as scratch:
            drift, _, _ = find_drift(scratch)
    except StatementError as error:
        raise _does_not_load(error) from error
    if out.as_json:
        out.json({"equal": not drift, "drift": drift})
    elif drift:
        _print(out, drift, "The migrations do not make what sql/ says; run `make migration name=…`:")
    else:
        out.text("The migrations make what sql/ says.")
    if drift:
        raise typer.Exit(PROBLEMS)


def _does_not_load(error: StatementError) -> CommandError:
    where = {"file": error.file, "line": error.line, "sqlstate": error.sqlstate}
    return CommandError(str(error), "Mend that statement first.", code="does_not_load", details=where)


def _print(out: Output, drift: Drift, heading: str) -> None:
    if not drift:
        return
    out.text(heading)
    for line in (*drift.cli_diff.splitlines(), *drift.schema, *drift.rows):
        out.text(f"  {line}")
