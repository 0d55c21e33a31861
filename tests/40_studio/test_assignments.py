"""Classes: nobody is in two places, dates of schedules are taken once, and statuses move as far as each may move them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.calls import refused
from tests.support.crowd import crowd
from tests.support.ledger import Connection, Ledger
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.studio import Studio

TAKE = (
    "insert into public.class_assignments (instructor_id, date, start_time, end_time, payment_amount, schedule_id) "
    "values (%s, %s, '10:00', '11:00', 0, %s)"
)


def change(studio: Studio, lesson: UUID, setting: str, by: Connection | None = None) -> None:
    (by or studio.db).execute(f"update public.class_assignments set {setting} where id = %s".encode(), [lesson])


def body(studio: Studio, day: int = 0, start: str = "10:00", end: str = "11:00", **more: Any) -> dict[str, Any]:
    """A class as REST takes it."""
    return {
        "instructor_id": str(studio.teacher.profile_id), "date": studio.day(day).isoformat(), "start_time": start,
        "end_time": end, "payment_amount": 0, **more,
    }  # fmt: skip


# Nobody is in two places.


def test_through_every_door(studio: Studio, rest: Rest) -> None:
    manager = studio.world.user("manager")
    studio.assignment()
    assert (
        rest.post("/class_assignments", body(studio, 0, "10:30", "11:30"), user=manager).json()["code"]
        == "time_conflict"
    )
    answer = rest.post("/rpc/create_assignments", {"p_assignments": [body(studio, 0, "09:30", "10:30")]}, user=manager)
    assert (answer.status_code, answer.json()["code"]) == (409, "time_conflict")
    with refused("time_conflict"):
        studio.assignment(0, "10:59", "11:59")
    later = studio.assignment(0, "11:00", "12:00")
    answer = rest.patch(
        f"/class_assignments?id=eq.{later.id}", {"start_time": "10:30", "end_time": "11:30"}, user=manager
    )
    assert answer.json()["code"] == "time_conflict"
    assert rest.post("/class_assignments", body(studio, 0, "12:00", "13:00"), user=manager).status_code == 201


def test_two_at_once(studio: Studio, ledger: Ledger) -> None:
    def make(start: str, end: str) -> Any:
        return lambda by: by.execute(
            TAKE.replace("10:00", start).replace("11:00", end), [studio.teacher.profile_id, studio.monday, None]
        )

    outcome = ledger.collide(make("10:00", "11:00"), make("10:30", "11:30"))
    assert (outcome.waited, outcome.code) == (True, "time_conflict")


def test_a_room_is_taken_as_an_instructor_is(studio: Studio) -> None:
    studio.assignment(location_id=studio.room)
    with refused("time_conflict"):
        studio.assignment(instructor_id=studio.other.profile_id, location_id=studio.room)
    studio.assignment(instructor_id=studio.other.profile_id)


def test_a_meeting_is_in_the_way_too(studio: Studio, ledger: Ledger) -> None:
    ledger.meeting(
        "Staff", studio.teacher.profile_id, date=studio.monday, start_time="10:00", end_time="11:00", time_zone="UTC"
    )
    with refused("time_conflict"):
        studio.assignment(0, "10:30", "11:30", time_zone="UTC")


def test_without_times_it_takes_nobody(studio: Studio) -> None:
    for _ in range(2):
        lesson = studio.assignment(start=None, end=None)
        assert (lesson.starts_at, lesson.ends_at) == (None, None)
    assert studio.claims(studio.teacher.profile_id) == []
    for start, end in (("10:00", None), (None, "10:00")):
        with refused("invalid_input"):
            studio.assignment(start=start, end=end)
    change(studio, lesson.id, "start_time = '10:00', end_time = '11:00'")
    assert len(studio.claims(studio.teacher.profile_id)) == 1
    change(studio, lesson.id, "start_time = null, end_time = null")
    assert studio.claims(studio.teacher.profile_id) == []


def test_cancelled_frees_all_and_rejected_frees_the_instructor(studio: Studio) -> None:
    lesson = studio.assignment(location_id=studio.room)
    change(studio, lesson.id, "instructor_status = 'rejected'")
    assert (studio.claims(studio.teacher.profile_id), len(studio.claims(studio.room))) == ([], 1)
    studio.assignment(0, "10:30", "11:30")
    change(studio, lesson.id, "class_status = 'cancelled'")
    assert studio.claims(studio.room) == []


# Dates of schedules.


def test_it_takes_over_the_date_of_its_schedule(studio: Studio, ledger: Ledger) -> None:
    schedule = studio.schedule(location_id=studio.room)
    with refused("time_conflict"):
        studio.assignment()
    lesson = studio.assignment(schedule_id=schedule.id, location_id=studio.room)
    assert (lesson.occurs_on, lesson.time_zone) == (studio.monday, schedule.time_zone)
    assert studio.claims(studio.teacher.profile_id, 0, 7) == [
        ("class_assignments", studio.day(0)), ("weekly_rules", studio.day(7))
    ]  # fmt: skip
    with refused("time_conflict") as refusal:
        studio.assignment(0, "15:00", "16:00", schedule_id=schedule.id, instructor_id=studio.other.profile_id)
    assert refusal.message == f"{studio.monday} of this schedule is already assigned"
    studio.db.execute("delete from public.class_assignments")
    assert studio.claims(studio.teacher.profile_id) == [("weekly_rules", studio.day(0))]
    assert ledger.faults() == []


def test_a_date_the_schedule_does_not_have(studio: Studio) -> None:
    schedule = studio.schedule()
    for day in (1, -7):
        with refused("invalid_input"):
            studio.assignment(day, schedule_id=schedule.id)


def test_a_moved_class_keeps_its_date_from_being_promised_twice(studio: Studio, ledger: Ledger) -> None:
    schedule = studio.schedule()
    lesson = studio.assignment(schedule_id=schedule.id)
    change(studio, lesson.id, f"date = date '{studio.day(2)}'")
    assert studio.claims(studio.teacher.profile_id, 0, 6) == [("class_assignments", studio.day(2))]
    with refused("illegal_transition"):
        studio.db.execute("delete from public.weekly_rule_exceptions")
    assert ledger.faults() == []


def test_a_cancelled_class_leaves_its_date_off_until_somebody_takes_it(studio: Studio, ledger: Ledger) -> None:
    schedule = studio.schedule()
    lesson = studio.assignment(schedule_id=schedule.id)
    change(studio, lesson.id, "class_status = 'cancelled'")
    assert studio.claims(studio.teacher.profile_id) == []
    again = studio.assignment(schedule_id=schedule.id)
    assert studio.claims(studio.teacher.profile_id) == [("class_assignments", studio.day(0))]
    # The one that was called off does not bring the date back when it goes.
    studio.db.execute("delete from public.class_assignments where id = %s", [lesson.id])
    assert studio.claims(studio.teacher.profile_id) == [("class_assignments", studio.day(0))]
    change(studio, again.id, "class_status = 'cancelled'")
    studio.db.execute("delete from public.class_assignments where id = %s", [again.id])
    assert studio.claims(studio.teacher.profile_id) == []
    assert ledger.faults() == []


def test_giving_back_what_is_taken_meanwhile_is_refused(studio: Studio) -> None:
    schedule = studio.schedule()
    lesson = studio.assignment(schedule_id=schedule.id, instructor_id=studio.other.profile_id)
    studio.assignment(0, "10:30", "11:30")
    with refused("time_conflict"):
        studio.db.execute("delete from public.class_assignments where id = %s", [lesson.id])
    change(studio, lesson.id, "class_status = 'cancelled'")
    studio.db.execute("delete from public.class_assignments where id = %s", [lesson.id])


@pytest.mark.parametrize("before", ["nothing", "cancelled"])
def test_twenty_want_one_date_and_one_gets_it(studio: Studio, database: Database, ledger: Ledger, before: str) -> None:
    """As a date that nobody took, and as one whose class was called off; each with an instructor of their own."""
    schedule = studio.schedule()
    if before == "cancelled":
        lesson = studio.assignment(schedule_id=schedule.id)
        change(studio, lesson.id, "class_status = 'cancelled'")
    takers = [studio.world.user("instructor").profile_id for _ in range(20)]
    told = crowd(database, 20, lambda by, n: by.execute(TAKE, [takers[n], studio.monday, schedule.id]))
    assert told["done"] == 1
    assert told["done"] + told["time_conflict"] + told["23505"] == 20, told
    assert ledger.faults() == []


@pytest.mark.parametrize("taker_first", [True, False])
def test_the_date_or_the_time_of_its_instructor(studio: Studio, ledger: Ledger, taker_first: bool) -> None:
    """One takes the date over, another wants its instructor then: in both orders the other is refused."""
    schedule = studio.schedule()
    who = studio.teacher.profile_id

    def take(by: Connection) -> None:
        by.execute(TAKE, [who, studio.monday, schedule.id])

    def other(by: Connection) -> None:
        by.execute(TAKE, [who, studio.monday, None])

    if taker_first:
        assert ledger.collide(take, other).code == "time_conflict"
    else:
        assert ledger.attempt(other).code == "time_conflict"
        assert ledger.attempt(take).code is None
    assert ledger.faults() == []


def test_another_schedule_and_another_date(studio: Studio, ledger: Ledger) -> None:
    first = studio.schedule()
    second = studio.schedule(3, "12:00", "13:00")
    lesson = studio.assignment(schedule_id=first.id)
    change(studio, lesson.id, f"occurs_on = '{studio.day(7)}', date = '{studio.day(7)}'")
    assert studio.claims(studio.teacher.profile_id, 0, 0) == [("weekly_rules", studio.day(0))]
    change(studio, lesson.id, f"schedule_id = '{second.id}', occurs_on = '{studio.day(2)}', date = '{studio.day(2)}'")
    assert studio.claims(studio.teacher.profile_id, 7, 7) == [("weekly_rules", studio.day(7))]
    # It is at ten, and the schedule's own twelve o'clock is its date's no more.
    assert studio.claims(studio.teacher.profile_id, 2, 2) == [("class_assignments", studio.day(2))]
    assert ledger.faults() == []


# Clocks.


def test_local_time_becomes_an_instant(studio: Studio) -> None:
    until_midnight = studio.db.execute(
        "insert into public.class_assignments (instructor_id, date, start_time, end_time, time_zone, payment_amount) "
        "values (%s, %s, '23:00', '24:00', 'America/New_York', 0) returning ends_at - starts_at",
        [studio.teacher.profile_id, studio.monday],
    ).fetchone()
    assert until_midnight == (timedelta(hours=1),)
    room = studio.world.insert("public.locations", name="Tokyo", time_zone="Asia/Tokyo").id
    there = studio.assignment(1, location_id=room)
    assert there.starts_at == datetime.combine(studio.day(1), time(1), UTC)
    forged = studio.assignment(2, starts_at="2000-01-01", ends_at="2000-01-02")
    assert forged.starts_at.date() != date(2000, 1, 1)


def test_the_hour_that_does_not_exist_and_the_one_that_comes_twice(studio: Studio) -> None:
    studio.db.execute("update public.settings set value = '730' where key = 'days_ahead'")
    spring = studio.db.execute(
        "select min(d)::date from generate_series(private.today()::timestamp + interval '1 day', private.today() + 380, interval '1 day') d "
        "where private.local_to_instant(d::date, '02:30', 'Europe/Paris') is null"
    ).fetchone()
    autumn = studio.db.execute(
        "select min(d)::date from generate_series(private.today()::timestamp + interval '1 day', private.today() + 380, interval '1 day') d "
        "where (d + interval '1 day') at time zone 'Europe/Paris' - d at time zone 'Europe/Paris' = interval '25 hours'"
    ).fetchone()
    assert spring is not None
    assert autumn is not None
    with refused("invalid_input") as refusal:
        studio.assignment(date=spring[0], start="02:30", end="03:30", time_zone="Europe/Paris")
    assert refusal.fields == {"start_time"}
    lesson = studio.assignment(date=autumn[0], start="02:30", end="03:30", time_zone="Europe/Paris")
    assert lesson.ends_at - lesson.starts_at == timedelta(hours=2)


# What makes no sense.


def test_every_bad_field_is_named(studio: Studio) -> None:
    with refused("invalid_input") as refusal:
        studio.assignment(
            400, "10:00", "09:00", time_zone="Mars/Base", payment_amount=-1, payment_type="by_feel", schedule_type="yearly",
            booking_type="secret", class_status="scheduled", payment_status="lost", instructor_status="lost", notes="x" * 1001,
        )  # fmt: skip
    assert refusal.fields == {
        "date", "end_time", "time_zone", "payment_amount", "payment_type", "schedule_type", "booking_type",
        "payment_status", "instructor_status", "notes",
    }  # fmt: skip


def test_days_ahead_and_length(studio: Studio) -> None:
    ahead = (studio.today - studio.monday).days + 90
    lesson = studio.assignment(ahead)
    with refused("invalid_input") as refusal:
        studio.assignment(ahead + 1)
    assert refusal.fields == {"date"}
    studio.db.execute("update public.settings set value = '30' where key = 'days_ahead'")
    change(studio, lesson.id, "notes = 'Old rows may stay where they are.'")
    for minutes, fine in ((29, False), (30, True), (180, True), (181, False)):
        end = (datetime(2026, 1, 1, 10) + timedelta(minutes=minutes)).time()
        if fine:
            studio.db.execute("delete from public.class_assignments")
            studio.assignment(end=end.isoformat())
        else:
            with refused("invalid_input"):
                studio.assignment(end=end.isoformat())


def test_text_is_cleaned_and_the_old_word_for_crash_understood(studio: Studio) -> None:
    lesson = studio.assignment(notes="  <i>Mat</i>\x07\n ", schedule_type="crash_course")
    assert (lesson.notes, lesson.schedule_type) == ("<i>Mat</i>", "crash")


def test_an_instructor_who_is_nobody_or_has_left(studio: Studio) -> None:
    studio.db.execute("update public.user_profiles set is_active = false where id = %s", [studio.other.profile_id])
    with refused("invalid_input") as refusal:
        studio.assignment(instructor_id=studio.other.profile_id)
    assert refusal.fields == {"instructor_id"}


# Who may make which move.
