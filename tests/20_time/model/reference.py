"""What docs/ledger.md promises, in plain Python: who is taken when, and what has to be refused.

Nothing here is derived from the SQL. Every change is tried on a copy of the state: a rule is expanded date by date, far
past every horizon, and the change stands when nobody is in two places then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import groupby
from typing import Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

# Two rules that have not met within a year never do (the zones here change their clocks on the same Sundays of every
# year), and the model begins in March 2026.
END_OF_EXPANSION = date(2028, 5, 1)
DAY = 24 * 60
INSTANT = timedelta(microseconds=1)

Happening = tuple[Literal["meetings", "weekly_rules"], UUID]


def instant(day: date, minute: int, zone: str) -> datetime | None:
    """The instant of a wall-clock time, `minute` minutes past midnight; None where the clock skips it."""
    return _instant(datetime(day.year, day.month, day.day) + timedelta(minutes=minute), zone)


def end_instant(day: date, minute: int, zone: str) -> datetime | None:
    """The same for an end, which is excluded: what counts is the moment before it."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    before = _instant(wall - INSTANT, zone)
    return _instant(wall, zone) or (before + INSTANT if before else None)


@cache
def _instant(wall: datetime, zone: str) -> datetime | None:
    found = wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)  # fold=0: the first of two
    return found if found.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall else None


@dataclass(frozen=True)
class When:
    """A one-off time by the wall clock: minutes past midnight of `day`; an end past 24:00 is on the next day."""

    day: date
    start: int
    end: int
    zone: str

    @property
    def starts_at(self) -> datetime | None:
        return instant(self.day, self.start, self.zone)

    @property
    def ends_at(self) -> datetime | None:
        return end_instant(self.day, self.end, self.zone)

    @property
    def makes_sense(self) -> bool:
        return self.start < self.end and self.starts_at is not None and self.ends_at is not None


@dataclass(frozen=True)
class Meeting:
    when: When
    who: frozenset[UUID]
    is_cancelled: bool = False
    takes: tuple[UUID, date] | None = None  # the rule, and the date of it, that it stands in for


@dataclass(frozen=True)
class OtherDate:
    """A single date of a rule: cancelled, moved to a time, or taken over by a meeting."""

    moved_to: When | None = None
    taken_by: UUID | None = None


@dataclass(frozen=True)
class Weekly:
    """When a rule happens. `weekday` is 0 Sunday to 6 Saturday; `last` is included, None is for ever."""

    weekday: int
    start: int
    end: int
    zone: str
    first: date
    last: date | None

    def has(self, day: date) -> bool:
        return self.first <= day and (self.last is None or day <= self.last) and day.isoweekday() % 7 == self.weekday


@cache
def regular_dates(weekly: Weekly) -> tuple[tuple[date, datetime, datetime], ...]:
    """Date, start and end of each occurrence, less those the clock skips, up to the end of the expansion."""
    last = min(weekly.last or END_OF_EXPANSION, END_OF_EXPANSION)
    days = (weekly.first + timedelta(days=n) for n in range((last - weekly.first).days + 1))
    found = ((day, instant(day, weekly.start, weekly.zone), end_instant(day, weekly.end, weekly.zone))
             for day in days if weekly.has(day))  # fmt: skip
    return tuple((day, start, end) for day, start, end in found if start and end)


@dataclass(frozen=True)
class Rule:
    weekly: Weekly
    who: frozenset[UUID]
    exceptions: Mapping[date, OtherDate] = field(default_factory=dict)

    def dates(self) -> Iterator[tuple[date, datetime, datetime]]:
        for day, start, end in regular_dates(self.weekly):
            if day not in self.exceptions:
                yield day, start, end
        for day, exception in self.exceptions.items():
            if exception.moved_to is not None and self.weekly.has(day):
                # In the rule's zone, whatever that is by now.
                to = replace(exception.moved_to, zone=self.weekly.zone)
                if to.starts_at and to.ends_at:
                    yield day, to.starts_at, to.ends_at

    def with_exception(self, day: date, exception: OtherDate | None) -> Rule:
        others = {at: kept for at, kept in self.exceptions.items() if at != day}
        return replace(self, exceptions=others if exception is None else {**others, day: exception})


@dataclass(frozen=True)
class Override:
    granted_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None

    def lends_key(self, start: datetime) -> bool:
        """Whether what starts then may overlap the other members."""
        return all(start < end for end in (self.expires_at, self.revoked_at) if end is not None)


class Claim(NamedTuple):
    """One resource taken once. `group` is the override whose members it may overlap, if there is one."""

    resource: UUID
    start: datetime
    end: datetime
    table: str
    source: UUID
    occurs_on: date
    group: UUID | None

    def may_overlap(self, other: Claim) -> bool:
        return (self.group == other.group and self.group is not None) or self[3:6] == other[3:6]


def clashes(claims: Iterable[Claim]) -> list[tuple[Claim, Claim]]:
    """Every two claims of one resource that overlap and may not."""
    found = []
    for _, of_one in groupby(
        sorted(claims, key=lambda claim: (claim.resource, claim.start)), lambda claim: claim.resource
    ):
        running: list[Claim] = []
        for claim in of_one:
            running = [before for before in running if before.end > claim.start]
            found += [(before, claim) for before in running if not before.may_overlap(claim)]
            running.append(claim)
    return found


@dataclass
class State:
    horizons: dict[UUID, datetime]
    meetings: dict[UUID, Meeting] = field(default_factory=dict)
    rules: dict[UUID, Rule] = field(default_factory=dict)
    overrides: dict[UUID, Override] = field(default_factory=dict)
    members: dict[Happening, UUID] = field(default_factory=dict)

    def copy(self) -> State:
        return State(
            dict(self.horizons), dict(self.meetings), dict(self.rules), dict(self.overrides), dict(self.members)
        )

    def _group(self, happening: Happening, start: datetime) -> UUID | None:
        override = self.members.get(happening)
        return override if override is not None and self.overrides[override].lends_key(start) else None

    def uses(self) -> Iterator[Claim]:
        """Everything that is or will ever be claimed."""
        for source, meeting in self.meetings.items():
            start, end = meeting.when.starts_at, meeting.when.ends_at
            assert start is not None
            assert end is not None
            for resource in () if meeting.is_cancelled else meeting.who:
                group = self._group(("meetings", source), start)
                yield Claim(resource, start, end, "meetings", source, meeting.when.day, group)
        for source, rule in self.rules.items():
            for day, start, end in rule.dates():
                group = self._group(("weekly_rules", source), start)
                for resource in rule.who:
                    yield Claim(resource, start, end, "weekly_rules", source, day, group)

    def claims(self) -> set[Claim]:
        """What is claimed by now: occurrences that start before the resource's horizon."""
        return {use for use in self.uses() if use.start < self.horizons[use.resource]}

    def faults(self) -> set[str]:
        """Why this cannot be."""
        uses = list(self.uses())
        late = any(use.table == "meetings" and use.end > self.horizons[use.resource] for use in uses)
        return ({"limit_exceeded"} if late else set()) | ({"time_conflict"} if clashes(uses) else set())


class Model:
    """The ledger as it should be. Each method is one change: it gives the codes it may be refused with, and has done
    it when there are none."""

    def __init__(self, now: datetime, horizons: dict[UUID, datetime], horizon_days: int) -> None:
        self.now = now
        self.horizon_days = horizon_days
        self.state = State(horizons)

    def _adopt(self, after: State, *reasons: str | Literal[False]) -> set[str]:
        faults = {reason for reason in reasons if reason} | after.faults()
        if not faults:
            self.state = after
        return faults

    # Meetings

    def make_meeting(self, source: UUID, when: When, who: frozenset[UUID], takes: tuple[UUID, date] | None) -> set[str]:
        if not when.makes_sense:
            return {"invalid_input"}
        if takes and takes[0] not in self.state.rules:
            return {"not_found"}
        after = self.state.copy()
        after.meetings[source] = Meeting(when, who)
        return self._adopt(after, *self._take(after, source, takes))

    def take_over(self, source: UUID, takes: tuple[UUID, date] | None) -> set[str]:
        """Another date of a rule, or none, is stood in for; the one before goes back to its rule."""
        after = self.state.copy()
        return self._adopt(after, *self._take(after, source, takes))

    def _take(self, after: State, source: UUID, takes: tuple[UUID, date] | None) -> Iterator[str]:
        meeting = after.meetings[source]
        if takes == meeting.takes:
            return
        if takes is not None:
            rule = after.rules[takes[0]]
            if not rule.weekly.has(takes[1]):
                yield "invalid_input"
            elif rule.exceptions.get(takes[1], OtherDate(taken_by=source)).taken_by != source:
                yield "time_conflict"
            after.rules[takes[0]] = rule.with_exception(takes[1], OtherDate(taken_by=source))
        if meeting.takes is not None:
            rule_id, day = meeting.takes
            standing = after.rules[rule_id].exceptions.get(day)
            if standing is not None and standing.taken_by == source:
                after.rules[rule_id] = after.rules[rule_id].with_exception(day, None)
        after.meetings[source] = replace(meeting, takes=takes)

    def move_meetings(self, moves: Mapping[UUID, When]) -> set[str]:
        """All at once, so that two may change places."""
        if not all(when.makes_sense for when in moves.values()):
            return {"invalid_input"}
        after = self.state.copy()
        for source, when in moves.items():
            after.meetings[source] = replace(after.meetings[source], when=when)
        return self._adopt(after)

    def set_cancelled(self, source: UUID, is_cancelled: bool) -> set[str]:
        after = self.state.copy()
        after.meetings[source] = replace(after.meetings[source], is_cancelled=is_cancelled)
        return self._adopt(after)

    def set_participants(self, source: UUID, who: frozenset[UUID]) -> set[str]:
        after = self.state.copy()
        after.meetings[source] = replace(after.meetings[source], who=who)
        return self._adopt(after)

    def delete_meeting(self, source: UUID) -> set[str]:
        after = self.state.copy()
        del after.meetings[source]
        after.members.pop(("meetings", source), None)
        return self._adopt(after)

    # Weekly rules

    def make_rule(self, source: UUID, weekly: Weekly, who: frozenset[UUID]) -> set[str]:
        if weekly.start >= weekly.end:
            return {"invalid_input"}
        after = self.state.copy()
        after.rules[source] = Rule(weekly, who)
        return self._adopt(after)

    def change_rule(self, source: UUID, weekly: Weekly) -> set[str]:
        if weekly.start >= weekly.end:
            return {"start_is_before_end"}
        after = self.state.copy()
        after.rules[source] = replace(after.rules[source], weekly=weekly)
        return self._adopt(after)

    def set_rule_resources(self, source: UUID, who: frozenset[UUID]) -> set[str]:
        after = self.state.copy()
        after.rules[source] = replace(after.rules[source], who=who)
        return self._adopt(after)

    def delete_rule(self, source: UUID) -> set[str]:
        after = self.state.copy()
        del after.rules[source]
        after.members.pop(("weekly_rules", source), None)
        for meeting, kept in self.state.meetings.items():
            if kept.takes is not None and kept.takes[0] == source:
                after.meetings[meeting] = replace(kept, takes=None)
        return self._adopt(after)

    def change_date(self, source: UUID, day: date, exception: OtherDate | None) -> set[str]:
        """Cancels a date, moves it, or (None) puts it back to where the rule has it."""
        rule = self.state.rules[source]
        moved_to = exception.moved_to if exception else None
        is_held = exception is None or rule.weekly.has(day)
        if not is_held or (moved_to is not None and not moved_to.makes_sense):
            return {"invalid_input"}
        standing = rule.exceptions.get(day)
        after = self.state.copy()
        after.rules[source] = rule.with_exception(day, exception)
        is_taken = standing is not None and standing.taken_by in self.state.meetings
        return {"illegal_transition"} if is_taken else self._adopt(after)

    # Overrides

    def grant(self, override: UUID, members: Iterable[Happening], expires_at: datetime | None) -> set[str]:
        if expires_at is not None and expires_at <= self.now:
            return {"invalid_input"}
        after = self.state.copy()
        after.overrides[override] = Override(self.now, expires_at)
        is_taken = False
        for member in members:
            standing = self.state.members.get(member)
            if standing is None or not self.state.overrides[standing].lends_key(self.now):
                after.members[member] = override
            else:
                is_taken = True
        return self._adopt(after, is_taken and "duplicate")

    def set_expiry(self, override: UUID, expires_at: datetime | None) -> set[str]:
        standing = self.state.overrides[override]
        if expires_at is not None and expires_at <= standing.granted_at:
            return {"invalid_input"}
        after = self.state.copy()
        after.overrides[override] = replace(standing, expires_at=expires_at)
        return self._adopt(after)

    def revoke(self, override: UUID) -> set[str]:
        standing = self.state.overrides[override]
        after = self.state.copy()
        after.overrides[override] = replace(standing, revoked_at=standing.revoked_at or self.now)
        return self._adopt(after)

    def delete_override(self, override: UUID) -> set[str]:
        after = self.state.copy()
        del after.overrides[override]
        after.members = {member: kept for member, kept in after.members.items() if kept != override}
        return self._adopt(after)

    def set_membership(self, member: Happening, override: UUID | None) -> set[str]:
        after = self.state.copy()
        after.members.pop(member, None)
        if override is not None:
            after.members[member] = override
        return self._adopt(after)

    # Horizons

    def extend(self, resources: Iterable[UUID], until: datetime) -> set[str]:
        after = self.state.copy()
        late = [resource for resource in resources if self.state.horizons[resource] < until]
        after.horizons.update(dict.fromkeys(late, until))
        return self._adopt(after, bool(late) and until > self._two_years_ahead() and "limit_exceeded")

    def run_horizon_job(self) -> set[str]:
        target = self.now + timedelta(days=self.horizon_days)
        due = [one for one, until in self.state.horizons.items() if until < target - timedelta(hours=1)]
        return self.extend(due, target)

    def _two_years_ahead(self) -> datetime:
        return self.now.replace(year=self.now.year + 2)

    # Diagnosis

    def findings(self) -> set[tuple[str, str]]:
        """The checks, and what they name, that should find something worth a warning; nothing is ever worse."""
        late = self.now + timedelta(days=self.horizon_days - 3)
        return {("horizons_late", str(one)) for one, until in self.state.horizons.items() if until < late} | {
            ("taken_over_by_nothing", f"{source} {day}")
            for source, rule in self.state.rules.items()
            for day, exception in rule.exceptions.items()
            if exception.taken_by is not None and exception.taken_by not in self.state.meetings
        }
