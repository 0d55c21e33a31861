"""`classbase history`: who changed a row, and the row as it was."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from classbase.cli.app import run
from tests.support.identity import as_user
from tests.support.server import Database
from tests.support.world import World


class Command:
    """A room that an administrator made, renamed and removed, and the command line."""

    def __init__(self, database: Database, capture: pytest.CaptureFixture[str]) -> None:
        self.database = database
        self.capture = capture
        db: psycopg.Connection[Any] = database.connect()
        admin = World(db).user("admin", full_name="Mina [Rao]")
        with as_user(db, admin):
            self.room = str(
                db.execute("insert into public.locations (name) values ('Room') returning id").fetchall()[0][0]
            )
        [(self.before,)] = db.execute("select now()").fetchall()
        with as_user(db, admin):
            db.execute("update public.locations set name = '[red]Hall\u009b0m', capacity = 5")
        db.execute("delete from public.locations")

    def say(self, *arguments: str, code: int) -> tuple[str, str]:
        """Runs the command, which must end with that exit code; gives its results and its notices."""
        assert run(["history", *arguments, "--db-url", self.database.dsn]) == code
        said = self.capture.readouterr()
        return said.out, said.err


@pytest.fixture
def command(database: Database, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(database, capsys)


def test_a_history_is_told_oldest_first(command: Command) -> None:
    text, _ = command.say("locations", command.room, code=0)
    lines = text.splitlines()
    assert [line.split()[0] for line in lines if line and not line.startswith(" ")] == ["insert", "update", "delete"]
    assert "Mina [Rao]" in lines[0]
    assert any(line.split() == ["capacity", "–", "→", "5"] for line in lines)
    assert any("Room → [red]Hall" in line for line in lines)
    assert "\u009b" not in text


def test_as_json(command: Command) -> None:
    text, _ = command.say("locations", command.room, "--json", code=0)
    said = json.loads(text)
    assert [change["operation"] for change in said["changes"]] == ["insert", "update", "delete"]
    assert said["changes"][1]["old_values"]["name"] == "Room"


def test_the_row_as_it_was(command: Command) -> None:
    text, _ = command.say("locations", command.room, "--at", command.before.isoformat(), "--json", code=0)
    assert json.loads(text)["row"]["name"] == "Room"
    text, _ = command.say("locations", command.room, "--at", command.before.isoformat(), code=0)
    assert "Room" in text
    text, _ = command.say("locations", command.room, "--at", "2001-01-01", code=1)
    assert "There was no" in text
    text, _ = command.say("locations", command.room, "--at", "2001-01-01", "--json", code=1)
    assert json.loads(text)["row"] is None


def test_rows_and_tables_there_never_were(command: Command) -> None:
    text, _ = command.say("locations", "00000000-0000-0000-0000-000000000000", code=1)
    assert "Nothing is known" in text
    _, errors = command.say("nowhere", "1", "--json", code=3)
    assert json.loads(errors)["error"]["code"] == "not_found"
    _, errors = command.say("locations", "Room", "--json", code=3)
    assert json.loads(errors)["error"]["code"] == "invalid_input"
    _, errors = command.say("locations", command.room, "--at", "yesterday", "--json", code=2)
    assert json.loads(errors)["error"]["code"] == "usage"
