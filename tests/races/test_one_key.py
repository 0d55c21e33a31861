"""One idempotency key, many calls: the work is done once, and every call is told something true."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.calls import call
from tests.support.identity import User
from tests.support.ledger import Connection, Ledger
from tests.support.rest import Rest
from tests.support.world import World


@pytest.fixture
def world(ledger: Ledger) -> World:
    return World(ledger.db)


@pytest.fixture
def manager(world: World) -> User:
    return world.user("manager")


def test_fifty_times_at_once(ledger: Ledger, rest: Rest, manager: User) -> None:
    body = {
        "p_title": "Exam", "p_date": str(ledger.day), "p_start_time": "09:00", "p_end_time": "10:00",
        "p_resource_ids": [str(ledger.place())], "p_idempotency_key": "once",
    }  # fmt: skip
    with ThreadPoolExecutor(50) as pool:
        answers: list[httpx.Response] = list(
            pool.map(lambda _: rest.post("/rpc/schedule_meeting", body, user=manager), range(50))
        )
    done = [answer.json()[0]["id"] for answer in answers if answer.status_code == 200]
    refused = {answer.json()["code"] for answer in answers if answer.status_code != 200}
    assert set(done) == {str(ledger.one("select id from public.meetings"))}
    assert refused <= {"in_progress"}
    # Whoever was told to come again is answered.
    assert rest.post("/rpc/schedule_meeting", body, user=manager).json()[0]["id"] == done[0]
    mismatch = rest.post("/rpc/schedule_meeting", {**body, "p_title": "Concert"}, user=manager)
    assert (mismatch.status_code, mismatch.json()["code"]) == (422, "idempotency_mismatch")


@pytest.mark.parametrize("guarded", [True, False])
def test_a_twin_is_told_at_once(ledger: Ledger, manager: User, guarded: bool) -> None:
    """Without the advisory lock it would sit on a connection until the first is done, and fail then."""
    if not guarded:
        ledger.rewrite(
            "private.answered_before(text,text,jsonb)",
            "if not pg_try_advisory_xact_lock(",
            "if null and not pg_try_advisory_xact_lock(",
        )

    def schedule(by: Connection) -> None:
        call(
            by, manager, "schedule_meeting", p_title="Exam", p_date=ledger.day, p_start_time="09:00",
            p_end_time="10:00", p_idempotency_key="once",
        )  # fmt: skip

    outcome = ledger.collide(schedule, schedule)
    assert outcome.waited == (not guarded)
    assert outcome.code == ("in_progress" if guarded else "23505")
    assert ledger.one("select count(*) from public.meetings") == 1


def test_a_refused_call_leaves_its_key_free(ledger: Ledger, manager: User) -> None:
    room = ledger.place()
    exam = ledger.meeting("Exam", room)

    def schedule(by: Connection) -> None:
        call(
            by, manager, "schedule_meeting", p_title="Concert", p_date=ledger.day, p_start_time="09:00",
            p_end_time="10:00", p_resource_ids=[room], p_idempotency_key="once",
        )  # fmt: skip

    assert ledger.attempt(schedule).code == "time_conflict"
    ledger.db.execute("delete from public.meetings where id = %s", [exam])
    assert ledger.attempt(schedule).code is None
    assert ledger.one("select array_agg(title) from public.meetings") == ["Concert"]


def test_keys_belong_to_their_callers(ledger: Ledger, world: World, manager: User) -> None:
    other = world.user("manager")
    for user in (manager, other, manager):
        call(
            ledger.db, user, "schedule_meeting", p_title="Exam", p_date=ledger.day, p_start_time="09:00",
            p_end_time="10:00", p_idempotency_key="once",
        )  # fmt: skip
    assert ledger.one("select count(*) from public.meetings") == 2
