"""The calendar as iCalendar (RFC 5545)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from icalendar import Calendar, Event

from classbase.calendar.entries import Entry


def to_ics(entries: Iterable[Entry], *, name: str, now: datetime | None = None) -> bytes:
    """An iCalendar file with one VEVENT an occurrence and the VTIMEZONE of its times.

    Weekly rules come as their dated occurrences, so that moved, cancelled and skipped dates are as the backend has
    them, in every program that reads the file.

    Args:
        entries: the occurrences, with times in the zone the file shall be in.
        name: what a calendar program calls it.
        now: when it was made; the present by default.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//classbase//calendar//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", name)
    stamp = (now or datetime.now(UTC)).replace(microsecond=0)
    for entry in entries:
        event = Event()
        event.add("uid", entry.uid)
        event.add("dtstamp", stamp)
        event.add("dtstart", entry.starts_at)
        event.add("dtend", entry.ends_at)
        event.add("summary", entry.title)
        event.add("categories", [entry.kind])
        if entry.places:
            event.add("location", ", ".join(entry.places))
        if entry.people or entry.equipment:
            event.add("description", "\n".join(entry.people + entry.equipment))
        calendar.add_component(event)
    calendar.add_missing_timezones()
    written: bytes = calendar.to_ical()
    return written
