"""Cron expressions: what they mean is croniter's word, what the clock makes of it is zoneinfo's."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from croniter import croniter
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.support.calls import refused

UTC = dt.UTC
DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)
ZONES = (
    "UTC", "Europe/Paris", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut",
    "America/Santiago", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Apia", "Antarctica/Troll",
)  # fmt: skip


def due_times(expression: str, zone: ZoneInfo, at: dt.datetime, direction: int) -> list[dt.datetime]:
    """The instants around `at` that an expression names, as plain Python says."""
    wall = at.astimezone(zone).replace(tzinfo=None)
    # As cron(8): a day field that begins with * leaves the other to decide.
    found = croniter(expression, wall - direction * 2 * DAY, implement_cron_bug=True, max_years_between_matches=60)
    step = found.get_next if direction > 0 else found.get_prev
    instants: list[dt.datetime] = []
    while True:
        day = step(dt.datetime)
        instants += instants_of(day, zone, is_every_hour=expression.split()[1].startswith("*"))
        if direction * (day - wall) > DAY and any(direction * (i - at) > dt.timedelta() for i in instants):
            return instants


def instants_of(wall: dt.datetime, zone: ZoneInfo, *, is_every_hour: bool) -> list[dt.datetime]:
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return [first, second] if is_every_hour else [first]
    if is_every_hour:
        return []
    # The clock skips it: the first minute that shows a later time. In a gap zoneinfo's second reading lies before it.
    at = second
    while at.astimezone(zone).replace(tzinfo=None) <= wall:
        at += MINUTE
    return [at]


def field(low: int, high: int, names: tuple[str, ...] = ()) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    single = number.map(str) | (st.sampled_from(names) if names else number.map(str))
    # From a number to itself croniter takes for everything.
    spans = st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)
    span = spans.map(lambda pair: f"{pair[0]}-{pair[1]}")
    step = st.integers(1, high - low)
    stepped = st.tuples(span | st.just("*"), step).map(lambda pair: f"{pair[0]}/{pair[1]}")
    parts = st.lists(single | span | stepped, min_size=1, max_size=3).map(",".join)
    return st.just("*") | parts


MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
EXPRESSIONS = st.tuples(
    field(0, 59), field(0, 23), st.just("*") | field(1, 31), st.just("*") | field(1, 12, MONTHS), st.just("*") | field(0, 7, DAYS)
).map(" ".join)  # fmt: skip


@st.composite
def moments(draw: st.DrawFn) -> tuple[str, dt.datetime]:
    """A zone and an instant, more often than not within hours of a change of its clock."""
    name = draw(st.sampled_from(ZONES))
    zone = ZoneInfo(name)
    at = draw(st.datetimes(dt.datetime(2005, 1, 1), dt.datetime(2035, 12, 31))).replace(tzinfo=UTC, microsecond=0)
    changes = [
        day for n in range(366)
        if (day := at + n * DAY).astimezone(zone).utcoffset() != (day + DAY).astimezone(zone).utcoffset()
    ]  # fmt: skip
    if changes and draw(st.integers(0, 3)):
        at = draw(st.sampled_from(changes)) + dt.timedelta(minutes=draw(st.integers(-360, 1800)))
    return name, at


@given(EXPRESSIONS, moments())
@example("30 2 * * *", ("Europe/Paris", dt.datetime(2026, 3, 29, 0, 59, tzinfo=UTC)))
@example("*/10 * * * *", ("Europe/Paris", dt.datetime(2026, 10, 25, 0, 55, tzinfo=UTC)))
@example("0 0 * * *", ("Africa/Cairo", dt.datetime(2026, 4, 23, 21, 59, tzinfo=UTC)))
@example("* * 30 12 *", ("Pacific/Apia", dt.datetime(2011, 12, 30, 9, 59, tzinfo=UTC)))
@example("0 12 30 12 *", ("Pacific/Apia", dt.datetime(2011, 12, 30, 9, 59, tzinfo=UTC)))
@example("0,59 * * * *", ("America/St_Johns", dt.datetime(2009, 11, 1, 3, 0, tzinfo=UTC)))
@example("0 0 29 2 *", ("UTC", dt.datetime(2026, 1, 1, tzinfo=UTC)))
@example("0 0 29 2 */6", ("UTC", dt.datetime(2033, 1, 1, tzinfo=UTC)))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_next_and_previous(db: psycopg.Connection[Any], expression: str, moment: tuple[str, dt.datetime]) -> None:
    name, at = moment
    row = db.execute("select jsonb_array_length(private.cron_errors(%s))", [expression]).fetchone()
    assume(row == (0,))  # such as the 31st of February only
    later = [i for i in due_times(expression, ZoneInfo(name), at, 1) if i > at]
    earlier = [i for i in due_times(expression, ZoneInfo(name), at, -1) if i <= at]
    found = db.execute(
        "select private.cron_next(%(e)s, %(z)s, %(at)s), private.cron_previous(%(e)s, %(z)s, %(at)s)",
        {"e": expression, "z": name, "at": at},
    ).fetchone()
    assert found == (min(later), max(earlier))


def every(db: psycopg.Connection[Any], expression: str, zone: str, start: str, end: str) -> list[str]:
    """All due times after an instant and up to another, in UTC."""
    at, found = start, []
    while True:
        row = db.execute(
            "select to_char(n at time zone 'UTC', 'YYYY-MM-DD HH24:MI\"Z\"') from private.cron_next(%s, %s, %s) n", [expression, zone, at]
        ).fetchone()  # fmt: skip
        assert row is not None
        if row[0] > end:
            return found
        at = row[0]
        found.append(at.removesuffix("Z"))


@pytest.mark.parametrize(
    ("expression", "zone", "start", "end", "expected"),
    [
        pytest.param(
            "30 2 * * *", "Europe/Paris", "2026-03-28 12:00Z", "2026-03-30 12:00Z",
            ["2026-03-29 01:00", "2026-03-30 00:30"], id="in the gap: once, right after it",
        ),
        pytest.param(
            "0,20,40 2 * * *", "Europe/Paris", "2026-03-28 12:00Z", "2026-03-29 12:00Z",
            ["2026-03-29 01:00"], id="thrice in the gap: once",
        ),
        pytest.param(
            "30 2 * * *", "Europe/Paris", "2026-10-24 12:00Z", "2026-10-26 12:00Z",
            ["2026-10-25 00:30", "2026-10-26 01:30"], id="in the fold: once",
        ),
        pytest.param(
            "30 * * * *", "Europe/Paris", "2026-10-24 23:50Z", "2026-10-25 03:00Z",
            ["2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30"], id="every hour, also in the fold",
        ),
        pytest.param(
            "30 * * * *", "Europe/Paris", "2026-03-28 23:50Z", "2026-03-29 02:00Z",
            ["2026-03-29 00:30", "2026-03-29 01:30"], id="every hour, also about the gap",
        ),
        pytest.param(
            "0 0 * * *", "Africa/Cairo", "2026-04-22 12:00Z", "2026-04-25 00:00Z",
            ["2026-04-22 22:00", "2026-04-23 22:00", "2026-04-24 21:00"], id="a day that begins at one o'clock",
        ),
        pytest.param(
            "0 6 * * 1", "Australia/Lord_Howe", "2026-10-01 00:00Z", "2026-10-13 00:00Z",
            ["2026-10-04 19:00", "2026-10-11 19:00"], id="half an hour of summer time",
        ),
    ],
)  # fmt: skip
def test_where_the_clock_jumps(
    db: psycopg.Connection[Any], expression: str, zone: str, start: str, end: str, expected: list[str]
) -> None:
    assert every(db, expression, zone, start, end) == expected


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("60 * * * *", "minute (first field)"),
        ("*/0 * * * *", "minute (first field)"),
        ("5/15 * * * *", "minute (first field)"),
        ("1,,2 * * * *", "minute (first field)"),
        ("0 24 * * *", "hour (second field)"),
        ("0 22-2 * * *", "hour (second field)"),
        ("0 0 0 * *", "day of the month (third field)"),
        ("0 0 L * *", "day of the month (third field)"),
        ("0 0 1 13 *", "month (fourth field)"),
        ("0 0 1 may-jan *", "month (fourth field)"),
        ("0 0 * * 8", "day of the week (fifth field)"),
        ("0 0 * * monday", "day of the week (fifth field)"),
        ("0 0 * * mon#2", "day of the week (fifth field)"),
        ("0 0 31 2,4 *", "never be due"),
        ("-1 * * * *", "minute (first field)"),
        ("99999999999 * * * *", "minute (first field)"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(db: psycopg.Connection[Any], expression: str, named: str) -> None:
    with refused("invalid_input") as refusal:
        db.execute("update public.scheduled_jobs set cron = %s where name = 'extend_horizons'", [expression])
    assert refusal.fields == {"cron"}
    [error] = refusal.details["errors"]
    assert named in error["message"]


def test_every_bad_field_is_named_at_once(db: psycopg.Connection[Any]) -> None:
    with refused("invalid_input") as refusal:
        db.execute("update public.scheduled_jobs set cron = '61 25 32 13 9' where name = 'extend_horizons'")
    assert len(refusal.details["errors"]) == 5


@pytest.mark.parametrize(
    ("short", "long"),
    [("0 0 * * sat-sun", "0 0 * * 6,0"), ("0 0 * * 5-7", "0 0 * * fri,sat,sun"), ("0 0 1 JAN Mon", "0 0 1 1 1"), ("0 0 31 2 5", "0 0 30 2 5")],
)  # fmt: skip
def test_the_same_in_other_words(db: psycopg.Connection[Any], short: str, long: str) -> None:
    one, other = (every(db, e, "Asia/Tokyo", "2026-01-01 00:00Z", "2027-06-01 00:00Z") for e in (short, long))
    assert one == other
    assert len(one) > 5
