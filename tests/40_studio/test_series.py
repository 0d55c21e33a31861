"""Editing a class that repeats: this one, from here on, all; what was changed by hand stays."""

from __future__ import annotations

from datetime import date, time
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import refused
from tests.support.identity import User, as_user
from tests.support.ledger import Ledger
from tests.support.studio import Studio
from tests.support.world import World


@pytest.fixture
def manager(world: World) -> User:
    return world.user("manager")


def edit(studio: Studio, manager: User, scope: str, changes: dict[str, Any], **which: Any) -> Any:
    """Calls edit_repeating_class as the manager and returns its row."""
    names = ", ".join(f"p_{name} => %s" for name in which)
    with as_user(studio.db, manager) as connection:
        return connection.execute(
            f"select * from public.edit_repeating_class(%s, %s, {names})",
            [scope, Jsonb(changes), *which.values()],
        ).fetchone()


def when(studio: Studio, assignment: UUID) -> tuple[date, time, UUID]:
    found = studio.db.execute(
        "select date, start_time, instructor_id from public.class_assignments where id = %s", [assignment]
    ).fetchone()
    assert found is not None
    return found


def claimed(studio: Studio, resource: UUID) -> list[tuple[date, str]]:
    """The coming four weeks of a resource: local date and start of each claim, as its zone UTC has them."""
    return studio.db.execute(
        "select (lower(during) at time zone 'UTC')::date, to_char(lower(during) at time zone 'UTC', 'HH24:MI') "
        "from public.claims where resource_id = %s and lower(during) < %s::timestamp at time zone 'UTC' "
        "order by lower(during)",
        [resource, studio.day(28)],
    ).fetchall()


@pytest.fixture
def series(studio: Studio) -> tuple[Any, list[Any]]:
    """Mondays at ten for teacher in the hall, of which the first three have a class of their own."""
    schedule = studio.schedule(1, "10:00", "11:00", location_id=studio.room)
    made = [studio.assignment(7 * week, schedule_id=schedule.id, location_id=studio.room) for week in range(3)]
    return schedule, made


def test_this_one(studio: Studio, manager: User, series: tuple[Any, list[Any]]) -> None:
    _, made = series
    edit(studio, manager, "this", {"start_time": "12:00", "end_time": "13:00"}, assignment_id=made[1].id)
    assert when(studio, made[1].id)[:2] == (studio.day(7), time(12))
    assert claimed(studio, studio.teacher.profile_id) == [
        (studio.day(0), "10:00"),
        (studio.day(7), "12:00"),
        (studio.day(14), "10:00"),
        (studio.day(21), "10:00"),
    ]


def test_this_date_without_a_class_gets_one(studio: Studio, manager: User, series: tuple[Any, list[Any]]) -> None:
    schedule, _ = series
    row = edit(
        studio,
        manager,
        "this",
        {"instructor_id": str(studio.other.profile_id)},
        schedule_id=schedule.id,
        occurs_on=studio.day(21),
    )
    assert when(studio, row[1][0]) == (studio.day(21), time(10), studio.other.profile_id)
    assert claimed(studio, studio.other.profile_id) == [(studio.day(21), "10:00")]
    assert (studio.day(21), "10:00") not in claimed(studio, studio.teacher.profile_id)


def test_from_here_on(studio: Studio, manager: User, series: tuple[Any, list[Any]], ledger: Ledger) -> None:
    schedule, made = series
    row = edit(studio, manager, "following", {"start_time": "18:00", "end_time": "19:00"}, assignment_id=made[1].id)
    assert row[0] != schedule.id
    assert set(row[1]) == {made[1].id, made[2].id}
    assert claimed(studio, studio.teacher.profile_id) == [
        (studio.day(0), "10:00"),
        (studio.day(7), "18:00"),
        (studio.day(14), "18:00"),
        (studio.day(21), "18:00"),
    ]
    assert studio.db.execute(
        "select effective_until from public.class_schedules where id = %s", [schedule.id]
    ).fetchone() == (studio.day(6),)
    assert ledger.faults() == []


def test_all_of_it_in_place(studio: Studio, manager: User, series: tuple[Any, list[Any]], ledger: Ledger) -> None:
    schedule, _ = series
    row = edit(
        studio,
        manager,
        "all",
        {"instructor_id": str(studio.other.profile_id)},
        schedule_id=schedule.id,
        occurs_on=studio.day(7),
    )
    assert row[0] == schedule.id
    assert claimed(studio, studio.teacher.profile_id) == []
    assert len(claimed(studio, studio.other.profile_id)) == 4
    assert ledger.faults() == []


def test_another_weekday(studio: Studio, manager: User, series: tuple[Any, list[Any]], ledger: Ledger) -> None:
    _, made = series
    edit(studio, manager, "following", {"day_of_week": 3}, assignment_id=made[1].id)
    assert claimed(studio, studio.teacher.profile_id) == [
        (studio.day(0), "10:00"),
        (studio.day(9), "10:00"),
        (studio.day(16), "10:00"),
        (studio.day(23), "10:00"),
    ]
    assert ledger.faults() == []


def test_what_was_changed_by_hand_stays(studio: Studio, manager: User, series: tuple[Any, list[Any]]) -> None:
    _, made = series
    studio.db.execute(
        "update public.class_assignments set start_time = '15:00', end_time = '16:00' where id = %s", [made[1].id]
    )
    studio.db.execute(
        "update public.class_assignments set instructor_id = %s where id = %s", [studio.other.profile_id, made[2].id]
    )
    row = edit(
        studio,
        manager,
        "following",
        {"start_time": "18:00", "end_time": "19:00", "location_id": None},
        assignment_id=made[0].id,
    )
    assert when(studio, made[0].id)[:2] == (studio.day(0), time(18))
    assert when(studio, made[1].id)[:2] == (studio.day(7), time(15))
    assert when(studio, made[2].id) == (studio.day(14), time(18), studio.other.profile_id)
    assert {(item["id"], item["field"]) for item in row[2]} == {
        (str(made[1].id), "start_time"),
        (str(made[1].id), "end_time"),
    }
    assert claimed(studio, studio.room) == []


def test_dates_that_are_off_stay_off(studio: Studio, manager: User, series: tuple[Any, list[Any]]) -> None:
    schedule, made = series
    with as_user(studio.db, manager) as connection:
        connection.execute("select public.cancel_occurrence(%s, %s, 'Away')", [schedule.id, studio.day(21)])
    studio.db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [made[2].id])
    edit(studio, manager, "following", {"start_time": "18:00", "end_time": "19:00"}, assignment_id=made[1].id)
    assert claimed(studio, studio.teacher.profile_id) == [(studio.day(0), "10:00"), (studio.day(7), "18:00")]


def test_a_clash_changes_nothing(studio: Studio, manager: User, series: tuple[Any, list[Any]]) -> None:
    _, made = series
    studio.assignment(21, "18:00", "19:00", instructor_id=studio.teacher.profile_id)
    before = claimed(studio, studio.teacher.profile_id)
    with refused("time_conflict"):
        edit(studio, manager, "following", {"start_time": "18:00", "end_time": "19:00"}, assignment_id=made[1].id)
    assert claimed(studio, studio.teacher.profile_id) == before
    assert studio.db.execute("select count(*) from public.class_schedules").fetchone() == (1,)


def test_a_plan_without_a_schedule(studio: Studio, manager: User) -> None:
    plan = "11111111-1111-4111-8111-111111111111"
    made = [studio.assignment(day, plan_id=plan) for day in (0, 7, 14)]
    edit(studio, manager, "following", {"start_time": "08:00", "end_time": "09:00"}, assignment_id=made[1].id)
    assert [when(studio, each.id)[1] for each in made] == [time(10), time(8), time(8)]


def test_what_does_not_repeat_says_so(studio: Studio, manager: User) -> None:
    alone = studio.assignment()
    with refused("invalid_input"):
        edit(studio, manager, "all", {"notes": "Bring a mat"}, assignment_id=alone.id)


def test_staff_without_permission(studio: Studio, series: tuple[Any, list[Any]]) -> None:
    with refused("forbidden"):
        edit(studio, studio.teacher, "following", {"notes": "Mine"}, assignment_id=series[1][0].id)


UNKNOWN = str(uuid4())


@pytest.mark.parametrize(
    ("scope", "changes", "field"),
    [
        ("this", {"class_type_id": UNKNOWN}, "p_changes.class_type_id"),
        ("following", {"class_type_id": None}, "class_type_id"),
        ("all", {"location_id": UNKNOWN}, "p_changes.location_id"),
        ("this", {"instructor_id": UNKNOWN}, "instructor_id"),
        ("following", {"instructor_id": UNKNOWN}, "instructor_id"),
        ("this", {"day_of_week": None}, "p_changes.day_of_week"),
        ("following", {"day_of_week": None}, "p_changes.day_of_week"),
        ("this", {"max_participants": 3}, "p_changes.max_participants"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
def test_changes_that_make_no_sense(
    studio: Studio, manager: User, series: tuple[Any, list[Any]], scope: str, changes: dict[str, Any], field: str
) -> None:
    with refused("invalid_input") as refusal:
        edit(studio, manager, scope, changes, assignment_id=series[1][1].id)
    assert refusal.fields == {field}


def test_a_plan_without_a_schedule_has_the_room_of_its_class_type(studio: Studio, manager: User) -> None:
    made = studio.assignment(plan_id=uuid4())
    with refused("invalid_input") as refusal:
        edit(studio, manager, "all", {"max_participants": 3}, assignment_id=made.id)
    assert refusal.fields == {"p_changes.max_participants"}


@pytest.mark.parametrize("guarded", [True, False])
def test_a_series_goes_on_while_its_class_type_gets_less_room(
    studio: Studio, series: tuple[Any, list[Any]], ledger: Ledger, guarded: bool
) -> None:
    """Who edits waits for a class and then needs the class type; who changes that waits for the classes."""
    schedule, made = series
    if not guarded:
        ledger.rewrite("private.lock_series(uuid, date, uuid[], jsonb)", "for key share", "limit 0")
    edited, lowered = ledger.pile_up(
        lambda by: by.execute("update public.class_assignments set notes = 'Soon' where id = %s", [made[2].id]),
        lambda by: by.execute(
            "select public.edit_repeating_class('following', %s, p_schedule_id => %s, p_occurs_on => %s)",
            [Jsonb({"start_time": "18:00", "end_time": "19:00"}), schedule.id, studio.day(7)],
        ),
        lambda by: by.execute("update public.class_types set max_participants = 2 where id = %s", [studio.hatha]),
    )
    assert edited.waited
    assert ("40P01" in (edited.code, lowered.code)) != guarded
    assert ledger.faults() == []
