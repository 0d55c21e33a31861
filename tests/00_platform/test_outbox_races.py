"""However many dispatchers claim at once, each message goes to one of them."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.outbox import Outbox
from tests.support.server import Database
from tests.support.waiting import until, until_blocked

CLAIM = "select id from public.claim_outbox('{email}', %s, 60)"


@pytest.fixture
def outbox(db: psycopg.Connection[Any]) -> Outbox:
    return Outbox(db)


def claim_all(database: Database, workers: int, limit: int) -> tuple[Counter[UUID], list[str]]:
    """Claims from many connections at once until nothing is left; who was handed what how often, and errors."""
    begin = threading.Barrier(workers)
    claimed: Counter[UUID] = Counter()
    errors: list[str] = []
    lock = threading.Lock()

    def work() -> None:
        with psycopg.connect(database.dsn, autocommit=True) as by:
            begin.wait()
            try:
                while rows := by.execute(CLAIM, [limit]).fetchall():
                    with lock:
                        claimed.update(row[0] for row in rows)
            except psycopg.Error as error:
                errors.append(error.sqlstate or "")

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return claimed, errors


def test_twelve_claimers(outbox: Outbox, database: Database) -> None:
    queued = outbox.queue(count=400)
    claimed, errors = claim_all(database, 12, 7)
    assert errors == []
    assert claimed == Counter(queued)


def test_one_holds_a_message_while_another_claims(outbox: Outbox, database: Database) -> None:
    """The second neither waits nor is handed the same, before and after the first commits."""
    outbox.queue(count=2)
    first, second = database.connect(), database.connect()
    with first.transaction():
        [(mine,)] = first.execute(CLAIM, [1]).fetchall()
        [(other,)] = second.execute(CLAIM, [2]).fetchall()
        assert other != mine
    assert second.execute(CLAIM, [2]).fetchall() == []


def without(db: psycopg.Connection[Any], what: str) -> None:
    """Takes a guard out of the function that claims."""
    row = db.execute("select pg_get_functiondef('private.claim_messages'::regproc)").fetchone()
    assert row is not None
    assert what in row[0]
    db.execute(row[0].replace(what, "").encode())


def claimed_beside(outbox: Outbox, database: Database) -> list[Any]:
    """What a second claimer gets that began to look before the first committed."""
    outbox.queue()
    first, second = database.connect(), database.connect()
    got: list[Any] = []

    def claim() -> None:
        try:
            got.extend(second.execute(CLAIM, [1]).fetchall())
        except psycopg.Error as error:
            got.append(error.sqlstate)

    thread = threading.Thread(target=claim)
    with first.transaction():
        assert len(first.execute(CLAIM, [1]).fetchall()) == 1
        thread.start()
        until_blocked(outbox.db, second)
    thread.join()
    return got


def test_without_the_lock_the_states_still_refuse_it(outbox: Outbox, database: Database) -> None:
    without(outbox.db, "for update skip locked")
    assert claimed_beside(outbox, database) == ["PGRST"]


def test_without_either_guard_both_would_send_it(outbox: Outbox, database: Database) -> None:
    """That is: the tests above would notice."""
    without(outbox.db, "for update skip locked")
    outbox.db.execute("drop trigger t10_check on public.outbox")
    assert len(claimed_beside(outbox, database)) == 1


def test_one_tries_a_provider_that_failed(outbox: Outbox, database: Database) -> None:
    outbox.set("outbox_breaker_failures", 1)
    outbox.queue(count=30)
    [failed] = outbox.claim(limit=1)
    outbox.fail(failed)
    outbox.later(hours=2)
    claimed, errors = claim_all(database, 8, 5)
    assert (sum(claimed.values()), errors) == (1, [])


def test_many_providers_are_tried_by_many(outbox: Outbox, database: Database) -> None:
    outbox.set("outbox_breaker_failures", 1)
    for host in range(12):
        outbox.queue("webhook", count=3, recipient=f"https://host{host}.example.org/%s")
    for message in outbox.claim(limit=100):
        outbox.fail(message)
    outbox.later(hours=2)
    begin = threading.Barrier(6)
    claimed: list[str] = []

    def work() -> None:
        with psycopg.connect(database.dsn, autocommit=True) as by:
            begin.wait()
            claimed.extend(p for (p,) in by.execute("select provider from public.claim_outbox('{webhook}', 100)"))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(f"webhook host{host}.example.org" for host in range(12))


def test_many_report_at_once(outbox: Outbox, database: Database) -> None:
    outbox.queue(count=60)
    messages = outbox.claim(limit=60)
    begin = threading.Barrier(6)
    errors: list[str] = []

    def report(number: int) -> None:
        with psycopg.connect(database.dsn, autocommit=True) as by:
            begin.wait()
            for index in range(number, 60, 6):
                message = messages[index]
                try:
                    if index % 3:
                        by.execute("select public.complete_outbox(%s, %s)", [message["id"], message["lease"]])
                    else:
                        by.execute("select public.fail_outbox(%s, %s, 'no')", [message["id"], message["lease"]])
                except psycopg.Error as error:
                    errors.append(str(error))

    threads = [threading.Thread(target=report, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = dict(outbox.db.execute("select status, count(*) from public.outbox group by 1").fetchall())
    assert found == {"sent": 40, "queued": 20}


def test_the_first_messages_of_a_new_provider(outbox: Outbox, database: Database) -> None:
    """The second waits for the first, which makes the provider's row, and finds it."""
    first, second = database.connect(), database.connect()
    insert = (
        "insert into public.outbox (channel, recipient, body, kind) "
        "values ('webhook', 'https://new.example.org/hook', '{}', 'news')"
    )
    done = threading.Event()

    def queue() -> None:
        second.execute(insert)
        done.set()

    thread = threading.Thread(target=queue)
    with first.transaction():
        first.execute(insert)
        thread.start()
        until_blocked(outbox.db, second)
    thread.join()
    until(done.is_set, "the second insert")
    assert len(outbox.claim()) == 2
