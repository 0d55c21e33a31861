"""`classbase jobs`: what runs by itself, how it went, and running it."""

from __future__ import annotations

import datetime as dt
import json
import signal
import threading
from types import FrameType
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from classbase.cli.connection import open_client
from classbase.cli.dispatching import Dispatch, Waker
from classbase.cli.job_runner import JobRunner
from classbase.cli.options import (
    DbUrlOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, Output, escape, plain

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The job's name; `classbase jobs list` shows them.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group = typer.Typer(no_args_is_help=True, help="What runs by itself: the list, the history, and running it.")
    group.command("list")(list_jobs)
    group.command("run")(run)
    group.command("run-now")(run_now)
    group.command("history")(history)
    app.add_typer(group, name="jobs")


def list_jobs(
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every job: when it is due next, in which zone, and how it went last. Soonest first."""
    out = Output(as_json=as_json)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        jobs = [row.model_dump() for row in cb.operations.job_status()]
    if as_json:
        out.json(jobs)
        return
    columns = {"name": "job", "cron": "cron", "next": "next", "in": "in", "last": "last run", "went": "how it went"}
    out.table([{**job, **_in_words(job)} for job in jobs], columns, empty="There are no jobs.")


def history(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Only runs of this job.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only runs that failed.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, newest first.")] = 20,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the last runs of a job, or of all, newest first."""
    out = Output(as_json=as_json)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        rows = cb.operations.job_history(job=name, status="failed" if failed else None, limit=limit)
        runs = [row.model_dump() for row in rows]
    if as_json:
        out.json(runs)
        return
    for run_ in runs:
        run_ |= {"began": _instant(run_["started_at"]), "took": _took(run_["duration"]), "said": _said(run_)}
    columns = ["job", "began", "status", "took", "attempts", "runner", "said"]
    out.table(runs, columns, empty="No job has run.")


def run_now(
    name: NameArgument,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a job now, due or not, switched on or not. Its schedule goes on as if it had not run.

    Exit codes: 0 it succeeded, 1 it failed, 2 and 3 as always.
    """
    out = Output(as_json=as_json)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        [done] = [row.model_dump() for row in cb.operations.run_job(name)]
    _tell(out, done)
    raise typer.Exit(PROBLEMS if done["status"] == "failed" else OK)


def run(
    once: Annotated[bool, typer.Option("--once", help="Run what is due now and end, for a cron of your own.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run jobs when they are due, in the foreground, until SIGTERM or Ctrl-C; the job at hand is finished first.

    Any number may run at once, beside pg_cron or not: each due time runs once. With --json one line a run. Where
    DISPATCH_URL and DISPATCH_SECRET are set, functions/dispatch is woken when messages are due.

    Exit codes: 0 told to end (--once: nothing failed), 1 with --once: a job failed, 2 and 3 as always.
    """
    out = Output(as_json=as_json, quiet=quiet)
    stop = threading.Event()
    _stop_when_told(stop)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        dispatch = Dispatch.of_environment()
        waker = Waker(dispatch, out.warning) if dispatch is not None else None

        def ran(done: dict[str, Any]) -> None:
            _tell(out, done, in_line=True)
            if waker is not None:
                waker.ran(done)

        runner = JobRunner(cb, ran, out.warning, stop)
        if not once:
            out.notice("Running jobs as they become due. Ctrl-C ends it.")
        failed = runner.run(once=once)
        if waker is not None and once:
            waker.wait()
    raise typer.Exit(PROBLEMS if once and failed else OK)


def _stop_when_told(stop: threading.Event) -> None:
    """SIGTERM and Ctrl-C end it after the job at hand, a second one at once."""

    def told(sign: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)


# -- in words ------------------------------------------------------------------------------------------------------


def _tell(out: Output, done: dict[str, Any], *, in_line: bool = False) -> None:
    if out.as_json:
        if in_line:
            print(json.dumps(plain(done), ensure_ascii=False), flush=True)
        else:
            out.json(done)
        return
    colour = "green" if done["status"] == "succeeded" else "bold red"
    when = done.get("scheduled_for") or done["started_at"]
    out.stdout.print(
        f"{_instant(when)}  [{colour}]{done['status']}[/]  [bold]{escape(done['job'])}[/bold]  "
        f"{_took(done['duration'])}  {escape(_said(done))}".rstrip(),
        soft_wrap=True,
    )


def _in_words(job: dict[str, Any]) -> dict[str, str]:
    zone = ZoneInfo(job["time_zone"])
    if not job["is_active"]:
        soon = {"next": "switched off", "in": ""}
    elif job["is_due"]:
        soon = {"next": "now", "in": ""}
    elif job["due_at"] is None:
        soon = {"next": "never", "in": ""}
    else:
        soon = {"next": f"{job['due_at'].astimezone(zone):%a %Y-%m-%d %H:%M %Z}", "in": _about(job["due_in"])}
    went = f"failed {job['failures']}×: {job['last_error']}" if job["last_status"] == "failed" else job["last_status"]
    last = f"{job['last_run_at'].astimezone(zone):%Y-%m-%d %H:%M %Z}" if job["last_run_at"] else "not yet"
    return {**soon, "last": last, "went": went or ""}


def _said(done: dict[str, Any]) -> str:
    if done["status"] == "failed":
        again = f" (again from {_instant(done['retry_at'])})" if done.get("retry_at") else ""
        return f"{done['error_code'] or done['error_sqlstate']}: {done['error_message']}{again}"
    return done["result"] or ""


def _instant(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S}Z"


def _took(duration: dt.timedelta) -> str:
    seconds = duration.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _about(wait: dt.timedelta) -> str:
    minutes = int(wait.total_seconds() // 60)
    if minutes < 1:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min" if minutes < 24 * 60 else f"{minutes // 1440} days"
