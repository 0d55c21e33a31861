"""A tutoring centre: students with weekly schedules, and ways to damage what was made of them."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from tests.support.identity import User
from tests.support.world import World

MONDAYS = [{"day": "monday", "start_time": "17:00", "duration_minutes": 60}]


class Centre:
    """Makes students through the owner's connection of `world`; they start today, on Mondays at 17:00, if not told otherwise.

    Generation makes each of them four classes. Two students of one teacher need different times.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.db: psycopg.Connection[Any] = world.db
        self.today: date = self.one("select private.today()")

    def one(self, statement: str, arguments: Any = None) -> Any:
        """The first value of the first row."""
        row = self.db.execute(statement.encode(), arguments).fetchone()
        assert row is not None
        return row[0]

    def student(self, name: str = "Mia Chen", schedule: Any = None, teacher: User | None = None, **values: Any) -> UUID:
        """A new student, with the classes that generation makes; gives the id."""
        first, _, last = name.partition(" ")
        row = self.world.insert(
            "public.students",
            **{
                "first_name": first,
                "last_name": last or None,
                "start_date": self.today,
                "teacher_id": None if teacher is None else teacher.profile_id,
                **values,
                "fixed_schedule": Jsonb(MONDAYS if schedule is None else schedule),
            },
        )
        student: UUID = row.id
        return student

    def classes(self, student_id: UUID) -> list[UUID]:
        """The ids of the student's classes, by date."""
        rows = self.db.execute("select id from public.classes where student_id = %s order by date", [student_id])
        return [row[0] for row in rows.fetchall()]

    def lose(self, student_id: UUID, count: int = 1) -> None:
        """Deletes that many of the student's classes, the last ones first."""
        for class_id in self.classes(student_id)[::-1][:count]:
            self.db.execute("delete from public.classes where id = %s", [class_id])

    def runs(self) -> int:
        """How often generation for many ran."""
        return int(self.one("select count(*) from public.class_generation_logs where student_id is null"))

    def spoil(self, student_id: UUID, schedule: Any = "nonsense") -> None:
        """Leaves a schedule that nobody can read, as a restore with triggers off would."""
        with self.db.transaction():
            self.db.execute("alter table public.students disable trigger user")
            self.db.execute(
                "update public.students set fixed_schedule = %s where id = %s",
                [Jsonb([{"day": schedule}]), student_id],
            )
            self.db.execute("alter table public.students enable trigger user")

    def double(self, student_id: UUID) -> UUID:
        """Puts a class there a second time, which takes all keys away; gives the copy's id."""
        first = self.classes(student_id)[0]
        with self.db.transaction():
            for name in ("classes_one_a_start", "classes_one_a_slot_and_date", "no_student_is_in_two_classes"):
                self.db.execute(f"alter table public.classes drop constraint {name}".encode())
            return UUID(
                str(
                    self.one(
                        "insert into public.classes (student_id, date, start_time, end_time) "
                        "select student_id, date, start_time, end_time from public.classes where id = %s returning id",
                        [first],
                    )
                )
            )
