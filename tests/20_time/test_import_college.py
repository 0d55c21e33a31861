"""A real college's term: 33,219 meetings, imperfect as they are."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import psycopg
import pytest

from tests.support.ledger import FAULTS
from tests.support.server import Database
from tests.support.timetables import COLLEGE, COLLEGE_ZONE, clusters, college, counted, first_come, is_one_section, uses

Connection = psycopg.Connection[Any]

pytestmark = [
    pytest.mark.skipif(not COLLEGE.exists(), reason="the college's timetable is not here (../shared/data)"),
    pytest.mark.timeout(900),
]


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return college()


@pytest.fixture
def clean(database: Database) -> Connection:
    return database.connect()


def run(db: Connection, rows: list[dict[str, Any]], mode: str, *, dry: bool = False) -> dict[str, Any]:
    row = db.execute(
        "select public.import_meetings(%s::jsonb, %s, %s, %s, 'Fall 2018')", [json.dumps(rows), COLLEGE_ZONE, mode, dry]
    ).fetchone()
    assert row is not None
    report: dict[str, Any] = row[0]
    return report


def one(db: Connection, statement: str) -> Any:
    row = db.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def test_the_dry_run_agrees_with_an_independent_count(clean: Connection, rows: list[dict[str, Any]]) -> None:
    report = run(clean, rows, "refuse", dry=True)
    names: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for kind, name in uses(row):
            names[kind].add(name)
    assert report["rows"] == len(rows)
    assert report["resources"] == {"people": len(names["person"]), "places": len(names["place"])}
    assert report["overlaps"] == counted(rows)
    assert report["overlapping_total"] == len(report["overlapping"])
    listed = {(told["kind"], told["row"] - 1, told["with"]["row"] - 1) for told in report["overlapping"]}
    assert len(listed) == report["overlapping_total"], "every pair is listed, and once"
    assert not any(is_one_section(rows[earlier], rows[later]) for _, later, earlier in listed)
    assert report["errors"] == []
    assert (
        one(clean, "select count(*) from public.meetings") == one(clean, "select count(*) from public.resources") == 0
    )


def test_skipping_imports_what_fits_and_overriding_the_rest(clean: Connection, rows: list[dict[str, Any]]) -> None:
    expected = first_come_fast(rows)
    skipped = run(clean, rows, "skip")
    assert skipped["imported"] == len(expected)
    assert {told["row"] - 1 for told in skipped["left_out"]} == set(range(len(rows))) - expected
    assert clean.execute(FAULTS).fetchall() == []

    again = run(clean, rows, "skip")
    assert (again["imported"], again["unchanged"]) == (0, len(expected))
    assert [(told["row"], told["kind"]) for told in again["left_out"]] != []
    assert len(again["left_out"]) == len(rows) - len(expected)

    forced = run(clean, rows, "override")
    assert (forced["imported"], forced["unchanged"]) == (len(rows) - len(expected), len(expected))
    assert one(clean, "select count(*) from public.meetings") == len(rows)
    groups = clean.execute("select count(*) from public.override_members group by override_id").fetchall()
    assert sorted(size for (size,) in groups) == sorted(len(cluster) for cluster in clusters(rows))
    assert clean.execute(FAULTS).fetchall() == []


def first_come_fast(rows: list[dict[str, Any]]) -> set[int]:
    """`first_come`, day by day: rows of different dates never meet."""
    days: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        days[row["date"]].append(number)
    imported = set()
    for numbers in days.values():
        imported |= {numbers[place] for place in first_come([rows[number] for number in numbers])}
    return imported


def test_refusing_leaves_nothing(clean: Connection, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(psycopg.Error, match="time_conflict"):
        run(clean, rows, "refuse")
    for table in ("meetings", "claims", "resources", "user_profiles", "locations", "overrides"):
        assert one(clean, f"select count(*) from public.{table}") == 0


def test_overriding_imports_everything_at_once(clean: Connection, rows: list[dict[str, Any]]) -> None:
    report = run(clean, rows, "override")
    expected = clusters(rows)
    assert report["imported"] == one(clean, "select count(*) from public.meetings") == len(rows)
    assert report["overrides"] == {"groups": len(expected), "meetings": sum(map(len, expected))}
    assert one(clean, "select count(*) from public.claims") == sum(len(list(uses(row))) for row in rows)
    assert clean.execute(FAULTS).fetchall() == []
