"""`classbase training bookings`: who takes part in a session."""

from __future__ import annotations

from email.utils import parseaddr
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
from classbase.cli.output import CommandError, Output, UsageError
from classbase.cli.reading import read_rows
from classbase.cli.training_finding import (
    SessionArgument,
    bookings,
    counted,
    describe,
    find_session,
    names_of,
)
from classbase.client import Classbase
from classbase.values import plain

bookings_app = typer.Typer(
    name="bookings", help="Who takes part: book, cancel, move to another session.", no_args_is_help=True
)

BookingArgument = Annotated[UUID, typer.Argument(metavar="BOOKING", help="The booking's id.")]
COLUMNS = {
    "name": "name",
    "attendee_email": "address",
    "seats": "seats",
    "status": "status",
    "price": "price",
    "id": "id",
}


@bookings_app.command("list")
def list_bookings(
    session: SessionArgument,
    show_all: Annotated[bool, typer.Option("--all", help="Also those that were cancelled.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List who booked a session, the first first, and how many seats are left."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        named = find_session(cb, session)
        rows = [row for row in bookings(cb, session) if show_all or row["status"] != "cancelled"]
    if as_json:
        out.json({"session": named, "bookings": rows})
        return
    out.table(rows, COLUMNS, title=describe(named), empty=f"{describe(named)}: nobody booked.", whole=["id"])
    live = [row for row in rows if row["status"] != "cancelled"]
    held = (named.max_capacity or 0) - (named.seats_left or 0) - sum(row["seats"] for row in live)
    kept = f", {held} held for somebody who is about to book" if held else ""
    out.text(f"{counted(live)}{kept}, {named.seats_left} of {named.max_capacity} seats left.")


def _attendees(cb: Classbase, people: list[str], guests: list[str], seats: int | None) -> list[dict[str, Any]]:
    """Whom to book: people by name or id, guests as they are written on an envelope."""
    found: list[dict[str, Any]] = [{"profile_id": find_id(cb, "people_directory", name)} for name in people]
    for guest in guests:
        name, address = parseaddr(guest) if "<" in guest else (guest, "")
        if not name.strip() or ("<" in guest and "@" not in address):
            raise UsageError(
                f"--guest {guest} does not say who that is.", 'Write --guest "Gus Guest <gus@example.org>".'
            )
        found.append({"name": name, **({"email": address} if address else {})})
    if not found:
        raise UsageError("Nobody is booked.", 'Say --person NAME, or --guest "Gus Guest <gus@example.org>".')
    if seats is not None:
        if len(found) > 1:
            raise UsageError("Whose seats are these?", "Say --seats with one name only.")
        found[0]["seats"] = seats
    return found


@bookings_app.command("book")
def book(
    session: SessionArgument,
    people: Annotated[
        list[str] | None, typer.Option("--person", metavar="NAME", help="Somebody with a profile; may be repeated.")
    ] = None,
    guests: Annotated[
        list[str] | None,
        typer.Option(
            "--guest", metavar="NAME", help='A guest, such as "Gus Guest <gus@example.org>"; may be repeated.'
        ),
    ] = None,
    seats: Annotated[int | None, typer.Option("--seats", min=1, help="How many seats, for one name.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Book a session for one or several, all of them or nobody."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        made = cb.training.book_session(session, attendees=plain(_attendees(cb, people or [], guests or [], seats)))
        names = names_of(cb, [str(row.profile_id) for row in made if row.profile_id])
        named = find_session(cb, session)
    if as_json:
        out.json(made)
        return
    rows = [{**row.model_dump(), "name": names.get(str(row.profile_id), row.attendee_name)} for row in made]
    out.table(rows, COLUMNS, title=describe(named), whole=["id"])
    out.text(f"Booked; {named.seats_left} of {named.max_capacity} seats left.")


def _find_booking(cb: Classbase, booking: UUID) -> dict[str, Any]:
    """A booking with the name of who takes part, and its session.

    Raises:
        CommandError: there is none.
    """
    columns = ["id", "session_id", "profile_id", "attendee_name", "seats", "status"]
    found = read_rows(cb, "session_bookings", columns, [("id", "eq", booking)])
    if not found:
        raise CommandError(
            "There is no such booking.", "`classbase training bookings list SESSION` shows ids.", code="not_found"
        )
    [row] = found
    names = names_of(cb, [row["profile_id"]] if row["profile_id"] else [])
    return {
        **row,
        "name": names.get(row["profile_id"], row["attendee_name"]),
        "session": find_session(cb, UUID(row["session_id"])),
    }


@bookings_app.command("cancel")
def cancel(
    booking: BookingArgument,
    reason: Annotated[str | None, typer.Option("--reason", help="Why: whoever booked is told.")] = None,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Cancel a booking before its session begins, which frees its seats."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        row = _find_booking(cb, booking)
        seats = "1 seat" if row["seats"] == 1 else f"{row['seats']} seats"
        what = f"{row['name']}'s booking of {describe(row['session'])} ({seats})"
        out.confirm(f"Cancel {what}?", yes=yes)
        [done] = cb.training.cancel_booking(booking, reason=reason)
        left = find_session(cb, done.session_id)
    if as_json:
        out.json(done)
    else:
        out.text(f"{what} is cancelled; {left.seats_left} of {left.max_capacity} seats left.")


@bookings_app.command("transfer")
def transfer(
    booking: BookingArgument,
    to: Annotated[UUID, typer.Option("--to", metavar="SESSION", help="The session it moves to.")],
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Move a booking to another session; the seats it has are given up only together with having the others."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        row = _find_booking(cb, booking)
        [done] = cb.training.transfer_booking(booking, to)
        named = find_session(cb, to)
    if as_json:
        out.json(done)
    else:
        out.text(f"{row['name']} moved from {describe(row['session'])} to {describe(named)}, which costs {done.price}.")
