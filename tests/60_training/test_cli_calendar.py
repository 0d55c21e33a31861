"""`classbase training calendar`: a month in the terminal, wide and narrow."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest

from tests.support.commands import Commands
from tests.support.edge_functions import project_address
from tests.support.rest import Rest
from tests.support.school import School
from tests.support.server import Database
from tests.support.world import World


@pytest.fixture
def school(world: World) -> School:
    return School(world)


@pytest.fixture
def commands(school: School, database: Database, capfd: pytest.CaptureFixture[str]) -> Commands:
    return Commands(["--db-url", database.dsn], capfd)


@pytest.fixture
def month(school: School) -> date:
    """The month after the next, with a session that is nearly full, one that is full, one that may not be held."""
    first = (school.today.replace(day=1) + timedelta(70)).replace(day=1)
    school.book(school.session(first, start_time="09:00", location_id=school.room), "Ann")
    for name in ("Bob", "Cy", "Dee"):
        school.book(school.session(first + timedelta(9), start_time="18:00", max_capacity=1, instructor_id=None), name)
    school.session(first + timedelta(9), start_time="10:00", min_bookings=3)
    yoga = school.world.insert("public.courses", code="Y 1", title="Yoga", duration_minutes=60).id
    nearly = school.session(first + timedelta(20), start_time="23:30", end_time="23:59", course_id=yoga, max_capacity=2)
    school.db.execute("update public.course_sessions set end_time = '24:00' where id = %s", [nearly])
    school.book(nearly, "Eve")
    off = school.session(first + timedelta(21))
    school.db.execute("select public.cancel_session(%s, 'Ill')", [off])
    # Neither is of this month.
    school.session(first - timedelta(1), start_time="11:11")
    school.session((first + timedelta(31)).replace(day=1), start_time="11:11")
    return first


def show(commands: Commands, month: date, *arguments: str) -> str:
    return commands.say("training", "calendar", "--month", f"{month:%Y-%m}", *arguments)[0]


def test_a_wide_terminal_shows_a_grid(commands: Commands, month: date, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    page = show(commands, month)
    lines = page.splitlines()
    assert lines[0].strip() == f"{month:%B %Y} · UTC"
    assert max(map(len, lines)) <= 140
    head = next(line for line in lines if "Mon" in line)
    assert re.findall(r"[A-Z][a-z]{2}", head) == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    # A session stands in the column of its weekday, under the number of its day.
    column = month.weekday()
    at = next(number for number, line in enumerate(lines) if "09:00 T 1" in line)
    cells = lines[at].strip("│").split("│")
    assert "09:00 T 1" in cells[column]
    assert lines[at - 1].strip("│").split("│")[column].strip() == "1"
    assert "11 of 12 left" in lines[at + 1].strip("│").split("│")[column]
    assert page.count("18:00 T 1") == 3
    assert page.count("full") == 3
    assert "10:00 T 1?" in page
    assert "23:30 Y 1" in page
    assert "1 of 2 left" in page
    assert "12:00" not in page
    assert "11:11" not in page
    assert lines[-3:] == ["T 1  First Aid", "Y 1  Yoga", "?  held once enough have booked"]
    last = (month + timedelta(31)).replace(day=1) - timedelta(1)
    assert re.search(rf"│{last.day}\s", page)
    assert not re.search(rf"│{last.day + 1}\s", page)


def test_a_narrow_terminal_shows_a_list(commands: Commands, month: date, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    tenth = month + timedelta(9)
    assert show(commands, month).splitlines()[:9] == [
        f"{month:%B %Y} · UTC",
        f"{month:%a} 1 {month:%b}",
        "  09:00–10:00 T 1 · Hall A 11 of 12 left",
        f"{tenth:%a} 10 {tenth:%b}",
        "  10:00–11:00 T 1? 12 of 12 left",
        *["  18:00–19:00 T 1 full"] * 3,
        f"{month + timedelta(20):%a} 21 {month:%b}",
    ]


def test_what_is_asked_and_by_which_clock(
    school: School, commands: Commands, month: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    page = show(commands, month, "--course", "yoga")
    assert page.splitlines()[0] == f"{month:%B %Y} · yoga · UTC"
    assert "T 1" not in page
    assert "23:30–00:00 Y 1 1 of 2 left" in page
    assert "18:00" not in show(commands, month, "--location", "hall a")
    # In Tokyo the last evening is the next day, and what was the month's first morning is that afternoon.
    page = show(commands, month, "--time-zone", "Asia/Tokyo")
    assert "Asia/Tokyo" in page
    after = month + timedelta(21)
    assert f"{after:%a} 22 {after:%b}\n  08:30–09:00 Y 1" in page
    assert "18:00–19:00 T 1 · Hall A" in page
    # On Kiritimati it is the first of the month while it is the last of the other in UTC.
    page = show(commands, month, "--time-zone", "Pacific/Kiritimati")
    assert f"{month:%a} 1 {month:%b}\n  01:11–02:11 T 1" in page
    assert show(commands, date(1999, 1, 1)) == "January 1999 · UTC: no sessions.\n"
    for wrong in ("1999-13", "soon", "2026", "0000-01"):
        assert "is no month" in commands.say("training", "calendar", "--month", wrong, code=2)[1]
    assert "is no time zone" in commands.say("training", "calendar", "--time-zone", "Here", code=2)[1]
    now = commands.read("training", "calendar")
    assert now["month"] == f"{school.today:%Y-%m}"


def test_over_rest_as_json(month: date, rest: Rest, capfd: pytest.CaptureFixture[str]) -> None:
    with project_address(rest) as address:
        commands = Commands(["--url", address, "--key", rest.token("service_role")], capfd)
        document = commands.read("training", "calendar", "--month", f"{month:%Y-%m}")
    assert (document["month"], document["time_zone"]) == (f"{month:%Y-%m}", "UTC")
    assert [(row["course_code"], row["seats_left"], row["is_bookable"]) for row in document["sessions"]] == [
        ("T 1", 11, True), ("T 1", 12, True), *[("T 1", 0, False)] * 3, ("Y 1", 1, True),
    ]  # fmt: skip
    assert document["sessions"][-1]["end_time"] == "24:00:00"
