"""`classbase studio`, and the files of `classbase import|export bookings|schedules|assignments`."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import icalendar
import pytest

from classbase.cli.app import run
from classbase.importing.csv_file import FaultyFile
from classbase.importing.studio import LAYOUTS, Kind, read_rows, to_csv
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.studio import Studio
from tests.support.world import World


@pytest.fixture
def studio(world: World, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setenv("COLUMNS", "160")
    made = Studio(world)
    made.db.execute("update public.settings set value = '\"Europe/Paris\"' where key = 'organisation_time_zone'")
    return made


def _run(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    capfd.readouterr()
    got = run(list(arguments))
    said = capfd.readouterr()
    assert got == code, said
    return said


def _week(studio: Studio) -> str:
    year, number, _ = studio.monday.isocalendar()
    return f"{year}-W{number:02d}"


@pytest.fixture
def busy(studio: Studio) -> Studio:
    """A week with a schedule, a class taken over from it, a rejected one, one to be arranged, one that was called off."""
    schedule = studio.schedule(
        2, "10:00", "11:00", location_id=studio.room, effective_from=studio.monday - timedelta(days=7)
    )
    booking = studio.booking()
    taken = studio.assignment(
        1, schedule_id=schedule.id, location_id=studio.room, instructor_id=studio.other.profile_id
    )
    studio.link(taken.id, booking.booking_id)
    studio.db.execute("update public.class_assignments set instructor_status = 'accepted' where id = %s", [taken.id])
    rejected = studio.assignment(3, "18:30", "19:30", instructor_id=studio.other.profile_id)
    studio.db.execute("update public.class_assignments set instructor_status = 'rejected' where id = %s", [rejected.id])
    studio.assignment(4, None, None)
    off = studio.assignment(2, "07:00", "08:00")
    studio.db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [off.id])
    return studio


def test_the_week(busy: Studio, database: Database, capfd: pytest.CaptureFixture[str]) -> None:
    show = ("studio", "week", "--week", _week(busy), "--db-url", database.dsn)
    out, _ = _run(capfd, *show)
    for said in (
        "10:00–11:00",
        "Odo Other ✓",
        "1 booked",
        "18:30–19:30",
        "✗ rejected",
        "time to be arranged: Hatha, Tara Teacher",
        "Europe/Paris",
    ):
        assert said in out
    assert "07:00" not in out
    listed = json.loads(_run(capfd, *show, "--json")[0])
    assert [row["starts_at"][11:16] for row in listed["classes"]] == ["10:00", "18:30"]
    assert len(listed["to_be_arranged"]) == 1
    out, _ = _run(capfd, *show, "--person", "Tara Teacher")
    assert "rejected" not in out
    assert "to be arranged" in out
    out, _ = _run(capfd, *show, "--place", "Hall")
    assert "10:00–11:00" in out
    assert "18:30" not in out
    # The week after only the schedule stands.
    later = (busy.monday + timedelta(days=7)).isocalendar()
    out, _ = _run(capfd, "studio", "week", "--week", f"{later[0]}-W{later[1]:02d}", "--db-url", database.dsn)
    assert "10:00–11:00" in out
    assert "no classes" in _run(capfd, "studio", "week", "--week", "1999-W01", "--db-url", database.dsn)[0]
    _run(capfd, "studio", "week", "--week", "soon", "--db-url", database.dsn, code=2)


def test_conflicts(busy: Studio, world: World, database: Database, capfd: pytest.CaptureFixture[str]) -> None:
    show = ("studio", "conflicts", "--db-url", database.dsn)
    found = json.loads(_run(capfd, *show, "--json", code=1)[0])
    assert [row["conflict_type"] for row in found] == ["rejected"]
    db = busy.db
    busy.schedule(5, "20:00", "21:00", instructor_id=None)
    with_off = busy.assignment(8, "20:00", "21:00")
    db.execute(
        "insert into public.time_off (resource_id, starts_on, ends_on, reason) values (%s, %s, %s, 'Rest')",
        [busy.teacher.profile_id, busy.day(8), busy.day(8)],
    )
    db.execute("select public.decide_time_off(id, 'approved', p_claims => 'keep') from public.time_off")
    db.execute(
        "insert into public.closures (name, starts_on, ends_on) values ('Repairs', %s, %s)",
        [busy.day(15), busy.day(15)],
    )
    leaver = world.user("instructor", full_name="Lee Leaver")
    busy.assignment(5, "08:00", "09:00", instructor_id=leaver.profile_id)
    db.execute("update public.user_profiles set is_active = false where id = %s", [leaver.profile_id])
    found = json.loads(_run(capfd, *show, "--json", code=1)[0])
    told = {(row["conflict_type"], row["date"]) for row in found}
    assert {
        ("rejected", str(busy.day(3))), ("time_off", str(busy.day(8))), ("closure", str(busy.day(15))), ("instructor_left", str(busy.day(5))),
    } <= told  # fmt: skip
    assert "no_instructor" in {kind for kind, _ in told}
    assert str(with_off.id) in {row["source_id"] for row in found}
    out, _ = _run(capfd, *show, code=1)
    assert "Odo Other will not teach it" in out
    assert "Closed then: Repairs" in out
    assert "Nothing clashes" in _run(capfd, *show, "--from", "1999-01-01", "--to", "1999-01-02")[0]
    _run(capfd, *show, "--from", "2026-01-02", "--to", "2026-01-01", code=3)


def test_plan_and_create(studio: Studio, database: Database, capfd: pytest.CaptureFixture[str]) -> None:
    studio.assignment(7, "17:30", "18:30", instructor_id=studio.other.profile_id)
    plan = (
        "studio", "plan", "weekly", "--instructor", "odo other", "--class-type", "hatha", "--location", "Hall", "--weekday", "Monday",
        "--start", "18:00", "--end", "19:00", "--from", str(studio.monday), "--until", str(studio.day(20)), "--rate", "12.50",
        "--db-url", database.dsn,
    )  # fmt: skip
    out, _ = _run(capfd, *plan, code=1)
    assert "2 planned, 1 conflict; 25.00 in pay" in out
    assert "Odo Other is already in Hatha" in out
    _, err = _run(capfd, *plan, "--create", "--yes", code=1)
    assert "1 dates are not free" in err
    _run(capfd, *plan, "--create", "--only-free", code=2)  # nobody is there to be asked
    made = json.loads(_run(capfd, *plan, "--create", "--only-free", "--yes", "--json")[0])
    assert [row["date"] for row in made["created"]] == [str(studio.day(0)), str(studio.day(14))]
    found = studio.db.execute(
        "select date, payment_amount::text from public.class_assignments where start_time = '18:00' order by 1"
    ).fetchall()
    assert found == [(studio.day(0), "12.50"), (studio.day(14), "12.50")]
    for wrong, said in (
        (("--weekday", "x"), "no weekday"), (("--start", "later"), "no time"), (("--rate", "much"), "no amount"), (("--class-type", "Zumba"), "No class type"),
    ):  # fmt: skip
        assert said in _run(capfd, *plan, *wrong, code=2)[1]


def test_plan_over_rest(
    studio: Studio, rest: Rest, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from classbase.cli import studio as commands
    from classbase.client import connect

    def open_rest(_: Any) -> Any:
        return connect(rest.url, rest.token("service_role"), rest_path="")

    monkeypatch.setattr(commands, "open_client", open_rest)
    out, _ = _run(
        capfd, "studio", "plan", "crash", "--instructor", "Tara Teacher", "--class-type", "HATHA", "--count", "3", "--start", "9:00",
        "--end", "10:00", "--from", str(studio.monday), "--json", "--url", rest.url, "--key", "-",
    )  # fmt: skip
    assert [row["status"] for row in json.loads(out)["plan"]] == ["planned"] * 3


def test_pay(studio: Studio, database: Database, capfd: pytest.CaptureFixture[str]) -> None:
    day = (studio.today - studio.monday).days - 3
    studio.assignment(day, payment_amount="12.50", class_status="completed")
    studio.assignment(1, payment_amount=7)
    window = ("--from", str(studio.day(day)), "--to", str(studio.day(2)), "--db-url", database.dsn)
    [row] = json.loads(_run(capfd, "studio", "pay", *window, "--json")[0])
    assert (row["instructor_name"], float(row["amount_due"]), float(row["amount_planned"])) == (
        "Tara Teacher",
        12.5,
        7.0,
    )
    [line] = csv.DictReader(io.StringIO(_run(capfd, "studio", "pay", *window, "--csv")[0]))
    assert (line["instructor_id"], line["amount_open"], line["class_count"]) == (
        str(studio.teacher.profile_id),
        "12.50",
        "1",
    )
    assert "Tara Teacher" in _run(capfd, "studio", "pay", *window)[0]
    assert (
        "No classes"
        in _run(capfd, "studio", "pay", "--from", "1999-01-01", "--to", "1999-01-02", "--db-url", database.dsn)[0]
    )
    _run(capfd, "studio", "pay", *window, "--csv", "--json", code=2)


def test_a_desk_imports_a_file(
    studio: Studio, database: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "classes.csv"
    file.write_text(
        f'Day,From,To,Teacher,Class,Remarks,notes\n{studio.day(0)},10:00,11:00,Tara Teacher,Hatha,x,"two\nlines"\n{studio.day(0)},10:30,11:30,Tara Teacher,Hatha,x,\n',
        encoding="utf-8",
    )
    names = {"date": "day", "start_time": "from", "end_time": "to", "instructor": "teacher", "class_type": "class"}
    mapped = [option for ours, theirs in names.items() for option in ("--map", f"{ours}={theirs}")]
    bring = ("import", "assignments", str(file), *mapped, "--db-url", database.dsn)
    out, err = _run(capfd, *bring, code=1)
    assert "line 2, Hatha: Tara Teacher would be in two classes of this list" in out
    assert "--on-conflict skip" in out
    assert "not read: Remarks" in err
    out, _ = _run(capfd, *bring, "--dry-run", "--on-conflict", "skip")
    assert "1 assignments would be imported, 1 would be left out" in out
    assert studio.db.execute("select count(*) from public.class_assignments").fetchone() == (0,)
    report = json.loads(_run(capfd, *bring, "--on-conflict", "skip", "--json")[0])
    assert (report["imported"], report["ignored_columns"], [row["line"] for row in report["left_out"]]) == (
        1,
        ["Remarks"],
        [4],
    )
    file.write_text("date,instructor\n2026-02-30,Nobody\n", encoding="utf-8")
    out, _ = _run(capfd, "import", "assignments", str(file), "--db-url", database.dsn, code=1)
    assert "line 2, date: A date is written 2026-01-31" in out
    assert "line 2, instructor: Nobody has this name" in out
    assert "2 faults in the file. Nothing was imported" in out
    _run(capfd, "import", "assignments", str(file), "--map", "colour=x", "--db-url", database.dsn, code=2)


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("bookings", b"", "empty"), ("bookings", b"colour,size\n1,2\n", "none of the columns"), ("schedules", b"class_type,start_time\na,b\n", "no column day_of_week"),
        ("assignments", b"date\n", "nothing below"), ("assignments", "date,notes\n2026-01-01,caf\u00e9\n".encode("latin-1"), "not UTF-8"),
        ("assignments", b"date,date\n1,2\n", "twice"),
    ],
)  # fmt: skip
def test_what_is_no_such_file(tmp_path: Path, kind: Kind, content: bytes, said: str) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    with pytest.raises(FaultyFile, match=said):
        read_rows(file, kind)


def test_the_columns_are_those_of_the_backend(studio: Studio) -> None:
    for kind, layout in LAYOUTS.items():
        found = studio.db.execute(f"select array(select jsonb_object_keys(private.{kind[:-1]}_columns()))").fetchone()
        assert found is not None
        assert set(layout.columns) == set(found[0])


def test_no_cell_is_a_formula_and_none_is_changed(tmp_path: Path) -> None:
    texts = ["=1+1", "'=1+1", "''@x", "+91 98", "-", "it's", "'quoted'", "@", "a=b", ""]
    empty = dict.fromkeys(LAYOUTS["bookings"].columns)
    file = tmp_path / "bookings.csv"
    file.write_bytes(to_csv("bookings", [{**empty, "notes": text, "id": "x"} for text in texts]))
    written = [row["notes"] for row in csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")))]
    assert not any(cell[:1] in tuple("=+-@") for cell in written if cell)
    assert [row["notes"] for row in read_rows(file, "bookings")] == texts


def test_calendars_of_classes_and_schedules(
    busy: Studio, database: Database, capfd: pytest.CaptureFixture[str]
) -> None:
    window = ("--from", str(busy.monday), "--to", str(busy.day(13)), "--format", "ics", "--db-url", database.dsn)

    def events(kind: str) -> set[tuple[datetime, UUID | str]]:
        out, _ = _run(capfd, "export", kind, *window)
        return {
            (event.start.astimezone(UTC), str(event["summary"])) for event in icalendar.Calendar.from_ical(out).events
        }

    def at(day: date, hour: int) -> datetime:
        return datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo("Europe/Paris")).astimezone(UTC)

    assert events("assignments") == {(at(busy.day(1), 10), "Hatha")}
    assert events("schedules") == {(at(busy.day(8), 10), "Hatha")}
    documents = json.loads(_run(capfd, "export", "assignments", "--format", "json", "--db-url", database.dsn)[0])
    assert [row["class_status"] for row in documents] == ["scheduled", "cancelled", "scheduled", "scheduled"]
    assert (
        len(
            json.loads(
                _run(
                    capfd,
                    "export",
                    "assignments",
                    "--format",
                    "json",
                    "--from",
                    str(busy.day(3)),
                    "--db-url",
                    database.dsn,
                )[0]
            )
        )
        == 2
    )
    _run(capfd, "export", "schedules", "--from", str(busy.monday), "--db-url", database.dsn, code=2)
    _run(capfd, "export", "bookings", "--output", "/nowhere/file.csv", "--db-url", database.dsn, code=3)
