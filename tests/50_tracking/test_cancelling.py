"""Calling classes off, moving them, making up for them, recording who was there and what was paid: who may, and what it means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.tracking import Tracking, slot


class Lessons:
    """A student with a login, `lina`, whose teacher is `tracking.teacher`; `first` is at ten on Monday, four hours ahead."""

    def __init__(self, tracking: Tracking) -> None:
        self.tracking, self.db = tracking, tracking.db
        self.lina, self.student = tracking.login()
        self.staff, self.manager = tracking.world.user("staff"), tracking.world.user("manager")
        self.first, self.second, self.third, self.fourth = (row.id for row in tracking.classes(self.student.id))

    def row(self, class_id: UUID) -> Any:
        [found] = [row for row in self.tracking.classes(self.student.id) if row.id == class_id]
        return found

    def cancel(self, by: User | None, class_id: UUID, **more: Any) -> Any:
        [answer] = call(self.db, by, "cancel_class", p_class_id=class_id, **{"p_reason": "Ill.", **more})
        return answer

    def owed(self) -> list[tuple[str, int]]:
        """What Lina owes: titles and amounts."""
        return self.db.execute(
            "select title, amount_outstanding::integer from public.outstanding_amounts() order by title"
        ).fetchall()

    def pay(self, class_id: UUID, amount: int = 40) -> UUID:
        paid: UUID = self.tracking.one(
            "select id from public.record_payment(%s, %s, 'cash', %s)", self.lina.profile_id, amount,
            Jsonb([{"source_table": "classes", "source_id": str(class_id), "amount": amount}]),
        )  # fmt: skip
        return paid


@pytest.fixture
def lessons(tracking: Tracking) -> Lessons:
    return Lessons(tracking)


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


def test_a_class_is_called_moved_only_when_another_stands_for_it(lessons: Lessons, rest: Rest) -> None:
    answer = rest.patch(f"/classes?id=eq.{lessons.second}", {"status": "rescheduled"}, user=lessons.staff)
    assert answer.json()["code"] == "illegal_transition"
    [moved] = call(
        lessons.db, lessons.staff, "reschedule_class", p_class_id=lessons.second, p_date="2027-06-16",
        p_start_time="10:00",
    )  # fmt: skip
    gone = rest.delete(f"/classes?id=eq.{moved['id']}", user=lessons.tracking.world.user("manager"))
    assert gone.json()["code"] == "illegal_transition"
    assert lessons.row(lessons.second).status == "rescheduled"


def test_a_class_is_moved(lessons: Lessons) -> None:
    moved = call(lessons.db, lessons.tracking.teacher, "reschedule_class", p_class_id=lessons.second, p_date="2027-06-16", p_start_time="23:00", p_idempotency_key="k")  # fmt: skip
    again = call(lessons.db, lessons.tracking.teacher, "reschedule_class", p_class_id=lessons.second, p_date="2027-06-16", p_start_time="23:00", p_idempotency_key="k")  # fmt: skip
    assert [row["id"] for row in again] == [row["id"] for row in moved]
    [new] = [row for row in lessons.tracking.rows() if row[9] == "rescheduled"]
    assert (str(new[1]), new[3], new[13], new[7]) == ("2027-06-16", "24:00", 40, "scheduled")
    assert lessons.row(lessons.second).status == "rescheduled"
    with refused("idempotency_mismatch"):
        call(lessons.db, lessons.tracking.teacher, "reschedule_class", p_class_id=lessons.third, p_date="2027-06-16", p_start_time="23:00", p_idempotency_key="k")  # fmt: skip
    with refused("illegal_transition"):
        call(
            lessons.db,
            lessons.staff,
            "reschedule_class",
            p_class_id=lessons.second,
            p_date="2027-06-17",
            p_start_time="10:00",
        )
    for status in ("scheduled", "cancelled", "completed"):
        with refused("illegal_transition"):
            lessons.db.execute(
                "update public.classes set status = %s, cancellation_reason = 'x' where id = %s",
                [status, lessons.second],
            )
    with refused("invalid_input") as told:
        call(lessons.db, lessons.staff, "reschedule_class", p_class_id=lessons.third, p_date=None, p_start_time="23:30")
    assert told.fields == {"p_date", "p_end_time"}
    # The student is there already, and so is the teacher.
    with refused("time_conflict"):
        call(lessons.db, lessons.staff, "reschedule_class", p_class_id=lessons.third, p_date="2027-06-28", p_start_time="10:30", p_teacher_id=lessons.tracking.other.profile_id)  # fmt: skip
    lessons.tracking.student([slot("friday", "10:00")], first_name="Ada")
    with refused("time_conflict"):
        call(
            lessons.db,
            lessons.staff,
            "reschedule_class",
            p_class_id=lessons.third,
            p_date="2027-06-25",
            p_start_time="10:30",
        )
    assert lessons.row(lessons.third).status == "scheduled"
    assert lessons.tracking.findings() == []


def test_money_moves_with_the_class(lessons: Lessons) -> None:
    lessons.pay(lessons.second)
    assert lessons.row(lessons.second).payment_status == "paid"
    [moved] = call(
        lessons.db,
        lessons.staff,
        "reschedule_class",
        p_class_id=lessons.second,
        p_date="2027-06-16",
        p_start_time="10:00",
    )
    assert lessons.owed() == []
    assert lessons.row(moved["id"]).payment_status == moved["payment_status"] == "paid"
    lessons.cancel(lessons.tracking.teacher, moved["id"])
    [makeup] = call(
        lessons.db, lessons.staff, "book_makeup", p_class_id=moved["id"], p_date="2027-06-17", p_start_time="10:00"
    )
    assert (makeup["price"], makeup["payment_status"], lessons.owed()) == (40, "paid", [])
    lessons.tracking.later(days=11)
    lessons.tracking.run()
    lessons.db.execute("select private.extend_horizons()")
    lessons.db.execute("select private.complete_past_student_classes()")
    assert lessons.owed() == [("Class of Sam, 2027-06-07 10:00", 40)]
    assert lessons.tracking.findings() == []


def test_a_makeup_is_offered_booked_once_and_kept(lessons: Lessons) -> None:
    lessons.tracking.world.insert("public.student_pauses", student_id=lessons.student.id, starts_on="2027-06-10", ends_on="2027-06-11", reason="In Rome.")  # fmt: skip
    lessons.tracking.student([slot("wednesday", "09:00", 600)], first_name="Ada")
    lessons.cancel(lessons.lina, lessons.first)
    window = {"p_from": datetime(2027, 6, 8, tzinfo=UTC), "p_to": datetime(2027, 6, 16, tzinfo=UTC), "p_respect_availability": False, "p_limit": 500}  # fmt: skip
    offers = call(lessons.db, lessons.lina, "offer_makeup", p_class_id=lessons.first, **window)
    starts = {(str(row["date"]), f"{row['start_time']:%H:%M}") for row in offers}
    assert ("2027-06-08", "10:00") in starts
    assert not {day for day, _ in starts} & {"2027-06-10", "2027-06-11"}  # the student pauses
    assert not starts & {("2027-06-09", "08:15"), ("2027-06-09", "12:00"), ("2027-06-14", "10:45")}  # taken
    assert starts >= {
        ("2027-06-09", "08:00"),
        ("2027-06-09", "19:00"),
        ("2027-06-14", "09:00"),
        ("2027-06-14", "11:00"),
    }
    book = {"p_class_id": lessons.first, "p_date": "2027-06-08", "p_start_time": "10:00"}
    for change, code in (
        ({"p_date": "2027-06-10"}, "time_conflict"), ({"p_date": "2027-06-09"}, "time_conflict"),
        ({"p_date": "2027-06-14", "p_start_time": "10:30"}, "time_conflict"), ({"p_class_id": lessons.second}, "illegal_transition"),
    ):  # fmt: skip
        with refused(code):
            call(lessons.db, lessons.staff, "book_makeup", **{**book, **change})
    with refused("not_found"):
        call(lessons.db, lessons.lina, "book_makeup", **book)
    [makeup] = call(lessons.db, lessons.tracking.teacher, "book_makeup", **book)
    assert (makeup["rescheduled_from"], makeup["source"], makeup["price"], makeup["status"]) == (
        lessons.first,
        "makeup",
        0,
        "scheduled",
    )
    with refused("time_conflict"):
        call(lessons.db, lessons.staff, "book_makeup", **{**book, "p_date": "2027-06-15"})
    with refused("illegal_transition"):
        lessons.db.execute("update public.classes set status = 'scheduled' where id = %s", [lessons.first])
    lessons.cancel(lessons.staff, makeup["id"])
    call(lessons.db, lessons.staff, "book_makeup", **{**book, "p_date": "2027-06-15"})
    before = lessons.tracking.bytes()
    lessons.tracking.run()
    assert lessons.tracking.bytes() == before
    assert lessons.tracking.findings() == []


def test_what_is_offered_can_be_booked_on_the_nights_the_clock_changes(tracking: Tracking) -> None:
    for now, night in ((datetime(2027, 3, 26, 6, tzinfo=UTC), 28), (datetime(2027, 10, 29, 6, tzinfo=UTC), 31)):
        tracking.clock(now)
        tracking.db.execute("select private.extend_horizons()")
        student = tracking.student(
            [slot("saturday", "12:00")], time_zone="Europe/Paris", start_date=now.date(), first_name=f"N{night}"
        )
        lesson = tracking.classes(student.id)[0]
        call(tracking.db, None, "cancel_class", p_class_id=lesson.id, p_reason="x", p_cancelled_by="teacher")
        window = {
            "p_from": datetime(2027, now.month, night - 1, 22, tzinfo=UTC),
            "p_to": datetime(2027, now.month, night, 5, tzinfo=UTC),
        }
        offers = call(tracking.db, None, "offer_makeup", p_class_id=lesson.id, p_respect_availability=False, **window)
        assert len(offers) > 10
        for offer in offers:
            [made] = call(
                tracking.db, None, "book_makeup", p_class_id=lesson.id, p_date=offer["date"], p_start_time=offer["start_time"], p_end_time=offer["end_time"],
            )  # fmt: skip
            assert (made["starts_at"], made["ends_at"]) == (offer["starts_at"], offer["ends_at"])
            tracking.db.execute("delete from public.classes where id = %s", [made["id"]])


def test_attendance_says_what_became_of_the_class(lessons: Lessons) -> None:
    teacher = lessons.tracking.teacher
    with refused("illegal_transition"):
        call(lessons.db, teacher, "record_attendance", p_class_id=lessons.first, p_status="present")
    lessons.tracking.later(hours=5)
    for status, late, became in (
        ("present", None, "completed"),
        ("absent", None, "missed"),
        ("late", 9, "completed"),
        ("excused", None, "missed"),
    ):
        [row] = call(
            lessons.db, teacher, "record_attendance", p_class_id=lessons.first, p_status=status, p_minutes_late=late
        )
        assert (row["status"], row["minutes_late"], row["recorded_by"]) == (status, late, teacher.id)
        assert lessons.row(lessons.first).status == became
    with refused("invalid_input") as told:
        call(lessons.db, teacher, "record_attendance", p_class_id=lessons.first, p_status="asleep", p_minutes_late=0)
    assert told.fields >= {"status", "minutes_late"}
    with refused("not_found"):
        call(lessons.db, lessons.tracking.other, "record_attendance", p_class_id=lessons.first, p_status="present")
    lessons.cancel(lessons.staff, lessons.second)
    with refused("illegal_transition"):
        call(lessons.db, lessons.staff, "record_attendance", p_class_id=lessons.second, p_status="present")


def test_classes_do_not_happen_before_their_time(lessons: Lessons) -> None:
    for door in (
        "update public.classes set status = 'completed' where id = %s",
        "update public.classes set status = 'missed' where id = %s",
    ):
        with refused("illegal_transition"):
            lessons.db.execute(door, [lessons.second])
    with refused("illegal_transition"):
        lessons.db.execute("insert into public.classes (student_id, date, start_time, status) values (%s, '2027-08-02', '10:00', 'completed')", [lessons.student.id])  # fmt: skip
    lessons.tracking.later(days=1)
    lessons.db.execute("update public.classes set status = 'completed' where id = %s", [lessons.first])
    with refused("illegal_transition"):
        lessons.db.execute("update public.classes set date = '2027-08-02' where id = %s", [lessons.first])


def test_payments_make_it_paid_and_refunds_pending_again(lessons: Lessons) -> None:
    lessons.tracking.later(hours=6)
    lessons.db.execute("update public.classes set status = 'completed' where id = %s", [lessons.first])
    lessons.pay(lessons.first, 15)
    assert (lessons.row(lessons.first).payment_status, lessons.owed()) == (
        "pending",
        [("Class of Sam, 2027-06-07 10:00", 25)],
    )
    payment = lessons.pay(lessons.first, 25)
    assert (lessons.row(lessons.first).payment_status, lessons.owed()) == ("paid", [])
    lessons.db.execute("select public.refund_payment(%s, 10, 'Too much.', %s)", [payment, Jsonb([{"source_table": "classes", "source_id": str(lessons.first), "amount": 10}])])  # fmt: skip
    assert (lessons.row(lessons.first).payment_status, lessons.owed()) == (
        "pending",
        [("Class of Sam, 2027-06-07 10:00", 10)],
    )
    lessons.db.execute("update public.classes set payment_status = 'waived' where id = %s", [lessons.second])
    lessons.pay(lessons.second, 40)
    assert lessons.row(lessons.second).payment_status == "waived"
    with refused("illegal_transition"):
        lessons.db.execute("delete from public.classes where id = %s", [lessons.second])


def test_the_figures_are_those_of_a_plain_count(lessons: Lessons) -> None:
    lessons.tracking.student(
        [slot("tuesday", "10:00"), slot("sunday", "22:00")], first_name="Ada", time_zone="Asia/Tokyo"
    )
    lessons.cancel(lessons.lina, lessons.second)
    lessons.tracking.later(days=9)
    lessons.tracking.run()
    lessons.db.execute("select private.complete_past_student_classes()")
    first, last = lessons.tracking.day(1), lessons.tracking.day(20)
    rows = [row for row in lessons.tracking.rows() if first <= row[1] <= last]
    [answer] = lessons.db.execute("select public.class_statistics(%s, %s)", [first, last]).fetchone() or [None]
    assert answer["classes"] == len(rows) > 5
    for column, key in ((7, "by_status"), (8, "by_payment_status")):
        counts = {value: [row[column] for row in rows].count(value) for value in {row[column] for row in rows}}
        assert answer[key] == {
            value: {"count": count, "percent": pytest.approx(100 * count / len(rows), abs=0.05)}
            for value, count in counts.items()
        }
    assert {row["student_id"]: row["classes"] for row in answer["by_student"]} == {
        str(student): sum(row[0] == student for row in rows) for student in {row[0] for row in rows}
    }
    assert answer["created"]["in_all"] == len(lessons.tracking.rows())
    made = lessons.db.execute("select created_at from public.classes").fetchall()
    assert answer["created"]["today"] == sum(at.date() == lessons.tracking.now.date() for (at,) in made) > 0
    assert answer["created"]["this_week"] == sum(at >= datetime(2027, 6, 14, tzinfo=UTC) for (at,) in made)
    assert answer["students"] == {"in_all": 2, "active": 2, "new": 0}
    assert sum(month["classes"] for month in answer["growth"]) == len(rows)
    lessons.db.execute("set timezone = 'Pacific/Kiritimati'")
    assert lessons.tracking.one("select public.class_statistics(%s, %s)", first, last) == answer
    with refused("invalid_input"):
        lessons.db.execute("select public.class_statistics('2027-02-01', '2027-01-01')")


def test_logs_are_kept_for_a_while(lessons: Lessons) -> None:
    lessons.tracking.later(days=31)
    kept = lessons.tracking.run()
    with refused("invalid_input"):
        call(lessons.db, lessons.manager, "clean_old_class_generation_logs", p_days=-1)
    with refused("forbidden"):
        call(lessons.db, lessons.staff, "clean_old_class_generation_logs")
    [answer] = call(lessons.db, lessons.manager, "clean_old_class_generation_logs")
    assert answer["clean_old_class_generation_logs"] == 1
    assert {row.run_id for row in lessons.tracking.logs(lessons.student.id)} == {kept.run_id}


def test_keys_answer_the_same_again(lessons: Lessons) -> None:
    one = lessons.cancel(lessons.lina, lessons.third, p_idempotency_key="a")
    assert lessons.cancel(lessons.lina, lessons.third, p_idempotency_key="a") == one
    with refused("idempotency_mismatch"):
        lessons.cancel(lessons.lina, lessons.fourth, p_idempotency_key="a")
    lessons.tracking.later(days=14)
    runs = [call(lessons.db, lessons.manager, "generate_weekly_classes", p_idempotency_key="w")[0] for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0]["classes_created"] == 2
    with refused("invalid_input"):
        call(lessons.db, lessons.manager, "generate_weekly_classes", p_through="2027-01-01")
    with refused("invalid_input"):
        call(lessons.db, lessons.manager, "generate_weekly_classes", p_through="2029-01-01")
