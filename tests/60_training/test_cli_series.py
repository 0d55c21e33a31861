"""`classbase training series|register|certificates`, over the database and over REST."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from tests.support.commands import Commands
from tests.support.edge_functions import project_address
from tests.support.rest import Rest
from tests.support.school import School
from tests.support.server import Database
from tests.support.world import World


@pytest.fixture
def school(world: World, monkeypatch: pytest.MonkeyPatch) -> School:
    monkeypatch.setenv("COLUMNS", "200")
    return School(world)


@pytest.fixture
def commands(school: School, database: Database, capfd: pytest.CaptureFixture[str]) -> Commands:
    return Commands(["--db-url", database.dsn], capfd)


def asked(school: School, rule: str = "FREQ=WEEKLY;COUNT=4") -> list[str]:
    return [
        "First Aid", "--rule", rule, "--from", str(school.monday), "--start", "10:00", "--location", "hall a", "--instructor", "Ana Teacher",
    ]  # fmt: skip


def test_a_series_from_plan_to_cancelling(school: School, commands: Commands) -> None:
    busy = school.monday + timedelta(7)
    school.meeting(school.room, busy)
    out, _ = commands.say("training", "series", "plan", *asked(school), code=1)
    assert "Hall A is already in Staff" in out
    assert "3 planned, 1 conflict." in out
    assert school.one("select count(*) from public.session_series") == 0
    _, err = commands.say("training", "series", "create", *asked(school), "--yes", code=1)
    assert "Nothing was written: 1 dates are not free." in err
    _, err = commands.say("training", "series", "create", *asked(school), "--partial", code=2)
    assert "Add --yes" in err
    made = commands.read("training", "series", "create", *asked(school), "--partial", "--yes")
    assert [left["session_date"] for left in made["left_out"]] == [str(busy)]
    assert len(made["session_ids"]) == 3
    other = commands.read(
        "training", "series", "create", "t 1", "--rule", "FREQ=DAILY;COUNT=2", "--from", str(school.monday), "--start", "6:30", "--end", "07:00",
        "--also", str(busy), "--except", str(school.monday), "--seats", "3", "--yes",
    )  # fmt: skip
    assert school.sessions(UUID(other["series_id"])) == [
        (school.monday + timedelta(1), "06:30", "scheduled"), (busy, "06:30", "scheduled"),
    ]  # fmt: skip
    out, _ = commands.say("training", "series", "cancel", made["series_id"], "--reason", "No room", "--yes")
    assert out == "3 sessions cancelled; what happened stays.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["Nothing", "--rule", "FREQ=DAILY", "--from", "2030-01-01", "--start", "10:00"],
            "No course is called Nothing",
        ),
        (["T 1", "--rule", "FREQ=DAILY", "--from", "2030-01-01", "--start", "25:00"], "is no time"),
    ],
)
def test_wrong_usage(commands: Commands, arguments: list[str], said: str) -> None:
    _, err = commands.say("training", "series", "plan", *arguments, code=2)
    assert said in err


def test_a_bad_rule_is_named(school: School, commands: Commands) -> None:
    error = commands.read("training", "series", "plan", *asked(school, "FREQ=HOURLY"), code=3)["error"]
    assert error["code"] == "invalid_input"
    assert "FREQ is DAILY at the most often" in error["message"]


def test_a_register_and_its_certificates(
    school: School, database: Database, rest: Rest, capfd: pytest.CaptureFixture[str], world: World
) -> None:
    session = school.session()
    for who in (world.user(full_name="Leo Park"), "Zoe Guest", "Max Guest"):
        school.book(session, who)
    school.pass_days((school.monday - school.today).days + 1)
    with project_address(rest) as address:
        commands = Commands(["--url", address, "--key", rest.token("service_role")], capfd)
        shown = commands.read("training", "register", "show", str(session))
        assert [(row["name"], row["mark"]) for row in shown] == [
            ("Leo Park", None),
            ("Max Guest", None),
            ("Zoe Guest", None),
        ]
        marked = commands.read(
            "training", "register", "mark", str(session), "--all", "present", "--mark", "leo park=absent"
        )
        assert [(row["name"], row["mark"], row["booking"]) for row in marked] == [
            ("Leo Park", "absent", "no_show"), ("Max Guest", "present", "attended"), ("Zoe Guest", "present", "attended"),
        ]  # fmt: skip
        for wrong in (["--mark", "leo park=asleep"], ["--mark", "Nobody=present"], ["--all", "asleep"], []):
            commands.say("training", "register", "mark", str(session), *wrong, code=2)
        issued = {row["holder_name"]: row for row in commands.read("training", "certificates", "issue", str(session))}
        assert {name: row["status"] for name, row in issued.items()} == {
            "Leo Park": "lacking",
            "Max Guest": "issued",
            "Zoe Guest": "issued",
        }
        listed = commands.read("training", "certificates", "list", "T 1")
        assert [row["serial"] for row in listed] == [None, issued["Max Guest"]["serial"], issued["Zoe Guest"]["serial"]]
        code = issued["Zoe Guest"]["verification_code"]
        assert commands.read("training", "certificates", "verify", code.lower())["status"] == "valid"
        commands.say("training", "certificates", "verify", "0" * 32, code=1)
        commands.say(
            "training", "certificates", "revoke", issued["Zoe Guest"]["certificate_id"], "--reason", "Typo", "--yes"
        )
        out, _ = commands.say("training", "certificates", "verify", code, code=1)
        assert "revoked" in out
