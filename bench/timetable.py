"""Ledgers of any size: people and places that meet four times a day, Monday to Friday, week after week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from bench.support import say
from tests.support.identity import User
from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.world import World

Span = tuple[list[UUID], datetime, datetime]

# The zone is one with summer time, as for nearly everybody.
_SLOTS = """
create temporary table slots as
select p.id as person_id, q.id as place_id, d.number as day, s.number as slot,
  time '08:00' + make_interval(hours => 2 * s.number) as start_time,
  time '09:00' + make_interval(hours => 2 * s.number) as end_time
from (select id, row_number() over (order by id) as n from public.resources where kind = 'person') p
cross join generate_series(0, 4) as d(number)
cross join generate_series(0, 3) as s(number)
join (select id, row_number() over (order by id) as n from public.resources where kind = 'place') q
  on q.n = (p.n + 4 * d.number + s.number) %% %(pairs)s + 1
"""

# Monday to Thursday come from weekly rules, Fridays from meetings of their own.
_RULES = """
with made as (
  insert into public.weekly_rules (id, title, kind, weekday, start_time, end_time, time_zone, effective)
  select md5(s.person_id::text || s.day || s.slot)::uuid, 'Lesson', 'lesson', s.day + 1, s.start_time, s.end_time,
    'Europe/Paris', daterange(%(since)s, %(since)s + 7 * %(weeks)s)
  from slots s
  where s.day < 4
)
insert into public.weekly_rule_resources (rule_id, resource_id)
select md5(s.person_id::text || s.day || s.slot)::uuid, r.id
from slots s
cross join lateral (values (s.person_id), (s.place_id)) as r(id)
where s.day < 4
"""
_MEETINGS = """
insert into public.meetings (id, title, kind, date, start_time, end_time, time_zone, starts_at, ends_at)
select md5(s.person_id::text || w.week || s.slot)::uuid, 'Seminar', 'seminar', w.day, s.start_time, s.end_time,
  'Europe/Paris', (w.day + s.start_time) at time zone 'Europe/Paris', (w.day + s.end_time) at time zone 'Europe/Paris'
from slots s
cross join (select w as week, %(since)s + 7 * w + 4 as day from generate_series(0, %(weeks)s - 1) as g(w)) w
where s.day = 4
"""
_PARTICIPANTS = """
insert into public.meeting_participants (meeting_id, resource_id)
select md5(s.person_id::text || w.week || s.slot)::uuid, r.id
from slots s
cross join generate_series(0, %(weeks)s - 1) as w(week)
cross join lateral (values (s.person_id), (s.place_id)) as r(id)
where s.day = 4
"""
# What the views of the ledger say, without asking them a million times; a small ledger is held against them.
# Nothing here falls into an hour that does not exist or happens twice.
_CLAIMS = """
insert into public.claims (resource_id, during, share_key, source_table, source_id, occurs_on, kind, title)
select r.id,
  tstzrange((o.day_of + o.start_time) at time zone 'Europe/Paris', (o.day_of + o.end_time) at time zone 'Europe/Paris'),
  md5(o.source_table || o.source_id || (o.day_of - date '1970-01-01'))::uuid, o.source_table, o.source_id, o.day_of,
  case when o.day < 4 then 'lesson' else 'seminar' end, case when o.day < 4 then 'Lesson' else 'Seminar' end
from (
  select s.*, %(since)s + 7 * w.week + s.day as day_of,
    case when s.day < 4 then 'weekly_rules' else 'meetings' end as source_table,
    md5(s.person_id::text || case when s.day < 4 then s.day else w.week end || s.slot)::uuid as source_id
  from slots s
  cross join generate_series(0, %(weeks)s - 1) as w(week)
) o
cross join lateral (values (o.person_id), (o.place_id)) as r(id)
order by r.id, o.day_of, o.slot
"""


@dataclass
class Timetable:
    """A database with `pairs` people and as many places, each in 20 happenings a week since the Monday `since`."""

    database: Database
    manager: User
    people: list[UUID]
    places: list[UUID]
    since: datetime
    weeks: int
    claims: int

    def connect(self, *, admin: bool = False) -> psycopg.Connection[Any]:
        """A connection as the owner, or as the server's superuser."""
        return self.database.connect(admin=admin)

    def span(self, number: int) -> Span:
        """The number'th of many different questions: two people and a place, and an hour some of them are in."""
        people, places = self.people, self.places
        resources = [
            people[number * 7919 % len(people)],
            people[(number * 104729 + 1) % len(people)],
            places[number * 15485863 % len(places)],
        ]
        day = number * 31 % (7 * self.weeks)
        starts_at = self.since + timedelta(days=day, hours=number * 5 % 24, minutes=30)
        return resources, starts_at, starts_at + timedelta(hours=1)


def make_timetable(server: TestServer, pairs: int, weeks: int) -> Timetable:
    """Fills a new database with `pairs` * `weeks` * 40 claims.

    The sources are written with triggers off and the claims in one statement, at which the constraint still looks;
    then the ledger is asked whether they are what it would have made itself, unless there are too many to ask.
    """
    say(f"Making a ledger of {pairs * weeks * 40:,} claims …")
    database = server.create_database(TEMPLATE)
    with database.connect() as owner:
        manager = World(owner).user("manager")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=today.weekday(), weeks=weeks)
    values: dict[str, Any] = {"pairs": pairs, "weeks": weeks, "since": since.date()}
    db = database.connect(admin=True)
    db.execute(
        "insert into public.user_profiles (full_name) select 'Person ' || g from generate_series(1, %s) as g",
        [pairs - 1],  # the manager is the last of them
    )
    db.execute("insert into public.locations (name) select 'Room ' || g from generate_series(1, %s) as g", [pairs])
    db.execute("analyze")
    with db.transaction():
        db.execute("set local session_replication_role = replica")
        cursor = psycopg.ClientCursor(db)
        for statement in (_SLOTS, "analyze slots", _RULES, _MEETINGS, _PARTICIPANTS, "analyze", _CLAIMS):
            cursor.execute(statement, values)
    db.execute("vacuum analyze")
    db.execute("checkpoint")
    count = _one(db, "select count(*) from public.claims")
    if count != pairs * weeks * 40:
        raise RuntimeError(f"{count} claims were made instead of {pairs * weeks * 40}")
    if count <= 50_000 and (wrong := _one(db, "select count(*) from private.ledger_difference()")):
        raise RuntimeError(f"{wrong} of the claims are not what their sources say")
    people, places = (
        [row[0] for row in db.execute("select id from public.resources where kind = %s order by id", [kind])]
        for kind in ("person", "place")
    )
    return Timetable(database, manager, people, places, since, weeks, count)


def _one(db: psycopg.Connection[Any], query: LiteralString) -> int:
    row = db.execute(query).fetchone()
    assert row is not None
    return int(row[0])
