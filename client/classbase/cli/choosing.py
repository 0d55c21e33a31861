"""Whose calendar, which week, and in which zone: what all commands that show a timetable have in common."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from classbase.calendar.entries import parse_week
from classbase.cli.output import UsageError
from classbase.client import Classbase

PersonOption = Annotated[
    str | None, typer.Option("--person", help="Only what this person takes part in.", metavar="NAME")
]
PlaceOption = Annotated[str | None, typer.Option("--place", help="Only what happens in this place.", metavar="NAME")]
ResourceOption = Annotated[
    list[UUID] | None, typer.Option("--resource", help="Only what takes this resource; may be repeated.", metavar="ID")
]
ZoneOption = Annotated[
    str | None,
    typer.Option("--time-zone", help="The zone to show times in; by default the organisation's.", metavar="ZONE"),
]


WeekOption = Annotated[
    str | None, typer.Option("--week", help="An ISO week, such as 2026-W48; by default this one.", metavar="WEEK")
]


def read_week(week: str | None) -> date | None:
    """The Monday of the week that is named, None where none is: read before anything is connected to.

    Raises:
        UsageError: that is no week.
    """
    try:
        return None if week is None else parse_week(week)
    except ValueError as error:
        raise UsageError(f"{error}.") from error


def this_monday(zone: ZoneInfo) -> date:
    """The Monday of the week it is in that zone."""
    today = datetime.now(zone).date()
    return today - timedelta(days=today.weekday())


def week_heading(monday: date, zone: ZoneInfo, *whose: str | None) -> str:
    """What is written above a week: whose it is, which one, and in which zone."""
    year, number, _ = monday.isocalendar()
    return " · ".join(filter(None, [*whose, f"week {number} of {year}", zone.key]))


def choose_zone(cb: Classbase, name: str | None) -> ZoneInfo:
    """The zone of that name, or the organisation's.

    Raises:
        UsageError: there is no such zone.
    """
    wanted = name or str((cb.platform.app_config() or {})["organisation_time_zone"])
    try:
        return ZoneInfo(wanted)
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(f"{wanted} is no time zone.", "Use an IANA name, such as Europe/Paris.") from error


def choose_resources(
    cb: Classbase, person: str | None, place: str | None, resources: list[UUID] | None
) -> tuple[list[UUID] | None, str]:
    """The ids that were asked for (None: everything) and a heading that says whose calendar this is.

    Raises:
        UsageError: nobody, or more than one, is called that.
    """
    ids, names = list(resources or []), [str(one) for one in resources or []]
    for kind, name in (("person", person), ("place", place)):
        if name is not None:
            found_id, found_name = _find(cb, kind, name)
            ids.append(found_id)
            names.append(found_name)
    return ids or None, ", ".join(names)


def _find(cb: Classbase, kind: str, name: str) -> tuple[UUID, str]:
    found = cb.time.find_resources(name=name, kinds=[kind], limit=20)
    exact = [row for row in found if row.name == name] or [
        row for row in found if row.name.casefold() == name.strip().casefold()
    ]
    chosen = exact or found
    if len(chosen) == 1:
        return chosen[0].id, chosen[0].name
    if not chosen:
        raise UsageError(f"No {kind} is called {name}.", "A part of the name is enough; the case does not matter.")
    if exact:
        ids = ", ".join(str(row.id) for row in exact)
        raise UsageError(f"{len(exact)} are called {name}.", f"Say which with --resource: {ids}")
    raise UsageError(f"{name} could be several.", f"Say which: {', '.join(row.name for row in chosen)}")
