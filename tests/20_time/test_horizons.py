"""Horizons: until when time can be booked, how they move, and that nothing slips past them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.ledger import Ledger
from tests.support.world import World


def days_ahead(ledger: Ledger, days: int) -> None:
    ledger.db.execute("update public.settings set value = %s where key = 'ledger_horizon_days'", [Jsonb(days)])


def test_a_new_resource_can_be_booked_as_far_as_the_settings_say(ledger: Ledger) -> None:
    days_ahead(ledger, 10)
    room = ledger.place()
    assert ledger.one("select extract(epoch from %s - private.now()) / 86400 between 9.9 and 10", ledger.horizon(room))


def test_one_off_uses_end_before_it(ledger: Ledger) -> None:
    room = ledger.place("Hall")
    until = ledger.horizon(room)
    last = ledger.one("select (%s at time zone 'UTC')::timestamp", until)
    fits = {"date": last.date(), "start_time": "00:00", "end_time": last.time()}
    with refused("limit_exceeded") as refusal:
        over = last + timedelta(seconds=1)
        ledger.meeting("Exam", room, **{**fits, "end_time": over.time()})
    assert refusal.message.startswith("Hall can be booked until ")
    assert refusal.details["resource_id"] == str(room)
    assert "extend_horizon" in (refusal.hint or "")
    ledger.meeting("Exam", room, **fits)
    # A meeting of nobody claims nothing, so it may be any time; whoever joins it is asked.
    far = ledger.meeting("Plan", date=last.date() + timedelta(days=900))
    with refused("limit_exceeded"):
        ledger.db.execute("insert into public.meeting_participants values (%s, %s)", [far, room])


def test_a_rule_is_claimed_up_to_it_and_from_there_when_it_moves(ledger: Ledger) -> None:
    days_ahead(ledger, 60)
    room, other = ledger.place(), ledger.place()
    rule = ledger.rule("Yoga", room, other)

    def last(resource: Any) -> Any:
        return ledger.one("select max(lower(during)) from public.claims where resource_id = %s", resource)

    assert last(room) < ledger.horizon(room) <= last(room) + timedelta(days=7)
    with refused("limit_exceeded"):
        ledger.meeting("Exam", room, date=ledger.day + timedelta(days=70))
    ledger.db.execute(
        "select public.extend_horizon(array[%s]::uuid[], %s)", [room, ledger.horizon(room) + timedelta(days=100)]
    )
    assert last(room) > last(other) + timedelta(days=90)
    assert last(room) < ledger.horizon(room) <= last(room) + timedelta(days=7)
    assert ledger.faults() == []
    # Moving on to where it is already changes nothing.
    before = ledger.claims_of(rule)
    ledger.db.execute("select public.extend_horizon(array[%s]::uuid[], %s)", [room, ledger.horizon(other)])
    assert ledger.claims_of(rule) == before


def test_it_never_moves_back_nor_beyond_two_years(ledger: Ledger) -> None:
    room = ledger.place()
    change = "update public.resource_horizons set claimed_until = claimed_until + %s"
    with refused("invalid_input") as refusal:
        ledger.db.execute(change, [timedelta(days=-1)])
    assert refusal.details["field"] == "claimed_until"
    with refused("limit_exceeded"):
        ledger.db.execute(change, [timedelta(days=800)])
    with refused("limit_exceeded"):
        ledger.db.execute("select public.extend_horizon(array[%s]::uuid[], private.now() + interval '3 years')", [room])
    for never in ("infinity", "-infinity"):
        with pytest.raises(psycopg.Error):
            ledger.db.execute("update public.resource_horizons set claimed_until = %s", [never])
    with refused("invalid_input"):
        ledger.db.execute("update public.resource_horizons set resource_id = gen_random_uuid()")


def test_the_job_moves_everybody_on(ledger: Ledger) -> None:
    days_ahead(ledger, 30)
    rooms = ledger.places(5)
    ledger.rule("Yoga", *rooms)
    days_ahead(ledger, 730)
    assert [ledger.one("select private.extend_horizons(2)") for _ in range(4)] == [2, 2, 1, 0]
    assert ledger.faults() == []
    counted = ledger.db.execute("select count(*) from public.claims group by resource_id").fetchall()
    assert len(counted) == 5
    assert {count for (count,) in counted} <= {99, 100, 101}
    # Fewer days again take nothing back.
    days_ahead(ledger, 30)
    assert ledger.one("select private.extend_horizons()") == 0
    assert ledger.faults() == []


def test_what_is_in_the_way_there_stops_no_job(ledger: Ledger) -> None:
    """It can only be there after tampering; the date is left out, and diagnosis finds it."""
    room, other = ledger.place(), ledger.place()
    ledger.rule("Yoga", room, other)
    far = ledger.horizon(room).date() + timedelta(days=20)
    far += timedelta(days=(ledger.day.weekday() - far.weekday()) % 7)
    ledger.db.close()
    with ledger.database.connect(admin=True) as restore:
        restore.execute("set session_replication_role = replica")
        restore.execute(
            "insert into public.claims select %s, tstzrange((%s::date + time '09:00') at time zone 'UTC', "
            "(%s::date + time '10:00') at time zone 'UTC'), gen_random_uuid(), 'meetings', gen_random_uuid(), %s, 'x', 'x'",
            [room, far, far, far],
        )
    ledger.db = ledger.database.connect()
    days_ahead(ledger, 500)
    assert ledger.one("select private.extend_horizons()") == 2
    assert {kind for kind, _ in ledger.faults()} == {"missing claim", "orphaned claim"}


def test_who_may_extend(ledger: Ledger) -> None:
    world, room = World(ledger.db), ledger.place()
    until = ledger.horizon(room) + timedelta(days=5)
    for role in ("member", "instructor", "staff"):
        with refused("forbidden"):
            call(ledger.db, world.user(role), "extend_horizon", p_resource_ids=[room], p_until=until)
    [row] = call(ledger.db, world.user("manager"), "extend_horizon", p_resource_ids=[room], p_until=until)
    assert row["claimed_until"] == ledger.horizon(room) == until
