"""Calling classes off: who may, in whose name, and what it costs and pays."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.lessons import Lessons
from tests.support.rest import Rest


@pytest.mark.parametrize(
    ("party", "notice", "charged", "paid"),
    [
        ("student", timedelta(hours=24), False, False), ("student", timedelta(hours=24, microseconds=-1), True, True),
        ("student", timedelta(microseconds=1), True, True), ("teacher", timedelta(minutes=1), False, False),
        ("teacher", timedelta(hours=-3), False, False), ("organisation", timedelta(hours=24), False, False),
        ("organisation", timedelta(hours=23, minutes=59), False, True), ("organisation", timedelta(hours=-3), False, True),
    ],
)  # fmt: skip
def test_what_cancelling_costs_and_pays(
    lessons: Lessons, party: str, notice: timedelta, charged: bool, paid: bool
) -> None:
    lessons.tracking.clock(lessons.row(lessons.second).starts_at - notice)
    by = {"student": lessons.lina, "teacher": lessons.tracking.teacher, "organisation": lessons.staff}[party]
    answer = lessons.cancel(by, lessons.second)
    row = lessons.row(lessons.second)
    assert (row.status, row.cancelled_by, row.cancellation_reason) == ("cancelled", party, "Ill.")
    assert (row.is_charged, row.is_teacher_paid, row.cancelled_at) == (charged, paid, lessons.tracking.now)
    assert (answer["is_charged"], answer["version"]) == (charged, 2)
    assert (("Class of Sam, 2027-06-14 10:00", 40) in lessons.owed()) == charged


def test_rules_of_ones_own(lessons: Lessons) -> None:
    """The longest notice that was kept decides; without a rule it costs and pays nothing."""
    lessons.db.execute("delete from public.cancellation_rules")
    lessons.db.execute(
        "insert into public.cancellation_rules values ('student', 48, false, false), ('student', 12, true, false), ('student', 2, true, true)"
    )
    starts = lessons.row(lessons.second).starts_at
    told = []
    for hours in (49, 48, 47, 12, 3, 1):
        lessons.tracking.clock(starts - timedelta(hours=hours))
        answer = lessons.cancel(lessons.staff, lessons.second, p_cancelled_by="student")
        told.append((answer["is_charged"], answer["is_teacher_paid"]))
        lessons.db.execute("update public.classes set status = 'scheduled' where id = %s", [lessons.second])
        assert (lessons.row(lessons.second).is_charged, lessons.row(lessons.second).cancelled_at) == (True, None)
    assert told == [(False, False), (False, False), (True, False), (True, False), (True, True), (False, False)]


def test_in_whose_name_can_be_put_right(lessons: Lessons) -> None:
    lessons.cancel(lessons.lina, lessons.first)
    assert lessons.row(lessons.first).is_charged is True
    cancelled_at = lessons.row(lessons.first).cancelled_at
    lessons.tracking.later(hours=1)
    lessons.db.execute("update public.classes set cancelled_by = 'teacher' where id = %s", [lessons.first])
    row = lessons.row(lessons.first)
    assert (row.cancelled_by, row.is_charged, row.is_teacher_paid, row.cancelled_at) == (
        "teacher",
        False,
        False,
        cancelled_at,
    )


def test_who_may_cancel_in_whose_name(lessons: Lessons) -> None:
    stranger, other = lessons.tracking.world.user("member"), lessons.tracking.other
    for who in (stranger, other, lessons.tracking.world.user(None)):
        with refused("not_found") as told:
            lessons.cancel(who, lessons.second)
        assert told.details["id"] == str(lessons.second)
    for who in (lessons.lina, lessons.tracking.teacher):
        with refused("forbidden"):
            lessons.cancel(who, lessons.second, p_cancelled_by="organisation")
    with refused("invalid_input") as told:
        lessons.cancel(lessons.staff, lessons.second, p_reason=" ", p_cancelled_by="nobody")
    assert told.fields == {"p_reason", "p_cancelled_by"}
    with refused("invalid_input"):
        call(lessons.db, lessons.staff, "cancel_class", p_class_id=None, p_reason="x")
    with refused("not_found"):
        lessons.cancel(lessons.staff, uuid4())
    lessons.tracking.change(lessons.student.id, is_active=False)
    with refused("not_found"):
        lessons.cancel(lessons.lina, lessons.first)


def test_a_student_says_nothing_of_a_class_that_has_begun(lessons: Lessons) -> None:
    lessons.tracking.later(hours=4)
    with refused("illegal_transition"):
        lessons.cancel(lessons.lina, lessons.first)
    call(lessons.db, lessons.tracking.teacher, "record_attendance", p_class_id=lessons.first, p_status="absent")
    with refused("illegal_transition"):
        lessons.cancel(lessons.lina, lessons.first)
    assert lessons.cancel(lessons.tracking.teacher, lessons.first)["status"] == "cancelled"
    with refused("illegal_transition") as told:
        lessons.cancel(lessons.manager, lessons.first)
    assert told.details["from"] == "cancelled"


def test_a_reason_is_asked_at_every_door(lessons: Lessons, rest: Rest) -> None:
    path = f"/classes?id=eq.{lessons.second}"
    for reason in (None, "", "  "):
        answer = rest.patch(path, {"status": "cancelled", "cancellation_reason": reason}, user=lessons.staff)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
        assert json.loads(answer.json()["details"])["errors"][0]["field"] == "cancellation_reason"
    with refused("invalid_input"):
        lessons.db.execute("update public.classes set status = 'cancelled' where id = %s", [lessons.second])
    [row] = rest.patch(path, {"status": "cancelled", "cancellation_reason": "Ill."}, user=lessons.staff).json()
    assert (row["cancelled_by"], row["is_charged"]) == ("organisation", False)
    assert rest.patch(path, {"is_charged": True}, user=lessons.staff).status_code == 403
    assert rest.patch(path, {"notes": "x", "version": 1}, user=lessons.staff).json()["code"] == "stale_version"


@pytest.mark.parametrize("who", ["anon", "nobody", "lina", "teacher", "other"])
def test_through_rest_nobody_changes_what_is_not_theirs(lessons: Lessons, rest: Rest, who: str) -> None:
    """Of the tables nothing is theirs to write; of the functions, students cancel and ask, teachers what they teach."""
    users: dict[str, User | None] = {
        "anon": None, "nobody": lessons.tracking.world.user(None), "lina": lessons.lina,
        "teacher": lessons.tracking.teacher, "other": lessons.tracking.other,
    }  # fmt: skip
    user, second = users[who], str(lessons.second)
    before = lessons.tracking.bytes()
    seen = rest.get("/classes?select=id", user=user)
    assert (len(seen.json()) if seen.is_success else 0) == (4 if who == "teacher" else 0)
    own = rest.get("/my_student_classes?select=id,price", user=user)
    assert (len(own.json()) if own.is_success else 0) == (4 if who == "lina" else 0)
    # Nobody tells a student what the teacher gets.
    assert rest.get("/my_student_classes?select=teacher_pay", user=user).status_code >= 400
    for table, body in (
        ("classes", {"notes": "Mine."}), ("students", {"notes": "Mine."}), ("class_attendance", {"note": "Mine."}),
        ("cancellation_rules", {"is_charged": False}), ("student_pauses", {"reason": "Mine."}),
    ):  # fmt: skip
        column = {"class_attendance": "class_id", "cancellation_rules": "notice_hours"}.get(table, "id")
        answer = rest.patch(f"/{table}?{column}=not.is.null", body, user=user)
        assert answer.status_code in (401, 403) or answer.json() == [], answer.text
        answer = rest.delete(f"/{table}?{column}=not.is.null", user=user)
        assert answer.status_code in (401, 403) or answer.json() == [], answer.text
    for body in ({"student_id": str(lessons.student.id), "date": "2027-07-01", "start_time": "10:00"},):
        assert rest.post("/classes", body, user=user).status_code in (401, 403)
    move = {"p_class_id": second, "p_date": "2027-06-16", "p_start_time": "10:00"}
    expected: dict[str, tuple[dict[str, Any], str | None]] = {
        "generate_weekly_classes": ({}, "forbidden"), "generate_missing_classes": ({}, "forbidden"),
        "diagnose_students": ({}, "forbidden"), "check_duplicate_classes": ({}, "forbidden"), "class_statistics": ({}, "forbidden"),
        "clean_old_class_generation_logs": ({}, "forbidden"), "remove_duplicate_classes": ({}, "forbidden"),
        "book_makeup": (move, "illegal_transition" if who == "teacher" else "not_found"),
        "record_attendance": ({"p_class_id": second, "p_status": "present"}, "illegal_transition" if who == "teacher" else "not_found"),
    }  # fmt: skip
    if who != "teacher":
        expected["reschedule_class"] = (move, "not_found")
        if who != "lina":
            expected["cancel_class"] = ({"p_class_id": second, "p_reason": "x"}, "not_found")
            expected["offer_makeup"] = ({"p_class_id": second}, "not_found")
    for function, (arguments, code) in expected.items():
        answer = rest.post(f"/rpc/{function}", arguments, user=user)
        assert answer.json()["code"] == (code if user else "42501"), (function, answer.text)
    assert lessons.tracking.bytes() == before
