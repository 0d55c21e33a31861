"""`classbase history`: what happened to one row, or what it was at an instant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from classbase.cli.connection import open_client
from classbase.cli.options import (
    DbUrlOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, Output, UsageError, escape
from classbase.values import plain

_COLORS = {"insert": "green", "update": "yellow", "delete": "red"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("history")(history)


def history(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The table, such as bookings.")],
    row_id: Annotated[
        str, typer.Argument(metavar="ID", help="The row's id; a key of several columns as a JSON object.")
    ],
    at: Annotated[
        str | None,
        typer.Option(
            "--at", help="Show the row as it was then: 2026-03-02, or 2026-03-02T18:30+01:00.", metavar="INSTANT"
        ),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show who changed a row, from what to what; or with --at the row as it was then (UTC where no zone is said).

    Exit codes: 0 shown, 1 nothing is known of such a row (or it did not exist then); 2 and 3 as always.
    """
    out = Output(as_json=as_json, quiet=quiet)
    instant = _instant(at)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        if instant is not None:
            row = cb.operations.row_as_of(table, row_id, instant)
            raise typer.Exit(_show_row(out, table, row_id, instant, row))
        changes = [change.model_dump() for change in cb.operations.record_history(table, row_id)]
    if as_json:
        out.json({"table": table, "id": row_id, "changes": changes})
    elif not changes:
        out.text(f"Nothing is known of {table} {row_id}.")
    else:
        for change in changes:
            _print(out, change)
    raise typer.Exit(OK if changes else PROBLEMS)


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text} is no instant.", "Write it as 2026-03-02 or 2026-03-02T18:30+01:00.") from error
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def _show_row(out: Output, table: str, row_id: str, instant: datetime, row: Any) -> int:
    if out.as_json:
        out.json({"table": table, "id": row_id, "at": instant, "row": row})
    elif row is None:
        out.text(f"There was no {table} {row_id} at {instant.isoformat()}.")
    else:
        out.pairs(row, title=f"{table} {row_id} at {instant.isoformat()}")
    return PROBLEMS if row is None else OK


def _print(out: Output, change: Mapping[str, Any]) -> None:
    """One change: when, what, who, and below it each column, from what to what."""
    operation = str(change["operation"])
    when = change["at"].astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if change["at"] else "before the log begins"
    out.stdout.print(
        f"[bold {_COLORS[operation]}]{operation:<6}[/]  {when}  {escape(_who(change))}", soft_wrap=True, highlight=False
    )
    old, new = change["old_values"] or {}, change["new_values"] or {}
    width = max((len(name) for name in change["changed_columns"]), default=0)
    for name in change["changed_columns"]:
        # A row that comes or goes is full of columns that hold nothing.
        if operation != "update" and (new or old).get(name) is None:
            continue
        values = [_value(image[name]) for image in (old, new) if name in image]
        out.text(f"        {name:<{width}}  {' → '.join(values)}")


def _who(change: Mapping[str, Any]) -> str:
    if change["change_id"] is None:
        return "(its coming was not recorded)"
    parts = [str(change["actor_name"] or change["actor_id"] or change["actor_role"])]
    if change["fix_id"] is not None:
        parts.append(f"fix {change['fix_id']}")
    if change["ip_address"]:
        parts.append(f"from {change['ip_address']}")
    parts.append(f"transaction {change['transaction_id']}")
    return ", ".join(parts)


def _value(value: Any) -> str:
    return "–" if value is None else value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
