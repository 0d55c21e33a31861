"""Meetings: their time, what is wrong with it said at once, and what callers may write of them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import psycopg
import pytest

from tests.support.calls import call, refused
from tests.support.ledger import Ledger
from tests.support.rest import Rest
from tests.support.world import World

DAY = timedelta(days=1)


def test_instants_are_worked_out(ledger: Ledger) -> None:
    """Whatever is written into them, and whichever of date, times and zone changes."""
    meeting = ledger.meeting("Exam", time_zone="Asia/Tokyo", starts_at="2001-01-01", ends_at="2001-01-02")

    def when() -> tuple[Any, ...]:
        row = ledger.db.execute("select starts_at, ends_at from public.meetings where id = %s", [meeting]).fetchone()
        assert row is not None
        return row

    midnight = datetime.combine(ledger.day, time(), UTC)
    hour = timedelta(hours=1)
    assert when() == (midnight, midnight + hour)
    for change, expected in {
        "starts_at = '2001-01-01', ends_at = 'infinity'": (midnight, midnight + hour),
        "time_zone = 'UTC'": (midnight + 9 * hour, midnight + 10 * hour),
        "end_time = '24:00'": (midnight + 9 * hour, midnight + 24 * hour),
        "ends_on = date + 31, end_time = '09:00'": (midnight + 9 * hour, midnight + 31 * DAY + 9 * hour),
        "date = date + 1, ends_on = null, end_time = '09:00:00.000001'": (
            midnight + DAY + 9 * hour, midnight + DAY + 9 * hour + timedelta(microseconds=1),
        ),
    }.items():  # fmt: skip
        ledger.db.execute(f"update public.meetings set {change}".encode())
        assert when() == expected, change


def test_a_zone_left_out_is_the_organisations(ledger: Ledger) -> None:
    ledger.db.execute("update public.settings set value = '\"Asia/Tokyo\"' where key = 'organisation_time_zone'")
    meeting = ledger.meeting("Exam")
    ledger.db.execute("update public.settings set value = '\"UTC\"' where key = 'organisation_time_zone'")
    # It was written down, so that moving the organisation moves no meeting.
    ledger.db.execute("update public.meetings set title = 'Test', end_time = '11:00'")
    assert ledger.one("select time_zone from public.meetings where id = %s", meeting) == "Asia/Tokyo"


# What is wrong, and the fields that say so; over the function their names carry p_.
WRONG: list[tuple[dict[str, Any], set[str]]] = [
    ({"date": None, "start_time": None, "end_time": None, "time_zone": "Mars/Base"}, {"date", "start_time", "end_time", "time_zone"}),
    ({"date": "1969-12-31"}, {"date"}),
    ({"date": "2200-01-01"}, {"date"}),
    ({"date": "infinity"}, {"date"}),
    ({"date": "-infinity"}, {"date"}),
    ({"date": "5874897-12-31"}, {"date"}),
    ({"date": "4713-01-01 BC"}, {"date"}),
    ({"date": "1969-12-31", "time_zone": "EST5EDT", "start_time": None}, {"date", "time_zone", "start_time"}),
    ({"end_time": "09:00"}, {"end_time"}),
    ({"end_time": "08:59:59.999999"}, {"end_time"}),
    ({"start_time": "24:00", "end_time": "24:00"}, {"end_time"}),
    ({"days": -1}, {"ends_on"}),
    ({"days": 32}, {"ends_on"}),
    ({"days": 31, "end_time": "09:00:01"}, {"ends_on"}),
    ({"ends_on": "infinity"}, {"ends_on"}),
    ({"time_zone": "UTC+3"}, {"time_zone"}),
    ({"time_zone": ""}, {"time_zone"}),
]  # fmt: skip


def test_everything_wrong_is_said_at_once(ledger: Ledger) -> None:
    """By the table and by the function alike, and nothing is left behind."""
    for wrong, fields in WRONG:
        given = {"date": ledger.day, "start_time": "09:00", "end_time": "10:00", **wrong}
        if "days" in given:
            given["ends_on"] = ledger.day + given.pop("days") * DAY
        with refused("invalid_input") as refusal:
            ledger.meeting("Exam", **given)
        assert refusal.fields == fields, wrong
        with refused("invalid_input") as refusal:
            call(
                ledger.db,
                None,
                "schedule_meeting",
                p_title="Exam",
                **{f"p_{name}": value for name, value in given.items()},
            )
        assert refusal.fields == {f"p_{field}" for field in fields}, wrong
    with refused("invalid_input") as refusal:
        call(
            ledger.db, None, "schedule_meeting", p_title=" ", p_date=None, p_start_time=None, p_end_time=None,
            p_kind="Big One", p_resource_ids=[None], p_rule_id=ledger.rule("Yoga"), p_notes="x" * 10001,
        )  # fmt: skip
    assert refusal.fields == {
        "p_title", "p_date", "p_start_time", "p_end_time", "p_kind", "p_resource_ids", "p_occurs_on", "p_notes"
    }  # fmt: skip
    assert ledger.one("select count(*) from public.meetings") == 0


def test_31_days_by_the_clock(ledger: Ledger) -> None:
    """Exactly 31 days fit, where the clock goes forward meanwhile and where it does not; with an hour more they do not."""
    zone = "Europe/Paris"
    ledger.meeting("Retreat", date="2026-03-10", ends_on="2026-04-10", time_zone=zone, end_time="09:00")
    with refused("invalid_input") as refusal:
        ledger.meeting("Retreat", date="2026-10-10", ends_on="2026-11-10", time_zone=zone, end_time="09:00")
    assert refusal.fields == {"ends_on"}
    ledger.meeting("Retreat", date="2026-10-10", ends_on="2026-11-10", time_zone=zone, end_time="08:00")


def test_the_first_and_the_last_day_there_is(ledger: Ledger) -> None:
    """Dates are those of the place, so the first of 1970 in Tokyo is one although it is 1969 in Greenwich."""
    room = ledger.place()
    ledger.meeting("First", room, date="1970-01-01", start_time="00:00", time_zone="Asia/Tokyo")
    ledger.meeting("Last", date="2199-12-31", end_time="24:00", time_zone="Etc/GMT+12")
    assert ledger.faults() == []


def test_other_bounds(ledger: Ledger) -> None:
    for columns, constraint in {
        ("capacity", -1): "capacity_is_not_negative",
        ("enrolled", -1): "enrolled_is_not_negative",
        ("status", "done"): "status_is_known",
        ("kind", "Big Exam"): "kind_is_snake_case",
        ("title", "  Exam"): "title_is_given",
        ("title", "x" * 501): "title_is_given",
        ("notes", "x" * 10001): "texts_are_short",
    }.items():
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            ledger.meeting("Exam", **{columns[0]: columns[1]}) if columns[0] != "title" else ledger.meeting(columns[1])
        assert caught.value.diag.constraint_name == constraint


def test_scheduling_in_one_go(ledger: Ledger) -> None:
    ann, room = ledger.person(), ledger.place()
    [made] = call(
        ledger.db, None, "schedule_meeting", p_title="  Exam\a ", p_date=ledger.day, p_start_time="23:00",
        p_end_time="01:00", p_ends_on=ledger.day + DAY, p_resource_ids=[ann, room, ann], p_kind="exam",
    )  # fmt: skip
    assert ledger.one("select count(*) from public.claims where source_id = %s", made["id"]) == 2
    with refused("not_found") as refusal:
        call(
            ledger.db, None, "schedule_meeting", p_title="Exam", p_date=ledger.day, p_start_time="09:00", p_end_time="10:00",
            p_resource_ids=[ann, made["id"]],
        )  # fmt: skip
    assert refusal.details["missing"] == [str(made["id"])]
    with refused("not_found") as refusal:
        call(
            ledger.db, None, "schedule_meeting", p_title="Exam", p_date=ledger.day, p_start_time="09:00", p_end_time="10:00",
            p_rule_id=made["id"], p_occurs_on=ledger.day,
        )  # fmt: skip
    assert refusal.details["field"] == "p_rule_id"
    assert ledger.one("select count(*) from public.meetings") == 1


def test_taking_a_date_over(ledger: Ledger) -> None:
    """The substitute and the room are claimed, the teacher is free; the room was the rule's until that moment."""
    ann, ben, room = ledger.person("Ann"), ledger.person("Ben"), ledger.place()
    rule = ledger.rule("Yoga", ann, room)
    substitute = {
        "p_title": "Yoga", "p_date": ledger.day, "p_start_time": "09:00", "p_end_time": "10:00", "p_rule_id": rule,
        "p_resource_ids": [ben, room],
    }  # fmt: skip
    with refused("invalid_input") as refusal:
        call(ledger.db, None, "schedule_meeting", **substitute, p_occurs_on=ledger.day + DAY)
    assert refusal.details["field"] == "occurs_on"
    [made] = call(ledger.db, None, "schedule_meeting", **substitute, p_occurs_on=ledger.day)
    claimed = ledger.db.execute("select resource_id from public.claims where occurs_on = %s", [ledger.day]).fetchall()
    assert {row[0] for row in claimed} == {ben, room}
    ledger.meeting("Dentist", ann)
    with refused("illegal_transition"):
        ledger.db.execute("select public.restore_occurrence(%s, %s)", [rule, ledger.day])
    with refused("illegal_transition"):
        ledger.db.execute("select public.cancel_occurrence(%s, %s)", [rule, ledger.day])
    with refused("illegal_transition"):
        ledger.db.execute("select public.move_occurrence(%s, %s, %s, '20:00', '21:00')", [rule, ledger.day, ledger.day])
    # The substitute gone, somebody has to say whether the date is held; Ann has other plans meanwhile.
    ledger.db.execute("delete from public.meetings where id = %s", [made["id"]])
    with refused("time_conflict") as refusal:
        ledger.db.execute("select public.restore_occurrence(%s, %s)", [rule, ledger.day])
    assert "Ann is already in Dentist" in refusal.message
    assert ledger.one("select kind from public.cancel_occurrence(%s, %s)", rule, ledger.day) == "cancelled"
    assert ledger.faults() == []


PROTECTED = {
    "version": 7, "created_by": "00000000-0000-0000-0000-000000000001", "created_at": "2001-01-01T00:00Z",
    "updated_at": "2001-01-01T00:00Z", "starts_at": "2001-01-01T00:00Z", "ends_at": "2001-01-01T01:00Z",
}  # fmt: skip


def test_what_callers_may_write_over_rest(ledger: Ledger, rest: Rest) -> None:
    manager = World(ledger.db).user("manager")
    body = {"title": "Exam", "date": str(ledger.day), "start_time": "09:00", "end_time": "10:00"}
    for column, value in PROTECTED.items():
        refusal = rest.post("/meetings", {**body, column: value}, user=manager)
        assert (refusal.status_code, refusal.json()["code"]) == (403, "42501"), column
    chosen = "11111111-2222-4333-8444-555555555555"
    made = rest.post(
        "/meetings", {**body, "id": chosen}, user=manager, headers={"Prefer": "return=representation"}
    ).json()[0]
    assert (made["id"], made["version"], made["created_by"]) == (chosen, 1, str(manager.id))
    again = rest.post("/meetings", {**body, "id": chosen}, user=manager)
    assert (again.status_code, again.json()["code"]) == (409, "23505")
    for column, value in {**PROTECTED, "id": "22222222-2222-4333-8444-555555555555"}.items():
        refusal = rest.patch(f"/meetings?id=eq.{chosen}", {column: value}, user=manager)
        expected = (409, "stale_version") if column == "version" else (403, "42501")
        assert (refusal.status_code, refusal.json()["code"]) == expected, column
    for table in ("claims", "resource_horizons", "overrides", "override_members"):
        for answer in (
            rest.post(f"/{table}", {"id": chosen}, user=manager),
            rest.delete(f"/{table}?limit=1", user=manager),
        ):
            assert answer.status_code in (400, 403), (table, answer.text)
    assert rest.post("/claims", [{"resource_id": chosen}], user="service_role").status_code == 403
    assert rest.delete("/claims?kind=eq.meeting", user="service_role").status_code == 403
    # Not even a server sets the instants, since they are worked out.
    moved = rest.patch(f"/meetings?id=eq.{chosen}", {"starts_at": "2001-01-01T00:00Z"}, user="service_role").json()[0]
    assert moved["starts_at"] == made["starts_at"]


def test_odd_bodies_over_rest(ledger: Ledger, rest: Rest) -> None:
    """Each has a stable code, and nothing is half done."""
    manager, room = World(ledger.db).user("manager"), ledger.place()
    body = {"p_title": "Exam", "p_date": str(ledger.day), "p_start_time": "09:00", "p_end_time": "10:00"}
    for odd, status, code in (
        ({"p_title": "a\0b"}, 400, "22P05"),
        ({"p_date": "294276-12-31"}, 400, "invalid_input"),
        ({"p_date": "9999999-12-31"}, 400, "22008"),
        ({"p_date": "yesterday-ish"}, 400, "22007"),
        ({"p_resource_ids": "x"}, 400, "22P02"),
        ({"p_resource_ids": [str(room)] * 501}, 400, "invalid_input"),
        ({"p_notes": "x" * 10_000_000}, 413, "limit_exceeded"),
        ({"p_resource_ids": [str(room)] * 1_000_000}, 413, "limit_exceeded"),
        ({"p_unknown": 1}, 404, "PGRST202"),
        (
            {"p_title": None, "p_date": None, "p_start_time": None, "p_end_time": None, "p_kind": None},
            400,
            "invalid_input",
        ),
    ):
        answer = rest.post("/rpc/schedule_meeting", {**body, **odd}, user=manager)
        assert (answer.status_code, answer.json()["code"]) == (status, code), (str(odd)[:80], answer.text[:300])
    assert ledger.one("select count(*) from public.meetings") == 0
    many = [
        {"title": f"Exam {n}", "date": str(ledger.day), "start_time": "09:00", "end_time": "10:00"} for n in range(50)
    ]
    many[-1]["end_time"] = "08:00"
    assert rest.post("/meetings", many, user=manager).json()["code"] == "invalid_input"
    assert ledger.one("select count(*) from public.meetings") == 0
