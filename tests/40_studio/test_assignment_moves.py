"""How a class moves through its statuses, and who may move it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.ledger import Connection
from tests.support.rest import Rest
from tests.support.studio import Studio


def change(studio: Studio, lesson: UUID, setting: str, by: Connection | None = None) -> None:
    (by or studio.db).execute(f"update public.class_assignments set {setting} where id = %s".encode(), [lesson])


def body(studio: Studio, day: int = 0, start: str = "10:00", end: str = "11:00", **more: Any) -> dict[str, Any]:
    """A class as REST takes it."""
    return {
        "instructor_id": str(studio.teacher.profile_id), "date": studio.day(day).isoformat(), "start_time": start,
        "end_time": end, "payment_amount": 0, **more,
    }  # fmt: skip


MOVES = {
    "accept": {"instructor_status": "accepted"},
    "reject": {"instructor_status": "rejected"},
    "complete": {"class_status": "completed"},
    "cancel": {"class_status": "cancelled"},
    "pay": {"payment_status": "paid"},
    "note": {"notes": "Mine"},
    "move": {"start_time": "12:00", "end_time": "13:00"},
    "price": {"payment_amount": 99},
    "rate": {"payment_amount": None, "rate": 99},
}


MAY = {
    "teacher": {"accept", "reject", "complete", "note"},
    "other": set(),
    "member": set(),
    "staff": {"accept", "reject", "complete", "cancel", "note", "move", "price", "rate"},
    "manager": set(MOVES),
    "admin": set(MOVES),
    "service_role": set(MOVES),
}


def test_who_may_make_which_move(studio: Studio, rest: Rest) -> None:
    people: dict[str, User | str] = {
        "teacher": studio.teacher, "other": studio.other, "service_role": "service_role",
        **{role: studio.world.user(role) for role in ("member", "staff", "manager", "admin")},
    }  # fmt: skip
    may: dict[str, set[str]] = {}
    for day, (name, caller) in enumerate(people.items()):
        may[name] = set()
        for move, changes in MOVES.items():
            # A class that has begun, so that it can be completed.
            lesson = studio.assignment(-60 - day)
            answer = rest.patch(f"/class_assignments?id=eq.{lesson.id}", changes, user=caller)
            assert answer.status_code in (200, 401, 403), answer.text
            if answer.status_code == 200 and answer.json():
                may[name].add(move)
            studio.db.execute("delete from public.class_assignments where id = %s", [lesson.id])
    assert may == MAY


def test_an_instructor_gives_their_class_to_nobody(studio: Studio, rest: Rest) -> None:
    lesson = studio.assignment()
    answer = rest.patch(
        f"/class_assignments?id=eq.{lesson.id}", {"instructor_id": str(studio.other.profile_id)}, user=studio.teacher
    )
    assert answer.status_code == 403
    assert rest.post("/class_assignments", body(studio, 1), user=studio.teacher).status_code == 403
    assert rest.delete(f"/class_assignments?id=eq.{lesson.id}", user=studio.teacher).json() == []
    staff = studio.world.user("staff")
    assert rest.delete(f"/class_assignments?id=in.({lesson.id})", user=staff).json() == []
    assert len(rest.delete(f"/class_assignments?id=in.({lesson.id})", user=studio.world.user("manager")).json()) == 1


def test_who_assigned_it_is_not_made_up(studio: Studio, rest: Rest) -> None:
    manager, other = studio.world.user("manager"), studio.world.user("manager")
    answer = rest.post("/class_assignments", body(studio, assigned_by=str(other.id)), user=manager)
    assert answer.status_code == 403
    made = rest.post("/class_assignments", body(studio), user=manager, headers={"Prefer": "return=representation"})
    assert made.json()[0]["assigned_by"] == str(manager.id)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("class_status = 'completed'", "class_status = 'scheduled'"),
        ("class_status = 'completed'", "class_status = 'cancelled'"),
        ("class_status = 'cancelled'", "class_status = 'scheduled'"),
        ("class_status = 'cancelled'", "class_status = 'completed'"),
        ("class_status = 'cancelled'", "instructor_status = 'accepted'"),
        ("class_status = 'cancelled'", "payment_status = 'paid'"),
        ("instructor_status = 'accepted'", "instructor_status = 'rejected'"),
        ("instructor_status = 'accepted'", "instructor_status = 'pending'"),
        ("instructor_status = 'rejected'", "instructor_status = 'accepted'"),
        ("instructor_status = 'rejected'", "class_status = 'completed'"),
        ("payment_status = 'paid'", "payment_status = 'pending'"),
        ("payment_status = 'cancelled'", "payment_status = 'paid'"),
    ],
)
def test_nothing_moves_back(studio: Studio, first: str, second: str) -> None:
    lesson = studio.assignment(-60)
    change(studio, lesson.id, first)
    with refused("illegal_transition"):
        change(studio, lesson.id, second)


def test_completing_before_it_began(studio: Studio) -> None:
    lesson = studio.assignment(1)
    with refused("illegal_transition"):
        change(studio, lesson.id, "class_status = 'completed'")
    with refused("illegal_transition"):
        studio.assignment(2, class_status="completed")
    with refused("illegal_transition"):
        studio.assignment(3, None, None, class_status="completed")
    # Not by way of another day either, once it is over.
    over = studio.assignment(-60, class_status="completed")
    with refused("illegal_transition"):
        change(studio, over.id, f"class_status = 'scheduled', date = '{studio.day(5)}'")


def test_a_rejected_class_is_asked_of_somebody_else(studio: Studio) -> None:
    lesson = studio.assignment()
    change(studio, lesson.id, "instructor_status = 'rejected'")
    change(studio, lesson.id, f"instructor_id = '{studio.other.profile_id}'")
    row = studio.db.execute(
        "select instructor_status, instructor_response_at from public.class_assignments where id = %s", [lesson.id]
    ).fetchone()
    assert row == ("pending", None)
    assert len(studio.claims(studio.other.profile_id)) == 1


def test_the_optimistic_update_of_two(studio: Studio, rest: Rest) -> None:
    manager = studio.world.user("manager")
    lesson = studio.assignment()
    path = f"/class_assignments?id=eq.{lesson.id}"
    assert rest.patch(f"{path}&version=eq.1", {"notes": "a"}, user=manager).json()[0]["version"] == 2
    assert rest.patch(f"{path}&version=eq.1", {"notes": "b"}, user=manager).json() == []
    with refused("stale_version") as refusal:
        call(studio.db, manager, "update_assignment", p_id=lesson.id, p_expected_version=1, p_changes='{"notes": "c"}')
    assert refusal.details["current"]["notes"] == "a"
