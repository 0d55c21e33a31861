"""`classbase calendar`: a week at a glance."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated

import typer

from classbase.calendar.entries import parse_week, read_entries
from classbase.calendar.grid import week_grid
from classbase.calendar.tables import to_rows
from classbase.cli.choosing import (
    PersonOption,
    PlaceOption,
    ResourceOption,
    ZoneOption,
    choose_resources,
    choose_zone,
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
from classbase.cli.output import Output, UsageError, escape


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("calendar")(calendar)


def calendar(
    week: Annotated[
        str | None, typer.Option("--week", help="An ISO week, such as 2018-W40; by default this one.", metavar="WEEK")
    ] = None,
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
    try:
        chosen_week = None if week is None else parse_week(week)
    except ValueError as error:
        raise UsageError(f"{error}.") from error
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        zone = choose_zone(cb, time_zone)
        monday = chosen_week or _this_monday(datetime.now(zone).date())
        ids, whose = choose_resources(cb, person, place, resources)
        entries = read_entries(cb, monday, monday + timedelta(days=6), zone, ids)
    if as_json:
        out.json(to_rows(entries))
        return
    year, number, _ = monday.isocalendar()
    heading = " · ".join(filter(None, [whose, f"week {number} of {year}", zone.key]))
    if not entries:
        out.text(f"{heading}: nothing.")
        return
    out.stdout.print(week_grid(entries, monday, title=escape(heading)))


def _this_monday(today: date) -> date:
    return today - timedelta(days=today.weekday())
