"""Wall-clock time in the ledger: what the clock skips, repeats or moves, whatever zone the session is in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.calls import refused
from tests.support.ledger import Ledger
from tests.support.rest import Rest
from tests.support.wall_clock import changes
from tests.support.world import World

SESSIONS = ("Pacific/Kiritimati", "America/New_York", "Australia/Lord_Howe")


def next_change(ledger: Ledger, zone: str, *, gap: bool) -> datetime:
    """The zone's next change of clocks within the horizon, forward (a gap) or back (a fold)."""
    soon: date = ledger.day
    for change in changes(zone, soon.year, soon.year + 2):
        before, after = (
            ledger.one("select extract(epoch from (%s at time zone %s) - %s at time zone 'UTC')", at, zone, at)
            for at in (change - timedelta(seconds=1), change)
        )
        if change.date() > soon and (after > before) == gap:
            return change
    raise AssertionError(f"{zone} does not change its clocks")


def local(ledger: Ledger, instant: datetime, zone: str) -> datetime:
    """What the zone's clocks show at that instant."""
    shown: datetime = ledger.one("select %s at time zone %s", instant, zone)
    return shown


@pytest.mark.parametrize("session", SESSIONS)
def test_a_meeting_in_the_hour_that_does_not_exist(ledger: Ledger, session: str) -> None:
    ledger.db.execute("select set_config('timezone', %s, false)", [session])
    for zone in ("Europe/Paris", "Africa/Cairo", "America/Santiago", "Asia/Beirut", "Australia/Lord_Howe"):
        change = next_change(ledger, zone, gap=True)
        jump = local(ledger, change - timedelta(seconds=1), zone) + timedelta(seconds=1)  # what clocks never show
        inside, landed = jump + timedelta(minutes=15), local(ledger, change, zone)
        room = ledger.place()

        def meet(start: datetime, end: datetime, zone: str = zone, room: UUID = room) -> UUID:
            return ledger.meeting(
                "Vigil", room, date=start.date(), start_time=start.time(), end_time=end.time(),
                ends_on=end.date(), time_zone=zone,
            )  # fmt: skip

        with refused("invalid_input") as refusal:
            meet(inside, landed + timedelta(hours=1))
        assert refusal.fields == {"start_time"}
        assert refusal.message == f"{inside:%Y-%m-%d %H:%M} does not exist in {zone}: the clock skips it"
        with refused("invalid_input") as refusal:
            meet(jump - timedelta(hours=1), inside)
        assert refusal.fields == {"end_time"}
        # Up to the jump and from where it lands are two uses back to back, in either way of writing the moment.
        for end in (jump, landed):
            meeting = meet(jump - timedelta(hours=1), end)
            following = meet(landed, landed + timedelta(hours=1))
            [(_, _, ends_at)] = ledger.claims_of(meeting)
            [(_, starts_at, _)] = ledger.claims_of(following)
            assert ends_at == starts_at == change
            ledger.db.execute("delete from public.meetings")
    assert ledger.faults() == []


@pytest.mark.parametrize("session", SESSIONS)
def test_the_hour_that_happens_twice(ledger: Ledger, session: str) -> None:
    ledger.db.execute("select set_config('timezone', %s, false)", [session])
    for zone in ("Europe/Paris", "Africa/Cairo", "Australia/Lord_Howe"):
        change = next_change(ledger, zone, gap=False)
        # The first of the two quarters before the clock goes back.
        first = change - timedelta(minutes=15)
        shown = local(ledger, first, zone)
        assert local(ledger, first, zone) == local(
            ledger, first + timedelta(minutes=30 if zone == "Australia/Lord_Howe" else 60), zone
        )
        meeting = ledger.meeting(
            "Vigil", ledger.place(), date=shown.date(), start_time=shown.time(),
            end_time=(shown + timedelta(minutes=10)).time(), time_zone=zone,
        )  # fmt: skip
        starts_at, ends_at = ledger.db.execute(
            "select extract(epoch from starts_at)::bigint, extract(epoch from ends_at)::bigint from public.meetings "
            "where id = %s",
            [meeting],
        ).fetchone() or (0, 0)
        assert (starts_at, ends_at) == (first.timestamp(), first.timestamp() + 600)


def test_a_rule_keeps_its_wall_clock(ledger: Ledger) -> None:
    """Nine in the morning stays nine in the morning; the date without its hour is left out, and listed."""
    room, zone = ledger.place(), "Europe/Paris"
    change = next_change(ledger, zone, gap=True)
    day = local(ledger, change, zone).date()
    early = ledger.rule(
        "Vigil", room, weekday=0, start_time="02:15", end_time="02:45", time_zone=zone, effective=f"[{day - timedelta(days=14)},{day + timedelta(days=15)})"
    )  # fmt: skip
    morning = ledger.rule(
        "Mass", room, weekday=0, start_time="09:00", end_time="10:00", time_zone=zone, effective=f"[{day - timedelta(days=14)},{day + timedelta(days=15)})"
    )  # fmt: skip
    kept = [
        row[0]
        for row in ledger.db.execute("select occurs_on from public.claims where source_id = %s order by 1", [early])
    ]
    assert kept == [day + timedelta(days=offset) for offset in (-14, -7, 7, 14)]
    hours = {
        row[0]
        for row in ledger.db.execute(
            "select (lower(during) at time zone %s)::time::text from public.claims where source_id = %s",
            [zone, morning],
        )
    }
    assert hours == {"09:00:00"}
    [skipped] = ledger.db.execute("select rule_id, occurs_on, reason from public.skipped_occurrences").fetchall()
    assert skipped == (early, day, f"02:15:00 does not exist in {zone} on {day}: the clock skips it")
    ledger.db.execute("select public.cancel_occurrence(%s, %s)", [early, day])
    assert ledger.db.execute("select from public.skipped_occurrences").fetchall() == []
    with refused("invalid_input") as refusal:
        ledger.db.execute("select public.move_occurrence(%s, %s, %s, '02:15', '03:00')", [early, day, day])
    assert refusal.details["field"] == "moved_start_time"


def test_days_end_at_24_and_years_have_53_weeks(ledger: Ledger) -> None:
    room = ledger.place()
    late = ledger.meeting("Late", room, start_time="22:00", end_time="24:00")
    ledger.meeting("Early", room, date=ledger.day + timedelta(days=1), start_time="00:00", end_time="01:00")
    [(_, _, ends_at)] = ledger.claims_of(late)
    assert ends_at.astimezone(UTC) == datetime.combine(ledger.day + timedelta(days=1), datetime.min.time(), UTC)
    all_day = ledger.rule("Open house", ledger.place(), start_time="00:00", end_time="24:00")
    assert (
        ledger.one(
            "select count(distinct upper(during) - lower(during)) from public.claims where source_id = %s", all_day
        )
        == 1
    )
    # Week 53 of 2026 and 29 February 2028 are dates like any other.
    thursdays = ledger.rule("Thursdays", weekday=4, effective="[2026-12-20,2027-01-20)")
    leap = ledger.rule("Leap days", weekday=2, effective="[2028-02-20,2028-03-10)")
    dates = {
        rule: [
            str(row[0])
            for row in ledger.db.execute(
                "select o.occurs_on from public.weekly_rules r, private.rule_occurrences(r, null, '2030-01-01') o "
                "where r.id = %s order by 1",
                [rule],
            )
        ]
        for rule in (thursdays, leap)
    }
    assert dates[thursdays] == ["2026-12-24", "2026-12-31", "2027-01-07", "2027-01-14"]
    assert dates[leap] == ["2028-02-22", "2028-02-29", "2028-03-07"]


def test_the_callers_zone_changes_what_is_shown_only(ledger: Ledger, rest: Rest) -> None:
    """`Prefer: timezone=` sets the session's zone for a request: the same calls have to write the same claims."""
    manager = World(ledger.db).user("manager")
    written: dict[str, Any] = {}
    for zone in ("UTC", "Pacific/Kiritimati", "America/New_York", "Etc/GMT+12"):
        room = ledger.place()
        said = {"Prefer": f"timezone={zone}", "Accept": "application/json"}

        def call(function: str, said: dict[str, str] = said, **arguments: Any) -> Any:
            answer = rest.post(f"/rpc/{function}", arguments, user=manager, headers=said)
            assert answer.status_code == 200, answer.text
            return answer.json()

        call(
            "schedule_meeting", p_title="Exam", p_date=str(ledger.day), p_start_time="22:30", p_end_time="24:00",
            p_resource_ids=[str(room)],
        )  # fmt: skip
        [rule] = call(
            "create_weekly_rule", p_title="Yoga", p_resource_ids=[str(room)], p_weekday=ledger.day.isoweekday() % 7,
            p_start_time="02:30", p_end_time="03:30", p_time_zone="Europe/Paris", p_from=str(ledger.day),
        )  # fmt: skip
        call("cancel_occurrence", p_rule_id=rule["id"], p_occurs_on=str(ledger.day))
        found = call(
            "find_conflicts", p_resource_ids=[str(room)], p_starts_at=f"{ledger.day}T00:00Z",
            p_ends_at=f"{ledger.day + timedelta(days=8)}T00:00Z",
        )  # fmt: skip
        assert [(row["conflict_type"], row["message"].split(", ", 1)[1]) for row in found] == [
            ("meeting", f"{ledger.day} 22:30–24:00 UTC"),
            ("weekly", found[1]["message"].split(", ", 1)[1]),
        ]
        claims = ledger.db.execute(
            "select occurs_on, lower(during), upper(during), kind from public.claims where resource_id = %s order by 2",
            [room],
        ).fetchall()
        assert len(claims) > 50
        assert written.setdefault("claims", claims) == claims
    assert ledger.faults() == []
