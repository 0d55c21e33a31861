"""What stands in the way, told before and after: to those who may read it with its name, to others as `busy`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.support.calls import call, refused
from tests.support.identity import User, as_role, as_user
from tests.support.ledger import Ledger
from tests.support.world import World

DAY = timedelta(days=1)


@dataclass
class Cast:
    """An instructor with a lesson in a room, somebody without a login, and one person of each role."""

    ledger: Ledger
    world: World
    ida: User
    room: UUID
    ann: UUID
    lesson: UUID
    people: dict[str, User]

    def at(self, hour: int, minute: int = 0, day: date | None = None) -> datetime:
        return datetime.combine(day or self.ledger.day, time(hour, minute), UTC)

    def find(self, caller: User | str | None, *who: Any, **more: Any) -> list[dict[str, Any]]:
        arguments = {
            "p_resource_ids": list(who), "p_starts_at": self.at(9, 30), "p_ends_at": self.at(11), **more,
        }  # fmt: skip
        return call(self.ledger.db, caller, "find_conflicts", **arguments)


@pytest.fixture
def cast(ledger: Ledger) -> Cast:
    world = World(ledger.db)
    people = {role: world.user(role) for role in ("member", "instructor", "staff", "manager", "admin")}
    ida = world.user("instructor", full_name="Ida")
    room, ann = ledger.place("Hall"), ledger.person("Ann")
    assert ida.profile_id is not None
    lesson = ledger.meeting("Secret lesson", ida.profile_id, room, kind="lesson")
    ledger.meeting("Interview", ann, start_time="10:30", end_time="12:00")
    return Cast(ledger, world, ida, room, ann, lesson, people)


def test_what_those_see_who_may_read_the_calendar(cast: Cast) -> None:
    for caller in (*(cast.people[role] for role in ("staff", "manager", "admin")), "service_role", None):
        rows = cast.find(caller, cast.ida.profile_id, cast.ann, cast.room)
        assert [(row["resource_name"], row["conflict_type"], row["source_table"], row["message"]) for row in rows] == [
            ("Hall", "lesson", "meetings", f"Hall is already in Secret lesson, {cast.ledger.day} 09:00–10:00 UTC"),
            ("Ida", "lesson", "meetings", f"Ida is already in Secret lesson, {cast.ledger.day} 09:00–10:00 UTC"),
            ("Ann", "meeting", "meetings", f"Ann is already in Interview, {cast.ledger.day} 10:30–12:00 UTC"),
        ]
        assert rows[0]["source_id"] == cast.lesson
        assert (rows[0]["starts_at"], rows[0]["ends_at"]) == (cast.at(9), cast.at(10))


def test_what_others_see(cast: Cast) -> None:
    for role in ("member", "instructor"):
        rows = cast.find(cast.people[role], cast.ida.profile_id, cast.ann)
        assert [(row["conflict_type"], row["source_table"], row["source_id"]) for row in rows] == [
            ("busy", None, None)
        ] * 2
        assert "Secret" not in str(rows)
        assert "Interview" not in str(rows)
        assert rows[0]["message"] == f"Ida is already taken, {cast.ledger.day} 09:00–10:00 UTC"
    # Of oneself one may know, and of nobody else in the same call.
    own, other = cast.find(cast.ida, cast.ida.profile_id, cast.room)[::-1]
    assert (own["resource_name"], own["conflict_type"], own["source_id"]) == ("Ida", "lesson", cast.lesson)
    assert (other["resource_name"], other["conflict_type"], other["source_id"]) == ("Hall", "busy", None)


def test_strangers_see_nothing(cast: Cast) -> None:
    with pytest.raises(Exception, match="permission denied"):
        cast.find("anon", cast.ann)
    with refused("forbidden"):
        cast.find("authenticated", cast.ann)


def test_nothing_is_in_the_way(cast: Cast) -> None:
    assert cast.find(None, cast.ann, p_starts_at=cast.at(12), p_ends_at=cast.at(13)) == []
    assert cast.find(None, cast.ann, p_starts_at=cast.at(9), p_ends_at=cast.at(10, 30)) == []
    assert cast.find(None, cast.room, p_exclude_source=cast.lesson) == []
    assert cast.find(None, uuid4()) == []


def test_refusals_tell_as_much_as_the_caller_may_know(cast: Cast) -> None:
    """Somebody allowed to write meetings is not thereby allowed to read everybody's."""
    writer = cast.people["instructor"]
    cast.ledger.db.execute(
        "insert into public.user_permissions (user_id, permission, is_granted, reason) "
        "select %s, p, true, 'For this test' from unnest(array['create:calendar', 'update:calendar', 'grant:override']) p",
        [writer.id],
    )
    arguments = {"p_title": "Talk", "p_date": cast.ledger.day, "p_start_time": "09:30", "p_end_time": "10:30"}
    with refused("time_conflict") as refusal:
        call(cast.ledger.db, writer, "schedule_meeting", **arguments, p_resource_ids=[cast.ida.profile_id])
    assert refusal.message == f"Ida is already taken, {cast.ledger.day} 09:00–10:00 UTC"
    assert "Secret" not in str(refusal)
    [conflict] = refusal.details["conflicts"]
    assert set(conflict["conflicts_with"]) == {"starts_at", "ends_at"}
    with refused("time_conflict") as refusal:
        call(
            cast.ledger.db, cast.people["staff"], "schedule_meeting", **arguments, p_resource_ids=[cast.ida.profile_id]
        )
    assert refusal.message.startswith("Ida is already in Secret lesson")
    [conflict] = refusal.details["conflicts"]
    assert conflict["conflicts_with"]["source_id"] == str(cast.lesson)
    assert conflict["resource_name"] == "Ida"
    # Two rules beyond the horizon likewise.
    far = cast.ledger.horizon(cast.room).date() + 10 * DAY
    cast.ledger.rule("Secret rehearsal", cast.room, effective=f"[{far},)")
    repeated = {
        "p_title": "Choir", "p_resource_ids": [cast.room], "p_weekday": cast.ledger.day.isoweekday() % 7,
        "p_start_time": "09:30", "p_end_time": "10:30", "p_from": far,
    }  # fmt: skip
    with refused("time_conflict") as refusal:
        call(cast.ledger.db, writer, "create_weekly_rule", **repeated)
    assert "Hall will be taken" in refusal.message
    assert "Secret" not in str(refusal)
    with refused("time_conflict") as refusal:
        call(cast.ledger.db, cast.people["staff"], "create_weekly_rule", **repeated)
    assert "Hall will be in Secret rehearsal" in refusal.message
    # And revoking what lets strangers overlap.
    group = cast.ledger.override(cast.lesson, cast.ledger.meeting("Secret exam"))
    cast.ledger.db.execute(
        "insert into public.meeting_participants select id, %s from public.meetings where title = 'Secret exam'",
        [cast.room],
    )
    with refused("time_conflict") as refusal:
        call(cast.ledger.db, writer, "revoke_override", p_override_id=group)
    assert "Secret" not in refusal.message


def test_what_a_weekly_rule_would_run_into(cast: Cast) -> None:
    far = cast.ledger.horizon(cast.room).date() + 10 * DAY
    cast.ledger.rule("Rehearsal", cast.room, effective=f"[{far},)", start_time="10:00", end_time="11:00")
    arguments = {
        "p_resource_ids": [cast.room, cast.ida.profile_id], "p_weekday": cast.ledger.day.isoweekday() % 7,
        "p_start_time": "09:30", "p_end_time": "10:30", "p_from": cast.ledger.day,
    }  # fmt: skip

    def find(caller: User | None, **more: Any) -> list[tuple[Any, ...]]:
        rows = call(cast.ledger.db, caller, "find_weekly_conflicts", **{**arguments, **more})
        return [(row["resource_name"], row["conflict_type"], row["occurs_on"], row["source_table"]) for row in rows]

    first = far + timedelta(days=(cast.ledger.day.weekday() - far.weekday()) % 7)
    assert find(cast.people["manager"]) == [
        ("Hall", "lesson", cast.ledger.day, "meetings"), ("Ida", "lesson", cast.ledger.day, "meetings"),
        ("Hall", "weekly", first, "weekly_rules"),
    ]  # fmt: skip
    assert find(cast.people["member"]) == [
        ("Hall", "busy", cast.ledger.day, None), ("Ida", "busy", cast.ledger.day, None), ("Hall", "busy", first, None),
    ]  # fmt: skip
    assert [row[1] for row in find(cast.ida)] == ["busy", "lesson", "busy"]
    assert find(None, p_until=cast.ledger.day - DAY, p_from=cast.ledger.day - 7 * DAY) == []
    assert find(None, p_start_time="08:00", p_end_time="09:00") == []
    assert len(find(None, p_limit=1)) == 1
    # What it finds is what making the rule meets, and what it does not find is not met.
    with refused("time_conflict"):
        call(cast.ledger.db, None, "create_weekly_rule", p_title="Choir", **arguments)
    call(
        cast.ledger.db,
        None,
        "create_weekly_rule",
        p_title="Choir",
        **{**arguments, "p_start_time": "08:00", "p_end_time": "09:00"},
    )
    assert cast.ledger.faults() == []


BAD_SPANS: list[tuple[dict[str, Any], set[str]]] = [
    ({"p_resource_ids": None, "p_starts_at": None, "p_ends_at": None}, {"p_resource_ids", "p_starts_at", "p_ends_at"}),
    ({"p_resource_ids": []}, {"p_resource_ids"}),
    ({"p_resource_ids": [uuid4()] * 1001}, {"p_resource_ids"}),
    ({"p_starts_at": "2027-01-01 10:00Z", "p_ends_at": "2027-01-01 10:00Z"}, {"p_ends_at"}),
    ({"p_starts_at": "2027-01-01 10:00Z", "p_ends_at": "2027-01-01 09:00Z"}, {"p_ends_at"}),
    ({"p_starts_at": "2027-01-01 00:00Z", "p_ends_at": "2027-02-01 00:00:01Z"}, {"p_ends_at"}),
    ({"p_starts_at": "1969-12-31 23:59:59Z", "p_ends_at": "1970-01-01 01:00Z"}, {"p_starts_at"}),
    ({"p_starts_at": "2199-12-31 23:00Z", "p_ends_at": "2200-01-01 00:00:01Z"}, {"p_ends_at"}),
    ({"p_starts_at": "294276-12-30 00:00Z", "p_ends_at": "294276-12-31 00:00Z"}, {"p_starts_at", "p_ends_at"}),
    ({"p_starts_at": "-infinity", "p_ends_at": "infinity"}, {"p_starts_at", "p_ends_at"}),
    ({"p_starts_at": "2027-01-01 00:00Z", "p_ends_at": "infinity"}, {"p_ends_at"}),
]  # fmt: skip


def test_bad_questions(cast: Cast) -> None:
    for wrong, fields in BAD_SPANS:
        with refused("invalid_input") as refusal:
            cast.find(None, cast.room, **wrong)
        assert refusal.fields == fields, wrong
    good: dict[str, Any] = {
        "p_resource_ids": [cast.room], "p_weekday": 1, "p_start_time": "09:00", "p_end_time": "10:00", "p_from": cast.ledger.day,
    }  # fmt: skip
    for wrong, fields in (
        ({"p_resource_ids": None, "p_weekday": None, "p_start_time": None, "p_end_time": None, "p_limit": None, "p_time_zone": "X"},
         {"p_resource_ids", "p_weekday", "p_start_time", "p_end_time", "p_limit", "p_time_zone"}),
        ({"p_weekday": 7}, {"p_weekday"}),
        ({"p_weekday": 100_000}, {"p_weekday"}),
        ({"p_end_time": "09:00"}, {"p_end_time"}),
        ({"p_from": "1969-12-31"}, {"p_from"}),
        ({"p_from": "infinity"}, {"p_from"}),
        ({"p_until": "2200-01-01"}, {"p_until"}),
        ({"p_until": cast.ledger.day - DAY}, {"p_until"}),
        ({"p_limit": 1001}, {"p_limit"}),
    ):  # fmt: skip
        with refused("invalid_input") as refusal:
            call(cast.ledger.db, None, "find_weekly_conflicts", **{**good, **wrong})
        assert refusal.fields == fields, wrong
        if "p_limit" not in wrong:
            with refused("invalid_input") as refusal:
                call(cast.ledger.db, None, "create_weekly_rule", p_title="Yoga", **{**good, **wrong})
            assert refusal.fields == fields, wrong
    with refused("invalid_input") as refusal:
        call(
            cast.ledger.db, None, "create_weekly_rule", **{**good, "p_resource_ids": [cast.room] * 101},
            p_title=" ", p_kind="No Kind",
        )  # fmt: skip
    assert refusal.fields == {"p_title", "p_kind", "p_resource_ids"}


def test_acting_is_what_decides(cast: Cast) -> None:
    """Definer functions ask who calls, not whose rights they run with."""
    with as_user(cast.ledger.db, cast.people["member"]) as by:
        assert by.execute("select count(*) from public.claims").fetchone() == (0,)
        assert by.execute("select private.has_permission('read:calendar')").fetchone() == (False,)
    with as_user(cast.ledger.db, cast.ida) as by:
        assert by.execute("select array_agg(source_id) from public.claims").fetchone() == ([cast.lesson],)
    with as_role(cast.ledger.db, "service_role") as by:
        assert by.execute("select count(*) from public.claims").fetchone() == (3,)
