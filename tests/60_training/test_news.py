"""What the feed and people are told, in the transaction that makes the news."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from tests.support.calls import call
from tests.support.training import Training, guests


def changes(training: Training) -> list[tuple[str, str, dict[str, Any]]]:
    return training.db.execute("select topic, event, payload from public.changes order by id").fetchall()


def forget(training: Training) -> int:
    found: int = training.one("select coalesce(max(id), 0) from public.changes")
    return found


def since(training: Training, last: int) -> list[tuple[str, str, dict[str, Any]]]:
    return training.db.execute(
        "select topic, event, payload from public.changes where id > %s order by id", [last]
    ).fetchall()


def test_a_session_and_its_course_are_two_topics(training: Training) -> None:
    session, ann = training.session(2), training.world.user()
    [(first, event, payload), (second, _, _)] = changes(training)
    assert ({first, second}, event) == ({f"session:{session}", f"course:{training.course}"}, "session-created")
    assert (payload["seats_left"], payload["status"], payload["session_id"]) == (2, "scheduled", str(session))
    last = forget(training)
    training.book(session, ann, p_attendees=guests("Ann's secret guest"))
    told = since(training, last)
    assert [event for _, event, _ in told] == ["booking-confirmed"] * 2 + ["session-update"] * 2
    assert {payload["seats_left"] for _, _, payload in told} == {1}
    assert "secret" not in json.dumps([payload for _, _, payload in told])
    last = forget(training)
    call(training.db, ann, "hold_seats", p_session_id=session)
    call(training.db, ann, "release_seats", p_session_id=session)
    assert [(event, payload["seats_left"]) for _, event, payload in since(training, last)] == [
        ("session-update", 0)
    ] * 2 + [("session-update", 1)] * 2
    last = forget(training)
    call(training.db, training.manager, "cancel_session", p_id=session, p_reason="Ill.")
    assert {event for _, event, _ in since(training, last)} == {
        "session-cancelled",
        "booking-cancelled",
        "session-update",
    }
    last = forget(training)
    other = training.session(start_time="12:00")
    booking = training.guest(other)
    third = training.session(start_time="14:00")
    last = forget(training)
    call(training.db, None, "transfer_booking", p_booking_id=booking, p_to_session_id=third)
    told_of = {(topic, event) for topic, event, _ in since(training, last)}
    assert (f"session:{other}", "booking-cancelled") in told_of
    assert (f"session:{third}", "booking-confirmed") in told_of


def test_what_is_refused_is_not_published(training: Training) -> None:
    session = training.session(1)
    training.guest(session)
    last = forget(training)
    with pytest.raises(psycopg.Error):
        training.guest(session)
    assert since(training, last) == []
    training.db.execute("update public.settings set value = 'false' where key = 'changes_from_training'")
    training.db.execute("update public.session_bookings set status = 'cancelled'")
    assert since(training, last) == []


def test_anybody_follows_a_session(training: Training) -> None:
    session = training.session(1)
    [start] = call(training.db, "anon", "changes_since", p_topics=[f"session:{session}"])
    training.guest(session)
    told = call(training.db, "anon", "changes_since", p_cursor=start["cursor"], p_topics=[f"session:{session}"])
    assert [row["event"] for row in told] == ["booking-confirmed", "session-update"]


def test_cancelling_tells_everybody_in_the_same_transaction(training: Training) -> None:
    session, ann = training.session(), training.world.user()
    training.book(session, ann)
    training.book(
        session,
        ann,
        p_attendees=json.dumps([{"name": "Gus", "email": "gus@example.org"}, {"name": "Nobody's address"}]),
    )
    before = training.one("select count(*) from public.notifications")
    with training.db.transaction(force_rollback=True):
        call(training.db, training.manager, "cancel_session", p_id=session, p_reason="The trainer is ill.")
        assert training.one("select count(*) from public.notifications") > before
    assert training.one("select count(*) from public.notifications") == before
    call(training.db, training.manager, "cancel_session", p_id=session, p_reason="The trainer is ill.")
    [(recipient, kind, body)] = training.db.execute(
        "select recipient_id, kind, body from public.notifications where kind = 'session_cancelled'"
    ).fetchall()
    assert (recipient, kind) == (ann.profile_id, "session_cancelled")
    assert "The trainer is ill." in body
    assert "Nobody's address" in body
    [(subject, text)] = training.db.execute(
        "select subject, body from public.outbox where recipient = 'gus@example.org'"
    ).fetchall()
    assert subject.startswith("A session you booked is cancelled: ")
    assert "The trainer is ill." in text


def test_who_moves_a_session_tells_its_attendees(training: Training) -> None:
    session, ann = training.session(), training.world.user()
    training.book(session, ann, p_attendees=json.dumps([{}, {"name": "Gus", "email": "gus@example.org"}]))
    for hour in ("15:00", "16:00"):
        call(training.db, training.manager, "move_session", p_id=session, p_session_date=None, p_start_time=hour)
    assert training.one("select count(*) from public.notifications where kind = 'session_moved'") == 2
    assert training.one("select count(*) from public.outbox where recipient = 'gus@example.org'") == 2
    call(training.db, training.manager, "update_session", p_id=session, p_expected_version=3, p_changes='{"price": 20}')
    assert training.one("select count(*) from public.notifications where kind = 'session_moved'") == 2


def test_who_cancels_their_own_booking_knows(training: Training) -> None:
    session, ann = training.session(), training.world.user()
    [booking] = training.book(session, ann)
    call(training.db, ann, "cancel_booking", p_booking_id=booking["id"])
    [again] = training.book(session, ann)
    assert training.one("select count(*) from public.notifications where kind like 'session%%'") == 0
    call(training.db, training.manager, "cancel_booking", p_booking_id=again["id"], p_reason="Unpaid.")
    assert training.one("select count(*) from public.notifications where kind = 'session_booking_cancelled'") == 1
