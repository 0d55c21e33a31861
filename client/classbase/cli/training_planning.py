"""`classbase training sessions create|update|move`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

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
from classbase.cli.output import Output, UsageError, cell
from classbase.cli.training_finding import (
    COLUMNS,
    SessionArgument,
    counted,
    decided_by,
    describe,
    find_session,
    live_bookings,
    read_session,
)
from classbase.cli.training_series import (
    CourseArgument,
    EndOption,
    InstructorOption,
    PlaceOption,
    SeatsOption,
    StartOption,
    find_course,
)
from classbase.cli.typed import typed_amount, typed_time
from classbase.values import plain

DayOption = Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], metavar="DATE", help="On which day.")]
MinimumOption = Annotated[
    int | None, typer.Option("--minimum", min=1, help="How many seats have to be booked for it to be held.")
]
DecideOption = Annotated[
    str | None,
    typer.Option(
        "--decide-by", metavar="INSTANT", help="Until when, with its offset or Z, such as 2026-12-01T18:00+01:00."
    ),
]
PriceOption = Annotated[str | None, typer.Option("--price", metavar="AMOUNT", help="What a seat costs.")]
NotesOption = Annotated[str | None, typer.Option("--notes", help="What whoever thinks of booking should know.")]
VersionOption = Annotated[
    int | None,
    typer.Option(
        "--version", min=1, metavar="N", help="Only if nobody changed it since this version; the one it has by default."
    ),
]

# What the options call the columns.
FIELDS = {
    "location": "location_id",
    "instructor": "instructor_id",
    "minimum": "min_bookings",
    "decide-by": "decide_by",
    "notes": "notes",
}


def _instant(text: str | None) -> datetime | None:
    hint = "Write it with its offset, such as 2026-12-01T18:00+01:00, or with Z for UTC."
    try:
        instant = None if text is None else datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"--decide-by {text} is no instant.", hint) from error
    if instant is not None and instant.tzinfo is None:
        raise UsageError(f"--decide-by {text} does not say in which zone.", hint)
    return instant


def create(
    course: CourseArgument,
    day: DayOption,
    start: StartOption,
    end: EndOption = None,
    location: PlaceOption = None,
    instructor: InstructorOption = None,
    seats: SeatsOption = None,
    minimum: MinimumOption = None,
    decide_by: DecideOption = None,
    price: PriceOption = None,
    notes: NotesOption = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            "--time-zone", metavar="ZONE", help="Whose clock; the place's, or the organisation's, by default."
        ),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Create a session of a course; what is left out follows from the course."""
    out = Output(as_json=as_json, quiet=quiet)
    starts, ends, until, amount = (
        typed_time(start, "--start"),
        typed_time(end, "--end"),
        _instant(decide_by),
        typed_amount(price, "--price"),
    )
    assert starts is not None
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        [made] = cb.training.create_session(
            find_course(cb, course),
            day.date(),
            starts,
            end_time=ends,
            location_id=find_id(cb, "locations", location),
            instructor_id=find_id(cb, "people_directory", instructor),
            max_capacity=seats,
            min_bookings=minimum,
            decide_by=until,
            price=amount,
            time_zone=time_zone,
            notes=notes,
        )
        named = find_session(cb, made.id)
    if as_json:
        out.json(made)
    else:
        out.text(f"{describe(named)}: {named.max_capacity} seats at {named.price}, {named.status}.")
        out.text(f"Session {made.id}")


def update(
    session: SessionArgument,
    location: PlaceOption = None,
    instructor: InstructorOption = None,
    seats: SeatsOption = None,
    minimum: MinimumOption = None,
    decide_by: DecideOption = None,
    price: PriceOption = None,
    notes: NotesOption = None,
    status: Annotated[
        Literal["scheduled", "in_progress", "completed"] | None,
        typer.Option("--status", help="What it becomes; scheduled holds one that is tentative."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", metavar="WHAT", help=f"Empty one of {', '.join(FIELDS)}; may be repeated."),
    ] = None,
    version: VersionOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Change a session: its seats, price, minimum, place, instructor, notes or status; says what changed."""
    out = Output(as_json=as_json, quiet=quiet)
    wrong = [name for name in without or () if name not in FIELDS]
    if wrong:
        raise UsageError(f"--without {wrong[0]} empties nothing.", f"It is one of {', '.join(FIELDS)}.")
    said: dict[str, Any] = {
        "max_capacity": seats,
        "min_bookings": minimum,
        "decide_by": _instant(decide_by),
        "price": typed_amount(price, "--price"),
        "notes": notes,
        "status": status,
    }
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        said["location_id"] = find_id(cb, "locations", location)
        said["instructor_id"] = find_id(cb, "people_directory", instructor)
        changes = {name: value for name, value in said.items() if value is not None}
        if twice := [name for name in without or () if FIELDS[name] in changes]:
            raise UsageError(f"--{twice[0]} and --without {twice[0]} exclude each other.", "Choose one of them.")
        changes |= {FIELDS[name]: None for name in without or ()}
        if not changes:
            raise UsageError("Nothing changes.", "Say what does, such as --seats 10.")
        before = read_session(cb, session)
        [done] = cb.training.update_session(session, version or before["version"], plain(changes))
        named, after = find_session(cb, session), read_session(cb, session)
    if as_json:
        out.json(done)
        return
    out.text(f"{describe(named)}:")
    _print_changes(out, before, after)


def _print_changes(out: Output, before: dict[str, Any], after: dict[str, Any]) -> None:
    shown = [{**row, "decide_by": decided_by(row)} for row in (before, after)]
    for name in COLUMNS:
        was, is_now = (row[name] for row in shown)
        if was != is_now:
            out.text(f"  {name.removesuffix('_id').replace('_', ' ')}: {cell(was) or '–'} → {cell(is_now) or '–'}")


def move(
    session: SessionArgument,
    day: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], metavar="DATE", help="To which day; the same one by default."),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="HH:MM", help="When it starts; as before by default.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="HH:MM", help="When it ends; it takes as long as before by default.")
    ] = None,
    location: PlaceOption = None,
    instructor: InstructorOption = None,
    version: VersionOption = None,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Move a session to another day, time, place or instructor; bookings go along, and are told."""
    out = Output(as_json=as_json, quiet=quiet)
    if day is None and start is None and location is None and instructor is None:
        raise UsageError("Where to?", "Say --date, --start, --location or --instructor.")
    starts, ends = typed_time(start, "--start"), typed_time(end, "--end")
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        stored, before = read_session(cb, session), find_session(cb, session)
        booked = live_bookings(cb, session)
        if booked:
            out.confirm(f"Move {describe(before)}, with {counted(booked)}? They are told.", yes=yes)
        [done] = cb.training.move_session(
            session,
            day.date() if day is not None else date.fromisoformat(stored["session_date"]),
            start_time=starts,
            end_time=ends,
            location_id=find_id(cb, "locations", location),
            instructor_id=find_id(cb, "people_directory", instructor),
            expected_version=version or stored["version"],
        )
        after = find_session(cb, session)
    if as_json:
        out.json(done)
    else:
        out.text(f"{describe(before)} is now {describe(after)}, with {counted(booked)}.")
