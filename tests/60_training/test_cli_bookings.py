"""`classbase training bookings`, over the database and over REST."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest

from tests.support.calls import call
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


def left(school: School, session: object) -> int:
    found: int = school.one("select s.seats_left from public.course_sessions s where id = %s", [session])
    return found


def test_who_takes_part_from_booking_to_cancelling(school: School, commands: Commands) -> None:
    leo = school.world.user("member", full_name="Leo Park")
    session = school.session(max_capacity=6)
    there = f"First Aid, Mon {school.monday} 12:00–13:00"
    assert commands.say("training", "bookings", "list", str(session))[0] == (
        f"{there}: nobody booked.\nno bookings, 6 of 6 seats left.\n"
    )
    said, _ = commands.say(
        "training", "bookings", "book", str(session), "--person", "leo park", "--guest", "Gus Guest <Gus@example.org>",
        "--guest", "Zoe",
    )  # fmt: skip
    for text in (there, "Leo Park", "Gus Guest", "gus@example.org", "Zoe", "Booked; 3 of 6 seats left."):
        assert text in said
    [two] = commands.read("training", "bookings", "book", str(session), "--guest", "Family Fox", "--seats", "2")
    assert (two["attendee_name"], two["seats"], two["price"], two["status"]) == ("Family Fox", 2, "100.00", "confirmed")
    call(school.db, leo, "hold_seats", p_session_id=session)

    said, _ = commands.say("training", "bookings", "list", str(session))
    assert "4 bookings (5 seats), 1 held for somebody who is about to book, 0 of 6 seats left." in said
    document = commands.read("training", "bookings", "list", str(session))
    assert {row["name"] for row in document["bookings"]} == {"Leo Park", "Gus Guest", "Zoe", "Family Fox"}
    assert document["session"]["seats_left"] == 0

    cancel = ("training", "bookings", "cancel", two["id"])
    _, err = commands.say(*cancel, code=2)
    assert f"Cancel Family Fox's booking of {there} (2 seats)?" in err
    said, _ = commands.say(*cancel, "--reason", "Ill", "--yes")
    assert said == f"Family Fox's booking of {there} (2 seats) is cancelled; 2 of 6 seats left.\n"
    assert commands.read(*cancel, "--yes", code=3)["error"]["code"] == "illegal_transition"
    assert len(commands.read("training", "bookings", "list", str(session))["bookings"]) == 3
    every = commands.read("training", "bookings", "list", str(session), "--all")["bookings"]
    assert [(row["name"], row["status"]) for row in every][-1] == ("Family Fox", "cancelled")

    later = school.session(school.monday + timedelta(1), price=80)
    zoe = next(row["id"] for row in every if row["name"] == "Zoe")
    said, _ = commands.say("training", "bookings", "transfer", zoe, "--to", str(later))
    assert said == (
        f"Zoe moved from {there} to First Aid, Tue {school.monday + timedelta(1)} 12:00–13:00, which costs 80.00.\n"
    )
    assert (left(school, session), left(school, later)) == (3, 11)
    moved = commands.read("training", "bookings", "transfer", zoe, "--to", str(session))
    assert (moved["session_id"], moved["price"]) == (str(session), "50.00")


def test_what_is_refused_says_why_and_changes_nothing(school: School, commands: Commands) -> None:
    member = school.world.user("member", full_name="Leo Park")
    full, other, over, off = (school.session(school.monday + timedelta(n), max_capacity=1 + n) for n in range(4))
    taken = school.book(full, "Ann")
    kept = school.book(other, member)
    school.db.execute("select public.cancel_session(%s, 'Ill')", [off])
    school.db.execute("update public.courses set is_active = false where code = 'none'")
    school.db.execute(
        "update public.course_sessions set session_date = %s where id = %s", [school.today - timedelta(3), over]
    )
    guest = ("--guest", "Gus")
    for arguments, code, words in (
        (["book", str(full), *guest], "seats_full", "All seats are taken"),
        (["book", str(other), *guest, "--seats", "2"], "seats_full", "2 seats are wanted, and 1 left"),
        (["book", str(other), "--guest", "A", "--guest", "B"], "seats_full", "2 seats are wanted, and 1 left"),
        (["book", str(other), "--person", "Leo Park"], "duplicate", "has booked the session already"),
        (["book", str(over), *guest], "illegal_transition", "has begun"),
        (["book", str(off), *guest], "illegal_transition", "is cancelled"),
        (["book", str(uuid4()), *guest], "not_found", "no such session"),
        (["book", str(other), "--guest", "Gus <no@address>"], "invalid_input", "not an email address"),
        (["transfer", str(kept), "--to", str(full)], "seats_full", "All seats are taken"),
        (["transfer", str(kept), "--to", str(uuid4())], "not_found", "no such session"),
        (["transfer", str(uuid4()), "--to", str(full)], "not_found", "no such booking"),
        (["cancel", str(uuid4()), "--yes"], "not_found", "no such booking"),
        (["list", str(uuid4())], "not_found", "no such session"),
    ):
        error = commands.read("training", "bookings", *arguments, code=3)["error"]
        assert error["code"] == code, arguments
        assert words in error["message"], arguments
    _, err = commands.say("training", "bookings", "book", str(full), *guest, code=3)
    assert err.startswith("error: All seats are taken\nnext:  ")
    found = school.db.execute("select id, session_id, status from public.session_bookings order by id").fetchall()
    assert found == sorted([(taken, full, "confirmed"), (kept, other, "confirmed")])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Nobody is booked"),
        (["--person", "Nobody"], "No person is called Nobody"),
        (["--guest", "<gus@example.org>"], "does not say who that is"),
        (["--guest", "Gus <nowhere>"], "does not say who that is"),
        (["--guest", " "], "does not say who that is"),
        (["--guest", "A", "--guest", "B", "--seats", "2"], "Whose seats"),
    ],
)
def test_wrong_usage(
    school: School, database: Database, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    _, err = Commands(["--db-url", database.dsn], capfd).say(
        "training", "bookings", "book", str(school.session()), *arguments, code=2
    )
    assert said in err
    assert school.one("select count(*) from public.session_bookings") == 0
