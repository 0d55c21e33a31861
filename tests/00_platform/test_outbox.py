"""Messages: queued, claimed, sent, tried again, given up."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.outbox import Outbox


@pytest.fixture
def outbox(db: psycopg.Connection[Any]) -> Outbox:
    return Outbox(db)


def test_a_message_is_claimed_by_one_and_sent(outbox: Outbox) -> None:
    first, second, third = outbox.queue(count=3)
    one = outbox.claim(limit=2)
    two = outbox.claim()
    assert {m["id"] for m in one + two} == {first, second, third}
    assert (len(one), len(two), outbox.claim()) == (2, 1, [])
    assert all(m["attempts"] == 1 and m["subject"] == "News" for m in one)
    outbox.complete(one[0], "re_1")
    row = outbox.row(one[0]["id"])
    assert (row["status"], row["sent_at"], row["provider_message_id"], row["leased_until"]) == (
        "sent", outbox.now, "re_1", None,
    )  # fmt: skip
    # Who got no answer says it again.
    outbox.complete(one[0], "re_1")
    with refused("illegal_transition"):
        outbox.fail(one[0])


def test_a_lease_that_runs_out_is_somebody_elses(outbox: Outbox) -> None:
    outbox.queue()
    [lost] = outbox.claim(lease=60)
    outbox.later(seconds=59)
    assert outbox.claim() == []
    outbox.later(seconds=1)
    [again] = outbox.claim()
    assert (again["id"], again["attempts"]) == (lost["id"], 2)
    assert again["lease"] != lost["lease"]
    for report in (outbox.complete, outbox.fail):
        with refused("illegal_transition") as refusal:
            report(lost)
        assert "Somebody else" in refusal.message
    outbox.complete(again)
    with refused("not_found"):
        outbox.complete({"id": uuid4(), "lease": lost["lease"]})


def test_a_late_report_counts_while_nobody_else_claimed_it(outbox: Outbox) -> None:
    outbox.queue()
    [late] = outbox.claim(lease=1)
    outbox.later(minutes=10)
    outbox.complete(late)
    assert outbox.claim() == []


def test_it_is_tried_again_later_each_time_and_then_given_up(outbox: Outbox) -> None:
    [message] = outbox.queue()
    for attempt, (least, most) in enumerate([(30, 90), (60, 180)], start=1):
        [claimed] = outbox.claim()
        answer = outbox.fail(claimed)
        assert (answer["status"], answer["attempts"]) == ("queued", attempt)
        wait = (answer["next_attempt_at"] - outbox.now).total_seconds()
        assert least <= wait <= most
        # The same report again answers the same and counts nothing.
        assert outbox.fail(claimed) == answer
        outbox.later(seconds=wait - 0.001)
        assert outbox.claim() == []
        outbox.later(seconds=0.001)
    [claimed] = outbox.claim()
    assert outbox.fail(claimed)["status"] == "failed"
    row = outbox.row(message)
    assert (row["failed_at"], row["last_error"], row["attempts"]) == (outbox.now, "It went wrong.", 3)
    assert outbox.provider()["failures"] == 3
    outbox.later(days=1)
    assert outbox.claim() == []


def test_waits_are_spread_and_bounded(outbox: Outbox) -> None:
    waits = [
        seconds
        for (seconds,) in outbox.db.execute(
            "select extract(epoch from private.spread_wait(60, 3, 3600))::float from generate_series(1, 400)"
        )
    ]
    assert 120 <= min(waits) < 150
    assert 330 < max(waits) <= 360
    row = outbox.db.execute("select max(private.spread_wait(60, 100000, 3600)) from generate_series(1, 50)").fetchone()
    assert row is not None
    assert row[0].total_seconds() <= 5400


def test_what_cannot_be_sent_is_given_up_at_once(outbox: Outbox) -> None:
    outbox.queue()
    [claimed] = outbox.claim()
    assert outbox.fail(claimed, "permanent")["status"] == "failed"
    assert outbox.provider()["failures"] == 0


def test_too_fast_counts_no_attempt_and_holds_the_provider_back(outbox: Outbox) -> None:
    outbox.queue(count=2)
    [claimed] = outbox.claim(limit=1)
    answer = outbox.fail(claimed, "throttled", retry_after=300)
    assert (answer["status"], answer["attempts"]) == ("queued", 0)
    outbox.later(seconds=299)
    assert outbox.claim() == []
    outbox.later(seconds=1)
    assert len(outbox.claim()) == 2
    assert outbox.provider()["state"] == "closed"


def test_a_breaker_opens_lets_one_try_and_closes(outbox: Outbox) -> None:
    outbox.queue(count=12)
    outbox.queue("sms")
    for message in outbox.claim(limit=6, channels=["email"]):
        outbox.fail(message)
    opened = outbox.provider()
    assert (opened["state"], opened["failures"], opened["openings"]) == ("open", 6, 1)
    assert 30 <= (opened["retry_at"] - outbox.now).total_seconds() <= 90
    # Others flow on.
    assert [m["channel"] for m in outbox.claim()] == ["sms"]
    outbox.later(seconds=90)
    [probe] = outbox.claim(limit=5, channels=["email"])
    assert (outbox.provider()["state"], outbox.claim(channels=["email"])) == ("half_open", [])
    outbox.fail(probe)
    again = outbox.provider()
    assert (again["state"], again["openings"]) == ("open", 2)
    assert 60 <= (again["retry_at"] - outbox.now).total_seconds() <= 180
    outbox.later(seconds=180)
    # Whoever tried and died leaves it to the next, once the lease has run out.
    assert len(outbox.claim(lease=30, channels=["email"])) == 1
    assert outbox.claim(channels=["email"]) == []
    outbox.later(seconds=30)
    [probe] = outbox.claim(channels=["email"])
    outbox.complete(probe)
    closed = outbox.provider()
    assert (closed["state"], closed["failures"], closed["openings"], closed["retry_at"]) == ("closed", 0, 0, None)
    assert len(outbox.claim(channels=["email"])) > 1


def test_a_webhook_that_is_down_keeps_no_other_waiting(outbox: Outbox) -> None:
    outbox.set("outbox_breaker_failures", 1)
    outbox.queue("webhook", recipient="https://down.example.org/a")
    [claimed] = outbox.claim()
    outbox.fail(claimed)
    outbox.queue("webhook", recipient="https://down.example.org/b?c=d")
    outbox.queue("webhook", recipient="http://UP.example.org:8080/a")
    assert [m["provider"] for m in outbox.claim()] == ["webhook up.example.org:8080"]
    assert outbox.provider("webhook down.example.org")["state"] == "open"


def test_channels_that_are_off_wait(outbox: Outbox) -> None:
    outbox.set("send_email", value=False)
    [message] = outbox.queue()
    assert outbox.claim() == []
    assert outbox.job() == 0
    outbox.later(hours=72)
    assert outbox.job() == 0
    assert outbox.row(message)["status"] == "queued"
    assert outbox.db.execute("select count(*) from private.check_outbox_stuck()").fetchone() == (0,)
    outbox.later(seconds=1)
    # By the time it is switched on nobody wants to hear that any more.
    assert outbox.job("forget_old_messages") == 1


def test_what_is_too_late_is_not_sent(outbox: Outbox) -> None:
    [message] = outbox.queue()
    assert outbox.job() == 1
    outbox.later(hours=72)
    assert outbox.claim() == []
    assert outbox.job() == 0
    assert "too late" in outbox.row(message)["last_error"]


def test_whose_last_sender_fell_silent_is_given_up(outbox: Outbox) -> None:
    [message] = outbox.queue()
    for _ in range(3):
        assert len(outbox.claim(lease=10)) == 1
        outbox.later(seconds=10)
    assert outbox.claim() == []
    outbox.job()
    row = outbox.row(message)
    assert (row["status"], row["leased_until"]) == ("failed", None)
    assert "never said" in row["last_error"]


def test_a_message_may_be_queued_for_later(outbox: Outbox) -> None:
    [message] = outbox.queue(next_attempt_at=outbox.now.replace(hour=9))
    assert (outbox.claim(), outbox.job()) == ([], 0)
    outbox.later(hours=3)
    assert [m["id"] for m in outbox.claim()] == [message]


def test_one_message_a_dedupe_key(outbox: Outbox) -> None:
    outbox.queue(dedupe_key="booking 7 confirmed")
    with pytest.raises(psycopg.errors.UniqueViolation):
        outbox.queue(dedupe_key="booking 7 confirmed")
    assert len(outbox.claim()) == 1


@pytest.mark.parametrize(
    "change",
    [
        "status = 'sent', sent_at = private.now()",
        "status = 'sending', lease = gen_random_uuid(), leased_until = private.now() + interval '1 minute'",
        "status = 'sending', attempts = 1, lease = gen_random_uuid(), leased_until = private.now()",
        "attempts = 2",
        "body = 'Something else.'",
        "recipient = 'somebody.else@example.org'",
        "lease = gen_random_uuid()",
    ],
)
def test_states_move_as_messages_do_whoever_writes(outbox: Outbox, change: str) -> None:
    [message] = outbox.queue()
    with refused("illegal_transition"):
        outbox.db.execute(f"update public.outbox set {change} where id = %s".encode(), [message])


def test_what_was_sent_stays_sent_and_what_is_leased_stays_leased(outbox: Outbox) -> None:
    outbox.queue(count=2)
    sent, sending = outbox.claim()
    outbox.complete(sent)
    again = "status = 'queued', sent_at = null, attempts = 0"
    stolen = "attempts = attempts + 1, lease = gen_random_uuid(), leased_until = private.now() + interval '1 minute'"
    for message, change in ((sent, again), (sending, stolen)):
        with refused("illegal_transition"):
            outbox.db.execute(f"update public.outbox set {change} where id = %s".encode(), [message["id"]])
    with refused("illegal_transition"):
        outbox.queue(status="sent", sent_at=outbox.now)


def test_who_may_dispatch(outbox: Outbox, world: Any, as_user: Any, as_role: Any) -> None:
    outbox.queue()
    for caller in (as_user(outbox.db, world.user("manager")), as_role(outbox.db, "authenticated")):
        with refused("forbidden"), caller as acting:
            acting.execute("select * from public.claim_outbox()")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role(outbox.db, "anon") as acting:
        acting.execute("select * from public.claim_outbox()")
    for role in ("service_role", "authenticated"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role(outbox.db, role) as acting:
            acting.execute("update public.outbox set status = 'sent'")
    with as_user(outbox.db, world.user("manager")) as acting:
        assert acting.execute("select count(*) from public.outbox").fetchone() == (0,)
    admin = world.user("admin")
    with as_user(outbox.db, admin) as acting:
        assert acting.execute("select count(*) from public.outbox").fetchone() == (1,)
        assert len(acting.execute("select * from public.claim_outbox()").fetchall()) == 1


def test_arguments_that_make_no_sense(outbox: Outbox) -> None:
    for limit, lease, channels in ((0, 60, ["email"]), (1001, 60, ["email"]), (1, 0, ["email"]), (1, 60, ["pigeon"])):
        with refused("invalid_input"):
            outbox.claim(limit, lease, channels)
    outbox.queue()
    [claimed] = outbox.claim()
    for reason, retry_after in (("tired", None), ("transient", -1), ("transient", 86401)):
        with refused("invalid_input"):
            outbox.fail(claimed, reason, retry_after)


def test_sent_messages_are_forgotten_and_dead_ones_kept(outbox: Outbox) -> None:
    outbox.queue(count=2)
    sent, dead = outbox.claim()
    outbox.complete(sent)
    outbox.fail(dead, "permanent")
    outbox.later(days=30)
    assert outbox.job("forget_old_messages") == 0
    outbox.later(seconds=1)
    assert outbox.job("forget_old_messages") == 1
    assert outbox.row(dead["id"])["status"] == "failed"


def test_line_breaks_in_a_subject_become_spaces(outbox: Outbox) -> None:
    [message] = outbox.queue(subject="Mia\r\nBcc: everyone@example.org" + "x" * 400)
    subject = outbox.row(message)["subject"]
    assert subject.startswith("Mia Bcc:")
    assert len(subject) == 300
