"""Recurrence rules of RFC 5545: the dates dateutil finds as well, what is refused, and how long the odd ones take."""

from __future__ import annotations

import datetime as datetime_module
from datetime import date, datetime, time, timedelta
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.calls import refused

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

# Around leap days, a century's leap day, years of 53 ISO weeks and the turn of years.
STARTS = st.sampled_from([
    date(2024, 2, 29), date(2000, 2, 29), date(2020, 12, 28), date(2026, 12, 31), date(2027, 1, 1), date(2015, 12, 31),
    date(2026, 1, 31), date(2032, 2, 28), date(1999, 12, 31),
]) | st.dates(date(1971, 1, 1), date(2150, 12, 31))  # fmt: skip


def signed(highest: int) -> st.SearchStrategy[int]:
    return st.integers(1, highest).flatmap(lambda n: st.sampled_from((n, -n)))


def listed(values: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=most, unique=True).map(lambda found: ",".join(map(str, found)))


@st.composite
def rules(draw: st.DrawFn) -> dict[str, str]:
    """The parts of a rule that RFC 5545 allows. No mix of numbered and plain days, which dateutil gets wrong, and no
    sixth Monday of a month, over which it falls."""
    frequency = draw(st.sampled_from(("DAILY", "WEEKLY", "MONTHLY", "YEARLY")))
    parts = {"FREQ": frequency}
    if draw(st.booleans()):
        parts["INTERVAL"] = str(draw(st.integers(1, 5) | st.integers(1, 60)))
    if draw(st.booleans()):
        parts["WKST"] = draw(st.sampled_from(DAYS))
    if draw(st.integers(0, 2)) == 0:
        parts["BYMONTH"] = draw(listed(st.integers(1, 12)))
    if draw(st.booleans()):
        days = st.sampled_from(DAYS)
        if frequency in ("MONTHLY", "YEARLY") and draw(st.booleans()):
            most = 53 if frequency == "YEARLY" and "BYMONTH" not in parts else 5
            days = st.tuples(signed(most) | signed(5), days).map(lambda pair: f"{pair[0]:+d}{pair[1]}")
        parts["BYDAY"] = draw(listed(days, 7))
    if frequency != "WEEKLY" and draw(st.booleans()):
        parts["BYMONTHDAY"] = draw(listed(signed(31)))
    if set(parts) & {"BYDAY", "BYMONTHDAY", "BYMONTH"} and draw(st.integers(0, 2)) == 0:
        parts["BYSETPOS"] = draw(listed(signed(6), 2))
    return parts


def expected(parts: dict[str, str], first: date, through: date, count: int | None) -> list[date]:
    """What dateutil makes of it. Its first week starts at the first date even where a position in the week is asked for,
    so then it is given the whole week, and the weekday it would have taken from the first date."""
    said = dict(parts)
    start = first
    if "BYSETPOS" in parts and parts["FREQ"] == "WEEKLY":
        if "BYDAY" not in parts:
            said["BYDAY"] = DAYS[first.weekday()]
        start -= timedelta(days=(first.weekday() - DAYS.index(parts.get("WKST", "MO"))) % 7)
    text = ";".join(f"{name}={value}" for name, value in said.items())
    found = rrulestr(text, dtstart=datetime.combine(start, time()))
    limit = datetime.combine(through, time())
    dates: list[date] = []
    # What matches nothing keeps dateutil busy until the last year there is.
    with patch.object(datetime_module, "MAXYEAR", through.year):
        for day in found:
            if day > limit or len(dates) == count:
                break
            if day.date() >= first:
                dates.append(day.date())
    return dates


def dates_of(connection: psycopg.Connection[Any], rule: str, first: date, through: date) -> list[date]:
    rows = connection.execute(
        "select d from private.recurrence_dates(private.read_rrule(%s), %s, %s) d", [rule, first, through]
    )
    return [row[0] for row in rows]


def written(parts: dict[str, str]) -> str:
    return ";".join(f"{name}={value}" for name, value in parts.items())


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=rules(), first=STARTS, days=st.integers(0, 900) | st.integers(0, 3000), count=st.none() | st.integers(1, 40)
)
@example(parts={"FREQ": "YEARLY"}, first=date(2024, 2, 29), days=3000, count=None)
@example(parts={"FREQ": "WEEKLY", "INTERVAL": "2"}, first=date(2020, 12, 31), days=900, count=None)
@example(
    parts={"FREQ": "WEEKLY", "INTERVAL": "2", "BYDAY": "TU,SU", "WKST": "SU"}, first=date(2026, 8, 4), days=60, count=4
)
@example(
    parts={"FREQ": "MONTHLY", "BYDAY": "MO,TU,WE,TH,FR", "BYSETPOS": "-1"},
    first=date(2026, 1, 30),
    days=900,
    count=None,
)
@example(parts={"FREQ": "YEARLY", "BYDAY": "-53MO,53TU"}, first=date(2024, 1, 1), days=3000, count=None)
def test_dateutil_finds_the_same_dates(
    db: psycopg.Connection[Any], parts: dict[str, str], first: date, days: int, count: int | None
) -> None:
    through = first + timedelta(days=days)
    said = parts if count is None else parts | {"COUNT": str(count)}
    assert dates_of(db, written(said), first, through) == expected(parts, first, through, count)


def test_numbered_and_plain_days_are_both_meant(db: psycopg.Connection[Any]) -> None:
    mondays = [date(2026, 6, day) for day in (1, 8, 15, 22, 29)]
    assert dates_of(db, "FREQ=MONTHLY;BYDAY=MO,-1TU", date(2026, 6, 1), date(2026, 6, 30)) == [
        *mondays,
        date(2026, 6, 30),
    ]


def test_the_first_date_belongs_to_it_only_when_the_rule_says_so(db: psycopg.Connection[Any]) -> None:
    assert dates_of(db, "FREQ=WEEKLY;BYDAY=TU;COUNT=2", date(2026, 6, 1), date(2027, 1, 1)) == [
        date(2026, 6, 2),
        date(2026, 6, 9),
    ]


@pytest.mark.parametrize(
    ("until", "start", "zone", "last"),
    [
        ("20260610", "09:00", "Europe/Paris", date(2026, 6, 10)),
        ("20260610T090000", "09:00", "Europe/Paris", date(2026, 6, 10)),
        ("20260610T085959", "09:00", "Europe/Paris", date(2026, 6, 9)),
        ("20260610T070000Z", "09:00", "Europe/Paris", date(2026, 6, 10)),
        ("20260610T065959Z", "09:00", "Europe/Paris", date(2026, 6, 9)),
        ("20260610T235959Z", "09:00", "Pacific/Kiritimati", date(2026, 6, 11)),
        ("20260610T000000Z", "18:00", "America/New_York", date(2026, 6, 9)),
    ],
)
def test_until_is_a_date_a_time_or_an_instant(
    db: psycopg.Connection[Any], until: str, start: str, zone: str, last: date
) -> None:
    row = db.execute(
        "select private.recurrence_ends_on(private.read_rrule(%s), %s::time, %s)",
        [f"FREQ=DAILY;UNTIL={until}", start, zone],
    ).fetchone()
    assert row == (last,)


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("", {"p_rrule"}),
        ("FREQ=WEEKLY;BYDAY=" + "MO," * 400 + "MO", {"p_rrule"}),
        ("BYDAY=MO", {"p_rrule.FREQ"}),
        ("FREQ=HOURLY", {"p_rrule.FREQ"}),
        ("FREQ=FORTNIGHTLY;INTERVAL=0;BYMONTH=13", {"p_rrule.FREQ", "p_rrule.INTERVAL", "p_rrule.BYMONTH"}),
        ("FREQ=DAILY;COUNT=3;UNTIL=20261231", {"p_rrule.COUNT"}),
        ("FREQ=DAILY;COUNT=99999999999999999999", {"p_rrule.COUNT"}),
        ("FREQ=DAILY;UNTIL=20260230", {"p_rrule.UNTIL"}),
        ("FREQ=DAILY;UNTIL=20260101T250000Z", {"p_rrule.UNTIL"}),
        ("FREQ=DAILY;UNTIL=29420101", {"p_rrule.UNTIL"}),
        ("FREQ=WEEKLY;BYDAY=1MO", {"p_rrule.BYDAY"}),
        ("FREQ=MONTHLY;BYDAY=0MO,XX", {"p_rrule.BYDAY"}),
        ("FREQ=WEEKLY;BYMONTHDAY=1", {"p_rrule.BYMONTHDAY"}),
        ("FREQ=MONTHLY;BYMONTHDAY=0", {"p_rrule.BYMONTHDAY"}),
        ("FREQ=DAILY;BYSETPOS=1", {"p_rrule.BYSETPOS"}),
        ("FREQ=DAILY;BYDAY=MO;BYSETPOS=0", {"p_rrule.BYSETPOS"}),
        ("FREQ=WEEKLY;WKST=XX", {"p_rrule.WKST"}),
        ("FREQ=YEARLY;BYWEEKNO=20;BYYEARDAY=100", {"p_rrule.BYWEEKNO", "p_rrule.BYYEARDAY"}),
        ("FREQ=DAILY;BYHOUR=9;BYMINUTE=0", {"p_rrule.BYHOUR", "p_rrule.BYMINUTE"}),
        ("FREQ=DAILY;FREQ=WEEKLY", {"p_rrule.FREQ"}),
        ("FREQ=DAILY;COLOUR=RED;BYDAY", {"p_rrule.COLOUR", "p_rrule.BYDAY"}),
        ("FREQ=DAILY;=1", {"p_rrule"}),
    ],
)
def test_every_part_at_fault_is_named(db: psycopg.Connection[Any], rule: str, fields: set[str]) -> None:
    with refused("invalid_input") as refusal:
        db.execute("select private.read_rrule(%s)", [rule])
    assert refusal.fields == fields


@pytest.mark.parametrize(
    "rule", ["rrule:freq=weekly;byday=mo,we;", "FREQ=WEEKLY;BYDAY=WE,MO,MO", "INTERVAL=01;FREQ=WEEKLY;BYDAY=MO,WE"]
)
def test_how_it_is_written_does_not_matter(db: psycopg.Connection[Any], rule: str) -> None:
    wanted = [date(2026, 6, day) for day in (1, 3, 8, 10)]
    assert dates_of(db, rule, date(2026, 6, 1), date(2026, 6, 12)) == wanted


@pytest.mark.parametrize(
    ("rule", "many"),
    [
        ("FREQ=DAILY", 84006),
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", 0),
        ("FREQ=YEARLY;BYDAY=53MO;BYMONTH=2", 0),
        ("FREQ=DAILY;COUNT=3;BYMONTH=2;BYMONTHDAY=-30", 0),
        ("FREQ=YEARLY;INTERVAL=999", 1),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=200", 0),
    ],
)
def test_two_centuries_of_it_or_nothing_at_all_are_answered(db: psycopg.Connection[Any], rule: str, many: int) -> None:
    # A loop that looked for the next match would never come back; this is bounded by the dates there are.
    db.execute("set statement_timeout = '20s'")
    assert len(dates_of(db, rule, date(1970, 1, 1), date(9999, 12, 31))) == many


def test_what_is_outside_the_calendar_has_no_dates(db: psycopg.Connection[Any]) -> None:
    assert dates_of(db, "FREQ=DAILY", date(2026, 1, 2), date(2026, 1, 1)) == []
    row = db.execute(
        "select count(*) from private.recurrence_dates(private.read_rrule('FREQ=DAILY'), '-infinity', 'infinity')"
    ).fetchone()
    assert row == (0,)
