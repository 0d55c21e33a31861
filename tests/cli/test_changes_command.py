"""`classbase changes`: reading the change feed, and following it."""

from __future__ import annotations

import json
import threading
from typing import Any

import psycopg
import pytest

from tests.support.changes import open_topic, say
from tests.support.commands import Commands
from tests.support.server import Database
from tests.support.waiting import until

Connection = psycopg.Connection[Any]
LISTENING = "select from pg_stat_activity where query ilike 'listen classbase_changes' and datname = current_database()"


@pytest.fixture
def command(database: Database, db: Connection, capsys: pytest.CaptureFixture[str]) -> Commands:
    open_topic(db)
    return Commands(["--db-url", database.dsn], capsys)


def lines(text: str) -> list[dict[str, Any]]:
    """The objects of --json, a line each."""
    return [json.loads(line) for line in text.splitlines()]


def test_what_came_since_a_cursor(command: Commands, db: Connection) -> None:
    (start,) = lines(command.say("changes", "--json")[0])
    for number in range(3):
        say(db, f"demo:{number}", number)
    *shown, end = lines(command.say("changes", "--since", start["cursor"], "--json")[0])
    assert [change["payload"]["number"] for change in shown] == [0, 1, 2]
    # Nothing; perhaps a cursor, since transactions of other databases move it on.
    assert not any("event" in line for line in lines(command.say("changes", "--since", end["cursor"], "--json")[0]))
    (one, _) = lines(command.say("changes", "--since", start["cursor"], "--topic", "demo:1", "--json")[0])
    assert one["topic"] == "demo:1"
    first, _ = lines(command.say("changes", "--since", start["cursor"], "--count", "1", "--json")[0])
    text, notice = command.say("changes", "--since", first["cursor"])
    assert [line.split()[3] for line in text.splitlines()] == ["demo:1", "demo:2"]
    assert "--since" in notice


def test_following_shows_what_happens(command: Commands, db: Connection) -> None:
    def publish() -> None:
        until(lambda: db.execute(LISTENING).fetchone() is not None, "listening")
        for number in range(3):
            say(db, "demo", number)

    publishing = threading.Thread(target=publish)
    publishing.start()
    shown = lines(command.say("changes", "--follow", "--count", "3", "--json")[0])
    publishing.join()
    assert [change["payload"]["number"] for change in shown] == [0, 1, 2]


def test_what_is_no_cursor_is_refused(command: Commands) -> None:
    assert command.read("changes", "--since", "nonsense", code=3)["error"]["code"] == "invalid_input"
    command.say("changes", "--count", "3", code=2)
