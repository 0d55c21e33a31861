"""Importing classes: names, every bad cell, clashes, links, and what only servers bring."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import refused
from tests.support.identity import as_user
from tests.support.rest import Rest
from tests.support.studio import Studio
from tests.support.world import World


def bring(studio: Studio, kind: str, *rows: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Calls import_<kind> as the owner and returns the report."""
    named = "".join(f", p_{name} => %s" for name in options)
    found = studio.db.execute(
        f"select public.import_{kind}(%s{named})", [Jsonb(list(rows)), *options.values()]
    ).fetchone()
    assert found is not None
    report: dict[str, Any] = found[0]
    return report


def row(studio: Studio, day: int = 0, start: str = "10:00", end: str = "11:00", **values: Any) -> dict[str, Any]:
    return {
        "date": studio.day(day).isoformat(), "start_time": start, "end_time": end, "instructor": "Tara Teacher",
        "class_type": "Hatha", **values,
    }  # fmt: skip


def count(studio: Studio, table: str = "class_assignments") -> int:
    found = studio.db.execute(f"select count(*) from public.{table}").fetchone()
    assert found is not None
    return int(found[0])


def faults(report: dict[str, Any]) -> set[tuple[int, str]]:
    return {(error["line"], error["column"]) for error in report["errors"]}


def test_names_ids_and_addresses_become_rows(studio: Studio) -> None:
    report = bring(
        studio, "assignments",
        row(studio, location="hall", payment_amount="12.50", line=7), row(studio, 1, instructor=studio.other.email),
        row(studio, 2, instructor=str(studio.other.profile_id), class_type=str(studio.hatha), notes=" two\nlines "),
    )  # fmt: skip
    assert (report["rows"], report["imported"], report["errors"]) == (3, 3, [])
    found = studio.db.execute(
        "select instructor_name, class_type_name, location_name, payment_amount::text, notes, instructor_status from public.assignment_details order by date"
    ).fetchall()
    assert found == [
        ("Tara Teacher", "Hatha", "Hall", "12.50", None, "pending"), ("Odo Other", "Hatha", None, "0.00", None, "pending"),
        ("Odo Other", "Hatha", None, "0.00", "two\nlines", "pending"),
    ]  # fmt: skip


def test_every_bad_cell_is_named_and_nothing_is_imported(studio: Studio, world: World) -> None:
    for _ in range(2):
        world.user("instructor", full_name="Twin")
    ended = studio.booking()
    rows = [
        row(studio, instructor="Nobody", line=2), row(studio, 1, class_type="Zumba", location="Moon", line=3),
        row(studio, 2, start="25:00", end="9", payment_amount="-1", line=4), row(studio, 3, end="09:00", line=5),
        row(studio, 4, instructor="twin", line=6), row(studio, 5, booking_ids="YOG-20200101-0000", line=7),
        row(studio, 6, line=8), row(studio, 7, class_status="completed", line=9), row(studio, 8, payment_type="weekly", line=10),
        row(studio, 300, line=11), {"date": "2026-02-30", "line": 12}, row(studio, 9, schedule_id=str(studio.hatha), line=13),
        row(studio, 10, id="x", line=14), row(studio, 11, booking_ids="; ".join([ended.booking_id, "YOG-20200101-0001"]), line=15),
    ]  # fmt: skip
    dry = bring(studio, "assignments", *rows, dry_run=True)
    assert faults(dry) == {
        (2, "instructor"), (3, "class_type"), (3, "location"), (4, "start_time"), (4, "end_time"), (4, "payment_amount"), (5, "end_time"),
        (6, "instructor"), (7, "booking_ids"), (9, "class_status"), (10, "payment_type"), (11, "date"), (12, "date"), (13, "schedule_id"),
        (14, "id"), (15, "booking_ids"),
    }  # fmt: skip
    assert dry["errors_total"] == len(dry["errors"])
    assert next(error for error in dry["errors"] if error["line"] == 6)["reason"].startswith("2 are called so")
    assert (dry["imported"], dry["refused"]) == (0, True)
    with refused("invalid_input") as refusal:
        bring(studio, "assignments", *rows)
    assert refusal.message.startswith("Nothing was imported. Line 2, instructor: ")
    assert refusal.details["report"]["errors"] == dry["errors"]
    assert count(studio) == 0


def test_what_is_in_the_way_is_told_or_left_out(studio: Studio) -> None:
    there = studio.assignment(0)
    studio.schedule(3, "10:00", "11:00", location_id=studio.room)
    rows = [
        row(studio, 0, "10:30", "11:30", line=2), row(studio, 1, line=3), row(studio, 1, "10:59", "12:00", line=4),
        row(studio, 1, "11:30", "12:30", line=5), row(studio, 2, instructor="Odo Other", location="Hall", line=6), row(studio, 4, line=7),
    ]  # fmt: skip
    told = bring(studio, "assignments", *rows, dry_run=True)
    assert [(clash["line"], clash["conflict_type"], clash.get("with_line")) for clash in told["clashes"]] == [
        (2, "instructor_assignment", None), (3, "instructor_assignment", 4), (4, "instructor_assignment", 3), (4, "instructor_assignment", 5),
        (5, "instructor_assignment", 4), (6, "location_schedule", None),
    ]  # fmt: skip
    assert told["clashes"][0]["source_id"] == str(there.id)
    assert told["refused"]
    with refused("time_conflict") as refusal:
        bring(studio, "assignments", *rows)
    assert refusal.details["count"] == 6
    assert count(studio) == 1
    skipped = bring(studio, "assignments", *rows, on_conflict="skip")
    assert [clash["line"] for clash in skipped["left_out"]] == [2, 4, 6]
    assert (skipped["imported"], count(studio)) == (3, 4)
    again = bring(studio, "assignments", *rows, on_conflict="skip")
    assert (again["imported"], again["present"], len(again["left_out"])) == (0, 3, 3)


def test_a_date_of_a_schedule_is_taken_over_once(studio: Studio) -> None:
    schedule = studio.schedule(1, "10:00", "11:00", location_id=studio.room)
    one = {"date": studio.day(7).isoformat(), "schedule_id": str(schedule.id)}
    report = bring(
        studio,
        "assignments",
        {**one, "line": 2},
        {**one, "instructor": "Odo Other", "start_time": "", "end_time": "", "line": 3},
        dry_run=True,
    )
    assert {(clash["line"], clash["conflict_type"]) for clash in report["clashes"]} == {
        (2, "schedule_date"),
        (3, "schedule_date"),
    }
    # What the file has no column for is the schedule's; an empty cell says that there is none.
    assert bring(studio, "assignments", {**one, "location": ""})["imported"] == 1
    made = studio.db.execute(
        "select instructor_id, location_id, start_time::text, schedule_type from public.class_assignments"
    ).fetchall()
    assert made == [(studio.teacher.profile_id, None, "10:00:00", "weekly")]
    assert studio.claims(studio.teacher.profile_id, 7, 7) == [("class_assignments", studio.day(7))]


def test_links_confirm_bookings_within_the_room_there_is(studio: Studio) -> None:
    codes = [studio.booking().booking_id for _ in range(5)]
    report = bring(studio, "assignments", row(studio, booking_ids="; ".join(codes)), dry_run=True)
    assert [(error["column"], error["code"]) for error in report["errors"]] == [("booking_ids", "seats_full")]
    bring(studio, "assignments", row(studio, booking_ids="; ".join(codes[:4])))
    assert [studio.status(code) for code in codes] == ["confirmed"] * 4 + ["pending"]
    # Elsewhere it had been completed by then; nobody else links what has ended.
    studio.db.execute("update public.bookings set status = 'completed' where booking_id = %s", [codes[0]])
    bring(studio, "assignments", row(studio, 1, booking_ids=codes[0]))
    other = studio.assignment(2)
    with refused("illegal_transition"):
        studio.link(other.id, codes[0])
    assert studio.status(codes[0]) == "completed"


def test_closed_pay_periods_stay_as_they_are(studio: Studio) -> None:
    day = (studio.today - studio.monday).days - 10
    studio.db.execute(
        "insert into public.pay_periods (name, starts_on, ends_on) values ('Past', %s, %s)",
        [studio.day(day), studio.day(day)],
    )
    studio.db.execute("select public.close_pay_period('Past')")
    report = bring(studio, "assignments", row(studio, day, class_status="completed"), dry_run=True)
    assert [(error["column"], error["reason"]) for error in report["errors"]] == [
        ("date", "The pay period Past is closed")
    ]


def test_who_may(studio: Studio, world: World) -> None:
    with refused("forbidden"), as_user(studio.db, world.user("staff")):
        bring(studio, "assignments", row(studio))
    manager = world.user("manager")
    with as_user(studio.db, manager):
        history = {"assigned_at": "2026-01-01T00:00:00Z", "created_at": "2026-01-01T00:00:00Z"}
        report = bring(studio, "assignments", row(studio, **history), dry_run=True)
        assert {error["column"] for error in report["errors"]} == set(history)
        assert bring(studio, "assignments", row(studio, instructor_status="accepted"))["imported"] == 1
    made = studio.db.execute("select assigned_by, instructor_status from public.class_assignments").fetchall()
    assert made == [(manager.id, "accepted")]


@pytest.mark.parametrize(
    "rows", [{}, [], [1], [{"colour": "red"}], [{"line": 1}, {"date": "2026-01-01", "salary": "1"}]]
)
def test_what_is_no_list_of_such_rows(studio: Studio, rows: Any) -> None:
    with refused("invalid_input"):
        studio.db.execute("select public.import_assignments(%s)", [Jsonb(rows)])
    with refused("invalid_input"):
        studio.db.execute("select public.import_assignments(%s, p_on_conflict => 'override')", [Jsonb([row(studio)])])


def test_over_rest_once_for_one_key(studio: Studio, rest: Rest, world: World) -> None:
    manager = world.user("manager")
    body = {"p_rows": [row(studio), row(studio, 1)], "p_idempotency_key": "one"}
    first = rest.post("/rpc/import_assignments", json=body, user=manager)
    assert first.status_code == 200, first.text
    assert first.json()["imported"] == 2
    assert rest.post("/rpc/import_assignments", json=body, user=manager).json() == first.json()
    answer = rest.post(
        "/rpc/import_assignments", json={"p_rows": [row(studio, instructor="Nobody", line=9)]}, user=manager
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert json_line(answer.json()) == 9
    assert count(studio) == 2


def json_line(body: dict[str, Any]) -> int:
    details = body["details"]
    if isinstance(details, str):
        import json

        details = json.loads(details)
    return int(details["errors"][0]["line"])


def test_thousands_in_one_call(studio: Studio, world: World) -> None:
    people = [world.user("instructor", full_name=f"Instructor {number}") for number in range(20)]
    rows = [
        row(studio, day, f"{hour:02d}:00", f"{hour + 1:02d}:00", instructor=person.full_name)
        for day in range(14) for hour in range(8, 18) for person in people[:11]
    ]  # fmt: skip
    assert bring(studio, "assignments", *rows)["imported"] == len(rows) == 1540
    assert count(studio) == len(rows)
