"""`classbase training calendar`: a month of sessions."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer

from classbase.calendar.month import month_page, read_month
from classbase.cli.choosing import ZoneOption, choose_zone
from classbase.cli.connection import open_client
from classbase.cli.naming import find_id
from classbase.cli.options import (
    DbUrlOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    resolve_target,
)
from classbase.cli.output import Output, printable
from classbase.cli.training_series import PlaceOption, find_course
from classbase.cli.typed import typed_month


def calendar(
    month: Annotated[
        str | None, typer.Option("--month", metavar="MONTH", help="Such as 2026-12; this one by default.")
    ] = None,
    course: Annotated[
        str | None, typer.Option("--course", metavar="COURSE", help="Its code, its title, or an id.")
    ] = None,
    location: PlaceOption = None,
    time_zone: ZoneOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print a month of sessions to come: a day a cell, with the seats that are left; a list where it is too narrow."""
    out = Output(as_json=as_json, quiet=quiet)
    chosen: date | None = typed_month(month)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        zone = choose_zone(cb, time_zone)
        first = chosen or datetime.now(zone).date().replace(day=1)
        course_id = find_course(cb, course) if course is not None else None
        offers = read_month(cb, first, zone, course_id=course_id, location_id=find_id(cb, "locations", location))
    if as_json:
        out.json({"month": f"{first:%Y-%m}", "time_zone": zone.key, "sessions": [offer.row for offer in offers]})
        return
    heading = " · ".join([f"{first:%B %Y}", *filter(None, [course, location]), zone.key])
    if not offers:
        out.text(f"{heading}: no sessions.")
        return
    out.stdout.print(month_page(offers, first, title=printable(heading), width=out.stdout.width))
