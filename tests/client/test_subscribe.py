"""`subscribe` through all four doors: pushed, resumed after a break, polled while push is down, and closed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

import classbase
from classbase.errors import ClassbaseError, CursorExpired, Forbidden, InvalidInput
from tests.client.doors import EVERY, door_id
from tests.support.changes import open_topic, say
from tests.support.edge_functions import serve_function
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.waiting import until

Connection = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def demo(db: Connection) -> None:
    """A topic of everybody's."""
    open_topic(db)


@pytest.fixture
def function(rest: Rest, database: Database, demo: None, tmp_path: Path) -> Iterator[httpx.Client]:
    """The Edge Function `changes`."""
    with serve_function("changes", rest, tmp_path, {"SUPABASE_DB_URL": database.dsn}) as serving:
        yield serving


class Following:
    """A subscription of either kind behind one form; what it hands out is collected by a task or thread of its own."""

    def __init__(self, client: Any, topics: list[str], **options: Any) -> None:
        self.states: list[str] = []
        self.numbers: list[int] = []
        self.error: ClassbaseError | None = None
        self.subscription = client.subscribe(topics, poll_every=0.2, on_state=self.states.append, **options)
        self._ended = threading.Event()
        self._asynchronous = hasattr(self.subscription, "__aiter__")

    async def begin(self) -> None:
        """Takes its place in the feed, and starts to collect."""
        if self._asynchronous:
            await self.subscription.__aenter__()
            self._task = asyncio.create_task(self._collect())
        else:
            await asyncio.to_thread(self.subscription.__enter__)
            self._thread = threading.Thread(target=self._collect_in_thread)
            self._thread.start()

    async def _collect(self) -> None:
        try:
            async for change in self.subscription:
                self.numbers.append(change.payload["number"])
        except ClassbaseError as error:
            self.error = error
        self._ended.set()

    def _collect_in_thread(self) -> None:
        try:
            for change in self.subscription:
                self.numbers.append(change.payload["number"])
        except ClassbaseError as error:
            self.error = error
        self._ended.set()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Waits for it while the subscription goes on."""
        await asyncio.to_thread(until, condition, what)

    async def got(self, numbers: list[int]) -> None:
        """Waits until exactly these were handed out."""
        await self.until(lambda: len(self.numbers) >= len(numbers), f"{numbers}")
        assert self.numbers == numbers

    async def end(self) -> None:
        """Closes it, and waits for its end."""
        self.subscription.close()
        if self._asynchronous:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        else:
            # A reader that is blocked notices at the next heartbeat; one more change is as good.
            await self.until(self._ended.is_set, "the end")
            self._thread.join()


@asynccontextmanager
async def opened(
    kind: tuple[str, bool], rest: Rest, database: Database, functions_url: str, who: str
) -> AsyncIterator[Any]:
    """A client of that kind."""
    transport, asynchronous = kind
    if transport == "rest":
        connect: Any = classbase.connect_async if asynchronous else classbase.connect
        client = connect(rest.url, rest.token(who), rest_path="", functions_url=functions_url)
    else:
        connect = classbase.connect_database_async if asynchronous else classbase.connect_database
        client = connect(database.dsn, role=who)
    try:
        yield client
    finally:
        await client.close() if asynchronous else client.close()


@pytest.fixture(params=EVERY, ids=door_id)
async def client(
    request: pytest.FixtureRequest, rest: Rest, database: Database, function: httpx.Client
) -> AsyncIterator[Any]:
    """A client through each of the four doors, as a visitor."""
    async with opened(request.param, rest, database, str(function.base_url), "anon") as made:
        yield made


async def test_changes_arrive_in_order_and_a_later_subscription_goes_on(client: Any, db: Connection) -> None:
    following = Following(client, ["demo:1", "demo:2"])
    await following.begin()
    say(db, "demo:1", 1)
    say(db, "demo:3", 2)
    say(db, "demo:2", 3)
    await following.got([1, 3])
    await following.until(lambda: following.subscription.state == "live", "pushing")
    say(db, "demo:1", 4)
    await following.got([1, 3, 4])
    cursor = following.subscription.cursor
    following.subscription.close()
    assert following.subscription.state == "closed"
    say(db, "demo:1", 5)
    say(db, "demo:2", 6)
    await following.end()
    assert following.numbers == [1, 3, 4]
    later = Following(client, ["demo:1", "demo:2"], cursor=cursor)
    await later.begin()
    await later.got([5, 6])
    say(db, "demo:1", 7)
    await later.got([5, 6, 7])
    later.subscription.close()
    say(db, "demo:1", 8)
    await later.end()


async def test_a_broken_push_is_made_up_for(client: Any, db: Connection) -> None:
    """Whoever listens loses the connection: the function for its readers, psycopg for itself."""
    following = Following(client, ["demo"])
    await following.begin()
    await following.until(lambda: following.subscription.state == "live", "pushing")
    for number in range(3):
        db.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
            "and application_name like 'classbase%' and query ~ 'listen|select$' and pid <> pg_backend_pid()"
        )
        say(db, "demo", number)
        await following.got(list(range(number + 1)))
        await following.until(lambda: following.subscription.state == "live", "pushing again")
    assert {"live"} < set(following.states)
    following.subscription.close()
    say(db, "demo", 9)
    await following.end()


@pytest.mark.parametrize("kind", [("rest", True), ("rest", False)], ids=door_id)
async def test_without_push_it_polls(rest: Rest, database: Database, db: Connection, kind: tuple[str, bool]) -> None:
    async with opened(kind, rest, database, "http://127.0.0.1:9/functions/v1", "anon") as client:
        following = Following(client, ["demo"])
        await following.begin()
        for number in range(3):
            say(db, "demo", number)
            await following.got(list(range(number + 1)))
        assert following.subscription.state == "polling"
        assert "live" not in following.states
        await following.end()
        assert following.states[-1] == "closed"


async def test_what_cannot_be_followed_is_said(client: Any, db: Connection) -> None:
    db.execute(
        "create function private.demo_may_read(p_id text) returns boolean language sql stable set search_path = '' return false"
    )
    db.execute("insert into private.feed_topics (prefix, module, description, may_read) "
               "values ('own', '00_platform', 'Own.', 'private.demo_may_read')")  # fmt: skip
    topics: list[str]
    for topics in (["own:1"], ["nothing"]):
        with pytest.raises(Forbidden):
            await Following(client, topics).begin()
    with pytest.raises(InvalidInput):
        await Following(client, []).begin()
    kind: type[ClassbaseError]
    for cursor, kind in (("nonsense", InvalidInput), ("0123456789abcdef.1:1:", CursorExpired)):
        following = Following(client, ["demo"], cursor=cursor)
        await following.begin()
        await following.until(following._ended.is_set, "the refusal")
        assert isinstance(following.error, kind)
        assert following.subscription.state == "closed"
