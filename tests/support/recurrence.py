"""Weekly rules worked out in Python, by dateutil and zoneinfo: what the ledger should come to as well."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from dateutil.rrule import WEEKLY, rrule

from tests.support.wall_clock import WallTime, end_of, start_of

Span = tuple[datetime, datetime]
Move = tuple[date, time, WallTime]


@dataclass
class WeeklyRule:
    """A weekly rule: weekday 0 Sunday to 6 Saturday, first and last date (both included; None: without end)."""

    weekday: int
    start: time
    end: WallTime
    zone: str
    first: date
    last: date | None = None
    cancelled: set[date] = field(default_factory=set)
    moved: dict[date, Move] = field(default_factory=dict)

    def dates(self, until: date) -> list[date]:
        """The dates it has up to `until`, exceptions and all."""
        last = until if self.last is None else min(self.last, until)
        days = rrule(
            WEEKLY,
            byweekday=(self.weekday - 1) % 7,
            dtstart=datetime.combine(self.first, time()),
            until=datetime.combine(last, time()),
        )
        return [day.date() for day in days]

    def has(self, day: date) -> bool:
        """Whether it has that date, exceptions and all."""
        return day in self.dates(day)

    def occurrences(self, until: datetime) -> dict[date, Span]:
        """When each date takes place that starts before `until`, cancelled and skipped ones left out."""
        # A moved date may come from any distance.
        latest = max([until.date(), *self.moved]) + timedelta(days=2)
        held = {}
        for day in self.dates(latest):
            if day in self.cancelled:
                continue
            on, start, end = self.moved.get(day, (day, self.start, self.end))
            span = start_of(on, start, self.zone), end_of(on, end, self.zone)
            if span[0] is not None and span[1] is not None and span[0] < until:
                held[day] = (span[0], span[1])
        return held


def overlap(one: Span, other: Span) -> bool:
    """Whether two half-open spans have an instant in common."""
    return one[0] < other[1] and other[0] < one[1]
