"""Weekly rules: which dates they have, which of two meet, and what becomes of single dates."""

from __future__ import annotations

import time as clock
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.calls import refused
from tests.support.ledger import Connection, Ledger
from tests.support.recurrence import Span, WeeklyRule, overlap
from tests.support.wall_clock import MIDNIGHT

# Where clocks change at night, at midnight, by half an hour, and not at all.
ZONES = ("Europe/Paris", "America/New_York", "Africa/Cairo", "America/Santiago", "Australia/Lord_Howe", "Asia/Tokyo",
         "Pacific/Kiritimati", "Etc/GMT+12")  # fmt: skip
QUARTERS = [time(hour, minute) for hour in range(24) for minute in (0, 15, 30, 45)]
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def rules(draw: st.DrawFn, *, years: int = 2) -> WeeklyRule:
    start = draw(st.sampled_from(QUARTERS))
    end = draw(st.sampled_from([quarter for quarter in QUARTERS if quarter > start] + [MIDNIGHT]))
    first = draw(st.dates(date(2027, 12, 1), date(2028, 6, 1)))
    rule = WeeklyRule(
        draw(st.integers(0, 6)), start, end, draw(st.sampled_from(ZONES)), first,
        draw(st.none() | st.dates(first, first + timedelta(days=365 * years))),
    )  # fmt: skip
    some = rule.dates(first + timedelta(days=120))
    if some:
        rule.cancelled = draw(st.sets(st.sampled_from(some), max_size=2))
        for day in draw(st.sets(st.sampled_from(some), max_size=2)) - rule.cancelled:
            rule.moved[day] = (day + timedelta(days=draw(st.integers(-10, 60))), time(5, 15), time(7, 45))
    return rule


def write(by: Connection, rule: WeeklyRule) -> UUID:
    """Writes it as it is, claiming nobody's time."""
    row = by.execute(
        "insert into public.weekly_rules (title, weekday, start_time, end_time, time_zone, effective) "
        "values ('Rule', %s, %s, %s, %s, daterange(%s, %s, '[]')) returning id",
        [rule.weekday, rule.start, str(rule.end), rule.zone, rule.first, rule.last],
    ).fetchone()
    assert row is not None
    for day in rule.cancelled:
        by.execute(
            "insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind) values (%s, %s, 'cancelled')",
            [row[0], day],
        )
    for day, (to, start, end) in rule.moved.items():
        by.execute(
            "insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, moved_to_date, moved_start_time, "
            "moved_end_time) values (%s, %s, 'moved', %s, %s, %s)",
            [row[0], day, to, start, str(end)],
        )
    found: UUID = row[0]
    return found


def spans(rows: list[tuple[Any, ...]]) -> list[Any]:
    """Rows with their instants in UTC, for comparing: Python tells two zones' times in a fold apart."""
    return sorted(tuple(one.astimezone(UTC) if isinstance(one, datetime) else one for one in row) for row in rows)


OCCURRENCES = (
    "select o.occurs_on, lower(o.during), upper(o.during) "
    "from public.weekly_rules r cross join lateral private.rule_occurrences(r, null, %s) o where r.id = %s"
)


@pytest.mark.parametrize("session", ["Pacific/Kiritimati", "America/New_York"])
def test_dates_agree_with_dateutil(ledger: Ledger, session: str) -> None:
    ledger.db.execute("select set_config('timezone', %s, false)", [session])

    @SLOW
    @given(rules())
    def agree(rule: WeeklyRule) -> None:
        until = datetime(2029, 3, 20, 12, tzinfo=UTC)
        with ledger.db.transaction(force_rollback=True):
            rows = ledger.db.execute(OCCURRENCES, [until, write(ledger.db, rule)]).fetchall()
        assert spans(rows) == [(day, *span) for day, span in sorted(rule.occurrences(until).items())]

    agree()


def test_meetings_of_rules_agree_with_trying_all(ledger: Ledger) -> None:
    since = datetime(2028, 3, 15, 12, tzinfo=UTC)

    def meets(one: Span, other: Span) -> bool:
        return overlap(one, other) and max(one[1], other[1]) > since

    @SLOW
    @given(rules(years=1), rules(years=1))
    def agree(one: WeeklyRule, other: WeeklyRule) -> None:
        with ledger.db.transaction(force_rollback=True):
            ids = write(ledger.db, one), write(ledger.db, other)
            found = ledger.db.execute(
                "select m.occurs_on, m.other_occurs_on from public.weekly_rules a, public.weekly_rules b, "
                "private.rule_meets(a, b, %s) m where a.id = %s and b.id = %s and lower(m.during) < '2031-01-01+00' "
                "and lower(m.other_during) < '2031-01-01+00'",
                [since, *ids],
            ).fetchall()
            mine = ledger.db.execute(
                "select m.occurs_on, m.other_occurs_on from public.weekly_rules a, private.rule_meets(a, a, %s) m "
                "where a.id = %s",
                [since, ids[0]],
            ).fetchall()
        horizon = datetime(2031, 1, 1, tzinfo=UTC)
        ours, theirs = one.occurrences(horizon), other.occurrences(horizon)
        assert sorted(found) == sorted((a, b) for a in ours for b in theirs if meets(ours[a], theirs[b]))
        # With itself a rule meets where a moved date lands on another one.
        itself = {frozenset((a, b)) for a in ours for b in ours if a != b and meets(ours[a], ours[b])}
        assert {frozenset(pair) for pair in mine} == itself

    agree()


def pair_of_zones(ledger: Ledger, first: date, last: date | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Nine o'clock in New York and two in Paris: one hour after the other, but for the weeks in which only one has
    changed its clocks."""
    effective = f"[{first},{last or ''})"
    return (
        {"start_time": "09:00", "end_time": "10:00", "time_zone": "America/New_York", "effective": effective},
        {"start_time": "14:00", "end_time": "15:00", "time_zone": "Europe/Paris", "effective": effective},
    )


@pytest.mark.parametrize("beyond", [False, True])
def test_zones_that_meet_only_when_clocks_change(ledger: Ledger, beyond: bool) -> None:
    ann = ledger.person("Ann")
    first = ledger.horizon(ann).date() + timedelta(days=3) if beyond else ledger.day
    one, other = pair_of_zones(ledger, first, first + timedelta(days=366))
    ledger.rule("Morning class", ann, **one)
    with refused("time_conflict") as refusal:
        ledger.rule("Afternoon class", ann, **other)
    assert "Morning class" in refusal.message
    assert ("will be" in refusal.message) == beyond
    [conflict, *_] = refusal.details["conflicts"]
    starts_at = datetime.fromisoformat(conflict["conflicts_with"]["starts_at"])
    assert starts_at.astimezone(UTC).month in (3, 10, 11)
    # Someone else, or an hour earlier, is fine.
    ledger.rule("Afternoon class", ledger.person(), **other)
    ledger.rule("Noon class", ann, **{**other, "start_time": "13:00", "end_time": "14:00"})
    assert ledger.faults() == []


def test_a_rule_that_begins_in_thirty_years(ledger: Ledger) -> None:
    """Nothing looks at rules again when the horizon gets there, so they are compared however late they begin."""
    room = ledger.place()
    ledger.rule("Yoga", room, effective="[2060-01-01,)")
    with refused("time_conflict"):
        ledger.rule("Choir", room, effective="[2061-01-01,2062-01-01)", start_time="09:30")
    ledger.rule("Choir", room, effective="[2060-01-01,)", start_time="10:00", end_time="11:00")
    assert ledger.faults() == []


def test_comparing_endless_rules_is_quick(ledger: Ledger) -> None:
    """A room's hundred rules, in two zones, are told apart without a look at each of their dates."""
    room = ledger.place()
    hours = [(weekday, hour) for weekday in range(1, 6) for hour in range(8, 18)]
    ledger.db.execute(
        "with made as (insert into public.weekly_rules (title, weekday, start_time, end_time, time_zone, effective) "
        "select 'Class', w, make_time(h, 0, 0), make_time(h + 1, 0, 0), 'Europe/Paris', daterange('2060-01-01', null) "
        "from unnest(%s::int[], %s::int[]) u(w, h) returning id) "
        "insert into public.weekly_rule_resources select id, %s from made",
        [[weekday for weekday, _ in hours], [hour for _, hour in hours], room],
    )
    alone = ledger.rule("Alone", ledger.place(), effective="[2060-01-01,)", weekday=6)
    busy = ledger.rule("Busy", room, effective="[2060-01-01,)", weekday=6, time_zone="Europe/Paris")

    def seconds(rule: UUID) -> float:
        started = clock.perf_counter()
        for _ in range(5):
            ledger.db.execute("select private.refuse_rules_that_meet(array[%s]::uuid[])", [rule])
        return clock.perf_counter() - started

    seconds(busy)
    assert seconds(busy) < 20 * seconds(alone)


def test_a_moved_date_is_held_where_it_went(ledger: Ledger) -> None:
    room = ledger.place("Hall")
    rule = ledger.rule("Yoga", room)
    next_day = ledger.day + timedelta(days=1)
    move = "select * from public.move_occurrence(%s, %s, %s, '20:00', '21:00', 'Concert')"
    for _ in range(2):  # once more changes nothing
        ledger.db.execute(move, [rule, ledger.day, next_day])
        [row] = ledger.db.execute(
            "select occurs_on, (lower(during) at time zone 'UTC')::text from public.claims where source_id = %s "
            "order by occurs_on limit 1",
            [rule],
        ).fetchall()
        assert row == (ledger.day, f"{next_day} 20:00:00")
    ledger.meeting("Concert", room)  # its own time is free
    with refused("time_conflict"):
        ledger.meeting("Talk", room, date=next_day, start_time="20:30", end_time="22:00")
    with refused("time_conflict") as refusal:
        ledger.db.execute("select public.restore_occurrence(%s, %s)", [rule, ledger.day])
    assert "Hall is already in Concert" in refusal.message
    assert ledger.faults() == []


def test_a_date_moved_beyond_the_horizon_is_compared_there(ledger: Ledger) -> None:
    """It lands on a weekday its rule never has."""
    room = ledger.place("Hall")
    yoga = ledger.rule("Yoga", room)
    far = ledger.horizon(room).date() + timedelta(days=30)
    far += timedelta(days=(6 - far.weekday()) % 7)  # a Sunday
    ledger.rule(
        "Choir", room, weekday=0, start_time="20:00", end_time="22:00", effective=f"[{far - timedelta(days=14)},)"
    )
    with refused("time_conflict") as refusal:
        ledger.db.execute("select public.move_occurrence(%s, %s, %s, '19:30', '20:30')", [yoga, ledger.day, far])
    assert "Hall will be in Choir" in refusal.message
    ledger.db.execute("select public.move_occurrence(%s, %s, %s, '19:00', '20:00')", [yoga, ledger.day, far])
    with refused("time_conflict") as refusal:
        ledger.rule("Late choir", room, weekday=0, start_time="19:30", end_time="20:00", effective=f"[{far},)")
    assert "Hall will be in Yoga" in refusal.message
    # Nor onto another date of its own.
    own = ledger.day + timedelta(weeks=80)
    with refused("time_conflict") as refusal:
        ledger.db.execute(
            "select public.move_occurrence(%s, %s, %s, '09:30', '10:30')", [yoga, ledger.day + timedelta(weeks=1), own]
        )
    assert "Hall will be in Yoga" in refusal.message
    ledger.db.execute("select public.extend_horizon(array[%s]::uuid[], %s)", [room, far + timedelta(days=60)])
    assert ledger.faults() == []


def test_a_rule_that_ends_takes_its_moved_dates_along(ledger: Ledger) -> None:
    room = ledger.place()
    rule = ledger.rule("Yoga", room)
    week = timedelta(weeks=1)
    for day in (ledger.day, ledger.day + 3 * week):
        ledger.db.execute(
            "select public.move_occurrence(%s, %s, %s, '20:00', '21:00')", [rule, day, day + timedelta(days=1)]
        )
    ledger.db.execute(
        "update public.weekly_rules set effective = daterange(%s, %s) where id = %s",
        [ledger.day, ledger.day + 2 * week, rule],
    )
    dates = [row[0] for row in ledger.db.execute("select occurs_on from public.claims order by 1").fetchall()]
    assert dates == [ledger.day, ledger.day + week]
    assert ledger.faults() == []


def test_exceptions_fit_their_rule(ledger: Ledger) -> None:
    rule = ledger.rule("Yoga", ledger.place(), effective=f"[{ledger.day},{ledger.day + timedelta(days=60)})")
    week = timedelta(weeks=1)
    for day in (ledger.day + timedelta(days=1), ledger.day - week, ledger.day + 20 * week):
        with refused("invalid_input") as refusal:
            ledger.db.execute("select public.cancel_occurrence(%s, %s)", [rule, day])
        assert refusal.details["field"] == "occurs_on"
    for to in ("1969-12-31", "2200-01-01", "infinity", "5874897-12-31"):
        with refused("invalid_input"):
            ledger.db.execute(
                "insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, moved_to_date, moved_start_time, "
                "moved_end_time) values (%s, %s, 'moved', %s, '09:00', '10:00')",
                [rule, ledger.day, to],
            )
    with refused("invalid_input") as refusal:
        ledger.db.execute(
            "insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, taken_by_table, taken_by_id) "
            "values (%s, %s, 'taken_over', 'settings', gen_random_uuid())",
            [rule, ledger.day],
        )
    assert refusal.details["field"] == "taken_by_table"


def test_cancelling_frees_the_time(ledger: Ledger) -> None:
    room = ledger.place()
    rule = ledger.rule("Yoga", room)
    for _ in range(2):
        ledger.db.execute("select public.cancel_occurrence(%s, %s, 'Strike')", [rule, ledger.day])
    concert = ledger.meeting("Concert", room)
    ledger.db.execute("delete from public.meetings where id = %s", [concert])
    for _ in range(2):
        assert ledger.one("select public.restore_occurrence(%s, %s)", rule, ledger.day)
    with refused("time_conflict"):
        ledger.meeting("Concert", room)
    assert ledger.faults() == []
