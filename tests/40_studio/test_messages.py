"""What instructors and customers are told: once a person and statement, and never by themselves."""

from __future__ import annotations

from datetime import date
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call
from tests.support.identity import User
from tests.support.studio import Studio
from tests.support.world import World


@pytest.fixture
def studio(world: World) -> Studio:
    return Studio(world)


@pytest.fixture
def customer(world: World) -> User:
    return world.user("member", full_name="Cy Customer")


def told(db: psycopg.Connection[Any]) -> list[tuple[str, str, str]]:
    """Who was told what kind of thing under which title since this was asked last, and nothing else."""
    rows = db.execute(
        "with gone as (delete from public.notifications returning *) "
        "select p.full_name, g.kind, g.title from gone g join public.user_profiles p on p.id = g.recipient_id order by 1, 2, 3"
    ).fetchall()
    return [(name, kind, title) for name, kind, title in rows]


def bodies(db: psycopg.Connection[Any]) -> list[str]:
    return [body for (body,) in db.execute("select body from public.notifications order by body").fetchall()]


def words(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B} {day.year}"


def test_a_class_given_moved_passed_on_and_cancelled(db: psycopg.Connection[Any], studio: Studio) -> None:
    when = words(studio.monday)
    lesson = studio.assignment(location_id=studio.room, time_zone="Europe/Paris").id
    assert bodies(db) == [f"Hatha, {when}, 10:00–11:00 (Europe/Paris), Hall"]
    assert told(db) == [("Tara Teacher", "assignment_given", f"A class for you: {when}, 10:00–11:00 (Europe/Paris)")]
    change = "update public.class_assignments set {} where id = %s"
    db.execute(change.format("start_time = '12:00', end_time = '13:00'").encode(), [lesson])
    [body] = bodies(db)
    assert body.endswith(f"; before: Hatha, {when}, 10:00–11:00 (Europe/Paris), Hall")
    [(who, kind, title)] = told(db)
    assert (who, kind) == ("Tara Teacher", "assignment_rescheduled")
    assert title == f"A class of yours was moved: {when}, 12:00–13:00 (Europe/Paris)"
    db.execute(change.format("instructor_id = '%s'" % studio.other.profile_id).encode(), [lesson])  # noqa: UP031
    assert [row[:2] for row in told(db)] == [
        ("Odo Other", "assignment_given"),
        ("Tara Teacher", "assignment_withdrawn"),
    ]
    db.execute(change.format("class_status = 'cancelled'").encode(), [lesson])
    assert [row[:2] for row in told(db)] == [("Odo Other", "assignment_cancelled")]
    db.execute("delete from public.class_assignments where id = %s", [lesson])
    assert told(db) == []


def test_a_class_that_is_deleted_and_one_with_another_note(db: psycopg.Connection[Any], studio: Studio) -> None:
    lesson = studio.assignment(start=None, end=None).id
    assert told(db) == [("Tara Teacher", "assignment_given", f"A class for you: {words(studio.monday)}")]
    db.execute("update public.class_assignments set notes = 'Bring mats.' where id = %s", [lesson])
    assert told(db) == []
    db.execute("delete from public.class_assignments where id = %s", [lesson])
    assert [row[:2] for row in told(db)] == [("Tara Teacher", "assignment_cancelled")]


def test_many_at_once_are_told_once(db: psycopg.Connection[Any], studio: Studio) -> None:
    db.execute(
        "insert into public.class_assignments (class_type_id, instructor_id, date, start_time, end_time, payment_amount) "
        "select %s, %s, %s::date + n, '07:00', '08:00', 0 from generate_series(1, 30) n",
        [studio.hatha, studio.teacher.profile_id, studio.monday],
    )
    [body] = bodies(db)
    lines = body.splitlines()
    assert lines[0].startswith(f"Hatha, {words(studio.day(1))}, 07:00")
    assert (len(lines), lines[-1]) == (21, "and 10 more")
    assert told(db) == [("Tara Teacher", "assignment_given", "30 classes for you")]
    db.execute("update public.class_assignments set class_status = 'cancelled'")
    assert told(db) == [("Tara Teacher", "assignment_cancelled", "30 classes of yours were cancelled")]


def test_the_past_is_no_news(db: psycopg.Connection[Any], studio: Studio) -> None:
    lesson = studio.assignment(-60, class_status="scheduled").id
    studio.assignment(-61, class_status="completed", instructor_status="accepted")
    studio.assignment(5, class_status="cancelled")
    db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [lesson])
    assert told(db) == []


def test_who_did_it_knows(db: psycopg.Connection[Any], studio: Studio, world: World) -> None:
    boss = world.user("manager", full_name="Bo Boss")
    call(
        db, boss, "create_assignments",
        p_assignments=Jsonb([
            {"class_type_id": str(studio.hatha), "instructor_id": str(who), "date": str(studio.monday),
             "start_time": "10:00", "end_time": "11:00", "payment_amount": 0}
            for who in (boss.profile_id, studio.teacher.profile_id)
        ]),
    )  # fmt: skip
    assert [row[:2] for row in told(db)] == [("Tara Teacher", "assignment_given")]


def test_who_declined_hears_no_more_of_it(db: psycopg.Connection[Any], studio: Studio) -> None:
    lesson = studio.assignment().id
    told(db)
    call(db, studio.teacher, "respond_to_assignment", p_id=lesson, p_response="rejected")
    db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [lesson])
    assert told(db) == []


def test_customers(db: psycopg.Connection[Any], studio: Studio, customer: User) -> None:
    lesson = studio.assignment().id
    booking = studio.booking(customer, class_name="Evening yoga").booking_id
    told(db)
    studio.link(lesson, booking)
    [body] = bodies(db)
    assert body.startswith(f"Booking {booking}, Evening yoga: Hatha, {words(studio.monday)}, 10:00–11:00")
    assert told(db) == [("Cy Customer", "booking_confirmed", f"Your booking {booking} is confirmed")]
    db.execute("update public.class_assignments set date = date + 1 where id = %s", [lesson])
    assert [row[:2] for row in told(db)] == [
        ("Cy Customer", "class_rescheduled"),
        ("Tara Teacher", "assignment_rescheduled"),
    ]
    db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [lesson])
    assert [row[:2] for row in told(db)] == [
        ("Cy Customer", "class_cancelled"),
        ("Tara Teacher", "assignment_cancelled"),
    ]
    db.execute("update public.bookings set status = 'cancelled' where booking_id = %s", [booking])
    assert told(db) == [("Cy Customer", "booking_cancelled", f"Your booking {booking} is cancelled")]


def test_what_is_refused_was_never_said(db: psycopg.Connection[Any], studio: Studio) -> None:
    studio.assignment()
    told(db)
    with pytest.raises(psycopg.Error):
        studio.assignment(start="10:30", end="11:30")
    assert told(db) == []


def test_it_leaves_the_house_in_the_same_transaction(db: psycopg.Connection[Any], studio: Studio) -> None:
    db.execute("update public.settings set value = 'true' where key = 'send_email'")
    with db.transaction(force_rollback=True):
        studio.assignment()
        assert db.execute("select recipient, kind from public.outbox").fetchall() == [
            (studio.teacher.email, "assignment_given")
        ]
    assert db.execute("select count(*) from public.outbox").fetchone() == (0,)


def test_an_import_tells_each_instructor_once(db: psycopg.Connection[Any], studio: Studio, world: World) -> None:
    boss = world.user("admin", full_name="Bo Boss")
    rows = [
        {"class_type": "Hatha", "instructor": studio.teacher.email, "date": str(studio.day(number)),
         "start_time": "06:00", "end_time": "07:00", "payment_amount": 0}
        for number in range(40)
    ]  # fmt: skip
    call(db, boss, "import_assignments", p_rows=Jsonb(rows), p_dry_run=False)
    assert db.execute("select count(*) from public.class_assignments").fetchone() == (40,)
    assert told(db) == [("Tara Teacher", "assignment_given", "40 classes for you")]
