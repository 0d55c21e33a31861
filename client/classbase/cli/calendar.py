"""`classbase calendar`: a week at a glance."""

from __future__ import annotations

from datetime import timedelta

import typer

from classbase.calendar.entries import read_entries
from classbase.calendar.grid import week_grid
from classbase.calendar.tables import to_rows
from classbase.cli.choosing import (
    PersonOption,
    PlaceOption,
    ResourceOption,
    WeekOption,
    ZoneOption,
    choose_resources,
    choose_zone,
    read_week,
    this_monday,
    week_heading,
)
from classbase.cli.connection import open_client
from classbase.cli.options import (
    DbUrlOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    resolve_target,
)
from classbase.cli.output import Output, escape


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("calendar")(calendar)


def calendar(
    week: WeekOption = None,
    person: PersonOption = None,
    place: PlaceOption = None,
    resources: ResourceOption = None,
    time_zone: ZoneOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print a week as a grid: everything, or what one person or place is taken by."""
    out = Output(as_json=as_json, quiet=quiet)
    chosen = read_week(week)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        zone = choose_zone(cb, time_zone)
        monday = chosen or this_monday(zone)
        ids, whose = choose_resources(cb, person, place, resources)
        entries = read_entries(cb, monday, monday + timedelta(days=6), zone, ids)
    if as_json:
        out.json(to_rows(entries))
        return
    heading = week_heading(monday, zone, whose)
    if not entries:
        out.text(f"{heading}: nothing.")
        return
    out.stdout.print(week_grid(entries, monday, title=escape(heading)))
