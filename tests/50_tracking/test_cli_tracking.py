"""`classbase tracking`, over the database and over REST."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from classbase.cli import tracking_page
from tests.support.centre import MONDAYS, Centre
from tests.support.commands import Commands
from tests.support.edge_functions import project_address
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.world import World


@pytest.fixture(params=["database", "rest"])
def commands(
    request: pytest.FixtureRequest,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Commands]:
    monkeypatch.setenv("COLUMNS", "200")
    if request.param == "database":
        yield Commands(["--db-url", database.dsn], capsys)
        return
    # So few rows an answer that everything longer comes in pages.
    with Rest.serve(database, max_rows=3) as rest, project_address(rest) as address:
        yield Commands(["--url", address, "--key", rest.token("service_role")], capsys)


@pytest.fixture
def centre(world: World) -> Centre:
    return Centre(world)


def test_everybody_is_fine(commands: Commands, centre: Centre) -> None:
    assert commands.read("tracking", "diagnose")["totals"]["students"] == 0
    assert "There are no students" in commands.say("tracking", "diagnose")[0]
    centre.student()
    text, _ = commands.say("tracking", "diagnose")
    assert "✅ Mia Chen  4 classes" in text
    assert "✅ 1 valid" in text
    for command in (("fix", "--dry-run"), ("fix", "--yes"), ("fix",)):
        assert "No class is missing." in commands.say("tracking", *command)[0]
    assert commands.read("tracking", "duplicates") == {"duplicates": [], "fixes": []}


def test_a_line_each_and_which_classes_are_missing(commands: Commands, centre: Centre) -> None:
    centre.student()
    lacking = centre.student("Leo Park", [{"day": day, "start_time": "09:00"} for day in range(7)])
    lost = [
        row[0]
        for row in centre.db.execute(
            "select date from public.classes where student_id = %s order by date desc limit 6", [lacking]
        ).fetchall()
    ][::-1]
    centre.lose(lacking, 6)
    centre.spoil(centre.student("Noa Weiss"))
    text, notices = commands.say("tracking", "diagnose", code=1)
    lines = text.splitlines()
    assert len([line for line in lines if "Mia" in line or "Leo" in line or "Noa" in line]) == 3
    [leo] = [line for line in lines if "Leo" in line]
    assert leo.startswith("⚠️")
    assert f"6 of 28 classes missing: {', '.join(f'{day} 09:00' for day in lost[:4])} and 2 more" in leo
    [noa] = [line for line in lines if "Noa" in line]
    assert noa.startswith("❌")
    assert "fixed_schedule[0]: A day is sunday to saturday" in noa
    assert "✅ 1 valid   ⚠️  1 missing classes   ❌ 1 invalid" in text
    assert "tracking fix" in notices
    document = commands.read("tracking", "diagnose", code=1)
    assert document["totals"] == {
        "students": 3,
        "valid": 1,
        "missing": 1,
        "invalid": 1,
        "classes": 30,
        "missing_classes": 6,
    }
    assert [row["status"] for row in document["students"]] == ["valid", "missing", "invalid"]
    assert [row["date"] for row in document["students"][1]["missing_dates"]] == [str(day) for day in lost]


def test_a_student_by_name_part_or_id(commands: Commands, centre: Centre) -> None:
    mia = centre.student()
    for name in ("Mia Park", "Mia", "Percy 100% (Jr), O'Neil", "percy"):
        centre.student(name)

    def who(name: str) -> list[str]:
        return [row["student_name"] for row in commands.read("tracking", "diagnose", "--student", name)["students"]]

    assert who("mia chen") == ["Mia Chen"]
    assert who("chen") == ["Mia Chen"]
    assert who(str(mia)) == ["Mia Chen"]
    assert who("Mia") == ["Mia"]
    assert who("100% (jr), o'") == ["Percy 100% (Jr), O'Neil"]
    assert who("park MIA") == ["Mia Park"]
    assert who("percy") == ["percy"]
    for name in ("mi", "nobody", "%%", "*_", " ", 'x",y', "a,b.c)"):
        error = commands.read("tracking", "diagnose", "--student", name, code=2)["error"]
        assert error["code"] == "usage"
    assert "Mia Chen" in commands.read("tracking", "diagnose", "--student", "mi", code=2)["error"]["hint"]
    unknown = "00000000-0000-0000-0000-000000000000"
    assert commands.read("tracking", "diagnose", "--student", unknown, code=3)["error"]["code"] == "not_found"


def test_many_students_are_counted_and_only_the_others_listed(
    commands: Commands, centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_page, "FEW", 4)
    monkeypatch.setattr(tracking_page, "LINES", 4)
    students = [centre.student(f"Student {number}") for number in range(9)]
    for student in students[:2]:
        centre.lose(student)
    text, _ = commands.say("tracking", "diagnose", code=1)
    assert [line.split()[1:3] for line in text.splitlines()[:2]] == [["Student", "0"], ["Student", "1"]]
    assert "… 7 who are fine: --all lists everybody" in text
    assert "9 students, 34 classes; 2 missing." in text
    assert (
        len(
            [
                line
                for line in commands.say("tracking", "diagnose", "--all", code=1)[0].splitlines()
                if "Student" in line
            ]
        )
        == 9
    )
    for student in students[2:7]:
        centre.lose(student)
    text, _ = commands.say("tracking", "diagnose", code=1)
    assert len([line for line in text.splitlines() if "Student" in line]) == 4
    assert "… 3 more who are not and 2 who are fine" in text
    assert len(commands.read("tracking", "diagnose", code=1)["students"]) == 9
    text, _ = commands.say("tracking", "fix", "--yes")
    assert "7 classes created for 7 students; 0 students could not" in text


def test_what_is_missing_is_made_and_who_is_left_out_is_told_why(
    commands: Commands, centre: Centre, world: World
) -> None:
    teacher = world.user("instructor", full_name="Tara Teacher")
    first = centre.student(teacher=teacher)
    taken = centre.student("Leo Park", teacher=teacher)
    centre.lose(first, 3)
    before = centre.runs()
    plan = commands.read("tracking", "fix", "--dry-run", code=1)
    assert {row["student_name"]: row["missing"] for row in plan["would_create"]} == {"Mia Chen": 3, "Leo Park": 4}
    said, _ = commands.say("tracking", "fix", "--dry-run", code=1)
    assert "7 classes of 2 students missing." in said
    # Nobody is there to ask.
    assert commands.read("tracking", "fix", code=2)["error"]["code"] == "usage"
    assert (len(centre.classes(first)), len(centre.classes(taken)), centre.runs()) == (1, 0, before)

    said, _ = commands.say("tracking", "fix", "--student", "leo", "--yes", code=1)
    assert "✅ Leo Park  3 created" in said
    assert "Tara Teacher is already in Class, Mia Chen" in said
    assert (len(centre.classes(first)), len(centre.classes(taken))) == (1, 3)
    done = commands.read("tracking", "fix", "--yes", code=1)
    assert done["created"] == 0
    assert {row["student_name"]: (row["status"], row["classes_created"]) for row in done["students"]} == {
        "Mia Chen": ("partial", 0), "Leo Park": ("partial", 0),
    }  # fmt: skip
    said, _ = commands.say("tracking", "fix", "--yes", code=1)
    assert "(3 times)" not in said
    assert "; 2 students could not have all of theirs." in said


def test_one_student_whose_data_is_bad_does_not_stop_the_others(commands: Commands, centre: Centre) -> None:
    good, bad = centre.student(), centre.student("Noa Weiss")
    centre.lose(good)
    centre.spoil(bad)
    done = commands.read("tracking", "fix", "--yes", code=1)
    assert (done["created"], [row["student_name"] for row in done["invalid"]]) == (1, ["Noa Weiss"])
    assert "Noa Weiss" in commands.say("tracking", "fix", "--yes", code=1)[0]


def test_the_weekly_run(commands: Commands, centre: Centre) -> None:
    student = centre.student()
    through = centre.today + timedelta(days=55)
    run = commands.read("tracking", "generate", "--through", str(through))
    assert (run["operation"], run["classes_created"], run["status"]) == ("scheduled", 4, "success")
    assert len(centre.classes(student)) == 8
    said, _ = commands.say("tracking", "generate")
    assert "0 classes created, 0 removed, for 0 of 1 student" in said
    error = commands.read("tracking", "generate", "--through", "2020-01-01", code=3)["error"]
    assert error["code"] == "invalid_input"


def test_the_week(commands: Commands, centre: Centre, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = world.user("instructor", full_name="Tara Teacher")
    mia = centre.student(teacher=teacher)
    centre.student("Leo Park", [{"day": "monday", "start_time": "09:00", "duration_minutes": 30}])
    monday = centre.one("select min(date) from public.classes")
    week = ["--week", f"{monday.isocalendar().year}-W{monday.isocalendar().week:02d}"]
    text, _ = commands.say("tracking", "week", *week)
    for said in ("09:00–09:30", "Leo Park", "17:00–18:00", "Mia Chen", "Tara Teacher"):
        assert said in text
    first = centre.classes(mia)[0]
    said, notices = commands.say("tracking", "cancel", str(first), "--reason", "Ill", "--by", "student", "--yes")
    assert f"The class of Mia Chen on {monday} 17:00 is cancelled" in said
    assert "make" in notices
    text, _ = commands.say("tracking", "week", *week, "--student", "mia")
    assert "✗ cancelled (student" in text
    assert "Leo" not in text
    rows = commands.read("tracking", "week", *week, "--teacher", "tara teacher")
    assert [(row["source_id"], row["people"]) for row in rows] == [(str(first), ["Tara Teacher"])]
    assert "no classes" in commands.say("tracking", "week", "--week", "1999-W01")[0]
    commands.say("tracking", "week", "--week", "soon", code=2)
    monkeypatch.setattr("classbase.cli.tracking.GRID", 1)
    text, notices = commands.say("tracking", "week", *week)
    assert "cancelled" in text
    assert "2 classes are too many for a grid" in notices


def test_cancelling_needs_a_reason_and_one_class(commands: Commands, centre: Centre) -> None:
    student = centre.student()
    monday: date = centre.one("select min(date) from public.classes")
    centre.world.insert("public.classes", student_id=student, date=monday, start_time="08:00", end_time="08:30")
    some = str(centre.classes(student)[-1])
    unknown = "00000000-0000-0000-0000-000000000000"
    for arguments, code in (
        (["--reason", "Ill"], 2),
        ([some], 2),
        ([some, "--reason", " "], 2),
        (["--student", "mia", "--reason", "Ill"], 2),
        ([some, "--student", "mia", "--date", str(monday), "--reason", "Ill"], 2),
        (["--student", "mia", "--date", str(monday), "--reason", "Ill"], 2),
        (["--student", "mia", "--date", str(monday + timedelta(days=1)), "--reason", "Ill"], 3),
        ([unknown, "--reason", "Ill"], 3),
    ):
        commands.say("tracking", "cancel", *arguments, "--yes", code=code)
    assert centre.one("select count(*) from public.classes where status = 'cancelled'") == 0
    later = str(monday + timedelta(days=7))
    row = commands.read("tracking", "cancel", "--student", "mia", "--date", later, "--reason", "Ill", "--yes")
    assert (row["status"], row["cancelled_by"], row["is_charged"], row["date"]) == (
        "cancelled",
        "organisation",
        False,
        later,
    )
    assert (
        commands.read("tracking", "cancel", row["id"], "--reason", "Ill", "--yes", code=3)["error"]["code"]
        == "illegal_transition"
    )


def test_duplicates_are_listed_and_removed(commands: Commands, centre: Centre) -> None:
    student = centre.student()
    copy = centre.double(student)
    found = commands.read("tracking", "duplicates", code=1)["duplicates"]
    assert [row["duplicate_ids"] for row in found] == [[str(copy)]]
    assert "Mia Chen" in commands.say("tracking", "duplicates", code=1)[0]
    commands.say("tracking", "duplicates", "--remove", code=2)
    text, notices = commands.say("tracking", "duplicates", "--remove", "--yes")
    assert "classes_duplicated" in text
    assert "classbase undo" in notices
    assert len(centre.classes(student)) == 4
    assert centre.one("select count(*) from private.lost_class_keys()") == 0
    assert commands.read("tracking", "duplicates", "--remove", "--yes") == {"duplicates": [], "fixes": []}


def test_figures(commands: Commands, centre: Centre) -> None:
    student = centre.student(start_date=centre.today - timedelta(days=60))
    centre.db.execute(
        "update public.classes set status = 'completed' where student_id = %s and starts_at < private.now()", [student]
    )
    span = ("--from", str(centre.today - timedelta(days=60)), "--to", str(centre.today + timedelta(days=60)))
    figures = commands.read("tracking", "stats", *span)
    assert figures["classes"] == len(centre.classes(student))
    text, _ = commands.say("tracking", "stats", *span)
    for said in ("By status", "completed", "By payment", "By month", "By student", "Mia Chen", "1 active of 1"):
        assert said in text
    for _ in range(16):
        centre.student("Leo Park")
    assert "… and 2 more" in commands.say("tracking", "stats", *span)[0]
    assert "… and" not in commands.say("tracking", "stats", *span, "--all")[0]
    error = commands.read("tracking", "stats", "--from", "1990-01-01", code=3)["error"]
    assert error["code"] == "invalid_input"


def test_an_untouched_schedule_in_every_form(commands: Commands, centre: Centre) -> None:
    for number, schedule in enumerate((MONDAYS, {"monday": "17:00"}, [{"dayOfWeek": 1, "time": "17:00"}])):
        centre.student(f"Form {number}", schedule)
    assert {row["classes"] for row in commands.read("tracking", "diagnose")["students"]} == {4}
