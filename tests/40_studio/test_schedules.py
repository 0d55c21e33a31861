"""Class schedules: their weekly rule, what they refuse, and what becomes of their classes."""

from __future__ import annotations

from datetime import time
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.calls import call, refused
from tests.support.ledger import NO_RESOURCE_LOCKS, Connection, Ledger
from tests.support.rest import Rest
from tests.support.studio import Studio

NEW = (
    "insert into public.class_schedules (class_type_id, day_of_week, start_time, end_time, instructor_id, location_id, effective_from) "
    "values (%s, %s, %s, %s, %s, %s, %s)"
)


def rule(studio: Studio, schedule: UUID) -> Any:
    return studio.db.execute(
        "select title, weekday, start_time, end_time, array(select resource_id from public.weekly_rule_resources where rule_id = r.id) "
        "from public.weekly_rules r where id = %s and source_table = 'class_schedules'",
        [schedule],
    ).fetchone()


def change(studio: Studio, schedule: UUID, setting: str) -> None:
    studio.db.execute(f"update public.class_schedules set {setting} where id = %s".encode(), [schedule])


def test_its_rule_follows_it(studio: Studio, ledger: Ledger) -> None:
    made = studio.schedule(location_id=studio.room)
    title, weekday, start, end, who = rule(studio, made.id)
    assert (title, weekday, start, end) == ("Hatha", 1, time(10), time(11))
    assert set(who) == {studio.teacher.profile_id, studio.room}
    change(studio, made.id, "day_of_week = 3, start_time = '18:00', end_time = '19:30', location_id = null")
    assert rule(studio, made.id) == ("Hatha", 3, time(18), time(19, 30), [studio.teacher.profile_id])
    assert studio.claims(studio.room, 0, 60) == []
    change(studio, made.id, "is_active = false")
    assert rule(studio, made.id)[4] == []
    assert studio.claims(studio.teacher.profile_id, 0, 60) == []
    change(studio, made.id, "is_active = true")
    assert len(studio.claims(studio.teacher.profile_id, 0, 13)) == 2
    studio.db.execute("update public.class_types set name = 'Yin'")
    assert rule(studio, made.id)[0] == "Yin"
    assert ledger.faults() == []
    studio.db.execute("delete from public.class_schedules")
    assert rule(studio, made.id) is None
    assert ledger.faults() == []


@pytest.mark.parametrize(
    "statement",
    [
        "update public.weekly_rules set start_time = '05:00' where id = %s",
        "update public.weekly_rules set source_table = null, source_id = null where id = %s",
        "delete from public.weekly_rules where id = %s",
        "delete from public.weekly_rule_resources where rule_id = %s",
        "insert into public.weekly_rule_resources select %s, id from public.locations",
        "update public.weekly_rule_resources set resource_id = (select id from public.locations) where rule_id = %s",
    ],
)
def test_its_rule_is_not_written_otherwise(studio: Studio, statement: str) -> None:
    made = studio.schedule()
    before = rule(studio, made.id)
    with refused("forbidden"):
        studio.db.execute(statement.encode(), [made.id])
    assert rule(studio, made.id) == before


def test_its_rule_is_not_written_over_rest(studio: Studio, rest: Rest) -> None:
    made = studio.schedule()
    manager = studio.world.user("manager")
    for answer in (
        rest.patch(f"/weekly_rules?id=eq.{made.id}", {"start_time": "05:00"}, user=manager),
        rest.delete(f"/weekly_rules?id=eq.{made.id}", user=manager),
        rest.delete(f"/weekly_rule_resources?rule_id=eq.{made.id}", user=manager),
    ):
        assert answer.status_code == 403, answer.text
    assert rule(studio, made.id)[2] == time(10)


def test_it_does_not_take_over_a_rule_that_was_there(studio: Studio, ledger: Ledger) -> None:
    """Somebody else's rule with the id of the schedule stays somebody else's."""
    room = ledger.place()
    other = ledger.rule("Choir", room)
    with refused("duplicate"):
        studio.schedule(id=other)
    assert ledger.one("select title from public.weekly_rules where id = %s", other) == "Choir"


@pytest.mark.parametrize(
    ("start", "end", "minutes", "ends", "takes"),
    [
        ("10:00", "11:30", None, "11:30:00", 90),
        ("10:00", None, 45, "10:45:00", 45),
        ("10:00", None, None, "11:00:00", 60),
        ("23:00", None, None, "24:00:00", 60),
    ],
)
def test_end_and_duration_give_each_other(
    studio: Studio, start: str, end: str | None, minutes: int | None, ends: str, takes: int
) -> None:
    made = studio.db.execute(
        "insert into public.class_schedules (class_type_id, day_of_week, start_time, end_time, duration_minutes) "
        "values (%s, 1, %s, %s, %s) returning end_time::text, duration_minutes",
        [studio.hatha, start, end, minutes],
    ).fetchone()
    assert made == (ends, takes)


def test_a_changed_duration_moves_the_end_and_a_changed_end_the_duration(studio: Studio) -> None:
    made = studio.schedule()
    change(studio, made.id, "duration_minutes = 90")
    assert rule(studio, made.id)[3] == time(11, 30)
    change(studio, made.id, "end_time = '10:45'")
    assert studio.db.execute("select duration_minutes from public.class_schedules").fetchone() == (45,)
    with refused("invalid_input") as refusal:
        change(studio, made.id, "end_time = '12:00', duration_minutes = 60")
    assert refusal.fields == {"duration_minutes"}


def test_every_bad_field_is_named(studio: Studio) -> None:
    with refused("invalid_input") as refusal:
        studio.schedule(
            7, "10:00", "09:00", time_zone="Mars/Base", max_participants=0, notes="x" * 1001,
            effective_from="1960-01-01", effective_until="1950-01-01",
        )  # fmt: skip
    assert refusal.fields == {
        "day_of_week", "end_time", "time_zone", "max_participants", "notes", "effective_from", "effective_until"
    }  # fmt: skip
    for start, end in (("10:00", "10:20"), ("10:00", "14:00")):
        with refused("invalid_input") as refusal:
            studio.schedule(1, start, end)
        assert refusal.fields == {"duration_minutes"}
    with refused("invalid_input") as refusal:
        studio.schedule(1, "23:30", None, duration_minutes=60)
    assert refusal.fields == {"end_time"}


def test_who_has_left_gets_no_schedule(studio: Studio) -> None:
    made = studio.schedule()
    studio.db.execute("update public.user_profiles set is_active = false where id = %s", [studio.teacher.profile_id])
    with refused("invalid_input"):
        studio.schedule(2)
    change(studio, made.id, "notes = 'Old rows may stay as they are'")


@pytest.mark.parametrize(
    ("second", "refused_with"),
    [
        ((1, "10:30", "11:30"), "time_conflict"),
        ((1, "11:00", "12:00"), None),
        ((2, "10:30", "11:30"), None),
    ],
)
@pytest.mark.parametrize("shared", ["instructor_id", "location_id"])
def test_two_of_one_instructor_or_room(
    studio: Studio, second: tuple[int, str, str], refused_with: str | None, shared: str
) -> None:
    first = {"instructor_id": studio.teacher.profile_id, "location_id": studio.room}
    other = {"instructor_id": studio.other.profile_id, "location_id": None} | {shared: first[shared]}
    studio.schedule(**first)
    if refused_with is None:
        studio.schedule(*second, **other)
    else:
        with refused(refused_with):
            studio.schedule(*second, **other)
        studio.schedule(*second, **other, is_active=False)


def test_one_that_ends_leaves_room_for_the_next(studio: Studio) -> None:
    studio.schedule(effective_until=studio.day(6))
    studio.schedule(effective_from=studio.day(7))


@pytest.mark.parametrize("missing", [None, NO_RESOURCE_LOCKS])
def test_two_at_once(studio: Studio, ledger: Ledger, missing: str | None) -> None:
    """The second waits, and is refused; without the locks both would stand beyond the horizon at least."""
    ledger.weaken(*filter(None, [missing]))
    who = studio.teacher.profile_id

    def make(start: str, end: str) -> Any:
        return lambda by: by.execute(NEW, [studio.hatha, 1, start, end, who, None, studio.monday])

    outcome = ledger.collide(make("10:00", "11:00"), make("10:30", "11:30"))
    assert (outcome.waited, outcome.code) == (True, "time_conflict")
    # Two that meet only after all that is claimed already.
    far = ledger.one("select (private.today() + 500)::date")

    def later(start: str, end: str) -> Any:
        return lambda by: by.execute(NEW, [studio.hatha, 3, start, end, who, None, far])

    outcome = ledger.collide(later("10:00", "11:00"), later("10:30", "11:30"))
    assert outcome.code == ("time_conflict" if missing is None else None)


def test_a_class_and_a_schedule_at_once_in_both_orders(studio: Studio, ledger: Ledger) -> None:
    who = studio.teacher.profile_id

    def template(by: Connection, weekday: int) -> None:
        by.execute(NEW, [studio.hatha, weekday, "10:00", "11:00", who, None, studio.monday])

    def lesson(by: Connection, day: int) -> None:
        by.execute(
            "insert into public.class_assignments (instructor_id, date, start_time, end_time, payment_amount) "
            "values (%s, %s, '10:30', '11:30', 0)",
            [who, studio.day(day)],
        )

    assert ledger.collide(lambda by: template(by, 1), lambda by: lesson(by, 0)).code == "time_conflict"
    assert ledger.collide(lambda by: lesson(by, 1), lambda by: template(by, 2)).code == "time_conflict"
    assert ledger.faults() == []


def test_who_may_write_them(studio: Studio, rest: Rest) -> None:
    row = {"class_type_id": str(studio.hatha), "day_of_week": 1, "start_time": "10:00"}
    for role in (None, "member", "instructor"):
        caller = role and studio.world.user(role)
        assert rest.post("/class_schedules", row, user=caller).status_code in (401, 403), role
    made = rest.post(
        "/class_schedules", row, user=studio.world.user("staff"), headers={"Prefer": "return=representation"}
    ).json()[0]
    assert rest.get("/class_schedules", user=studio.world.user()).json()[0]["id"] == made["id"]
    path = f"/class_schedules?id=eq.{made['id']}"
    assert rest.patch(path, {"notes": "Mine"}, user=studio.teacher).json() == []
    assert rest.delete(path, user=studio.teacher).json() == []
    assert (
        rest.patch(f"{path}&version=eq.1", {"notes": "Ours"}, user=studio.world.user("manager")).json()[0]["version"]
        == 2
    )


@pytest.mark.parametrize("truncated", ["class_schedules", "class_assignments", "weekly_rules"])
def test_truncate_is_refused(studio: Studio, truncated: str) -> None:
    studio.schedule()
    with refused("forbidden"):
        studio.db.execute(f"truncate public.{truncated} cascade".encode())


def test_deleting_one_keeps_its_classes(studio: Studio, ledger: Ledger) -> None:
    """They stand by themselves then, at the time they had; the dates nobody took are free."""
    made = studio.schedule()
    on_time = studio.assignment(0, schedule_id=made.id)
    moved = studio.assignment(7, "14:00", "15:00", schedule_id=made.id)
    studio.db.execute("update public.class_assignments set date = date + 1 where id = %s", [moved.id])
    cancelled = studio.assignment(14, schedule_id=made.id, class_status="cancelled")
    studio.db.execute("delete from public.class_schedules where id = %s", [made.id])
    kept = studio.db.execute("select id, schedule_id from public.class_assignments").fetchall()
    assert sorted(kept) == sorted((row.id, None) for row in (on_time, moved, cancelled))
    assert studio.claims(studio.teacher.profile_id, 0, 60) == [
        ("class_assignments", studio.day(0)),
        ("class_assignments", studio.day(8)),
    ]
    assert studio.db.execute("select count(*) from public.weekly_rule_exceptions").fetchone() == (0,)
    assert ledger.faults() == []


def test_deleting_one_that_had_more_room_than_its_class_type(studio: Studio) -> None:
    """Nobody who has a place loses it."""
    made = studio.schedule(max_participants=6)
    lesson = studio.assignment(0, schedule_id=made.id)
    studio.link(lesson.id, *(studio.booking().booking_id for _ in range(6)))
    with refused("seats_full"):
        studio.db.execute("delete from public.class_schedules where id = %s", [made.id])
    studio.db.execute("update public.class_types set max_participants = 6")
    studio.db.execute("delete from public.class_schedules where id = %s", [made.id])


def test_a_room_of_its_own_time_zone(studio: Studio) -> None:
    away = studio.world.insert("public.locations", name="Paris", time_zone="Europe/Paris").id
    made = studio.schedule(location_id=away)
    assert made.time_zone == "Europe/Paris"
    starts = studio.db.execute(
        "select distinct (lower(during) at time zone 'Europe/Paris')::time from public.claims where source_id = %s",
        [made.id],
    ).fetchall()
    assert starts == [(time(10),)]


def test_a_date_is_called_off_and_comes_back(studio: Studio) -> None:
    made = studio.schedule()
    manager = studio.world.user("manager")
    call(studio.db, manager, "cancel_occurrence", p_rule_id=made.id, p_occurs_on=studio.day(0), p_reason="Holiday")
    assert studio.claims(studio.teacher.profile_id) == []
    studio.assignment(0, "10:30", "11:30")


def test_class_types_with_schedules_stay(studio: Studio) -> None:
    studio.schedule()
    with pytest.raises((psycopg.errors.ForeignKeyViolation, psycopg.errors.RestrictViolation)):
        studio.db.execute("delete from public.class_types")
