"""`classbase diagnose` and `classbase fix`: what is wrong, and putting it right."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Annotated, Any, Literal

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

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
from classbase.cli.output import OK, PROBLEMS, Output, escape

Severity = Literal["critical", "error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning", "info")
COLOURS = {"critical": "bold white on red", "error": "bold red", "warning": "yellow", "info": "cyan"}
SHOWN = 10

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[MODULE|CHECK]...", help="Modules (such as time) or checks; all of them by default."),
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("diagnose")(diagnose)
    app.command("fix")(fix)


def _split(names: list[str] | None) -> tuple[list[str] | None, list[str] | None]:
    """Names as checks and modules, None for all: what has an underscore inside and no number is a check's name."""
    checks = [name for name in names or [] if "_" in name and not name[:2].isdigit()]
    modules = [name for name in names or [] if name not in checks]
    return checks or None, modules or None


def _working(out: Output, doing: str) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn(doing),
        TimeElapsedColumn(),
        console=out.stderr,
        transient=True,
        disable=out.as_json or out.quiet,
    )


def diagnose(
    names: NamesArgument = None,
    fail_on: Annotated[
        Severity, typer.Option("--fail-on", help="End with exit code 1 from this severity on.")
    ] = "warning",
    show_all: Annotated[bool, typer.Option("--all", help=f"Show every finding, not {SHOWN} a check.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run the integrity checks and say what is wrong, gravest first.

    Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    checks, modules = _split(names)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb, _working(out, "Checking") as progress:
        progress.add_task("check")
        findings = [row.model_dump() for row in cb.operations.run_diagnostics(checks=checks, modules=modules)]
    counts = Counter(finding["severity"] for finding in findings)
    if as_json:
        out.json({"counts": {severity: counts[severity] for severity in SEVERITIES}, "findings": findings})
    else:
        _print_findings(out, findings, shown=None if show_all else SHOWN)
        _print_total(out, counts, fixable=sum(1 for finding in findings if finding["can_be_fixed"]))
    grave = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    raise typer.Exit(PROBLEMS if any(counts[severity] for severity in grave) else OK)


def _print_findings(out: Output, findings: list[dict[str, Any]], *, shown: int | None) -> None:
    for name, group in groupby(findings, key=lambda finding: finding["check_name"]):
        rows = list(group)
        severity = rows[0]["severity"]
        fix = "  [dim]can be fixed[/dim]" if rows[0]["can_be_fixed"] else ""
        out.stdout.print(f"[{COLOURS[severity]}] {severity} [/] [bold]{name}[/bold] [dim]{len(rows)}[/dim]{fix}")
        for row in rows[:shown]:
            out.stdout.print(f"    {escape(row['message'])}", soft_wrap=True)
        if shown is not None and len(rows) > shown:
            out.stdout.print(f"    [dim]and {len(rows) - shown} more (--all shows them)[/dim]")


def _print_total(out: Output, counts: Counter[str], *, fixable: int) -> None:
    if not counts:
        out.stdout.print("[bold green]Nothing found: everything is as it should be.[/bold green]")
        return
    parts = ", ".join(f"{counts[severity]} {severity}" for severity in SEVERITIES if counts[severity])
    out.stdout.print(f"\n[bold]{counts.total()} found:[/bold] {parts}.")
    if fixable:
        out.notice(f"`classbase fix` can mend {fixable} of them; `classbase fix --dry-run` says how.")


def fix(
    names: NamesArgument = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Mend what the checks find and can mend, in one transaction, and check again.

    Exit codes: 0 nothing left of it, 1 something remains (or, with --dry-run, would be mended), 2, 3 as always.
    """
    out = Output(as_json=as_json, quiet=quiet)
    checks, modules = _split(names)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        with _working(out, "Checking") as progress:
            progress.add_task("check")
            rows = [row.model_dump() for row in cb.operations.apply_fixes(checks=checks, modules=modules, dry_run=True)]
        if rows and not dry_run:
            if not as_json:
                out.table(rows, {"check_name": "check", "faults": "to mend", "description": "how"})
            out.confirm("Mend these?", yes=yes)
            with _working(out, "Mending") as progress:
                progress.add_task("mend")
                rows = [row.model_dump() for row in cb.operations.apply_fixes(checks=checks, modules=modules)]
    if as_json:
        out.json({"dry_run": dry_run, "fixes": rows})
    elif not rows:
        out.text("Nothing to mend.")
    else:
        columns = ["faults"] if dry_run else ["faults", "fixed", "remaining", "fix_id"]
        out.table(rows, ["check_name", *columns, "description"])
        if any(row["fix_id"] for row in rows):
            out.notice("`classbase undo FIX` puts back what a fix changed.")
    raise typer.Exit(PROBLEMS if any(row["remaining"] for row in rows) else OK)
