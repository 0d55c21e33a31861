"""Importing a timetable: every kind of bad row, and what is refused as a whole; nothing is half-imported."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.calls import refused
from tests.support.importing import Connection, contents, count, run
from tests.support.ledger import Ledger
from tests.support.timetables import lesson

BAD = [
    ({"date": ""}, "date", "2018-09-04"),
    ({"date": "4.9.2018"}, "date", "2018-09-04"),
    ({"date": "2018-02-29"}, "date", "2018-09-04"),
    ({"date": "1969-12-31"}, "date", "1970"),
    ({"date": "2200-01-01"}, "date", "2199"),
    ({"date": None}, "date", "2018-09-04"),
    ({"start_time": "9 am"}, "start_time", "09:30"),
    ({"start_time": "24:00"}, "start_time", "23:59"),
    ({"start_time": "09:60"}, "start_time", "09:30"),
    ({"end_time": ""}, "end_time", "24:00"),
    ({"end_time": "25:00"}, "end_time", "10:45"),
    ({"end_time": "09:00"}, "end_time", "after the start (09:00)"),
    ({"end_time": "08:00"}, "end_time", "after the start"),
    ({"date": "2018-03-11", "start_time": "02:30"}, "start_time", "does not exist in America/New_York"),
    ({"date": "2018-03-11", "start_time": "01:00", "end_time": "02:30"}, "end_time", "does not exist"),
    ({"title": " ", "course": "\u0001"}, "title", "called"),
    ({"title": "x" * 501}, "title", "500"),
    ({"crn": "x" * 201}, "crn", "200"),
    ({"course": "x" * 201}, "course", "200"),
    ({"section": "x" * 201}, "section", "200"),
    ({"instructor": "x" * 201}, "instructor", "200"),
    ({"location": "x" * 201}, "location", "200"),
    ({"capacity": "-1"}, "capacity", "whole number"),
    ({"capacity": "1.5"}, "capacity", "whole number"),
    ({"enrolled": "many"}, "enrolled", "whole number"),
    ({"enrolled": "9999999999"}, "enrolled", "whole number"),
]


@pytest.mark.parametrize(("change", "column", "reason"), BAD, ids=lambda value: str(value)[:40])
def test_a_bad_row_is_told_and_nothing_is_imported(
    db: Connection, change: dict[str, Any], column: str, reason: str
) -> None:
    rows = [lesson("1", "Room A"), {**lesson("2", "Room B", "Bo"), **change}]
    for mode in ("refuse", "skip", "override"):
        with refused("invalid_input") as refusal:
            run(db, rows, mode)
        [error] = refusal.details["errors"]
        assert (error["row"], error["line"], error["column"], error["field"]) == (2, 3, column, column)
        assert reason in error["reason"]
        assert f"Line 3, {column}" in refusal.message
        assert count(db, "meetings") == count(db, "resources") == 0
        assert run(db, rows, mode, p_dry_run=True)["errors"] == [
            {key: error[key] for key in ("row", "line", "column", "code", "reason", "value")}
        ]


def test_every_fault_of_every_row_is_told_at_once(db: Connection) -> None:
    rows = [
        lesson("1", "Room A", date="x", capacity="y", line="17"),
        lesson("2", "Room A"),
        lesson("3", "Room A", start_time="z", end_time=""),
    ]
    with refused("invalid_input") as refusal:
        run(db, rows)
    told = [(e["line"], e["column"], e["value"]) for e in refusal.details["errors"]]
    assert told == [(17, "date", "x"), (17, "capacity", "y"), (4, "start_time", "z"), (4, "end_time", "")]
    assert refusal.details["count"] == 4
    report = run(db, [*rows, lesson("4", "Room A")], p_dry_run=True)
    assert report["errors_total"] == 4
    assert report["overlaps"]["place"]["meetings"] == 1, "the good rows are compared all the same"


def test_a_thousand_faults_are_listed_and_all_are_counted(db: Connection) -> None:
    report = run(db, [lesson(str(number), date="x") for number in range(1200)], p_dry_run=True)
    assert (len(report["errors"]), report["errors_total"]) == (1000, 1200)


def test_beyond_the_horizon_every_row_is_named(db: Connection, ledger: Ledger) -> None:
    ledger.place("Room A")
    soon, late = (ledger.one(f"select (private.today() + {days})::text") for days in (30, 500))
    rows = [lesson("1", "Room A", date=soon), lesson("2", "Room A", date=late), lesson("3", "", "New", date=late)]
    before = contents(db)
    for mode in ("refuse", "skip", "override"):
        with refused("limit_exceeded") as refusal:
            run(db, rows, mode)
        assert [(e["row"], e["column"], e["value"]) for e in refusal.details["errors"]] == [
            (2, "date", late),
            (3, "date", late),
        ]
    assert contents(db) == before
    assert [e["code"] for e in run(db, rows, p_dry_run=True)["errors"]] == ["limit_exceeded"] * 2


@pytest.mark.parametrize(
    ("rows", "more", "field"),
    [
        ([], {}, "p_rows"),
        ({"crn": "1"}, {}, "p_rows"),
        (None, {}, "p_rows"),
        (["text"], {}, "p_rows"),
        ([lesson("1"), {"instructr": "Ann"}], {}, "p_rows"),
        ([lesson()], {"p_time_zone": "Mars/Olympus"}, "p_time_zone"),
        ([lesson()], {"p_on_conflict": "merge"}, "p_on_conflict"),
        ([lesson()], {"p_on_conflict": None}, "p_on_conflict"),
        ([lesson()], {"p_dry_run": None}, "p_dry_run"),
        ([lesson()], {"p_label": "x" * 201}, "p_label"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_arguments_that_make_no_sense_are_named(db: Connection, rows: Any, more: dict[str, Any], field: str) -> None:
    with refused("invalid_input") as refusal:
        run(db, rows, **more)
    assert refusal.details["field"] == field


def test_more_rows_than_allowed_are_refused_before_they_are_read(db: Connection) -> None:
    db.execute("update public.settings set value = '2' where key = 'import_rows_limit'")
    with refused("limit_exceeded") as refusal:
        run(db, [lesson(date="x")] * 3)
    assert (refusal.details["limit"], refusal.details["rows"]) == (2, 3)


def test_a_crowd_in_one_place_is_named_before_it_is_compared(db: Connection) -> None:
    with refused("limit_exceeded") as refusal:
        run(db, [lesson(str(number), "Online") for number in range(6400)], p_dry_run=True)
    assert refusal.details == {"name": "Online", "date": "2018-10-01", "rows": 6400, "field": "p_rows"}
