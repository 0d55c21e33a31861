"""Searching 50,000 sessions beside the plain indexed scans a search is made of; and a year of a series in one call."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg

from bench.support import Ratio, say, side_by_side, sign_in
from tests.support.server import TEMPLATE, TestServer
from tests.support.world import World

SESSIONS = 50_000

_FILL = """
insert into public.course_sessions (course_id, session_date, start_time, time_zone, max_capacity, price)
select (select id from public.courses limit 1), private.today() + 1 + g / 137,
  time '06:00' + make_interval(mins => g %% 137 * 5), 'UTC', 4, g %% 90
from generate_series(1, %s) g
"""
# What each search comes to, written out by hand: the page, and how many seats of it are free.
_PAGE = """
select s.id, (select count(*) from public.session_seats k where k.session_id = s.id and k.booking_id is null) from (
  select s.id from public.course_sessions s where {} order by s.session_date, s.start_time, s.id limit 50
) s
"""
_BARE = """
create function public.bare_sessions(p_course uuid, p_first date) returns bigint language sql security definer as $$
  with made as (
    insert into public.course_sessions (course_id, session_date, start_time)
    select p_course, p_first + g, '22:00' from generate_series(0, 359) g returning 1
  )
  select count(*) from made
$$;
grant execute on function public.bare_sessions to authenticated;
"""
_SEARCHES: dict[str, tuple[str, str]] = {
    "the next fifty": ("", "s.session_date >= private.today()"),
    "a month, mornings, two weekdays, up to 40": (
        "p_from => current_date + 60, p_to => current_date + 90, p_weekdays => '{1,3}', p_time_to => '12:00', "
        "p_price_at_most => 40",
        "s.session_date between current_date + 60 and current_date + 90 and extract(dow from s.session_date) in (1, 3) "
        "and s.end_time <= '12:00' and s.price <= 40",
    ),
    "the next fifty with two seats left": (
        "p_seats_at_least => 2",
        "s.session_date >= private.today() and 2 <= (select count(*) from public.session_seats k "
        "where k.session_id = s.id and k.booking_id is null)",
    ),
    "nothing there is, over all of them": (
        "p_price_at_most => 0, p_time_to => '06:01'",
        "s.session_date >= private.today() and s.price <= 0 and s.end_time <= '06:01'",
    ),
}


def run(server: TestServer) -> Iterator[Ratio]:
    """As somebody who is not signed in."""
    database = server.create_database(TEMPLATE)
    db: psycopg.Connection[Any] = database.connect()
    world = World(db)
    course = world.insert("public.courses", code="AID", title="First aid", duration_minutes=5, price=10).id
    say(f"Making {SESSIONS:,} sessions …")
    db.execute(_FILL, [SESSIONS])
    db.execute("vacuum analyze")
    visitor = database.connect()
    visitor.execute("set role anon")
    for what, (arguments, condition) in _SEARCHES.items():
        ours = f"select * from public.search_sessions({arguments})".encode()
        plain = _PAGE.format(condition).encode()
        yield side_by_side(
            f"search_sessions: {what}",
            partial(_read, visitor, ours),
            "the same page by hand",
            partial(_read, db, plain),
            rounds=20,
        )

    boss = sign_in(database.connect(), world.user("manager"))
    first = db.execute("select private.today() + 1").fetchone()[0]  # type: ignore[index]

    def rolled_back(work: str, *values: Any) -> None:
        with boss.transaction(force_rollback=True):
            boss.execute(work.encode(), values)

    db.execute(_BARE.encode())
    yield side_by_side(
        "create_series, 360 dates",
        lambda: rolled_back(
            "select * from public.create_series(%s, 'FREQ=DAILY;COUNT=360', %s, '22:00')", course, first
        ),
        "INSERT of the same sessions",
        lambda: rolled_back("select public.bare_sessions(%s, %s)", course, first),
        rounds=10,
    )
    rule = "select count(*) from private.recurrence_dates(private.read_rrule('{}'), '1970-01-01', '2199-12-31')"
    yield side_by_side(
        "a rule of two centuries that matches nothing",
        partial(_read, db, rule.format("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30").encode()),
        "one that matches every day",
        partial(_read, db, rule.format("FREQ=DAILY").encode()),
        rounds=10,
    )
    db.close()


def _read(connection: psycopg.Connection[Any], statement: bytes) -> int:
    return len(connection.execute(statement).fetchall())
