"""The change feed under many writers: every change exactly once, and never a row's older version after its newer one.

The writers use savepoints, roll back, and hold transactions open until readers have read past them; the readers page with
small limits. What is easier does not hold: reading by number is shown to skip.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.changes import Reader, open_topic, say
from tests.support.server import TEMPLATE, Database
from tests.support.waiting import until

Connection = psycopg.Connection[Any]

WRITERS = 60
ROUNDS = 12
ROWS = 8

# A counted row of which every update is told, as rules tell of theirs: in the transaction, by number and version.
TABLE = """
create table private.counted (id integer primary key, version integer not null default 0);
insert into private.counted select generate_series(1, %s);
create function private.tell_counted() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.changes (topic, event, payload)
  select 'demo:' || n.id, 'row-update', jsonb_build_object('row', n.id, 'version', n.version) from new_rows n;
  return null;
end $$;
create trigger t90_tell after update on private.counted referencing new table as new_rows
  for each statement execute function private.tell_counted();
"""

CHANGE = "update private.counted set version = version + 1 where id = %s returning version"


@dataclass
class Written:
    """What the writers committed: (row, version)."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    committed: list[tuple[int, int]] = field(default_factory=list)

    def add(self, changes: list[tuple[int, int]]) -> None:
        """Notes what a transaction did, once it is committed."""
        with self.lock:
            self.committed += changes


def write(database: Database, number: int, written: Written) -> None:
    """One writer's rounds: some plain, some with savepoints of which some are undone, some rolled back whole."""
    chance = random.Random(number)  # noqa: S311
    with database.connect() as by:
        for _ in range(ROUNDS):
            done: list[tuple[int, int]] = []
            # In one order, so that nobody deadlocks.
            rows = sorted(chance.sample(range(1, ROWS + 1), chance.randint(1, 3)))
            undone = chance.random() < 0.2
            with by.transaction():
                if chance.random() < 0.3:
                    by.execute("select pg_current_xact_id()")  # an id long before the first change
                for row in rows:
                    done += _change(by, row, chance)
                if undone:
                    raise psycopg.Rollback
            if not undone:
                written.add(done)


def _change(by: Connection, row: int, chance: random.Random) -> list[tuple[int, int]]:
    style = chance.random()
    if style < 0.5:
        return [(row, _updated(by, row))]
    kept: list[tuple[int, int]] = []
    with by.transaction() as savepoint:
        kept = [(row, _updated(by, row))]
        if style < 0.7:
            kept = []
            raise psycopg.Rollback(savepoint)
    return kept


def _updated(by: Connection, row: int) -> int:
    found = by.execute(CHANGE, [row]).fetchone()
    assert found is not None
    return int(found[0])


def follow(reader: Reader, over: threading.Event) -> list[tuple[int, int]]:
    """Everything a reader sees until the writers are done and nothing is left."""
    seen = []
    while True:
        last = over.is_set()
        seen += [(c["payload"]["row"], c["payload"]["version"]) for c in reader.news() if c["event"] == "row-update"]
        if last:
            return seen


def test_sixty_writers_and_every_change_exactly_once(database: Database, db: Connection) -> None:
    open_topic(db)
    db.execute(TABLE.replace("%s", str(ROWS)).encode())
    written, over = Written(), threading.Event()
    all_topics = [f"demo:{row}" for row in range(1, ROWS + 1)]
    readers = [
        Reader(database.connect(), None if n % 2 else all_topics, limit=(1, 3, 50, 1000)[n % 4]) for n in range(8)
    ]
    slow = database.connect(autocommit=False)
    say(slow, "demo", -1)  # open before all the others and after them
    with ThreadPoolExecutor(WRITERS + len(readers)) as pool:
        following = [pool.submit(follow, reader, over) for reader in readers]
        try:
            for each in [pool.submit(write, database, number, written) for number in range(WRITERS)]:
                each.result()
        finally:
            over.set()
        seen = [each.result() for each in following]
    assert len(written.committed) > WRITERS * ROUNDS / 2
    for changes in seen:
        assert Counter(changes) == Counter(written.committed)
        for row in range(1, ROWS + 1):
            versions = [version for which, version in changes if which == row]
            assert versions == sorted(versions)
    slow.commit()
    # Only those who read every topic, or the one it is about, hear of the one that came last.
    assert [reader.numbers() for reader in readers[1::2]] == [[-1]] * (len(readers) // 2)


def test_reading_by_number_skips_what_commits_late(database: Database, db: Connection) -> None:
    """The guard removed: the form everybody writes first, with the same two writers in the same order."""
    open_topic(db)
    reader, last = Reader(db, ["demo"]), 0
    slow = database.connect(autocommit=False)
    say(slow, "demo", 1)
    say(db, "demo", 2)

    def by_number() -> list[int]:
        nonlocal last
        rows = db.execute(
            "select id, (payload ->> 'number')::integer from public.changes where id > %s order by id", [last]
        ).fetchall()
        last = max([last, *(row[0] for row in rows)])
        return [row[1] for row in rows]

    first = by_number(), reader.numbers()
    slow.commit()
    second = by_number(), reader.numbers()
    assert (first, second) == (([2], [2]), ([], [1]))


def test_reading_by_transaction_tells_a_row_backwards(database: Database, db: Connection) -> None:
    """Ordered by transaction id, as some feeds are, a row would end at its older version; by number within a window it does not."""
    open_topic(db)
    db.execute(TABLE.replace("%s", "1").encode())
    reader = Reader(db, ["demo:1"])
    early = database.connect(autocommit=False)
    early.execute("select pg_current_xact_id()")
    db.execute(CHANGE, [1])
    early.execute(CHANGE, [1])
    early.commit()
    by_transaction = db.execute(
        "select (payload ->> 'version')::integer from public.changes order by transaction_id, id"
    ).fetchall()
    assert [row[0] for row in by_transaction] == [2, 1]
    assert [change["payload"]["version"] for change in reader.news()] == [1, 2]


def test_a_blocked_writer_comes_after_the_one_it_waited_for(database: Database, db: Connection) -> None:
    open_topic(db)
    db.execute(TABLE.replace("%s", "1").encode())
    reader = Reader(db, ["demo:1"])
    first, second = database.connect(autocommit=False), database.connect()
    first.execute(CHANGE, [1])
    waiting = threading.Thread(target=second.execute, args=(CHANGE, [1]))
    waiting.start()
    blocked = "select cardinality(pg_blocking_pids(%s)) > 0"
    until(lambda: db.execute(blocked, [second.info.backend_pid]).fetchone() == (True,), "the second writer's wait")
    assert reader.news() == []
    first.commit()
    waiting.join()
    assert [change["payload"]["version"] for change in reader.news()] == [1, 2]


# What may happen, in any order, with four writers and two readers; a writer's next step depends on where it stands.
STEP = st.tuples(
    st.sampled_from(["say", "say", "begin", "save", "undo", "commit", "rollback", "read", "page"]), st.integers(0, 3)
)


@pytest.fixture(scope="module")
def shared(server: Any) -> Any:
    """A database for all examples: what an earlier one said is behind every cursor of a later one."""
    made = server.create_database(TEMPLATE)
    with made.connect() as db:
        open_topic(db)
    yield made
    made.drop()


@given(st.lists(STEP, max_size=40), st.integers(1, 4))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_interleaving_is_read_exactly_once(shared: Database, steps: list[tuple[str, int]], limit: int) -> None:
    writers = [shared.connect(autocommit=False) for _ in range(4)]
    readers = [Reader(shared.connect(), None, limit=limit) for _ in range(2)]
    said: list[list[int]] = [[] for _ in writers]
    marks: list[list[int]] = [[] for _ in writers]
    committed: list[int] = []
    seen: list[list[int]] = [[] for _ in readers]
    number = 0

    def end(who: int, keep: bool) -> None:
        if keep:
            writers[who].commit()
            committed.extend(said[who])
        else:
            writers[who].rollback()
        said[who], marks[who] = [], []

    try:
        for what, who in steps:
            if what == "say":
                number += 1
                say(writers[who], f"demo:{who}", number)
                said[who].append(number)
            elif what == "begin":
                writers[who].execute("select pg_current_xact_id()")
            elif what == "save":
                writers[who].execute(f"savepoint s{len(marks[who])}".encode())
                marks[who].append(len(said[who]))
            elif what == "undo" and marks[who]:
                mark = marks[who].pop()
                writers[who].execute(f"rollback to savepoint s{len(marks[who])}".encode())
                del said[who][mark:]
            elif what in ("commit", "rollback"):
                end(who, what == "commit")
            elif what == "read":
                seen[who % 2] += readers[who % 2].numbers()
            elif what == "page":
                seen[who % 2] += [change["payload"]["number"] for change in readers[who % 2].page()]
        for who in range(4):
            end(who, keep=True)
        for which, reader in enumerate(readers):
            seen[which] += reader.numbers() + reader.numbers()
            assert Counter(seen[which]) == Counter(committed)
    finally:
        for connection in [*writers, *(reader.db for reader in readers)]:
            connection.close()
