"""Bookings, schedules and classes on stage: the instructor's and the member's, and somebody else's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """Two instructors and two customers, with the same of everything each, all of it dated far from other samples."""
    manager = people["manager"]
    kind = world.insert("public.class_types", name="Evening yoga", max_participants=2, created_by=manager.id).id
    card = world.insert("public.packages", name="Evening card", price=100, class_count=10, validity_days=60).id
    pairs = (
        (people["instructor"], people["member"]),
        (world.user("instructor", full_name="Otto Other"), world.user("member", full_name="Cara Customer")),
    )
    for number, (teacher, customer) in enumerate(pairs):
        room = world.insert("public.locations", name=f"Lounge {number}").id
        fill_one(world, teacher, customer, room=room, class_type=kind, package=card, manager=manager)


def fill_one(
    world: World, teacher: User, customer: User, *, room: UUID, class_type: UUID, package: UUID, manager: User
) -> None:
    """One instructor's classes, and one customer's bookings: waiting, served, served by the archive, called off."""
    db = world.db
    row = db.execute("select private.today()").fetchone()
    assert row is not None
    today: date = row[0]

    def lesson(days: int, notes: str, **values: Any) -> UUID:
        made: UUID = world.insert(
            "public.class_assignments",
            **{
                "class_type_id": class_type,
                "instructor_id": teacher.profile_id,
                "location_id": room,
                "date": today + timedelta(days=days),
                "start_time": "18:00",
                "end_time": "19:00",
                "time_zone": "UTC",
                "payment_amount": 20,
                "assigned_by": manager.id,
                "notes": notes,
                **values,
            },
        ).id
        return made

    def booking(name: str, **values: Any) -> str:
        code: str = world.insert(
            "public.bookings",
            **{"profile_id": customer.profile_id, "first_name": name, "class_package_id": package, "created_by": customer.id, **values},
        ).booking_id  # fmt: skip
        return code

    def link(assignment: UUID, code: str) -> None:
        db.execute("insert into public.assignment_bookings values (%s, %s)", [assignment, code])

    world.insert("public.package_purchases", profile_id=customer.profile_id, package_id=package)
    schedule = world.insert(
        "public.class_schedules",
        class_type_id=class_type,
        day_of_week=(today + timedelta(days=5)).isoweekday() % 7,
        start_time="20:00",
        end_time="21:00",
        time_zone="UTC",
        instructor_id=teacher.profile_id,
        location_id=room,
        effective_from=today,
        created_by=manager.id,
    ).id
    lesson(5, "Taken over", schedule_id=schedule, start_time="20:00", end_time="21:00")
    link(lesson(6, "Served"), booking("Served", uses_credits=True))
    lesson(7, "Of a package", class_type_id=None, package_id=package)
    lesson(8, "Called off", class_status="cancelled")
    over = lesson(-40, "Archived", class_status="completed")
    link(over, booking("Archived"))
    db.execute("select private.archive_classes(%s)", [[over]])
    booking("Waiting")
    ended = booking("Ended")
    db.execute("update public.bookings set status = 'cancelled' where booking_id = %s", [ended])
