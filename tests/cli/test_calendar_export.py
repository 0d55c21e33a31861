"""`classbase calendar` and `classbase export calendar`, on a year with two clock changes."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import ics
import psycopg
import pytest

from classbase.calendar.entries import parse_week
from classbase.cli.app import run
from tests.support.server import Database

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def organised(database: Database) -> Database:
    """A year of weekly classes in New York with a cancelled, a moved and a taken-over date, and a night shift."""
    db = database.connect()
    db.execute("update public.settings set value = '\"America/New_York\"' where key = 'organisation_time_zone'")
    room = _one(db, "insert into public.locations (name) values ('DSB 104') returning id")
    zoe = _one(db, "insert into public.user_profiles (full_name) values ('Zoe') returning id")
    other = _one(db, "insert into public.user_profiles (full_name) values ('=Zoé, the [other]') returning id")
    start = _one(db, "select private.today()")
    rule = _one(
        db,
        "select id from public.create_weekly_rule('Algebra', %s, 0, '01:15', '02:45', p_from => %s)",
        [zoe, room],
        start,
    )
    dates = [row[0] for row in db.execute("select distinct occurs_on from public.claims order by 1").fetchall()]
    db.execute("select public.cancel_occurrence(%s, %s)", [rule, dates[1]])
    db.execute(
        "select public.move_occurrence(%s, %s, %s, '20:00', '21:00')", [rule, dates[2], dates[2] + timedelta(days=1)]
    )
    db.execute(
        "select public.schedule_meeting('Stand-in', %s, '01:15', '02:45', %s, p_rule_id => %s, p_occurs_on => %s)",
        [dates[3], [other, room], rule, dates[3]],
    )
    db.execute(
        "select public.schedule_meeting('Night shift', %s, '22:00', '06:00', %s, p_ends_on => %s)",
        [dates[4] + timedelta(days=2), [other], dates[4] + timedelta(days=3)],
    )
    db.execute("select public.schedule_meeting('To be arranged', %s, '10:00', '11:00')", [dates[4]])
    return database


def _one(db: psycopg.Connection[Any], statement: str, *arguments: Any) -> Any:
    row = db.execute(statement, arguments).fetchone()
    assert row is not None
    return row[0]


def _run(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert run(list(arguments)) == code, capfd.readouterr()
    return capfd.readouterr()


def _instants(database: Database) -> set[tuple[str, datetime, datetime]]:
    rows = database.connect().execute(
        "select title, lower(during), upper(during) from public.claims"
        " union select title, starts_at, ends_at from public.meetings where status = 'scheduled'"
    )
    return {(title, starts.astimezone(UTC), ends.astimezone(UTC)) for title, starts, ends in rows}


def _span() -> tuple[str, str]:
    today = datetime.now(NEW_YORK).date()
    return (today - timedelta(days=2)).isoformat(), (today + timedelta(days=420)).isoformat()


def test_the_ics_read_by_other_programs_gives_the_instants_of_the_database(
    organised: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, last = _span()
    file = tmp_path / "calendar.ics"
    _run(capfd, "export", "calendar", "--from", first, "--to", last, "--output", str(file), "--db-url", organised.dsn)
    wanted = _instants(organised)
    text = file.read_text(encoding="utf-8")
    read = {
        (event.name, event.begin.datetime.astimezone(UTC), event.end.datetime.astimezone(UTC))
        for event in ics.Calendar(text).events
    }
    assert read == wanted
    assert len(wanted) > 50
    parsed = icalendar.Calendar.from_ical(text)
    again = {(str(event["summary"]), event.start.astimezone(UTC), event.end.astimezone(UTC)) for event in parsed.events}
    assert again == wanted
    assert [zone["tzid"] for zone in parsed.timezones] == ["America/New_York"]
    offsets = {event.start.utcoffset() for event in parsed.events}
    assert len(offsets) == 2, "a year has summer and winter"
    assert len({str(event["uid"]) for event in parsed.events}) == len(parsed.events)


def test_uids_stay_the_same_when_a_date_moves(organised: Database, capfd: pytest.CaptureFixture[str]) -> None:
    first, last = _span()
    export = ("export", "calendar", "--from", first, "--to", last, "--db-url", organised.dsn)

    def uids() -> set[str]:
        out, _ = _run(capfd, *export)
        return {str(event["uid"]) for event in icalendar.Calendar.from_ical(out).events}

    before = uids()
    organised.connect().execute(
        "select public.move_occurrence(source_id, occurs_on, occurs_on + 2, '20:00', '21:00') from public.claims"
        " where source_table = 'weekly_rules' and occurs_on = (select max(occurs_on) - 14 from public.claims where source_table = 'weekly_rules') limit 1"
    )
    assert uids() == before


def test_csv_and_json_say_the_same(organised: Database, capfd: pytest.CaptureFixture[str]) -> None:
    first, last = _span()
    export = ("export", "calendar", "--from", first, "--to", last, "--db-url", organised.dsn)
    documents = json.loads(_run(capfd, *export, "--format", "json")[0])
    rows = list(csv.DictReader(io.StringIO(_run(capfd, *export, "--format", "csv")[0])))
    assert [row["starts_at"] for row in rows] == [document["starts_at"] for document in documents]
    assert {
        (row["title"], datetime.fromisoformat(row["starts_at"]), datetime.fromisoformat(row["ends_at"]))
        for row in documents
    } == _instants(organised)
    stand_in = next(row for row in rows if row["title"] == "Stand-in")
    assert stand_in["people"] == "'=Zoé, the [other]", "a spreadsheet must not take a name for a formula"
    assert stand_in["places"] == "DSB 104"


def test_only_one_persons(organised: Database, capfd: pytest.CaptureFixture[str]) -> None:
    first, last = _span()
    out, _ = _run(
        capfd,
        "export",
        "calendar",
        "--from",
        first,
        "--to",
        last,
        "--person",
        "the [other]",
        "--format",
        "json",
        "--db-url",
        organised.dsn,
    )
    assert {row["title"] for row in json.loads(out)} == {"Stand-in", "Night shift"}


def test_the_grid(organised: Database, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    night = _one(organised.connect(), "select date from public.meetings where title = 'Night shift'")
    year, week, _ = night.isocalendar()
    show = ("calendar", "--week", f"{year}-W{week:02d}", "--db-url", organised.dsn)
    out, _ = _run(capfd, *show)
    assert "Night shift" in out
    assert "22:00–…" in out
    assert "…–06:00" in out
    assert f"week {week} of {year}" in out
    assert "America/New_York" in out
    listed = json.loads(_run(capfd, *show, "--json")[0])
    assert "Night shift" in {row["title"] for row in listed}
    out, _ = _run(capfd, "calendar", "--week", "1999-W52", "--person", "Zoe", "--db-url", organised.dsn)
    assert "nothing" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("calendar", "--week", "2018-W54"), "no week 54"),
        (("calendar", "--week", "last"), "2018-W40"),
        (("calendar", "--person", "Nobody"), "No person is called Nobody"),
        (("calendar", "--person", "zo"), "could be several"),
        (("calendar", "--place", "Zoe"), "No place is called Zoe"),
        (("calendar", "--time-zone", "Mars/Olympus"), "no time zone"),
        (("export", "calendar", "--from", "2026-02-01", "--to", "2026-01-01"), "--to is before --from"),
    ],
)
def test_what_makes_no_sense_is_said(
    organised: Database, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    _, err = _run(capfd, *arguments, "--db-url", organised.dsn, code=2)
    assert said in err


def test_a_file_that_cannot_be_written(organised: Database, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _, err = _run(
        capfd, "export", "calendar", "--from", "2026-01-01", "--to", "2026-01-02", "--output", str(tmp_path / "no" / "file.ics"),
        "--db-url", organised.dsn, code=3,
    )  # fmt: skip
    assert "cannot be written" in err


@pytest.mark.parametrize(
    ("text", "monday"),
    [
        ("2018-W40", date(2018, 10, 1)),
        ("2020-W53", date(2020, 12, 28)),
        ("2021-w01", date(2021, 1, 4)),
        ("2018W1", date(2018, 1, 1)),
    ],
)
def test_weeks(text: str, monday: date) -> None:
    assert parse_week(text) == monday


@pytest.mark.parametrize("text", ["2021-W53", "2021-W00", "W40", "2018-40", ""])
def test_no_weeks(text: str) -> None:
    with pytest.raises(ValueError, match="week"):
        parse_week(text)
