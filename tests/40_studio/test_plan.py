"""plan_assignments: every kind, what is left out and why, what is in the way, and the pay create_assignments then writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.ledger import Ledger
from tests.support.rest import Rest
from tests.support.studio import Studio

Plan = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def manager(studio: Studio) -> User:
    return studio.world.user("manager")


@pytest.fixture
def plan(studio: Studio, manager: User) -> Plan:
    """Plans classes of the teacher from Monday on, from ten to eleven unless told otherwise."""

    def ask(kind: str, by: User | None = None, **arguments: Any) -> list[dict[str, Any]]:
        given = {
            "p_instructor_id": studio.teacher.profile_id, "p_start_time": "10:00", "p_end_time": "11:00",
            "p_from": studio.monday, **arguments,
        }  # fmt: skip
        return call(studio.db, by or manager, "plan_assignments", p_plan=kind, **given)

    return ask


def days(studio: Studio, rows: list[dict[str, Any]], status: str = "planned") -> list[int]:
    """The days after Monday that have this status."""
    return [(row["date"] - studio.monday).days for row in rows if row["status"] == status]


def close(studio: Studio, day: int, location: UUID | None = None) -> None:
    studio.db.execute(
        "insert into public.closures (name, starts_on, ends_on, location_id) values ('Holi', %s, %s, %s)",
        [studio.day(day), studio.day(day), location],
    )


def test_weekly_from_weekdays(studio: Studio, plan: Plan) -> None:
    rows = plan("weekly", p_weekdays=[1, 3])
    assert days(studio, rows) == [0, 2, 7, 9, 14, 16, 21, 23]
    assert len({row["assignment"]["plan_id"] for row in rows}) == 1
    assert days(studio, plan("weekly", p_weekdays=[1], p_until=studio.day(7))) == [0, 7]
    assert studio.db.execute("select count(*) from public.class_assignments").fetchone() == (0,)


def test_a_count_is_reached_past_a_closure(studio: Studio, plan: Plan) -> None:
    close(studio, 7)
    rows = plan("weekly", p_weekdays=[1], p_count=3)
    assert days(studio, rows) == [0, 14, 21]
    [skipped] = [row for row in rows if row["status"] == "skipped"]
    assert (skipped["date"], skipped["reason"], skipped["conflicts"]) == (studio.day(7), "Closed: Holi", [])
    assert (skipped["assignment"], skipped["payment_amount"]) == (None, None)


def test_a_closed_room_closes_that_room(studio: Studio, plan: Plan) -> None:
    close(studio, 0, studio.room)
    assert days(studio, plan("weekly", p_weekdays=[1], p_count=2)) == [0, 7]
    assert days(studio, plan("weekly", p_weekdays=[1], p_count=2, p_location_id=studio.room)) == [7, 14]


def test_weekly_from_a_schedule(studio: Studio, plan: Plan, manager: User) -> None:
    schedule = studio.schedule(1, "18:00", "19:00", location_id=studio.room, effective_until=studio.day(30))
    studio.assignment(7, "18:00", "19:00", schedule_id=schedule.id)
    call(studio.db, manager, "cancel_occurrence", p_rule_id=schedule.id, p_occurs_on=studio.day(14), p_reason="Away")
    rows = call(studio.db, manager, "plan_assignments", p_plan="weekly", p_schedule_id=schedule.id, p_count=10)
    assert days(studio, rows) == [0, 21, 28]
    assert [row["reason"] for row in rows if row["status"] == "skipped"] == [
        "Already assigned", "The schedule's class is cancelled"
    ]  # fmt: skip
    assert all(row["conflicts"] == [] for row in rows)
    first = rows[0]["assignment"]
    assert (first["schedule_id"], first["occurs_on"]) == (str(schedule.id), studio.monday.isoformat())
    made = create(studio, manager, rows)
    assert [one["date"] for one in made] == [studio.day(day) for day in (0, 21, 28)]
    again = call(studio.db, manager, "plan_assignments", p_plan="weekly", p_schedule_id=schedule.id, p_count=10)
    assert days(studio, again) == []


def test_a_schedule_that_has_ended_has_no_dates(studio: Studio, plan: Plan, manager: User) -> None:
    schedule = studio.schedule(effective_from=studio.day(-21), effective_until=studio.day(-20))
    assert call(studio.db, manager, "plan_assignments", p_plan="weekly", p_schedule_id=schedule.id) == []


def test_monthly_is_a_calendar_month(studio: Studio, plan: Plan) -> None:
    rows = plan("monthly", p_weekdays=[1])
    end = (studio.monday.replace(day=1) + timedelta(days=32)).replace(day=1)
    expected = [studio.day(7 * week) for week in range(5) if studio.day(7 * week) < end]
    assert [row["date"] for row in rows] == expected


def test_crash_is_every_day_until_there_are_so_many(studio: Studio, plan: Plan) -> None:
    close(studio, 2)
    assert days(studio, plan("crash", p_count=5)) == [0, 1, 3, 4, 5]
    assert days(studio, plan("crash_course", p_count=3, p_weekdays=[1, 2])) == [0, 1, 7]


def test_a_package_has_so_many_classes_within_its_days(studio: Studio, plan: Plan) -> None:
    package = studio.world.insert("public.packages", name="Four", price=40, class_count=4, validity_days=30).id
    assert days(studio, plan("package", p_package_id=package, p_weekdays=[1, 5])) == [0, 4, 7, 11]
    assert days(studio, plan("package", p_package_id=package, p_weekdays=[1])) == [0, 7, 14, 21]
    short = studio.world.insert("public.packages", name="Short", price=40, class_count=4, validity_days=10).id
    rows = plan("package", p_package_id=short, p_weekdays=[1])
    assert days(studio, rows) == [0, 7]
    assert rows[0]["assignment"]["package_id"] == str(short)


def test_what_is_in_the_way(studio: Studio, plan: Plan, ledger: Ledger) -> None:
    studio.assignment(0, "10:30", "11:30")
    studio.assignment(1, instructor_id=studio.other.profile_id, location_id=studio.room)
    studio.db.execute(
        "insert into public.time_off (resource_id, starts_on, ends_on) values (%s, %s, %s)",
        [studio.teacher.profile_id, studio.day(2), studio.day(2)],
    )
    studio.db.execute("update public.time_off set status = 'approved'")
    rows = plan("crash", p_count=4, p_location_id=studio.room)
    assert days(studio, rows, "conflict") == [0, 1, 2]
    assert [row["conflicts"][0]["conflict_type"] for row in rows[:3]] == [
        "instructor_assignment", "location_assignment", "time_off"
    ]  # fmt: skip
    assert all(row["reason"] for row in rows[:3])
    assert rows[3]["status"] == "planned"


def test_too_far_ahead_is_refused_date_by_date(studio: Studio, plan: Plan) -> None:
    rows = plan("weekly", p_weekdays=[1], p_until=studio.day(100))
    last = (studio.today - studio.monday).days + 90
    assert all(day <= last for day in days(studio, rows))
    assert all(day > last for day in days(studio, rows, "refused"))
    assert days(studio, rows, "refused") != []


def test_the_hour_that_does_not_exist_is_left_out(studio: Studio, plan: Plan) -> None:
    studio.db.execute("update public.settings set value = '730' where key = 'days_ahead'")
    row = studio.db.execute(
        "select min(d)::date from generate_series(private.today()::timestamp + interval '1 day', private.today() + 380, interval '1 day') d "
        "where private.local_to_instant(d::date, '02:30', 'Europe/Paris') is null"
    ).fetchone()
    assert row is not None
    gap: date = row[0]
    rows = plan(
        "crash", p_from=gap - timedelta(days=1), p_count=2, p_start_time="02:30", p_end_time="03:30", p_time_zone="Europe/Paris"
    )  # fmt: skip
    assert [(one["date"] - gap).days for one in rows if one["status"] == "planned"] == [-1, 1]
    [skipped] = [one for one in rows if one["status"] == "skipped"]
    assert skipped["date"] == gap
    assert skipped["reason"]


def create(studio: Studio, manager: User, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wanted = [row["assignment"] for row in rows if row["status"] == "planned"]
    return call(studio.db, manager, "create_assignments", p_assignments=Jsonb(wanted))


@pytest.mark.parametrize(
    ("payment_type", "rate", "students"),
    [
        ("per_class", "12.50", None),
        ("per_class_total", "12.50", None),
        ("total_duration", 100, None),
        ("monthly", 100, None),
        ("per_member", "33.33", 7),
        ("per_student_per_class", "3.35", 3),
        ("per_class", None, None),
        ("monthly", None, None),
    ],
)
def test_what_is_created_is_paid_as_planned(
    studio: Studio, plan: Plan, manager: User, payment_type: str, rate: Any, students: int | None
) -> None:
    close(studio, 9)
    studio.world.insert(
        "public.instructor_rates", instructor_id=studio.teacher.profile_id, rate=41, effective_from="2020-01-01"
    )
    rows = plan(
        "weekly", p_weekdays=[1, 3], p_until=studio.day(40), p_payment_type=payment_type, p_rate=rate, p_student_count=students
    )  # fmt: skip
    made = create(studio, manager, rows)
    assert [one["payment_amount"] for one in made] == [
        row["payment_amount"] for row in rows if row["status"] == "planned"
    ]
    assert all(one["payment_amount"] > 0 for one in made) == (rate is not None or payment_type == "per_class")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"kind": "yearly"}, "p_plan"),
        ({"kind": "weekly"}, "p_weekdays"),
        ({"kind": "weekly", "p_weekdays": [7]}, "p_weekdays"),
        ({"kind": "weekly", "p_weekdays": [None]}, "p_weekdays"),
        ({"kind": "crash"}, "p_count"),
        ({"kind": "crash", "p_count": 2147483647}, "p_count"),
        ({"kind": "weekly", "p_weekdays": [1], "p_count": 2147483647}, "p_count"),
        ({"kind": "crash", "p_count": -2147483648}, "p_count"),
        ({"kind": "weekly", "p_weekdays": [1], "p_count": -2147483648}, "p_count"),
        ({"kind": "weekly", "p_weekdays": [1], "p_count": 0}, "p_count"),
        ({"kind": "package", "p_weekdays": [1]}, "p_package_id"),
        ({"kind": "weekly", "p_weekdays": [1], "p_until": "2020-01-01"}, "p_until"),
        ({"kind": "weekly", "p_weekdays": [1], "p_until": "infinity"}, "p_until"),
        ({"kind": "weekly", "p_weekdays": [1], "p_from": "infinity"}, "p_from"),
        ({"kind": "monthly", "p_weekdays": [1], "p_from": "-infinity"}, "p_from"),
        ({"kind": "monthly", "p_weekdays": [1], "p_until": "2199-01-01"}, "p_until"),
        ({"kind": "weekly", "p_weekdays": [1], "p_end_time": "09:00"}, "p_end_time"),
        ({"kind": "weekly", "p_weekdays": [1], "p_end_time": None}, "p_end_time"),
        ({"kind": "weekly", "p_weekdays": [1], "p_time_zone": "Mars/Base"}, "p_time_zone"),
        ({"kind": "weekly", "p_weekdays": [1], "p_rate": 0}, "p_rate"),
        ({"kind": "weekly", "p_weekdays": [1], "p_rate": "NaN"}, "p_rate"),
        ({"kind": "weekly", "p_weekdays": [1], "p_rate": "Infinity"}, "p_rate"),
        ({"kind": "weekly", "p_weekdays": [1], "p_rate": "1.005"}, "p_rate"),
        ({"kind": "weekly", "p_weekdays": [1], "p_rate": 5, "p_payment_type": "per_member"}, "p_student_count"),
        ({"kind": "weekly", "p_weekdays": [1], "p_student_count": 0}, "p_student_count"),
    ],
)
def test_what_makes_no_sense(plan: Plan, arguments: dict[str, Any], field: str) -> None:
    with refused("invalid_input") as refusal:
        plan(**arguments)
    assert field in refusal.fields


def test_who_may_plan(studio: Studio, plan: Plan, rest: Rest) -> None:
    for nobody in (studio.teacher, studio.world.user()):
        with refused("forbidden"):
            plan("crash", by=nobody, p_count=1)
    assert rest.post("/rpc/plan_assignments", {"p_plan": "crash", "p_count": 1}).status_code == 401
    body = {"p_plan": "crash", "p_count": 2, "p_instructor_id": str(studio.teacher.profile_id)}
    answer = rest.post("/rpc/plan_assignments", body, user=studio.world.user("staff"))
    assert (answer.status_code, len(answer.json())) == (200, 2)


def test_what_is_not_there(studio: Studio, plan: Plan) -> None:
    nothing = UUID(int=0)
    for arguments in ({"p_schedule_id": nothing}, {"p_package_id": nothing, "p_weekdays": [1]}):
        with refused("not_found"):
            plan("package", **arguments)
    rows = plan("crash", p_count=1, p_instructor_id=nothing)
    assert [row["status"] for row in rows] == ["refused"]
