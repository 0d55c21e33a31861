"""`classbase training register`."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer

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
from classbase.cli.output import Output, UsageError
from classbase.cli.reading import read_rows
from classbase.cli.training_finding import SessionArgument
from classbase.client import Classbase

register_app = typer.Typer(name="register", help="Who attended a session.", no_args_is_help=True)

MARKS = ("present", "absent", "late", "excused")


def _register(cb: Classbase, session_id: UUID) -> list[dict[str, Any]]:
    """The live bookings of a session, by name, with the mark each has."""
    bookings = read_rows(
        cb, "session_bookings", ["id", "profile_id", "attendee_name", "status"], [("session_id", "eq", session_id)]
    )
    bookings = [row for row in bookings if row["status"] != "cancelled"]
    people = {row["profile_id"] for row in bookings if row["profile_id"]}
    names = (
        {
            row["id"]: row["full_name"]
            for row in read_rows(cb, "user_profiles", ["id", "full_name"], [("id", "in", list(people))])
        }
        if people
        else {}
    )
    marks = {
        row["booking_id"]: row
        for row in read_rows(
            cb, "attendance", ["booking_id", "status", "notes"], [("session_id", "eq", session_id)], order="booking_id"
        )
    }
    return sorted(
        (
            {
                "booking_id": row["id"],
                "name": row["attendee_name"] or names.get(row["profile_id"], ""),
                "mark": marks.get(row["id"], {}).get("status"),
                "notes": marks.get(row["id"], {}).get("notes"),
                "booking": row["status"],
            }
            for row in bookings
        ),
        key=lambda row: (row["name"].casefold(), row["booking_id"]),
    )


def _marks(rows: list[dict[str, Any]], everybody: str | None, single: list[str]) -> list[dict[str, str]]:
    """What to mark: everybody alike, then those who are named."""
    wanted = {row["booking_id"]: everybody for row in rows} if everybody else {}
    for text in single:
        name, _, mark = text.rpartition("=")
        found = [row for row in rows if row["booking_id"] == name or row["name"].casefold() == name.strip().casefold()]
        if mark not in MARKS or not name:
            raise UsageError(f"--mark {text} is no mark.", f"Write NAME=MARK, the mark one of {', '.join(MARKS)}.")
        if len(found) != 1:
            raise UsageError(
                f"{len(found) or 'Nobody'} booked as {name}.", "Say the booking's id, as the register shows it."
            )
        wanted[found[0]["booking_id"]] = mark
    return [{"booking_id": booking, "status": mark} for booking, mark in wanted.items()]


@register_app.command("show")
def show(
    session: SessionArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print the register of a session."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        rows = _register(cb, session)
    out.table(rows, ["name", "mark", "notes", "booking", "booking_id"], empty="Nobody booked this session.")


@register_app.command("mark")
def mark(
    session: SessionArgument,
    everybody: Annotated[
        str | None, typer.Option("--all", metavar="MARK", help=f"Mark everybody: {', '.join(MARKS)}.")
    ] = None,
    single: Annotated[
        list[str] | None, typer.Option("--mark", metavar="NAME=MARK", help="Mark one; may be repeated.")
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Mark the register of a session, all of it at once or none: --all present --mark "Leo Park=absent"."""
    out = Output(as_json=as_json, quiet=quiet)
    if everybody is None and not single:
        raise UsageError("Nobody is marked.", "Say --all present, or --mark NAME=absent.")
    if everybody is not None and everybody not in MARKS:
        raise UsageError(f"--all {everybody} is no mark.", f"It is one of {', '.join(MARKS)}.")
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        cb.training.mark_attendance(session, _marks(_register(cb, session), everybody, single or []))
        rows = _register(cb, session)
    out.table(rows, ["name", "mark", "notes", "booking", "booking_id"])
