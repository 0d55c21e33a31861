"""assignment_analytics over a year of 100,000 classes, against the barest GROUP BY over the same rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import psycopg

from bench.support import Ratio, say, side_by_side, sign_in
from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.world import World

CLASSES, INSTRUCTORS = 100_000, 50
_BAREST = (
    "select instructor_id, schedule_type, count(*), sum(payment_amount) from public.class_assignments"
    " where date between %s and %s group by 1, 2"
)
_ANALYTICS = "select public.assignment_analytics(%s, %s)"
_PAY = "select * from public.instructor_pay(%s, %s)"

# Written with triggers off. Three years of it, so that the one asked for has to be found.
_FILL = """
insert into public.class_assignments (class_type_id, instructor_id, date, start_time, end_time, time_zone, starts_at,
  ends_at, payment_amount, schedule_type, class_status, payment_status, instructor_status)
select %(type)s, p.id, d.day, t.start_time, t.start_time + interval '1 hour', 'UTC',
  (d.day + t.start_time) at time zone 'UTC', (d.day + t.start_time + interval '1 hour') at time zone 'UTC',
  20 + n %% 4000 / 100.0, (array['adhoc', 'weekly', 'monthly', 'crash', 'package'])[1 + n %% 5],
  case when n %% 20 = 0 then 'cancelled' when d.day <= %(today)s then 'completed' else 'scheduled' end,
  case when n %% 20 = 0 then 'cancelled' when n %% 3 = 0 then 'paid' else 'pending' end, 'accepted'
from generate_series(0, %(classes)s - 1) as g(n)
join (select id, row_number() over (order by id) - 1 as number from public.user_profiles) p
  on p.number = n %% %(people)s
cross join lateral (select %(since)s + n / %(people)s * 365 / (%(classes)s / %(people)s) as day) d
cross join lateral (select time '06:00' + make_interval(hours => n / %(people)s %% 12) as start_time) t
"""


def _make(server: TestServer) -> tuple[Database, psycopg.Connection[tuple[object, ...]], date]:
    say(f"Making {CLASSES:,} classes a year …")
    database = server.create_database(TEMPLATE)
    with database.connect() as owner:
        manager = World(owner).user("manager")
        row = owner.execute("select private.today()").fetchone()
        assert row is not None
        today: date = row[0]
    with database.connect(admin=True) as db:
        db.execute(
            "insert into public.user_profiles (full_name) select 'Person ' || g from generate_series(2, %s) as g",
            [INSTRUCTORS],
        )
        made = db.execute("insert into public.class_types (name) values ('Yoga') returning id").fetchone()
        assert made is not None
        for year in (-2, -1, 0):
            with db.transaction():
                db.execute("set local session_replication_role = replica")
                psycopg.ClientCursor(db).execute(
                    _FILL,
                    {
                        "type": made[0], "today": today, "since": today - timedelta(days=300 - 365 * year),
                        "classes": CLASSES, "people": INSTRUCTORS,
                    },
                )  # fmt: skip
        db.execute("vacuum analyze")
        db.execute("checkpoint")
    return database, sign_in(database.connect(), manager), today - timedelta(days=300)


def run(server: TestServer) -> Iterator[Ratio]:
    """A manager asks for a year; the owner counts its rows without asking who may see them."""
    database, manager, since = _make(server)
    window = [since, since + timedelta(days=364)]
    with database.connect() as owner:
        # How many processors are idle this moment says nothing about either.
        for connection in (owner, manager):
            connection.execute("set max_parallel_workers_per_gather = 0")
        for what, query, target in (("assignment_analytics", _ANALYTICS, 2.0), ("instructor_pay", _PAY, None)):
            yield side_by_side(
                f"{what}: a year of {CLASSES:,} classes among {3 * CLASSES:,}",
                lambda query=query: manager.execute(query, window).fetchall(),  # type: ignore[misc]
                "GROUP BY instructor and type over the same rows",
                lambda: owner.execute(_BAREST, window).fetchall(),
                rounds=15,
                target=target,
            )
    manager.close()
