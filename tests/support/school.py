"""A training company: a course, a place, an instructor, planners and people who book; sessions of any day, also past ones."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg

from tests.support.calls import call
from tests.support.identity import User
from tests.support.world import World


class School:
    """Everything is made through the owner's connection of `world`; times are UTC, where the organisation is."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.db: psycopg.Connection[Any] = world.db
        self.db.execute("update public.settings set value = '\"UTC\"' where key = 'organisation_time_zone'")
        self.today: date = self.one("select private.today()")
        self.monday = self.today + timedelta(7 - self.today.weekday())
        self.boss = world.user("manager")
        self.clerk = world.user("staff")
        self.ana = world.user("instructor", full_name="Ana Teacher")
        self.ben = world.user("instructor", full_name="Ben Teacher")
        self.course: UUID = world.insert(
            "public.courses", code="T 1", title="First Aid", duration_minutes=60, default_capacity=12, price=50
        ).id
        self.room: UUID = world.insert("public.locations", name="Hall A").id

    def one(self, statement: str, arguments: Any = None) -> Any:
        """The first value of the first row."""
        row = self.db.execute(statement.encode(), arguments).fetchone()
        assert row is not None
        return row[0]

    def asked(self, **values: Any) -> dict[str, Any]:
        """Arguments of plan_series and create_series: Mondays at ten with Ana in the hall, four times."""
        return {
            "p_course_id": self.course,
            "p_rrule": "FREQ=WEEKLY;COUNT=4",
            "p_first_date": self.monday,
            "p_start_time": "10:00",
            "p_location_id": self.room,
            "p_instructor_id": self.ana.profile_id,
            **values,
        }

    def series(self, **values: Any) -> dict[str, Any]:
        """Creates a series; gives what create_series answers."""
        [made] = call(self.db, self.boss, "create_series", **self.asked(**values))
        return made

    def sessions(self, series_id: UUID) -> list[tuple[date, str, str]]:
        """Date, start and status of a series' sessions."""
        rows = self.db.execute(
            "select session_date, left(start_time::text, 5), status from public.course_sessions where series_id = %s order by session_date",
            [series_id],
        )
        return rows.fetchall()

    def dates(self, series_id: UUID) -> list[date]:
        """The dates of a series' sessions."""
        return [row[0] for row in self.sessions(series_id)]

    def session_on(self, series_id: UUID, day: date) -> UUID:
        """The session that stands for one date of a series."""
        found: UUID = self.one(
            "select id from public.course_sessions where series_id = %s and series_date = %s", [series_id, day]
        )
        return found

    def meeting(self, resource: UUID, day: date, start: str = "10:00", end: str = "11:00") -> None:
        """Takes somebody's or something's time."""
        meeting = self.world.insert("public.meetings", title="Staff", date=day, start_time=start, end_time=end).id
        self.db.execute("insert into public.meeting_participants values (%s, %s)", [meeting, resource])

    def session(self, day: date | None = None, **values: Any) -> UUID:
        """A single session; without a day next Monday's at noon."""
        made: UUID = self.world.insert(
            "public.course_sessions",
            **{
                "course_id": self.course,
                "session_date": day or self.monday,
                "start_time": "12:00",
                "instructor_id": self.ana.profile_id,
                **values,
            },
        ).id
        return made

    def book(self, session: UUID, who: User | str) -> UUID:
        """Books somebody, or a guest by name."""
        values: dict[str, Any] = {"attendee_name": who} if isinstance(who, str) else {"profile_id": who.profile_id}
        made: UUID = self.world.insert("public.session_bookings", session_id=session, **values).id
        return made

    def certificate(self, name: str, title: str = "First Aid for Instructors") -> tuple[str, UUID]:
        """Code and id of a certificate, good for two years, that a guest of that name has for attending next Monday; it is
        the day after then."""
        self.db.execute("update public.courses set title = %s, certificate_validity_days = 730", [title])
        self.db.execute("update public.settings set value = '\"Riverside Training\"' where key = 'organisation_name'")
        session = self.session()
        booking = self.book(session, name)
        self.pass_days((self.monday - self.today).days + 1)
        self.db.execute("insert into public.attendance (booking_id, status) values (%s, 'present')", [booking])
        [row] = call(self.db, self.boss, "issue_certificates", p_session_id=session)
        return row["verification_code"], row["certificate_id"]

    def pass_days(self, days: float) -> None:
        """Moves the clock of this database."""
        self.db.execute(
            f"create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
            f"return pg_catalog.now() + interval '{days * 24} hours'".encode()
        )
