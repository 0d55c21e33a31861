"""`classbase export bookings|schedules|assignments`: a studio's rows as files that can be imported again."""

from __future__ import annotations

import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from classbase.calendar.entries import read_entries
from classbase.calendar.ics import to_ics
from classbase.cli.choosing import choose_zone
from classbase.cli.connection import open_client
from classbase.cli.options import DbUrlOption, KeyOption, ProjectDirOption, QuietOption, UrlOption, resolve_target
from classbase.cli.output import CommandError, Output, UsageError
from classbase.client import Classbase
from classbase.importing.studio import Kind, fetch_rows, to_csv, to_json

OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="The file; stdout when left out.", dir_okay=False)
]
FirstOption = Annotated[
    datetime | None,
    typer.Option("--from", help="First day; with ics 30 days ago by default.", formats=["%Y-%m-%d"], metavar="DATE"),
]
LastOption = Annotated[
    datetime | None,
    typer.Option(
        "--to", help="Last day, included; with ics 90 days on by default.", formats=["%Y-%m-%d"], metavar="DATE"
    ),
]
FormatOption = Annotated[Literal["csv", "ics", "json"], typer.Option("--format", help="What to write.")]


def write(out: Output, output: Path | None, written: bytes, what: str) -> None:
    """Writes a file, or to stdout, and says so.

    Raises:
        CommandError: the file cannot be written.
    """
    if output is None:
        sys.stdout.buffer.write(written)
        sys.stdout.buffer.flush()
        return
    try:
        output.write_bytes(written)
    except OSError as error:
        hint = "Choose another file with --output."
        raise CommandError(f"{output} cannot be written: {error.strerror}.", hint, code="not_written") from error
    out.notice(f"Wrote {what} to {output}.")


def export_bookings(
    file_format: Annotated[Literal["csv", "json"], typer.Option("--format", help="What to write.")] = "csv",
    output: OutputOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write all bookings, as `classbase import bookings` reads them."""
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        rows = fetch_rows(cb, "bookings")
    written = to_csv("bookings", rows) if file_format == "csv" else to_json(rows)
    write(Output(quiet=quiet), output, written, f"{len(rows):,} bookings")


def export_schedules(
    file_format: FormatOption = "csv",
    first: FirstOption = None,
    last: LastOption = None,
    output: OutputOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write all class schedules, as `classbase import schedules` reads them; with ics their dates from --from to --to.

    Dates that have classes of their own are among the assignments.
    """
    if file_format != "ics" and (first or last):
        raise UsageError("Schedules are exported whole.", "--from and --to are for --format ics.")
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        written, count = _written(cb, "schedules", file_format, first, last)
    write(Output(quiet=quiet), output, written, f"{count:,} {'dates' if file_format == 'ics' else 'schedules'}")


def export_assignments(
    file_format: FormatOption = "csv",
    first: FirstOption = None,
    last: LastOption = None,
    output: OutputOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write classes, archived ones too, as `classbase import assignments` reads them; all, or those of some days.

    With ics those that take place, with their times; classes whose time is not arranged have none.
    """
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        written, count = _written(cb, "assignments", file_format, first, last)
    write(Output(quiet=quiet), output, written, f"{count:,} classes")


def _written(
    cb: Classbase, kind: Kind, file_format: str, first: datetime | None, last: datetime | None
) -> tuple[bytes, int]:
    if first and last and last < first:
        raise UsageError("--to is before --from.")
    since, until = first and first.date(), last and last.date()
    if file_format == "ics":
        return _calendar(cb, kind, since, until)
    rows = fetch_rows(cb, kind, first=since, last=until) if kind == "assignments" else fetch_rows(cb, kind)
    return (to_csv(kind, rows) if file_format == "csv" else to_json(rows)), len(rows)


def _calendar(cb: Classbase, kind: Kind, first: date | None, last: date | None) -> tuple[bytes, int]:
    zone = choose_zone(cb, None)
    today = datetime.now(zone).date()
    entries = read_entries(cb, first or today - timedelta(days=30), last or today + timedelta(days=90), zone)
    wanted = "class_schedule" if kind == "schedules" else "class_assignment"
    chosen = [entry for entry in entries if entry.kind == wanted]
    return to_ics(chosen, name=str((cb.platform.app_config() or {})["organisation_name"])), len(chosen)
