"""Waking who listens: one of those who commit at once does it, nobody waits for it, and what the others said is found.

A transaction does what it does at its end when it sets its constraints immediate: so that its end can be held open.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from classbase import connect_database
from classbase.transport.async_database import AsyncDatabaseTransport
from classbase.transport.context import RequestContext
from tests.support.changes import open_topic, say
from tests.support.server import Database
from tests.support.waiting import until

Connection = psycopg.Connection[Any]

WRITERS, ROUNDS = 24, 15


@pytest.fixture(autouse=True)
def demo(db: Connection) -> None:
    """A topic to talk about."""
    open_topic(db)


def at_its_end(database: Database, number: int) -> Connection:
    """A transaction that said something, and has done all it does before it commits."""
    ending = database.connect(autocommit=False)
    say(ending, "demo", number)
    ending.execute("set constraints all immediate")
    return ending


def heard(listener: Connection, db: Connection) -> list[str]:
    """What a listener hears until it is told that there is no more."""
    db.execute("notify classbase_changes, 'last'")
    payloads = []
    for notification in listener.notifies(timeout=60):
        if notification.payload == "last":
            break
        payloads.append(notification.payload)
    return payloads


def test_of_those_who_commit_at_once_one_wakes_and_nobody_waits(database: Database, db: Connection) -> None:
    listener = database.connect()
    listener.execute("listen classbase_changes")
    one = at_its_end(database, 1)
    db.execute("set lock_timeout = '1ms'")
    say(db, "demo", 2)
    with db.transaction():
        say(db, "demo", 3)
    assert heard(listener, db) == []
    one.commit()
    assert heard(listener, db) == [""]
    say(db, "demo", 4)
    assert heard(listener, db) == [""]


def test_who_gives_up_leaves_the_next_to_wake(database: Database, db: Connection) -> None:
    listener = database.connect()
    listener.execute("listen classbase_changes")
    at_its_end(database, 1).rollback()
    with db.transaction() as whole:
        with db.transaction() as part:
            say(db, "demo", 2)
            db.execute("set constraints all immediate")
            raise psycopg.Rollback(part)
        say(db, "demo", 3)
        assert whole
    assert heard(listener, db) == [""]


def test_a_transaction_that_stays_open_keeps_nobody_from_waking(database: Database, db: Connection) -> None:
    listener = database.connect()
    listener.execute("listen classbase_changes")
    open_for_long = database.connect(autocommit=False)
    say(open_for_long, "demo", 1)
    say(db, "demo", 2)
    assert heard(listener, db) == [""]
    open_for_long.commit()
    assert heard(listener, db) == [""]


def test_a_listener_looks_again_a_moment_after_being_woken(database: Database, db: Connection) -> None:
    """Three times a wake-up, though it would not look by itself for ten minutes."""

    async def look() -> int:
        transport = AsyncDatabaseTransport(database.dsn, RequestContext("anon", {}))
        looks = transport.watch(["demo"], "", 600)
        assert (await anext(looks)).state == "live"
        await anext(looks)
        say(db, "demo", 1)
        count = 0
        for _ in range(3):
            told = await asyncio.wait_for(anext(looks), 60)
            count += told.change is None and told.state is None
        await looks.aclose()
        await transport.close()
        return count

    assert asyncio.run(look()) == 3


def test_a_crowd_that_commits_at_once_is_heard_whole(database: Database, db: Connection) -> None:
    """Each change once, at the latest when the subscription next looks by itself."""
    expected = [writer * ROUNDS + round_ for writer in range(WRITERS) for round_ in range(ROUNDS)]
    got: list[int] = []
    is_live = threading.Event()
    client = connect_database(database.dsn, role="anon")

    def note(state: str) -> None:
        if state == "live":
            is_live.set()

    def write(writer: int) -> None:
        with psycopg.connect(database.dsn, autocommit=True) as by:
            for round_ in range(ROUNDS):
                say(by, "demo", writer * ROUNDS + round_)

    with client.subscribe(["demo"], poll_every=5, on_state=note) as changes:

        def collect() -> None:
            for change in changes:
                if change.payload["number"] < 0:
                    return
                got.append(change.payload["number"])

        reading = threading.Thread(target=collect)
        reading.start()
        assert is_live.wait(60)
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(write, range(WRITERS)))
        until(lambda: len(got) >= len(expected), "every change")
        say(db, "demo", -1)
        reading.join()
    client.close()
    assert sorted(got) == expected
