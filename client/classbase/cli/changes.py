"""`classbase changes`: what is published in the change feed, as it happens or since a cursor."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Annotated

import typer

from classbase.changes import CHANGES_SINCE, Change, State
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
from classbase.cli.output import Output, UsageError
from classbase.client import Classbase
from classbase.values import plain


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("changes")(changes)


def changes(
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="A topic, such as schedules; may be repeated. All by default.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="The cursor after which to begin.", metavar="CURSOR")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as changes happen, until interrupted.")] = False,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="End after so many changes.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what is published: with --follow from now on, with --since what came after a cursor.

    With --json each change is an object on a line of its own, with the cursor after it. Without either option only the
    cursor of this moment is shown, to begin with another time.
    """
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        if follow:
            _follow(cb, out, topic, since, count)
        else:
            _read(cb, out, topic, since, count)


def _follow(cb: Classbase, out: Output, topics: list[str] | None, since: str | None, count: int | None) -> None:
    def tell(state: State) -> None:
        out.notice(f"{state} …")

    with cb.subscribe(topics, cursor=since, on_state=tell) as following:
        for number, change in enumerate(following, start=1):
            _show(out, change)
            if number == count:
                return


def _read(cb: Classbase, out: Output, topics: list[str] | None, since: str | None, count: int | None) -> None:
    if since is None and count is not None:
        raise UsageError("--count needs --since or --follow.", "Say from where to count.")
    cursor, left, more = since, count, True
    while more and left != 0:
        page = min(left or 200, 200)
        rows = cb.caller.call(CHANGES_SINCE, {"p_cursor": cursor, "p_topics": topics, "p_limit": page})
        shown = [change for change in (row.change() for row in rows) if change is not None]
        for change in shown:
            _show(out, change)
        cursor, more = rows[-1].cursor, rows[-1].more
        left = None if left is None else left - len(shown)
    if not out.as_json:
        out.notice(f"Go on with --since {cursor}")
    elif cursor != since or since is None:
        typer.echo(json.dumps({"cursor": cursor}))


def _show(out: Output, change: Change) -> None:
    if out.as_json:
        typer.echo(json.dumps(plain(change), ensure_ascii=False))
        return
    when = change.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    out.text(f"{when}  {change.topic}  {change.event}  {json.dumps(change.payload, ensure_ascii=False)}")
