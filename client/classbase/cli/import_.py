"""`classbase import`: timetables, bookings, schedules and classes from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from classbase.cli.connection import open_client
from classbase.cli.import_rows import MapOption, import_assignments, import_bookings, import_schedules, names_of
from classbase.cli.options import (
    DbUrlOption,
    DryRunOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, Output
from classbase.client import Classbase
from classbase.errors import ClassbaseError
from classbase.importing.csv_file import FaultyFile, read_csv

COLUMNS = (
    "crn",
    "course",
    "section",
    "title",
    "instructor",
    "location",
    "date",
    "start_time",
    "end_time",
    "capacity",
    "enrolled",
)
SHOWN = 10

import_app = typer.Typer(name="import", help="Read timetables, bookings and classes from files.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    app.add_typer(import_app)


import_app.command("bookings")(import_bookings)
import_app.command("schedules")(import_schedules)
import_app.command("assignments")(import_assignments)


@import_app.callback()
def _group() -> None:
    """Read timetables, bookings and classes from files."""


@import_app.command("meetings")
def import_meetings(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", exists=True, dir_okay=False, help="A CSV file in UTF-8.")],
    time_zone: Annotated[
        str | None,
        typer.Option("--time-zone", help="The zone its times are in; by default the organisation's.", metavar="ZONE"),
    ] = None,
    on_conflict: Annotated[
        Literal["refuse", "skip", "override"],
        typer.Option("--on-conflict", help="What overlaps: import nothing, leave it out, or let it overlap."),
    ] = "refuse",
    mapping: MapOption = None,
    dry_run: DryRunOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Import dated meetings with their instructor and place, all in one transaction.

    The file has the columns crn, course, section, title, instructor, location, date (2018-09-04), start_time, end_time
    (09:30), capacity, enrolled. An empty instructor or location, or BY ARR, is none.

    Exit codes: 0 done (or would be), 1 bad rows or a refused import, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    names = names_of(mapping, COLUMNS)
    target = resolve_target(url, key, db_url, project_dir)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=out.stderr,
        transient=True,
        disable=as_json or quiet,
    )
    with progress:
        try:
            reading = progress.add_task(f"Reading {file.name}", total=file.stat().st_size)
            rows = read_csv(file, COLUMNS, names, on_read=lambda size: progress.update(reading, completed=size))
        except FaultyFile as error:
            report = _unread(error)
        else:
            doing = "Checking" if dry_run else "Importing"
            progress.add_task(f"{doing} {len(rows):,} rows", total=None)
            with open_client(target) as cb:
                report = _send(cb, rows, time_zone, on_conflict, dry_run=dry_run, label=f"Import of {file.name}")
    if as_json:
        out.json(report)
    else:
        _print(out, report, dry_run=dry_run)
    raise typer.Exit(PROBLEMS if report["errors"] or report.get("refused") else OK)


def _unread(error: FaultyFile) -> dict[str, Any]:
    """The report of a file of which no row could be read."""
    errors = [
        {"row": None, "line": fault.line, "column": fault.column, "code": "invalid_input", "reason": fault.reason}
        for fault in error.faults
    ]
    nothing = {"meetings": 0, "pairs": 0}
    return {
        "rows": 0,
        "resources": {"people": 0, "places": 0},
        "overlaps": {"place": nothing, "person": nothing},
        "imported": 0,
        "refused": True,
        "errors": errors,
        "errors_total": len(errors),
    }


def _send(
    cb: Classbase,
    rows: list[dict[str, str | int]],
    time_zone: str | None,
    on_conflict: str,
    *,
    dry_run: bool,
    label: str,
) -> dict[str, Any]:
    try:
        report = cb.time.import_meetings(
            rows, time_zone=time_zone, on_conflict=on_conflict, dry_run=dry_run, label=label
        )
    except ClassbaseError as error:
        # A refused import says what a dry run would have said.
        report = error.context.get("report")
        if report is None:
            raise
    assert isinstance(report, dict)
    return report


def _print(out: Output, report: Mapping[str, Any], *, dry_run: bool) -> None:
    _print_errors(out, report)
    if report["errors"]:
        out.text(f"\n{report['errors_total']} faults in the file. Nothing was imported.")
        return
    resources, overlaps = report["resources"], report["overlaps"]
    out.text(f"{report['rows']:,} rows, {resources['people']:,} people, {resources['places']:,} places.")
    for kind, where in (("place", "in one place"), ("person", "of one person")):
        found = overlaps[kind]
        if found["meetings"]:
            out.text(f"  {found['meetings']:,} pairs of meetings overlap {where} ({found['pairs']:,} pairs of crn).")
    in_ledger = sum(report["ledger_overlaps"].values())
    if in_ledger:
        out.text(f"  {in_ledger:,} overlap what is in the database already.")
    _print_clashes(out, report)
    _print_outcome(out, report, dry_run=dry_run)


def _print_errors(out: Output, report: Mapping[str, Any]) -> None:
    for error in report["errors"][: 2 * SHOWN]:
        column = f", {error['column']}" if error["column"] else ""
        value = f" ({error['value']})" if error.get("value") else ""
        out.text(f"line {error['line']}{column}: {error['reason']}{value}")
    if len(report["errors"]) > 2 * SHOWN:
        out.text(f"… and {report['errors_total'] - 2 * SHOWN} more (--json lists them)")


def _print_clashes(out: Output, report: Mapping[str, Any]) -> None:
    left_out = report["left_out"]
    clashes, total = (left_out, len(left_out)) if left_out else (report["overlapping"], report["overlapping_total"])
    for clash in clashes[:SHOWN]:
        other = clash["with"]
        known = f"line {other['line']}, {other['title']}" if "line" in other else other.get("title", "something else")
        when = f"{clash['date']} {clash['start_time']}–{clash['end_time']}"
        out.text(f"    line {clash['line']}, {clash['title']}: {clash['resource']}, {when}, is in {known}")
    if total > SHOWN:
        out.text(f"    … and {total - SHOWN:,} more (--json lists {len(clashes):,} of them)")


def _print_outcome(out: Output, report: Mapping[str, Any], *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    if report["refused"]:
        hint = "--on-conflict skip leaves out what overlaps, --on-conflict override lets it."
        out.text(f"Nothing {'would be' if dry_run else 'was'} imported, because of the overlaps. {hint}")
        return
    parts = [f"{report['imported']:,} {would}imported"]
    parts += [f"{len(report['left_out']):,} {would}left out"] if report["left_out"] else []
    parts += [f"{report['unchanged']:,} unchanged since an earlier import"] if report["unchanged"] else []
    parts += [f"{report['repeated']:,} repeat an earlier row"] if report["repeated"] else []
    groups = report["overrides"]["groups"]
    parts += [f"{groups:,} override groups"] if groups else []
    out.text(", ".join(parts) + ".")
