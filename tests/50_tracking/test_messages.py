"""What students, those who pay for them, and teachers are told of classes; generation tells nobody."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.calls import call
from tests.support.tracking import Tracking, slot
from tests.support.world import World


@pytest.fixture
def tracking(world: World) -> Tracking:
    return Tracking(world)


def told(db: psycopg.Connection[Any]) -> list[tuple[str, str, str, str]]:
    """Who was told what since this was asked last: kind, title and text."""
    rows = db.execute(
        "with gone as (delete from public.notifications returning *) "
        "select p.full_name, g.kind, g.title, g.body from gone g join public.user_profiles p on p.id = g.recipient_id order by 1, 2, 3"
    ).fetchall()
    return [(name, kind, title, body) for name, kind, title, body in rows]


def test_generation_tells_nobody(tracking: Tracking, db: psycopg.Connection[Any]) -> None:
    payer = tracking.world.user("member")
    student = tracking.student([slot("monday", "10:00"), slot("friday", "10:00")], profile_id=payer.profile_id).id
    tracking.run()
    assert len(tracking.classes(student)) > 4
    db.execute("update public.students set fixed_schedule = '[]' where id = %s", [student])
    assert told(db) == []


def test_a_class_that_is_cancelled(tracking: Tracking, db: psycopg.Connection[Any]) -> None:
    payer = tracking.world.user("member", full_name="Pay Parent")
    learner = tracking.world.user("member", full_name="Sam Learner")
    student = tracking.student([slot("friday", "10:00")], profile_id=payer.profile_id, user_id=learner.id).id
    lesson = tracking.classes(student)[0]
    call(db, tracking.teacher, "cancel_class", p_class_id=lesson.id, p_reason="Ill.")
    said = told(db)
    # Who did it knows.
    assert [name for name, *_ in said] == ["Pay Parent", "Sam Learner"]
    title = "Mathematics of Sam was cancelled: Friday 11 June 2027, 10:00–11:00 (UTC)"
    assert said[0][1:] == (
        "class_cancelled", title, "Mathematics of Sam, Friday 11 June 2027, 10:00–11:00 (UTC): Ill.",
    )  # fmt: skip


def test_a_class_that_is_moved(tracking: Tracking, db: psycopg.Connection[Any]) -> None:
    payer = tracking.world.user("member", full_name="Pay Parent")
    student = tracking.student([slot("friday", "10:00")], profile_id=payer.profile_id, time_zone="America/New_York").id
    first, second = tracking.classes(student)[:2]
    call(db, None, "reschedule_class", p_class_id=first.id, p_date=tracking.day(5), p_start_time="15:00")
    said = told(db)
    assert [row[:2] for row in said] == [("Pay Parent", "class_rescheduled"), ("Tara Teacher", "class_rescheduled")]
    assert said[0][2] == "Mathematics of Sam was moved: Saturday 12 June 2027, 15:00–16:00 (America/New_York)"
    assert said[0][3].endswith("; before: Friday 11 June 2027, 10:00–11:00 (America/New_York)")
    # The same where it is moved as it stands.
    db.execute("update public.classes set start_time = '12:00', end_time = '13:00' where id = %s", [second.id])
    assert [row[:2] for row in told(db)] == [("Pay Parent", "class_rescheduled"), ("Tara Teacher", "class_rescheduled")]
    db.execute("update public.classes set notes = 'Page 7.' where id = %s", [second.id])
    assert told(db) == []


def test_a_holiday_is_told_once_each(tracking: Tracking, db: psycopg.Connection[Any]) -> None:
    payer = tracking.world.user("member", full_name="Pay Parent")
    for hour in ("09:00", "11:00", "13:00"):
        tracking.student([slot("friday", hour)], profile_id=payer.profile_id)
    db.execute(
        "update public.classes set status = 'cancelled', cancelled_by = 'organisation', cancellation_reason = 'Holiday.' "
        "where date = %s",
        [tracking.day(4)],
    )
    assert [row[:3] for row in told(db)] == [
        ("Pay Parent", "class_cancelled", "3 classes were cancelled"),
        ("Tara Teacher", "class_cancelled", "3 classes were cancelled"),
    ]


def test_what_is_over_is_no_news(tracking: Tracking, db: psycopg.Connection[Any]) -> None:
    payer = tracking.world.user("member")
    student = tracking.student([slot("friday", "10:00")], profile_id=payer.profile_id).id
    lesson = tracking.classes(student)[0]
    tracking.later(days=10)
    call(db, None, "cancel_class", p_class_id=lesson.id, p_reason="Nobody came.", p_cancelled_by="organisation")
    assert told(db) == []
