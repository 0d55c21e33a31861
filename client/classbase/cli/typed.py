"""Times, weekdays, months and amounts as people type them."""

from __future__ import annotations

import re
from datetime import date, time
from decimal import Decimal, InvalidOperation

from classbase.cli.output import UsageError
from classbase.values import read_time

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def typed_time(text: str | None, option: str) -> time | None:
    """The time of day that was typed, 24:00 included; None for None.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        return read_time(text if len(text) > 4 else f"0{text}")
    except ValueError as error:
        raise UsageError(f"{option} {text} is no time.", "Write it as 09:30.") from error


def typed_weekday(text: str) -> int:
    """The weekday that was typed, 0 Sunday to 6.

    Raises:
        UsageError: it is none.
    """
    if text.isdigit() and int(text) < len(WEEKDAYS):
        return int(text)
    if text[:3].casefold() in WEEKDAYS:
        return WEEKDAYS.index(text[:3].casefold())
    raise UsageError(f"--weekday {text} is no weekday.", "Write mon, Tuesday, or 0 (Sunday) to 6 (Saturday).")


def typed_amount(text: str | None, option: str) -> Decimal | None:
    """The amount of money that was typed; None for None.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise UsageError(f"{option} {text} is no amount.", "Write it as 12.50.") from error
    if not amount.is_finite():
        raise UsageError(f"{option} {text} is no amount.", "Write it as 12.50.")
    return amount


def typed_month(text: str | None) -> date | None:
    """The first day of the month that was typed; None for None.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{4})-(\d{1,2})", text.strip())
    try:
        return date(int(found[1]), int(found[2]), 1) if found else _no_month(text)
    except ValueError:
        return _no_month(text)


def _no_month(text: str) -> date:
    raise UsageError(f"--month {text} is no month.", "Write it as 2026-12.")
