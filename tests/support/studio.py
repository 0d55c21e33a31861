"""A studio at work: classes, schedules and bookings, for tests of several modules."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg

from tests.support.identity import User
from tests.support.world import World


class Studio:
    """Makes classes, schedules and bookings through the owner's connection of `world`.

    `teacher` and `other` are instructors, `hatha` is a class type for four, `room` a location. Dates are counted from
    `monday`, a Monday at least a week ahead.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.db: psycopg.Connection[Any] = world.db
        self.teacher = world.user("instructor", full_name="Tara Teacher")
        self.other = world.user("instructor", full_name="Odo Other")
        self.hatha = world.insert("public.class_types", name="Hatha", max_participants=4).id
        self.room = world.insert("public.locations", name="Hall").id
        today: date = world.db.execute("select private.today()").fetchone()[0]  # type: ignore[index]
        self.today = today
        self.monday = today + timedelta(days=14 - today.weekday())

    def day(self, number: int) -> date:
        """The date `number` days after `monday`."""
        return self.monday + timedelta(days=number)

    def assignment(self, day: int = 0, start: str | None = "10:00", end: str | None = "11:00", **values: Any) -> Any:
        """A class of `teacher`, `day` days after `monday`; returns its row."""
        row: dict[str, Any] = {
            "class_type_id": self.hatha,
            "instructor_id": self.teacher.profile_id,
            "date": self.day(day),
            "start_time": start,
            "end_time": end,
            "payment_amount": 0,
        }
        return self.world.insert("public.class_assignments", **{**row, **values})

    def schedule(self, weekday: int = 1, start: str = "10:00", end: str | None = "11:00", **values: Any) -> Any:
        """A weekly template of `teacher` from `monday` on (by default on Mondays); returns its row."""
        row: dict[str, Any] = {
            "class_type_id": self.hatha,
            "instructor_id": self.teacher.profile_id,
            "day_of_week": weekday,
            "start_time": start,
            "end_time": end,
            "effective_from": self.monday,
        }
        return self.world.insert("public.class_schedules", **{**row, **values})

    def booking(self, customer: User | None = None, **values: Any) -> Any:
        """A booking, of `customer` where one is given; returns its row."""
        if customer is not None:
            values["profile_id"] = customer.profile_id
        return self.world.insert("public.bookings", **{"first_name": "Bea", **values})

    def link(self, assignment: UUID, *bookings: str) -> None:
        """Makes the class serve these bookings, in one statement."""
        self.db.execute(
            "insert into public.assignment_bookings (assignment_id, booking_id) select %s, unnest(%s::text[])",
            [assignment, list(bookings)],
        )

    def status(self, booking: str) -> str:
        """The booking's status."""
        found = self.db.execute("select status from public.bookings where booking_id = %s", [booking]).fetchone()
        assert found is not None
        return str(found[0])

    def claims(self, resource: UUID | None, first: int = 0, last: int = 0) -> list[tuple[str, date]]:
        """What takes a resource from one day to another: source tables with their dates."""
        return self.db.execute(
            "select source_table, occurs_on from public.claims where resource_id = %s and occurs_on between %s and %s "
            "order by occurs_on, source_table",
            [resource, self.day(first), self.day(last)],
        ).fetchall()
