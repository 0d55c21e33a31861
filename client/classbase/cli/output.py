"""What commands print: results on stdout, notices and errors on stderr, and the exit codes."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.measure import Measurement
from rich.table import Table

OK = 0
PROBLEMS = 1
USAGE = 2
FAILED = 3


class CommandError(Exception):
    """A command could not do what was asked: a sentence for people, and what to do next.

    `code` is a stable word for programs (it is in the JSON of `--json`), `exit_code` one of the four above.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        code: str = "failed",
        exit_code: int = FAILED,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.exit_code = exit_code
        self.details = dict(details or {})


class UsageError(CommandError):
    """The options do not go together."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, code="usage", exit_code=USAGE)


def plain(value: Any) -> Any:
    """`value` with what JSON does not know written as text: instants in ISO 8601, ids, amounts and paths as strings."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, datetime.time):
        return _clock(value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, decimal.Decimal, Path, datetime.timedelta)):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(dataclasses.asdict(value))
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    return value


def _clock(value: datetime.time) -> str:
    from classbase.values import time_text  # what it needs is slow to load, and most commands show no time of day

    return time_text(value)


class Output:
    """Where one command's words go.

    Args:
        as_json: print results as one JSON document instead of tables.
        quiet: no notices.
    """

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self.as_json = as_json
        self.quiet = quiet
        self.stdout = Console(file=sys.stdout, highlight=False)
        self.stderr = Console(file=sys.stderr, highlight=False)

    def json(self, document: Any) -> None:
        """Prints a document as JSON on stdout, whatever was asked for."""
        sys.stdout.write(json.dumps(plain(document), indent=2, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def text(self, line: str = "") -> None:
        """Prints a line of the result, not wrapped or coloured; nothing in it is markup or steers the terminal."""
        self.stdout.print(printable(line), markup=False, soft_wrap=True)

    def notice(self, line: str) -> None:
        """Says something on stderr, unless quiet."""
        if not self.quiet:
            self.stderr.print(printable(line), markup=False, soft_wrap=True)

    def warning(self, line: str) -> None:
        """Says on stderr what somebody should know, even when quiet."""
        self.stderr.print(f"[yellow]warning:[/yellow] {escape(line)}", soft_wrap=True)

    def table(
        self,
        rows: Sequence[Mapping[str, Any]],
        columns: Sequence[str] | Mapping[str, str] | None = None,
        *,
        title: str | None = None,
        empty: str = "Nothing.",
        whole: Sequence[str] = (),
    ) -> None:
        """Prints rows: a table for people, a JSON array with `--json`.

        Args:
            rows: what to print; with `--json` whole, whatever the columns are.
            columns: which keys to show and in which order, or key → heading; all keys of the first row when None.
            title: above the table.
            empty: what to say to people when there are no rows.
            whole: keys whose values stay on one line however narrow it is, such as ids, which are copied from there.
                Where that leaves no room for the rest there is no table, and they get lines of their own.
        """
        if self.as_json:
            self.json(list(rows))
            return
        if not rows:
            self.text(empty)
            return
        keys = list(columns) if columns is not None else list(rows[0])
        headings = dict(columns) if isinstance(columns, Mapping) else {key: key.replace("_", " ") for key in keys}
        table = Table(title=title, title_justify="left", header_style="bold")
        for key in keys:
            is_number = all(isinstance(row.get(key), (int, float, decimal.Decimal)) for row in rows)
            table.add_column(
                headings[key], justify="right" if is_number else "left", overflow="fold", no_wrap=key in whole
            )
        for row in rows:
            table.add_row(*(escape(cell(row.get(key))) for key in keys))
        room = self.stdout.options
        if not whole or Measurement.get(self.stdout, room.update(max_width=10_000), table).maximum <= room.max_width:
            self.stdout.print(table)
            return
        if title:
            self.stdout.print(f"[bold]{title}[/bold]")
        for row in rows:
            first, *others = (key for key in keys if key not in whole)
            said = [cell(row.get(first)), *(f"{headings[key]} {cell(row.get(key))}" for key in others)]
            self.stdout.print(escape("  ".join(said)))
            for key in whole:
                self.text(f"    {headings[key]} {cell(row.get(key))}")

    def pairs(self, document: Mapping[str, Any], *, title: str | None = None) -> None:
        """Prints one thing's names and values: in two columns for people, an object with `--json`."""
        if self.as_json:
            self.json(document)
            return
        if title:
            self.stdout.print(f"[bold]{escape(title)}[/bold]")
        width = max((len(key) for key in document), default=0)
        for key, value in document.items():
            self.text(f"  {key.replace('_', ' '):<{width}}  {cell(value)}")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Asks before something is destroyed; returns only on a yes.

        Raises:
            CommandError: the answer was no, or there is nobody to ask and `--yes` was not given.
        """
        if yes:
            return
        if not sys.stdin.isatty():
            raise UsageError(f"{question} There is no terminal to ask at.", "Add --yes to say so beforehand.")
        if not typer.confirm(question, err=True):
            raise CommandError("Nothing was changed.", code="declined")

    def fail(self, error: CommandError) -> NoReturn:
        """Prints the error and ends the command with its exit code."""
        self.error(error.message, error.hint, code=error.code, details=error.details)
        raise typer.Exit(error.exit_code)

    def error(self, message: str, hint: str = "", *, code: str = "failed", details: Any = None) -> None:
        """Prints an error on stderr: a sentence and what to do next, or a JSON object with `--json`."""
        if self.as_json:
            document = {
                "error": {"code": code, "message": message, "hint": hint or None, "details": plain(details or {})}
            }
            sys.stderr.write(json.dumps(document, ensure_ascii=False) + "\n")
            sys.stderr.flush()
            return
        self.stderr.print(f"[bold red]error:[/bold red] {escape(message)}", soft_wrap=True)
        if hint:
            self.stderr.print(f"[bold]next:[/bold]  {escape(hint)}", soft_wrap=True)


def cell(value: Any) -> str:
    """A value as people read it in a table."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    if isinstance(value, datetime.time):
        return _clock(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value)
    if isinstance(value, Mapping):
        return json.dumps(plain(value), ensure_ascii=False)
    return str(value)


def printable(text: str) -> str:
    """Text without control characters: what somebody stored must not steer the terminal it is shown on."""
    return "".join(ch for ch in text if ch in "\n\t" or (ch >= " " and not "\x7f" <= ch <= "\x9f"))


def escape(text: str) -> str:
    """Text that rich prints as it is: square brackets are no markup, control characters are gone."""
    return escape_markup(printable(text))
