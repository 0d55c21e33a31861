"""`classbase diagnose`, `fix` and `undo`, on a claim that is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from classbase.cli.app import run
from tests.support.repairs import Repairs
from tests.support.server import Database


class Commands(Repairs):
    """A meeting whose claim is gone, and the command line."""

    def __init__(self, database: Database, capture: pytest.CaptureFixture[str]) -> None:
        super().__init__(database)
        self.capture = capture
        self.zoe = self.one("insert into public.user_profiles (full_name) values ('Zoe') returning id")
        self.meeting = self.one(
            "select id from public.schedule_meeting('Algebra', private.today() + 10, '09:00', '10:00', %s)", [self.zoe]
        )
        self.plant("delete from public.claims where source_id = %s", [self.meeting])

    def run(self, *arguments: str, code: int) -> Any:
        """Runs a command with --json, which must end with that exit code; gives what it said."""
        text, errors = self.say(*arguments, "--json", code=code)
        return json.loads(text or errors)

    def say(self, *arguments: str, code: int) -> tuple[str, str]:
        """Runs a command, which must end with that exit code; gives its results and its notices."""
        assert run([*arguments, "--db-url", self.database.dsn]) == code
        said = self.capture.readouterr()
        return said.out, said.err


@pytest.fixture
def commands(database: Database, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(database, capsys)


def test_found_fixed_undone_and_found_again(commands: Commands) -> None:
    damaged = commands.everything()
    [finding] = commands.run("diagnose", code=1)["findings"]
    assert (finding["check_name"], finding["can_be_fixed"]) == ("claims_missing", True)
    [planned] = commands.run("fix", "--dry-run", code=1)["fixes"]
    assert (planned["faults"], planned["fixed"], planned["fix_id"]) == (1, 0, None)
    assert commands.everything() == damaged
    [fix] = commands.run("fix", "--yes", code=0)["fixes"]
    assert (fix["faults"], fix["fixed"], fix["remaining"]) == (1, 1, 0)
    mended = commands.everything()
    assert commands.run("diagnose", code=0)["findings"] == []
    number = str(fix["fix_id"])
    planned = commands.run("undo", number, "--dry-run", code=0)
    assert commands.everything() == mended
    undone = commands.run("undo", number, "--yes", code=0)
    [claims] = undone["tables"]
    assert {**claims, "undo_id": None} == planned["tables"][0]
    assert (claims["table_name"], claims["removed"]) == ("claims", 1)
    assert commands.everything() == damaged
    [again] = commands.run("diagnose", code=1)["findings"]
    seen = {"run_id": None, "first_seen_at": None}
    assert {**again, **seen} == {**finding, **seen}


def test_people_are_told_how_to_go_on(commands: Commands) -> None:
    _, notices = commands.say("fix", "--yes", code=0)
    assert "classbase undo" in notices
    fix_id = commands.one("select max(id) from public.fix_runs")
    text, notices = commands.say("undo", str(fix_id), "--yes", code=0)
    assert "claims" in text
    assert f"Fix {fix_id} is undone." in text
    assert "diagnose" in notices


def test_an_undo_that_is_refused_says_which_rows_moved_on(commands: Commands) -> None:
    number = str(commands.fix("claims_missing"))
    commands.db.execute("delete from public.meetings where id = %s", [commands.meeting])
    for arguments in (["--dry-run"], ["--yes"]):
        error = commands.run("undo", number, *arguments, code=1)["error"]
        assert error["code"] == "illegal_transition"
        assert error["details"]["rows"][0]["table"] == "claims"


def test_nothing_is_undone_without_a_yes_and_not_twice(commands: Commands) -> None:
    number = str(commands.fix("claims_missing"))
    mended = commands.everything()
    assert commands.run("undo", number, code=2)["error"]["code"] == "usage"
    assert commands.everything() == mended
    commands.run("undo", number, "--yes", code=0)
    assert "undone before" in commands.run("undo", number, "--yes", code=1)["error"]["message"]


@pytest.mark.parametrize(("number", "code"), [("999", 3), ("0", 2), ("first", 2)])
def test_fixes_there_are_not(commands: Commands, number: str, code: int) -> None:
    commands.say("undo", number, "--yes", code=code)
