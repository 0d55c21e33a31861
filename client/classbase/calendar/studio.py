"""A studio's week: its classes, and the dates of schedules that have no class of their own yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from classbase.calendar.entries import Entry, read_entries
from classbase.client import Classbase
from classbase.importing.studio import fetch_rows

MARKS = {"pending": "?", "accepted": "✓", "rejected": "✗ rejected"}


def read_week(
    cb: Classbase, monday: date, zone: ZoneInfo, resource_ids: list[UUID] | None = None, names: Iterable[str] = ()
) -> tuple[list[Entry], list[Mapping[str, Any]]]:
    """The week's entries, and those of its classes whose time is not arranged.

    Classes that were called off are left out; those an instructor rejected, and which therefore take nobody's time,
    are there all the same.

    Args:
        cb: the backend.
        monday: first day, in `zone`.
        zone: whose days these are, and the zone of the entries' times.
        resource_ids: only what these take part in; everything when None.
        names: what these are called, to find the classes they rejected.

    Raises:
        ClassbaseError: the backend refused or could not be reached.
    """
    last = monday + timedelta(days=6)
    known = {
        entry.source_id: entry
        for entry in read_entries(cb, monday, last, zone, resource_ids)
        if entry.kind == "class_assignment"
    }
    schedules = [
        entry for entry in read_entries(cb, monday, last, zone, resource_ids) if entry.kind == "class_schedule"
    ]
    called = set(names)
    entries = list(schedules)
    untimed: list[Mapping[str, Any]] = []
    # A day more on either side: the class's own zone may be on another date.
    day = timedelta(days=1)
    for row in fetch_rows(cb, "assignments", first=monday - day, last=last + day):
        mine = resource_ids is None or UUID(row["id"]) in known or {row["instructor"], row["location"]} & called
        if row["class_status"] == "cancelled" or not mine:
            continue
        if row["start_time"] is None:
            if monday <= date.fromisoformat(row["date"]) <= last:
                untimed.append(row)
            continue
        entry = known.get(UUID(row["id"])) or _entry(row, zone)
        if monday <= entry.starts_at.date() <= last:
            entries.append(replace(entry, title=title(row)))
    return sorted(entries, key=lambda entry: (entry.starts_at, entry.ends_at, entry.title, entry.uid)), untimed


def title(row: Mapping[str, Any]) -> str:
    """What a class is called in the week: what, who, whether they said yes, how many booked, whether it is over."""
    mark = "done" if row["class_status"] == "completed" else MARKS[row["instructor_status"]]
    booked = len((row["booking_ids"] or "").split("; ")) if row["booking_ids"] else 0
    parts = [row["class_type"] or row["package"] or "Class", f"{row['instructor']} {mark}"]
    return "\n".join([*parts, *([f"{booked} booked"] if booked else [])])


def _entry(row: Mapping[str, Any], zone: ZoneInfo) -> Entry:
    starts, ends = (_instant(row["date"], row[column], row["time_zone"]) for column in ("start_time", "end_time"))
    return Entry(
        "class_assignments",
        UUID(row["id"]),
        date.fromisoformat(row["date"]),
        "class_assignment",
        "",
        starts.astimezone(zone),
        ends.astimezone(zone),
        (row["instructor"],),
        (row["location"],) if row["location"] else (),
        (),
    )


def _instant(day: str, wall: str, zone: str) -> datetime:
    # Midnight at the end of a day is 24:00 in the database.
    late = wall.startswith("24:")
    local = datetime.combine(date.fromisoformat(day), time() if late else time.fromisoformat(wall), ZoneInfo(zone))
    return (local + timedelta(days=1) if late else local).astimezone(UTC)
