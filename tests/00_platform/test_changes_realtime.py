"""What is handed to Realtime where it is. A recording function stands in for realtime.send: the server itself is not here."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.changes import Reader, open_topic, say

Connection = psycopg.Connection[Any]

# The signature is the platform's; what it would broadcast is kept instead.
SEND = """
create schema realtime;
create table realtime.sent (payload jsonb, event text, topic text, private boolean);
create function realtime.send(payload jsonb, event text, topic text, private boolean default true) returns void
language plpgsql as $$ begin {} insert into realtime.sent values (payload, event, topic, private); end $$;
"""


@pytest.fixture(autouse=True)
def demo(db: Connection) -> None:
    """A topic of everybody's, and one of signed-in people's."""
    open_topic(db)
    db.execute(
        "create function private.demo_may_read(p_id text) returns boolean language sql stable set search_path = '' return true"
    )
    db.execute("insert into private.feed_topics (prefix, module, description, may_read) "
               "values ('own', '00_platform', 'Own.', 'private.demo_may_read')")  # fmt: skip


def sent(db: Connection) -> list[tuple[Any, ...]]:
    """What Realtime was handed: topic, event, private, the events in the payload."""
    return db.execute(
        "select topic, event, private, jsonb_path_query_array(payload, '$.changes[*].event') from realtime.sent order by ctid"
    ).fetchall()


def test_one_message_a_statement_and_topic(db: Connection) -> None:
    db.execute(SEND.format("").encode())
    db.execute(
        "insert into public.changes (topic, event, payload) values ('demo:1', 'made', '{}'), ('own:1', 'made', '{}'), "
        "('demo:1', 'made', '{}'), ('own:2', 'made', '{}'), ('own:2', 'gone', '{}')"
    )
    assert sent(db) == [
        ("demo:1", "made", False, ["made", "made"]),
        ("own:1", "made", True, ["made"]),
        ("own:2", "changes", True, ["made", "gone"]),
    ]
    row = db.execute("select payload from realtime.sent limit 1").fetchone()
    first = db.execute("select min(id) from public.changes").fetchone()
    assert row is not None
    assert first is not None
    assert row[0]["changes"][0] == {"id": first[0], "event": "made", "payload": {}}
    db.execute("update public.settings set value = 'false' where key = 'changes_realtime'")
    say(db, "demo")
    assert len(sent(db)) == 3


@pytest.mark.parametrize(
    "trouble",
    ["raise 'broken';", "perform 1 / 0;", "insert into realtime.missing values (1);", "raise sqlstate '42501';"],
)
def test_trouble_in_realtime_is_not_the_writers(db: Connection, trouble: str) -> None:
    db.execute(SEND.format(trouble).encode())
    notices: list[str] = []
    db.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
    reader = Reader(db, ["demo"])
    say(db, "demo", 1)
    assert reader.numbers() == [1]
    assert sent(db) == []
    assert "Realtime did not take 1 message(s)" in notices[0]


def test_without_realtime_nothing_is_missed(db: Connection) -> None:
    reader = Reader(db, ["demo"])
    say(db, "demo", 1)
    assert reader.numbers() == [1]
