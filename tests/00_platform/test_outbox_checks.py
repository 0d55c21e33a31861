"""Dead letters and messages nobody sends: found, mended, undone; and what wakes the dispatcher."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.outbox import Outbox
from tests.support.repairs import Repairs
from tests.support.server import Database


@pytest.fixture
def repairs(database: Database) -> Repairs:
    return Repairs(database)


def test_dead_letters_are_queued_again_and_that_is_undone(repairs: Repairs) -> None:
    outbox = Outbox(repairs.db)
    outbox.queue(count=3)
    for message in outbox.claim(limit=2):
        outbox.fail(message, "permanent")
    assert repairs.finds("outbox_dead_letters") == ["The email about news could not be sent"] * 2
    repairs.goes_round("outbox_dead_letters")
    assert len(outbox.claim()) == 3
    # Once it is on its way again, having queued it cannot be taken back.
    newest = repairs.one("select max(id) from public.fix_runs")
    assert repairs.refused(newest).code == "illegal_transition"


def test_messages_nobody_sends(repairs: Repairs) -> None:
    outbox = Outbox(repairs.db)
    outbox.queue(count=2)
    outbox.later(minutes=30)
    assert repairs.finds("outbox_stuck") == []
    outbox.later(seconds=1)
    [said] = repairs.finds("outbox_stuck")
    assert said.startswith("2 message(s) wait for email since 2027-06-07 06:00 UTC")
    assert said.endswith("nothing dispatches them")
    outbox.set("outbox_breaker_failures", 1)
    [first, _] = outbox.claim()
    outbox.fail(first)
    outbox.later(hours=2)
    [said] = repairs.finds("outbox_stuck")
    assert said.endswith("the provider fails")


def stand_in(admin: psycopg.Connection[Any], *, secrets: bool = True) -> None:
    """pg_net and Vault as a hosted project has them, but that calls are written down."""
    for statement in (
        "create schema net",
        "create table net.asked (url text, headers jsonb, body jsonb)",
        "create function net.http_post(url text, body jsonb default '{}', params jsonb default '{}', "
        "headers jsonb default '{}', timeout_milliseconds integer default 1000) returns bigint language sql "
        "security definer begin atomic insert into net.asked values (url, headers, body) returning 1::bigint; end",
        "create schema vault",
        "create table vault.secrets (name text, decrypted_secret text)",
        "create view vault.decrypted_secrets as select * from vault.secrets",
        "grant usage on schema net, vault to public",
        "grant select on vault.decrypted_secrets to public",
    ):
        admin.execute(statement.encode())
    if secrets:
        admin.execute(
            "insert into vault.secrets values ('dispatch_url', 'https://x.example.org/functions/v1/dispatch'), "
            "('dispatch_secret', 'swordfish'), ('other', 'not told')"
        )


def test_the_job_wakes_the_dispatcher_when_something_is_due(database: Database) -> None:
    admin = database.connect(admin=True)
    stand_in(admin)
    outbox = Outbox(database.connect())
    assert outbox.job() == 0
    assert admin.execute("select count(*) from net.asked").fetchone() == (0,)
    outbox.queue(count=3)
    assert outbox.job() == 3
    asked = admin.execute("select url, headers ->> 'x-dispatch-secret', body from net.asked").fetchall()
    assert asked == [("https://x.example.org/functions/v1/dispatch", "swordfish", {})]
    # A provider that is left alone wakes nobody.
    outbox.set("outbox_breaker_failures", 1)
    for message in outbox.claim():
        outbox.fail(message)
    outbox.db.execute("update public.outbox set next_attempt_at = private.now()")
    assert outbox.job() == 0
    assert admin.execute("select count(*) from net.asked").fetchone() == (1,)


def test_without_secrets_or_rights_it_wakes_nobody_and_does_not_fail(database: Database) -> None:
    admin = database.connect(admin=True)
    outbox = Outbox(database.connect())
    outbox.queue()
    assert outbox.job() == 1
    stand_in(admin, secrets=False)
    assert outbox.job() == 1
    admin.execute("insert into vault.secrets values ('dispatch_url', 'x'), ('dispatch_secret', 'y')")
    admin.execute("revoke usage on schema net from public")
    assert outbox.job() == 1
    assert admin.execute("select count(*) from net.asked").fetchone() == (0,)
