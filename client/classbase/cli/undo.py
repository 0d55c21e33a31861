"""`classbase undo`: a fix taken back."""

from __future__ import annotations

from typing import Annotated

import typer

from classbase.cli.connection import open_client
from classbase.cli.options import (
    DbUrlOption,
    DryRunOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    YesOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, Output
from classbase.errors import IllegalTransition


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("undo")(undo)


def undo(
    fix_id: Annotated[int, typer.Argument(metavar="FIX", help="The number `classbase fix` gave it.", min=1)],
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Put every row a fix changed back as it was before, if nothing changed them since. What was wrong is wrong again.

    Exit codes: 0 undone (or, with --dry-run, could be), 1 refused, since rows moved on or others depend on them;
    2 and 3 as always.
    """
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        try:
            rows = [row.model_dump() for row in cb.operations.undo_fix(fix_id, dry_run=True)]
            if not dry_run:
                if not as_json:
                    _print(out, rows)
                out.confirm("Put these back?", yes=yes)
                rows = [row.model_dump() for row in cb.operations.undo_fix(fix_id)]
        except IllegalTransition as refusal:
            out.error(refusal.message, refusal.hint or "", code=refusal.code, details=refusal.context)
            raise typer.Exit(PROBLEMS) from refusal
    if as_json:
        out.json({"dry_run": dry_run, "fix_id": fix_id, "tables": rows})
    elif dry_run:
        _print(out, rows)
    else:
        out.text(f"Fix {fix_id} is undone.")
        out.notice("`classbase diagnose` finds again what it had mended.")
    raise typer.Exit(OK)


def _print(out: Output, rows: list[dict[str, object]]) -> None:
    out.table(rows, ["table_name", "put_back", "changed_back", "removed"])
