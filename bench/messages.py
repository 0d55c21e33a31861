"""Messages: what telling people adds to a write, and how fast many dispatchers claim and report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from bench.support import Ratio, say, side_by_side
from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.world import World

ROWS = 2_000
PEOPLE = 20
MESSAGES = 2_000
WORKERS = 8

_CLASSES = f"""
insert into public.class_assignments
  (class_type_id, instructor_id, date, start_time, end_time, time_zone, payment_amount)
select t.id, p.id, private.today() + 1 + g / {PEOPLE} / 12, time '06:00' + make_interval(hours => g / {PEOPLE} % 12),
  time '07:00' + make_interval(hours => g / {PEOPLE} % 12), 'UTC', 30
from public.class_types t, generate_series(0, {ROWS} - 1) g
join (select id, row_number() over (order by id) - 1 as number from public.user_profiles) p on p.number = g % {PEOPLE}
"""
_CANCEL = "update public.class_assignments set class_status = 'cancelled'"
_NOTE = "update public.class_assignments set notes = 'Bring mats.'"
_ONE = (
    "do $$ begin for i in 1..200 loop update public.class_assignments set location_id = case when location_id is null"
    " then (select id from public.locations) end where id = (select id from private.picked); end loop; end $$"
)


class House:
    """A database of its own in which people are told of classes, by email as well, or nobody is."""

    def __init__(self, server: TestServer, *, tells: bool) -> None:
        self.database: Database = server.create_database(TEMPLATE)
        self.db: psycopg.Connection[Any] = self.database.connect()
        world = World(self.db)
        world.insert("public.class_types", name="Yoga")
        world.insert("public.locations", name="Hall")
        self.db.execute(
            "insert into public.user_profiles (full_name, email) "
            "select 'Person ' || g, 'person' || g || '@example.org' from generate_series(1, %s) g",
            [PEOPLE],
        )
        self.db.execute("update public.settings set value = 'true' where key = 'send_email'")
        if not tells:
            for event in ("insert", "update", "delete"):
                self.db.execute(f"drop trigger t95_tell_{event} on public.class_assignments".encode())

    def run(self, statement: str) -> Callable[[], object]:
        """The statement, to be timed."""
        return lambda: self.db.execute(statement.encode())

    def empty(self) -> None:
        """Makes the tables empty, whatever their triggers say."""
        with self.database.connect(admin=True) as behind:
            behind.execute("set session_replication_role = replica")
            for table in ("class_assignments", "claims", "outbox", "notifications"):
                behind.execute(f"delete from public.{table}".encode())
                behind.execute(f"vacuum analyze public.{table}".encode())

    def fill(self) -> None:
        """Fills it with classes anew."""
        self.empty()
        self.db.execute(_CLASSES.encode())


def telling(server: TestServer) -> Iterator[Ratio]:
    """Writing classes, with and without telling their instructors."""
    say(f"{ROWS:,} classes of {PEOPLE} instructors …")
    on, off = House(server, tells=True), House(server, tells=False)
    for what, statement, before in (
        (f"insert {ROWS:,} classes, instructors told", _CLASSES, House.empty),
        (f"cancel {ROWS:,} classes, instructors told", _CANCEL, House.fill),
        (f"change notes of {ROWS:,} classes, which is no news", _NOTE, House.fill),
    ):  # fmt: skip
        yield side_by_side(
            what, on.run(statement), "the same, nobody told", off.run(statement), rounds=5, target=1.5,
            before_subject=lambda before=before: before(on), before_reference=lambda before=before: before(off),  # type: ignore[misc]
        )  # fmt: skip
    for house in (on, off):
        house.fill()
        house.db.execute("create table private.picked as select id from public.class_assignments limit 1")
        house.db.execute("set synchronous_commit = off")
    yield side_by_side(
        "move one class, instructor told and email queued", on.run(_ONE), "the same, nobody told", off.run(_ONE),
        rounds=5, calls=200,
    )  # fmt: skip
    on.database.drop()
    off.database.drop()


def claiming(server: TestServer) -> Iterator[Ratio]:
    """All messages claimed and reported, by one worker and by many."""
    say(f"{MESSAGES:,} messages …")
    database = server.create_database(TEMPLATE)
    db = database.connect()
    db.execute("update public.settings set value = 'true' where key = 'send_email'")

    def queue() -> None:
        db.execute("delete from public.outbox")
        db.execute(
            "insert into public.outbox (channel, recipient, subject, body, kind) "
            "select 'email', 'guest' || g || '@example.org', 'News', 'There is news.', 'news' "
            "from generate_series(1, %s) g",
            [MESSAGES],
        )
        db.execute("vacuum analyze public.outbox")

    def work(_: int) -> None:
        with psycopg.connect(database.dsn, autocommit=True) as by:
            while rows := by.execute("select id, lease from public.claim_outbox('{email}', 20)").fetchall():
                for row in rows:
                    by.execute("select public.complete_outbox(%s, %s)", row)

    def by(workers: int) -> Callable[[], object]:
        def go() -> None:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(work, range(workers)))

        return go

    yield side_by_side(
        f"a message claimed and reported, {WORKERS} workers", by(WORKERS), "the same, one worker", by(1),
        rounds=3, calls=MESSAGES, target=1.0, before_subject=queue, before_reference=queue,
    )  # fmt: skip
    database.drop()


MEASURES = (telling, claiming)


def run(server: TestServer) -> Iterator[Ratio]:
    """All of it."""
    for measure in MEASURES:
        yield from measure(server)
