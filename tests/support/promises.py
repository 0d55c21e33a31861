"""Which classes a student ought to have, worked out in Python by dateutil and zoneinfo: the other opinion on generation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import WEEKLY, rrule

from tests.support.recurrence import Span, overlap
from tests.support.wall_clock import WallTime, at, end_of, start_of

LIVE = ("scheduled", "completed", "missed")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Slot:
    """A weekly time: weekday 0 Sunday to 6 Saturday."""

    weekday: int
    start: time
    end: WallTime
    zone: str


@dataclass
class Rule:
    """A weekly time in force from `first` (None: the student's start) to before `until` (None: without end)."""

    slot: Slot
    first: date | None = None
    until: date | None = None


@dataclass
class Lesson:
    """A class there is; made for a date of a rule."""

    rule: Rule
    occurs_on: date
    date: date
    start: time
    end: WallTime
    span: Span
    status: str = "scheduled"
    touched: bool = False


def local(now: datetime, zone: str) -> datetime:
    """What clocks of a zone show."""
    return now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def days_closed(first: date, last: date, zone: str) -> Span:
    """Whole days, as instants."""
    ends = [datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC) for day in (first, last + DAY)]
    return ends[0], ends[1]


@dataclass
class Pupil:
    """One student with all that decides about their classes; `weeks` is the horizon, `home` where the organisation is.

    Whatever changes calls `generate`, as the database does by itself.
    """

    now: datetime
    home: str
    weeks: int
    zone: str
    start: date
    end: date | None
    rules: list[Rule] = field(default_factory=list)
    lessons: list[Lesson] = field(default_factory=list)
    pauses: list[tuple[date, date]] = field(default_factory=list)
    closures: list[Span] = field(default_factory=list)
    time_off: list[Span] = field(default_factory=list)
    inactive_since: date | None = None
    through: date | None = None

    @property
    def today(self) -> date:
        """Today where the organisation is."""
        return local(self.now, self.home).date()

    @property
    def horizon(self) -> date:
        """The last date to generate."""
        return self.today + timedelta(weeks=self.weeks) - DAY

    def plan(self, slots: set[Slot]) -> None:
        """Makes the weekly times these: what stays stays, the rest changes from the next time that has not begun."""
        before = list(self.rules)
        if not before:
            self.through = None
        for rule in self.rules:
            if rule.until is None and rule.slot not in slots:
                since = self.changes_on(rule.slot)
                rule.until = date.min if self.start >= since else since
        kept = {rule.slot for rule in self.rules if rule.until is None}
        for slot in slots - kept:
            since = self.changes_on(slot)
            first = since if before and self.start < since else None
            replaced = [r.until for r in self.rules if r.until and r.until != date.min and _collide(r.slot, slot)]
            begins = max([day for day in (first, *replaced) if day is not None], default=None)
            self.rules.append(Rule(slot, begins))

    def changes_on(self, slot: Slot) -> date:
        """The first date a change of a weekly time is in force."""
        here = local(self.now, slot.zone)
        begun = (here.isoweekday() % 7, here.time()) >= (
            slot.weekday,
            slot.start,
        ) and here.isoweekday() % 7 == slot.weekday
        return here.date() + DAY if begun else here.date()

    def promised(self, since: date | None = None) -> dict[tuple[int, date], tuple[Span | None, str | None]]:
        """Every date of every rule through the horizon, with its instants, and why it is left out where it is."""
        found: dict[tuple[int, date], tuple[Span | None, str | None]] = {}
        lasts = [
            self.horizon,
            *([self.end] if self.end else []),
            *([self.inactive_since - DAY] if self.inactive_since else []),
        ]
        for rule in self.rules:
            first = max([self.start, *([rule.first] if rule.first else []), *([since] if since else [])])
            last = min([*lasts, *([rule.until - DAY] if rule.until not in (None, date.min) else [])])
            if rule.until == date.min or last < first:
                continue
            days = rrule(
                WEEKLY, byweekday=(rule.slot.weekday - 1) % 7, dtstart=at(first, time()), until=at(last, time())
            )
            for day in days:
                on = day.date()
                span = start_of(on, rule.slot.start, rule.slot.zone), end_of(on, rule.slot.end, rule.slot.zone)
                if span[0] is None or span[1] is None or span[0] >= span[1]:
                    found[id(rule), on] = None, "clock"
                else:
                    found[id(rule), on] = (span[0], span[1]), self.reason(on, (span[0], span[1]))
        return found

    def reason(self, on: date, span: Span) -> str | None:
        """Why there is no class then."""
        if any(overlap(span, closed) for closed in self.closures):
            return "closure"
        if any(first <= on <= last for first, last in self.pauses):
            return "pause"
        return "time_off" if any(overlap(span, off) for off in self.time_off) else None

    def generate(self) -> None:
        """What a run does: takes away what is untouched, to come and promised no longer; adds what is missing."""
        since = min(self.through + DAY, self.today - DAY) if self.through else None
        promised = self.promised(since)
        yesterday = self.today - DAY
        self.lessons = [
            lesson
            for lesson in self.lessons
            if lesson.touched or lesson.status != "scheduled" or lesson.span[0] <= self.now or lesson.date < yesterday
            or promised.get((id(lesson.rule), lesson.occurs_on), (None, "gone"))[1] in (None, "time_off")
            or (lesson.date > self.horizon and self.still_in_force(lesson))
        ]  # fmt: skip
        rules = {id(rule): rule for rule in self.rules}
        wanted = [(span, rules[key], day) for (key, day), (span, reason) in promised.items() if span and reason is None]
        for span, rule, day in sorted(wanted, key=lambda w: w[0]):
            if not any(
                (lesson.rule is rule and lesson.occurs_on == day)
                or (lesson.date, lesson.start) == (day, rule.slot.start)
                or (lesson.status in LIVE and overlap(lesson.span, span))
                for lesson in self.lessons
            ):
                self.lessons.append(Lesson(rule, day, day, rule.slot.start, rule.slot.end, span))
        self.through = max(self.through, self.horizon) if self.through else self.horizon

    def still_in_force(self, lesson: Lesson) -> bool:
        """Whether the rule of a class beyond the horizon still has its date."""
        until = [lesson.rule.until, self.end + DAY if self.end else None, self.inactive_since]
        return all(day is None or lesson.occurs_on < day for day in until)

    def rows(self) -> list[tuple[date, time, WallTime, datetime, datetime, str]]:
        """The classes, as the table has them."""
        return sorted(
            (
                (lesson.date, lesson.start, lesson.end, *lesson.span, lesson.status)
                for lesson in self.lessons
            ),
            key=lambda row: (row[3], row[0], row[1]),
        )  # fmt: skip

    def move(self, lesson: Lesson, start: time) -> None:
        """Somebody puts a class at another time of its day."""
        length = at(lesson.date, lesson.end) - at(lesson.date, lesson.start)
        end = (at(lesson.date, start) + length).time()
        starts, ends = (
            start_of(lesson.date, start, lesson.rule.slot.zone),
            end_of(lesson.date, end, lesson.rule.slot.zone),
        )
        assert starts is not None
        assert ends is not None
        moved = replace(lesson, start=start, end=end, span=(starts, ends), touched=True)
        self.lessons[self.lessons.index(lesson)] = moved


def _collide(one: Slot, other: Slot) -> bool:
    day = date(2000, 1, 1)
    spans = [(at(day, slot.start), at(day, slot.end)) for slot in (one, other)]
    return one.weekday == other.weekday and overlap(spans[0], spans[1])
