"""Importing bookings and class schedules: names, days, dates called off, clashes, rights."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import refused
from tests.support.identity import as_user
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


def weekly(studio: Studio, day: str = "Monday", start: str = "10:00", **values: Any) -> dict[str, Any]:
    return {
        "class_type": "hatha", "day_of_week": day, "start_time": start, "instructor": "Tara Teacher",
        "effective_from": studio.monday.isoformat(), **values,
    }  # fmt: skip


def faults(report: dict[str, Any]) -> set[tuple[int, str]]:
    return {(error["line"], error["column"]) for error in report["errors"]}


def test_what_is_left_out_is_worked_out(studio: Studio) -> None:
    report = bring(
        studio,
        "schedules",
        weekly(studio),
        weekly(studio, "2", duration_minutes="45"),
        weekly(studio, "sat", end_time="12:00", location="HALL"),
    )
    assert (report["imported"], report["errors"], report["clashes"]) == (3, [], [])
    found = studio.db.execute(
        "select day_of_week, start_time::text, end_time::text, duration_minutes, location_id, is_active from public.class_schedules order by 1"
    ).fetchall()
    assert found == [
        (1, "10:00:00", "11:00:00", 60, None, True), (2, "10:00:00", "10:45:00", 45, None, True), (6, "10:00:00", "12:00:00", 120, studio.room, True),
    ]  # fmt: skip
    assert studio.claims(studio.teacher.profile_id, 0, 6) == [("weekly_rules", studio.day(day)) for day in (0, 1, 5)]


def test_dates_called_off_and_moved_come_along_and_are_in_nobodys_way(studio: Studio) -> None:
    studio.assignment(7)
    monday = weekly(
        studio,
        called_off=f"{studio.day(7)} Congress; {studio.day(14)}",
        moved=f"{studio.day(21)} > {studio.day(22)} 08:00-09:00",
    )
    assert bring(studio, "schedules", monday)["imported"] == 1
    assert studio.claims(studio.teacher.profile_id, 0, 28) == [
        ("weekly_rules", studio.day(0)), ("class_assignments", studio.day(7)), ("weekly_rules", studio.day(21)), ("weekly_rules", studio.day(28))
    ]  # fmt: skip
    reasons = studio.db.execute("select kind, reason from public.weekly_rule_exceptions order by occurs_on").fetchall()
    assert reasons == [("cancelled", "Congress"), ("cancelled", None), ("moved", None)]


def test_every_bad_cell_is_named(studio: Studio, world: World) -> None:
    left = world.user("instructor", is_active=False)
    report = bring(
        studio, "schedules",
        weekly(studio, "Someday", line=2), weekly(studio, "Tuesday", end_time="09:00", line=3), weekly(studio, "Wednesday", duration_minutes="5", line=4),
        weekly(studio, "Thursday", effective_until="2020-01-01", line=5), weekly(studio, "Friday", called_off=str(studio.monday), line=6),
        weekly(studio, "Monday", called_off="soon", moved=f"{studio.monday} > later", line=7), weekly(studio, "Sunday", class_type="", line=8),
        weekly(studio, "Saturday", instructor=left.email, line=9), weekly(studio, "Saturday", is_active="perhaps", max_participants="0", line=10),
        weekly(studio, "Saturday", start="", line=11), weekly(studio, "Saturday", max_participants="0", time_zone="Mars", line=12),
        dry_run=True,
    )  # fmt: skip
    assert faults(report) == {
        (2, "day_of_week"), (3, "end_time"), (4, "duration_minutes"), (5, "effective_until"), (6, "called_off"), (7, "called_off"), (7, "moved"),
        (8, "class_type"), (8, "end_time"), (9, "instructor"), (10, "is_active"), (11, "start_time"), (12, "max_participants"), (12, "time_zone"),
    }  # fmt: skip


def test_what_is_in_the_way_is_told_or_left_out(studio: Studio) -> None:
    standing = studio.schedule(2, "10:00", "11:00")
    studio.assignment(16, location_id=studio.room, instructor_id=studio.other.profile_id)
    rows = [
        weekly(studio, "Tuesday", "10:30", line=2), weekly(studio, "Monday", line=3), weekly(studio, "Monday", "10:30", line=4),
        weekly(studio, "Monday", "11:15", line=5), weekly(studio, "Wednesday", location="Hall", line=6), weekly(studio, "Monday", is_active="no", line=7),
        weekly(studio, "Monday", "10:30", time_zone="Asia/Kolkata", line=8),
    ]  # fmt: skip
    told = bring(studio, "schedules", *rows, dry_run=True)
    assert [(clash["line"], clash["conflict_type"], clash.get("with_line")) for clash in told["clashes"]] == [
        (2, "class_schedule", None), (3, "instructor_schedule", 4), (4, "instructor_schedule", 3), (4, "instructor_schedule", 5),
        (5, "instructor_schedule", 4), (6, "class_assignment", None),
    ]  # fmt: skip
    assert told["clashes"][0]["source_id"] == str(standing.id)
    with refused("time_conflict") as refusal:
        bring(studio, "schedules", *rows)
    assert "Line 2: Tara Teacher is already in Hatha" in refusal.message
    skipped = bring(studio, "schedules", *rows, on_conflict="skip")
    assert ([clash["line"] for clash in skipped["left_out"]], skipped["imported"]) == ([2, 4, 6], 4)
    again = bring(studio, "schedules", *rows, on_conflict="skip")
    assert (again["imported"], again["present"]) == (0, 4)


def test_bookings_of_strangers_and_customers(studio: Studio, world: World) -> None:
    package = world.insert("public.packages", name="Ten", price=1, class_count=10).id
    bea = world.user("member", full_name="Bea B")
    report = bring(
        studio, "bookings",
        {"first_name": "Ann", "email": "ANN@example.org", "preferred_days": "Mon; Tue", "booking_id": "YOG-20200101-0042", "status": "confirmed"},
        {"customer": "bea b", "package": "ten", "uses_credits": "yes", "class_time": "9:30", "status": "cancelled", "created_at": "2020-01-31T10:00:00+05:30"},
        {"first_name": "Ann"}, {"first_name": "Ann"},
    )  # fmt: skip
    assert (report["imported"], report["errors"]) == (4, [])
    found = studio.db.execute(
        "select booking_id, email, preferred_days, status from public.bookings where email is not null"
    ).fetchall()
    assert found == [("YOG-20200101-0042", "ann@example.org", ["Mon", "Tue"], "pending")]
    hers = studio.db.execute(
        "select user_id, profile_id, class_package_id, uses_credits, status, created_at at time zone 'UTC' = '2020-01-31 04:30' "
        "from public.bookings where profile_id is not null"
    ).fetchall()
    assert hers == [(bea.id, bea.profile_id, package, True, "cancelled", True)]
    # Twice the same row is two bookings; the same file again is none.
    again = bring(
        studio,
        "bookings",
        {"first_name": "Ann"},
        {"first_name": "Ann"},
        {"first_name": "Ann"},
        {"booking_id": "YOG-20200101-0042"},
    )
    assert (again["imported"], again["present"]) == (1, 3)


def test_bad_bookings_are_named(studio: Studio) -> None:
    rows = [
        {"email": "nobody", "line": 2}, {"customer": "Nobody", "line": 3}, {"status": "lost", "line": 4}, {"class_date": "31.1.2026", "line": 5},
        {"booking_id": "1", "line": 6}, {"uses_credits": "yes", "line": 7}, {"first_name": "x" * 201, "line": 8}, {"created_at": "yesterday", "line": 9},
        {"booking_id": "YOG-20200101-0001", "line": 10}, {"booking_id": "YOG-20200101-0001", "line": 11}, {"package": "None", "line": 12},
        {"preferred_days": ";".join(["Mon"] * 21), "line": 13}, {"timezone": "Mars/Olympus", "line": 14},
    ]  # fmt: skip
    with refused("invalid_input") as refusal:
        bring(studio, "bookings", *rows)
    assert faults(refusal.details["report"]) == {
        (2, "email"), (3, "customer"), (4, "status"), (5, "class_date"), (6, "booking_id"), (7, "uses_credits"), (8, "first_name"), (9, "created_at"),
        (11, "booking_id"), (12, "package"), (13, "preferred_days"), (14, "timezone"),
    }  # fmt: skip
    assert studio.db.execute("select count(*) from public.bookings").fetchone() == (0,)


def test_who_may(studio: Studio, world: World) -> None:
    staff, manager, instructor = (world.user(role) for role in ("staff", "manager", "instructor"))
    with as_user(studio.db, staff):
        assert bring(studio, "schedules", weekly(studio))["imported"] == 1
    with refused("forbidden"), as_user(studio.db, staff):
        bring(studio, "bookings", {"first_name": "Ann"})
    for kind in ("schedules", "bookings"):
        with refused("forbidden"), as_user(studio.db, instructor):
            bring(studio, kind, {"line": 1})
    with as_user(studio.db, manager):
        report = bring(
            studio, "bookings", {"booking_id": "YOG-20200101-0001", "created_by": str(staff.id)}, dry_run=True
        )
        assert {error["column"] for error in report["errors"]} == {"booking_id", "created_by"}
        assert (
            bring(studio, "bookings", {"first_name": "Ann", "status": "completed"}, {"customer": staff.email})[
                "imported"
            ]
            == 2
        )
    made = studio.db.execute("select created_by, user_id from public.bookings order by user_id nulls first").fetchall()
    assert made == [(manager.id, None), (manager.id, staff.id)]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a; b ;;c", ["a", "b", "c"]), ('["a; b", "[c]", "d\\"e\\\\"]', ["a; b", "[c]", 'd"e\\']), ("[a]; b", ["[a]", "b"]), ('["a", 1]', ['["a", 1]']),
        ("[]", []), ('["\\u0000"]', ['["\\u0000"]']), ("  ", []),
    ],
)  # fmt: skip
def test_lists_in_one_cell(studio: Studio, text: str, items: list[str]) -> None:
    found = studio.db.execute("select private.text_to_list(%s)", [text]).fetchone()
    assert found == (items,)
    back = studio.db.execute(
        "select coalesce(private.text_to_list(private.list_to_text(%s::text[])), '[]')", [items]
    ).fetchone()
    assert back == (items,)
