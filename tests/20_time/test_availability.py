"""Hours: who may state them, through which door, what is kept of them, and who works outside them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import refused
from tests.support.hours import state, today
from tests.support.identity import as_user
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World

Db = psycopg.Connection[Any]
NINE_TO_FIVE = [{"weekday": weekday, "start_time": "09:00", "end_time": "17:00"} for weekday in range(1, 6)]
MONDAY = [{"weekday": 1, "start_time": "08:00", "end_time": "12:00"}]


def stated(db: Db, resource: Any) -> list[tuple[Any, ...]]:
    """(weekday, start, first day, last day excluded) of every row, in order."""
    return db.execute(
        "select weekday, to_char(start_time, 'HH24:MI'), lower(effective), upper(effective)"
        " from public.availability_rules where resource_id = %s order by lower(effective), weekday, start_time",
        [resource],
    ).fetchall()


# --- stating hours --------------------------------------------------------------------------------------------------


def test_people_state_their_own_hours(db: Db, world: World) -> None:
    ana = world.user("instructor", time_zone="Europe/Paris")
    rows = state(db, ana, ana.profile_id, NINE_TO_FIVE)
    assert [row["weekday"] for row in rows] == [1, 2, 3, 4, 5]
    assert {row["time_zone"] for row in rows} == {"Europe/Paris"}
    assert {row["resource_id"] for row in rows} == {ana.profile_id}
    assert stated(db, ana.profile_id) == [(weekday, "09:00", today(db), None) for weekday in range(1, 6)]


def test_managers_state_anybodys_and_nobody_else_does(db: Db, world: World) -> None:
    ana = world.user("instructor")
    room = world.insert("public.locations", name="Room", time_zone="Asia/Tokyo").id
    for role in ("admin", "manager"):
        state(db, world.user(role), ana.profile_id, MONDAY)
        assert {row["time_zone"] for row in state(db, world.user(role), room, MONDAY)} == {"Asia/Tokyo"}
    before = stated(db, ana.profile_id)
    for stranger in ("instructor", "staff", "member", None):
        with refused("forbidden"):
            state(db, world.user(stranger), ana.profile_id, [])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        state(db, "anon", ana.profile_id, [])
    assert stated(db, ana.profile_id) == before
    state(db, "service_role", ana.profile_id, [])
    assert stated(db, ana.profile_id) == []


def test_new_hours_replace_from_a_date_and_keep_what_was(db: Db, world: World) -> None:
    ana = world.user("instructor")
    now = today(db)
    week = timedelta(days=7)
    state(db, ana, ana.profile_id, MONDAY, p_from=now - 4 * week)
    state(db, ana, ana.profile_id, [{"weekday": 2, "start_time": "10:00", "end_time": "11:00"}], p_from=now + 4 * week)
    state(db, ana, ana.profile_id, [{"weekday": 3, "start_time": "11:00", "end_time": "12:00"}], p_from=now)
    # What was to begin later is replaced too: it had not been yet.
    assert stated(db, ana.profile_id) == [(1, "08:00", now - 4 * week, now), (3, "11:00", now, None)]
    state(db, ana, ana.profile_id, MONDAY)
    assert stated(db, ana.profile_id) == [(1, "08:00", now - 4 * week, now), (1, "08:00", now, None)]
    state(db, ana, ana.profile_id, [], p_from=now + week)
    assert stated(db, ana.profile_id) == [(1, "08:00", now - 4 * week, now), (1, "08:00", now, now + week)]


def test_hours_may_last_until_midnight(db: Db, world: World) -> None:
    ana = world.user("instructor")
    late = [
        {"weekday": 5, "start_time": "22:00", "end_time": "24:00"},
        {"weekday": 6, "start_time": "00:00", "end_time": "02:00:00"},
    ]
    ends = "select end_time::text from public.set_availability(%s, %s)"
    with as_user(db, ana):
        assert db.execute(ends, [ana.profile_id, Jsonb(late)]).fetchall() == [("24:00:00",), ("02:00:00",)]


def test_hours_that_ended_earlier_are_left_alone(db: Db, world: World) -> None:
    ana = world.user("instructor")
    now = today(db)
    state(db, ana, ana.profile_id, MONDAY, p_from=now - timedelta(days=60))
    state(db, ana, ana.profile_id, [], p_from=now - timedelta(days=30))
    before = db.execute("select * from public.availability_rules").fetchall()
    state(db, ana, ana.profile_id, NINE_TO_FIVE)
    assert set(before) <= set(db.execute("select * from public.availability_rules").fetchall())


def test_every_bad_entry_is_named_at_once(db: Db, world: World) -> None:
    ana = world.user("instructor")
    with refused("invalid_input") as refusal:
        state(
            db,
            ana,
            ana.profile_id,
            [
                {"weekday": 7, "start_time": "9", "end_time": "25:00"},
                {"weekday": 1, "start_time": "10:00", "end_time": "09:00", "time_zone": "Mars/Olympus"},
                "monday",
                {"weekday": 2, "start_time": "09:00", "end_time": "12:00"},
                {"weekday": 2, "start_time": "11:00", "end_time": "13:00"},
                {"weekday": 2, "start_time": "13:00", "end_time": "14:00"},
                {"weekday": 2.5, "start_time": "24:00", "end_time": None, "time_zone": None},
            ],
            p_from=date(2300, 1, 1),
        )
    assert refusal.fields == {
        "p_from", "p_hours[0].weekday", "p_hours[0].start_time", "p_hours[0].end_time", "p_hours[1].end_time",
        "p_hours[1].time_zone", "p_hours[2]", "p_hours[4]", "p_hours[6].weekday", "p_hours[6].start_time",
        "p_hours[6].end_time", "p_hours[6].time_zone",
    }  # fmt: skip
    assert stated(db, ana.profile_id) == []


@pytest.mark.parametrize("hours", [{"weekday": 1}, "x", 5, None, [MONDAY[0]] * 201])
def test_what_is_no_list_of_hours_is_refused(db: Db, world: World, hours: Any) -> None:
    ana = world.user("instructor")
    with refused("invalid_input") as refusal:
        state(db, ana, ana.profile_id, hours)
    assert refusal.fields == {"p_hours"}


def test_hours_of_nobody_are_not_found(db: Db, world: World) -> None:
    with refused("not_found"):
        state(db, world.user("manager"), uuid4(), MONDAY)
    customer = world.user("member")  # has a profile and no resource
    with refused("not_found"):
        state(db, customer, customer.profile_id, MONDAY)
    with refused("invalid_input") as refusal:
        state(db, customer, None, MONDAY)
    assert refusal.fields == {"p_resource_id"}


def test_a_repeated_call_answers_what_the_first_did(db: Db, world: World) -> None:
    ana = world.user("instructor")
    first = state(db, ana, ana.profile_id, MONDAY, p_idempotency_key="k")
    assert state(db, ana, ana.profile_id, MONDAY, p_idempotency_key="k") == first
    assert [row["id"] for row in first] == [
        row[0] for row in db.execute("select id from public.availability_rules").fetchall()
    ]
    with refused("idempotency_mismatch"):
        state(db, ana, ana.profile_id, NINE_TO_FIVE, p_idempotency_key="k")


def test_two_who_replace_hours_at_once_leave_one_answer(database: Database, db: Db, world: World) -> None:
    ana = world.user("instructor")
    replace = "select from public.set_availability(%s, %s)"
    tuesday = [{"weekday": 2, "start_time": "09:00", "end_time": "10:00"}]

    def race() -> list[int]:
        first, second = database.connect(), database.connect()
        with ThreadPoolExecutor(1) as pool:
            with first.transaction():
                first.execute(replace, [ana.profile_id, Jsonb(MONDAY)])
                running = pool.submit(second.execute, replace, [ana.profile_id, Jsonb(tuesday)])
                if guarded:
                    until_blocked(db, second)
                else:
                    running.result(60)
            running.result(60)
        return [row[0] for row in stated(db, ana.profile_id)]

    guarded = True
    assert race() == [2]
    db.execute("delete from public.availability_rules")
    guarded = False
    db.execute("create or replace function private.lock_resources(p_ids uuid[]) returns void language sql as 'select'")
    assert race() == [1, 2]


# --- over REST and in plain SQL -------------------------------------------------------------------------------------


def test_rows_over_rest_are_ones_own_or_a_managers(db: Db, world: World, rest: Rest) -> None:
    ana, ben = world.user("instructor", time_zone="Asia/Tokyo"), world.user("instructor")
    row = {"resource_id": str(ana.profile_id), "weekday": 1, "start_time": "09:00", "end_time": "12:00"}
    wants = {"headers": {"Prefer": "return=representation"}}
    made = rest.post("/availability_rules", row, user=ana, **wants)
    assert made.status_code == 201, made.text
    [own] = made.json()
    assert own["time_zone"] == "Asia/Tokyo"
    path = f"/availability_rules?id=eq.{own['id']}"
    for role in ("instructor", "staff", "member", None):
        stranger = world.user(role)
        assert rest.get("/availability_rules", user=stranger).json() == [own]
        assert rest.post("/availability_rules", {**row, "weekday": 2}, user=stranger).status_code == 403
        assert rest.patch(path, {"weekday": 3}, user=stranger).json() == []
        assert rest.delete(path, user=stranger).json() == []
    assert rest.get("/availability_rules").status_code == 401
    for helper in (ana, world.user("manager"), world.user("admin"), "service_role"):
        changed = rest.patch(path, {"end_time": "13:00"}, user=helper)
        assert [r["end_time"] for r in changed.json()] == ["13:00:00"], changed.text
        of_ben = {**row, "resource_id": str(ben.profile_id)}
        answer = rest.post("/availability_rules", of_ben, user=helper, **wants)
        if helper is ana:
            assert answer.status_code == 403
        else:
            assert answer.status_code == 201, answer.text
            gone = rest.delete(f"/availability_rules?resource_id=eq.{ben.profile_id}", user=helper)
            assert len(gone.json()) == 1
    # Whose hours they are does not change, and a stale version is told.
    assert rest.patch(path, {"resource_id": str(ben.profile_id)}, user=ana).status_code == 403
    stale = rest.patch(path, {"weekday": 4, "version": 1}, user=ana)
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_version")
    clash = rest.post("/availability_rules", {**row, "start_time": "11:00", "end_time": "14:00"}, user=ana)
    assert clash.status_code in (400, 409)
    assert clash.json()["code"] == "23P01"
    assert (
        rest.post("/availability_rules", {**row, "start_time": "13:00", "end_time": "14:00"}, user=ana).status_code
        == 201
    )


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"weekday": 7}, "weekday_is_sunday_0_to_saturday_6"),
        ({"start_time": "17:00"}, "start_is_before_end"),
        ({"time_zone": "EST5EDT4"}, "time_zone_exists"),
        ({"effective": "(,2030-01-01)"}, "effective_has_a_first_day"),
        ({"effective": "empty"}, "effective_has_a_first_day"),
        ({"effective": "[1969-12-31,)"}, "effective_has_a_first_day"),
        ({"effective": "[2199-01-01,2200-01-02)"}, "effective_ends_before_2200"),
    ],
)
def test_rows_that_make_no_sense_are_refused_to_the_owner_too(
    db: Db, world: World, change: dict[str, Any], constraint: str
) -> None:
    person = world.insert("public.user_profiles", full_name="Ana").id
    row = {"resource_id": person, "weekday": 1, "start_time": "09:00", "end_time": "17:00"}
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        world.insert("public.availability_rules", **{**row, **change})
    assert caught.value.diag.constraint_name == constraint


def test_hours_go_with_what_they_belong_to(db: Db, world: World) -> None:
    room = world.insert("public.locations", name="Room").id
    state(db, None, room, MONDAY)
    db.execute("delete from public.locations where id = %s", [room])
    assert stated(db, room) == []


# --- hours as instants ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "weekday", "start", "end", "first", "days", "wanted"),
    [
        # The hour the clock skips: hours that start in it are not, hours around it are shorter.
        ("America/New_York", 0, "02:30", "05:00", "2024-03-10", 1, []),
        ("America/New_York", 0, "01:00", "05:00", "2024-03-10", 1, [("06:00", "09:00")]),
        ("America/New_York", 0, "01:00", "02:00", "2024-03-10", 1, [("06:00", "07:00")]),
        # The hour that happens twice: its first, and all of it for hours around it.
        ("America/New_York", 0, "01:00", "01:30", "2024-11-03", 1, [("05:00", "05:30")]),
        ("America/New_York", 0, "00:00", "03:00", "2024-11-03", 1, [("04:00", "08:00")]),
        ("Australia/Lord_Howe", 0, "01:30", "03:00", "2024-10-06", 1, [("15:00", "16:00")]),
        ("Australia/Lord_Howe", 0, "01:00", "03:00", "2024-04-07", 1, [("14:00", "16:30")]),
        # Midnight itself is skipped, and the day before then ends where it began: at the jump.
        ("Africa/Cairo", 5, "00:00", "03:00", "2024-04-26", 1, []),
        ("Africa/Cairo", 4, "22:00", "24:00", "2024-04-25", 1, [("20:00", "22:00")]),
        # The last hour of the day happens twice.
        ("Africa/Cairo", 4, "22:00", "24:00", "2024-10-31", 1, [("19:00", "22:00")]),
        # Across a midnight, as two rows are.
        ("UTC", 1, "22:00", "24:00", "2024-06-03", 8, [("22:00", "00:00"), ("22:00", "00:00")]),
    ],
)
def test_hours_around_a_clock_change(
    db: Db, world: World, zone: str, weekday: int, start: str, end: str, first: str, days: int, wanted: list[Any]
) -> None:
    person = world.insert("public.user_profiles", full_name="Ana").id
    db.execute(
        "insert into public.availability_rules (resource_id, weekday, start_time, end_time, time_zone, effective)"
        " values (%s, %s, %s, %s, %s, '[2024-01-01,)')",
        [person, weekday, start, end, zone],
    )
    found = db.execute(
        "select to_char(lower(d) at time zone 'UTC', 'HH24:MI'), to_char(upper(d) at time zone 'UTC', 'HH24:MI')"
        " from private.hours_of(%(who)s, tstzrange(private.day_start(%(day)s, %(zone)s),"
        "   private.day_start(%(day)s::date + %(days)s::integer, %(zone)s))) h"
        " cross join unnest(h.hours * tstzmultirange(tstzrange(private.day_start(%(day)s, %(zone)s),"
        "   private.day_start(%(day)s::date + %(days)s::integer, %(zone)s)))) d",
        {"who": [person], "zone": zone, "day": first, "days": days},
    ).fetchall()
    assert found == wanted
