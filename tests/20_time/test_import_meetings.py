"""Importing a timetable: what each mode does, and what a report tells."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.importing import CHAIN, Connection, contents, count, run
from tests.support.ledger import Ledger
from tests.support.timetables import lesson


def meetings(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "select external_ref, title, to_char(date, 'YYYY-MM-DD'), to_char(start_time, 'HH24:MI'), "
        "array(select r.name from public.meeting_participants p join public.resources r on r.id = p.resource_id "
        "where p.meeting_id = m.id order by r.kind) from public.meetings m order by starts_at, title"
    ).fetchall()


def test_rows_become_meetings_of_people_and_places(db: Connection) -> None:
    report = run(db, [
        lesson("7", "Room A", "Ann Lee", capacity="", enrolled=" 12 "),
        lesson("8", "BY ARR ", "", "10:00-24:00", title=" "),
        lesson("9", " Room  A", "ann lee", "10:00-11:00", line=40),
    ])  # fmt: skip
    assert meetings(db) == [
        ("7", "Course 7", "2018-10-01", "09:00", ["Ann Lee", "Room A"]),
        ("8", "C 8", "2018-10-01", "10:00", []),
        ("9", "Course 9", "2018-10-01", "10:00", ["Ann Lee", "Room A"]),
    ]
    assert (report["rows"], report["imported"], report["resources"]) == (3, 3, {"people": 1, "places": 1})
    assert (report["new_people"], report["new_places"]) == (["Ann Lee"], ["Room A"])
    row = db.execute(
        "select course, section, capacity, enrolled, time_zone, starts_at at time zone 'UTC' from public.meetings "
        "where external_ref = '7'"
    ).fetchone()
    assert row is not None
    assert row[:5] == ("C 7", "01", None, 12, "America/New_York")
    assert str(row[5]) == "2018-10-01 13:00:00"
    assert count(db, "claims") == 4


def test_people_get_a_profile_without_login_and_places_a_location(db: Connection) -> None:
    run(db, [lesson("1", "Room A", "Ann Lee")])
    people = db.execute("select full_name, user_id from public.user_profiles").fetchall()
    assert people == [("Ann Lee", None)]
    assert db.execute("select name from public.locations").fetchall() == [("Room A",)]


def test_names_mean_who_is_there_already(db: Connection, ledger: Ledger) -> None:
    ann, room = ledger.person("Ann Lee"), ledger.place("Room A")
    report = run(db, [lesson("1", "ROOM a", "ann  lee"), lesson("2", "Ann Lee", "Room A")])
    assert (report["new_people"], report["new_places"]) == (["Room A"], ["Ann Lee"]), (
        "a place is no person of that name"
    )
    taken = db.execute("select resource_id from public.claims where title = 'Course 1'").fetchall()
    assert {resource for (resource,) in taken} == {ann, room}


def test_of_several_the_one_spelled_so_is_meant_and_then_the_active_one(db: Connection, ledger: Ledger) -> None:
    ledger.person("ANN LEE")
    gone = ledger.person("Ann Lee")
    db.execute("update public.user_profiles set is_active = false where id = %s", [gone])
    ann = ledger.person("Ann Lee")
    run(db, [lesson("1", "", "Ann Lee")])
    assert db.execute("select resource_id from public.claims").fetchall() == [(ann,)]


def test_whom_nobody_can_tell_apart_is_a_fault(db: Connection, ledger: Ledger) -> None:
    ledger.person("Ann Lee")
    ledger.person("Ann Lee")
    before = contents(db)
    with refused("invalid_input") as refusal:
        run(db, [lesson("1", "", "Bo"), lesson("2", "", "Ann Lee")])
    [error] = refusal.details["errors"]
    assert (error["row"], error["line"], error["column"], error["value"]) == (2, 3, "instructor", "Ann Lee")
    assert contents(db) == before


def test_a_dry_run_tells_everything_and_changes_nothing(db: Connection, ledger: Ledger) -> None:
    room = ledger.place("Room A")
    standing = ledger.meeting(
        "Standing", room, date="2018-10-01", start_time="10:45", end_time="12:00", time_zone="America/New_York"
    )
    before = contents(db)
    report = run(db, CHAIN, p_dry_run=True)
    assert contents(db) == before
    assert report["overlaps"] == {"place": {"meetings": 2, "pairs": 2}, "person": {"meetings": 1, "pairs": 1}}
    assert report["ledger_overlaps"] == {"place": 1, "person": 0}
    assert (report["dry_run"], report["refused"], report["imported"], report["overlapping_total"]) == (True, True, 0, 4)
    told = [
        (o["row"], o["kind"], o["resource"], o["with"].get("row"), o["with"].get("title"))
        for o in report["overlapping"]
    ]
    assert told == [
        (2, "place", "Room A", 1, "Course 1"),
        (3, "place", "Room A", 2, "Course 2"),
        (3, "place", "Room A", None, "Standing"),
        (4, "person", "Ann", 1, "Course 1"),
    ]
    [ours] = [o for o in report["overlapping"] if "source_id" in o["with"]]
    assert (ours["with"]["source_table"], ours["with"]["source_id"]) == ("meetings", str(standing))
    assert ours["crn"] == "3"
    assert (ours["date"], ours["start_time"], ours["end_time"], ours["line"]) == ("2018-10-01", "10:00", "11:00", 4)


@pytest.mark.parametrize(
    ("mode", "imported", "refuses"), [("refuse", 0, True), ("skip", 2, False), ("override", 4, False)]
)
def test_a_dry_run_foretells_each_mode(db: Connection, mode: str, imported: int, refuses: bool) -> None:
    foretold = run(db, CHAIN, mode, p_dry_run=True)
    assert (foretold["imported"], foretold["refused"]) == (imported, refuses)
    if not refuses:
        done = run(db, CHAIN, mode)
        assert {**done, "dry_run": True} == foretold
        assert count(db, "meetings") == imported


def test_refusing_leaves_nothing_and_names_every_pair(db: Connection) -> None:
    before = contents(db)
    with refused("time_conflict") as refusal:
        run(db, CHAIN)
    assert contents(db) == before
    assert refusal.details["count"] == 3
    assert [(c["row"], c["with"]["row"]) for c in refusal.details["conflicts"]] == [(2, 1), (3, 2), (4, 1)]
    assert refusal.details["report"]["imported"] == 0
    assert "Room A" in refusal.message
    assert "line 2" in refusal.message


def test_skipping_takes_rows_in_order_and_says_what_kept_each_out(db: Connection, ledger: Ledger) -> None:
    report = run(db, CHAIN, "skip")
    assert [title for _, title, *_ in meetings(db)] == ["Course 1", "Course 3"]
    told = [(o["row"], o["crn"], o["kind"], o["resource"], o["with"]["row"]) for o in report["left_out"]]
    assert told == [(2, "2", "place", "Room A", 1), (4, "4", "person", "Ann", 1)]
    assert ledger.faults() == []


def test_skipping_leaves_out_what_the_ledger_has_taken(db: Connection, ledger: Ledger) -> None:
    ann = ledger.person("Ann")
    ledger.meeting(
        "Standing", ann, date="2018-10-01", start_time="09:15", end_time="09:20", time_zone="America/New_York"
    )
    report = run(db, CHAIN, "skip")
    told = {o["row"]: o["with"]["title"] for o in report["left_out"]}
    assert told == {1: "Standing", 3: "Course 2", 4: "Standing"}
    assert report["imported"] == 1


def test_overriding_makes_one_group_of_each_cluster(db: Connection, ledger: Ledger) -> None:
    apart = lesson("5", "Room C", "Di")
    report = run(db, [*CHAIN, apart], "override", p_label="Fall 2018")
    assert (report["imported"], report["overrides"]) == (5, {"groups": 1, "meetings": 4})
    groups = db.execute(
        "select o.reason, array_agg(m.title order by m.title) from public.override_members s "
        "join public.overrides o on o.id = s.override_id join public.meetings m on m.id = s.source_id group by o.id"
    ).fetchall()
    assert groups == [("Fall 2018", ["Course 1", "Course 2", "Course 3", "Course 4"])]
    assert ledger.faults() == []
    ann = ledger.one("select id from public.resources where name = 'Ann'")
    with refused("time_conflict"):
        ledger.meeting(
            "Stranger", ann, date="2018-10-01", start_time="09:00", end_time="09:10", time_zone="America/New_York"
        )


def test_overriding_takes_happenings_of_the_ledger_and_their_groups_in(db: Connection, ledger: Ledger) -> None:
    """Two groups, each of a meeting and a weekly rule that overlap, are joined by one imported row."""
    room, hall = ledger.place("Room A"), ledger.place("Hall")
    morning: dict[str, Any] = {"start_time": "09:00", "end_time": "10:00", "time_zone": "America/New_York"}
    for place, letter in ((room, "A"), (hall, "B")):
        rule = ledger.rule(f"Rule {letter}", effective="[2018-09-01,2018-11-01)", weekday=1, **morning)
        meeting = ledger.meeting(f"Meeting {letter}", date="2018-10-01", **morning)
        members = [
            {"source_table": "meetings", "source_id": str(meeting)},
            {"source_table": "weekly_rules", "source_id": str(rule)},
        ]
        db.execute("select public.grant_override(%s, %s)", [Jsonb(members), f"Reason {letter}"])
        db.execute("insert into public.weekly_rule_resources values (%s, %s)", [rule, place])
        db.execute("insert into public.meeting_participants values (%s, %s)", [meeting, place])
    ledger.meeting("Alone", ledger.person("Ann"), date="2018-10-01", **morning)
    report = run(db, [lesson("1", "Room A", "Ann"), lesson("1", "Hall", "Ann")], "override", p_label="Fall 2018")
    assert report["overrides"] == {"groups": 1, "meetings": 2}
    groups = db.execute(
        "select o.reason, count(*) from public.override_members s join public.overrides o on o.id = s.override_id group by o.id"
    ).fetchall()
    assert groups == [("Fall 2018; before that: Reason A; Reason B", 7)]
    keys = db.execute("select count(distinct share_key) from public.claims").fetchone()
    assert keys == (1,)
    assert ledger.faults() == []


def test_rows_of_one_crn_may_overlap_in_every_mode(db: Connection, ledger: Ledger) -> None:
    rows = [
        lesson("1", "Room A", "Ann", "09:00-12:00"),
        lesson("1", "Room A", "Ann", "09:00-10:00"),
        lesson("1", "Room B", "Ann", "09:00-12:00"),
    ]
    assert run(db, rows, p_dry_run=True)["overlaps"]["place"] == {"meetings": 0, "pairs": 0}
    report = run(db, rows, p_label="Fall 2018")
    assert (report["imported"], report["overrides"]) == (3, {"groups": 1, "meetings": 3})
    assert db.execute("select reason from public.overrides").fetchall() == [("Fall 2018: rows of one crn at once",)]
    assert ledger.faults() == []


def test_another_row_of_a_section_joins_the_group_it_has(db: Connection, ledger: Ledger) -> None:
    rows = [lesson("1", "Room A", times="09:00-12:00"), lesson("1", "Room A", times="09:00-10:00")]
    run(db, rows)
    report = run(db, [*rows, lesson("1", "Room A", times="11:00-12:30")], "skip")
    assert (report["imported"], report["unchanged"], report["left_out"]) == (1, 2, [])
    groups = db.execute("select override_id, count(*) from public.override_members group by 1").fetchall()
    assert [members for _, members in groups] == [3]
    assert count(db, "overrides") == 1
    assert ledger.faults() == []


def test_rows_without_crn_are_no_section(db: Connection) -> None:
    with refused("time_conflict"):
        run(db, [lesson("", "Room A", title="One"), lesson("", "Room A", title="Two")])


def test_the_same_file_again_changes_nothing(db: Connection) -> None:
    first = run(db, CHAIN, "override")
    before = contents(db)
    for mode in ("refuse", "skip", "override"):
        again = run(db, CHAIN, mode)
        assert (again["imported"], again["unchanged"], again["left_out"]) == (0, 4, [])
        assert again["overlaps"] == first["overlaps"]
    assert contents(db) == before


def test_what_a_person_changed_since_stays_changed(db: Connection) -> None:
    run(db, [lesson("1", "Room A"), lesson("2", "Room B")])
    db.execute("update public.meetings set start_time = '15:00', end_time = '16:00' where external_ref = '1'")
    db.execute("update public.meetings set status = 'cancelled' where external_ref = '2'")
    again = run(
        db,
        [lesson("1", "Room A"), lesson("2", "Room B", enrolled="9"), lesson("3", "Room A", times="15:30-16:30")],
        "skip",
    )
    assert (again["imported"], again["unchanged"]) == (0, 2)
    [left_out] = again["left_out"]
    assert (left_out["row"], left_out["with"]["title"]) == (3, "Course 1"), "the ledger counts, not the file"
    assert db.execute("select status, enrolled from public.meetings where external_ref = '2'").fetchall() == [
        ("cancelled", 8)
    ]


def test_a_row_that_says_the_same_again_is_told_once(db: Connection) -> None:
    report = run(db, [lesson("1", "Room A"), lesson("1", "room a", enrolled="9"), lesson("1", "Room A", title="Other")])
    assert (report["rows"], report["imported"], report["repeated"]) == (3, 2, 1)
    assert count(db, "meetings") == 2


def test_back_to_back_is_free_and_clocks_that_change_are_known(db: Connection) -> None:
    report = run(db, [
        lesson("1", "Room A", times="00:30-03:00", date="2018-03-11"),
        lesson("2", "Room A", times="03:00-04:00", date="2018-03-11"),
        lesson("3", "Room A", times="23:00-24:00", date="2018-11-03"),
        lesson("4", "Room A", times="00:00-01:30", date="2018-11-04"),
        lesson("5", "Room A", times="01:30-03:00", date="2018-11-04"),
    ])  # fmt: skip
    assert report["imported"] == 5
    lasts = db.execute("select ends_at - starts_at from public.meetings order by external_ref").fetchall()
    assert [length.total_seconds() / 3600 for (length,) in lasts] == [1.5, 1, 1, 1.5, 2.5]


def test_the_zone_is_the_organisations_by_default(db: Connection) -> None:
    db.execute("update public.settings set value = '\"Asia/Tokyo\"' where key = 'organisation_time_zone'")
    [answer] = call(db, None, "import_meetings", p_rows=Jsonb([lesson("1")]))
    assert answer["import_meetings"]["time_zone"] == "Asia/Tokyo"
    assert db.execute(
        "select time_zone, extract(hour from starts_at at time zone 'UTC') from public.meetings"
    ).fetchall() == [("Asia/Tokyo", 0)]
