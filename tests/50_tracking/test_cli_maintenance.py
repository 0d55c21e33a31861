"""`classbase maintenance`: what each routine looks at, what it proposes, and what --fix does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from classbase.cli.maintenance_steps import growth, size
from tests.support.centre import Centre
from tests.support.commands import Commands
from tests.support.edge_functions import project_address
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.world import World


@pytest.fixture
def centre(world: World) -> Centre:
    made = Centre(world)
    # Jobs never ran on a new database, which is a finding of another module's.
    made.db.execute("update public.scheduled_jobs set is_active = false")
    return made


@pytest.fixture
def commands(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    monkeypatch.setenv("COLUMNS", "200")
    return Commands(["--db-url", database.dsn], capsys)


def _step(document: dict[str, Any], name: str) -> dict[str, Any]:
    [step] = [one for one in document["steps"] if one["name"] == name]
    assert isinstance(step, dict)
    return step


def test_each_routine_looks_at_more(commands: Commands, centre: Centre) -> None:
    centre.student()
    names = {
        "daily": ["checks", "students", "figures"],
        "weekly": ["checks", "students", "figures", "sizes"],
        "monthly": ["checks", "students", "figures", "sizes", "access"],
    }
    for period, steps in names.items():
        document = commands.read("maintenance", period)
        assert [step["name"] for step in document["steps"]] == steps
        assert (document["period"], document["remaining"], document["applied"]) == (period, [], [])
        text, _ = commands.say("maintenance", period)
        assert "All is well." in text
    document = commands.read("maintenance", "monthly")
    assert _step(document, "students")["figures"]["with_all_their_classes"] == 1
    assert _step(document, "figures")["figures"]["classes_created_today"] == 4
    sizes = _step(document, "sizes")["figures"]
    assert sizes["tables"] > 20
    assert sizes["bytes"] > 1_000_000
    access = _step(document, "access")["figures"]
    assert access["tables"] == access["protected_by_row_level_security"]
    assert access["policies"] > access["tables"]
    commands.say("maintenance", "yearly", code=2)
    commands.say("maintenance", code=2)


def test_damage_is_told_with_the_command_that_mends_it_and_mended(commands: Commands, centre: Centre) -> None:
    student, lacking, bad = centre.student(), centre.student("Leo Park"), centre.student("Noa Weiss")
    centre.lose(lacking, 3)
    centre.double(student)
    centre.spoil(bad)
    centre.db.execute("update private.student_generation set generated_through = private.today()")
    text, notices = commands.say("maintenance", "daily", code=1)
    for command in (
        "classbase tracking duplicates --remove",
        "classbase tracking generate",
        "classbase fix students_invalid",
        "classbase tracking diagnose",
    ):
        assert command in text
    assert "--fix" in notices
    before = commands.read("maintenance", "daily", code=1)
    assert before["applied"] == []
    assert _step(before, "students")["figures"] == {
        "students": 3, "with_all_their_classes": 1, "with_missing_classes": 1, "with_invalid_data": 1,
        "missing_classes": 2, "duplicate_classes": 1,
    }  # fmt: skip
    # Nobody is there to be asked.
    assert commands.read("maintenance", "daily", "--fix", code=2)["error"]["code"] == "usage"
    assert (len(centre.classes(student)), len(centre.classes(lacking))) == (5, 1)

    after = commands.read("maintenance", "daily", "--fix", "--yes", code=1)
    assert after["applied"][:2] == ["classbase fix students_invalid", "classbase tracking duplicates --remove"]
    assert "classbase tracking generate" in after["applied"]
    assert (len(centre.classes(student)), len(centre.classes(lacking))) == (4, 4)
    assert centre.one("select count(*) from private.lost_class_keys()") == 0
    # About bad data a person decides.
    assert [problem for problem in after["remaining"] if "class" in problem and "invalid" not in problem] == [
        "1 student with data that no class can be made from"
    ]
    centre.db.execute('update public.students set fixed_schedule = \'{"monday": "17:00"}\' where id = %s', [bad])
    text, _ = commands.say("maintenance", "daily", "--fix", "--yes")
    assert "All is well." in text
    assert _step(commands.read("maintenance", "daily"), "figures")["figures"]["duplicates_removed"] == 1


def test_a_student_who_starts_in_months_makes_no_run_late(commands: Commands, centre: Centre) -> None:
    centre.student(start_date=centre.today + timedelta(days=200))
    centre.db.execute("update private.student_generation set generated_through = private.today()")
    assert commands.read("maintenance", "daily")["remaining"] == []
    centre.student("Leo Park")
    centre.db.execute("update private.student_generation set generated_through = private.today()")
    [late] = commands.read("maintenance", "daily", code=1)["remaining"]
    assert "1 student" in late
    done = commands.read("maintenance", "daily", "--fix", "--yes")
    assert (done["applied"], done["remaining"]) == (["classbase tracking generate"], [])


def test_a_finding_of_another_module_is_mended_too(commands: Commands, centre: Centre) -> None:
    centre.db.execute("insert into public.locations (name) values ('Hall')")
    centre.db.execute("alter table public.resources disable trigger user")
    centre.db.execute("delete from public.resources")
    centre.db.execute("alter table public.resources enable trigger user")
    found = commands.read("maintenance", "daily", code=1)
    checks = _step(found, "checks")
    [proposal] = [one for one in checks["proposals"] if one["can_be_applied"]]
    assert proposal["command"].startswith("classbase fix ")
    done = commands.read("maintenance", "daily", "--fix", "--yes")
    assert (done["applied"], done["remaining"]) == ([proposal["command"]], [])


def test_an_open_table_is_told(commands: Commands, centre: Centre) -> None:
    centre.db.execute("create table public.forgotten (id integer primary key)")
    centre.db.execute("grant select on public.forgotten to anon")
    step = _step(commands.read("maintenance", "monthly", code=1), "access")
    assert step["problems"] == ["forgotten has no row level security and is open to anon"]
    assert "forgotten" in commands.say("maintenance", "monthly", code=1)[0]


def test_growth_is_shown(commands: Commands, centre: Centre) -> None:
    centre.db.execute("select private.take_size_reading()")
    centre.db.execute("update private.table_size_readings set taken_on = taken_on - 7, total_bytes = total_bytes / 2")
    yesterday = centre.today - timedelta(days=7)
    assert f"since {yesterday}" in commands.say("maintenance", "weekly")[0]
    figures = _step(commands.read("maintenance", "weekly"), "sizes")["figures"]
    assert 0 < figures["bytes_before"] < figures["bytes"]


def test_over_rest_too(
    database: Database, centre: Centre, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    students = [centre.student(f"Student {number}") for number in range(5)]
    for student in students:
        centre.lose(student)
    with Rest.serve(database, max_rows=3) as rest, project_address(rest) as address:
        commands = Commands(["--url", address, "--key", rest.token("service_role")], capsys)
        found = commands.read("maintenance", "monthly", code=1)
        assert _step(found, "students")["figures"]["missing_classes"] == 5
        [missing] = [row for row in _step(found, "checks")["rows"] if row["check"] == "students_missing_classes"]
        assert missing == {
            "check": "students_missing_classes",
            "severity": "warning",
            "found": 5,
            "first": "5 findings",
        }
        done = commands.read("maintenance", "monthly", "--fix", "--yes")
        assert (done["applied"], done["remaining"]) == (["classbase tracking fix"], [])
        commands.target = ["--url", address, "--key", rest.token("anon")]
        assert commands.read("maintenance", "daily", code=3)["error"]["code"] == "forbidden"


def test_sizes_in_words() -> None:
    assert [size(count) for count in (0, 512, 8192, 1536, 25 * 1024**2, 3 * 1024**4)] == [
        "0 B", "512 B", "8.0 kB", "1.5 kB", "25 MB", "3.0 TB",
    ]  # fmt: skip
    assert growth(10, None, None) == ""
