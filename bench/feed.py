"""The change feed: what publishing costs writers, and how long a commit takes to reach listeners while others write.

Latencies are shown beside those of a bare NOTIFY with its payload, received by a connection that only listens: the
least that Postgres itself takes. Medians and 99th percentiles are lines of their own.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from bench.audit import _CLASSES_INSERT, ROWS, Side
from bench.support import Ratio, crowd, say, side_by_side
from classbase import connect, connect_database
from tests.support.changes import open_topic
from tests.support.changes import say as publish
from tests.support.edge_functions import serve_function
from tests.support.rest import Rest
from tests.support.server import TEMPLATE, Database, TestServer

PROBES = 400
WRITERS = 6

Connection = psycopg.Connection[Any]


def cost(server: TestServer) -> Iterator[Ratio]:
    """Bulk and single writes of a table that publishes, with publishing on and off."""
    say(f"{ROWS:,} rows of class_assignments …")
    on, off = (Side(server, "class_assignments", "", audited=True) for _ in range(2))
    off.db.execute("update public.settings set value = 'false' where key = 'changes_from_studio'")
    yield side_by_side(
        f"insert {ROWS:,} class_assignments, published",
        on.run(_CLASSES_INSERT),
        "the same, not published",
        off.run(_CLASSES_INSERT),
        rounds=3,
        before_subject=on.empty,
        before_reference=off.empty,
    )
    one = (
        "do $$ begin for i in 1..200 loop update public.class_assignments set notes = i::text "
        "where id = (select min(id::text)::uuid from private.picked); end loop; end $$"
    )
    for side in (on, off):
        side.db.execute("create table private.picked as select id from public.class_assignments limit 1")
    yield side_by_side(
        "update one class, published", on.run(one), "the same, not published", off.run(one), rounds=5, calls=200
    )
    on.database.drop()
    off.database.drop()


def barest(server: TestServer) -> Iterator[Ratio]:
    """Small transactions by several connections at once: with a change, with one that wakes nobody, without."""
    database = server.create_database(TEMPLATE)
    db = database.connect()
    open_topic(db)
    db.execute("create table private.bare (id integer primary key, count integer not null)")
    db.execute("insert into private.bare select generate_series(1, %s), 0", [WRITERS])

    def written(change: bool, notify: bool = True) -> Callable[[], object]:
        def write(number: int) -> None:
            with psycopg.connect(database.dsn, autocommit=True) as by:
                for _ in range(150):
                    with by.transaction():
                        by.execute("update private.bare set count = count + 1 where id = %s", [number])
                        if change:
                            publish(by, f"demo:{number}")

        def work() -> None:
            threads = [threading.Thread(target=write, args=[number]) for number in range(1, WRITERS + 1)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()

        return work

    def notify(switch: bool) -> Callable[[], object]:
        return lambda: db.execute(
            "update public.settings set value = to_jsonb(%s::boolean) where key = 'changes_notify'", [switch]
        )

    for what, switch in (("with a change", True), ("with a change that wakes nobody", False)):
        yield side_by_side(
            f"a small transaction {what}, {WRITERS} writers",
            written(True),
            "without",
            written(False),
            rounds=5,
            calls=150,
            before_subject=notify(switch),
        )
    database.drop()


_CROWDS = (1, 8, 32)
_SAY = (
    "insert into public.changes (topic, event, payload) values ('demo:' || :client_id, 'demo-said', '{\"number\": 1}')"
)


def waking(server: TestServer) -> Iterator[Ratio]:
    """Crowds that publish, a change a transaction: woken as it is, by a NOTIFY at every commit, and not at all."""
    database = server.create_database(TEMPLATE)
    db = database.connect()
    open_topic(db)
    ways = {
        "waking": ("true", f"{_SAY};"),
        "a NOTIFY at every commit": (
            "false",
            f"with said as ({_SAY} returning id) select pg_notify('demo', '') from said;",
        ),
        "waking nobody": ("false", f"{_SAY};"),
    }
    for clients in _CROWDS:
        took: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(5):
            for way, (setting, script) in ways.items():
                db.execute("update public.settings set value = %s::jsonb where key = 'changes_notify'", [setting])
                took[way].append(crowd(database, script, clients, 3200 // clients))
        mine = took.pop("waking")
        for way, theirs in took.items():
            yield Ratio(
                f"a change, {clients} writer{'s' * (clients > 1)}",
                way,
                statistics.median(mine),
                statistics.median(theirs),
                statistics.median(a / b for a, b in zip(mine, theirs, strict=True)),
            )
    database.drop()


@contextmanager
def busy(database: Database) -> Iterator[None]:
    """Others who write and publish all the while."""
    over = threading.Event()

    def write(number: int) -> None:
        with psycopg.connect(database.dsn, autocommit=True) as by:
            while not over.wait(0.02):
                publish(by, f"other:{number}")

    threads = [threading.Thread(target=write, args=[number]) for number in range(WRITERS)]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        over.set()
        for each in threads:
            each.join()


class Arrivals:
    """When each probe arrived."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self.came = threading.Condition()

    def note(self, number: int) -> None:
        """It arrived now."""
        with self.came:
            self.at[number] = time.perf_counter()
            self.came.notify_all()

    def latencies(self, send: Callable[[int], object]) -> list[float]:
        """Sends the probes one after another; how long each took from its commit, in milliseconds, sorted."""
        found = []
        for number in range(PROBES):
            send(number)
            committed = time.perf_counter()
            with self.came:
                if not self.came.wait_for(lambda number=number: number in self.at, timeout=30):  # type: ignore[misc]
                    raise TimeoutError("a change did not arrive")
            found.append(max(0.0, self.at[number] - committed) * 1000)
            time.sleep(0.002)
        return sorted(found)


def latency(server: TestServer) -> Iterator[Ratio]:
    """From the commit to who listens: over psycopg, and over REST through the Edge Function."""
    database = server.create_database(TEMPLATE)
    db = database.connect()
    open_topic(db)
    open_topic(db, "other")
    with Rest.serve(database) as rest, tempfile.TemporaryDirectory() as folder:
        secrets = {"SUPABASE_DB_URL": database.dsn}
        with serve_function("changes", rest, Path(folder), secrets) as function, busy(database):
            bare = _bare(database, db)
            doors = {
                "over psycopg": connect_database(database.dsn, role="anon"),
                "over REST": connect(rest.url, rest.token("anon"), rest_path="", functions_url=str(function.base_url)),
            }
            for name, client in doors.items():
                arrivals, is_live = Arrivals(), threading.Event()

                def hear(state: str, is_live: threading.Event = is_live) -> None:
                    if state == "live":
                        is_live.set()

                with client.subscribe(["demo"], on_state=hear) as changes:

                    def collect(changes: Any = changes, arrivals: Arrivals = arrivals) -> None:
                        for change in changes:
                            arrivals.note(change.payload["number"])

                    reading = threading.Thread(target=collect)
                    reading.start()
                    is_live.wait(30)
                    found = arrivals.latencies(lambda number: publish(db, "demo", number))
                    changes.close()
                    publish(db, "demo", -1)
                    reading.join()
                client.close()
                for which, place in (("median", 0.5), ("99th percentile", 0.99)):
                    mine, theirs = found[int(PROBES * place)], bare[int(PROBES * place)]
                    yield Ratio(
                        f"commit to subscriber {name}, {which}",
                        "a bare NOTIFY",
                        mine,
                        theirs,
                        mine / max(theirs, 0.001),
                    )
    database.drop()


def _bare(database: Database, db: Connection) -> list[float]:
    arrivals, over = Arrivals(), threading.Event()
    listening = threading.Event()

    def listen() -> None:
        with psycopg.connect(database.dsn, autocommit=True) as by:
            by.execute("listen bare")
            listening.set()
            while not over.is_set():
                for notice in by.notifies(timeout=0.5):
                    arrivals.note(int(notice.payload))

    thread = threading.Thread(target=listen)
    thread.start()
    listening.wait(30)
    try:
        return arrivals.latencies(lambda number: db.execute("select pg_notify('bare', %s)", [str(number)]))
    finally:
        over.set()
        thread.join()


MEASURES = (cost, barest, waking, latency)


def run(server: TestServer) -> Iterator[Ratio]:
    """All of it."""
    for measure in MEASURES:
        yield from measure(server)
