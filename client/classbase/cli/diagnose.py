"""`classbase diagnose`: what is wrong, module by module, gravest first."""

from __future__ import annotations

import datetime
import time
from collections import Counter
from itertools import groupby
from typing import Annotated, Any

import psycopg
import typer
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from classbase.cli import tracking_page
from classbase.cli.checks import (
    COLOURS,
    SEVERITIES,
    Severity,
    ago,
    chosen,
    each_in_turn,
    parse_since,
    registered_checks,
)
from classbase.cli.connection import open_client
from classbase.cli.options import (
    DbUrlOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    Target,
    UrlOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, Output, printable
from classbase.cli.students import StudentOption, find_student
from classbase.database.migrations import has_books, migration_state

SHOWN = 5
MIGRATIONS = "migrations_behind"

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[MODULE|CHECK]...", help="Modules (such as time) or checks; all of them by default."),
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("diagnose")(diagnose)


def diagnose(
    names: NamesArgument = None,
    fail_on: Annotated[
        Severity, typer.Option("--fail-on", help="End with exit code 1 from this severity on.")
    ] = "warning",
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Only what was first seen since then: 2030-12-31, 12h, 7d."),
    ] = None,
    student: StudentOption = None,
    show_all: Annotated[bool, typer.Option("--all", help=f"Show every finding, not {SHOWN} a check.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run the integrity checks and say what is wrong, gravest first, and since when.

    `diagnose tracking` also has a line for each student, and with --student only that student's.
    Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    seen_since = parse_since(since)
    target = resolve_target(url, key, db_url, project_dir)
    started = time.monotonic()
    findings: list[dict[str, Any]] = []
    of_students = names in (["tracking"], ["50_tracking"])
    students: list[dict[str, Any]] = []
    with open_client(target) as cb:
        if student is not None:
            raise typer.Exit(tracking_page.diagnose_page(out, cb, find_student(cb, student), show_all=show_all))
        checks = chosen(registered_checks(cb), names, also=(MIGRATIONS,))
        if of_students:
            with tracking_page.working(out, "Comparing what was promised with what is there"):
                students = tracking_page.read_students(cb)
        run_id = cb.operations.start_diagnostics() if checks else None
        with each_in_turn(out, "Checking", len(checks)) as step:
            for check in checks:
                step(check["check_name"])
                rows = cb.operations.run_diagnostics(checks=[check["check_name"]], since=seen_since, run_id=run_id)
                check["findings"] = [row.model_dump() for row in rows]
                findings += check["findings"]
            step(None)
        scores = {
            row.module: {**row.model_dump(), "score": float(row.score or 0)}
            for row in cb.operations.consistency_score()
        }
    behind = _migrations(target) if not names or {MIGRATIONS, "operations", "90_operations"} & set(names) else None
    if behind is not None:
        checks.append(behind)
        findings += behind["findings"]
    counts = Counter(finding["severity"] for finding in findings)
    report: dict[str, Any] = {
        "run_id": run_id,
        "counts": {severity: counts[severity] for severity in SEVERITIES},
        "fixable": sum(1 for finding in findings if finding["can_be_fixed"]),
        "checks": [
            {name: check[name] for name in ("check_name", "module", "severity", "description")}
            | {"found": len(check["findings"])}
            for check in checks
        ],
        "consistency": list(scores.values()),
        "findings": findings,
    }
    if of_students:
        report |= {"students": students, "totals": tracking_page.totals(students)}
    if as_json:
        out.json(report)
    else:
        if of_students:
            tracking_page.print_lines(out, students, show_all=show_all)
        _Page(out, None if show_all else SHOWN).show(checks, scores, time.monotonic() - started)
    grave = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    raise typer.Exit(PROBLEMS if any(counts[severity] for severity in grave) else OK)


def _migrations(target: Target) -> dict[str, Any] | None:
    """As a check: the migrations this package has and the database lacks; None where nobody can know."""
    if target.db_url is None:
        return None
    with psycopg.connect(target.db_url, autocommit=True) as connection:
        if not has_books(connection):
            return None
        pending = migration_state(connection).pending
    check = {
        "check_name": MIGRATIONS, "module": "90_operations", "category": "schema", "severity": "error",
        "description": "Migrations that this version brings and the database lacks; `classbase migrate` applies them.",
    }  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    findings: list[dict[str, Any]] = [
        {
            **{name: check[name] for name in ("check_name", "module", "category", "severity")},
            "entity": "schema_migrations", "entity_id": migration.version, "message": f"{migration} is not applied",
            "detail": {}, "can_be_fixed": False, "run_id": None, "first_seen_at": now,
        }
        for migration in pending
    ]  # fmt: skip
    return {**check, "findings": findings}


class _Page:
    """What people read: a heading a module, its checks that found something, gravest first, and the total in a box."""

    def __init__(self, out: Output, shown: int | None) -> None:
        self.out = out
        self.console = out.stdout
        self.shown = shown

    def show(self, checks: list[dict[str, Any]], scores: dict[str | None, dict[str, Any]], seconds: float) -> None:
        """Prints the page."""
        for module, group in groupby(
            sorted(checks, key=lambda check: str(check["module"])), key=lambda check: str(check["module"])
        ):
            self._module(module, list(group), scores.get(module))
        self._total(checks, scores.get(None), seconds)

    def _module(self, module: str, checks: list[dict[str, Any]], score: dict[str, Any] | None) -> None:
        counts = Counter(finding["severity"] for check in checks for finding in check["findings"])
        heading = Text()
        heading.append("✓ " if not counts else "✗ ", "bold green" if not counts else "bold red")
        heading.append(f"{module:<16}", "bold")
        heading.append(f"{len(checks):>3} checks   ", "dim")
        if counts:
            heading.append_text(_counted(counts))
        else:
            heading.append("nothing found", "green")
        if score is not None:
            heading.append(f"   {_percent(score['score'])} of {score['looked_at']:,} rows sound", "dim")
        self.console.print(heading, soft_wrap=True)
        found = [check for check in checks if check["findings"]]
        for check in sorted(found, key=lambda check: SEVERITIES.index(check["findings"][0]["severity"])):
            self._check(check)
        if found:
            self.console.print()

    def _check(self, check: dict[str, Any]) -> None:
        rows = check["findings"]
        severity = rows[0]["severity"]
        line = Text("  ")
        line.append(f" {severity:^8} ", COLOURS[severity])
        line.append(f" {check['check_name']}", "bold")
        line.append(f"  {len(rows):,}", "bold")
        line.append(
            f"  since {ago(min(str(row['first_seen_at']) for row in rows))}".replace("since just now", "new"), "dim"
        )
        if rows[0]["can_be_fixed"]:
            line.append("  can be fixed", "green")
        self.console.print(line, soft_wrap=True)
        self.console.print(Text(f"             {printable(check['description'])}", "dim italic"), soft_wrap=True)
        for row in rows[: self.shown]:
            text = Text("             • ")
            text.append(printable(row["message"]))
            text.append(f"  {printable(row['entity'])} {printable(row['entity_id'])}", "dim")
            self.console.print(text, soft_wrap=True)
        if self.shown is not None and len(rows) > self.shown:
            self.console.print(Text(f"             … and {len(rows) - self.shown:,} more (--all shows them)", "dim"))

    def _total(self, checks: list[dict[str, Any]], score: dict[str, Any] | None, seconds: float) -> None:
        findings = [finding for check in checks for finding in check["findings"]]
        counts = Counter(finding["severity"] for finding in findings)
        fixable = sum(1 for finding in findings if finding["can_be_fixed"])
        grid = Table.grid(padding=(0, 2))
        if counts:
            grid.add_row(Text("found", "dim"), Text(f"{counts.total():,}: ").append_text(_counted(counts)))
            hint = "   classbase fix --dry-run says how" if fixable else ""
            grid.add_row(Text("can be fixed", "dim"), Text(f"{fixable:,}").append(hint, "dim"))
            if any(finding["entity"] == "schema" for finding in findings):
                grid.add_row(
                    Text("schema", "dim"), Text("classbase fix schema --dry-run says what it can put back", "dim")
                )
        else:
            grid.add_row(Text("Nothing found: everything is as it should be.", "bold green"))
        if score is not None and score["looked_at"]:
            grid.add_row(
                Text("consistency", "dim"),
                Text(_percent(score["score"]), "bold").append(
                    f"  {score['faulty']:,} of {score['looked_at']:,} rows with findings", "dim"
                ),
            )
        grid.add_row(Text("checked", "dim"), Text(f"{len(checks)} checks in {seconds:.1f} s", "dim"))
        style = "green" if not counts else "red" if counts["critical"] or counts["error"] else "yellow"
        self.console.print(Panel(grid, border_style=style, expand=False))


def _counted(counts: Counter[str]) -> Text:
    parts = [Text(f"{counts[severity]:,} {severity}", COLOURS[severity]) for severity in SEVERITIES if counts[severity]]
    return Text(" · ").join(parts)


def _percent(score: float) -> str:
    return f"{score * 100:.2f} %".replace(".00 %", " %")
