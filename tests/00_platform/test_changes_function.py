"""functions/changes in real Deno, before a real PostgREST: pushed at once, resumable, and nobody reads what is not theirs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.changes import open_topic, say
from tests.support.edge_functions import serve_function
from tests.support.events import following
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.waiting import until
from tests.support.world import World

Connection = psycopg.Connection[Any]
LISTENERS = (
    "select pid from pg_stat_activity where application_name = 'classbase changes' and datname = current_database()"
)


@pytest.fixture(autouse=True)
def demo(db: Connection) -> None:
    """A topic of everybody's, and everybody's own."""
    open_topic(db)
    db.execute(
        "create function private.demo_may_read(p_id text) returns boolean language sql stable set search_path = '' "
        "return p_id = private.caller_id()::text"
    )
    db.execute(
        "insert into private.feed_topics (prefix, module, description, may_read) "
        "values ('own', '00_platform', 'Own.', 'private.demo_may_read')"
    )


@pytest.fixture
def client(rest: Rest, database: Database, demo: None, tmp_path: Path) -> Iterator[httpx.Client]:
    """The function, with a connection to listen on."""
    with serve_function("changes", rest, tmp_path, {"SUPABASE_DB_URL": database.dsn}) as serving:
        yield serving


def test_changes_are_pushed_and_a_broken_stream_goes_on(client: httpx.Client, db: Connection) -> None:
    with following(client, "demo:1,demo:2") as stream:
        assert stream.next().name == "ready"
        say(db, "demo:1", 1)
        say(db, "demo:3", 2)
        with db.transaction():
            say(db, "demo:2", 3)
            say(db, "demo:1", 4)
        change = stream.of("change")
        assert {key: change.data[key] for key in ("topic", "event", "payload")} == {
            "topic": "demo:1",
            "event": "demo-said",
            "payload": {"number": 1},
        }
        assert stream.numbers(1) == [3]
        broken_off = stream.last_id
    say(db, "demo:2", 5)
    with following(client, "demo:1,demo:2", last_id=broken_off) as stream:
        assert stream.numbers(2) == [4, 5]
        say(db, "demo:1", 6)
        assert stream.numbers(1) == [6]


def test_more_than_a_page_comes_in_order(client: httpx.Client, db: Connection) -> None:
    with following(client, "demo:1") as stream:
        start = stream.next().id
    with db.transaction():
        for number in range(450):
            say(db, "demo:1", number)
    with following(client, "demo:1", last_id=start) as stream:
        assert stream.numbers(450) == list(range(450))


def test_one_connection_listens_for_all_and_goes_with_the_last(client: httpx.Client, db: Connection) -> None:
    with ExitStack() as stack:
        streams = [
            stack.enter_context(following(httpx.Client(base_url=client.base_url, timeout=60), "demo")) for _ in range(5)
        ]
        until(lambda: all(stream.of("ready").data["state"] == "live" for stream in streams), "pushing")
        assert len(db.execute(LISTENERS).fetchall()) == 1
        say(db, "demo", 1)
        assert [stream.numbers(1) for stream in streams] == [[1]] * 5
    until(lambda: not db.execute(LISTENERS).fetchall(), "the end of listening")


def test_without_push_it_looks_by_itself_and_push_comes_back(client: httpx.Client, db: Connection) -> None:
    with following(client, "demo") as stream:
        while stream.of("ready").data["state"] != "live":
            pass
        db.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'classbase changes'"
        )
        assert stream.of("ready").data["state"] == "polling"
        say(db, "demo", 1)
        assert stream.numbers(1) == [1]
        say(db, "demo", 2)
        assert stream.numbers(1) == [2]
    with following(client, "demo") as stream:
        while stream.of("ready").data["state"] != "live":
            pass


def test_without_a_database_address_it_polls(rest: Rest, db: Connection, tmp_path: Path) -> None:
    with serve_function("changes", rest, tmp_path) as client, following(client, "demo") as stream:
        assert stream.of("ready").data["state"] == "polling"
        say(db, "demo", 1)
        assert stream.numbers(1) == [1]


def test_everybody_follows_what_they_may_read(client: httpx.Client, rest: Rest, db: Connection, world: World) -> None:
    one, other = world.user("member"), world.user("member")
    with following(client, f"own:{one.id},demo", token=rest.token(one)) as stream:
        stream.of("ready")
        say(db, f"own:{one.id}", 1)
        assert stream.numbers(1) == [1]
    topics = {"topics": f"own:{one.id},demo"}
    expired = rest.token(one, exp=int(time.time()) - 60)
    for headers in ({}, {"Authorization": f"Bearer {rest.token(other)}"}, {"Authorization": f"Bearer {expired}"}):
        answer = client.get("/changes", params=topics, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_stream_ends_with_what_its_caller_may_read(
    client: httpx.Client, rest: Rest, db: Connection, world: World
) -> None:
    user = world.user("member")
    with following(client, f"own:{user.id}", token=rest.token(user)) as stream:
        stream.of("ready")
        db.execute("create or replace function private.demo_may_read(p_id text) returns boolean language sql stable "
                   "set search_path = '' return false")  # fmt: skip
        say(db, f"own:{user.id}", 1)
        while (event := stream.next()).name == "ready":
            pass
        assert (event.name, event.data["code"]) == ("end", "forbidden")


@pytest.mark.parametrize(
    ("query", "headers", "code"),
    [
        ({}, {}, (400, "invalid_input")),
        ({"topics": " , "}, {}, (400, "invalid_input")),
        ({"topics": "nothing"}, {}, (403, "forbidden")),
        ({"topics": "demo"}, {"Last-Event-ID": "nonsense"}, (400, "invalid_input")),
        ({"topics": "demo"}, {"Last-Event-ID": "0123456789abcdef.1:1:"}, (410, "cursor_expired")),
    ],
)
def test_what_cannot_be_followed_is_refused(
    client: httpx.Client, query: dict[str, str], headers: dict[str, str], code: tuple[int, str]
) -> None:
    answer = client.get("/changes", params=query, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == code


def test_other_methods_are_not_understood(client: httpx.Client) -> None:
    assert client.post("/changes").status_code == 405
    assert "last-event-id" in client.options("/changes").headers["Access-Control-Allow-Headers"]
