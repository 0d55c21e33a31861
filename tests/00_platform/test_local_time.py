"""Wall-clock time to instants: the gap, the fold, midnight, and every other moment, held against zoneinfo."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.wall_clock import MIDNIGHT, ZONES, WallTime, changes, end_of, start_of

Db = psycopg.Connection[Any]
Wall = tuple[date, WallTime, str]

# What a server is started with, one that changes its clocks, and one that does so by half an hour.
SESSIONS = ("Pacific/Kiritimati", "America/New_York", "Australia/Lord_Howe")


@cache
def odd_moments(zone: str) -> list[datetime]:
    """Wall-clock times around every change of the zone's clocks, on either side's reckoning."""
    return [
        (change.astimezone(UTC) + offset).replace(tzinfo=None) + timedelta(seconds=seconds)
        for change in changes(zone, 1990, 2035)
        for offset in (_offset(change, zone, -1), _offset(change, zone, 1))
        for seconds in (-86400, -3601, -1800, -1, 0, 1, 899, 1800, 3599, 3600, 86400)
    ]


def _offset(change: datetime, zone: str, side: int) -> timedelta:
    offset = (change + timedelta(seconds=side)).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return offset


@st.composite
def walls(draw: st.DrawFn) -> Wall:
    zone = draw(st.sampled_from(ZONES))
    odd = odd_moments(zone)
    if odd and draw(st.booleans()):
        moment = draw(st.sampled_from(odd))
        return moment.date(), moment.time(), zone
    day = draw(st.dates(date(1970, 1, 2), date(2199, 12, 30)))
    return day, draw(st.one_of(st.times(), st.just(MIDNIGHT))), zone


def asked(db: Db, function: str, wall: list[Wall]) -> list[datetime | None]:
    return [
        row[0]
        for row in db.execute(
            f"select private.{function}(d, t, z) at time zone 'UTC' from unnest(%s::date[], %s::time[], %s::text[]) u(d, t, z)".encode(),
            [[day for day, _, _ in wall], [str(clock) for _, clock, _ in wall], [zone for _, _, zone in wall]],
        ).fetchall()
    ]


@pytest.mark.parametrize("session", SESSIONS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wall=st.lists(walls(), min_size=1, max_size=60))
def test_it_agrees_with_zoneinfo(db: Db, session: str, wall: list[Wall]) -> None:
    db.execute("select set_config('timezone', %s, false)", [session])
    assert asked(db, "local_to_instant", wall) == [utc(start_of(*one)) for one in wall]
    assert asked(db, "local_end_to_instant", wall) == [utc(end_of(*one)) for one in wall]


def utc(instant: datetime | None) -> datetime | None:
    # Without a zone: Python calls two aware times in a fold different although they are one instant.
    return instant and instant.astimezone(UTC).replace(tzinfo=None)


# Zone, day, clock; the instant as a start, and as an end.
CASES = {
    "the gap": ("Europe/Paris", "2026-03-29", "02:30", None, None),
    "where the gap begins": ("Europe/Paris", "2026-03-29", "02:00", None, "2026-03-29T01:00Z"),
    "where the gap ends": ("Europe/Paris", "2026-03-29", "03:00", "2026-03-29T01:00Z", "2026-03-29T01:00Z"),
    "the fold, first of two": ("Europe/Paris", "2026-10-25", "02:30", "2026-10-25T00:30Z", "2026-10-25T00:30Z"),
    "after the fold": ("Europe/Paris", "2026-10-25", "03:00", "2026-10-25T02:00Z", "2026-10-25T02:00Z"),
    "midnight does not exist in Cairo": ("Africa/Cairo", "2026-04-24", "00:00", None, "2026-04-23T22:00Z"),
    "24:00 in Cairo is that midnight": ("Africa/Cairo", "2026-04-23", "24:00", None, "2026-04-23T22:00Z"),
    "23:30 twice in Cairo": ("Africa/Cairo", "2026-10-29", "23:30", "2026-10-29T20:30Z", "2026-10-29T20:30Z"),
    "midnight does not exist in Santiago": ("America/Santiago", "2026-09-06", "00:30", None, None),
    "midnight does not exist in Beirut": ("Asia/Beirut", "2026-03-29", "00:00", None, "2026-03-28T22:00Z"),
    "half an hour is skipped": ("Australia/Lord_Howe", "2026-10-04", "02:15", None, None),
    "half an hour comes twice": (
        "Australia/Lord_Howe",
        "2026-04-05",
        "01:45",
        "2026-04-04T14:45Z",
        "2026-04-04T14:45Z",
    ),
    "a whole day is skipped": ("Pacific/Apia", "2011-12-30", "12:00", None, None),
    "the end of an ordinary day": ("Asia/Tokyo", "2026-02-28", "24:00", "2026-02-28T15:00Z", "2026-02-28T15:00Z"),
    "29 February": ("UTC", "2028-02-29", "24:00", "2028-03-01T00:00Z", "2028-03-01T00:00Z"),
}


@pytest.mark.parametrize("session", SESSIONS)
def test_odd_moments(db: Db, session: str) -> None:
    db.execute("select set_config('timezone', %s, false)", [session])
    for what, (zone, day, clock, *expected) in CASES.items():
        row = db.execute(
            "select private.local_to_instant(%(d)s, %(t)s, %(z)s) at time zone 'UTC', "
            "private.local_end_to_instant(%(d)s, %(t)s, %(z)s) at time zone 'UTC'",
            {"d": day, "t": clock, "z": zone},
        ).fetchone()
        assert row == tuple(utc(one and datetime.fromisoformat(one)) for one in expected), what


def test_at_time_zone_alone_is_wrong(db: Db) -> None:
    """Why there is a function for it: plain SQL moves the time in the gap and takes the second of the two in the fold."""
    row = db.execute(
        "select timestamp '2026-03-29 02:30' at time zone 'Europe/Paris' at time zone 'Europe/Paris', "
        "timestamp '2026-10-25 02:30' at time zone 'Europe/Paris'"
    ).fetchone()
    assert row == (datetime(2026, 3, 29, 3, 30), datetime(2026, 10, 25, 1, 30, tzinfo=UTC))


NO_ZONES = (
    "", "Paris", "Europe/Pariss", "EST5EDT", "FOO+3", "PST", "+02:00", "<X>-3", "Etc/../Paris", "europe/paris", "utc",
    "posix/UTC", "Europe/Paris\n", "Europe/", "Europe/Paris; drop table x",
)  # fmt: skip


def test_what_is_a_time_zone(db: Db) -> None:
    known = (*ZONES, "America/Port-au-Prince", "America/Indiana/Tell_City")
    rows = db.execute("select z, private.is_time_zone(z) from unnest(%s::text[]) z", [[*known, *NO_ZONES]]).fetchall()
    assert {zone for zone, is_one in rows if is_one} == set(known)


def test_today_is_where_the_organisation_is(db: Db) -> None:
    db.execute(
        "create or replace function private.now() returns timestamptz language sql stable as "
        "$$ select timestamptz '2026-03-01 23:30Z' $$"
    )
    days = []
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        db.execute("update public.settings set value = to_jsonb(%s::text) where key = 'organisation_time_zone'", [zone])
        for session in SESSIONS:
            db.execute("select set_config('timezone', %s, false)", [session])
            row = db.execute("select private.today()").fetchone()
            assert row is not None
            days.append(row[0])
    assert days == [date(2026, 3, 1)] * 3 + [date(2026, 3, 2)] * 3 + [date(2026, 3, 1)] * 3


RANGES = [
    ("2026-03-02 09:00Z", "2026-03-02 10:30Z", "Europe/Paris", "2026-03-02 10:00–11:30 Europe/Paris"),
    ("2026-03-02 21:00Z", "2026-03-02 23:00Z", "Europe/Paris", "2026-03-02 22:00–24:00 Europe/Paris"),
    ("2026-03-02 21:00Z", "2026-03-03 09:00Z", "UTC", "2026-03-02 21:00–2026-03-03 09:00 UTC"),
    ("2026-03-02 21:00Z", "2026-03-04 00:00Z", None, "2026-03-02 21:00–2026-03-04 00:00 UTC"),
]


def test_ranges_as_people_read_them(db: Db) -> None:
    for session in SESSIONS:
        db.execute("select set_config('timezone', %s, false)", [session])
        for starts, ends, zone, said in RANGES:
            row = db.execute("select private.describe_range(tstzrange(%s, %s), %s)", [starts, ends, zone]).fetchone()
            assert row == (said,)
