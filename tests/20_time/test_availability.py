"""Hours: who may state them, through which door, what is kept of them, and what they mean to a claim."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any, cast
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, read_refusal, refused
from tests.support.identity import User, as_user
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World

Db = psycopg.Connection[Any]
NINE_TO_FIVE = [{"weekday": weekday, "start_time": "09:00", "end_time": "17:00"} for weekday in range(1, 6)]
MONDAY = [{"weekday": 1, "start_time": "08:00", "end_time": "12:00"}]


def state(db: Db, caller: User | str | None, resource: Any, hours: Any, **more: Any) -> list[dict[str, Any]]:
    return call(db, caller, "set_availability", p_resource_id=resource, p_hours=Jsonb(hours), **more)


def stated(db: Db, resource: Any) -> list[tuple[Any, ...]]:
    """(weekday, start, first day, last day excluded) of every row, in order."""
    return db.execute(
        "select weekday, to_char(start_time, 'HH24:MI'), lower(effective), upper(effective)"
        " from public.availability_rules where resource_id = %s order by lower(effective), weekday, start_time",
        [resource],
    ).fetchall()


def today(db: Db) -> date:
    row = db.execute("select private.today()").fetchone()
    assert row is not None
    return cast(date, row[0])


def set_policy(db: Db, policy: str) -> None:
    db.execute("update public.settings set value = %s where key = 'availability_policy'", [Jsonb(policy)])


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


# --- hours and claims -----------------------------------------------------------------------------------------------


@pytest.fixture
def ana(world: World, db: Db) -> User:
    """Works Mondays 09:00 to 12:00 UTC from 2024-06-01 until July, is off on 10 June; closed for 17 June."""
    user = world.user("instructor", full_name="Ana", time_zone="UTC")
    world.insert(
        "public.availability_rules", resource_id=user.profile_id, weekday=1, start_time="09:00", end_time="12:00",
        effective="[2024-06-01,2024-07-01)",
    )  # fmt: skip
    off = world.insert(
        "public.time_off", resource_id=user.profile_id, starts_on="2024-06-10", ends_on="2024-06-10", reason="Dentist"
    )
    db.execute("update public.time_off set status = 'approved' where id = %s", [off.id])
    world.insert("public.closures", name="Feast", starts_on="2024-06-17", ends_on="2024-06-17")
    return user


def meet(db: Db, caller: User | None, resources: list[Any], day: str, start: str = "10:00", end: str = "11:00") -> Any:
    [row] = call(
        db, caller, "schedule_meeting", p_title="Lesson", p_date=day, p_start_time=start, p_end_time=end,
        p_resource_ids=resources,
    )  # fmt: skip
    return row["id"]


BAD_TIMES = (
    ("2024-06-10", "10:00", "time_off", "Ana is off, 2024-06-10 00:00–24:00 UTC"),
    ("2024-06-17", "10:00", "closure", "Everything is closed for Feast, 2024-06-17 00:00–24:00 UTC"),
    ("2024-06-24", "11:30", "outside_availability", "Ana does not work, 2024-06-24 12:00–12:30 UTC"),
    ("2024-06-25", "10:00", "outside_availability", "Ana does not work, 2024-06-25 10:00–11:00 UTC"),
)


def end_of(start: str) -> str:
    return f"{int(start[:2]) + 1}{start[2:]}"


@pytest.mark.parametrize(("day", "start", "kind", "message"), BAD_TIMES)
def test_claims_are_refused_where_the_policy_says_so(
    db: Db, world: World, ana: User, day: str, start: str, kind: str, message: str
) -> None:
    room = world.insert("public.locations", name="Room").id
    set_policy(db, "refuse")
    for caller in (world.user("manager"), None):
        with refused("time_conflict") as refusal:
            meet(db, caller, [ana.profile_id], day, start, end_of(start))
        assert refusal.message.startswith(message)
        conflict = refusal.details["conflicts"][0]
        assert refusal.details["count"] == len(refusal.details["conflicts"])
        assert (conflict["resource_name"], conflict["conflicts_with"]["kind"]) == ("Ana", kind)
        assert conflict["conflicts_with"]["starts_at"]
        assert conflict["source_table"] == "meetings"
    # A place of unknown hours is open; everything's closure shuts it too.
    if kind == "closure":
        with refused("time_conflict"):
            meet(db, None, [room], day, start, end_of(start))
    else:
        assert meet(db, None, [room], day, start, end_of(start))
    assert db.execute("select count(*) from public.claims where resource_id = %s", [ana.profile_id]).fetchone() == (0,)


@pytest.mark.parametrize("policy", ["warn", "ignore"])
def test_other_policies_refuse_nothing(db: Db, ana: User, policy: str) -> None:
    set_policy(db, policy)
    for day, start, _, _ in BAD_TIMES:
        assert meet(db, None, [ana.profile_id], day, start, end_of(start))


def test_what_was_not_stated_is_not_refused(db: Db, ana: User) -> None:
    set_policy(db, "refuse")
    assert meet(db, None, [ana.profile_id], "2024-06-03")  # within
    assert meet(db, None, [ana.profile_id], "2024-05-31", "22:00", "23:00")  # before anything was stated
    assert meet(db, None, [ana.profile_id], "2024-07-01", "00:00", "01:00")  # after it ended
    with refused("time_conflict"):
        meet(db, None, [ana.profile_id], "2024-06-30", "22:00", "23:00")


def test_the_reason_is_told_to_those_it_concerns_only(db: Db, world: World, ana: User) -> None:
    set_policy(db, "refuse")
    for caller, is_told in ((world.user("staff"), False), (world.user("manager"), True)):
        with refused("time_conflict") as refusal:
            meet(db, caller, [ana.profile_id], "2024-06-10", "10:00", "11:00")
        told = refusal.details["conflicts"][0]["conflicts_with"]
        assert (told.get("title"), "source_id" in told) == (("Dentist", True) if is_told else (None, False))
        assert is_told or "Dentist" not in str(refusal)


def test_a_closed_place_and_opening_hours_refuse_too(db: Db, world: World) -> None:
    room, hall = (world.insert("public.locations", name=name).id for name in ("Room", "Hall"))
    world.insert("public.closures", name="Paint", starts_on="2024-06-05", ends_on="2024-06-05", location_id=room)
    world.insert(
        "public.availability_rules", resource_id=hall, weekday=3, start_time="08:00", end_time="18:00",
        effective="[2024-01-01,)",
    )  # fmt: skip
    set_policy(db, "refuse")
    with refused("time_conflict") as refusal:
        meet(db, None, [room, hall], "2024-06-05")
    assert refusal.message == "Room is closed for Paint, 2024-06-05 00:00–24:00 UTC"
    assert meet(db, None, [hall], "2024-06-05")
    with refused("time_conflict") as refusal:
        meet(db, None, [hall], "2024-06-06")
    assert refusal.message == "Hall is not open, 2024-06-06 10:00–11:00 UTC"


def test_a_weekly_rule_is_refused_with_every_date(db: Db, ana: User, world: World) -> None:
    set_policy(db, "refuse")
    rule = {"p_title": "Yoga", "p_resource_ids": [ana.profile_id], "p_weekday": 1, "p_start_time": "10:00"}
    with refused("time_conflict") as refusal:
        call(
            db, None, "create_weekly_rule", **rule, p_end_time="11:00", p_time_zone="UTC",
            p_from="2024-06-01", p_until="2024-06-30",
        )  # fmt: skip
    assert {c["conflicts_with"]["kind"] for c in refusal.details["conflicts"]} == {"time_off", "closure"}
    assert call(
        db, None, "create_weekly_rule", **rule, p_end_time="11:00", p_time_zone="UTC", p_from="2024-06-24",
        p_until="2024-06-30",
    )  # fmt: skip


def test_a_change_that_takes_no_new_time_is_not_refused(db: Db, ana: User) -> None:
    meeting = meet(db, None, [ana.profile_id], "2024-06-10", "10:00", "11:00")
    set_policy(db, "refuse")
    db.execute("update public.meetings set title = 'Another name' where id = %s", [meeting])
    assert db.execute("select title from public.claims where source_id = %s", [meeting]).fetchone() == ("Another name",)
    with refused("time_conflict"):
        db.execute("update public.meetings set end_time = '11:30' where id = %s", [meeting])
    db.execute("update public.meetings set date = '2024-06-03' where id = %s", [meeting])


def test_approving_time_off_and_claiming_time_see_each_other(database: Database, db: Db, world: World) -> None:
    """Under "refuse" either the claim is refused or the approval knows of it, whoever comes first."""
    ana = world.user("instructor", full_name="Ana")
    boss = world.user("manager")
    set_policy(db, "refuse")
    day = today(db) + timedelta(days=5)
    claim = "select from public.schedule_meeting('Lesson', %s, '10:00', '11:00', %s)"
    approve = "select from public.decide_time_off(%s, 'approved')"

    def race(first_claims: bool) -> tuple[Any, int]:
        """How the second ended, and how many claims stand in approved time off."""
        off = world.insert("public.time_off", resource_id=ana.profile_id, starts_on=day, ends_on=day)
        steps = [(claim, [day, [ana.profile_id]]), (approve, [off.id])]
        first, second = database.connect(), database.connect()
        ended: Any = None

        def run(connection: Db, statement: str, arguments: list[Any]) -> None:
            with as_user(connection, boss):
                connection.execute(statement, arguments)

        with ThreadPoolExecutor(1) as pool:
            with first.transaction():
                run(first, *steps[0 if first_claims else 1])
                running = pool.submit(run, second, *steps[1 if first_claims else 0])
                if guarded:
                    until_blocked(db, second)
                else:
                    running.result(60)
            try:
                running.result(60)
            except psycopg.Error as error:
                ended = read_refusal(error).code
        [count] = db.execute(
            "select count(*) from public.claims c join public.time_off t using (resource_id)"
            " where t.status = 'approved' and t.during && c.during"
        ).fetchone() or [0]
        db.execute("delete from public.meetings")
        db.execute("delete from public.time_off")
        return ended, count

    guarded = True
    assert race(first_claims=True) == ("time_conflict", 0)
    assert race(first_claims=False) == ("time_conflict", 0)
    guarded = False
    db.execute("create or replace function private.lock_resources(p_ids uuid[]) returns void language sql as 'select'")
    assert race(first_claims=True) == (None, 1)
    assert race(first_claims=False) == (None, 1)


# --- checks ---------------------------------------------------------------------------------------------------------


def findings(db: Db, check: str) -> list[tuple[str, str]]:
    return db.execute("select entity_id, message from public.run_diagnostics(p_checks => %s)", [[check]]).fetchall()


def test_work_outside_stated_hours_is_found(db: Db, world: World) -> None:
    person = world.insert("public.user_profiles", full_name="Ana").id
    other = world.insert("public.user_profiles", full_name="Ben").id
    day = today(db) + timedelta(days=7)
    weekday = (day.weekday() + 1) % 7
    check = "work_outside_stated_hours"
    for past, hours in ((True, "20:00"), (False, "10:00")):
        meet(db, None, [person, other], (day - timedelta(days=14 * past)).isoformat(), hours, end_of(hours))
    state(
        db,
        None,
        person,
        [{"weekday": weekday, "start_time": "09:00", "end_time": "12:00"}],
        p_from=day - timedelta(days=30),
    )
    assert findings(db, check) == []  # the past is past, and nobody knows when Ben works
    late = meet(db, None, [person, other], day.isoformat(), "11:30", "12:30")
    assert findings(db, check) == [
        (f"meetings {late} {day} {person}", f"Outside the hours stated: Ana in Lesson, {day} 11:30–12:30 UTC")
    ]
    [detail] = (
        db.execute("select detail -> 'outside' from public.run_diagnostics(p_checks => %s)", [[check]]).fetchone() or []
    )
    assert len(detail) == 1
    set_policy(db, "ignore")
    assert findings(db, check) == []
    set_policy(db, "refuse")
    assert len(findings(db, check)) == 1
    db.execute("update public.meetings set end_time = '12:00' where id = %s", [late])
    assert findings(db, check) == []
