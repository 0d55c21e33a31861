"""A week as a grid for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta

from rich.markup import escape
from rich.table import Table

from classbase.calendar.entries import Entry

WORKDAYS = 5


def week_grid(entries: Iterable[Entry], monday: date, *, title: str) -> Table:
    """The week as a table: a column a day, a row an hour in which something starts.

    Saturday and Sunday are shown when something happens on them. What began before its day or goes on after it says
    so.

    Args:
        entries: what happens, with times in the zone of the grid.
        monday: first day of the week.
        title: above the grid.
    """
    cells: dict[tuple[int, int], list[str]] = {}
    for entry in entries:
        for number in range(7):
            day = monday + timedelta(days=number)
            if _touches(entry, day):
                hour = entry.starts_at.hour if entry.starts_at.date() == day else 0
                cells.setdefault((hour, number), []).append(_text(entry, day))
    days = max([WORKDAYS, *(number + 1 for _, number in cells)])
    table = Table(title=title, title_justify="left", header_style="bold", show_lines=True, padding=(0, 1, 0, 0))
    table.add_column("", style="dim", no_wrap=True)
    for number in range(days):
        table.add_column(f"{monday + timedelta(days=number):%a %d %b}", ratio=1, overflow="fold", vertical="top")
    for hour in sorted({hour for hour, _ in cells}):
        table.add_row(f"{hour:02d}", *("\n".join(cells.get((hour, number), ())) for number in range(days)))
    return table


def _touches(entry: Entry, day: date) -> bool:
    starts = entry.starts_at.replace(tzinfo=None)
    ends = entry.ends_at.replace(tzinfo=None)
    return starts < datetime.combine(day + timedelta(days=1), time()) and ends > datetime.combine(day, time())


def _text(entry: Entry, day: date) -> str:
    starts = f"{entry.starts_at:%H:%M}" if entry.starts_at.date() == day else "…"
    last = entry.ends_at.date() if entry.ends_at.time() != time() else entry.ends_at.date() - timedelta(days=1)
    ends = f"{entry.ends_at:%H:%M}" if last <= day else "…"
    where = ", ".join(entry.places or entry.people)
    lines = [f"[bold]{starts}–{ends}[/bold]", escape(entry.title)]
    return "\n".join([*lines, f"[dim]{escape(where)}[/dim]"] if where else lines)
