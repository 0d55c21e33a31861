"""Students and their classes, for tests of several modules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import namedtuple_row
from psycopg.types.datetime import TimeLoader
from psycopg.types.json import Jsonb

from tests.support.identity import User
from tests.support.wall_clock import MIDNIGHT, WallTime
from tests.support.world import World

# A Monday in summer, early enough in the day for classes to come.
NOON = datetime(2027, 6, 7, 6, tzinfo=UTC)

# What a class is, without what differs between two that were made at different moments.
ROWS = """
select student_id, date, start_time, end_time, time_zone, starts_at, ends_at, status, payment_status, source, occurs_on, course_id, teacher_id,
  price, teacher_pay, notes, cancelled_by, cancellation_reason, is_charged, is_teacher_paid
from public.classes order by student_id, date, start_time
"""
BYTES = """
select array_agg(c::text || c.ctid || c.xmin order by c.id) from public.classes c
"""


def slot(day: str, start: str, minutes: int = 60) -> dict[str, Any]:
    """One element of a fixed schedule."""
    return {"day": day, "start_time": start, "duration_minutes": minutes}


def set_now(db: psycopg.Connection[Any], moment: datetime) -> None:
    """Moves the database's clock, for every connection."""
    db.execute(
        "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
        f"return timestamptz '{moment.isoformat()}'"
    )


class WallTimeLoader(TimeLoader):
    """A time of day, the end of the day included, which Python has no time for."""

    def load(self, data: Any) -> WallTime:  # type: ignore[override]
        """The time, or MIDNIGHT."""
        said: time | str = MIDNIGHT if bytes(data).startswith(b"24") else super().load(data)
        return said


class Tracking:
    """Makes students through the owner's connection of `world`, whose clock it moves.

    `teacher` and `other` are instructors, `course` takes 60 minutes and costs 40. Dates are counted from `monday`, the
    Monday the clock stands at first (06:00 UTC, which is where the organisation is).
    """

    def __init__(self, world: World, now: datetime = NOON) -> None:
        self.world = world
        self.db: psycopg.Connection[Any] = world.db
        self.db.adapters.register_loader("time", WallTimeLoader)
        self.monday: date = now.date()
        self.clock(now)
        self.teacher = world.user("instructor", full_name="Tara Teacher")
        self.other = world.user("instructor", full_name="Odo Other")
        self.course: UUID = world.insert(
            "public.courses", code="MATH", title="Mathematics", duration_minutes=60, price=40
        ).id

    def clock(self, moment: datetime) -> None:
        """Moves the database's clock."""
        self.now = moment
        set_now(self.db, moment)

    def later(self, **span: float) -> None:
        """Moves the clock on, by what timedelta takes."""
        self.clock(self.now + timedelta(**span))

    def day(self, number: int) -> date:
        """The date `number` days after `monday`."""
        return self.monday + timedelta(days=number)

    def student(self, schedule: Any = (), /, **values: Any) -> Any:
        """A student of `teacher` in `course`, from `monday` on, in UTC unless told otherwise; returns the row."""
        row: dict[str, Any] = {
            "first_name": "Sam",
            "course_id": self.course,
            "teacher_id": self.teacher.profile_id,
            "start_date": self.monday,
            "time_zone": "UTC",
            "fixed_schedule": Jsonb(list(schedule) if isinstance(schedule, Sequence) else schedule),
        }
        return self.world.insert("public.students", **{**row, **values})

    def login(self, **values: Any) -> tuple[User, Any]:
        """A person with a login who is a student, on Mondays at ten; the person and the row."""
        person = self.world.user("member", full_name="Lina Learner")
        return person, self.student([slot("monday", "10:00")], user_id=person.id, **values)

    def reschedule(self, student: UUID, schedule: Any) -> None:
        """Changes a student's weekly schedule."""
        self.change(student, fixed_schedule=Jsonb(schedule))

    def change(self, student: UUID, **values: Any) -> None:
        """Changes columns of a student."""
        for column, value in values.items():
            assert self.db.execute(
                f"update public.students set {column} = %s where id = %s".encode(), [value, student]
            ).rowcount

    def run(self, through: date | None = None) -> Any:
        """The weekly run; returns its row."""
        with self.db.cursor(row_factory=namedtuple_row) as cursor:
            found = cursor.execute("select * from private.generate_for_everyone(%s)", [through]).fetchone()
        assert found is not None
        return found

    def classes(self, student: UUID, **where: Any) -> list[Any]:
        """A student's classes in order, those with these values."""
        wanted = "".join(f" and {column} = %({column})s" for column in where)
        with self.db.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(
                f"select * from public.classes where student_id = %(student)s{wanted} order by starts_at, created_at, id".encode(),
                {"student": student, **where},
            ).fetchall()

    def dates(self, student: UUID, **where: Any) -> list[date]:
        """When those are."""
        return [row.date for row in self.classes(student, **where)]

    def one(self, statement: str, *arguments: Any) -> Any:
        """The first value of the first row."""
        row = self.db.execute(statement.encode(), arguments).fetchone()
        assert row is not None
        return row[0]

    def rows(self) -> list[tuple[Any, ...]]:
        """What the classes are, whenever and under which id they were made."""
        return self.db.execute(ROWS).fetchall()

    def bytes(self) -> Any:
        """The classes byte for byte, with the versions of their rows."""
        return self.one(BYTES)

    def logs(self, student: UUID | None) -> list[Any]:
        """What generation logged of a student, the latest first."""
        with self.db.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(
                "select * from public.class_generation_logs where student_id is not distinct from %s order by id desc",
                [student],
            ).fetchall()

    def missing(self) -> list[tuple[str, str]]:
        """What diagnosis of missing classes finds: students and sentences."""
        return self.db.execute(
            "select entity_id, message from private.check_students_missing_classes() order by message"
        ).fetchall()

    def findings(self) -> list[tuple[str, str]]:
        """What diagnosis finds in this module and in the ledger: checks and sentences."""
        return self.db.execute(
            "select check_name, message from public.run_diagnostics(p_modules => '{20_time,50_tracking}') order by 1, 2"
        ).fetchall()
