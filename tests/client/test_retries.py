"""What is tried again, what is not, and that nothing is ever done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
import tenacity
from psycopg.types.json import Jsonb

from classbase import errors
from classbase.retry import RetryPolicy
from tests.client.cutting_proxy import ANSWERED, COMMITTED, CuttingProxy
from tests.client.doors import ASYNCHRONOUS, DATABASE, REST, Door, door_id

QUICK = RetryPolicy(attempts=4, first_wait=0.01)
ONCE = RetryPolicy(attempts=1)


@pytest.fixture
def proxy(door: Door) -> Iterator[CuttingProxy]:
    """Loses answers between the client and PostgREST, or between the client and Postgres."""
    target, mark = (
        (door.sample.rest.url, ANSWERED) if door.transport == "rest" else (door.sample.database.dsn, COMMITTED)
    )
    with CuttingProxy.before(target, mark) as made:
        yield made


def _through(door: Door, proxy: CuttingProxy, **options: Any) -> Any:
    target = door.sample.rest.url if door.transport == "rest" else door.sample.database.dsn
    return door.open(address=proxy.address(target), **{"retry": QUICK, **options})


def _titles(door: Door) -> list[str]:
    with door.sample.database.connect() as connection:
        return [title for (title,) in connection.execute("select title from public.sample_entries order by 1")]


async def test_a_call_whose_answer_was_lost_after_the_commit_is_done_once(door: Door, proxy: CuttingProxy) -> None:
    methods = _through(door, proxy)
    proxy.cuts = 2
    entry = await methods.add_entry("lost twice", amount=3)
    assert proxy.was_cut == 2
    assert entry.title == "lost twice"
    assert _titles(door) == ["lost twice"]
    assert await methods.find_entry(entry.id) == entry


async def test_without_a_key_it_is_not_repeated_and_says_that_nobody_knows(door: Door, proxy: CuttingProxy) -> None:
    methods = _through(door, proxy)
    proxy.cuts = 4
    with pytest.raises(errors.NetworkError) as caught:
        await methods.add_blindly("done anyway")
    assert caught.value.outcome_unknown
    assert proxy.was_cut == 1
    assert _titles(door) == ["done anyway"]


async def test_a_key_of_none_means_no_key(door: Door, proxy: CuttingProxy) -> None:
    methods = _through(door, proxy)
    proxy.cuts = 4
    with pytest.raises(errors.NetworkError) as caught:
        await methods.add_entry("unkeyed", idempotency_key=None)
    assert "idempotency_key" not in caught.value.context
    assert proxy.was_cut == 1


async def test_what_only_reads_is_repeated(door: Door, proxy: CuttingProxy) -> None:
    methods = _through(door, proxy)
    proxy.cuts = 3
    assert await methods.count_up(2) == [1, 2]
    assert proxy.was_cut == 3


async def test_after_the_last_attempt_the_error_names_the_key_to_ask_again_with(
    door: Door, proxy: CuttingProxy
) -> None:
    methods = _through(door, proxy)
    proxy.cuts = QUICK.attempts
    with pytest.raises(errors.NetworkError) as caught:
        await methods.add_entry("asked again")
    assert proxy.was_cut == QUICK.attempts
    entry = await methods.add_entry("asked again", idempotency_key=caught.value.context["idempotency_key"])
    assert entry.title == "asked again"
    assert _titles(door) == ["asked again"]


async def test_a_key_used_with_other_arguments_is_refused(door: Door) -> None:
    methods = door.open()
    await methods.add_entry("first", idempotency_key="mine")
    with pytest.raises(errors.IdempotencyMismatch):
        await methods.add_entry("second", idempotency_key="mine")


async def test_every_call_has_a_key_of_its_own(door: Door) -> None:
    methods = door.open()
    await methods.add_entry("first")
    with pytest.raises(errors.Duplicate):
        await methods.add_entry("first")


@dataclass(frozen=True)
class Watched(RetryPolicy):
    """Notes every wait, and does something before the first."""

    waits: list[float] = field(default_factory=list)
    before: Any = None

    def wait(self, state: tenacity.RetryCallState) -> float:
        if self.before is not None and not self.waits:
            self.before()
        self.waits.append(super().wait(state))
        return min(self.waits[-1], 0.01)


async def test_while_its_twin_is_running_a_call_waits_for_the_twins_answer(door: Door) -> None:
    with psycopg.connect(door.sample.database.dsn) as twin:
        twin.execute("set local role service_role")
        row = twin.execute("select (public.add_entry('twin', p_idempotency_key => 'shared')).id").fetchone()
        assert row is not None
        with pytest.raises(errors.InProgress):
            await door.open(retry=ONCE).add_entry("twin", idempotency_key="shared")
        policy = Watched(attempts=20, before=twin.commit)
        entry = await door.open(retry=policy).add_entry("twin", idempotency_key="shared")
    assert entry.id == row[0]
    assert policy.waits
    assert _titles(door) == ["twin"]


@pytest.mark.parametrize("sqlstate", ["40P01", "55P03"])
async def test_a_deadlock_or_a_busy_lock_is_tried_again(door: Door, sqlstate: str) -> None:
    assert await door.open(retry=QUICK).fail_some(2, sqlstate) == 3


# Not over REST: PostgREST 12 itself repeats 40001 for ever, which is why no function of ours raises it.
@pytest.mark.parametrize("door", DATABASE, ids=door_id, indirect=True)
async def test_a_serialization_failure_is_tried_again_over_psycopg(door: Door) -> None:
    assert await door.open(retry=QUICK).fail_some(2, "40001") == 3


async def test_attempts_are_bounded(door: Door) -> None:
    with pytest.raises(errors.Busy, match=f"attempt {QUICK.attempts} was"):
        await door.open(retry=QUICK).fail_some(100, "40P01")


@pytest.mark.parametrize("sqlstate", ["P0001", "23505", "57014", "42501", "XX000", "57P01"])
async def test_what_would_fail_again_or_may_have_been_done_is_not_tried_again(door: Door, sqlstate: str) -> None:
    with pytest.raises(errors.ClassbaseError, match="attempt 1 was"):
        await door.open(retry=QUICK).fail_some(100, sqlstate)


async def test_a_rate_limit_says_how_long_to_wait(door: Door) -> None:
    policy = Watched(attempts=2, longest_wait=10)
    with pytest.raises(errors.RateLimited) as caught:
        await door.open(retry=policy).refuse("late")
    assert caught.value.retry_after == 7
    assert 7 <= policy.waits[0] <= 8
    policy = Watched(attempts=2, longest_wait=5)
    with pytest.raises(errors.RateLimited):
        await door.open(retry=policy).refuse("late")
    assert policy.waits == []


@pytest.mark.parametrize("door", REST, ids=door_id, indirect=True)
async def test_the_real_rate_limit_arrives_with_its_seconds(door: Door) -> None:
    with door.sample.database.connect() as connection:
        change = "update public.settings set value = %s where key = 'calls_per_minute'"
        connection.execute(change, [Jsonb(2)])
        try:
            methods = door.open(door.sample.member, retry=ONCE)
            await methods.add_entry("one")
            await methods.add_entry("two")
            with pytest.raises(errors.RateLimited) as caught:
                await methods.add_entry("three")
        finally:
            connection.execute(change, [None])
    assert caught.value.retry_after == 60
    assert _titles(door) == ["one", "two"]


@pytest.mark.parametrize("door", DATABASE, ids=door_id, indirect=True)
async def test_a_connection_that_died_while_idle_is_replaced_before_anything_is_sent(door: Door) -> None:
    methods = door.open(retry=ONCE)
    await methods.told([])
    with door.sample.database.connect(admin=True) as connection:
        ended = connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'classbase' and datname = current_database()"
        ).fetchall()
    assert ended
    assert (await methods.add_blindly("on a new one")).title == "on a new one"


async def test_more_calls_than_connections_wait_their_turn(door: Door) -> None:
    options: dict[str, Any] = {} if door.transport == "rest" else {"max_connections": 2}
    methods = door.open(**options)
    answers = await asyncio.gather(*(methods.count_up(each) for each in range(12)))
    assert [len(answer) for answer in answers] == list(range(12))


@pytest.mark.parametrize("door", ASYNCHRONOUS, ids=door_id, indirect=True)
async def test_a_cancelled_call_leaves_a_clean_client(door: Door) -> None:
    options: dict[str, Any] = {} if door.transport == "rest" else {"max_connections": 1}
    methods = door.open(**options)
    task = asyncio.create_task(methods.wait_for(30))
    with door.sample.database.connect(admin=True) as connection:
        while not connection.execute(  # noqa: ASYNC110 - the server cannot tell us
            "select true from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
        ).fetchone():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # PostgREST does not notice that its client has gone.
        connection.execute(
            "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'"
            " and datname = current_database()"
        )
    assert await methods.count_up(1) == [1]


def test_waits_grow_stay_bounded_and_differ() -> None:
    policy = RetryPolicy(attempts=9, first_wait=0.1, longest_wait=2.0)
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    for attempt, most in enumerate([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0], start=1):
        state.attempt_number = attempt
        waits = [policy.wait(state) for _ in range(50)]
        assert most / 2 <= min(waits)
        assert max(waits) <= most
        assert len(set(waits)) > 1
