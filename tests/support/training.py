"""Sessions with seats, for tests of several modules."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg

from tests.support.calls import call
from tests.support.identity import User
from tests.support.world import World

# What no order of events may leave behind.
BROKEN = """
select 'seats and capacity', s.id::text from public.course_sessions s
where s.max_capacity <> (select count(*) from public.session_seats q where q.session_id = s.id)
union all
select 'seats of a booking', b.id::text from public.session_bookings b
where (select count(*) from public.session_seats q where q.booking_id = b.id and q.session_id = b.session_id)
  <> case when b.is_live then b.seats else 0 end
union all
select 'seat of a stranger', q.session_id::text from public.session_seats q
where q.booking_id is not null
  and not exists (select from public.session_bookings b where b.id = q.booking_id and b.session_id = q.session_id and b.is_live)
union all
select 'oversold', s.id::text from public.course_sessions s
where (select sum(b.seats) from public.session_bookings b where b.session_id = s.id and b.is_live) > s.max_capacity
union all
select 'live in a cancelled session', b.id::text from public.session_bookings b
join public.course_sessions s on s.id = b.session_id
where s.status = 'cancelled' and b.is_live
union all
select 'twice', b.profile_id::text from public.session_bookings b
where b.is_live and b.profile_id is not null group by b.session_id, b.profile_id having count(*) > 1
union all
select 'held beyond what was asked', h.id::text from public.session_holds h
where (select count(*) from public.session_seats q where q.held_by = h.id) > h.seats
"""


class Training:
    """Makes courses and sessions through the owner's connection of `world`.

    `course` is an hour long and costs 10; `day` is a week from now, and sessions begin there at 10:00 unless they say
    otherwise.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.db: psycopg.Connection[Any] = world.db
        row = self.db.execute("select private.today()").fetchone()
        assert row is not None
        self.today = row[0]
        self.day = self.today + timedelta(days=7)
        self.course: UUID = self.make_course("AID")
        self.manager = world.user("manager")

    def make_course(self, code: str, **values: Any) -> UUID:
        """A course of an hour's sessions."""
        found: UUID = self.world.insert(
            "public.courses", **{"code": code, "title": f"Course {code}", "duration_minutes": 60, "price": 10, **values}
        ).id
        return found

    def session(self, seats: int = 12, **values: Any) -> UUID:
        """A session with so many seats; returns its id."""
        if seats > 12:
            self.allow(seats)
        made: UUID = self.world.insert(
            "public.course_sessions",
            **{
                "course_id": self.course,
                "session_date": self.day,
                "start_time": "10:00",
                "max_capacity": seats,
                **values,
            },
        ).id
        return made

    def allow(self, seats: int) -> None:
        """Lets sessions have so many seats."""
        self.db.execute(
            "update public.settings set value = to_jsonb(%s::int) where key = 'session_capacity_max'", [seats]
        )

    def book(self, session: UUID, who: User | str | None = None, **arguments: Any) -> list[dict[str, Any]]:
        """Books through book_session."""
        return call(self.db, who, "book_session", p_session_id=session, **arguments)

    def guest(self, session: UUID, name: str = "Guest", **values: Any) -> UUID:
        """Books by a plain INSERT as the owner; returns the booking's id."""
        made: UUID = self.world.insert("public.session_bookings", session_id=session, attendee_name=name, **values).id
        return made

    def one(self, statement: str, *arguments: Any) -> Any:
        """The first value of the only row a statement gives."""
        row = self.db.execute(statement.encode(), arguments).fetchone()
        assert row is not None
        return row[0]

    def left(self, session: UUID) -> int:
        """Seats nobody owns or holds."""
        found: int = self.one("select s.seats_left from public.course_sessions s where s.id = %s", session)
        return found

    def taken(self, session: UUID) -> int:
        """Seats that are booked."""
        found: int = self.one("select s.current_bookings from public.course_sessions s where s.id = %s", session)
        return found

    def status(self, session: UUID) -> str:
        """What the session is."""
        found: str = self.one("select status from public.course_sessions where id = %s", session)
        return found

    def broken(self) -> list[Any]:
        """What is not as it must always be."""
        return self.db.execute(BROKEN.encode()).fetchall()


def guests(*names: str) -> str:
    """Attendees by name, as book_session takes them."""
    return json.dumps([{"name": name} for name in names])
