"""Claims: what they say, that they follow their sources and nothing else, and the bounds they keep."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.calls import refused
from tests.support.ledger import Ledger, add_participants


def written(ledger: Ledger) -> set[tuple[Any, ...]]:
    """Each claim and the transaction that wrote it."""
    return {tuple(row) for row in ledger.db.execute("select c.*, c.xmin::text from public.claims c").fetchall()}


def test_a_meeting_claims_its_participants(ledger: Ledger) -> None:
    ann, room = ledger.person("Ann"), ledger.place("Hall")
    meeting = ledger.meeting("Exam", ann, room, kind="exam")
    nine, ten = (datetime.combine(ledger.day, time(hour), UTC) for hour in (9, 10))
    assert ledger.claims_of(meeting) == [(who, nine, ten) for who in sorted((ann, room))]
    row = ledger.db.execute(
        "select distinct source_table, source_id, occurs_on, kind, title, lower_inc(during), upper_inc(during) from public.claims"
    ).fetchall()
    assert row == [("meetings", meeting, ledger.day, "exam", "Exam", True, False)]


def test_back_to_back_is_free_and_a_minute_more_is_not(ledger: Ledger) -> None:
    ann = ledger.person("Ann")
    ledger.meeting("Algebra", ann)
    ledger.meeting("Geometry", ann, start_time="10:00", end_time="11:00")
    ledger.meeting("Breakfast", ann, start_time="08:00", end_time="09:00")
    for start, end, met in (
        ("10:59", "11:01", "Geometry"),
        ("07:00", "08:01", "Breakfast"),
        ("09:15", "09:30", "Algebra"),
    ):
        with refused("time_conflict") as refusal:
            ledger.meeting("Chat", ann, start_time=start, end_time=end)
        assert refusal.message.startswith(f"Ann is already in {met}, {ledger.day} ")
        assert refusal.details["count"] == 1
    with refused("time_conflict") as refusal:
        ledger.meeting("Retreat", ann, start_time="00:00", end_time="24:00")
    assert refusal.message.endswith(" (and 2 more)")
    titles = [conflict["conflicts_with"]["title"] for conflict in refusal.details["conflicts"]]
    assert titles == ["Breakfast", "Algebra", "Geometry"]
    assert ledger.faults() == []


def test_how_claims_are_planned_is_nothing_to_the_rest_of_the_transaction(ledger: Ledger) -> None:
    """Neither after a change that goes through, few or many, nor after one that is refused."""
    asked = "select current_setting('plan_cache_mode')"
    before = ledger.one(asked)
    ann, rooms = ledger.person("Ann"), [ledger.place(f"Room {number}") for number in range(101)]
    with ledger.db.transaction():
        meeting = ledger.meeting("Algebra", ann)
        assert ledger.one(asked) == before
        with refused("time_conflict"), ledger.db.transaction():
            ledger.meeting("Geometry", ann)
        assert ledger.one(asked) == before
        ledger.db.execute(
            "insert into public.meetings (id, title, date, start_time, end_time)"
            " select id, 'Cleaning', %s, '09:00', '10:00' from unnest(%s::uuid[]) id",
            [ledger.day, rooms],
        )
        assert ledger.one(asked) == before
    assert ledger.claims_of(meeting) != []


def test_a_refused_change_leaves_everything_as_it_was(ledger: Ledger) -> None:
    ann, ben = ledger.person("Ann"), ledger.person("Ben")
    ledger.meeting("Algebra", ann)
    meeting = ledger.meeting("Geometry", ben, start_time="10:00", end_time="11:00")
    before = written(ledger)
    with refused("time_conflict"):
        add_participants(ledger.db, meeting, ann)
        ledger.db.execute("update public.meetings set start_time = '09:30' where id = %s", [meeting])
    with refused("time_conflict"):
        # Of several rows one does not fit: none is changed.
        ledger.db.execute("update public.meetings set start_time = '09:00', end_time = '10:00'")
    rows = ledger.db.execute("select title, start_time from public.meetings order by title").fetchall()
    assert rows == [("Algebra", time(9)), ("Geometry", time(10))]
    assert before <= written(ledger)


def test_only_what_differs_is_written(ledger: Ledger) -> None:
    ann, room = ledger.person(), ledger.place()
    meeting = ledger.meeting("Algebra", ann, room)
    ledger.rule("Yoga", room, start_time="18:00", end_time="19:00")
    before = written(ledger)
    ledger.db.execute("update public.meetings set notes = 'Bring a ruler', capacity = 20, version = version")
    ledger.db.execute("update public.weekly_rules set effective = effective")
    ledger.db.execute("update public.meeting_participants set resource_id = resource_id")
    assert written(ledger) == before
    # One more participant touches nobody else.
    add_participants(ledger.db, meeting, ledger.person())
    assert before < written(ledger)
    ledger.db.execute("update public.meetings set start_time = '08:00' where id = %s", [meeting])
    assert len(before & written(ledger)) == len(before) - 2
    assert ledger.faults() == []


def test_in_one_statement_everything_may_change_places(ledger: Ledger) -> None:
    ann = ledger.person()
    one = ledger.meeting("One", ann)
    two = ledger.meeting("Two", ann, start_time="10:00", end_time="11:00")
    ledger.db.execute(
        "update public.meetings set start_time = case id when %(one)s then time '10:00' else time '09:00' end, "
        "end_time = case id when %(one)s then time '11:00' else time '10:00' end",
        {"one": one},
    )
    assert [row[0] for row in ledger.db.execute("select source_id from public.claims order by lower(during)")] == [
        two,
        one,
    ]
    # Written, joined and moved in one statement as well.
    ledger.db.execute(
        "with made as (insert into public.meetings (title, date, start_time, end_time) values ('Three', %s, '12:00', '13:00') "
        "returning id) insert into public.meeting_participants select id, %s from made",
        [ledger.day, ann],
    )
    ledger.db.execute("with gone as (delete from public.meetings where title <> 'Two') select")
    assert ledger.faults() == []
    assert ledger.one("select count(*) from public.claims") == 1


def test_what_ends_frees_its_time(ledger: Ledger) -> None:
    ann, room = ledger.person(), ledger.place()

    def is_free() -> bool:
        return bool(ledger.one("select count(*) = 0 from public.claims"))

    meeting = ledger.meeting("Exam", ann, room)
    ledger.db.execute("update public.meetings set status = 'cancelled'")
    assert is_free()
    ledger.db.execute("update public.meetings set status = 'scheduled'")
    assert not is_free()
    ledger.db.execute("delete from public.meeting_participants where meeting_id = %s", [meeting])
    assert is_free()
    add_participants(ledger.db, meeting, ann)
    ledger.db.execute("delete from public.meetings")
    assert is_free()
    # Cancelled, it keeps nobody, and coming back it has to find its time free.
    meeting = ledger.meeting("Exam", room, status="cancelled")
    ledger.meeting("Concert", room)
    with refused("time_conflict"):
        ledger.db.execute("update public.meetings set status = 'scheduled' where id = %s", [meeting])


def test_whoever_is_claimed_cannot_be_deleted(ledger: Ledger) -> None:
    room, ann = ledger.place(), ledger.person()
    ledger.meeting("Exam", room, ann)
    for statement, who in (
        ("delete from public.locations where id = %s", room),
        ("delete from public.user_profiles where id = %s", ann),
        ("delete from public.resources where id = %s", room),
    ):
        with pytest.raises(psycopg.errors.IntegrityError):
            ledger.db.execute(statement.encode(), [who])
    ledger.db.execute("delete from public.meetings")
    ledger.db.execute("delete from public.locations where id = %s", [room])
    assert ledger.one("select count(*) from public.resource_horizons where resource_id = %s", room) == 0


def test_a_resource_keeps_who_it_stands_for(ledger: Ledger) -> None:
    """Otherwise somebody's claims would become another's."""
    ann, ben = ledger.person("Ann"), ledger.person("Ben")
    ledger.meeting("Exam", ann)
    for change in ("profile_id = %s", "id = %s", "profile_id = %s, id = %s"):
        with pytest.raises(psycopg.errors.IntegrityError):
            ledger.db.execute(
                f"update public.resources set {change} where id = %s".encode(), [*[ben] * change.count("%s"), ann]
            )
    ledger.db.execute("update public.user_profiles set full_name = 'Ann Bell' where id = %s", [ann])
    with refused("time_conflict") as refusal:
        ledger.meeting("Talk", ann)
    assert refusal.message.startswith("Ann Bell is already in Exam")


# What no claim may be, whoever derives it: the constraints behind the triggers' own checks.
BOUNDS = {
    "during_is_half_open_and_finite": [
        "empty", "[2027-01-01 09:00Z,2027-01-01 10:00Z]", "(2027-01-01 09:00Z,2027-01-01 10:00Z)", "[2027-01-01 09:00Z,)",
        "(,2027-01-01 09:00Z)", "(,)", "[2027-01-01,infinity)", "[-infinity,2027-01-01)",
    ],
    "during_is_at_most_31_days": ["[2027-01-01 00:00Z,2027-02-01 00:00:01Z)"],
    "during_is_between_1970_and_2200": [
        "[1969-12-30 23:00Z,1969-12-31 10:00Z)", "[2199-12-31 09:00Z,2200-01-02 00:00:01Z)", "[294276-12-30 00:00Z,294276-12-31 00:00Z)",
    ],
}  # fmt: skip


def test_what_no_claim_may_be(ledger: Ledger) -> None:
    room = ledger.place()
    ledger.weaken("drop trigger t00_only_triggers_write on public.claims")
    write = (
        "insert into public.claims (resource_id, during, share_key, source_table, source_id, occurs_on, kind, title) "
        "values (%s, %s, %s, 'meetings', gen_random_uuid(), '2027-01-01', 'x', 'x')"
    )
    for constraint, ranges in BOUNDS.items():
        for during in ranges:
            with pytest.raises(psycopg.errors.CheckViolation) as caught:
                ledger.db.execute(write, [room, during, room])
            # Postgres tries constraints by name; what is endless is also too long.
            assert caught.value.diag.constraint_name in (constraint, "during_is_at_most_31_days"), during
    for nothing in (
        [None, "[2027-01-01,2027-01-02)", room],
        [room, None, room],
        [room, "[2027-01-01,2027-01-02)", None],
    ):
        with pytest.raises(psycopg.errors.NotNullViolation):
            ledger.db.execute(write, nothing)
    ledger.db.execute(write, [room, "[2027-01-01 00:00Z,2027-02-01 00:00Z)", room])
    with pytest.raises(psycopg.errors.ExclusionViolation):
        ledger.db.execute(write, [room, "[2027-01-31 23:00Z,2027-02-01 01:00Z)", ledger.place()])


def test_an_attached_table_of_a_later_module(ledger: Ledger) -> None:
    """Two lines attach a source and its child; from then on they keep the promise like the module's own."""
    ledger.weaken(
        "create table public.shifts (id uuid primary key default gen_random_uuid(), during tstzrange not null, "
        "lead_id uuid not null)",
        "create table public.shift_helpers (shift_id uuid not null references public.shifts on delete cascade, "
        "helper_id uuid not null)",
        "create view private.shifts_claims as select s.id as source_id, p.resource_id, s.during, lower(s.during)::date as "
        "occurs_on, 'shift' as kind, 'Shift' as title from public.shifts s cross join lateral (select s.lead_id as "
        "resource_id union select h.helper_id from public.shift_helpers h where h.shift_id = s.id) p",
        "select private.attach_claims('public.shifts')",
        "select private.attach_claims('public.shift_helpers', 'public.shifts', 'shift_id')",
    )
    ann, ben = ledger.person("Ann"), ledger.person("Ben")
    ledger.meeting("Exam", ben)
    nine = datetime.combine(ledger.day, time(9), UTC)
    shift: UUID = ledger.one(
        "insert into public.shifts (during, lead_id) values (tstzrange(%s, %s), %s) returning id",
        nine, nine + timedelta(hours=3), ann,
    )  # fmt: skip
    with refused("time_conflict") as refusal:
        ledger.db.execute("insert into public.shift_helpers values (%s, %s)", [shift, ben])
    assert "Ben is already in Exam" in refusal.message
    ledger.db.execute("update public.shifts set during = tstzrange(upper(during), upper(during) + interval '1 hour')")
    ledger.db.execute("insert into public.shift_helpers values (%s, %s)", [shift, ben])
    with refused("time_conflict"):
        ledger.meeting("Talk", ben, start_time="12:30", end_time="13:00")
    with refused("forbidden"):
        ledger.db.execute("truncate public.shift_helpers")
    ledger.override(shift, ledger.meeting("Tea", start_time="12:30", end_time="13:00"), table="shifts")
    assert ledger.faults() == []
    ledger.db.execute("delete from public.shifts")
    assert ledger.claims_of(shift) == []
