"""The change feed, one reader and few writers: cursors, pages, who may read, what is refused."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.calls import call, refused
from tests.support.changes import Reader, open_topic, say
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.waiting import until
from tests.support.world import World

Connection = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def demo(db: Connection) -> None:
    """A topic to talk about."""
    open_topic(db)


def test_a_reader_begins_now_and_reads_what_follows(db: Connection) -> None:
    say(db, "demo:1", 1)
    reader = Reader(db, ["demo:1"])
    assert reader.news() == []
    say(db, "demo:1", 2)
    say(db, "demo:2", 3)
    (change,) = reader.news()
    assert (change["topic"], change["event"], change["payload"]) == ("demo:1", "demo-said", {"number": 2})
    assert reader.news() == []


@pytest.mark.parametrize("limit", [1, 3, 10, 11, 200])
def test_pages_hold_everything_once_and_each_change_carries_the_cursor_after_it(db: Connection, limit: int) -> None:
    reader = Reader(db, ["demo:1"], limit=limit)
    begin = reader.cursor
    for number in range(11):
        say(db, "demo:1", number)
    seen = reader.news()
    assert [change["payload"]["number"] for change in seen] == list(range(11))
    for place, change in enumerate(seen):
        reader.cursor = change["cursor"]
        assert reader.numbers() == list(range(place + 1, 11))
    reader.cursor = begin
    assert reader.numbers() == list(range(11))


def test_what_is_written_while_paging_comes_after_what_is_being_paged(database: Database, db: Connection) -> None:
    slow = database.connect(autocommit=False)
    say(slow, "demo:1", 0)
    reader = Reader(db, ["demo:1"], limit=2)
    for number in range(1, 6):
        say(db, "demo:1", number)
    first = [change["payload"]["number"] for change in reader.page()]
    slow.commit()
    assert first + reader.numbers() + reader.numbers() == [1, 2, 3, 4, 5, 0]


def test_a_late_commit_is_seen_once_it_is_there_and_delays_nobody(database: Database, db: Connection) -> None:
    slow = database.connect(autocommit=False)
    reader = Reader(db, ["demo:1"])
    say(slow, "demo:1", 1)
    say(db, "demo:1", 2)
    assert reader.numbers() == [2]
    slow.commit()
    assert reader.numbers() == [1]
    assert reader.numbers() == []


def test_what_is_rolled_back_was_never_said(database: Database, db: Connection) -> None:
    writer = database.connect(autocommit=False)
    reader = Reader(db, ["demo:1"])
    say(writer, "demo:1", 1)
    with writer.transaction() as savepoint:
        say(writer, "demo:1", 2)
        raise psycopg.Rollback(savepoint)
    with writer.transaction():
        say(writer, "demo:1", 3)
    writer.commit()
    say(writer, "demo:1", 4)
    writer.rollback()
    assert reader.numbers() == [1, 3]


def test_who_writes_and_reads_in_one_transaction_loses_nothing(database: Database, db: Connection) -> None:
    """A transaction's own snapshot leaves the transaction itself out, which a cursor must not."""
    both = database.connect(autocommit=False)
    say(both, "demo:1", 1)
    say(db, "demo:1", 2)  # so that the next transaction's id is not the latest
    reader = Reader(both, ["demo:1"])
    say(both, "demo:1", 3)
    assert reader.numbers() == []
    both.commit()
    assert reader.numbers() == [1, 3]


def test_only_what_a_caller_may_read_is_read(db: Connection, world: World) -> None:
    db.execute("create function private.demo_may_read(p_id text) returns boolean language sql stable set search_path = '' "
               "return p_id = private.caller_id()::text")  # fmt: skip
    db.execute("grant execute on function private.demo_may_read(text) to authenticated")
    db.execute("insert into private.feed_topics (prefix, module, description, may_read) "
               "values ('own', '00_platform', 'Own.', 'private.demo_may_read')")  # fmt: skip
    one, other = world.user("member"), world.user("admin")
    topic = f"own:{one.id}"
    reader = Reader(db, [topic], one)
    server = Reader(db, None, "service_role")
    say(db, topic, 1)
    assert reader.numbers() == [1]
    assert server.numbers() == [1]
    for caller in (other, "anon"):
        with refused("forbidden") as refusal:
            call(db, caller, "changes_since", p_cursor=reader.cursor, p_topics=["demo", topic])
        assert refusal.details["topics"] == [topic]
    assert Reader(db, ["demo"], "anon").news() == []
    for unknown in ("nothing", "nothing:1", "", "demo_:1"):
        with refused("forbidden"):
            call(db, one, "changes_since", p_topics=[unknown])
    with refused("invalid_input"):
        call(db, one, "changes_since")
    with refused("invalid_input"):
        call(db, one, "changes_since", p_topics=[])
    with refused("invalid_input"):
        call(db, "service_role", "changes_since", p_topics=["demo", None])
    with refused("limit_exceeded"):
        call(db, one, "changes_since", p_topics=["demo"] * 101)


@pytest.mark.parametrize(
    "forged",
    [
        "", "x", "1", "0123456789abcdef", "0123456789abcdef.", "0123456789abcdef.1:2", "0123456789abcdef.2:1:",
        "0123456789abcdef.1:2:9", "0123456789abcdef.1:2:.1:2:", "0123456789abcdef.5:9:.1:2:.1",
        "0123456789abcdef.1:2:.1:2:.-1", "0123456789abcdef.99999999999999999999999:99999999999999999999999:",
        "0123456789abcdef.1:2:\n", "0123456789abcdef.0:0:", "' or true --", "1:2:" * 30_000,
    ],
)  # fmt: skip
def test_what_never_was_a_cursor_is_refused(db: Connection, forged: str) -> None:
    with refused("invalid_input") as refusal:
        call(db, "anon", "changes_since", p_cursor=forged, p_topics=["demo"])
    assert refusal.details["field"] == "p_cursor"


def test_a_page_is_neither_empty_nor_endless(db: Connection) -> None:
    cursor = Reader(db, ["demo"]).cursor
    for limit in (0, -1, 1001):
        with refused("limit_exceeded"):
            call(db, "anon", "changes_since", p_cursor=cursor, p_topics=["demo"], p_limit=limit)


def test_a_cursor_from_before_a_restore_starts_again(server: Any, database: Database, db: Connection) -> None:
    """A copy of the database is a history of its own, with the same changes and with transaction ids that mean others."""
    say(db, "demo", 1)
    cursor = Reader(db, ["demo"]).cursor
    database.close()
    copy = database.clone()
    try:
        restored = copy.connect()
        with refused("cursor_expired") as refusal:
            call(restored, "anon", "changes_since", p_cursor=cursor, p_topics=["demo"])
        assert refusal.details["reason"] == "restored"
        reader = Reader(restored, ["demo"])
        # As if the changes that were restored had been written by transactions that are yet to come here.
        restored.execute("alter table public.changes disable trigger user")
        restored.execute(
            "update public.changes set transaction_id = (pg_current_xact_id()::text::bigint + 3)::text::xid8"
        )
        restored.execute("alter table public.changes enable trigger user")
        assert reader.numbers() == []
        for number in range(2, 9):
            say(restored, "demo", number)
        assert reader.numbers() == list(range(2, 9))
        assert restored.execute("select private.forget_old_changes()").fetchone() == (1,)
        assert reader.numbers() == []
    finally:
        copy.drop()


def test_a_cursor_of_a_past_that_was_undone_starts_again(db: Connection) -> None:
    identity = Reader(db, ["demo"]).cursor.split(".")[0]
    with refused("cursor_expired"):
        call(db, "anon", "changes_since", p_cursor=f"{identity}.1000000000:1000000000:", p_topics=["demo"])


def test_old_changes_go_and_cursors_that_missed_them_start_again(db: Connection) -> None:
    behind = Reader(db, ["demo"], limit=2)
    for number in range(4):
        say(db, "demo", number)
    behind.page()
    # A cursor taken while anybody writes, be it the server's own analyze, is taken for one that may have missed them.
    quiet = "select pg_snapshot_xmin(s) = pg_snapshot_xmax(s) from pg_current_snapshot() s"
    until(lambda: db.execute(quiet).fetchone() == (True,), "nobody writes")
    ahead = Reader(db, ["demo"])
    say(db, "demo", 9)
    # Eight days pass for all but the last.
    db.execute("alter table public.changes disable trigger t30_never_updated")
    db.execute(
        "update public.changes set created_at = created_at - interval '8 days' where payload ->> 'number' <> '9'"
    )
    db.execute("alter table public.changes enable trigger t30_never_updated")
    assert db.execute("select private.forget_old_changes()").fetchone() == (4,)
    with refused("cursor_expired") as refusal:
        behind.page()
    assert refusal.details["reason"] == "forgotten"
    assert ahead.numbers() == [9]


def test_listeners_are_woken_once_a_transaction(database: Database, db: Connection) -> None:
    listener = database.connect()
    listener.execute("listen classbase_changes")
    with db.transaction():
        for number in range(5):
            say(db, f"demo:{number}", number)
    say(db, "demo", 6)
    assert [(n.channel, n.payload) for n in listener.notifies(timeout=10, stop_after=2)] == [
        ("classbase_changes", "")
    ] * 2
    db.execute("update public.settings set value = 'false' where key = 'changes_notify'")
    say(db, "demo", 7)
    db.execute("notify classbase_changes, 'last'")
    assert [n.payload for n in listener.notifies(timeout=10, stop_after=1)] == ["last"]


def test_over_rest_anybody_reads_what_is_public(rest: Rest, db: Connection) -> None:
    (start,) = rest.post("/rpc/changes_since", {"p_topics": ["demo"]}).json()
    assert start["id"] is None
    say(db, "demo", 1)
    (change,) = rest.post("/rpc/changes_since", {"p_cursor": start["cursor"], "p_topics": ["demo"]}).json()
    assert change["payload"] == {"number": 1}
    answer = rest.post("/rpc/changes_since", {"p_cursor": "nonsense", "p_topics": ["demo"]})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    answer = rest.post("/rpc/changes_since", {"p_cursor": "0123456789abcdef.1:1:", "p_topics": ["demo"]})
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")
    assert rest.get("/changes", user="service_role").status_code == 200
    assert rest.get("/changes").status_code == 401
