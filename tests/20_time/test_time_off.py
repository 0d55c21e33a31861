"""Time off: asking for it, its days as instants, cover for what it leaves undone, and who sees what."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.time_off import Db, Row, cancel, covers, decide, meet, request
from tests.support.world import World

# --- requesting -----------------------------------------------------------------------------------------------------


def test_people_request_their_own_and_see_what_it_hits(db: Db, world: World, ana: User, day: date) -> None:
    other = world.user("instructor")
    lesson = meet(db, [ana.profile_id], day)
    meet(db, [other.profile_id], day, "Somebody else's")
    later = meet(db, [ana.profile_id], day + timedelta(days=2), "Talk")
    rows = request(db, ana, ana.profile_id, day, p_ends_on=day + timedelta(days=2), p_reason="  Wedding\x07 ")
    assert [(r["status"], r["source_table"], r["source_id"], r["occurs_on"], r["title"]) for r in rows] == [
        ("requested", "meetings", lesson, day, "Lesson"),
        ("requested", "meetings", later, day + timedelta(days=2), "Talk"),
    ]
    assert len({r["id"] for r in rows}) == 1
    [(reason, created_by, ends_on)] = db.execute("select reason, created_by, ends_on from public.time_off").fetchall()
    assert (reason, created_by, ends_on) == ("Wedding", ana.id, day + timedelta(days=2))
    [alone] = request(db, ana, ana.profile_id, day + timedelta(days=9))
    assert (alone["status"], alone["source_id"], alone["starts_at"]) == ("requested", None, None)


def test_deciders_request_for_others_and_nobody_else_does(db: Db, world: World, ana: User, day: date) -> None:
    for role in ("manager", "admin"):
        request(db, world.user(role), ana.profile_id, day)
    request(db, "service_role", ana.profile_id, day)
    room = world.insert("public.locations", name="Room").id
    request(db, world.user("manager"), room, day)  # a place that is being repaired
    for stranger in ("instructor", "staff", "member", None):
        with refused("forbidden"):
            request(db, world.user(stranger), ana.profile_id, day)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        request(db, "anon", ana.profile_id, day)
    with refused("not_found"):
        request(db, world.user("manager"), uuid4(), day)
    assert db.execute("select count(*) from public.time_off").fetchone() == (4,)


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        ({"p_starts_on": None}, {"p_starts_on"}),
        ({"p_ends_on": "2030-01-06"}, {"p_ends_on"}),
        ({"p_ends_on": "2032-01-08"}, {"p_ends_on"}),
        ({"p_starts_on": "1969-12-31"}, {"p_starts_on", "p_ends_on"}),
        ({"p_starts_on": "-infinity"}, {"p_starts_on"}),
        ({"p_ends_on": "infinity"}, {"p_ends_on"}),
        ({"p_starts_on": "2200-01-01", "p_ends_on": "2200-01-01"}, {"p_starts_on", "p_ends_on"}),
        ({"p_start_time": "12:00", "p_end_time": "12:00"}, {"p_end_time"}),
        ({"p_start_time": "24:00"}, {"p_end_time"}),
        ({"p_time_zone": "Nowhere"}, {"p_time_zone"}),
        ({"p_reason": "x" * 1001}, {"p_reason"}),
        (
            {"p_resource_id": None, "p_ends_on": "2029-01-01", "p_time_zone": "", "p_reason": "x" * 1001},
            {"p_resource_id", "p_ends_on", "p_time_zone", "p_reason"},
        ),
    ],
)
def test_bad_input_names_every_field(db: Db, ana: User, arguments: Row, fields: set[str]) -> None:
    with refused("invalid_input") as refusal:
        call(
            db, ana, "request_time_off",
            **{"p_resource_id": ana.profile_id, "p_starts_on": "2030-01-07", "p_ends_on": None, **arguments},
        )  # fmt: skip
    assert refusal.fields == fields or {"p_starts_on", "p_ends_on"} == fields >= refusal.fields
    assert db.execute("select count(*) from public.time_off").fetchone() == (0,)


def test_a_repeated_call_answers_what_the_first_did(db: Db, ana: User, boss: User, day: date) -> None:
    meet(db, [ana.profile_id], day)
    first = request(db, ana, ana.profile_id, day, p_idempotency_key="k")
    assert request(db, ana, ana.profile_id, day, p_idempotency_key="k") == first
    time_off = first[0]["id"]
    kept = decide(db, boss, time_off, p_claims="keep", p_idempotency_key="k")
    assert decide(db, boss, time_off, p_claims="keep", p_idempotency_key="k") == kept
    gone = cancel(db, boss, time_off, p_idempotency_key="k")
    assert cancel(db, boss, time_off, p_idempotency_key="k") == gone
    with refused("idempotency_mismatch"):
        request(db, ana, ana.profile_id, day, p_reason="x", p_idempotency_key="k")
    with refused("idempotency_mismatch"):
        decide(db, boss, time_off, "refused", p_idempotency_key="k")
    with refused("idempotency_mismatch"):
        cancel(db, boss, time_off, p_note="x", p_idempotency_key="k")
    assert db.execute("select count(*) from public.time_off").fetchone() == (1,)


@pytest.mark.parametrize(
    ("zone", "first", "start", "last", "end", "wanted"),
    [
        ("UTC", "2024-06-03", None, None, None, ("2024-06-03 00:00", "2024-06-04 00:00")),
        ("UTC", "2024-06-03", None, "2024-06-05", None, ("2024-06-03 00:00", "2024-06-06 00:00")),
        ("UTC", "2024-06-03", "13:00", None, None, ("2024-06-03 13:00", "2024-06-04 00:00")),
        ("UTC", "2024-06-03", "13:00", "2024-06-04", "09:30", ("2024-06-03 13:00", "2024-06-04 09:30")),
        ("UTC", "2024-06-03", None, None, "24:00", ("2024-06-03 00:00", "2024-06-04 00:00")),
        ("America/New_York", "2024-03-10", None, None, None, ("2024-03-10 05:00", "2024-03-11 04:00")),
        ("America/New_York", "2024-03-10", None, None, "02:00", ("2024-03-10 05:00", "2024-03-10 07:00")),
        ("America/New_York", "2024-11-03", "01:30", None, None, ("2024-11-03 05:30", "2024-11-04 05:00")),
        ("Australia/Lord_Howe", "2024-10-06", None, None, None, ("2024-10-05 13:30", "2024-10-06 13:00")),
        # A day without midnight begins when the clock lands, where the day before it ends.
        ("Africa/Cairo", "2024-04-26", None, None, None, ("2024-04-25 22:00", "2024-04-26 21:00")),
        ("Africa/Cairo", "2024-04-25", None, None, None, ("2024-04-24 22:00", "2024-04-25 22:00")),
    ],
)
def test_days_are_where_the_person_is(
    db: Db, world: World, zone: str, first: str, start: str | None, last: str | None, end: str | None, wanted: Any
) -> None:
    ana = world.user("instructor", time_zone=zone)
    request(db, ana, ana.profile_id, first, p_start_time=start, p_ends_on=last, p_end_time=end)
    assert db.execute(
        "select to_char(lower(during) at time zone 'UTC', 'YYYY-MM-DD HH24:MI'),"
        " to_char(upper(during) at time zone 'UTC', 'YYYY-MM-DD HH24:MI') from public.time_off where time_zone = %s",
        [zone],
    ).fetchone() == tuple(wanted)


@pytest.mark.parametrize(
    ("zone", "arguments", "field"),
    [
        ("America/New_York", {"p_start_time": "02:30"}, "start_time"),
        ("America/New_York", {"p_end_time": "02:30"}, "end_time"),
        ("Africa/Cairo", {"p_start_time": "00:00"}, "start_time"),
    ],
)
def test_a_time_the_clock_skips_is_refused(db: Db, ana: User, zone: str, arguments: Row, field: str) -> None:
    skipped = {"America/New_York": "2024-03-10", "Africa/Cairo": "2024-04-26"}[zone]
    with refused("invalid_input") as refusal:
        request(db, ana, ana.profile_id, skipped, p_time_zone=zone, **arguments)
    assert refusal.details["field"] == field
    assert "clock skips" in refusal.message


def test_a_day_the_calendar_skips_is_no_day_off(db: Db, ana: User) -> None:
    with refused("invalid_input"):
        request(db, ana, ana.profile_id, "2011-12-30", p_time_zone="Pacific/Apia")
    request(db, ana, ana.profile_id, "2011-12-29", p_ends_on="2011-12-31", p_time_zone="Pacific/Apia")
    assert db.execute("select upper(during) - lower(during) from public.time_off").fetchone() == (timedelta(days=2),)


# --- cover ----------------------------------------------------------------------------------------------------------


def test_covered_means_somebody_else_has_it(db: Db, world: World, ana: User, boss: User, day: date, rest: Rest) -> None:
    ben = world.user("instructor")
    lesson = meet(db, [ana.profile_id], day)
    meet(db, [ana.profile_id], day + timedelta(days=1))
    rows = request(db, ana, ana.profile_id, day, p_ends_on=day + timedelta(days=1))
    decide(db, boss, rows[0]["id"], p_claims="keep")
    path = f"/cover_requests?source_id=eq.{lesson}"
    other = f"/cover_requests?source_id=neq.{lesson}"
    for stranger in (ben, world.user("staff"), world.user("member")):
        assert rest.get("/cover_requests", user=stranger).json() == []
        assert rest.patch(path, {"status": "dropped"}, user=stranger).json() == []
    assert len(rest.get("/cover_requests", user=ana).json()) == 2
    assert rest.patch(path, {"status": "dropped"}, user=ana).json() == []
    still = rest.patch(path, {"status": "covered"}, user=boss)
    assert (still.status_code, still.json()["code"]) == (409, "illegal_transition")
    assert still.json()["message"] == f"Ana is still down for Lesson, {day} 10:00–11:00 UTC"
    db.execute(
        "update public.meeting_participants set resource_id = %s where meeting_id = %s", [ben.profile_id, lesson]
    )
    assert rest.patch(path, {"status": "covered"}, user=boss).json()[0]["status"] == "covered"
    assert rest.patch(other, {"status": "dropped"}, user=boss).json()[0]["status"] == "dropped"
    for closed in (path, other):
        for status in ("open", "covered", "dropped"):
            answer = rest.patch(closed, {"status": status}, user=boss)
            assert answer.status_code in (200, 409)
    assert covers(db) == [("meetings", day, "covered"), ("meetings", day + timedelta(days=1), "dropped")]
    # What a request is for is nobody's to change, and none is made by hand.
    assert rest.patch(path, {"occurs_on": str(day)}, user=boss).status_code == 403
    made = {"time_off_id": str(rows[0]["id"]), "resource_id": str(ana.profile_id), "source_table": "meetings",
            "source_id": str(uuid4()), "occurs_on": str(day)}  # fmt: skip
    assert rest.post("/cover_requests", made, user=boss).status_code == 403
    with refused("forbidden"):
        world.insert("public.cover_requests", **made)
    with refused("invalid_input"):
        db.execute("update public.cover_requests set occurs_on = occurs_on + 1")


def test_deleted_time_off_takes_its_cover_along(db: Db, ana: User, boss: User, day: date) -> None:
    meet(db, [ana.profile_id], day)
    [row] = request(db, ana, ana.profile_id, day)
    decide(db, boss, row["id"], p_claims="keep")
    db.execute("delete from public.time_off")
    assert covers(db) == []


# --- who sees what --------------------------------------------------------------------------------------------------


def test_reasons_are_for_the_person_and_deciders(
    db: Db, world: World, ana: User, boss: User, day: date, rest: Rest
) -> None:
    request(db, ana, ana.profile_id, day, p_reason="Surgery")
    for reader in (ana, boss, world.user("admin"), "service_role"):
        assert [row["reason"] for row in rest.get("/time_off", user=reader).json()] == ["Surgery"]
    for stranger in ("instructor", "staff", "member", None):
        assert rest.get("/time_off", user=world.user(stranger)).json() == []
    assert rest.get("/time_off").status_code == 401
    assert rest.get("/cover_requests").status_code == 401


def test_time_off_is_written_by_its_functions(
    db: Db, world: World, ana: User, boss: User, day: date, rest: Rest
) -> None:
    row = {"resource_id": str(ana.profile_id), "starts_on": str(day), "ends_on": str(day)}
    for caller in (ana, boss, world.user("admin"), None):
        assert rest.post("/time_off", row, user=caller).status_code in (401, 403)
    [made] = rest.post(
        "/rpc/request_time_off", {"p_resource_id": row["resource_id"], "p_starts_on": row["starts_on"]}, user=ana
    ).json()
    path = f"/time_off?id=eq.{made['id']}"
    for caller in (ana, boss, world.user("admin")):
        assert rest.patch(path, {"status": "approved"}, user=caller).status_code == 403
        assert rest.delete(path, user=caller).status_code == 403
    answer = rest.post("/rpc/decide_time_off", {"p_id": made["id"], "p_decision": "approved"}, user=ana)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    answer = rest.post("/rpc/decide_time_off", {"p_id": made["id"], "p_decision": "approved"}, user=boss)
    assert (answer.status_code, answer.json()[0]["status"]) == (200, "approved")
    answer = rest.post("/rpc/cancel_time_off", {"p_id": made["id"]}, user=ana)
    assert (answer.status_code, answer.json()[0]["status"]) == (200, "cancelled")
    # A server may write the table; the rules are the same.
    assert (
        rest.post("/time_off", {**row, "status": "approved"}, user="service_role").json()["code"]
        == "illegal_transition"
    )


def test_an_erased_person_leaves_no_reasons(db: Db, world: World, ana: User, boss: User, day: date) -> None:
    [row] = request(db, ana, ana.profile_id, day, p_reason="Surgery")
    decide(db, boss, row["id"], p_note="Get well")
    call(
        db,
        ana,
        "set_availability",
        p_resource_id=ana.profile_id,
        p_hours=Jsonb([{"weekday": 1, "start_time": "09:00", "end_time": "10:00"}]),
    )
    admin = world.user("admin")
    [document] = call(db, admin, "export_person", p_profile_id=ana.profile_id)
    assert "Surgery" in str(document)
    call(db, admin, "erase_person", p_profile_id=ana.profile_id, p_reason="They asked")
    assert db.execute("select status, reason, note from public.time_off").fetchone() == ("approved", None, None)
    assert db.execute("select count(*) from public.availability_rules").fetchone() == (0,)
    # Whoever decided may go as well.
    call(db, admin, "erase_person", p_profile_id=boss.profile_id, p_reason="They asked")
    assert db.execute("select status, decided_by from public.time_off").fetchone() == ("approved", None)


# --- checks ---------------------------------------------------------------------------------------------------------


def findings(db: Db, check: str) -> list[str]:
    rows = db.execute("select message from public.run_diagnostics(p_checks => %s)", [[check]]).fetchall()
    return [row[0] for row in rows]


def test_work_during_time_off_is_found_unless_it_was_kept(db: Db, ana: User, boss: User, day: date) -> None:
    check = "work_during_time_off"
    meet(db, [ana.profile_id], day, "Known")
    [row] = request(db, ana, ana.profile_id, day)
    assert findings(db, check) == []
    decide(db, boss, row["id"], p_claims="keep")
    assert findings(db, check) == []
    call(
        db, None, "schedule_meeting", p_title="New", p_date=day, p_start_time="14:00", p_end_time="15:00",
        p_resource_ids=[ana.profile_id],
    )  # fmt: skip
    assert findings(db, check) == [f"During time off: Ana in New, {day} 14:00–15:00 UTC"]
    cancel(db, ana, row["id"])
    assert findings(db, check) == []


def test_work_of_the_past_is_not_found(db: Db, ana: User) -> None:
    meet(db, [ana.profile_id], date(2024, 6, 3))
    [row] = request(db, ana, ana.profile_id, "2024-06-03")
    decide(db, None, row["id"], p_claims="keep")
    # The cover nobody settled is.
    assert findings(db, "overdue_cover_requests") == ["Nobody said whether Ana was covered on 2024-06-03"]
    db.execute("delete from public.meeting_participants")
    db.execute("update public.cover_requests set status = 'covered'")
    assert findings(db, "overdue_cover_requests") == []
    meet(db, [ana.profile_id], date(2024, 6, 3))
    assert findings(db, "work_during_time_off") == []
