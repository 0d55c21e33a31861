"""Students and their classes on stage: the member's, whom the instructor teaches, and somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """Two teachers with a student each, and the same of everything, early in the morning where nobody else is."""
    manager = people["manager"]
    course = world.insert("public.courses", code="TUT 1", title="Tutoring", duration_minutes=30, price=25).id
    pairs = (
        (people["instructor"], people["member"], "Stella"),
        (world.user("instructor", full_name="Tom Tutor"), world.user("member", full_name="Lena Learner"), "Lena"),
    )
    for number, (teacher, learner, name) in enumerate(pairs):
        fill_one(world, number, teacher, learner, name, course, manager)
    # One who has neither schedule nor classes, and can be deleted.
    world.insert(
        "public.students",
        first_name="Blank",
        start_date="2026-01-01",
        course_id=course,
        teacher_id=people["instructor"].profile_id,
        profile_id=people["staff"].profile_id,
        user_id=people["staff"].id,
        created_by=manager.id,
    )


def fill_one(world: World, number: int, teacher: User, learner: User, name: str, course: UUID, manager: User) -> None:
    """One student: a schedule, a pause, a class that was paid, one that was cancelled and made up for, one attended."""
    db = world.db
    today: date = db.execute("select private.today()").fetchone()[0]  # type: ignore[index]
    day = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")[
        (today + timedelta(2)).weekday()
    ]
    student = world.insert(
        "public.students",
        first_name=name,
        last_name="Sample",
        user_id=learner.id,
        course_id=course,
        teacher_id=teacher.profile_id,
        start_date=today,
        time_zone="UTC",
        fixed_schedule=Jsonb([{"day": day, "start_time": "04:00"}]),
        created_by=manager.id,
    ).id
    world.insert(
        "public.student_pauses",
        student_id=student,
        starts_on=today + timedelta(22),
        ends_on=today + timedelta(24),
        reason=f"{name} travels.",
        created_by=manager.id,
    )

    def lesson(days: int, notes: str, **values: Any) -> UUID:
        made: UUID = world.insert(
            "public.classes",
            **{
                "student_id": student,
                "date": today + timedelta(days),
                "start_time": "05:00",
                "notes": f"{notes} {name}",
                **values,
            },
        ).id
        return made

    held = lesson(-5, "Held")
    for status in ("absent", "present"):
        db.execute("select from public.record_attendance(%s, %s)", [held, status])
    db.execute("update public.class_attendance set recorded_by = %s where class_id = %s", [manager.id, held])
    payment = world.insert("public.payments", payer_id=learner.profile_id, amount=25, method="cash").id
    world.insert("public.payment_items", payment_id=payment, source_table="classes", source_id=held, amount=25)
    off = lesson(6, "Called off")
    db.execute("select from public.cancel_class(%s, 'Ill.', 'student')", [off])
    db.execute("select from public.book_makeup(%s, %s, '06:00')", [off, today + timedelta(7)])
    lesson(8, "To come")
