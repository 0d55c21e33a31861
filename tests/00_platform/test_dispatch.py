"""functions/dispatch in real Deno: what providers are sent, and what becomes of messages however they answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import psycopg
import pytest

from tests.support.dispatcher import SECRET, Dispatcher, serve_dispatcher
from tests.support.outbox import Outbox
from tests.support.provider import Answer, Provider, Received, serve_provider
from tests.support.rest import Rest
from tests.support.waiting import until


@pytest.fixture
def outbox(db: psycopg.Connection[Any]) -> Outbox:
    return Outbox(db)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with serve_provider() as serving:
        yield serving


@pytest.fixture
def dispatcher(rest: Rest, provider: Provider, tmp_path: Path) -> Iterator[Dispatcher]:
    with serve_dispatcher(rest, provider, tmp_path) as serving:
        yield serving


def states(outbox: Outbox) -> dict[str, int]:
    """How many messages are in which state."""
    return dict(outbox.db.execute("select status, count(*) from public.outbox group by 1").fetchall())


def test_an_email(outbox: Outbox, provider: Provider, dispatcher: Dispatcher) -> None:
    [message] = outbox.queue(subject="Grüße", body="Zeile eins\nZeile zwei")
    assert dispatcher.run() == {"sent": 1}
    [received] = provider.received
    assert received.path == "/emails"
    assert received.key == str(message)
    assert received.headers["authorization"] == "Bearer re_key"
    assert json.loads(received.body) == {
        "from": "Studio <hello@example.org>",
        "to": ["guest10@example.org"],
        "subject": "Grüße",
        "text": "Zeile eins\nZeile zwei",
    }
    row = outbox.row(message)
    assert (row["status"], row["provider_message_id"]) == ("sent", f"re_{message}")
    assert dispatcher.run() == {}


def test_a_webhook_is_signed(outbox: Outbox, provider: Provider, dispatcher: Dispatcher) -> None:
    body = '{"session": "é", "seats": 3}'
    [message] = outbox.queue("webhook", recipient=f"{provider.address}/hooks/a?b=c", body=body)
    before = time.time()
    assert dispatcher.run() == {"sent": 1}
    [received] = provider.received
    assert (received.path, received.body) == ("/hooks/a?b=c", body)
    timestamp = received.headers["webhook-timestamp"]
    assert before - 1 <= int(timestamp) <= time.time() + 1
    signed = f"{message}.{timestamp}.{body}".encode()
    digest = hmac.new(b"signed with this", signed, hashlib.sha256).digest()
    assert received.headers["webhook-id"] == received.key == str(message)
    assert received.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_text_messages(outbox: Outbox, provider: Provider, dispatcher: Dispatcher) -> None:
    outbox.queue("sms")
    outbox.queue("whatsapp")
    provider.behave = lambda received: Answer(201, body='{"sid": "SM1"}')
    assert dispatcher.run() == {"sent": 2}
    assert {one.path for one in provider.received} == {"/2010-04-01/Accounts/AC1/Messages.json"}
    said = [parse_qs(one.body) for one in sorted(provider.received, key=lambda one: one.body)]
    assert [(one["From"], one["To"], one["Body"]) for one in said] == [
        (["+15550100"], ["+491512340010"], ["There is news."]),
        (["whatsapp:+15550101"], ["whatsapp:+491512340010"], ["There is news."]),
    ]
    basic = "Basic " + base64.b64encode(b"AC1:token").decode()
    assert {one.headers["authorization"] for one in provider.received} == {basic}
    ids = outbox.db.execute("select distinct provider_message_id from public.outbox").fetchall()
    assert ids == [("SM1",)]


@pytest.mark.parametrize(
    ("status", "become", "failures"),
    [
        (500, "retried", 1), (503, "retried", 1), (401, "retried", 1), (403, "retried", 1), (409, "retried", 1),
        (400, "failed", 0), (404, "failed", 0), (422, "failed", 0), (302, "failed", 0),
    ],
)  # fmt: skip
def test_what_a_refusal_means(
    outbox: Outbox, provider: Provider, dispatcher: Dispatcher, status: int, become: str, failures: int
) -> None:
    [message] = outbox.queue()
    provider.behave = lambda received: Answer(status, (("Location", "/elsewhere"),), '{"message":\n "no"}')
    assert dispatcher.run() == {become: 1}
    row = outbox.row(message)
    assert row["last_error"] == f'HTTP {status}: {{"message": "no"}}'
    assert outbox.provider()["failures"] == failures
    assert len(provider.received) == 1


@pytest.mark.parametrize("said", ["90", "a date", "soon", None])
def test_too_fast(outbox: Outbox, provider: Provider, dispatcher: Dispatcher, said: str | None) -> None:
    outbox.queue(count=40)
    value = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True) if said == "a date" else said
    headers = () if value is None else (("Retry-After", value),)
    provider.behave = lambda received: Answer(429, headers)
    counts = dispatcher.run()
    # Those of one claim are on their way; nobody claims more.
    assert counts == {"retried": 24}
    assert states(outbox) == {"queued": 40}
    attempts = outbox.db.execute("select max(attempts) from public.outbox").fetchone()
    assert attempts == (0,)
    wait = (outbox.provider()["retry_at"] - outbox.now).total_seconds()
    assert (wait == 90) if said == "90" else (60 <= wait <= 91)
    provider.behave = lambda received: Answer()
    assert dispatcher.run() == {}
    outbox.later(seconds=151)
    assert dispatcher.run() == {"sent": 40}
    assert provider.delivered == Counter({str(message): 1 for (message,) in outbox.db.execute("select id from public.outbox")})  # fmt: skip


def test_one_that_does_not_answer(outbox: Outbox, provider: Provider, dispatcher: Dispatcher) -> None:
    """It delivers, but says so too late: sent again under the same key, which it knows."""
    [message] = outbox.queue()
    never = threading.Event()
    provider.behave = lambda received: Answer(hangs=never if received.number == 1 else None)
    assert dispatcher.run() == {"retried": 1}
    assert outbox.row(message)["last_error"] == "No answer within 2 s."
    never.set()
    outbox.later(minutes=2)
    assert dispatcher.run() == {"sent": 1}
    assert [one.key for one in provider.received] == [str(message)] * 2
    assert provider.delivered == Counter({str(message): 1})


def test_nobody_there(rest: Rest, outbox: Outbox, tmp_path: Path) -> None:
    with serve_provider() as provider:
        pass
    with serve_dispatcher(rest, provider, tmp_path) as dispatcher:
        [message] = outbox.queue()
        assert dispatcher.run() == {"retried": 1}
    assert outbox.row(message)["last_error"] == "The provider could not be reached."


def test_a_provider_that_is_down_is_left_alone_and_comes_back(
    outbox: Outbox, provider: Provider, dispatcher: Dispatcher
) -> None:
    queued = outbox.queue(count=60)
    provider.behave = lambda received: Answer(503)
    assert dispatcher.run() == {"retried": 24}
    assert outbox.provider()["state"] == "open"
    assert dispatcher.run() == {}
    assert len(provider.received) == 24
    outbox.later(seconds=91)
    # One tries, and nobody else.
    assert dispatcher.run() == {"retried": 1}
    assert len(provider.received) == 25
    outbox.later(seconds=181)
    provider.behave = lambda received: Answer()
    assert dispatcher.run() == {"sent": 60}
    assert outbox.provider()["state"] == "closed"
    assert provider.delivered == Counter(map(str, queued))


def test_two_dispatchers_at_once_while_half_of_it_fails(
    rest: Rest, outbox: Outbox, provider: Provider, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    outbox.set("outbox_breaker_failures", 1000)
    queued = outbox.queue(count=150)
    provider.behave = lambda received: Answer(
        500 if received.number == 1 and int(received.key.replace("-", ""), 16) % 2 else 200
    )
    with serve_dispatcher(rest, provider, tmp_path / "other") as other, ThreadPoolExecutor(2) as both:
        total: Counter[str] = Counter()
        for _ in range(2):
            for counts in both.map(lambda one: one.run(), [dispatcher, other]):
                total.update(counts)
            outbox.later(minutes=2)
    failing = sum(message.int % 2 for message in queued)
    assert total == Counter(sent=150, retried=failing)
    assert len(provider.received) == 150 + failing
    assert provider.delivered == Counter(map(str, queued))


def test_killed_between_sending_and_reporting(
    rest: Rest, outbox: Outbox, provider: Provider, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    """Nothing is lost, and by its key nothing counts twice."""
    queued = outbox.queue(count=40)
    gate = threading.Event()
    # The first answers of each worker are let through, the rest is delivered and never answered.
    provider.behave = lambda received: Answer(hangs=gate if len(provider.received) > 10 else None)
    with ThreadPoolExecutor(1) as one:
        going = one.submit(dispatcher.post)
        until(lambda: provider.at_once == 8, "eight that wait for an answer")
        dispatcher.kill()
        with pytest.raises(Exception):  # noqa: B017, PT011 - however the connection breaks
            going.result()
    gate.set()
    assert provider.most_at_once == 8
    sent_before = states(outbox).get("sent", 0)
    assert 0 < sent_before < 40
    assert len(provider.delivered) > sent_before
    provider.behave = lambda received: Answer()
    with serve_dispatcher(rest, provider, tmp_path / "next") as successor:
        assert sum(successor.run().values()) == 40 - 24  # the others are still leased
        outbox.later(minutes=5)
        successor.run()
    assert states(outbox) == {"sent": 40}
    assert provider.delivered == Counter(map(str, queued))
    assert len(provider.received) > 40


def test_the_database_goes_away_before_the_report(
    rest: Rest, outbox: Outbox, provider: Provider, dispatcher: Dispatcher
) -> None:
    [message] = outbox.queue()

    def lose(received: Received) -> Answer:
        rest.process.stop()
        return Answer()

    provider.behave = lose
    answer = dispatcher.post()
    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert outbox.row(message)["status"] == "sending"
    assert provider.delivered == Counter([str(message)])


def test_only_channels_it_knows_are_claimed(rest: Rest, outbox: Outbox, provider: Provider, tmp_path: Path) -> None:
    outbox.queue()
    outbox.queue("sms")
    with serve_dispatcher(rest, provider, tmp_path, {"EMAIL_KEY": "", "WEBHOOK_SECRET": ""}) as dispatcher:
        answer = dispatcher.post()
        assert answer.json()["channels"] == ["sms", "whatsapp"]
    assert dict(outbox.db.execute("select channel, status from public.outbox").fetchall()) == {
        "email": "queued", "sms": "sent",
    }  # fmt: skip


def test_who_may_call_it_and_how(outbox: Outbox, provider: Provider, dispatcher: Dispatcher) -> None:
    outbox.queue()
    for secret in (None, "", SECRET + "x", SECRET[:-1]):
        answer = dispatcher.post(secret=secret)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    for body in ([], {"limit": 0}, {"limit": "5"}, {"limit": 10_001}, b"{"):
        answer = dispatcher.post(body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert provider.received == []
    assert dispatcher.post(secret=None, Authorization=f"Bearer {SECRET}").json()["sent"] == 1
    log = dispatcher.log.read_text()
    assert SECRET not in log
    assert "guest10" not in log
    assert [json.loads(line)["code"] for line in log.splitlines() if line.startswith("{")][-1] == "ok"


def test_at_most_so_many(outbox: Outbox, provider: Provider, dispatcher: Dispatcher) -> None:
    outbox.queue(count=30)
    assert dispatcher.run(limit=26) == {"sent": 26}
    assert states(outbox) == {"sent": 26, "queued": 4}
