"""`classbase maintenance`: the administrator's routine, every day, week and month."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any

import typer

from classbase.cli.connection import open_client
from classbase.cli.maintenance_steps import Period, Step, Walk, problems_of, size, steps_of
from classbase.cli.options import (
    DbUrlOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    YesOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, Output, cell, escape
from classbase.cli.tracking_page import counted, working
from classbase.client import Classbase

ROWS = 10


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("maintenance")(maintenance)


def maintenance(
    period: Annotated[Period, typer.Argument(metavar="daily|weekly|monthly", help="Which routine.")],
    fix: Annotated[bool, typer.Option("--fix", help="Do what is proposed, each after a confirmation.")] = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Walk through the routine: run the checks, show the figures, and say what to do, with the command that does it.

    daily: checks, students' classes, what was made today. weekly: also the sizes of tables. monthly: also who may reach
    which table.

    Exit codes: 0 all is well (or was mended), 1 something is left to do, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        steps = _walk(out, cb, period)
        proposals = [proposal for step in steps for proposal in step.proposals]
        applied: list[str] = []
        if fix:
            for proposal in proposals:
                if proposal.apply is None:
                    continue
                if not as_json:
                    out.stdout.print(f"\n[bold]{escape(proposal.why)}[/bold]", soft_wrap=True)
                out.confirm(f"Do what `{proposal.command}` does?", yes=yes)
                with working(out, proposal.command):
                    proposal.apply()
                applied.append(proposal.command)
                if not as_json:
                    out.stdout.print(f"[green]done:[/green] {escape(proposal.command)}", soft_wrap=True)
        remaining = steps
        if applied:
            if not as_json:
                out.stdout.print("\n[bold]After that:[/bold]")
            remaining = _walk(out, cb, period, only_problems=True)
    if as_json:
        document = {"period": period, "steps": [_plain(step) for step in steps], "applied": applied}
        out.json({**document, "remaining": [problem for step in remaining for problem in step.problems]})
    else:
        _print_end(out, remaining)
    raise typer.Exit(PROBLEMS if problems_of(remaining) else OK)


def _walk(out: Output, cb: Classbase, period: Period, *, only_problems: bool = False) -> list[Step]:
    """Takes the steps, and prints each as soon as it is done."""
    walk = Walk(cb, period, out)
    steps = []
    for doing, take in steps_of(period):
        # The checks have a bar of their own.
        with working(out, doing) if doing else nullcontext():
            step = take(walk)
        steps.append(step)
        if not out.as_json and (step.problems or not only_problems):
            _print_step(out, step)
    return steps


def _print_step(out: Output, step: Step) -> None:
    mark = "[yellow]![/yellow]" if step.problems else "[green]✓[/green]"
    out.stdout.print(f"\n{mark} [bold]{escape(step.title)}[/bold]")
    if any(value not in (0, None) for value in step.figures.values()):
        width = max(len(name) for name in step.figures)
        for name, value in step.figures.items():
            out.text(f"    {name.replace('_', ' '):<{width}}  {_figure(name, value)}")
    else:
        out.text("    nothing found")
    if step.rows:
        out.table([{name: cell(value) for name, value in row.items()} for row in step.rows[:ROWS]])
        if len(step.rows) > ROWS:
            out.text(f"    … and {len(step.rows) - ROWS} more")


def _figure(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name.startswith("bytes"):
        return size(int(value))
    return f"{value:,}"


def _print_end(out: Output, steps: list[Step]) -> None:
    proposals = [proposal for step in steps for proposal in step.proposals]
    if not proposals:
        out.stdout.print("\n[bold green]All is well.[/bold green]")
        return
    out.stdout.print(f"\n[bold]To do ({counted(len(proposals), 'thing')}):[/bold]")
    for proposal in proposals:
        out.stdout.print(f"  • {escape(proposal.why)}\n      [cyan]{escape(proposal.command)}[/cyan]", soft_wrap=True)
    if any(proposal.apply is not None for proposal in proposals):
        out.notice("--fix does what can be done without deciding anything, after asking.")


def _plain(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "figures": step.figures,
        "rows": step.rows,
        "problems": step.problems,
        "proposals": [
            {"why": proposal.why, "command": proposal.command, "can_be_applied": proposal.apply is not None}
            for proposal in step.proposals
        ],
    }
