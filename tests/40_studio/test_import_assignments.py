"""Importing classes: names, every bad cell, clashes, links, and what only servers bring."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from tests.support.studio import Studio


def bring(studio: Studio, kind: str, *rows: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Calls import_<kind> as the owner and returns the report."""
    named = "".join(f", p_{name} => %s" for name in options)
    found = studio.db.execute(
        f"select public.import_{kind}(%s{named})", [Jsonb(list(rows)), *options.values()]
    ).fetchone()
    assert found is not None
    report: dict[str, Any] = found[0]
    return report


def row(studio: Studio, day: int = 0, **values: Any) -> dict[str, Any]:
    return {
        "date": studio.day(day).isoformat(), "start_time": "10:00", "end_time": "11:00", "instructor": "Tara Teacher",
        "class_type": "Hatha", **values,
    }  # fmt: skip


def test_names_become_rows(studio: Studio) -> None:
    report = bring(studio, "assignments", row(studio, location="hall", payment_amount="12.50", line=7), row(studio, 1))
    assert (report["rows"], report["imported"], report["errors"]) == (2, 2, [])
