"""Override groups: who may overlap whom, for how long, and who may say so."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.ledger import Ledger, add_participants
from tests.support.rest import Rest
from tests.support.world import World

DAY = timedelta(days=1)


@pytest.fixture
def room(ledger: Ledger) -> UUID:
    return ledger.place("Hall")


def members(*happenings: UUID, table: str = "meetings") -> Jsonb:
    return Jsonb([{"source_table": table, "source_id": str(one)} for one in happenings])


def test_members_overlap_and_strangers_do_not(ledger: Ledger, room: UUID) -> None:
    algebra, geometry = ledger.meeting("Algebra", room), ledger.meeting("Geometry")
    with refused("time_conflict"):
        add_participants(ledger.db, geometry, room)
    override = ledger.override(algebra, geometry)
    add_participants(ledger.db, geometry, room)
    with refused("time_conflict") as refusal:
        ledger.meeting("Choir", room, start_time="09:30", end_time="11:00")
    assert refusal.details["count"] == 2
    keys = ledger.one("select array_agg(distinct share_key) from public.claims")
    assert keys == [override]
    # A member by itself moves as it likes, and meets strangers as before.
    ledger.meeting("Choir", room, start_time="11:00", end_time="12:00")
    with refused("time_conflict"):
        ledger.db.execute("update public.meetings set end_time = '11:30' where id = %s", [geometry])
    assert ledger.faults() == []


def test_it_may_be_granted_before_its_members_are_written(ledger: Ledger, room: UUID) -> None:
    named = [uuid4() for _ in range(3)]
    ledger.override(*named)
    for meeting in named:
        ledger.meeting("Section", room, id=meeting)
    assert ledger.one("select count(*) from public.claims") == 3
    assert ledger.faults() == []


def test_rules_and_meetings_in_one_group(ledger: Ledger, room: UUID) -> None:
    rule = ledger.rule("Yoga", room)
    exam = ledger.meeting("Exam", date=ledger.day + 7 * DAY)
    both = [
        {"source_table": "weekly_rules", "source_id": str(rule)},
        {"source_table": "meetings", "source_id": str(exam)},
    ]
    override = ledger.one("select id from public.grant_override(%s, 'Guests')", Jsonb(both))
    add_participants(ledger.db, exam, room)
    # Two rules may share their time for ever, beyond the horizon too.
    choir = ledger.rule("Choir", effective=f"[{ledger.day},)", start_time="09:30")
    ledger.db.execute("insert into public.override_members values (%s, 'weekly_rules', %s)", [override, choir])
    ledger.db.execute("insert into public.weekly_rule_resources values (%s, %s)", [choir, room])
    with refused("time_conflict"):
        ledger.rule("Drums", room, effective=f"[{ledger.day + 1000 * DAY},)", start_time="09:45")
    with refused("time_conflict"):
        ledger.db.execute("select public.revoke_override(%s)", [override])
    assert ledger.faults() == []


def test_it_covers_what_starts_before_it_ends(ledger: Ledger, room: UUID) -> None:
    """Which key a claim has depends on when it starts, so that nothing has to be taken back on the day."""
    ends = datetime.combine(ledger.day + DAY, time(9), UTC)
    early, late = ([ledger.meeting(f"{title} {n}", date=ledger.day + n * DAY) for n in (0, 1)] for title in ("A", "B"))
    ledger.override(*early, *late, expires_at=ends)
    for meeting in (early[0], late[0]):
        add_participants(ledger.db, meeting, room)
    add_participants(ledger.db, early[1], room)
    with refused("time_conflict"):  # it starts at that very moment
        add_participants(ledger.db, late[1], room)
    # Two rules: allowed up to then, refused after.
    one, other = (
        ledger.rule("Yoga", start_time="14:00", end_time="15:00"),
        ledger.rule("Choir", start_time="14:00", end_time="15:00"),
    )
    ledger.override(one, other, table="weekly_rules", expires_at=ends + 1000 * DAY)
    ledger.db.execute("insert into public.weekly_rule_resources values (%s, %s)", [one, room])
    with refused("time_conflict") as refusal:
        ledger.db.execute("insert into public.weekly_rule_resources values (%s, %s)", [other, room])
    assert "will be in Yoga" in refusal.message
    ledger.db.execute(
        "update public.weekly_rules set effective = daterange(%s, %s)", [ledger.day, ledger.day + 990 * DAY]
    )
    ledger.db.execute("insert into public.weekly_rule_resources values (%s, %s)", [other, room])
    assert ledger.faults() == []


def test_changing_its_end(ledger: Ledger, room: UUID) -> None:
    one, other = ledger.meeting("One"), ledger.meeting("Other")
    override = ledger.override(one, other)
    for meeting in (one, other):
        add_participants(ledger.db, meeting, room)
    shorten = "update public.overrides set expires_at = %s where id = %s"
    nine = datetime.combine(ledger.day, time(9), UTC)
    with refused("time_conflict"):
        ledger.db.execute(shorten, [nine, override])
    ledger.db.execute(shorten, [nine + timedelta(microseconds=1), override])
    with refused("time_conflict"):
        ledger.db.execute("select public.revoke_override(%s)", [override])
    assert ledger.one("select revoked_at is null from public.overrides")
    for statement in ("delete from public.overrides", "delete from public.override_members"):
        with refused("time_conflict"):
            ledger.db.execute(statement.encode())
    ledger.db.execute("update public.meetings set start_time = '08:00', end_time = '09:00' where id = %s", [one])
    [row] = ledger.db.execute("select * from public.revoke_override(%s)", [override]).fetchall()
    assert ledger.db.execute("select * from public.revoke_override(%s)", [override]).fetchall() == [row]
    assert ledger.one("select count(distinct share_key) from public.claims") == 2
    with refused("time_conflict"):
        ledger.db.execute("update public.meetings set start_time = '09:00', end_time = '10:00' where id = %s", [one])
    assert ledger.faults() == []


def test_what_has_started_goes_on(ledger: Ledger, room: UUID) -> None:
    """Taken back today, it was still right last week."""
    past = ledger.one("select private.today() - 7")
    one, other = (ledger.meeting(title, date=past) for title in ("One", "Other"))
    override = ledger.override(one, other)
    for meeting in (one, other):
        add_participants(ledger.db, meeting, room)
    ledger.db.execute("select public.revoke_override(%s)", [override])
    assert ledger.one("select array_agg(distinct share_key) from public.claims") == [override]
    assert ledger.faults() == []


def test_what_no_override_can_be(ledger: Ledger) -> None:
    one, other = ledger.meeting("One"), ledger.meeting("Other")
    good: dict[str, Any] = {"p_members": members(one, other), "p_reason": "Why not"}
    for wrong, fields in (
        ({"p_reason": " ", "p_members": None, "p_expires_at": "2001-01-01Z"}, {"p_reason", "p_members", "p_expires_at"}),
        ({"p_reason": "x" * 1001}, {"p_reason"}),
        ({"p_reason": None}, {"p_reason"}),
        ({"p_members": members(one)}, {"p_members"}),
        ({"p_members": members(*[one] * 1001)}, {"p_members"}),
        ({"p_members": Jsonb({"source_table": "meetings"})}, {"p_members"}),
        ({"p_members": Jsonb([1, {"source_id": str(one)}, {"source_table": "meetings", "source_id": "1"}])},
         {"p_members[0]", "p_members[1]", "p_members[2]"}),
        ({"p_expires_at": "-infinity"}, {"p_expires_at"}),
    ):  # fmt: skip
        with refused("invalid_input") as refusal:
            call(ledger.db, None, "grant_override", **{**good, **wrong})
        assert refusal.fields == fields, wrong
    for table in ("settings", "claims", "no; drop table x", ""):
        with refused("invalid_input") as refusal:
            call(ledger.db, None, "grant_override", **{**good, "p_members": members(one, other, table=table)})
        assert refusal.details["field"] == "source_table"
    assert ledger.one("select count(*) from public.overrides") == 0
    override = ledger.override(one, other)
    for change in ("id = gen_random_uuid()", "granted_at = granted_at - interval '1 day'", "expires_at = granted_at"):
        with refused("invalid_input"):
            ledger.db.execute(f"update public.overrides set {change}".encode())
    with pytest.raises(psycopg.errors.CheckViolation):
        ledger.db.execute("update public.overrides set reason = '  ' where id = %s", [override])


def test_who_may(ledger: Ledger, rest: Rest) -> None:
    world = World(ledger.db)
    one, other = ledger.meeting("One"), ledger.meeting("Other")
    body = {
        "p_members": [{"source_table": "meetings", "source_id": str(meeting)} for meeting in (one, other)],
        "p_reason": "Cross-listed", "p_idempotency_key": "once",
    }  # fmt: skip
    for role in ("member", "instructor", "staff"):
        refusal = rest.post("/rpc/grant_override", body, user=world.user(role))
        assert (refusal.status_code, refusal.json()["code"]) == (403, "forbidden")
    manager, staff = world.user("manager"), world.user("staff")
    [made] = rest.post("/rpc/grant_override", body, user=manager).json()
    assert made["granted_by"] == str(manager.id)
    for zone in ("UTC", "Asia/Tokyo"):
        said = {"Prefer": f"timezone={zone}"}
        [again] = rest.post("/rpc/grant_override", body, user=manager, headers=said).json()
        assert again["id"] == made["id"]
    assert (
        rest.post("/rpc/grant_override", {**body, "p_idempotency_key": "twice"}, user=manager).json()["code"]
        == "duplicate"
    )
    path = f"/overrides?id=eq.{made['id']}"
    assert [row["reason"] for row in rest.get(path, user=staff).json()] == ["Cross-listed"]
    assert rest.get(path, user=world.user("member")).json() == []
    assert rest.patch(path, {"reason": "Because"}, user=staff).json() == []
    assert rest.patch(path, {"reason": "Because"}, user=manager).json()[0]["reason"] == "Because"
    assert rest.patch(path, {"granted_by": None}, user=manager).status_code == 403
    assert rest.post("/rpc/revoke_override", {"p_override_id": made["id"]}, user=staff).status_code == 403
    assert rest.post("/rpc/revoke_override", {"p_override_id": str(one)}, user=manager).json()["code"] == "not_found"
    assert rest.post("/rpc/revoke_override", {"p_override_id": made["id"]}, user=manager).json()[0]["revoked_at"]
