"""When everybody is free, as a plain model that knows minutes only says, and a scene in the database to hold it against."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg

from tests.support.calls import call

MINUTE = timedelta(minutes=1)


# A few days before a clock jumps ahead or falls back, by an hour or half an hour, at night or at midnight.
CHANGES = {
    "America/New_York": (date(2024, 3, 8), date(2024, 11, 1)),
    "Australia/Lord_Howe": (date(2024, 10, 4), date(2024, 4, 5)),
    "Africa/Cairo": (date(2024, 4, 24), date(2024, 10, 29)),
    "America/St_Johns": (date(2010, 3, 12), date(2010, 11, 5)),  # at one minute past midnight
    "America/Havana": (date(2024, 3, 8), date(2024, 11, 1)),
    "Pacific/Kiritimati": (date(2024, 6, 1),),
}


ZONES = tuple(CHANGES)


def instant(day: date, minutes: int, zone: str) -> datetime | None:
    """The first instant at which the clock shows this many minutes past midnight, None where it never does."""
    wall = datetime.combine(day, time()) + minutes * MINUTE
    found = wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
    return found if found.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall else None


def end_instant(day: date, minutes: int, zone: str) -> datetime | None:
    """As `instant`, for an excluded end: it may lie exactly where the clock jumps."""
    found = instant(day, minutes, zone)
    if found is None and (before := instant(day, minutes - 1, zone)) is not None:
        found = before + MINUTE
    return found


def day_start(day: date, zone: str) -> datetime:
    found = end_instant(day, 0, zone)
    assert found is not None
    return found


@dataclass
class Hours:
    """A row of availability_rules; times in minutes past midnight, `until` excluded."""

    weekday: int
    start: int
    end: int
    zone: str
    since: date
    until: date | None

    def clashes(self, other: Hours) -> bool:
        return (
            self.weekday == other.weekday
            and max(self.start, other.start) < min(self.end, other.end)
            and max(self.since, other.since) < min(self.until or date.max, other.until or date.max)
        )


@dataclass
class Model:
    """One resource: intervals it is busy, and the hours it stated."""

    is_person: bool
    busy: list[tuple[datetime, datetime]] = field(default_factory=list)
    hours: list[Hours] = field(default_factory=list)

    def minutes(self, first: datetime, last: datetime, *, respect: bool) -> set[datetime]:
        """Every minute from `first` until `last` at which it can be had."""
        window = set(span(first, last))
        open_for = window
        if respect:
            stated: set[datetime] = set()
            worked: set[datetime] = set()
            for rule in self.hours:
                until = day_start(rule.until, rule.zone) if rule.until else last
                stated |= set(span(max(first, day_start(rule.since, rule.zone)), min(last, until)))
                day = first.date() - timedelta(days=2)
                while day <= last.date() + timedelta(days=2):
                    if (day.weekday() + 1) % 7 == rule.weekday and rule.since <= day < (rule.until or date.max):
                        begins = instant(day, rule.start, rule.zone)
                        ends = end_instant(day, rule.end, rule.zone)
                        if begins is not None and ends is not None:
                            worked |= set(span(max(first, begins), min(last, ends)))
                    day += timedelta(days=1)
            open_for = worked if self.is_person else worked | (window - stated)
        for begins, ends in self.busy:
            open_for = open_for - set(span(max(first, begins), min(last, ends)))
        return open_for


def span(first: datetime, last: datetime) -> list[datetime]:
    return [first + n * MINUTE for n in range(max(0, int((last - first) / MINUTE)))]


def model_slots(
    models: list[Model], first: datetime, last: datetime, duration: int, step: int, zone: str, *, respect: bool
) -> list[tuple[datetime, datetime]]:
    free = set.intersection(*(m.minutes(first, last, respect=respect) for m in models))
    slots = []
    day = first.date() - timedelta(days=2)
    while day <= last.date() + timedelta(days=2):
        for minutes in range(0, 1440, step):
            begins = instant(day, minutes, zone)
            if begins is not None and free.issuperset(span(begins, begins + duration * MINUTE)):
                slots.append((begins, begins + duration * MINUTE))
        day += timedelta(days=1)
    return sorted(slots)


@dataclass
class Scene:
    db: psycopg.Connection[Any]
    people: list[UUID]
    place: UUID
    tool: UUID

    @property
    def everybody(self) -> list[UUID]:
        return [*self.people, self.place, self.tool]

    def add_hours(self, resource: UUID, hours: Hours) -> None:
        self.db.execute(
            "insert into public.availability_rules (resource_id, weekday, start_time, end_time, time_zone, effective)"
            " values (%s, %s, %s::time, %s::time, %s, daterange(%s, %s))",
            [resource, hours.weekday, clock(hours.start), clock(hours.end), hours.zone, hours.since, hours.until],
        )

    def add_meeting(self, resources: list[UUID], first: datetime, last: datetime) -> None:
        begins, ends = first.astimezone(UTC), last.astimezone(UTC)
        meeting = self.db.execute(
            "insert into public.meetings (title, date, start_time, ends_on, end_time, time_zone)"
            " values ('Meeting', %s, %s, %s, %s, 'UTC') returning id",
            [begins.date(), begins.time(), ends.date(), ends.time()],
        ).fetchone()
        assert meeting is not None
        for resource in resources:
            self.db.execute("insert into public.meeting_participants values (%s, %s)", [meeting[0], resource])

    def add_time_off(self, resource: UUID, first: datetime, last: datetime, status: str) -> None:
        begins, ends = first.astimezone(UTC), last.astimezone(UTC)
        row = self.db.execute(
            "insert into public.time_off (resource_id, starts_on, start_time, ends_on, end_time, time_zone)"
            " values (%s, %s, %s, %s, %s, 'UTC') returning id",
            [resource, begins.date(), begins.time(), ends.date(), ends.time()],
        ).fetchone()
        assert row is not None
        if status != "requested":
            self.db.execute(
                "update public.time_off set status = %s, keeps_claims = %s where id = %s",
                [status, status == "approved", row[0]],
            )

    def slots(self, resources: list[UUID], first: datetime, last: datetime, minutes: int, **more: Any) -> list[Any]:
        rows = call(
            self.db, None, "free_slots", p_resource_ids=resources, p_from=first, p_to=last,
            p_duration=minutes * MINUTE, **more,
        )  # fmt: skip
        return [(row["starts_at"].astimezone(UTC), row["ends_at"].astimezone(UTC)) for row in rows]


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def set_zone(db: psycopg.Connection[Any], zone: str) -> None:
    db.execute("update public.settings set value = to_jsonb(%s::text) where key = 'organisation_time_zone'", [zone])
