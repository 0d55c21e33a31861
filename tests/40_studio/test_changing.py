"""Asking what is in the way, changing a class, answering for it, giving it to somebody else, and whom to."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.ledger import Ledger
from tests.support.rest import Rest
from tests.support.studio import Studio


@pytest.fixture
def manager(studio: Studio) -> User:
    return studio.world.user("manager")


def check(studio: Studio, by: User | None, day: int = 0, start: str = "10:00", end: str = "11:00", **more: Any) -> Any:
    who = more.pop("who", studio.teacher.profile_id)
    rows = call(
        studio.db, by, "assignment_conflict_check", p_instructor_id=who, p_date=studio.day(day), p_start_time=start,
        p_end_time=end, p_exclude_assignment_id=more.pop("exclude", None),
    )  # fmt: skip
    return [(row["has_conflict"], row["conflicting_assignment_id"], row["conflict_type"]) for row in rows]


def update(studio: Studio, by: User, lesson: UUID, version: int | None, changes: Any, key: str | None = None) -> Any:
    return call(
        studio.db, by, "update_assignment", p_id=lesson, p_expected_version=version, p_changes=Jsonb(changes), p_idempotency_key=key
    )  # fmt: skip


# assignment_conflict_check


def test_what_is_in_the_way(studio: Studio, manager: User, ledger: Ledger) -> None:
    studio.db.execute("update public.settings set value = '\"UTC\"' where key = 'organisation_time_zone'")
    nothing = [(False, None, None)]
    assert check(studio, manager) == nothing
    lesson = studio.assignment(0)
    schedule = studio.schedule(2)
    ledger.meeting(
        "Staff", studio.teacher.profile_id, date=studio.day(2), start_time="10:00", end_time="11:00", time_zone="UTC"
    )
    assert check(studio, manager, 0, "10:30", "11:30") == [(True, lesson.id, "instructor_assignment")]
    assert check(studio, manager, 0, "11:00", "12:00") == nothing
    assert check(studio, manager, 1) == [(True, None, "instructor_schedule")]
    assert check(studio, manager, 2) == [(True, None, "meeting")]
    assert check(studio, manager, exclude=lesson.id) == nothing
    standing = studio.assignment(8, schedule_id=schedule.id)
    assert check(studio, manager, 8, exclude=standing.id) == nothing
    studio.db.execute("update public.class_assignments set date = date + 1 where id = %s", [standing.id])
    assert check(studio, manager, 8, exclude=standing.id) == nothing
    studio.db.execute("update public.class_assignments set class_status = 'cancelled' where id = %s", [lesson.id])
    assert check(studio, manager) == nothing


def test_who_may_not_read_a_calendar_learns_that_it_is_taken(studio: Studio) -> None:
    lesson = studio.assignment()
    assert check(studio, studio.world.user()) == [(True, None, "busy")]
    assert check(studio, studio.teacher) == [(True, lesson.id, "instructor_assignment")]


def test_what_is_asked_wrong(studio: Studio, manager: User, rest: Rest) -> None:
    with refused("invalid_input") as refusal:
        check(studio, manager, start="11:00", end="10:00", who=None)
    assert refusal.fields == {"p_instructor_id", "p_end_time"}
    with refused("not_found"):
        check(studio, manager, who=uuid4())
    assert rest.post("/rpc/assignment_conflict_check", {"p_instructor_id": str(uuid4())}).status_code in (401, 404)


# update_assignment


def test_a_change_of_several_fields(studio: Studio, manager: User) -> None:
    lesson = studio.assignment(location_id=studio.room)
    changes = {
        "date": studio.day(1).isoformat(),
        "start_time": "18:00",
        "end_time": "19:00",
        "location_id": None,
        "notes": " Mat ",
    }
    [row] = update(studio, manager, lesson.id, 1, changes, "k")
    assert (row["date"], row["location_id"], row["notes"], row["version"]) == (studio.day(1), None, "Mat", 2)
    assert update(studio, manager, lesson.id, 1, changes, "k") == [row]
    with refused("stale_version") as refusal:
        update(studio, manager, lesson.id, 1, {"notes": "x"})
    assert refusal.details["current"]["version"] == 2


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "p_changes"),
        ([], "p_changes"),
        (None, "p_changes"),
        ({"colour": "red"}, "p_changes.colour"),
        ({"version": 5}, "p_changes.version"),
        ({"starts_at": "2020-01-01"}, "p_changes.starts_at"),
        ({"date": "2026-02-30", "start_time": "10"}, "p_changes.start_time"),
        ({"payment_amount": -1}, "p_changes.payment_amount"),
        ({"instructor_id": None}, "instructor_id"),
        ({"class_status": "lost"}, "class_status"),
        ({"date": None}, "date"),
        ({"class_type_id": str(uuid4())}, "p_changes.class_type_id"),
        ({"package_id": str(uuid4())}, "p_changes.package_id"),
        ({"location_id": str(uuid4())}, "p_changes.location_id"),
        ({"schedule_id": str(uuid4())}, "p_changes.schedule_id"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
def test_changes_that_make_no_sense(studio: Studio, manager: User, changes: Any, field: str) -> None:
    lesson = studio.assignment()
    with refused("invalid_input") as refusal:
        update(studio, manager, lesson.id, 1, changes)
    assert field in refusal.fields


def test_who_changes_what(studio: Studio, manager: User) -> None:
    lesson = studio.assignment()
    with refused("not_found"):
        update(studio, manager, uuid4(), 1, {"notes": "x"})
    for stranger in (studio.other, studio.world.user()):
        with refused("not_found"):
            update(studio, stranger, lesson.id, 1, {"notes": "x"})
    with refused("forbidden"):
        update(studio, studio.teacher, lesson.id, 1, {"start_time": "09:30"})
    [row] = update(studio, studio.teacher, lesson.id, 1, {"instructor_status": "accepted"})
    assert row["instructor_status"] == "accepted"
    with refused("forbidden"):
        update(studio, studio.world.user("staff"), lesson.id, 2, {"payment_status": "paid"})
    studio.assignment(1)
    with refused("time_conflict"):
        update(studio, manager, lesson.id, 2, {"date": studio.day(1).isoformat()})


# respond_to_assignment


def respond(studio: Studio, by: User, lesson: UUID, response: str, **more: Any) -> Any:
    return call(studio.db, by, "respond_to_assignment", p_id=lesson, p_response=response, **more)


def test_accepting_and_rejecting(studio: Studio) -> None:
    first, second = studio.assignment(0), studio.assignment(1)
    [row] = respond(studio, studio.teacher, first.id, "accepted", p_note=" Fine ", p_idempotency_key="k")
    assert (row["instructor_status"], row["notes"]) == ("accepted", "Fine")
    assert row["instructor_response_at"] is not None
    assert respond(studio, studio.teacher, first.id, "accepted", p_note=" Fine ", p_idempotency_key="k") == [row]
    with refused("illegal_transition"):
        respond(studio, studio.teacher, first.id, "rejected")
    respond(studio, studio.teacher, second.id, "rejected")
    assert studio.claims(studio.teacher.profile_id, 0, 1) == [("class_assignments", studio.day(0))]


def test_who_answers(studio: Studio, manager: User) -> None:
    lesson = studio.assignment()
    for stranger in (studio.other, studio.world.user()):
        with refused("not_found"):
            respond(studio, stranger, lesson.id, "accepted")
    with refused("invalid_input") as refusal:
        respond(studio, studio.teacher, lesson.id, "maybe", p_note="x" * 1001)
    assert refusal.fields == {"p_response", "p_note"}
    assert respond(studio, manager, lesson.id, "accepted")[0]["instructor_status"] == "accepted"
    cancelled = studio.assignment(1, class_status="cancelled")
    with refused("illegal_transition"):
        respond(studio, studio.teacher, cancelled.id, "accepted")


def test_the_answer_and_the_call_off_at_once(studio: Studio, ledger: Ledger) -> None:
    lesson = studio.assignment()
    outcome = ledger.collide(
        lambda by: by.execute(
            "update public.class_assignments set class_status = 'cancelled' where id = %s", [lesson.id]
        ),
        lambda by: by.execute("select from public.respond_to_assignment(%s, 'accepted')", [lesson.id]),
    )
    assert (outcome.waited, outcome.code) == (True, "illegal_transition")


# reassign and suggest_instructors


def reassign(studio: Studio, by: User, ids: list[Any], to: Any, key: str | None = None) -> Any:
    return call(studio.db, by, "reassign", p_ids=ids, p_instructor_id=to, p_idempotency_key=key)


def test_all_or_none_and_every_clash(studio: Studio, manager: User) -> None:
    lessons = [studio.assignment(day).id for day in range(3)]
    for day in (0, 2):
        studio.assignment(day, "10:30", "11:30", instructor_id=studio.other.profile_id)
    with refused("time_conflict") as refusal:
        reassign(studio, manager, [*lessons, lessons[0]], studio.other.profile_id)
    assert {one["assignment_temp_id"] for one in refusal.details["conflicts"]} == {str(lessons[0]), str(lessons[2])}
    [row] = reassign(studio, manager, [lessons[1]], studio.other.profile_id, "k")
    assert (row["instructor_id"], row["instructor_status"]) == (studio.other.profile_id, "pending")
    assert reassign(studio, manager, [lessons[1]], studio.other.profile_id, "k") == [row]


def test_what_cannot_be_reassigned(studio: Studio, manager: User) -> None:
    lesson = studio.assignment()
    other = studio.other.profile_id
    with refused("not_found"):
        reassign(studio, manager, [lesson.id, uuid4()], other)
    with refused("invalid_input"):
        reassign(studio, manager, [], None)
    with refused("invalid_input") as refusal:
        reassign(studio, manager, [lesson.id], uuid4())
    assert refusal.fields == {"instructor_id"}
    with refused("limit_exceeded"):
        reassign(studio, manager, [uuid4()] * 101, other)
    with refused("forbidden"):
        reassign(studio, studio.teacher, [lesson.id], other)
    over = studio.assignment(-60, class_status="completed")
    with refused("illegal_transition"):
        reassign(studio, studio.world.user("staff"), [over.id], other)
    # Who did teach it is corrected by whoever pays for it, and nobody is asked any more.
    assert reassign(studio, manager, [over.id], other)[0]["instructor_status"] == "accepted"


def test_pay_follows_who_teaches(studio: Studio, manager: User) -> None:
    for who, rate in ((studio.teacher, 40), (studio.other, 55)):
        studio.world.insert(
            "public.instructor_rates", instructor_id=who.profile_id, rate=rate, effective_from="2020-01-01"
        )
    lesson = studio.assignment(payment_amount=None)
    assert lesson.payment_amount == 40
    assert reassign(studio, manager, [lesson.id], studio.other.profile_id)[0]["payment_amount"] == 55


def test_whom_to_ask(studio: Studio, manager: User) -> None:
    """Free then; has taught it; teaches least that month. Whoever is busy, away, gone or no instructor is not asked."""
    month_ago = -60
    lesson = studio.assignment(0)
    names = ("Fresh", "Taught much", "Taught little", "Busy", "Away", "Gone", "Rejected other")
    people = {name: studio.world.user("instructor", full_name=name).profile_id for name in names}
    for name in ("Taught much", "Taught little"):
        studio.assignment(month_ago, instructor_id=people[name], class_status="completed")
    day = 1 if studio.day(1).month == studio.monday.month else -1
    studio.assignment(day, instructor_id=people["Taught much"])
    studio.assignment(0, "10:30", "11:30", instructor_id=people["Busy"])
    refused_one = studio.assignment(0, instructor_id=people["Rejected other"])
    studio.db.execute(
        "update public.class_assignments set instructor_status = 'rejected' where id = %s", [refused_one.id]
    )
    studio.db.execute(
        "insert into public.time_off (resource_id, starts_on, ends_on) values (%s, %s, %s)",
        [people["Away"], studio.monday, studio.monday],
    )
    studio.db.execute("update public.time_off set status = 'approved'")
    studio.db.execute("update public.user_profiles set is_active = false where id = %s", [people["Gone"]])
    studio.world.user("member", full_name="No instructor")
    rows = call(studio.db, manager, "suggest_instructors", p_assignment_id=lesson.id)
    assert [(row["instructor_name"], row["times_taught"], row["minutes_that_month"]) for row in rows] == [
        ("Taught little", 1, 0), ("Taught much", 1, 60), ("Fresh", 0, 0), ("Odo Other", 0, 0), ("Rejected other", 0, 0)
    ]  # fmt: skip
    assert {row["is_within_hours"] for row in rows} == {None}
    # Whoever is suggested can be asked.
    for row in rows:
        reassign(studio, manager, [lesson.id], row["instructor_id"])


def test_a_class_without_times_can_be_anybodys(studio: Studio, manager: User) -> None:
    lesson = studio.assignment(start=None, end=None)
    studio.assignment(0, instructor_id=studio.other.profile_id)
    [row] = call(studio.db, manager, "suggest_instructors", p_assignment_id=lesson.id)
    assert row["instructor_id"] == studio.other.profile_id


def test_who_may_ask(studio: Studio, manager: User) -> None:
    lesson = studio.assignment()
    for nobody in (studio.teacher, studio.world.user()):
        with refused("forbidden"):
            call(studio.db, nobody, "suggest_instructors", p_assignment_id=lesson.id)
    with refused("not_found"):
        call(studio.db, manager, "suggest_instructors", p_assignment_id=uuid4())
