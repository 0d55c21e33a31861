"""`classbase import bookings|schedules|assignments`: a studio's rows from CSV files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from classbase.cli.connection import open_client
from classbase.cli.options import (
    DbUrlOption,
    DryRunOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    Target,
    UrlOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, Output, UsageError
from classbase.importing.csv_file import FaultyFile
from classbase.importing.studio import LAYOUTS, Kind, read_rows, send_rows, unread

SHOWN = 20

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE.csv", exists=True, dir_okay=False, help="A CSV file in UTF-8, with a header.")
]
MapOption = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        help="What a column is called in the file; nothing after = when it has none.",
        metavar="OURS=THEIRS",
    ),
]
ConflictOption = Annotated[
    Literal["refuse", "skip"],
    typer.Option("--on-conflict", help="Where a row runs into something: import nothing, or leave that row out."),
]


def names_of(mapping: Iterable[str] | None, columns: Sequence[str]) -> dict[str, str]:
    """What `--map` says columns are called.

    Raises:
        UsageError: it names none of ours.
    """
    names = {}
    for pair in mapping or ():
        ours, equals, theirs = pair.partition("=")
        if not equals or ours.strip() not in columns:
            raise UsageError(f"--map {pair} names no column of ours.", f"Ours are {', '.join(columns)}.")
        names[ours.strip()] = theirs
    return names


def import_bookings(
    file: FileArgument,
    mapping: MapOption = None,
    dry_run: DryRunOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Import bookings, all in one transaction.

    Columns, none of them required: booking_id, customer (name, email address or id), first_name, last_name, email,
    phone, class_name, instructor, class_date (2026-01-31), class_time (09:30), timezone, preferred_days,
    preferred_times (lists: a; b), status, booking_type, package, uses_credits, notes. Classes that serve a booking
    confirm it when they are imported.

    Exit codes: 0 done (or would be), 1 bad rows, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    _run(out, "bookings", file, mapping, resolve_target(url, key, db_url, project_dir), "refuse", dry_run=dry_run)


def import_schedules(
    file: FileArgument,
    on_conflict: ConflictOption = "refuse",
    mapping: MapOption = None,
    dry_run: DryRunOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Import weekly class schedules, all in one transaction.

    Columns: class_type, day_of_week (0 Sunday to 6, or Monday), start_time (09:30); and where there are: end_time or
    duration_minutes, instructor, location (names or ids), time_zone, max_participants, is_active, effective_from,
    effective_until (2026-01-31), notes, called_off (dates: a; b), moved (2026-01-31 > 2026-02-01 10:00-11:00).

    Exit codes: 0 done (or would be), 1 bad rows or a refused import, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    _run(out, "schedules", file, mapping, resolve_target(url, key, db_url, project_dir), on_conflict, dry_run=dry_run)


def import_assignments(
    file: FileArgument,
    on_conflict: ConflictOption = "refuse",
    mapping: MapOption = None,
    dry_run: DryRunOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Import classes, those that are over as well, all in one transaction.

    Columns: date (2026-01-31); and where there are: start_time, end_time (09:30), instructor, class_type, package,
    location (names or ids), payment_amount, payment_type, rate, schedule_type, booking_type, class_status,
    payment_status, instructor_status, notes, schedule_id, occurs_on, booking_ids (the codes of bookings: a; b). A
    class with a schedule_id is as the schedule says where the file has no column.

    Exit codes: 0 done (or would be), 1 bad rows or a refused import, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    _run(out, "assignments", file, mapping, resolve_target(url, key, db_url, project_dir), on_conflict, dry_run=dry_run)


def _run(
    out: Output,
    kind: Kind,
    file: Path,
    mapping: list[str] | None,
    target: Target,
    on_conflict: str,
    *,
    dry_run: bool,
) -> None:
    names = names_of(mapping, LAYOUTS[kind].columns)
    ignored: list[str] = []
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=out.stderr,
        transient=True,
        disable=out.as_json or out.quiet,
    )
    with progress:
        try:
            reading = progress.add_task(f"Reading {file.name}", total=file.stat().st_size)
            rows = read_rows(
                file,
                kind,
                names,
                on_read=lambda size: progress.update(reading, completed=size),
                on_unread=ignored.extend,
            )
        except FaultyFile as error:
            report = unread(error)
        else:
            progress.add_task(f"{'Checking' if dry_run else 'Importing'} {len(rows):,} {kind}", total=None)
            with open_client(target) as cb:
                report = send_rows(cb, kind, rows, on_conflict=on_conflict, dry_run=dry_run)
    report["ignored_columns"] = ignored
    if out.as_json:
        out.json(report)
    else:
        _print(out, kind, report, dry_run=dry_run)
    raise typer.Exit(PROBLEMS if report["errors"] or report["refused"] else OK)


def _print(out: Output, kind: Kind, report: Mapping[str, Any], *, dry_run: bool) -> None:
    if report["ignored_columns"]:
        out.warning(
            f"not read: {', '.join(report['ignored_columns'])}. Say --map OURS=THEIRS where they mean something."
        )
    for error in report["errors"][:SHOWN]:
        column = f", {error['column']}" if error["column"] else ""
        value = f" ({error['value']})" if error.get("value") else ""
        out.text(f"line {error['line']}{column}: {error['reason']}{value}")
    if report["errors"]:
        if report["errors_total"] > SHOWN:
            out.text(f"… and {report['errors_total'] - SHOWN:,} more (--json lists them)")
        out.text(f"\n{report['errors_total']:,} faults in the file. Nothing was imported: mend it and import it again.")
        return
    clashes = report["left_out"] or report["clashes"]
    for clash in clashes[:SHOWN]:
        out.text(f"line {clash['line']}, {clash['title']}: {clash['message']}")
    if len(clashes) > SHOWN:
        out.text(f"… and {len(clashes) - SHOWN:,} more (--json lists them)")
    if report["refused"]:
        out.text(f"Nothing {'would be' if dry_run else 'was'} imported, because of what is in the way.")
        out.text("Mend the file, or say --on-conflict skip, which leaves those rows out.")
        return
    would = "would be " if dry_run else ""
    parts = [f"{report['imported']:,} {kind} {would}imported"]
    parts += [f"{len(report['left_out']):,} {would}left out"] if report["left_out"] else []
    parts += [f"{report['present']:,} there already"] if report["present"] else []
    out.text(", ".join(parts) + ".")
