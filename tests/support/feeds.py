"""Calendar feeds read back by an independent iCalendar library, next to what the ledger holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import icalendar
import psycopg
import recurring_ical_events

from tests.support.calls import call
from tests.support.edge_functions import serve_function
from tests.support.identity import User
from tests.support.rest import Rest

_UID = re.compile(r"([a-z_]+)-([0-9a-f-]{36})(?:-(\d{4}-\d\d-\d\d))?@classbase")


class Use(NamedTuple):
    """One happening at one time."""

    source_table: str
    source_id: UUID
    starts_at: datetime
    ends_at: datetime


@dataclass
class Feeds:
    """The Edge Function before the test's database."""

    db: psycopg.Connection[Any]
    client: httpx.Client
    log: Path

    @classmethod
    @contextmanager
    def serve(cls, db: psycopg.Connection[Any], rest: Rest, folder: Path) -> Iterator[Feeds]:
        """Starts the function; ends it afterwards."""
        with serve_function("calendar-feed", rest, folder) as client:
            yield cls(db, client, folder / "function-calendar-feed.log")

    def make(self, resource_id: UUID | None = None, *, by: User | None = None, name: str = "Feed") -> dict[str, Any]:
        """A new feed (by the owner unless told otherwise): feed_id, token and path."""
        return call(self.db, by, "create_calendar_feed", p_name=name, p_resource_id=resource_id)[0]

    def get(self, token: str, *, method: str = "GET", **headers: str) -> httpx.Response:
        """Asks for a feed."""
        return self.client.request(method, f"/calendar-feed/{token}.ics", headers=headers)

    def text(self, resource_id: UUID | None = None) -> str:
        """What a new feed of a resource (None: everything) answers."""
        answer = self.get(self.make(resource_id)["token"])
        assert answer.status_code == 200, answer.text
        return answer.text


def events(text: str) -> dict[str, Any]:
    """The events of a calendar (icalendar.Event) by UID; of one that recurs, the one that says how."""
    found = icalendar.Calendar.from_ical(text).walk("VEVENT")
    return {str(event["UID"]): event for event in found if "RECURRENCE-ID" not in event}


def uses(text: str, since: datetime, until: datetime) -> list[Use]:
    """Every use that a calendar promises and that starts between two instants, dates spelled out; sorted."""
    found = []
    for event in recurring_ical_events.of(icalendar.Calendar.from_ical(text)).between(since, until):
        starts_at = event.start
        if event["STATUS"] == "CANCELLED" or not isinstance(starts_at, datetime):
            continue
        match = _UID.fullmatch(str(event["UID"]))
        assert match, event["UID"]
        if since <= starts_at < until:
            found.append(Use(match[1], UUID(match[2]), starts_at.astimezone(UTC), event.end.astimezone(UTC)))
    return sorted(found)


def claimed(db: psycopg.Connection[Any], resource_id: UUID | None, since: datetime, until: datetime) -> list[Use]:
    """The same from the ledger."""
    rows = db.execute(
        "select distinct source_table, source_id, lower(during), upper(during) from public.claims "
        "where (%(resource)s::uuid is null or resource_id = %(resource)s) and lower(during) >= %(since)s and lower(during) < %(until)s",
        {"resource": resource_id, "since": since, "until": until},
    ).fetchall()
    return sorted(
        Use(table, source, starts.astimezone(UTC), ends.astimezone(UTC)) for table, source, starts, ends in rows
    )


def window_start(db: psycopg.Connection[Any]) -> date:
    """The first day that feeds show."""
    row = db.execute("select date_trunc('month', (private.today() - 90)::timestamp)::date").fetchone()
    assert row is not None
    day: date = row[0]
    return day
