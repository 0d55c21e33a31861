"""`classbase training sessions`: finding, planning and cancelling them."""

from __future__ import annotations

from datetime import datetime
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
from classbase.cli.output import Output, UsageError
from classbase.cli.training_finding import (
    STATUSES,
    SessionArgument,
    counted,
    decided_by,
    describe,
    find_session,
    live_bookings,
    read_session,
    search,
    when,
)
from classbase.cli.training_planning import create, move, update
from classbase.cli.training_series import InstructorOption, PlaceOption, find_course
from classbase.cli.typed import typed_amount, typed_time, typed_weekday
from classbase.generated.training import SearchSessionsRow

sessions_app = typer.Typer(
    name="sessions", help="Single sessions: find, create, change, move and cancel them.", no_args_is_help=True
)
sessions_app.command("create")(create)
sessions_app.command("update")(update)
sessions_app.command("move")(move)

DEFAULT_STATUSES = STATUSES[:3]


@sessions_app.command("list")
def list_sessions(
    course: Annotated[
        str | None, typer.Option("--course", metavar="COURSE", help="Its code, its title, or an id.")
    ] = None,
    location: PlaceOption = None,
    instructor: InstructorOption = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="First day; today by default."),
    ] = None,
    last: Annotated[
        datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], metavar="DATE", help="Last day, included.")
    ] = None,
    weekdays: Annotated[
        list[str] | None, typer.Option("--weekday", metavar="DAY", help="On which weekdays; may be repeated.")
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="HH:MM", help="Starting then at the earliest.")
    ] = None,
    before: Annotated[str | None, typer.Option("--before", metavar="HH:MM", help="Over by then.")] = None,
    seats: Annotated[int | None, typer.Option("--seats", min=1, help="With so many seats left at least.")] = None,
    price: Annotated[str | None, typer.Option("--price", metavar="AMOUNT", help="At most so dear.")] = None,
    statuses: Annotated[
        list[str] | None,
        typer.Option(
            "--status", metavar="STATUS", help=f"{', '.join(STATUSES)}; may be repeated. By default what is to come."
        ),
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Part of a course's title, code or subject, or of a place's name.")
    ] = None,
    order: Annotated[
        Literal["date", "-date", "price", "-price", "title"], typer.Option("--order", help="What comes first.")
    ] = "date",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many.")] = 50,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List sessions that match everything asked, with the seats that are left."""
    out = Output(as_json=as_json, quiet=quiet)
    wrong = [status for status in statuses or () if status not in STATUSES]
    if wrong:
        raise UsageError(f"--status {wrong[0]} is no status.", f"It is one of {', '.join(STATUSES)}.")
    asked: dict[str, Any] = {
        "from_": first and first.date(),
        "to": last and last.date(),
        "weekdays": [typed_weekday(day) for day in weekdays] if weekdays else None,
        "time_from": typed_time(after, "--after"),
        "time_to": typed_time(before, "--before"),
        "seats_at_least": seats,
        "price_at_most": typed_amount(price, "--price"),
        "statuses": list(statuses or DEFAULT_STATUSES),
        "text": text,
        "order": order,
    }
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        asked["course_id"] = find_course(cb, course) if course is not None else None
        asked["location_id"] = find_id(cb, "locations", location)
        asked["instructor_id"] = find_id(cb, "people_directory", instructor)
        found, more = search(cb, limit, **asked)
    if as_json:
        out.json(found)
    else:
        _print_sessions(out, found, with_status=any(row.status != "scheduled" for row in found))
    if more:
        out.notice(f"There are more than {limit}: say --limit, or ask for less.")


def _print_sessions(out: Output, found: list[SearchSessionsRow], *, with_status: bool) -> None:
    rows = [
        {
            "when": when(row),
            "course": row.course_title,
            "location": row.location_name,
            "instructor": row.instructor_name,
            "seats": _seats(row),
            "price": row.price,
            "status": row.status,
            "id": row.id,
        }
        for row in found
    ]
    columns = {"when": "when", "course": "course", "location": "where", "instructor": "who", "seats": "left"}
    columns |= {"price": "price", "status": "status", "id": "id"}
    empty = {name for name in ("location", "instructor") if all(row[name] is None for row in rows)}
    shown = {name: heading for name, heading in columns.items() if name not in empty}
    if not with_status:
        del shown["status"]
    out.table(rows, shown, empty="No session matches.", whole=["id"])


def _seats(row: SearchSessionsRow) -> str:
    return f"{row.seats_left} of {row.max_capacity}" if row.seats_left else f"full ({row.max_capacity})"


@sessions_app.command("show")
def show(
    session: SessionArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show a session: what, when, where, its seats, and the version to change it by."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        stored, found = read_session(cb, session), find_session(cb, session)
    if as_json:
        out.json({**found.model_dump(), **stored})
        return
    said = {
        "when": f"{when(found)}, {found.time_zone}",
        "where": found.location_name,
        "who": found.instructor_name,
        "status": found.status,
        "because": stored["cancellation_reason"],
        "seats left": _seats(found),
        "price": found.price,
        "needs": stored["min_bookings"],
        "decide by": decided_by(stored),
        "notes": stored["notes"],
        "version": stored["version"],
        "id": found.id,
    }
    out.pairs({name: value for name, value in said.items() if value is not None}, title=found.course_title)


@sessions_app.command("cancel")
def cancel(
    session: SessionArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why: whoever booked is told.")],
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Cancel a session before it begins, with its bookings; whoever booked is told why."""
    out = Output(as_json=as_json, quiet=quiet)
    if not reason.strip():
        raise UsageError("A cancelled session needs a reason.", 'Say --reason "…".')
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        row = find_session(cb, session)
        booked = counted(live_bookings(cb, session))
        out.confirm(f"Cancel {describe(row)}, with {booked}?", yes=yes)
        [done] = cb.training.cancel_session(session, reason)
    if as_json:
        out.json(done)
    else:
        out.text(f"{describe(row)} is cancelled, with {booked}.")
