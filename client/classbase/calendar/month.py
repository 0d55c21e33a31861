"""A month of sessions with the seats that are left: as a grid for wide terminals, as a list for narrow ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from classbase.client import Classbase
from classbase.generated.training import CalendarAvailabilityRow

# A column must hold a time and how many seats are left.
NARROWEST = 7 * 15


@dataclass(frozen=True)
class Offer:
    """A session as the month shows it, with its times in the zone of the month."""

    row: CalendarAvailabilityRow
    starts_at: datetime
    ends_at: datetime

    @property
    def left(self) -> str:
        """The seats that are left, in words."""
        if not self.row.seats_left:
            return "full"
        return f"{self.row.seats_left} of {self.row.max_capacity} left"

    @property
    def style(self) -> str:
        """Green while there is room, yellow for the last quarter, red when full, dim when nobody can book any more."""
        if self.row.seats_left and not self.row.is_bookable:
            return "dim"
        if not self.row.seats_left:
            return "red"
        return "yellow" if self.row.seats_left * 4 <= (self.row.max_capacity or 0) else "green"

    @property
    def title(self) -> str:
        """What is taught; one that may not be held says so."""
        return f"{self.row.course_code}{'?' if self.row.status == 'tentative' else ''}"


def read_month(cb: Classbase, first: date, zone: ZoneInfo, **chosen: object) -> list[Offer]:
    """The sessions that start in the month of `first` by the clock of `zone`, in order of time.

    Raises:
        ClassbaseError: the backend refused or could not be reached.
    """
    after = next_month(first)
    # Their own days may be others than the zone's.
    rows = cb.training.calendar_availability(first - timedelta(days=1), after, **chosen)  # type: ignore[arg-type]
    offers = [
        Offer(row, row.starts_at.astimezone(zone), row.ends_at.astimezone(zone))
        for row in rows
        if row.starts_at and row.ends_at
    ]
    return sorted(
        (offer for offer in offers if first <= offer.starts_at.date() < after),
        key=lambda offer: (offer.starts_at, offer.row.course_code or "", str(offer.row.session_id)),
    )


def next_month(first: date) -> date:
    """The first day of the month after."""
    return (first + timedelta(days=31)).replace(day=1)


def month_page(offers: Iterable[Offer], first: date, *, title: str, width: int) -> RenderableType:
    """The month: a week a row where a day's column is wide enough, else a line a session; and what the codes stand for.

    Args:
        offers: the sessions, with times in the zone of the page.
        first: the month's first day.
        title: above it.
        width: how many characters fit side by side.
    """
    found = list(offers)
    page = _grid(found, first, title) if width >= NARROWEST else _list(found, title)
    return Group(page, _legend(found))


def _grid(offers: list[Offer], first: date, title: str) -> Table:
    table = Table(
        title=escape(title),
        title_justify="left",
        header_style="bold",
        show_lines=True,
        padding=(0, 1, 0, 0),
        expand=True,
    )
    monday = first - timedelta(days=first.weekday())
    for number in range(7):
        table.add_column(f"{monday + timedelta(days=number):%a}", ratio=1, overflow="fold", vertical="top")
    while monday < next_month(first):
        table.add_row(*(_day(offers, monday + timedelta(days=number), first) for number in range(7)))
        monday += timedelta(days=7)
    return table


def _day(offers: list[Offer], day: date, first: date) -> str:
    if day.month != first.month:
        return ""
    lines = [f"[bold]{day.day}[/bold]"]
    for offer in offers:
        if offer.starts_at.date() == day:
            lines += [f"{offer.starts_at:%H:%M} {escape(offer.title)}", f"[{offer.style}]{offer.left}[/{offer.style}]"]
    return "\n".join(lines)


def _list(offers: list[Offer], title: str) -> Group:
    lines: list[Text | str] = [Text(title, style="italic")]
    shown: date | None = None
    for offer in offers:
        day = offer.starts_at.date()
        if day != shown:
            lines.append(f"[bold]{day:%a} {day.day} {day:%b}[/bold]")
            shown = day
        what = " · ".join(filter(None, [offer.title, offer.row.location_name]))
        span = f"{offer.starts_at:%H:%M}–{offer.ends_at:%H:%M}"
        lines.append(f"  {span} {escape(what)} [{offer.style}]{offer.left}[/{offer.style}]")
    return Group(*(Text.from_markup(line) if isinstance(line, str) else line for line in lines))


def _legend(offers: list[Offer]) -> Text:
    titles = {offer.row.course_code or "": offer.row.course_title or "" for offer in offers}
    said = [f"{code}  {title}" for code, title in sorted(titles.items())]
    if any(offer.row.status == "tentative" for offer in offers):
        said.append("?  held once enough have booked")
    return Text("\n".join(said))
