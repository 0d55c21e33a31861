"""`classbase training series`: plan, create and cancel sessions that recur."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Annotated, Any
from uuid import UUID

import typer

from classbase.cli.connection import open_client
from classbase.cli.naming import find_id
from classbase.cli.options import (
    DbUrlOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    YesOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, Output, UsageError
from classbase.cli.reading import read_rows
from classbase.cli.typed import typed_time
from classbase.client import Classbase

series_app = typer.Typer(name="series", help="Sessions that recur by a rule.", no_args_is_help=True)

CourseArgument = Annotated[str, typer.Argument(metavar="COURSE", help="The course: its code, its title, or an id.")]
RuleOption = Annotated[
    str, typer.Option("--rule", metavar="RRULE", help="An RFC 5545 rule, such as FREQ=WEEKLY;BYDAY=MO,WE;COUNT=10.")
]
FirstOption = Annotated[
    datetime, typer.Option("--from", help="The day it counts from.", formats=["%Y-%m-%d"], metavar="DATE")
]
StartOption = Annotated[str, typer.Option("--start", metavar="HH:MM", help="When each session starts.")]
EndOption = Annotated[
    str | None, typer.Option("--end", metavar="HH:MM", help="When it ends; by the course's duration by default.")
]
PlaceOption = Annotated[str | None, typer.Option("--location", metavar="NAME", help="The place it takes.")]
InstructorOption = Annotated[str | None, typer.Option("--instructor", metavar="NAME", help="Who teaches it.")]
AlsoOption = Annotated[
    list[datetime] | None,
    typer.Option("--also", formats=["%Y-%m-%d"], metavar="DATE", help="A date besides the rule's; may be repeated."),
]
ExceptOption = Annotated[
    list[datetime] | None,
    typer.Option("--except", formats=["%Y-%m-%d"], metavar="DATE", help="A date left out; may be repeated."),
]
SeatsOption = Annotated[int | None, typer.Option("--seats", min=1, help="How many seats each session has.")]


def find_course(cb: Classbase, name: str) -> UUID:
    """The id of the course with this code or title, whatever the case, or with that id.

    Raises:
        UsageError: there is none, or several have that title.
    """
    try:
        return UUID(name)
    except ValueError:
        pass
    wanted = name.strip().casefold()
    rows = read_rows(cb, "courses", ["id", "code", "title"], [("code,title", "like", name.strip())])
    chosen = [row for row in rows if row["code"].casefold() == wanted] or [
        row for row in rows if row["title"].casefold() == wanted
    ]
    if len(chosen) == 1:
        return UUID(chosen[0]["id"])
    if not chosen:
        raise UsageError(f"No course is called {name}.", "Say its code or its whole title; the case does not matter.")
    raise UsageError(
        f"{len(chosen)} courses are called {name}.", f"Say the code: {', '.join(r['code'] for r in chosen)}"
    )


@dataclass(frozen=True)
class _Wanted:
    """A series as the options say it; names become ids once there is a connection."""

    course: str
    rule: str
    first: date
    start: time | None
    end: time | None
    location: str | None
    instructor: str | None
    also: list[date]
    left_out: list[date]
    seats: int | None

    def arguments(self, cb: Classbase) -> dict[str, Any]:
        """What plan_series and create_series are asked."""
        return {
            "course_id": find_course(cb, self.course),
            "rrule": self.rule,
            "first_date": self.first,
            "start_time": self.start,
            "end_time": self.end,
            "location_id": find_id(cb, "locations", self.location),
            "instructor_id": find_id(cb, "people_directory", self.instructor),
            "max_capacity": self.seats,
            "rdates": self.also,
            "exdates": self.left_out,
        }


def _wanted(
    course: str,
    rule: str,
    first: datetime,
    start: str,
    end: str | None,
    location: str | None,
    instructor: str | None,
    also: list[datetime] | None,
    left_out: list[datetime] | None,
    seats: int | None,
) -> _Wanted:
    return _Wanted(
        course,
        rule,
        first.date(),
        typed_time(start, "--start"),
        typed_time(end, "--end"),
        location,
        instructor,
        [day.date() for day in also or []],
        [day.date() for day in left_out or []],
        seats,
    )


def _show(out: Output, rows: list[dict[str, Any]]) -> Counter[str]:
    shown = [
        {
            "date": row["session_date"],
            "weekday": f"{row['session_date']:%a}",
            "status": row["status"],
            "why": row["reason"] or "",
        }
        for row in rows
    ]
    out.table(
        shown, {"date": "date", "weekday": "", "status": "", "why": "why"}, empty="The rule has no dates to come."
    )
    counts = Counter(str(row["status"]) for row in rows)
    said = [f"{counts[status]} {status}" for status in ("planned", "conflict", "skipped", "later") if counts[status]]
    out.text(f"{', '.join(said) or 'nothing'}.")
    return counts


@series_app.command("plan")
def plan(
    course: CourseArgument,
    rule: RuleOption,
    first: FirstOption,
    start: StartOption,
    end: EndOption = None,
    location: PlaceOption = None,
    instructor: InstructorOption = None,
    also: AlsoOption = None,
    left_out: ExceptOption = None,
    seats: SeatsOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show every date of a series and what is in its way; nothing is written.

    Exit codes: 0 all dates are free, 1 something is in the way, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    wanted = _wanted(course, rule, first, start, end, location, instructor, also, left_out, seats)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        rows = [row.model_dump() for row in cb.training.plan_series(**wanted.arguments(cb))]
    if as_json:
        out.json(rows)
    else:
        _show(out, rows)
    raise typer.Exit(PROBLEMS if any(row["status"] == "conflict" for row in rows) else OK)


@series_app.command("create")
def create(
    course: CourseArgument,
    rule: RuleOption,
    first: FirstOption,
    start: StartOption,
    end: EndOption = None,
    location: PlaceOption = None,
    instructor: InstructorOption = None,
    also: AlsoOption = None,
    left_out: ExceptOption = None,
    seats: SeatsOption = None,
    partial: Annotated[bool, typer.Option("--partial", help="Create what fits; without it, all or nothing.")] = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Create a series and its sessions, after showing the plan and asking.

    Exit codes: 0 created, 1 something is in the way, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    wanted = _wanted(course, rule, first, start, end, location, instructor, also, left_out, seats)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        arguments = wanted.arguments(cb)
        rows = [row.model_dump() for row in cb.training.plan_series(**arguments)]
        counts = Counter(str(row["status"]) for row in rows) if as_json else _show(out, rows)
        if counts["conflict"] and not partial:
            out.error(
                f"Nothing was written: {counts['conflict']} dates are not free.",
                "Choose other times, leave those dates out with --except, or create what fits with --partial.",
                code="not_free",
            )
            raise typer.Exit(PROBLEMS)
        out.confirm(f"Create {counts['planned']} sessions?", yes=yes)
        [made] = cb.training.create_series(**arguments, partial=partial)
    left: list[Mapping[str, Any]] = list(made.left_out or [])
    if as_json:
        out.json({"series_id": made.series_id, "session_ids": made.session_ids, "left_out": left})
    else:
        out.text(
            f"Series {made.series_id}: {len(made.session_ids or [])} sessions created, {len(left)} dates left out."
        )


@series_app.command("cancel")
def cancel(
    series_id: Annotated[UUID, typer.Argument(metavar="ID", help="The series.")],
    reason: Annotated[str, typer.Option("--reason", help="Why: whoever booked is told.")],
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Cancel a series and its sessions that have not begun, with their bookings."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        out.confirm("Cancel this series and all its sessions to come?", yes=yes)
        [done] = cb.training.cancel_series(series_id, reason)
    if as_json:
        out.json(done.model_dump())
    else:
        out.text(f"{len(done.session_ids or [])} sessions cancelled; what happened stays.")
