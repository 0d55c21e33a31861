"""What happens in a span of local days, read from the backend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from classbase.client import Classbase
from classbase.generated.time import CalendarRow

# The backend answers at most 400 days at once.
SPAN = timedelta(days=366)


@dataclass(frozen=True)
class Entry:
    """One occurrence of one happening.

    `starts_at` and `ends_at` are aware and in the zone that was asked for; `people`, `places` and `equipment` are
    names. `source_table`, `source_id` and `occurs_on` together identify it for good.
    """

    source_table: str
    source_id: UUID
    occurs_on: date
    kind: str
    title: str
    starts_at: datetime
    ends_at: datetime
    people: tuple[str, ...]
    places: tuple[str, ...]
    equipment: tuple[str, ...]

    @property
    def uid(self) -> str:
        """A name that stays the same whenever this occurrence is exported, also after it was moved."""
        return f"{self.source_table}-{self.source_id}-{self.occurs_on.isoformat()}@classbase"


def parse_week(text: str) -> date:
    """The Monday of an ISO week written 2018-W40.

    Raises:
        ValueError: no such week.
    """
    found = re.fullmatch(r"(\d{4})-?W(\d{1,2})", text.strip(), re.IGNORECASE)
    if found is None:
        raise ValueError(f"{text} is no week: write it as 2018-W40")
    try:
        return date.fromisocalendar(int(found[1]), int(found[2]), 1)
    except ValueError as error:
        raise ValueError(f"{found[1]} has no week {int(found[2])}") from error


def read_entries(
    cb: Classbase,
    first_day: date,
    last_day: date,
    zone: ZoneInfo,
    resource_ids: Sequence[UUID] | None = None,
) -> list[Entry]:
    """Everything that happens from the start of `first_day` to the end of `last_day` in `zone`, in order of time.

    Args:
        cb: the backend.
        first_day: first local day.
        last_day: last local day, included.
        zone: whose days these are, and the zone of the entries' times.
        resource_ids: only what these take part in; everything when None.

    Raises:
        ClassbaseError: the backend refused or could not be reached.
    """
    found: dict[str, Entry] = {}
    day, end = first_day, last_day + timedelta(days=1)
    while day < end:
        until = min(day + SPAN, end)
        rows = cb.time.calendar(
            datetime.combine(day, time(), zone),
            datetime.combine(until, time(), zone),
            resource_ids=None if resource_ids is None else list(resource_ids),
        )
        for row in rows:
            entry = _entry(row, zone)
            found[entry.uid] = entry
        day = until
    return sorted(found.values(), key=lambda entry: (entry.starts_at, entry.ends_at, entry.title, entry.uid))


def _entry(row: CalendarRow, zone: ZoneInfo) -> Entry:
    # The database never leaves these out; its catalogue cannot say so.
    assert row.source_table
    assert row.source_id
    assert row.occurs_on
    assert row.starts_at
    assert row.ends_at
    named = list(zip(row.resource_kinds or (), row.resource_names or (), strict=True))

    def of(kind: str) -> tuple[str, ...]:
        return tuple(name for found, name in named if found == kind)

    return Entry(
        row.source_table,
        row.source_id,
        row.occurs_on,
        row.kind or "",
        row.title or "",
        row.starts_at.astimezone(zone),
        row.ends_at.astimezone(zone),
        of("person"),
        of("place"),
        of("equipment"),
    )
