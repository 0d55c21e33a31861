"""`classbase export`: what the backend holds, as files other programs read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import typer

from classbase.calendar.entries import read_entries
from classbase.calendar.ics import to_ics
from classbase.calendar.tables import to_csv, to_json
from classbase.cli.choosing import (
    PersonOption,
    PlaceOption,
    ResourceOption,
    ZoneOption,
    choose_resources,
    choose_zone,
)
from classbase.cli.connection import open_client
from classbase.cli.export_rows import OutputOption, export_assignments, export_bookings, export_schedules, write
from classbase.cli.options import (
    DbUrlOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    resolve_target,
)
from classbase.cli.output import Output, UsageError

export_app = typer.Typer(name="export", help="Write what the backend holds to files.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    app.add_typer(export_app)


@export_app.command("calendar")
def export_calendar(
    first: Annotated[datetime, typer.Option("--from", help="First day.", formats=["%Y-%m-%d"], metavar="DATE")],
    last: Annotated[datetime, typer.Option("--to", help="Last day, included.", formats=["%Y-%m-%d"], metavar="DATE")],
    file_format: Annotated[Literal["ics", "csv", "json"], typer.Option("--format", help="What to write.")] = "ics",
    output: OutputOption = None,
    person: PersonOption = None,
    place: PlaceOption = None,
    resources: ResourceOption = None,
    time_zone: ZoneOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    quiet: QuietOption = False,
) -> None:
    """Write the calendar as iCalendar, CSV or JSON, one event or row an occurrence."""
    out = Output(quiet=quiet)
    if last < first:
        raise UsageError("--to is before --from.")
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        zone = choose_zone(cb, time_zone)
        ids, whose = choose_resources(cb, person, place, resources)
        entries = read_entries(cb, first.date(), last.date(), zone, ids)
        name = whose or str((cb.platform.app_config() or {})["organisation_name"])
    if file_format == "ics":
        written = to_ics(entries, name=name)
    else:
        written = to_csv(entries) if file_format == "csv" else to_json(entries)
    write(out, output, written, f"{len(entries)} occurrences")


export_app.command("bookings")(export_bookings)
export_app.command("schedules")(export_schedules)
export_app.command("assignments")(export_assignments)
