"""The studio: a month's classes among few and among many, and bulk operations against one plain UPDATE."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from bench.support import Ratio, say, side_by_side, sign_in
from tests.support.identity import User
from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.world import World

PEOPLE, MONTH = 20, 300  # instructors, classes within the thirty days
_DETAILS = "select * from public.assignment_details where date between %s and %s order by date, start_time limit 1000"

# Written with triggers off: a month of them, and the others before and after it. Each serves two bookings.
_FILL = """
insert into public.class_assignments (class_type_id, instructor_id, date, start_time, end_time, time_zone, starts_at,
  ends_at, payment_amount, instructor_status)
select %(type)s, p.id, d.day, t.start_time, t.start_time + interval '1 hour', 'UTC',
  (d.day + t.start_time) at time zone 'UTC', (d.day + t.start_time + interval '1 hour') at time zone 'UTC', 30,
  'accepted'
from generate_series(0, %(classes)s - 1) as g(n)
join (select id, row_number() over (order by id) - 1 as number from public.user_profiles) p
  on p.number = n %% %(people)s
cross join lateral (
  select %(since)s + case when n < %(month)s then n / %(people)s %% 30
    else 31 + (n - %(month)s) / %(people)s / 10 end as day
) d
cross join lateral (
  select time '06:00' + make_interval(
    hours => case when n < %(month)s then n / %(people)s / 30 else n / %(people)s %% 10 end) as start_time
) t
"""
_BOOKINGS = """
insert into public.bookings (booking_id, first_name, status)
select 'YOG-20260101-' || upper(lpad(to_hex(g), 8, '0')), 'Bea', 'confirmed' from generate_series(1, 2000) as g
"""
_LINKS = """
insert into public.assignment_bookings (assignment_id, booking_id)
select a.id, 'YOG-20260101-' || upper(lpad(to_hex(1 + (a.number + l.n * 700) % 2000), 8, '0'))
from (select id, row_number() over (order by id)::integer as number from public.class_assignments) a
cross join generate_series(0, 1) as l(n)
"""

# What a table without classbase would have to promise the same: its own columns, checks, keys, indexes, and nobody in
# two places, neither instructors nor rooms.
_PLAIN = """
create table public.plain_assignments (like public.class_assignments including all);
alter table public.plain_assignments
  add foreign key (class_type_id) references public.class_types (id),
  add foreign key (instructor_id) references public.user_profiles (id),
  add foreign key (location_id) references public.locations (id),
  add exclude using gist (instructor_id with =, tstzrange(starts_at, ends_at) with &&)
    where (class_status <> 'cancelled' and instructor_status <> 'rejected'),
  add exclude using gist (location_id with =, tstzrange(starts_at, ends_at) with &&)
    where (class_status <> 'cancelled');
insert into public.plain_assignments select * from public.class_assignments;
"""


class Studio:
    """A database with so many classes, an owner's and a manager's connection, and the first of its thirty days."""

    def __init__(self, server: TestServer, classes: int) -> None:
        say(f"Making {classes:,} classes …")
        self.database: Database = server.create_database(TEMPLATE)
        self.owner: psycopg.Connection[Any] = self.database.connect()
        world = World(self.owner)
        manager: User = world.user("manager")
        self.type: UUID = world.insert("public.class_types", name="Yoga").id
        today = self.owner.execute("select private.today()").fetchone()
        assert today is not None
        self.since: date = today[0] + timedelta(days=1)
        with self.database.connect(admin=True) as db:
            db.execute(
                "insert into public.user_profiles (full_name) select 'Person ' || g from generate_series(2, %s) g",
                [PEOPLE],
            )
            with db.transaction():
                db.execute("set local session_replication_role = replica")
                psycopg.ClientCursor(db).execute(
                    _FILL,
                    {"type": self.type, "classes": classes, "people": PEOPLE, "since": self.since, "month": MONTH},
                )
                db.execute(_BOOKINGS)
                db.execute(_LINKS)
            db.execute("vacuum analyze")
        self.manager = sign_in(self.database.connect(), manager)

    def close(self) -> None:
        """Lets go of its connections."""
        self.manager.close()
        self.owner.close()


def details(server: TestServer) -> Iterator[Ratio]:
    """The same thirty days of 300 classes, asked for by a manager."""
    few, many = Studio(server, 1_000), Studio(server, 100_000)

    def month(studio: Studio) -> Callable[[], object]:
        window = [studio.since, studio.since + timedelta(days=29)]
        rows = len(studio.manager.execute(_DETAILS, window).fetchall())
        assert rows == MONTH, rows
        return lambda: studio.manager.execute(_DETAILS, window).fetchall()

    yield side_by_side(
        "assignment_details of 30 days among 100,000 classes",
        month(many),
        "the same 30 days among 1,000",
        month(few),
        rounds=21,
        calls=1,
        target=1.5,
    )
    few.close()
    many.close()


def bulk(server: TestServer) -> Iterator[Ratio]:
    """A hundred classes at once, each way, against an UPDATE of the same rows of a table that promises the same."""
    studio = Studio(server, 10_000)
    plain = studio.database.connect(admin=True)
    plain.execute(_PLAIN)
    plain.execute("vacuum analyze public.plain_assignments")
    # The first hundred are of twenty instructors on five days, so all can move to one hour.
    ids = [
        row[0]
        for row in studio.owner.execute(
            "select id from public.class_assignments where date < %s order by date, id limit 100",
            [studio.since + timedelta(days=30)],
        )
    ]
    # Their time was not claimed when they were written.
    studio.owner.execute(
        "insert into private.ledger_rebuilds (source_table, source_ids) values ('class_assignments', %s)", [ids]
    )
    hours = iter(("22:00", "20:00") * 100)
    plain_hours = iter(("22:00", "20:00") * 100)

    def move() -> None:
        start = next(hours)
        done = studio.manager.execute(
            "select success, error_message from public.bulk_assignment_operations('reschedule', %s, %s)",
            [ids, Jsonb({"start_time": start, "end_time": f"{int(start[:2]) + 1}:00"})],
        ).fetchone()
        assert done is not None
        assert done[0], done

    def move_plain() -> None:
        start = next(plain_hours)
        end = f"{int(start[:2]) + 1}:00"
        plain.execute(
            "update public.plain_assignments set start_time = %s::time, end_time = %s::time, "
            "starts_at = (date + %s::time) at time zone 'UTC', ends_at = (date + %s::time) at time zone 'UTC', "
            "version = version + 1, updated_at = now() where id = any(%s)",
            [start, end, start, end, ids],
        )

    yield side_by_side(
        "reschedule 100 classes in bulk",
        move,
        "one plain UPDATE under the same constraints",
        move_plain,
        rounds=15,
        target=3.0,
    )
    plain.close()
    studio.close()


MEASURES = (details, bulk)


def run(server: TestServer) -> Iterator[Ratio]:
    """All of it."""
    for measure in MEASURES:
        yield from measure(server)
