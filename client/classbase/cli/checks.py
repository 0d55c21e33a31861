"""The checks a database registers: read, chosen by name, and told since when."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

from psycopg.rows import dict_row
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from classbase import typed_errors
from classbase.cli.output import Output, UsageError
from classbase.client import Classbase, DatabaseClassbase, RestClassbase

Severity = Literal["critical", "error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "error", "warning", "info")
COLOURS = {"critical": "bold white on red", "error": "bold red", "warning": "yellow", "info": "cyan"}

COLUMNS = "check_name,module,category,severity,description,fix_description,is_active"
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def registered_checks(cb: Classbase) -> list[dict[str, Any]]:
    """Every check there is, by module and then gravest first."""
    rows: list[dict[str, Any]]
    if isinstance(cb, RestClassbase):
        with typed_errors():
            rows = [dict(row) for row in cb.table("check_overview").select(COLUMNS).execute().data]  # type: ignore[arg-type]
    else:
        assert isinstance(cb, DatabaseClassbase)
        with cb.transaction(read_only=True) as connection:
            rows = (
                connection.cursor(row_factory=dict_row)
                .execute(f"select {COLUMNS} from public.check_overview")
                .fetchall()
            )
    return sorted(rows, key=lambda row: (row["module"], SEVERITIES.index(row["severity"]), row["check_name"]))


def chosen(checks: list[dict[str, Any]], names: list[str] | None, also: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Those of these modules (with or without their number) and names; all that are active when none is named.

    Raises:
        UsageError: there is neither a module nor a check of that name; `also` are names that are known besides.
    """
    if not names:
        return [check for check in checks if check["is_active"]]
    modules = {check["module"] for check in checks}
    known = {check["check_name"] for check in checks} | modules | {module[3:] for module in modules} | set(also)
    unknown = [name for name in names if name not in known]
    if unknown:
        shown = ", ".join(sorted(module[3:] for module in modules))
        raise UsageError(
            f"There is no module and no check called {', '.join(unknown)}.", f"Modules with checks: {shown}."
        )
    return [
        check
        for check in checks
        if check["check_name"] in names or (check["is_active"] and {check["module"], check["module"][3:]} & set(names))
    ]


def parse_since(text: str | None) -> datetime.datetime | None:
    """An instant: a date or time in ISO 8601 (this machine's zone where it names none), or how long ago (30m, 7d, 2w).

    Raises:
        UsageError: it is neither.
    """
    if text is None:
        return None
    ago = re.fullmatch(r"(\d{1,5})([mhdw])", text)
    if ago is not None:
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        return datetime.datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise UsageError(
            f"{text!r} is no time.", "Say a date, such as 2030-12-31, or how long ago: 30m, 12h, 7d, 2w."
        ) from error


@contextmanager
def each_in_turn(out: Output, doing: str, total: int) -> Iterator[Callable[[str | None], None]]:
    """A progress bar on stderr: call what it gives with what comes next, which ends what was before; None ends it."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn(f"{doing} [bold]{{task.description}}[/bold]"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=out.stderr,
        transient=True,
        disable=out.as_json or out.quiet,
    )
    with bar:
        task = bar.add_task("", total=total)
        started = False

        def step(name: str | None) -> None:
            nonlocal started
            bar.update(task, advance=1 if started else 0, description=name or "")
            started = True

        yield step


def ago(instant: Any, now: datetime.datetime | None = None) -> str:
    """How long ago, roughly: `just now`, `12 min ago`, `3 h ago`, `5 days ago`."""
    moment = datetime.datetime.fromisoformat(instant) if isinstance(instant, str) else instant
    seconds = ((now or datetime.datetime.now(datetime.UTC)) - moment).total_seconds()
    if seconds < 90:
        return "just now"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min ago"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.0f} h ago"
    return f"{seconds / 86400:.0f} days ago"
