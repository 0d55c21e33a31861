"""What hours, time off and closures mean to a claim, under each policy, and when both come at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, read_refusal, refused
from tests.support.hours import state, today
from tests.support.identity import User, as_user
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World

Db = psycopg.Connection[Any]


def set_policy(db: Db, policy: str) -> None:
    db.execute("update public.settings set value = %s where key = 'availability_policy'", [Jsonb(policy)])


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


def found(db: Db, check: str) -> list[tuple[str, str]]:
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
    assert found(db, check) == []  # the past is past, and nobody knows when Ben works
    late = meet(db, None, [person, other], day.isoformat(), "11:30", "12:30")
    assert found(db, check) == [
        (f"meetings {late} {day} {person}", f"Outside the hours stated: Ana in Lesson, {day} 11:30–12:30 UTC")
    ]
    [detail] = (
        db.execute("select detail -> 'outside' from public.run_diagnostics(p_checks => %s)", [[check]]).fetchone() or []
    )
    assert len(detail) == 1
    set_policy(db, "ignore")
    assert found(db, check) == []
    set_policy(db, "refuse")
    assert len(found(db, check)) == 1
    db.execute("update public.meetings set end_time = '12:00' where id = %s", [late])
    assert found(db, check) == []
