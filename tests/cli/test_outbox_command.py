"""`classbase outbox`: what waits, having it sent, dead letters; and `classbase jobs run`, which wakes who sends."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from classbase.cli.app import run
from tests.support.dispatcher import SECRET, Dispatcher, serve_dispatcher
from tests.support.outbox import Outbox
from tests.support.provider import Answer, Provider, serve_provider
from tests.support.rest import Rest
from tests.support.server import Database

Say = Callable[..., str]


@pytest.fixture
def outbox(db: psycopg.Connection[Any]) -> Outbox:
    return Outbox(db)


@pytest.fixture
def say(database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs a command on the test's database, which must end with that exit code; gives what it printed."""
    monkeypatch.setenv("COLUMNS", "220")
    for name in ("DISPATCH_URL", "DISPATCH_SECRET"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str, code: int = 0) -> str:
        signals = {sign: signal.getsignal(sign) for sign in (signal.SIGTERM, signal.SIGINT)}
        try:
            assert run([*arguments, "--db-url", database.dsn]) == code
        finally:
            for sign, handler in signals.items():
                signal.signal(sign, handler)
        said = capsys.readouterr()
        return said.out or said.err

    return command


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve_provider() as serving:
        yield serving


@pytest.fixture
def dispatcher(
    rest: Rest, provider: Provider, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Dispatcher]:
    with serve_dispatcher(rest, provider, tmp_path) as serving:
        monkeypatch.setenv("DISPATCH_URL", str(serving.client.base_url.join("/dispatch")))
        monkeypatch.setenv("DISPATCH_SECRET", SECRET)
        yield serving


def test_what_waits_and_what_is_dead(outbox: Outbox, say: Say) -> None:
    assert "no such messages" in say("outbox", "list")
    dead, waiting, sent = outbox.queue(count=3)
    for message in outbox.claim():
        if message["id"] == dead:
            outbox.fail(message, "permanent")
        elif message["id"] == sent:
            outbox.complete(message)
    listed = json.loads(say("outbox", "list", "--json", code=1))
    assert {row["id"]: row["status"] for row in listed["messages"]} == {str(dead): "failed", str(waiting): "sending"}
    assert [(row["name"], row["state"]) for row in listed["providers"]] == [("email", "closed")]
    assert str(sent) in say("outbox", "list", "--status", "sent")
    assert str(waiting) not in say("outbox", "list", "--status", "failed", code=1)
    say("outbox", "list", "--status", "lost", code=2)


def test_dead_letters_are_queued_again(outbox: Outbox, say: Say) -> None:
    first, second, third = outbox.queue(count=3)
    for message in outbox.claim():
        outbox.fail(message, "permanent")
    done = json.loads(say("outbox", "requeue", str(first), "--json"))
    assert done == {"requeued": [str(first)], "not_dead": []}
    done = json.loads(say("outbox", "requeue", str(first), str(second), "--json", code=1))
    assert done == {"requeued": [str(second)], "not_dead": [str(first)]}
    assert "1 queued again" in say("outbox", "requeue", "--all")
    assert outbox.row(third)["status"] == "queued"
    assert "0 queued again" in say("outbox", "requeue", "--all")
    say("outbox", "requeue", code=2)
    say("outbox", "requeue", "--all", str(first), code=2)
    say("outbox", "requeue", "mine", code=2)


def test_having_them_sent(outbox: Outbox, say: Say, provider: Provider, dispatcher: Dispatcher) -> None:
    outbox.queue(count=3)
    assert "2 sent" in say("outbox", "dispatch", "--limit", "2")
    provider.behave = lambda received: Answer(422)
    assert json.loads(say("outbox", "dispatch", "--json", code=1))["failed"] == 1
    assert sum(provider.delivered.values()) == 2


def test_who_cannot_be_reached_or_refuses(
    outbox: Outbox, say: Say, dispatcher: Dispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPATCH_SECRET", "wrong")
    assert "The secret is missing or wrong" in say("outbox", "dispatch", code=3)
    monkeypatch.setenv("DISPATCH_SECRET", SECRET)
    dispatcher.kill()
    assert "cannot be reached" in say("outbox", "dispatch", code=3)
    monkeypatch.delenv("DISPATCH_SECRET")
    assert "asks for its secret" in say("outbox", "dispatch", code=3)
    monkeypatch.delenv("DISPATCH_URL")
    assert "Where is functions/dispatch" in say("outbox", "dispatch", code=3)


def test_running_jobs_wakes_it(outbox: Outbox, say: Say, provider: Provider, dispatcher: Dispatcher) -> None:
    outbox.db.execute(
        "update public.scheduled_jobs set is_active = name = 'dispatch_outbox', watermark = private.now()"
    )
    [message] = outbox.queue()
    outbox.later(minutes=1)
    say("jobs", "run", "--once")
    assert provider.delivered == {str(message): 1}
    assert outbox.row(message)["status"] == "sent"
    # Nothing to send, nobody is woken.
    calls = dispatcher.log.read_text().count('"function":"dispatch"')
    outbox.later(minutes=1)
    say("jobs", "run", "--once")
    assert dispatcher.log.read_text().count('"function":"dispatch"') == calls
