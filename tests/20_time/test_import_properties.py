"""Small timetables of every shape, against what plain Python makes of them (tests/support/timetables.py)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.support.ledger import FAULTS
from tests.support.timetables import Row, clusters, counted, first_come, lesson, numbered, said

Connection = psycopg.Connection[Any]

TIMES = [f"{hour:02}:{minute:02}" for hour in (9, 10, 11) for minute in (0, 30)]
ZONE = "Europe/Paris"


@st.composite
def lessons(draw: st.DrawFn) -> dict[str, Any]:
    """A row on a grid so coarse that rows meet, follow each other, and say the same."""
    start = draw(st.integers(0, len(TIMES) - 2))
    end = draw(st.integers(start + 1, len(TIMES) - 1))
    return lesson(
        draw(st.sampled_from(["", "1", "2", "3"])),
        draw(st.sampled_from(["", "Room A", "Room B"])),
        draw(st.sampled_from(["", "Ann", "Bo"])),
        f"{TIMES[start]}-{TIMES[end]}",
        date=draw(st.sampled_from(["2018-10-01", "2018-10-02"])),
    )


timetables = st.lists(lessons(), min_size=1, max_size=12)
examples = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@contextmanager
def undone(db: Connection) -> Iterator[None]:
    with db.transaction(force_rollback=True):
        yield


def run(db: Connection, rows: Sequence[Row], mode: str, *, dry: bool = False) -> dict[str, Any]:
    row = db.execute(
        "select public.import_meetings(%s, %s, %s, %s)", [Jsonb([dict(row) for row in rows]), ZONE, mode, dry]
    ).fetchone()
    assert row is not None
    report: dict[str, Any] = row[0]
    return report


def faults(db: Connection) -> list[Any]:
    return db.execute(FAULTS).fetchall()


def imported(db: Connection) -> set[str]:
    return {title for (title,) in db.execute("select title from public.meetings")}


@given(rows=timetables)
@examples
def test_a_dry_run_counts_what_python_counts(db: Connection, rows: Sequence[Row]) -> None:
    report = run(db, rows, "refuse", dry=True)
    assert report["overlaps"] == counted(rows)
    assert report["overlapping_total"] == sum(kind["meetings"] for kind in counted(rows).values())
    assert report["repeated"] == len(rows) - len({said(row) for row in rows})


@given(before=st.lists(lessons(), max_size=3), rows=timetables)
@examples
def test_skipping_is_first_come_first_served(db: Connection, before: Sequence[Row], rows: Sequence[Row]) -> None:
    """Whatever stood in the ledger before goes first; it is of no section of the file."""
    before = [{**row, "crn": f"before {number}", "title": f"Before {number}"} for number, row in enumerate(before)]
    rows = numbered(rows)
    with undone(db):
        stood = [before[number] for number in first_come(before)]
        if before:
            run(db, before, "skip")
        report = run(db, rows, "skip")
        expected = first_come(rows, stood)
        assert imported(db) == {row["title"] for row in stood} | {f"Row {number}" for number in expected}
        assert sorted(told["row"] - 1 for told in report["left_out"]) == sorted(set(range(len(rows))) - set(expected))
        assert {told["with"]["title"] for told in report["left_out"]} <= imported(db)
        assert faults(db) == []


@given(rows=timetables)
@examples
def test_overriding_imports_everything_in_one_group_a_cluster(db: Connection, rows: Sequence[Row]) -> None:
    rows = numbered(rows)
    with undone(db):
        report = run(db, rows, "override")
        assert (report["imported"], len(imported(db))) == (len(rows), len(rows))
        groups = db.execute(
            "select array_agg(substr(m.title, 5)::integer) from public.override_members s "
            "join public.meetings m on m.id = s.source_id and s.source_table = 'meetings' group by s.override_id"
        ).fetchall()
        assert {frozenset(group) for (group,) in groups} == clusters(rows)
        assert faults(db) == []


@given(first=timetables, second=timetables)
@examples
def test_overriding_in_two_imports_groups_as_in_one(
    db: Connection, first: Sequence[Row], second: Sequence[Row]
) -> None:
    rows = numbered([*first, *second])
    with undone(db):
        run(db, rows[: len(first)], "override")
        run(db, rows[len(first) :], "override")
        groups = db.execute(
            "select array_agg(substr(m.title, 5)::integer) from public.override_members s "
            "join public.meetings m on m.id = s.source_id group by s.override_id"
        ).fetchall()
        assert {frozenset(group) for (group,) in groups} == clusters(rows)
        assert faults(db) == []


@given(rows=timetables)
@examples
def test_refusing_is_all_or_nothing(db: Connection, rows: Sequence[Row]) -> None:
    once = list({said(row): row for row in rows}.values())
    fits = all(kind["meetings"] == 0 for kind in counted(once).values())
    with undone(db):
        if not fits:
            with pytest.raises(psycopg.Error, match="time_conflict"), db.transaction():
                run(db, rows, "refuse")
            assert db.execute("select from public.resources union all select from public.meetings").fetchall() == []
        else:
            report = run(db, rows, "refuse")
            assert report["imported"] == len(once)
            again = run(db, rows, "refuse")
            assert (again["imported"], again["unchanged"]) == (0, report["imported"])
        assert faults(db) == []


@given(pairs=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), max_size=60))
@examples
def test_connected_nodes_are_found(db: Connection, pairs: list[tuple[int, int]]) -> None:
    together: dict[int, set[int]] = {}
    for one, other in pairs:
        merged = together.get(one, {one}) | together.get(other, {other})
        together.update(dict.fromkeys(merged, merged))
    found = db.execute(
        "select node, root from private.connected(%s::integer[], %s::integer[])",
        [[one for one, _ in pairs], [other for _, other in pairs]],
    ).fetchall()
    assert dict(found) == {node: min(group) for node, group in together.items()}


def test_a_long_chain_is_one_cluster_and_every_other_row_fits(db: Connection) -> None:
    """Each row overlaps the next, in turns by its room and by its teacher."""
    length = 3000
    rows = [
        lesson(
            str(number),
            f"Room {(number + 1) // 2}",
            f"Ann {number // 2}",
            "09:00-10:00" if number % 2 else "09:30-10:30",
        )
        for number in range(length)
    ]
    assert run(db, rows, "skip", dry=True)["imported"] == length // 2
    assert run(db, rows, "override", dry=True)["overrides"] == {"groups": 1, "meetings": length}
