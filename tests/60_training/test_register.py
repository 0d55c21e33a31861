"""The register: a whole one in one call, by whom, from when, and what becomes of the bookings."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.calls import call, refused
from tests.support.identity import User
from tests.support.school import School
from tests.support.world import World


@pytest.fixture
def school(world: World) -> School:
    return School(world)


class Register:
    """A session next Monday with twelve guests and one on the stage; the clock is moved past its start on demand."""

    def __init__(self, school: School) -> None:
        self.school = school
        self.session = school.session()
        self.bookings = [school.book(self.session, f"Guest {n:02}") for n in range(12)]

    def begin(self) -> None:
        self.school.pass_days((self.school.monday - self.school.today).days + 1)

    def mark(
        self, by: User | str | None, *statuses: str, session: UUID | None = None, **more: Any
    ) -> list[dict[str, Any]]:
        marks = [{"booking_id": str(b), "status": s} for b, s in zip(self.bookings, statuses, strict=False)]
        return call(
            self.school.db, by, "mark_attendance", p_session_id=session or self.session, p_marks=Jsonb(marks), **more
        )

    def states(self) -> list[str]:
        rows = self.school.db.execute(
            "select status from public.session_bookings where session_id = %s order by attendee_name", [self.session]
        )
        return [row[0] for row in rows]


@pytest.fixture
def register(school: School) -> Register:
    return Register(school)


def test_twelve_marks_in_one_call_by_the_instructor(school: School, register: Register) -> None:
    register.begin()
    statuses = ["present"] * 8 + ["late", "late", "absent", "excused"]
    marked = register.mark(school.ana, *statuses)
    assert [row["status"] for row in marked] == statuses
    assert [row["booking_status"] for row in marked] == ["attended"] * 10 + ["no_show"] * 2
    assert register.states() == ["attended"] * 10 + ["no_show"] * 2
    assert school.one("select count(*) from public.attendance where marked_by = %s", [school.ana.id]) == 12


def test_only_from_the_start(school: School, register: Register) -> None:
    with refused("illegal_transition"):
        register.mark(school.boss, "present")
    with refused("illegal_transition"):
        school.db.execute(
            "insert into public.attendance (booking_id, status) values (%s, 'present')", [register.bookings[0]]
        )
    assert register.states() == ["confirmed"] * 12


def test_only_the_instructor_and_staff(school: School, register: Register, world: World) -> None:
    register.begin()
    for who in (school.ben, world.user()):
        with refused("forbidden"):
            register.mark(who, "present")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        register.mark("anon", "present")
    assert register.mark(school.clerk, "present")[0]["booking_status"] == "attended"


def test_corrections_are_audited_and_followed(school: School, register: Register) -> None:
    register.begin()
    register.mark(school.ana, "present", "absent")
    before = school.one("select marked_at from public.attendance where booking_id = %s", [register.bookings[1]])
    school.pass_days(20)
    done = register.mark(school.boss, "present", "late")
    assert [row["version"] for row in done] == [1, 2]
    assert done[1]["marked_at"] > before
    assert register.states()[:2] == ["attended", "attended"]
    trail = school.db.execute(
        "select operation from public.audit_log where table_name = 'attendance' and row_key::text like %s order by id",
        [f"%{register.bookings[1]}%"],
    ).fetchall()
    assert [row[0].lower()[:6] for row in trail] == ["insert", "update"]
    school.db.execute("delete from public.attendance where booking_id = %s", [register.bookings[1]])
    assert register.states()[1] == "confirmed"


def test_every_bad_mark_is_named_and_none_is_made(school: School, register: Register) -> None:
    register.begin()
    other = uuid4()
    good = str(register.bookings[0])
    marks = [
        {"booking_id": good, "status": "present"},
        {"booking_id": good, "status": "asleep"},
        {"booking_id": str(other), "status": "present", "notes": "x" * 1001},
    ]
    with refused("invalid_input") as refusal:
        call(school.db, school.ana, "mark_attendance", p_session_id=register.session, p_marks=Jsonb(marks))
    assert refusal.fields == {
        "p_marks[0].booking_id", "p_marks[1].booking_id", "p_marks[1].status", "p_marks[2].booking_id", "p_marks[2].notes",
    }  # fmt: skip
    for wrong in ([], {}, [{"booking": good}], [{"booking_id": 7, "status": "present"}]):
        with refused("invalid_input"):
            call(school.db, school.ana, "mark_attendance", p_session_id=register.session, p_marks=Jsonb(wrong))
    with refused("limit_exceeded"):
        call(school.db, school.ana, "mark_attendance", p_session_id=register.session, p_marks=Jsonb([marks[0]] * 101))
    with refused("not_found"):
        register.mark(school.boss, "present", session=uuid4())
    assert school.one("select count(*) from public.attendance") == 0


def test_the_same_key_marks_once(school: School, register: Register) -> None:
    register.begin()
    first = register.mark(school.ana, "present", p_idempotency_key="k")
    register.mark(school.ana, "absent")
    assert register.mark(school.ana, "present", p_idempotency_key="k") == first
    assert register.states()[0] == "no_show"


def test_a_marked_booking_is_not_cancelled_behind_the_registers_back(school: School, register: Register) -> None:
    register.begin()
    register.mark(school.ana, "present")
    with pytest.raises(psycopg.Error):
        school.db.execute(
            "update public.session_bookings set status = 'cancelled' where id = %s", [register.bookings[0]]
        )


def test_a_session_whose_register_was_begun_is_not_put_off(school: School, register: Register) -> None:
    """Its hours are still corrected while it is open; otherwise somebody would have been at what is yet to come."""
    register.begin()
    db, session = school.db, register.session
    later = school.today + timedelta(days=30)
    move = "update public.course_sessions set session_date = %s where id = %s"
    with db.transaction(force_rollback=True):
        db.execute(move, [later, session])
    register.mark(school.ana, "present")
    with refused("illegal_transition"), db.transaction():
        db.execute(move, [later, session])
    with refused("illegal_transition"):
        call(db, school.boss, "move_session", p_id=session, p_session_date=later)
    db.execute("update public.course_sessions set start_time = start_time + interval '5 min' where id = %s", [session])
    db.execute("update public.course_sessions set status = 'completed' where id = %s", [session])
    with refused("illegal_transition"), db.transaction():
        db.execute("update public.course_sessions set time_zone = 'Pacific/Auckland' where id = %s", [session])
