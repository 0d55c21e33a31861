"""Bookings, class schedules and classes as files: what the backend's exports give and its imports read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from classbase.client import Classbase
from classbase.errors import ClassbaseError
from classbase.importing.csv_file import FaultyFile, read_csv

Kind = Literal["bookings", "schedules", "assignments"]
PAGE = 1000


@dataclass(frozen=True)
class Layout:
    """The columns of a file of one kind, in the order they are written, and those it cannot do without."""

    columns: tuple[str, ...]
    required: tuple[str, ...]


LAYOUTS: Mapping[Kind, Layout] = {
    "bookings": Layout(
        (
            "id", "booking_id", "customer", "first_name", "last_name", "email", "phone", "class_name", "instructor",
            "class_date", "class_time", "timezone", "preferred_days", "preferred_times", "status", "booking_type",
            "package", "uses_credits", "notes", "created_by", "created_at",
        ),
        (),
    ),
    "schedules": Layout(
        (
            "id", "class_type", "day_of_week", "start_time", "end_time", "duration_minutes", "time_zone", "instructor",
            "location", "max_participants", "is_active", "effective_from", "effective_until", "notes", "called_off",
            "moved", "created_by", "created_at",
        ),
        ("class_type", "day_of_week", "start_time"),
    ),
    "assignments": Layout(
        (
            "id", "date", "start_time", "end_time", "time_zone", "instructor", "class_type", "package", "location",
            "payment_amount", "payment_type", "rate", "rate_id", "schedule_type", "booking_type", "class_status",
            "payment_status", "instructor_status", "instructor_response_at", "notes", "schedule_id", "occurs_on",
            "plan_id", "booking_ids", "assigned_by", "assigned_at", "created_at", "archived_by", "archived_at",
        ),
        ("date",),
    ),
}  # fmt: skip

# What a spreadsheet would take for a formula is led by an apostrophe, and so is what is led by apostrophes already.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def read_rows(
    path: Path,
    kind: Kind,
    names: Mapping[str, str] | None = None,
    *,
    on_read: Callable[[int], None] = lambda _: None,
    on_unread: Callable[[list[str]], None] = lambda _: None,
) -> list[dict[str, str | int]]:
    """The rows of a CSV file as the backend's import of that kind takes them, each with its `line`.

    Args:
        path: the file, in UTF-8 with a header.
        kind: what it holds.
        names: what a column is called in this file, where that differs.
        on_read: told how many bytes have been read so far.
        on_unread: told the headings that mean nothing here.

    Raises:
        FaultyFile: it is no such table.
        OSError: it cannot be opened.
    """
    layout = LAYOUTS[kind]
    rows = read_csv(
        path, layout.columns, names, required=layout.required, on_read=on_read, on_unread=on_unread
    )  # fmt: skip
    return [{column: _unprotected(value) for column, value in row.items()} for row in rows]


def send_rows(
    cb: Classbase,
    kind: Kind,
    rows: Sequence[Mapping[str, str | int]],
    *,
    on_conflict: str = "refuse",
    dry_run: bool = False,
) -> dict[str, Any]:
    """Imports rows in one call and returns the report; a refused import says what a dry run would have said.

    Raises:
        ClassbaseError: the backend refused for another reason than the rows, or could not be reached.
    """
    plain = [dict(row) for row in rows]
    try:
        if kind == "bookings":
            report = cb.studio.import_bookings(plain, dry_run=dry_run)
        elif kind == "schedules":
            report = cb.studio.import_schedules(plain, dry_run=dry_run, on_conflict=on_conflict)
        else:
            report = cb.studio.import_assignments(plain, dry_run=dry_run, on_conflict=on_conflict)
    except ClassbaseError as error:
        report = error.context.get("report")
        if report is None:
            raise
    assert isinstance(report, dict)
    return report


def unread(error: FaultyFile) -> dict[str, Any]:
    """The report of a file of which no row could be read."""
    errors = [
        {"row": None, "line": fault.line, "column": fault.column, "code": "invalid_input", "reason": fault.reason}
        for fault in error.faults
    ]
    return {
        "rows": 0, "imported": 0, "present": 0, "left_out": [], "clashes": [], "clashes_total": 0, "refused": True,
        "errors": errors, "errors_total": len(errors),
    }  # fmt: skip


def fetch_rows(
    cb: Classbase, kind: Kind, *, first: date | None = None, last: date | None = None, page: int = PAGE
) -> list[dict[str, Any]]:
    """All rows of a kind as plain values, in the order people read them; classes of the days from `first` to `last`.

    Raises:
        ClassbaseError: the backend refused or could not be reached.
    """
    rows = list(_pages(cb, kind, first, last, page))
    orders: dict[Kind, tuple[str, ...]] = {
        "bookings": ("created_at",),
        "schedules": ("day_of_week", "start_time"),
        "assignments": ("date", "start_time"),
    }
    return sorted(rows, key=lambda row: (*(str(row[column] or "") for column in orders[kind]), row["id"]))


def _pages(cb: Classbase, kind: Kind, first: date | None, last: date | None, page: int) -> Iterator[dict[str, Any]]:
    after: UUID | None = None
    while True:
        if kind == "bookings":
            answer: Any = cb.studio.export_bookings(after=after, limit=page)
        elif kind == "schedules":
            answer = cb.studio.export_schedules(after=after, limit=page)
        else:
            answer = cb.studio.export_assignments(from_=first, to=last, after=after, limit=page)
        yield from answer
        if len(answer) < page:
            return
        after = UUID(answer[-1]["id"])


def to_csv(kind: Kind, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as CSV (RFC 4180, UTF-8, with a header) that `read_rows` reads back as they were.

    A cell that a spreadsheet would take for a formula is led by an apostrophe.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, LAYOUTS[kind].columns)
    writer.writeheader()
    for row in rows:
        writer.writerow({column: _cell(row[column]) for column in LAYOUTS[kind].columns})
    return text.getvalue().encode()


def to_json(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as a JSON array, in UTF-8."""
    return (json.dumps(list(rows), indent=2, ensure_ascii=False, default=str) + "\n").encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) else text


def _unprotected(value: str | int) -> str | int:
    return value[1:] if isinstance(value, str) and value.startswith("'") and _FORMULA.match(value) else value
