"""`classbase outbox`: messages that leave the house, sending them, and dead letters."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import typer

from classbase.cli.connection import open_client
from classbase.cli.dispatching import Dispatch
from classbase.cli.options import (
    DbUrlOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    UrlOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, Output, UsageError
from classbase.cli.reading import Condition, read_rows

STATES = ("queued", "sending", "sent", "failed")
_COLUMNS = (
    "id", "channel", "kind", "recipient", "subject", "status", "attempts", "created_at", "next_attempt_at", "sent_at",
    "failed_at", "last_error",
)  # fmt: skip
_AT_ONCE = 1000


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="What leaves the house: messages that wait, sending them, dead letters."
    )
    group.command("list")(list_messages)
    group.command("dispatch")(dispatch)
    group.command("requeue")(requeue)
    app.add_typer(group, name="outbox")


def list_messages(
    status: Annotated[
        str | None, typer.Option("--status", help=f"Only these: {', '.join(STATES)}.", metavar="STATUS")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10000, help="How many, newest first.")] = 50,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show messages; without --status those that were not sent.

    Exit codes: 0 none of them is a dead letter, 1 some are, 2 and 3 as always.
    """
    out = Output(as_json=as_json)
    if status is not None and status not in STATES:
        raise UsageError(f"There is no status {status}.", f"Choose {', '.join(STATES)}.")
    wanted = [status] if status else [one for one in STATES if one != "sent"]
    condition: Condition = ("status", "in", wanted)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        rows = read_rows(cb, "outbox", _COLUMNS, [condition], order="created_at")[::-1][:limit]
        providers = read_rows(
            cb, "outbox_providers", ("name", "state", "failures", "retry_at", "last_error"), order="name"
        )
    if as_json:
        out.json({"messages": rows, "providers": providers})
    else:
        columns = {"id": "id", "channel": "channel", "kind": "kind", "recipient": "to", "status": "status",
                   "attempts": "tries", "last_error": "what went wrong"}  # fmt: skip
        out.table(rows, columns, empty="There are no such messages.")
        for provider in providers:
            if provider["state"] != "closed":
                out.warning(f"{provider['name']} fails and is left alone until {provider['retry_at']}.")
    raise typer.Exit(PROBLEMS if any(row["status"] == "failed" for row in rows) else OK)


def dispatch(
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, max=10000, help="At most so many.")] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Have functions/dispatch send what is due, as any cron may.

    Its address is the project's, or DISPATCH_URL; its secret is DISPATCH_SECRET, of the environment or of
    supabase/functions/.env.

    Exit codes: 0 nothing was given up, 1 some messages became dead letters, 2 and 3 as always.
    """
    from classbase.embedded.project import Project

    out = Output(as_json=as_json)
    origin, directory = None, None
    if Dispatch.of_environment() is None:
        target = resolve_target(url, key, db_url, project_dir)
        origin = target.url
        directory = Project.find(project_dir).directory if target.local else None
    done = Dispatch.of_project(origin, directory).call(limit)
    if as_json:
        out.json(done)
    else:
        out.text(f"{done['sent']} sent, {done['retried']} to be tried again, {done['failed']} given up.")
        if done["unreported"]:
            out.warning(f"Of {done['unreported']} nobody knows what became of them; they are tried again.")
        if not done["channels"]:
            out.warning("It knows no provider: set EMAIL_URL, EMAIL_KEY and EMAIL_FROM, or WEBHOOK_SECRET.")
    raise typer.Exit(PROBLEMS if done["failed"] else OK)


def requeue(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Dead letters; `outbox list` shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Queue dead letters again, as if they had never been tried.

    Exit codes: 0 all of those named were dead letters and are queued, 1 some were not, 2 and 3 as always.
    """
    out = Output(as_json=as_json)
    if everything == bool(ids):
        raise UsageError("Say which messages, or --all.", "`classbase outbox list --status failed` shows them.")
    try:
        wanted = [UUID(one) for one in ids or ()]
    except ValueError:
        raise UsageError("A message is named by its id.", "`classbase outbox list` shows it.") from None
    done: list[UUID] = []
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        if everything:
            wanted = [UUID(row["id"]) for row in read_rows(cb, "outbox", ("id",), [("status", "eq", "failed")])]
        for start in range(0, len(wanted), _AT_ONCE):
            done += cb.people.requeue_outbox(wanted[start : start + _AT_ONCE])
    document: dict[str, Any] = {"requeued": done, "not_dead": sorted(set(wanted) - set(done), key=str)}
    if as_json:
        out.json(document)
    else:
        out.text(f"{len(done)} queued again.")
        for one in document["not_dead"]:
            out.warning(f"{one} is no dead letter.")
    if document["not_dead"] and not everything:
        raise typer.Exit(PROBLEMS)
