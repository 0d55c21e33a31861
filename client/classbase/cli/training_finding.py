"""Finding sessions, and saying which one is meant."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from classbase.cli.output import CommandError
from classbase.cli.reading import read_rows
from classbase.client import Classbase
from classbase.generated.training import SearchSessionsRow
from classbase.values import time_text

SessionArgument = Annotated[UUID, typer.Argument(metavar="SESSION", help="The session's id.")]

STATUSES = ("tentative", "scheduled", "in_progress", "completed", "cancelled")
# What one call answers at most.
PAGE = 200
COLUMNS = (
    "id", "course_id", "location_id", "instructor_id", "session_date", "start_time", "end_time", "time_zone",
    "max_capacity", "min_bookings", "decide_by", "status", "price", "cancellation_reason", "notes", "version",
)  # fmt: skip


def search(cb: Classbase, limit: int, **filters: Any) -> tuple[list[SearchSessionsRow], bool]:
    """At most so many sessions that match, page by page; and whether there are more.

    Raises:
        ClassbaseError: the backend refused or could not be reached.
    """
    found: list[SearchSessionsRow] = []
    number = 0
    while len(found) <= limit:
        number += 1
        page = cb.training.search_sessions(**filters, page=number, page_size=PAGE)
        found += page
        if len(page) < PAGE:
            break
    return found[:limit], len(found) > limit


def read_session(cb: Classbase, session_id: UUID) -> dict[str, Any]:
    """A session's row, as JSON has it.

    Raises:
        CommandError: there is none.
    """
    found = read_rows(cb, "course_sessions", COLUMNS, [("id", "eq", session_id)])
    if not found:
        raise CommandError(
            "There is no such session.", "`classbase training sessions list` shows ids.", code="not_found"
        )
    return {**found[0], "price": amount(found[0]["price"])}


def amount(value: Any) -> Decimal:
    """An amount of money, whichever way it was read: over REST it lost its last zeros."""
    return Decimal(str(value)).quantize(Decimal("0.01"))


def decided_by(stored: dict[str, Any]) -> str | None:
    """When a session's row says it is decided by the latest, by the clock where it is."""
    if stored["decide_by"] is None:
        return None
    instant = datetime.fromisoformat(stored["decide_by"]).astimezone(ZoneInfo(stored["time_zone"]))
    return f"{instant:%a %Y-%m-%d %H:%M}"


def find_session(cb: Classbase, session_id: UUID) -> SearchSessionsRow:
    """A session with the names of everything it refers to, and the seats that are left.

    Raises:
        CommandError: there is none.
    """
    row = read_session(cb, session_id)
    day = date.fromisoformat(row["session_date"])
    # A course has no more sessions a day than there are pages for.
    found, _ = search(cb, 10_000, course_id=UUID(row["course_id"]), from_=day, to=day, statuses=list(STATUSES))
    return next(one for one in found if one.id == session_id)


def when(row: Any) -> str:
    """Day and times of a session, by the clock where it is."""
    return f"{row.session_date:%a} {row.session_date} {time_text(row.start_time)[:5]}–{time_text(row.end_time)[:5]}"


def describe(row: Any) -> str:
    """A session in a few words: what, when, where."""
    return ", ".join(filter(None, [row.course_title, when(row), row.location_name]))


def live_bookings(cb: Classbase, session_id: UUID) -> list[dict[str, Any]]:
    """The bookings of a session that own seats, by when they were made, with the name of who takes part."""
    return [row for row in bookings(cb, session_id) if row["status"] != "cancelled"]


def bookings(cb: Classbase, session_id: UUID) -> list[dict[str, Any]]:
    """All bookings of a session, by when they were made, with the name of who takes part."""
    columns = [
        "id",
        "profile_id",
        "attendee_name",
        "attendee_email",
        "seats",
        "status",
        "price",
        "booked_at",
        "cancellation_reason",
        "version",
    ]
    rows = read_rows(cb, "session_bookings", columns, [("session_id", "eq", session_id)])
    names = names_of(cb, [row["profile_id"] for row in rows if row["profile_id"]])
    named = [
        {**row, "price": amount(row["price"]), "name": names.get(row["profile_id"], row["attendee_name"] or "")}
        for row in rows
    ]
    return sorted(named, key=lambda row: (row["booked_at"], row["id"]))


def names_of(cb: Classbase, profile_ids: list[str]) -> dict[str, str]:
    """The names of people, by profile."""
    # Ids are part of the address over REST, which has a limit.
    ids = sorted(set(profile_ids))
    return {
        row["id"]: row["full_name"]
        for start in range(0, len(ids), 100)
        for row in read_rows(cb, "people_directory", ["id", "full_name"], [("id", "in", ids[start : start + 100])])
    }


def counted(bookings: list[dict[str, Any]]) -> str:
    """How many bookings, and of how many seats."""
    seats = sum(row["seats"] for row in bookings)
    said = "1 booking" if len(bookings) == 1 else f"{len(bookings)} bookings"
    return f"{said} ({seats} seat{'' if seats == 1 else 's'})" if bookings else "no bookings"
