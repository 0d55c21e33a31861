"""The calendar: everything that happens, one row an occurrence, and to whom it is shown."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.ledger import Ledger
from tests.support.rest import Rest
from tests.support.world import World

DAY = timedelta(days=1)


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def calendar(ledger: Ledger, caller: User | str | None = None, days: int = 1, **more: Any) -> list[dict[str, Any]]:
    span = {"p_from": midnight(ledger.day), "p_to": midnight(ledger.day + days * DAY)}
    return call(ledger.db, caller, "calendar", **{**span, **more})


def titles(rows: list[dict[str, Any]]) -> list[str]:
    return [row["title"] for row in rows]


@pytest.fixture
def room(ledger: Ledger) -> UUID:
    return ledger.place("Hall")


def test_one_row_an_occurrence(ledger: Ledger, room: UUID) -> None:
    ann = ledger.person("Ann")
    rule = ledger.rule("Yoga", ann, room, kind="class")
    exam = ledger.meeting("Exam", room, ann, start_time="10:00", end_time="12:00", kind="exam")
    ledger.meeting("Holiday", start_time="00:00", end_time="24:00")
    rows = calendar(ledger, days=8)
    assert [
        (row["title"], row["kind"], row["source_table"], row["source_id"], row["occurs_on"]) for row in rows[1:]
    ] == [
        ("Yoga", "class", "weekly_rules", rule, ledger.day),
        ("Exam", "exam", "meetings", exam, ledger.day),
        ("Yoga", "class", "weekly_rules", rule, ledger.day + 7 * DAY),
    ]
    assert (rows[0]["title"], rows[0]["resource_ids"], rows[0]["resource_names"]) == ("Holiday", [], [])
    assert (rows[2]["resource_ids"], rows[2]["resource_names"]) == ([ann, room], ["Ann", "Hall"])
    assert (rows[2]["starts_at"], rows[2]["ends_at"]) == (
        midnight(ledger.day) + timedelta(hours=10),
        midnight(ledger.day) + timedelta(hours=12),
    )


def test_cancelled_and_moved_dates(ledger: Ledger, room: UUID) -> None:
    rule = ledger.rule("Yoga", room)
    ledger.meeting("Exam", room, start_time="10:00", end_time="12:00", status="cancelled")
    ledger.db.execute("select public.cancel_occurrence(%s, %s)", [rule, ledger.day])
    week = 7 * DAY
    ledger.db.execute(
        "select public.move_occurrence(%s, %s, %s, '20:00', '21:00')", [rule, ledger.day + week, ledger.day]
    )
    ledger.meeting(
        "Yoga with Ben", ledger.person(), rule_id=rule, occurs_on=ledger.day + 2 * week, date=ledger.day + 2 * week
    )
    shown = [
        (row["title"], row["occurs_on"], row["starts_at"].astimezone(UTC).hour) for row in calendar(ledger, days=22)
    ]
    assert shown == [
        ("Yoga", ledger.day + week, 20), ("Yoga with Ben", ledger.day + 2 * week, 9), ("Yoga", ledger.day + 3 * week, 9),
    ]  # fmt: skip


def test_spans_are_half_open(ledger: Ledger, room: UUID) -> None:
    ledger.meeting("Before", room, date=ledger.day - DAY, start_time="23:00", end_time="24:00")
    ledger.meeting("Overnight", room, date=ledger.day, start_time="23:00", end_time="01:00", ends_on=ledger.day + DAY)
    ledger.meeting("Long", date=ledger.day - 31 * DAY, start_time="06:00", end_time="06:00", ends_on=ledger.day)
    ledger.meeting("After", room, date=ledger.day + DAY, start_time="01:00", end_time="02:00")
    assert titles(calendar(ledger)) == ["Long", "Overnight"]
    assert titles(calendar(ledger, p_from=midnight(ledger.day + DAY), p_to=midnight(ledger.day + 2 * DAY))) == [
        "Overnight",
        "After",
    ]
    assert titles(calendar(ledger, p_from=midnight(ledger.day) + timedelta(hours=6))) == ["Overnight"]
    # Where the session is does not matter, summer time included.
    for zone in ("America/New_York", "Pacific/Kiritimati", "Australia/Lord_Howe"):
        ledger.db.execute("select set_config('timezone', %s, false)", [zone])
        assert titles(calendar(ledger)) == ["Long", "Overnight"]


def test_choosing_resources_and_kinds(ledger: Ledger, room: UUID) -> None:
    ann = ledger.person("Ann")
    ledger.meeting("Exam", room, kind="exam")
    ledger.meeting("Lesson", ann, kind="lesson")
    ledger.meeting("Idea", kind="idea")
    assert titles(calendar(ledger, p_resource_ids=[ann])) == ["Lesson"]
    assert titles(calendar(ledger, p_resource_ids=[ann, room])) == ["Exam", "Lesson"]
    assert titles(calendar(ledger, p_kinds=["exam", "idea"])) == ["Exam", "Idea"]
    assert titles(calendar(ledger, p_resource_ids=[ann], p_kinds=["exam"])) == []
    assert titles(calendar(ledger, p_resource_ids=[])) == []
    assert titles(calendar(ledger, p_kinds=[])) == []


def test_all_who_take_part_are_named_whoever_is_asked_about(ledger: Ledger, room: UUID) -> None:
    """By kind, then name, once each; the dates a search for the others comes across besides are left out."""
    zoe, ann, cellar = ledger.person("Zoe"), ledger.person("Ann"), ledger.place("Cellar")
    rule = ledger.rule("Yoga", zoe, room, ann)
    ledger.meeting("Exam", cellar, zoe, room, start_time="10:00", end_time="12:00")
    week, move = 7 * DAY, "select public.move_occurrence(%s, %s, %s, '09:00', '10:00')"
    # Of the three dates in the range the one in between is held long after it, and another one is held in it instead.
    ledger.db.execute(move, [rule, ledger.day + week, ledger.day + 33 * DAY])
    ledger.db.execute(move, [rule, ledger.day + 4 * week, ledger.day + 3 * DAY])
    yoga, exam = ["Ann", "Zoe", "Hall"], ["Zoe", "Cellar", "Hall"]
    expected = [
        ("Yoga", ledger.day, yoga), ("Exam", ledger.day, exam), ("Yoga", ledger.day + 4 * week, yoga),
        ("Yoga", ledger.day + 2 * week, yoga),
    ]  # fmt: skip

    def shown(**more: Any) -> list[tuple[str, date, list[str]]]:
        rows = calendar(ledger, days=21, **more)
        ids = {"Ann": ann, "Zoe": zoe, "Hall": room, "Cellar": cellar}
        for row in rows:
            assert row["resource_ids"] == [ids[name] for name in row["resource_names"]]
            assert row["resource_kinds"] == sorted(row["resource_kinds"])
        return [(row["title"], row["occurs_on"], row["resource_names"]) for row in rows]

    without_exam = [row for row in expected if row[0] != "Exam"]
    everybody = [zoe, ann, room, cellar]
    for asked in ([zoe], [room], [room, zoe, room], everybody, [*everybody, None], None):
        assert shown(p_resource_ids=asked) == expected, asked
    assert shown(p_resource_ids=[ann]) == without_exam
    assert shown(p_resource_ids=[cellar]) == expected[1:2]
    assert shown(p_resource_ids=[zoe, cellar], p_kinds=["weekly"]) == without_exam
    assert shown(p_resource_ids=[None]) == []


def test_whose_calendar_is_whose(ledger: Ledger, room: UUID, rest: Rest) -> None:
    world = World(ledger.db)
    ida, ivo = world.user("instructor", full_name="Ida"), world.user("instructor")
    assert ida.profile_id is not None
    ledger.meeting("Lesson", ida.profile_id, room)
    ledger.meeting("Board", room, start_time="10:00", end_time="11:00")
    ledger.rule("Yoga", ida.profile_id, start_time="18:00", end_time="19:00")
    for role in ("staff", "manager", "admin"):
        assert titles(calendar(ledger, world.user(role))) == ["Lesson", "Board", "Yoga"]
    assert titles(calendar(ledger, "service_role")) == ["Lesson", "Board", "Yoga"]
    # People see what they take part in, with whom and where.
    own = calendar(ledger, ida)
    assert titles(own) == ["Lesson", "Yoga"]
    assert own[0]["resource_names"] == ["Ida", "Hall"]
    assert own == calendar(ledger, ida, p_resource_ids=[ida.profile_id])
    assert calendar(ledger, ivo) == calendar(ledger, world.user("member")) == calendar(ledger, world.user(None)) == []
    for asked in ([ida.profile_id], [ivo.profile_id, ida.profile_id], [room], []):
        with refused("forbidden"):
            calendar(ledger, ivo, p_resource_ids=asked)
    span = f"p_from={ledger.day}T00:00Z&p_to={ledger.day + DAY}T00:00Z"
    assert rest.get(f"/rpc/calendar?{span}").status_code == 401
    assert titles(rest.get(f"/rpc/calendar?{span}", user=ida).json()) == ["Lesson", "Yoga"]
    # The tables show the same, and no more.
    for table, count in (
        ("meetings", 1),
        ("weekly_rules", 1),
        ("meeting_participants", 2),
        ("weekly_rule_resources", 1),
    ):
        assert len(rest.get(f"/{table}", user=ida).json()) == count, table
        assert rest.get(f"/{table}", user=ivo).json() == [], table
        assert rest.get(f"/{table}").status_code == 401, table
    assert {row["title"] for row in rest.get("/claims", user=ida).json()} == {"Lesson", "Yoga"}


def test_bad_spans(ledger: Ledger) -> None:
    for wrong, fields in (
        ({"p_from": None, "p_to": None}, {"p_from", "p_to"}),
        ({"p_to": midnight(ledger.day)}, {"p_to"}),
        ({"p_from": "-infinity", "p_to": "infinity"}, {"p_from", "p_to"}),
        ({"p_to": midnight(ledger.day + 401 * DAY)}, {"p_to"}),
        ({"p_from": "1969-01-01Z"}, {"p_from", "p_to"}),
        ({"p_from": "294276-12-30Z", "p_to": "294276-12-31Z"}, {"p_from", "p_to"}),
    ):
        with refused("invalid_input") as refusal:
            calendar(ledger, **wrong)
        assert refusal.fields == fields, wrong


def test_somebody_allowed_to_write_only(ledger: Ledger, rest: Rest) -> None:
    """An instructor who may make meetings gets an answer to each, and sees what they made."""
    ida = World(ledger.db).user("instructor")
    ledger.db.execute(
        "insert into public.user_permissions (user_id, permission, is_granted, reason) "
        "select %s, p, true, 'Plans their own lessons' from unnest(array['create:calendar', 'update:calendar']) p",
        [ida.id],
    )
    lesson = {"p_title": "Lesson", "p_date": str(ledger.day), "p_start_time": "09:00", "p_end_time": "10:00"}
    [made] = rest.post("/rpc/schedule_meeting", {**lesson, "p_resource_ids": [str(ida.profile_id)]}, user=ida).json()
    assert made["created_by"] == str(ida.id)
    repeated = {
        "p_title": "Yoga", "p_resource_ids": [str(ledger.place())], "p_weekday": ledger.day.isoweekday() % 7,
        "p_start_time": "11:00", "p_end_time": "12:00", "p_from": str(ledger.day),
    }  # fmt: skip
    [rule] = rest.post("/rpc/create_weekly_rule", repeated, user=ida).json()
    cancelled = rest.post("/rpc/cancel_occurrence", {"p_rule_id": rule["id"], "p_occurs_on": str(ledger.day)}, user=ida)
    assert cancelled.json()[0]["kind"] == "cancelled"
    assert (
        rest.patch(f"/meetings?id=eq.{made['id']}", {"title": "Long lesson"}, user=ida).json()[0]["title"]
        == "Long lesson"
    )
