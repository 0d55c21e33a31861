"""A tutoring centre's week: the classes of its students, also those that were called off or moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from classbase.calendar.entries import Entry

COLUMNS = (
    "id", "student_id", "teacher_id", "date", "starts_at", "ends_at", "status", "payment_status", "source",
    "cancelled_by", "is_charged",
)  # fmt: skip
MARKS = {
    "scheduled": "",
    "completed": "✓ held",
    "missed": "✗ missed",
    "cancelled": "✗ cancelled",
    "rescheduled": "→ moved",
}


def week_span(monday: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The instants at which a week begins and ends in a zone."""
    return datetime.combine(monday, time(), zone), datetime.combine(monday + timedelta(days=7), time(), zone)


def to_entries(
    classes: Iterable[Mapping[str, Any]], students: Mapping[str, str], teachers: Mapping[str, str], zone: ZoneInfo
) -> list[Entry]:
    """Rows of `classes` as entries of a calendar, in order of time.

    Args:
        classes: rows with COLUMNS, ids and instants as text.
        students: names by id.
        teachers: names by id.
        zone: the zone of the entries' times.
    """
    entries = [
        Entry(
            "classes",
            UUID(row["id"]),
            date.fromisoformat(row["date"]),
            "class",
            title(row, students.get(row["student_id"], "?")),
            datetime.fromisoformat(row["starts_at"]).astimezone(zone),
            datetime.fromisoformat(row["ends_at"]).astimezone(zone),
            (teachers[row["teacher_id"]],) if row["teacher_id"] in teachers else (),
            (),
            (),
        )
        for row in classes
    ]
    return sorted(entries, key=lambda entry: (entry.starts_at, entry.ends_at, entry.title, entry.uid))


def title(row: Mapping[str, Any], student: str) -> str:
    """What a class is called in the week: whose it is, what became of it, and what is special about it."""
    marks = [MARKS[row["status"]]]
    if row["status"] == "cancelled":
        marks.append(f"({row['cancelled_by']}{', charged' if row['is_charged'] else ''})")
    if row["source"] == "makeup":
        marks.append("make-up")
    return "\n".join(filter(None, [student, " ".join(filter(None, marks))]))
