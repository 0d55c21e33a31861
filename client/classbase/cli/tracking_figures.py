"""The figures of `class_statistics` as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.bar import Bar
from rich.columns import Columns
from rich.table import Table

from classbase.cli.output import Output, escape

STATES = ("scheduled", "completed", "cancelled", "missed", "rescheduled")
PAYMENTS = ("pending", "paid", "waived")
BAR = 24


def _shares(title: str, shares: Mapping[str, Mapping[str, Any]], order: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("")
    table.add_column("classes", justify="right")
    table.add_column("%", justify="right")
    table.add_column("", width=BAR)
    for name in order:
        if name in shares:
            count, percent = shares[name]["count"], float(shares[name]["percent"])
            table.add_row(name, f"{count:,}", f"{percent:.1f}", Bar(100, 0, percent, width=BAR, color="cyan"))
    return table


def print_figures(out: Output, figures: Mapping[str, Any], *, students: int | None) -> None:
    """Prints the document of `class_statistics`.

    Args:
        out: where to.
        figures: the document.
        students: how many students to list at most; all that are in it when None.
    """
    out.stdout.print(f"[bold]Classes from {figures['from']} to {figures['to']}: {figures['classes']:,}[/bold]\n")
    if figures["classes"]:
        out.stdout.print(
            Columns(
                [
                    _shares("By status", figures["by_status"], STATES),
                    _shares("By payment", figures["by_payment_status"], PAYMENTS),
                ]
            )
        )
        _growth(out, figures["growth"])
        _by_student(out, figures["by_student"], students)
    created, people, runs = figures["created"], figures["students"], figures["generation"]
    out.text(f"Created    {created['today']:,} today, {created['this_week']:,} this week, {created['in_all']:,} in all")
    out.text(f"Students   {people['active']:,} active of {people['in_all']:,}, {people['new']:,} new in these weeks")
    out.text(
        f"Generation {runs['runs']:,} runs made {runs['classes_created']:,} classes of {runs['students_processed']:,} "
        f"students; {runs['failures']:,} failed, {runs['partial']:,} could not have all"
    )
    average = runs["average_duration_ms"]
    took = "no run was timed" if average is None else f"{float(average):,.0f} ms on average"
    out.text(f"           {took}; last weekly run {runs['last_run_at'] or 'not in these weeks'}")


def _growth(out: Output, months: list[Mapping[str, Any]]) -> None:
    if len(months) < 2:
        return
    largest = max(row["classes"] for row in months)
    table = Table(title="By month", title_justify="left", header_style="bold")
    table.add_column("month")
    table.add_column("classes", justify="right")
    table.add_column("", width=BAR)
    for row in months:
        table.add_row(row["month"], f"{row['classes']:,}", Bar(largest, 0, row["classes"], width=BAR, color="cyan"))
    out.stdout.print(table)


def _by_student(out: Output, rows: list[Mapping[str, Any]], limit: int | None) -> None:
    shown = rows if limit is None else rows[:limit]
    table = Table(title="By student", title_justify="left", header_style="bold")
    table.add_column("student", overflow="fold")
    for heading in ("classes", "completed", "missed", "cancelled"):
        table.add_column(heading, justify="right")
    for row in shown:
        table.add_row(
            escape(row["name"]), *(f"{row[name]:,}" for name in ("classes", "completed", "missed", "cancelled"))
        )
    out.stdout.print(table)
    if len(rows) > len(shown):
        out.text(f"… and {len(rows) - len(shown):,} more (--all lists them)")
