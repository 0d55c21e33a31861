"""The calendar as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

from classbase.calendar.entries import Entry

COLUMNS = (
    "source_table",
    "source_id",
    "occurs_on",
    "kind",
    "title",
    "starts_at",
    "ends_at",
    "people",
    "places",
    "equipment",
)


def to_rows(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Occurrences as plain values: instants in ISO 8601 with their offset, names as lists."""
    return [
        {
            "source_table": entry.source_table,
            "source_id": str(entry.source_id),
            "occurs_on": entry.occurs_on.isoformat(),
            "kind": entry.kind,
            "title": entry.title,
            "starts_at": entry.starts_at.isoformat(),
            "ends_at": entry.ends_at.isoformat(),
            "people": list(entry.people),
            "places": list(entry.places),
            "equipment": list(entry.equipment),
        }
        for entry in entries
    ]


def to_json(entries: Iterable[Entry]) -> bytes:
    """Occurrences as a JSON array, in UTF-8."""
    return (json.dumps(to_rows(entries), indent=2, ensure_ascii=False) + "\n").encode()


def to_csv(entries: Iterable[Entry]) -> bytes:
    """Occurrences as CSV (RFC 4180, UTF-8, with a header); several names are separated by semicolons.

    A cell that a spreadsheet would take for a formula is led by an apostrophe.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    for row in to_rows(entries):
        plain = {key: "; ".join(value) if isinstance(value, list) else value for key, value in row.items()}
        writer.writerow(
            {key: f"'{value}" if value[:1] in "=+-@\t\r" and value else value for key, value in plain.items()}
        )
    return text.getvalue().encode()
