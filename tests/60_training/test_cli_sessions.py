"""`classbase training sessions`, over the database and over REST."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest

from classbase.cli import training_finding
from tests.support.commands import Commands
from tests.support.edge_functions import project_address
from tests.support.rest import Rest
from tests.support.school import School
from tests.support.server import Database
from tests.support.world import World


@pytest.fixture(params=["database", "rest"])
def commands(
    request: pytest.FixtureRequest,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Commands]:
    monkeypatch.setenv("COLUMNS", "200")
    if request.param == "database":
        yield Commands(["--db-url", database.dsn], capfd)
        return
    with Rest.serve(database) as rest, project_address(rest) as address:
        yield Commands(["--url", address, "--key", rest.token("service_role")], capfd)


@pytest.fixture
def school(world: World) -> School:
    return School(world)


def test_a_session_from_creating_to_cancelling(school: School, commands: Commands) -> None:
    said, _ = commands.say(
        "training", "sessions", "create", "first aid", "--date", str(school.monday), "--start", "9:30", "--location", "hall a",
        "--instructor", "Ana Teacher", "--seats", "8", "--minimum", "3", "--decide-by", "2026-01-01T12:00Z", "--price", "12.50",
        "--notes", "Bring a mat",
    )  # fmt: skip
    when = f"Mon {school.monday} 09:30–10:30"
    assert f"First Aid, {when}, Hall A: 8 seats at 12.50, tentative.\n" in said
    session = UUID(said.split()[-1])
    shown = commands.read("training", "sessions", "show", str(session))
    assert (shown["max_capacity"], shown["seats_left"], shown["version"], shown["notes"]) == (8, 8, 1, "Bring a mat")
    assert shown["instructor_name"] == "Ana Teacher"
    said, _ = commands.say("training", "sessions", "show", str(session))
    for line in (f"{when}, UTC", "8 of 8", "Hall A", "Ana Teacher", "tentative", "Bring a mat", "Thu 2026-01-01 12:00"):
        assert line in said

    said, _ = commands.say(
        "training", "sessions", "update", str(session), "--seats", "6", "--price", "20", "--status", "scheduled",
        "--without", "minimum", "--without", "decide-by", "--without", "notes",
    )  # fmt: skip
    for line in (
        "max capacity: 8 → 6",
        "price: 12.50 → 20.00",
        "status: tentative → scheduled",
        "min bookings: 3 → –",
        "decide by: Thu 2026-01-01 12:00 → –",
        "notes: Bring a mat → –",
    ):
        assert line in said
    changed = commands.read("training", "sessions", "update", str(session), "--notes", "Bring two", "--version", "2")
    assert (changed["version"], changed["notes"], changed["price"]) == (3, "Bring two", "20.00")

    school.book(session, "Zoe Guest")
    tuesday = school.monday + timedelta(1)
    move = ("training", "sessions", "move", str(session), "--date", str(tuesday), "--start", "18:00")
    _, err = commands.say(*move, code=2)
    assert "with 1 booking (1 seat)? They are told." in err
    assert "Add --yes" in err
    said, _ = commands.say(*move, "--yes")
    assert said == (
        f"First Aid, {when}, Hall A is now First Aid, Tue {tuesday} 18:00–19:00, Hall A, with 1 booking (1 seat).\n"
    )

    moved = commands.read("training", "sessions", "move", str(session), "--instructor", "ben teacher", "--yes")
    assert (moved["session_date"], moved["start_time"]) == (str(tuesday), "18:00:00")
    assert moved["instructor_id"] == str(school.ben.profile_id)

    cancel = ("training", "sessions", "cancel", str(session), "--reason", "No room")
    _, err = commands.say(*cancel, code=2)
    assert "Cancel First Aid" in err
    assert school.one("select status from public.course_sessions where id = %s", [session]) == "scheduled"
    said, _ = commands.say(*cancel, "--yes")
    assert said == f"First Aid, Tue {tuesday} 18:00–19:00, Hall A is cancelled, with 1 booking (1 seat).\n"
    assert school.one("select status from public.session_bookings") == "cancelled"
    said, _ = commands.say("training", "sessions", "show", str(session))
    assert "No room" in said
    assert commands.read(*cancel, "--yes", code=3)["error"]["code"] == "illegal_transition"


def test_what_cannot_be_is_refused_and_nothing_changes(school: School, commands: Commands) -> None:
    session = school.session(location_id=school.room)
    school.book(session, "Zoe Guest")
    school.book(session, "Max Guest")
    for arguments, code in (
        (["update", str(session), "--seats", "1"], "seats_full"),
        (["update", str(session), "--seats", "13"], "invalid_input"),
        (["update", str(session), "--seats", "5", "--version", "7"], "stale_version"),
        (["move", str(session), "--date", str(school.monday), "--start", "14:00", "--version", "7", "--yes"], "stale_version"),
        (["create", "T 1", "--date", str(school.monday), "--start", "12:30", "--location", "Hall A"], "time_conflict"),
        (["create", "T 1", "--date", str(school.monday), "--start", "23:30"], "invalid_input"),
        (["show", str(uuid4())], "not_found"),
        (["update", str(uuid4()), "--seats", "3"], "not_found"),
        (["move", str(uuid4()), "--date", str(school.monday)], "not_found"),
        (["cancel", str(uuid4()), "--reason", "Gone", "--yes"], "not_found"),
    ):  # fmt: skip
        error = commands.read("training", "sessions", *arguments, code=3)["error"]
        assert (error["code"], bool(error["message"])) == (code, True), arguments
    _, err = commands.say("training", "sessions", "update", str(session), "--seats", "1", code=3)
    assert "error: 2 seats are taken or held: the session cannot have 1" in err
    assert school.db.execute("select max_capacity, version from public.course_sessions").fetchall() == [(12, 1)]
    school.pass_days((school.monday - school.today).days + 1)
    school.db.execute("select private.follow_sessions()")
    for arguments in (
        ["move", str(session), "--date", str(school.monday + timedelta(7))],
        ["cancel", str(session), "--reason", "Late"],
    ):
        error = commands.read("training", "sessions", *arguments, "--yes", code=3)["error"]
        assert error["code"] == "illegal_transition"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["create", "T 1", "--date", "2030-01-01", "--start", "25:00"], "is no time"),
        (["create", "Nothing", "--date", "2030-01-01", "--start", "10:00"], "No course is called Nothing"),
        (["create", "T 1", "--date", "2030-01-01", "--start", "10:00", "--price", "much"], "is no amount"),
        (["create", "T 1", "--date", "2030-01-01", "--start", "10:00", "--price", "NaN"], "is no amount"),
        (["create", "T 1", "--date", "2030-01-01", "--start", "10:00", "--decide-by", "2029-12-01T10:00"], "in which zone"),
        (["create", "T 1", "--date", "2030-01-01", "--start", "10:00", "--decide-by", "soon"], "is no instant"),
        (["list", "--status", "over"], "is no status"),
        (["list", "--weekday", "someday"], "is no weekday"),
        (["update", str(UUID(int=1)), "--without", "seats"], "empties nothing"),
        (["update", str(UUID(int=1)), "--without", "notes", "--notes", "x"], "exclude each other"),
        (["update", str(UUID(int=1))], "Nothing changes"),
        (["cancel", str(UUID(int=1)), "--reason", " "], "needs a reason"),
        (["move", str(UUID(int=1)), "--version", "1"], "Where to?"),
    ],
)  # fmt: skip
def test_wrong_usage(
    school: School, database: Database, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    _, err = Commands(["--db-url", database.dsn], capfd).say("training", "sessions", *arguments, code=2)
    assert said in err


def listed(commands: Commands, *arguments: str) -> list[tuple[date, str]]:
    """Days and starts of the sessions that are found, in their order."""
    found = commands.read("training", "sessions", "list", *arguments)
    return [(date.fromisoformat(row["session_date"]), row["start_time"][:5]) for row in found]


def test_everything_one_can_search_by(school: School, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_finding, "PAGE", 2)
    other = school.world.insert(
        "public.courses", code="Y 1", title="Yoga", duration_minutes=60, default_capacity=4, price=20
    ).id
    monday, tuesday = school.monday, school.monday + timedelta(1)
    early = school.session(monday, start_time="08:00", location_id=school.room)
    late = school.session(monday, start_time="18:00", max_capacity=1)
    school.session(tuesday, start_time="08:00", course_id=other, instructor_id=school.ben.profile_id)
    commands.say("training", "sessions", "create", "T 1", "--date", str(tuesday), "--start", "20:00", "--end", "24:00")
    off = school.session(tuesday, start_time="15:00")
    school.book(late, "Zoe Guest")
    commands.say("training", "sessions", "cancel", str(off), "--reason", "Ill", "--yes")
    everything = [(monday, "08:00"), (monday, "18:00"), (tuesday, "08:00"), (tuesday, "20:00")]
    for arguments, found in (
        ([], everything),
        (["--order", "-date"], everything[::-1]),
        (["--limit", "3"], everything[:3]),
        (["--course", "yoga"], everything[2:3]),
        (["--location", "hall a"], everything[:1]),
        (["--instructor", "ben teacher"], everything[2:3]),
        (["--from", str(tuesday)], everything[2:]),
        (["--to", str(monday)], everything[:2]),
        (["--weekday", "tue"], everything[2:]),
        (["--weekday", "1", "--weekday", "Tuesday", "--before", "10:00"], [everything[0], everything[2]]),
        (["--after", "18:00"], [everything[1], everything[3]]),
        (["--after", "18:00", "--before", "24:00", "--seats", "1"], everything[3:]),
        (["--seats", "12"], [everything[0], everything[3]]),
        (["--price", "20"], everything[2:3]),
        (["--order", "price", "--limit", "1"], everything[2:3]),
        (["--text", "yog"], everything[2:3]),
        (["--text", "HALL"], everything[:1]),
        (["--status", "cancelled"], [(tuesday, "15:00")]),
        (["--from", "2000-01-01", "--to", "2000-01-02"], []),
    ):  # fmt: skip
        assert listed(commands, *arguments) == found, arguments
    shown, notices = commands.say("training", "sessions", "list", "--limit", "3")
    assert "There are more than 3" in notices
    assert f"Mon {monday} 18:00–19:00" in shown
    assert "full (1)" in shown
    assert "12 of 12" in shown
    assert str(early) in shown
    shown, notices = commands.say("training", "sessions", "list")
    assert f"Tue {tuesday} 20:00–24:00" in shown
    assert notices == ""
    assert commands.say("training", "sessions", "list", "--text", "nothing")[0] == "No session matches.\n"
    error = commands.read("training", "sessions", "list", "--after", "10:00", "--before", "09:00", code=3)["error"]
    assert error["code"] == "invalid_input"
