"""Generation by example: what is made, kept, taken away, left out and written down."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import refused
from tests.support.identity import as_user
from tests.support.tracking import Tracking, slot

MONDAYS = [slot("monday", "10:00")]


def skipped(log: Any, kind: str = "skipped") -> list[tuple[str, str, str]]:
    """Date, reason and detail of what a log row says was left out."""
    return [(row["date"], row["reason"], row["detail"]) for row in log.error_details.get(kind, [])]


def test_a_student_is_added_with_their_classes(tracking: Tracking) -> None:
    student = tracking.student([*MONDAYS, {"dayOfWeek": 4, "time": "17:30", "duration_minutes": 45}])
    rows = tracking.classes(student.id)
    assert [row.date for row in rows] == [tracking.day(n) for n in (0, 3, 7, 10, 14, 17, 21, 24)]
    first = rows[0]
    assert (first.status, first.payment_status, first.source, first.price) == ("scheduled", "pending", "generated", 40)
    assert (first.teacher_id, first.course_id) == (tracking.teacher.profile_id, tracking.course)
    assert {(row.ends_at - row.starts_at).seconds // 60 for row in rows} == {45, 60}
    [log] = tracking.logs(student.id)
    assert (log.operation, log.status, log.classes_created) == ("insert", "success", 8)
    assert tracking.findings() == []


def test_the_first_classes_lie_where_the_student_began(tracking: Tracking) -> None:
    student = tracking.student(MONDAYS, start_date=tracking.day(-20), end_date=tracking.day(8))
    assert tracking.dates(student.id) == [tracking.day(n) for n in (-14, -7, 0, 7)]
    assert tracking.missing() == []
    tracking.change(student.id, start_date=tracking.day(-35))
    assert tracking.dates(student.id) == [tracking.day(n) for n in (-35, -28, -21, -14, -7, 0, 7)]
    tracking.change(student.id, end_date=None)
    assert tracking.dates(student.id)[-1] == tracking.day(21)
    assert tracking.missing() == []


def test_who_comes_back_after_their_last_day_misses_nothing(tracking: Tracking) -> None:
    student = tracking.student(MONDAYS, end_date=tracking.day(3))
    tracking.later(days=35)
    tracking.run()
    tracking.change(student.id, end_date=None)
    assert tracking.missing() == []
    assert tracking.dates(student.id) == [tracking.day(7 * n) for n in range(9)]


@pytest.mark.parametrize(
    ("schedule", "fields"),
    [
        ([{"day": "funday", "start_time": "10:00"}], {"fixed_schedule[0]"}),
        ([slot("monday", "10:00"), slot("monday", "10:30")], {"fixed_schedule[1]"}),
        ([slot("monday", "25:00"), slot("tuesday", "23:30"), 5], {"fixed_schedule[0]", "fixed_schedule[1]", "fixed_schedule[2]"}),
        ({"monday": ["10:00", {"time": "12:00", "duration": 0}]}, {"fixed_schedule.monday[1]"}),
        ([{"day": 1, "start_time": "10:00", "end_time": "09:00"}], {"fixed_schedule[0]"}),
        ([slot("monday", "10:00")] * 101, {"fixed_schedule"}),
        ("mondays", {"fixed_schedule"}),
    ],
)  # fmt: skip
def test_a_schedule_is_refused_by_element(tracking: Tracking, schedule: Any, fields: set[str]) -> None:
    with refused("invalid_input") as told:
        tracking.world.insert(
            "public.students", first_name="X", start_date=tracking.monday, fixed_schedule=Jsonb(schedule)
        )
    assert told.fields >= fields
    assert tracking.one("select count(*) from public.students") == 0


def test_a_rerun_changes_nothing_at_all(tracking: Tracking) -> None:
    for name in "ABC":
        tracking.student([slot("monday", f"1{ord(name) % 10}:00")], first_name=name)
    before = (
        tracking.bytes(),
        tracking.one("select count(*) from public.class_generation_logs where student_id is not null"),
    )
    for _ in range(3):
        assert (tracking.run().status, tracking.run().classes_created) == ("skipped", 0)
    tracking.db.execute("update public.students set notes = 'x'")
    tracking.db.execute("update public.students set fixed_schedule = fixed_schedule")
    assert (
        tracking.bytes(),
        tracking.one("select count(*) from public.class_generation_logs where student_id is not null"),
    ) == before


def test_what_people_did_survives(tracking: Tracking) -> None:
    """Cancelled, moved, completed, annotated, paid: through reruns, and through another schedule."""
    student = tracking.student([slot("monday", "10:00"), slot("wednesday", "10:00")])
    tracking.later(hours=12)
    rows = {row.date: row.id for row in tracking.classes(student.id)}
    does = {
        0: "status = 'completed'",
        2: "status = 'cancelled', cancellation_reason = 'Ill.'",
        7: f"date = '{tracking.day(8)}', start_time = '15:00', end_time = '16:00'",
        9: "notes = 'Bring the book.'",
        14: "payment_status = 'waived'",
    }
    for number, what in does.items():
        tracking.db.execute(f"update public.classes set {what} where id = %s".encode(), [rows[tracking.day(number)]])
    kept = tracking.bytes()
    assert tracking.run().classes_created == 0
    assert tracking.bytes() == kept
    tracking.reschedule(student.id, [slot("friday", "09:00")])
    days = tracking.dates(student.id)
    assert days == [tracking.day(n) for n in (0, 2, 4, 8, 9, 11, 14, 18, 25)]
    assert {row.id for row in tracking.classes(student.id)} >= {rows[tracking.day(n)] for n in does}
    tracking.reschedule(student.id, [])
    assert tracking.dates(student.id) == [tracking.day(n) for n in (0, 2, 8, 9, 14)]


def test_todays_class_that_began_stays_with_the_old_schedule(tracking: Tracking) -> None:
    student = tracking.student(MONDAYS)
    tracking.later(hours=4, minutes=20)
    tracking.reschedule(student.id, [slot("monday", "10:30")])
    assert [f"{row.date:%d} {row.start_time:%H:%M}" for row in tracking.classes(student.id)] == [
        "07 10:00", "14 10:30", "21 10:30", "28 10:30",
    ]  # fmt: skip
    tracking.reschedule(student.id, MONDAYS)
    assert [f"{row.start_time:%H:%M}" for row in tracking.classes(student.id)] == ["10:00"] * 4
    assert tracking.findings() == []


def test_a_schedule_is_changed_before_the_first_day(tracking: Tracking) -> None:
    student = tracking.student(MONDAYS, start_date=tracking.day(5))
    for start in ("10:30", "09:45", "10:15"):
        tracking.reschedule(student.id, [slot("monday", start)])
        assert tracking.dates(student.id) == [tracking.day(n) for n in (7, 14, 21)]
        assert {f"{row.start_time:%H:%M}" for row in tracking.classes(student.id)} == {start}
    assert tracking.findings() == []


@pytest.mark.parametrize(
    "zones", [("Pacific/Kiritimati", "Pacific/Pago_Pago"), ("Pacific/Pago_Pago", "Pacific/Kiritimati")]
)
def test_a_student_moves_across_the_world(tracking: Tracking, zones: tuple[str, str]) -> None:
    student = tracking.student([slot("sunday", "10:00"), slot("monday", "10:00")], time_zone=zones[0])
    tracking.change(student.id, time_zone=zones[1])
    rows = tracking.classes(student.id)
    assert {row.time_zone for row in rows if row.starts_at > tracking.now + timedelta(days=2)} == {zones[1]}
    assert tracking.findings() == []


def test_a_closure_comes_and_goes(tracking: Tracking) -> None:
    student = tracking.student([slot("monday", "10:00"), slot("tuesday", "10:00")])
    noted = tracking.classes(student.id)[2]
    tracking.db.execute("update public.classes set notes = 'Exam.' where id = %s", [noted.id])
    before = tracking.rows()
    closure = tracking.world.insert(
        "public.closures", name="Flood", starts_on=tracking.day(7), ends_on=tracking.day(15)
    )
    assert tracking.dates(student.id) == [tracking.day(n) for n in (0, 1, 7, 21, 22)]
    [log, _] = tracking.logs(student.id)
    assert (log.operation, log.status, log.classes_removed) == ("update", "success", 3)
    assert [(day, reason, why) for day, reason, why in skipped(log)] == [
        (str(tracking.day(n)), "closure", "Flood") for n in (7, 8, 14, 15)
    ]
    tracking.db.execute("update public.closures set ends_on = %s where id = %s", [tracking.day(8), closure.id])
    assert tracking.dates(student.id) == [tracking.day(n) for n in (0, 1, 7, 14, 15, 21, 22)]
    tracking.db.execute("delete from public.closures")
    assert tracking.rows() == before
    assert tracking.missing() == []


def test_a_place_that_is_closed_closes_no_class(tracking: Tracking) -> None:
    student = tracking.student(MONDAYS)
    room = tracking.world.insert("public.locations", name="Hall").id
    tracking.world.insert(
        "public.closures", name="Paint", starts_on=tracking.day(7), ends_on=tracking.day(15), location_id=room
    )
    assert len(tracking.dates(student.id)) == 4


def test_every_skip_says_why(tracking: Tracking) -> None:
    """The clock, a closure, a pause, the teacher's time off: in the log of the student who is added meanwhile."""
    tracking.clock(tracking.now.replace(month=3, day=1))
    tracking.monday = date(2027, 3, 1)
    tracking.world.insert("public.closures", name="Flood", starts_on=tracking.day(1), ends_on=tracking.day(2))
    off = tracking.world.insert(
        "public.time_off",
        resource_id=tracking.teacher.profile_id,
        starts_on=tracking.day(6),
        ends_on=tracking.day(7),
        time_zone="UTC",
    )
    tracking.db.execute("update public.time_off set status = 'approved' where id = %s", [off.id])
    student = tracking.student([slot("sunday", "02:30", 15), slot("tuesday", "10:00")], time_zone="Europe/Paris")
    [log] = tracking.logs(student.id)
    assert skipped(log) == [
        ("2027-03-02", "closure", "Flood"),
        ("2027-03-07", "time_off", "Tara Teacher"),
        ("2027-03-28", "clock", "2027-03-28 02:30 does not exist in Europe/Paris: the clock skips it"),
    ]
    assert (log.status, log.classes_created, log.error_details["count"]) == ("success", 5, 3)
    tracking.world.insert(
        "public.student_pauses",
        student_id=student.id,
        starts_on=tracking.day(8),
        ends_on=tracking.day(9),
        reason="In Rome.",
    )
    assert ("2027-03-09", "pause", "In Rome.") in skipped(tracking.logs(student.id)[0])
    assert tracking.missing() == []


def test_time_off_approved_later_leaves_the_class_for_somebody_to_cover(tracking: Tracking) -> None:
    student = tracking.student(MONDAYS)
    off = tracking.world.insert(
        "public.time_off",
        resource_id=tracking.teacher.profile_id,
        starts_on=tracking.day(7),
        ends_on=tracking.day(7),
        time_zone="UTC",
    )
    tracking.db.execute("update public.time_off set status = 'approved', keeps_claims = true where id = %s", [off.id])
    before = tracking.bytes()
    tracking.run()
    assert tracking.bytes() == before
    assert tracking.day(7) in tracking.dates(student.id)


@pytest.mark.parametrize("other", ["a student", "a studio class", "a meeting"])
def test_a_teacher_who_is_taken_is_reported_and_not_doubled(tracking: Tracking, other: str) -> None:
    teacher = tracking.teacher.profile_id
    if other == "a student":
        first = tracking.student(MONDAYS, first_name="First", end_date=tracking.day(10))
    elif other == "a studio class":
        first = tracking.world.insert(
            "public.class_assignments",
            instructor_id=teacher,
            date=tracking.day(7),
            start_time="10:30",
            end_time="11:30",
            time_zone="UTC",
            payment_amount=0,
        )
    else:
        first = tracking.world.insert(
            "public.meetings",
            title="Board",
            date=tracking.day(7),
            start_time="10:30",
            end_time="11:30",
            time_zone="UTC",
        )
        tracking.world.insert("public.meeting_participants", meeting_id=first.id, resource_id=teacher)
    second = tracking.student(MONDAYS, first_name="Second")
    taken = [tracking.day(n) for n in ((0, 7) if other == "a student" else (7,))]
    assert tracking.dates(second.id) == [day for n in (0, 7, 14, 21) if (day := tracking.day(n)) not in taken]
    [log] = tracking.logs(second.id)
    assert log.status == "partial"
    assert [(day, reason) for day, reason, _ in skipped(log, "not_possible")] == [
        (str(day), "teacher_taken") for day in taken
    ]
    assert all("Tara Teacher is already in" in why for _, _, why in skipped(log, "not_possible"))
    [(entity, message)] = tracking.missing()
    assert entity == str(second.id)
    assert str(taken[0]) in message
    assert tracking.one("select count(*) from private.ledger_difference()") == 0
    # Once the time is free, the next run makes it.
    table = {"a student": "classes", "a studio class": "class_assignments", "a meeting": "meetings"}[other]
    tracking.db.execute(
        f"delete from public.{table} where {'student_id' if other == 'a student' else 'id'} = %s".encode(), [first.id]
    )
    if other == "a student":
        tracking.change(first.id, is_active=False)
    assert tracking.run().classes_created == len(taken)
    assert tracking.missing() == []


def test_two_wanted_teachers_for_one_student_is_the_students_conflict(tracking: Tracking) -> None:
    student = tracking.student(MONDAYS)
    tracking.world.insert(
        "public.classes",
        student_id=student.id,
        date=tracking.day(10),
        start_time="09:30",
        end_time="10:30",
        teacher_id=tracking.other.profile_id,
    )
    tracking.reschedule(student.id, [*MONDAYS, slot("thursday", "10:00")])
    [log, *_] = tracking.logs(student.id)
    assert [(day, reason) for day, reason, _ in skipped(log, "not_possible")] == [
        (str(tracking.day(10)), "student_taken")
    ]
    assert tracking.one("select count(*) from private.ledger_difference()") == 0


def test_another_teacher_takes_over_what_is_to_come(tracking: Tracking) -> None:
    student = tracking.student(MONDAYS)
    tracking.later(days=1)
    tracking.change(student.id, teacher_id=tracking.other.profile_id)
    assert [row.teacher_id for row in tracking.classes(student.id)] == [tracking.teacher.profile_id] + [
        tracking.other.profile_id
    ] * 4
    assert tracking.one("select count(*) from private.ledger_difference()") == 0


def test_who_leaves_has_no_classes_and_who_returns_misses_none(tracking: Tracking) -> None:
    student = tracking.student(MONDAYS)
    tracking.later(days=1)
    tracking.change(student.id, is_active=False)
    assert tracking.dates(student.id) == [tracking.monday]
    tracking.later(days=20)
    assert tracking.run().classes_created == 0
    tracking.change(student.id, is_active=True)
    assert tracking.dates(student.id) == [tracking.day(n) for n in (0, 21, 28, 35, 42)]
    assert tracking.missing() == []


def test_a_run_that_is_late_catches_up(tracking: Tracking) -> None:
    student = tracking.student(MONDAYS)
    tracking.later(days=70)
    findings = dict(tracking.findings())
    assert "1 students have classes through" in findings["generation_late"]
    log = tracking.run()
    assert (log.operation, log.status, log.classes_created) == ("scheduled", "success", 10)
    assert tracking.dates(student.id) == [tracking.day(7 * n) for n in range(14)]
    assert log.student_id is None
    assert [row.classes_created for row in tracking.logs(student.id) if row.run_id == log.run_id] == [10]
    assert "generation_late" not in dict(tracking.findings())


def test_bad_data_stops_only_whose_it_is(tracking: Tracking) -> None:
    """Each through another door: a price no class may have, a weekly time of nowhere, a schedule that is nonsense."""
    students = {
        name: tracking.student([slot("monday", f"1{n}:00")], first_name=name).id
        for n, name in enumerate(("Fine", "Price", "Zone", "Garbage", "Good"))
    }
    admin = tracking.world.db
    admin.execute("alter table public.students drop constraint class_price_is_an_amount")
    admin.execute("alter table public.student_schedule_slots drop constraint time_zone_exists")
    admin.execute("alter table public.students disable trigger user")
    admin.execute("alter table public.student_schedule_slots disable trigger user")
    admin.execute("update public.students set class_price = -5 where id = %s", [students["Price"]])
    admin.execute(
        """update public.students set fixed_schedule = '["bad", {"day": "x"}, [1]]' where id = %s""",
        [students["Garbage"]],
    )
    admin.execute(
        "update public.student_schedule_slots set time_zone = 'Mars/Base' where student_id = %s", [students["Zone"]]
    )
    admin.execute("alter table public.students enable trigger user")
    admin.execute("alter table public.student_schedule_slots enable trigger user")
    tracking.later(days=7)
    log = tracking.run()
    assert (log.status, log.classes_created, log.error_details["failed"]) == ("partial", 3, 1)
    made = {name: len(tracking.dates(student)) for name, student in students.items()}
    assert made == {"Fine": 5, "Good": 5, "Garbage": 5, "Price": 4, "Zone": 4}
    [failure] = [row for row in tracking.logs(students["Price"]) if row.run_id == log.run_id]
    assert (failure.status, failure.error_details["code"]) == ("failed", "23514")
    found = dict(tracking.db.execute("select entity_id, message from private.check_students_invalid()").fetchall())
    assert set(found) == {str(students[name]) for name in ("Price", "Zone", "Garbage")}
    assert "fixed_schedule[0]" in found[str(students["Garbage"])]


def test_many_at_once_leave_the_session_as_it_was(tracking: Tracking) -> None:
    """How many are planned for is nothing that the rest of the transaction is planned by."""
    settings = (
        "select current_setting('plan_cache_mode'), current_setting('work_mem'), current_setting('enable_nestloop')"
    )
    before = tracking.db.execute(settings).fetchone()
    with tracking.db.transaction():
        tracking.db.execute(
            "insert into public.students (first_name, start_date, fixed_schedule) "
            "select 'Student ' || g, %s, %s from generate_series(1, 101) g",
            [tracking.monday, Jsonb(MONDAYS)],
        )
        assert tracking.db.execute(settings).fetchone() == before
    made = tracking.db.execute("select count(*) from public.classes").fetchone()
    assert made == (404,)


def test_only_one_door_is_open(tracking: Tracking) -> None:
    """What follows from the schedule is nobody's to write, and generation is not anybody's to run."""
    student = tracking.student(MONDAYS)
    manager, member = tracking.world.user("manager"), tracking.world.user("member")
    for statement in (
        "insert into public.student_schedule_slots (student_id, weekday, start_time, end_time, time_zone) select id, 2, '10:00', '11:00', 'UTC' from public.students",
        "update public.classes set slot_id = null", "update public.classes set edited_at = null",
        "insert into private.generation_runs (operation, student_ids, since_start, syncs_slots, through_date) values ('manual', '{}', true, true, '2030-01-01')",
        "delete from public.class_generation_logs",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_user(tracking.db, manager):
            tracking.db.execute(statement.encode())
    with refused("forbidden"), as_user(tracking.db, member):
        tracking.db.execute("select public.generate_weekly_classes()")
    with refused("forbidden"), as_user(tracking.db, member):
        tracking.db.execute("select public.generate_missing_classes()")
    assert len(tracking.dates(student.id)) == 4
