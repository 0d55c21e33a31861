"""`classbase import meetings`: files that are no timetable, bad rows, every mode, over the database and over REST."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from classbase.cli.app import run
from classbase.importing.csv_file import FaultyFile, read_csv
from tests.support.rest import Rest
from tests.support.server import Database

HEADER = "crn,course,section,title,instructor,location,date,start_time,end_time,capacity,enrolled"
ALGEBRA = "1,M 1,01,Algebra,Zoe,Room 1,2018-09-04,09:00,10:00,20,18"
GEOMETRY = "2,M 2,01,Geometry,Zoe,Room 2,2018-09-04,09:30,10:30,20,18"
MUSIC = "3,A 1,01,Music,Max,BY ARR,2018-09-04,10:00,11:00,,"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "term.csv"


def _import(
    capfd: pytest.CaptureFixture[str], database: Database, file: Path, *options: str, code: int = 0
) -> dict[str, Any]:
    arguments = ["import", "meetings", str(file), "--time-zone", "America/New_York", "--db-url", database.dsn, "--json"]
    assert run([*arguments, *options]) == code
    report: dict[str, Any] = json.loads(capfd.readouterr().out)
    return report


def _titles(database: Database) -> set[str]:
    return {title for (title,) in database.connect().execute("select title from public.meetings").fetchall()}


@pytest.mark.parametrize(
    ("content", "line", "column", "said"),
    [
        (b"", 1, None, "empty"),
        (b"\n\n  \n", 1, None, "empty"),
        (HEADER.encode() + b"\n", 2, None, "nothing below"),
        (HEADER.replace("date,", "").encode() + b"\n1,2\n", 1, "date", "no column date"),
        (HEADER.replace("crn", "date").encode() + b"\n", 1, "date", "twice"),
        (f"{HEADER}\n{ALGEBRA}\n1,2,3\n".encode(), 3, None, "3 fields, the header 11"),
        (
            f"{HEADER}\n{ALGEBRA}\n".encode() + "2,M,01,Café,,,2018-09-04,09:00,10:00,,\n".encode("latin-1"),
            3,
            None,
            "not UTF-8",
        ),
        (f"{HEADER}\n{ALGEBRA}\n".encode("utf-16"), 1, None, "UTF-8"),
        (f"{HEADER}\n1,M,01,Al\0gebra,,,2018-09-04,09:00,10:00,,\n".encode(), 2, None, "NUL"),
        (f'{HEADER}\n{ALGEBRA}\n2,M,01,"Open,,,2018-09-04,09:00,10:00,,\n'.encode(), 3, None, "cannot be read"),
    ],
)
def test_what_is_no_timetable_says_where(
    database: Database,
    file: Path,
    capfd: pytest.CaptureFixture[str],
    content: bytes,
    line: int,
    column: str | None,
    said: str,
) -> None:
    file.write_bytes(content)
    report = _import(capfd, database, file, code=1)
    [error, *_] = report["errors"]
    assert (error["line"], error["column"]) == (line, column)
    assert said in error["reason"]
    assert _titles(database) == set()


def test_two_gigabytes_are_refused_unread(database: Database, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(2 * 1024**3)
    [error] = _import(capfd, database, file, code=1)["errors"]
    assert "2,048 MB" in error["reason"]
    assert "64 MB" in error["reason"]


def test_every_bad_row_is_named_and_nothing_is_imported(
    database: Database, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text(
        "\n".join([
            HEADER, ALGEBRA,
            "2,M 2,01,Geometry,,,2018-02-30,09:30,10:30,,",
            "3,M 3,01,Logic,,,2018-09-04,10:30,09:30,,",
            "4,M 4,01,Topology,,,2018-03-11,02:30,03:30,,",
            "5,M 5,01,Sets,,,2018-09-04,09:30,10:30,x,",
        ]), encoding="utf-8",
    )  # fmt: skip
    report = _import(capfd, database, file, "--on-conflict", "skip", code=1)
    faults = {(error["line"], error["column"]) for error in report["errors"]}
    assert {(3, "date"), (4, "end_time"), (5, "start_time"), (6, "capacity")} <= faults
    assert _titles(database) == set()


def test_the_modes(database: Database, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text("\n".join([HEADER, ALGEBRA, GEOMETRY, MUSIC, ""]), encoding="utf-8-sig")
    dry = _import(capfd, database, file, "--dry-run", code=1)
    assert dry["rows"] == 3
    assert dry["resources"] == {"people": 2, "places": 2}
    assert dry["overlaps"] == {"place": {"meetings": 0, "pairs": 0}, "person": {"meetings": 1, "pairs": 1}}
    assert dry["errors"] == []
    assert _import(capfd, database, file, code=1)["refused"] is True
    assert _titles(database) == set()
    skipped = _import(capfd, database, file, "--on-conflict", "skip")
    assert (skipped["imported"], [row["title"] for row in skipped["left_out"]]) == (2, ["Geometry"])
    assert skipped["left_out"][0]["with"]["line"] == 2
    assert _titles(database) == {"Algebra", "Music"}
    overridden = _import(capfd, database, file, "--on-conflict", "override")
    assert (overridden["imported"], overridden["unchanged"], overridden["overrides"]["groups"]) == (1, 2, 1)
    assert _titles(database) == {"Algebra", "Geometry", "Music"}
    reasons = database.connect().execute("select reason from public.overrides").fetchall()
    assert reasons == [("Import of term.csv",)]
    assert database.connect().execute("select count(*) from public.run_diagnostics()").fetchone() == (0,)


def test_rest_gives_the_same_report(
    database: Database, rest: Rest, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text("\n".join([HEADER, ALGEBRA, GEOMETRY, MUSIC, ""]), encoding="utf-8")
    rows = read_csv(file, HEADER.split(","))
    answer = rest.post(
        "/rpc/import_meetings",
        json={"p_rows": rows, "p_time_zone": "America/New_York", "p_dry_run": True, "p_label": "Import of term.csv"},
        user="service_role",
    )
    assert answer.status_code == 200, answer.text
    assert answer.json() == _import(capfd, database, file, "--dry-run", code=1)


def test_other_headings(database: Database, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text(
        'Day, Begin ,End,What,Who\n2018-09-04,09:00,10:00,Algebra,Zoe\n2018-09-05,9:00,10:00,"Algebra,\n again",Zoe\n',
        encoding="utf-8",
    )
    names = {"date": "day", "start_time": "begin", "end_time": "end", "title": "what", "instructor": "who"}
    names |= dict.fromkeys(("crn", "course", "section", "location", "capacity", "enrolled"), "")
    mapped = [option for ours, theirs in names.items() for option in ("--map", f"{ours}={theirs}")]
    assert _import(capfd, database, file, *mapped)["imported"] == 2
    assert run(["import", "meetings", str(file), "--map", "colour=red", "--db-url", database.dsn]) == 2


def test_people_get_sentences(database: Database, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file.write_text("\n".join([HEADER, ALGEBRA, GEOMETRY, MUSIC]), encoding="utf-8")
    assert run(["import", "meetings", str(file), "--time-zone", "America/New_York", "--db-url", database.dsn]) == 1
    said = capfd.readouterr().out
    assert "line 3, Geometry: Zoe, 2018-09-04 09:30–10:30, is in line 2, Algebra" in said
    assert "Nothing was imported" in said


def test_lines_are_counted_over_quoted_line_breaks(file: Path) -> None:
    file.write_text('a,b\n1,"x\ny"\n2,z\n3\n', encoding="utf-8")
    with pytest.raises(FaultyFile) as caught:
        read_csv(file, ["a", "b"])
    assert [fault.line for fault in caught.value.faults] == [5]
