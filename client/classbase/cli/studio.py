"""`classbase studio`: the week, what clashes, plans and pay."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from classbase.calendar.grid import week_grid
from classbase.calendar.studio import read_week as read_classes
from classbase.calendar.tables import to_rows
from classbase.cli.choosing import (
    PersonOption,
    PlaceOption,
    WeekOption,
    ZoneOption,
    choose_resources,
    choose_zone,
    read_week,
    this_monday,
    week_heading,
)
from classbase.cli.connection import open_client
from classbase.cli.naming import find_id
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
from classbase.cli.output import OK, PROBLEMS, CommandError, Output, UsageError, escape
from classbase.cli.typed import typed_amount, typed_time, typed_weekday
from classbase.values import plain

studio_app = typer.Typer(name="studio", help="The studio: its week, clashes, plans and pay.", no_args_is_help=True)

FromOption = Annotated[
    datetime | None, typer.Option("--from", help="First day; today by default.", formats=["%Y-%m-%d"], metavar="DATE")
]


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    app.add_typer(studio_app)


@studio_app.command("week")
def week(
    week: WeekOption = None,
    person: PersonOption = None,
    place: PlaceOption = None,
    time_zone: ZoneOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print a week of classes as a grid: who teaches what where, whether they said yes, and how many booked."""
    out = Output(as_json=as_json, quiet=quiet)
    chosen = read_week(week)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        zone = choose_zone(cb, time_zone)
        monday = chosen or this_monday(zone)
        ids, whose = choose_resources(cb, person, place, None)
        entries, untimed = read_classes(cb, monday, zone, ids, whose.split(", ") if whose else ())
    if as_json:
        out.json({"classes": to_rows(entries), "to_be_arranged": [dict(row) for row in untimed]})
        return
    heading = week_heading(monday, zone, whose)
    if entries:
        out.stdout.print(week_grid(entries, monday, title=escape(heading)))
    else:
        out.text(f"{heading}: no classes.")
    for row in untimed:
        what = row["class_type"] or row["package"] or "Class"
        out.text(f"{row['date']}, time to be arranged: {what}, {row['instructor']}")


@studio_app.command("conflicts")
def conflicts(
    first: FromOption = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", help="Last day; four weeks on by default.", formats=["%Y-%m-%d"], metavar="DATE"),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List what has to be settled: classes during time off or closures, rejected, over-full, or with nobody to teach.

    Exit codes: 0 nothing, 1 something, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        found = cb.studio.studio_conflicts(from_=first and first.date(), to=last and last.date())
    out.table(
        [row.model_dump() for row in found],
        {
            "date": "date",
            "start_time": "from",
            "end_time": "to",
            "title": "class",
            "conflict_type": "what",
            "message": "why",
        },
        empty="Nothing clashes.",
    )
    raise typer.Exit(PROBLEMS if found else OK)


@studio_app.command("plan")
def plan(
    kind: Annotated[
        Literal["weekly", "monthly", "crash", "package"],
        typer.Argument(metavar="weekly|monthly|crash|package", help="Which sort of plan."),
    ],
    instructor: Annotated[str | None, typer.Option("--instructor", metavar="NAME", help="Who teaches it.")] = None,
    class_type: Annotated[str | None, typer.Option("--class-type", metavar="NAME", help="What is taught.")] = None,
    package: Annotated[str | None, typer.Option("--package", metavar="NAME", help="The package it is part of.")] = None,
    location: Annotated[str | None, typer.Option("--location", metavar="NAME", help="The room it takes.")] = None,
    schedule: Annotated[
        UUID | None, typer.Option("--schedule", metavar="ID", help="The schedule whose dates it takes over.")
    ] = None,
    weekdays: Annotated[
        list[str] | None, typer.Option("--weekday", metavar="DAY", help="On which weekdays; may be repeated.")
    ] = None,
    start: Annotated[str | None, typer.Option("--start", metavar="HH:MM", help="When it starts.")] = None,
    end: Annotated[str | None, typer.Option("--end", metavar="HH:MM", help="When it ends.")] = None,
    first: FromOption = None,
    until: Annotated[
        datetime | None, typer.Option("--until", help="Last day.", formats=["%Y-%m-%d"], metavar="DATE")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", min=1, help="How many classes.")] = None,
    payment_type: Annotated[
        Literal["per_class", "monthly", "per_member", "total_duration", "per_class_total", "per_student_per_class"],
        typer.Option("--payment-type", help="What the rate buys."),
    ] = "per_class",
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="AMOUNT", help="The instructor's own by default.")
    ] = None,
    students: Annotated[int | None, typer.Option("--students", min=1, help="How many take part.")] = None,
    create: Annotated[bool, typer.Option("--create", help="Write the classes, after a confirmation.")] = False,
    only_free: Annotated[
        bool, typer.Option("--only-free", help="With --create: leave out the dates on which something is in the way.")
    ] = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show the dates a plan would fall on, with pay and what is in the way; --create writes them.

    Exit codes: 0 all dates are free (or written), 1 something is in the way, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        rows = cb.studio.plan_assignments(
            kind,
            instructor_id=find_id(cb, "people_directory", instructor),
            class_type_id=find_id(cb, "class_types", class_type),
            package_id=find_id(cb, "packages", package),
            location_id=find_id(cb, "locations", location),
            schedule_id=schedule,
            weekdays=[typed_weekday(day) for day in weekdays] if weekdays else None,
            start_time=typed_time(start, "--start"),
            end_time=typed_time(end, "--end"),
            from_=first and first.date(),
            until=until and until.date(),
            count=count,
            payment_type=payment_type,
            rate=typed_amount(rate, "--rate"),
            student_count=students,
        )
        counts = Counter(row.status for row in rows)
        in_the_way = counts["conflict"] + counts["refused"]
        wanted = [row.assignment for row in rows if row.status == "planned"]
        made: list[Any] = []
        if not as_json:
            _print_plan(out, [row.model_dump() for row in rows], counts)
        if create:
            if in_the_way and not only_free:
                hint = "Choose other times, or leave those dates out with --only-free."
                raise CommandError(
                    f"Nothing was written: {in_the_way} dates are not free.", hint, code="not_free", exit_code=PROBLEMS
                )
            if not wanted:
                hint = "Choose other days or times."
                raise CommandError("Nothing was written: no date is free.", hint, code="not_free", exit_code=PROBLEMS)
            out.confirm(f"Write these {len(wanted)} classes?", yes=yes)
            made = cb.studio.create_assignments(plain(wanted))
            if not as_json:
                out.text(
                    f"{len(made)} classes written, {sum(Decimal(row.payment_amount or 0) for row in made):,.2f} in pay."
                )
    if as_json:
        out.json({"plan": [row.model_dump() for row in rows], "created": [row.model_dump() for row in made]})
    raise typer.Exit(OK if made or not in_the_way else PROBLEMS)


def _print_plan(out: Output, rows: list[dict[str, Any]], counts: Counter[str | None]) -> None:
    shown = [{**row, "weekday": f"{row['date']:%a}", "reason": row["reason"] or ""} for row in rows]
    columns = {
        "date": "date", "weekday": "", "start_time": "from", "end_time": "to", "status": "", "payment_amount": "pay",
        "reason": "why",
    }  # fmt: skip
    out.table(shown, columns, empty="The plan has no dates.")
    pay = sum((row["payment_amount"] or 0 for row in rows if row["status"] == "planned"), Decimal())
    said = [f"{counts[status]} {status}" for status in ("planned", "conflict", "refused", "skipped") if counts[status]]
    out.text(f"{', '.join(said) or 'nothing'}; {pay:,.2f} in pay.")


@studio_app.command("pay")
def pay(
    first: Annotated[datetime, typer.Option("--from", help="First day.", formats=["%Y-%m-%d"], metavar="DATE")],
    last: Annotated[datetime, typer.Option("--to", help="Last day, included.", formats=["%Y-%m-%d"], metavar="DATE")],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print the pay run: what instructors are due for the classes they taught, what was paid, and what is planned."""
    out = Output(as_json=as_json, quiet=quiet)
    if as_csv and as_json:
        raise UsageError("--csv and --json exclude each other.", "Choose one of them.")
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        rows = [row.model_dump() for row in cb.studio.instructor_pay(first.date(), last.date())]
    columns = [
        "instructor_name",
        "class_count",
        "minutes",
        "amount_due",
        "amount_paid",
        "amount_open",
        "amount_planned",
    ]
    if as_csv:
        writer = csv.writer(sys.stdout)
        writer.writerow(["instructor_id", *columns])
        for row in rows:
            name = row["instructor_name"]
            # A spreadsheet must not take a name for a formula.
            row["instructor_name"] = f"'{name}" if name[:1] in "=+-@\t\r" else name
            writer.writerow([row[column] for column in ["instructor_id", *columns]])
        return
    out.table(rows, columns, empty="No classes were taught, and none are planned.")
