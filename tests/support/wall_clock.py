"""What wall clocks show, worked out by Python's zoneinfo instead of Postgres: the other opinion."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

# Zones that do something unusual, and some that do not. Which zones there are and what they did is data that servers
# and Pythons carry in different versions, so none whose rules changed lately is among them.
ZONES = (
    "UTC", "Europe/Paris", "Europe/London", "Europe/Dublin", "America/New_York", "America/St_Johns", "Asia/Tokyo",
    "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Apia", "Pacific/Kwajalein", "Pacific/Chatham",
    "Australia/Lord_Howe", "Africa/Cairo", "America/Santiago", "Asia/Beirut", "Atlantic/Azores", "America/Havana",
    "Antarctica/Troll", "America/Argentina/Buenos_Aires", "Etc/GMT+12",
)  # fmt: skip

MIDNIGHT = "24:00"  # the end of a day, which Python's time cannot say
WallTime = time | str


def at(day: date, clock: WallTime) -> datetime:
    """Date and wall-clock time together, without a zone."""
    if clock == MIDNIGHT:
        return datetime.combine(day + timedelta(days=1), time())
    assert isinstance(clock, time)
    return datetime.combine(day, clock)


def instants(wall: datetime, zone: str) -> list[datetime]:
    """Every instant at which clocks of the zone show this: none in a gap, two in a fold."""
    here = ZoneInfo(zone)
    candidates = {wall.replace(tzinfo=here, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(one for one in candidates if one.astimezone(here).replace(tzinfo=None, fold=0) == wall)


def start_of(day: date, clock: WallTime, zone: str) -> datetime | None:
    """The first instant at which clocks show it; None when they skip it."""
    return min(instants(at(day, clock), zone), default=None)


def end_of(day: date, clock: WallTime, zone: str) -> datetime | None:
    """The same for an end, which may lie exactly where the clock jumps."""
    tick = timedelta(microseconds=1)
    exact = instants(at(day, clock), zone)
    before = instants(at(day, clock) - tick, zone)
    return exact[0] if exact else before[0] + tick if before else None


def changes(zone: str, first: int, last: int) -> list[datetime]:
    """The instants from year `first` to year `last` at which the zone's offset changes, to the second."""
    here, found = ZoneInfo(zone), []
    step, moment = timedelta(hours=12), datetime(first, 1, 2, tzinfo=UTC)
    while moment.year <= last:
        before, after = moment, moment + step
        if before.astimezone(here).utcoffset() != after.astimezone(here).utcoffset():
            while after - before > timedelta(seconds=1):
                middle = before + (after - before) // 2
                middle = middle.replace(microsecond=0)
                same = middle.astimezone(here).utcoffset() == before.astimezone(here).utcoffset()
                before, after = (middle, after) if same else (before, middle)
            found.append(after)
        moment += step
    return found
