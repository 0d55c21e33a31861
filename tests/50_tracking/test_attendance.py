"""What became of a class: who was there, and whether it was paid."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.lessons import Lessons


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
