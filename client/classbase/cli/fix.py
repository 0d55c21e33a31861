"""`classbase fix`: what can be mended without deciding anything for anybody, check by check."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from classbase.cli import tracking_page
from classbase.cli.checks import chosen, each_in_turn, registered_checks
from classbase.cli.connection import open_client
from classbase.cli.diagnose import NamesArgument
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
from classbase.cli.output import OK, PROBLEMS, Output, UsageError, printable
from classbase.client import Classbase


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("fix")(fix)


def fix(
    names: NamesArgument = None,
    run_id: Annotated[int | None, typer.Option("--run", help="Only what this run of diagnose found.", min=1)] = None,
    entities: Annotated[
        list[str] | None, typer.Option("--entity", metavar="ID", help="Only this one; may be said several times.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="With `schema`: take away grants and policies that were not shipped, too.")
    ] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Mend what the checks find and can mend, one transaction a check, and check again; `fix schema` mends the schema.

    With --dry-run every repair is really made and taken back, so that the rows it counts are those that would change.
    Exit codes: 0 nothing left of it, 1 something remains (or, with --dry-run, would be mended), 2, 3 as always.
    """
    out = Output(as_json=as_json, quiet=quiet)
    target = resolve_target(url, key, db_url, project_dir)
    if names and "schema" in names:
        if len(names) > 1 or run_id is not None or entities:
            raise UsageError("`classbase fix schema` is asked for by itself.")
        from classbase.cli.schema import fix_schema

        fix_schema(out, target.database(), strict=strict, dry_run=dry_run, yes=yes)
    of_students = names in (["tracking"], ["50_tracking"]) and run_id is None and not entities
    students: list[dict[str, Any]] = []
    with open_client(target) as cb:
        lacking = tracking_page.read_students(cb) if of_students and not dry_run else []
        checks = [check["check_name"] for check in chosen(registered_checks(cb), names) if check["fix_description"]]
        rows = _apply(out, cb, "Trying", checks, run_id, entities, dry_run=True)
        if rows and not dry_run:
            if not as_json:
                _print(out, rows, dry_run=True)
            out.confirm("Mend these?", yes=yes)
            rows = _apply(out, cb, "Mending", [row["check_name"] for row in rows], run_id, entities, dry_run=False)
            if lacking:
                students = tracking_page.mended(lacking, tracking_page.read_students(cb))
    if as_json:
        out.json({"dry_run": dry_run, "fixes": rows} | ({"students": students} if of_students else {}))
    elif not rows:
        out.text("Nothing to mend.")
    else:
        _print(out, rows, dry_run=dry_run)
        if students:
            tracking_page.print_mended(out, students)
        if any(row["fix_id"] for row in rows):
            out.notice("`classbase undo FIX` puts back what a fix changed.")
    raise typer.Exit(PROBLEMS if any(row["remaining"] or row["failure"] for row in rows) else OK)


def _apply(
    out: Output,
    cb: Classbase,
    doing: str,
    checks: list[str],
    run_id: int | None,
    entities: list[str] | None,
    *,
    dry_run: bool,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with each_in_turn(out, doing, len(checks)) as step:
        for check in checks:
            step(check)
            done = cb.operations.apply_fixes(checks=[check], dry_run=dry_run, run_id=run_id, entity_ids=entities)
            rows += [row.model_dump() for row in done]
        step(None)
    return rows


def _print(out: Output, rows: list[dict[str, Any]], *, dry_run: bool) -> None:
    for row in rows:
        done = row["fixable"] if dry_run else row["fixed"]
        left = row["faults"] - done
        line = Text()
        line.append(
            "✗ " if row["failure"] else "~ " if dry_run else "✓ " if not left else "! ",
            "bold red" if row["failure"] else "bold cyan" if dry_run else "bold green" if not left else "bold yellow",
        )
        line.append(f"{row['check_name']:<34}", "bold")
        line.append(
            f"{'would mend' if dry_run else 'mended'} {done:,} of {row['faults']:,}", "green" if done else "yellow"
        )
        if left and not row["failure"]:
            line.append(f"  {left:,} {'would remain' if dry_run else 'remain'}: a person decides", "yellow")
        if row["fix_id"]:
            line.append(f"   fix {row['fix_id']}", "cyan")
        out.stdout.print(line, soft_wrap=True)
        if row["failure"]:
            out.stdout.print(
                Text(f"    failed, nothing was changed: {printable(row['failure'])}", "red"), soft_wrap=True
            )
            continue
        out.stdout.print(Text(f"    {printable(row['description'])}", "dim italic"), soft_wrap=True)
        for change in row["changes"]:
            parts = [f"{change[what]:,} {what}" for what in ("added", "changed", "removed") if change[what]]
            out.stdout.print(Text(f"    {change['table']}: ").append(", ".join(parts), "bold"), soft_wrap=True)
