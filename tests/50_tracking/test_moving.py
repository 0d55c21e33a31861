"""Moving classes and making up for them: who may, when, and what becomes of the money."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.support.calls import call, refused
from tests.support.lessons import Lessons
from tests.support.rest import Rest
from tests.support.tracking import Tracking, slot


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
