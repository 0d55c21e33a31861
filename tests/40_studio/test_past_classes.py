"""The jobs about classes that are over: completed by themselves, and archived much later."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.calls import call
from tests.support.crowd import crowd
from tests.support.server import Database
from tests.support.studio import Studio


def at(studio: Studio, day: int, time: str) -> None:
    """Sets the clock to a wall-clock time, where the organisation is, so many days after `monday`."""
    studio.db.execute(
        "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
        f"return timestamptz '{studio.day(day)} {time}'".encode()
    )


def run(studio: Studio, job: str) -> int:
    [done] = call(studio.db, None, "run_job", p_name=job)
    assert done["status"] == "succeeded", done
    return int(done["result"])


def status_of(studio: Studio, lesson: Any) -> str:
    row = studio.db.execute("select class_status from public.class_assignments where id = %s", [lesson.id]).fetchone()
    assert row is not None
    return str(row[0])


def test_a_class_is_completed_a_day_after_its_end(studio: Studio) -> None:
    lesson = studio.assignment(instructor_status="accepted")
    at(studio, 1, "10:59:59Z")
    assert run(studio, "complete_past_classes") == 0
    at(studio, 1, "11:00:01Z")
    assert run(studio, "complete_past_classes") == 1
    assert status_of(studio, lesson) == "completed"
    assert run(studio, "complete_past_classes") == 0


def test_one_without_a_time_a_day_after_its_day_where_it_is(studio: Studio) -> None:
    lesson = studio.assignment(0, None, None, instructor_status="accepted", time_zone="America/New_York")
    offset = studio.db.execute(
        "select extract(hour from (%s::date + 1)::timestamp at time zone 'America/New_York' at time zone 'UTC')::integer",
        [studio.day(0)],
    ).fetchone()
    assert offset is not None
    at(studio, 2, f"{offset[0] - 1:02}:59:59Z")
    assert run(studio, "complete_past_classes") == 0
    at(studio, 2, f"{offset[0]:02}:00:01Z")
    assert run(studio, "complete_past_classes") == 1
    assert status_of(studio, lesson) == "completed"


def test_what_only_a_person_can_know_stays(studio: Studio) -> None:
    silent = studio.assignment()
    declined = studio.assignment(0, "12:00", "13:00", instructor_status="rejected")
    off = studio.assignment(0, "14:00", "15:00", instructor_status="accepted", class_status="cancelled")
    at(studio, 30, "12:00Z")
    assert run(studio, "complete_past_classes") == 0
    assert [status_of(studio, lesson) for lesson in (silent, declined, off)] == ["scheduled", "scheduled", "cancelled"]


def test_never_and_later_are_settings(studio: Studio) -> None:
    studio.assignment(instructor_status="accepted")
    setting = "update public.settings set value = %s where key = 'complete_classes_after_hours'"
    at(studio, 3, "12:00Z")
    studio.db.execute(setting, ["0"])
    assert run(studio, "complete_past_classes") == 0
    studio.db.execute(setting, ["100"])
    assert run(studio, "complete_past_classes") == 0
    studio.db.execute(setting, ["72"])
    assert run(studio, "complete_past_classes") == 1


def test_a_closed_pay_period_stays_as_it_is_and_stops_nothing(studio: Studio) -> None:
    late, second = (studio.assignment(day, instructor_status="accepted") for day in (0, 7))
    at(studio, 3, "12:00Z")
    studio.db.execute("update public.class_assignments set class_status = 'completed' where id = %s", [late.id])
    studio.world.insert("public.pay_periods", name="Past", starts_on=studio.day(-1), ends_on=studio.day(1))
    studio.db.execute("select public.close_pay_period('Past')")
    studio.db.execute("alter table public.class_assignments disable trigger user")
    studio.db.execute("update public.class_assignments set class_status = 'scheduled' where id = %s", [late.id])
    studio.db.execute("alter table public.class_assignments enable trigger user")
    at(studio, 30, "12:00Z")
    assert run(studio, "complete_past_classes") == 1
    assert (status_of(studio, late), status_of(studio, second)) == ("scheduled", "completed")


def test_many_at_once_complete_each_class_once(studio: Studio, database: Database) -> None:
    for day in range(20):
        studio.assignment(day, instructor_status="accepted")
    at(studio, 60, "12:00Z")
    said = crowd(database, 8, lambda by, _: by.execute("select private.complete_past_classes()"))
    assert said == {"done": 8}
    rows = studio.db.execute("select distinct class_status, version from public.class_assignments").fetchall()
    assert rows == [("completed", 2)]


@pytest.mark.parametrize(
    ("job", "months", "statuses"),
    [("archive_cancelled_classes", 6, {"cancelled"}), ("archive_old_classes", 12, {"cancelled", "completed"})],
)
def test_what_is_long_over_is_archived(studio: Studio, job: str, months: int, statuses: set[str]) -> None:
    row = studio.db.execute("select (private.today() - make_interval(months => %s))::date", [months]).fetchone()
    assert row is not None
    for day in (row[0], row[0] - timedelta(days=1)):
        for hour, status in enumerate(("scheduled", "completed", "cancelled"), 10):
            studio.assignment(0, f"{hour}:00", f"{hour}:30", date=day, class_status=status)
    assert run(studio, job) == len(statuses)
    moved = studio.db.execute("select date, class_status from public.class_assignments_archive").fetchall()
    assert {status for _, status in moved} == statuses
    assert {day for day, _ in moved} == {row[0] - timedelta(days=1)}
    assert run(studio, job) == 0
