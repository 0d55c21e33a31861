"""What is counted, what is logged, and calls that are made again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.support.calls import call, refused
from tests.support.lessons import Lessons
from tests.support.tracking import slot


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
