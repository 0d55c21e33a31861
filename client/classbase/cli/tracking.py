"""`classbase tracking`: students, whether their classes are all there, and what to do about it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from classbase.calendar.grid import week_grid
from classbase.calendar.tables import to_rows
from classbase.calendar.tracking import COLUMNS, to_entries, week_span
from classbase.cli.choosing import WeekOption, ZoneOption, choose_zone, read_week, this_monday, week_heading
from classbase.cli.connection import open_client
from classbase.cli.naming import find_id
from classbase.cli.options import (
    DbUrlOption,
    DryRunOption,
    JsonOption,
    KeyOption,
    ProjectDirOption,
    QuietOption,
    UrlOption,
    YesOption,
    resolve_target,
)
from classbase.cli.output import OK, PROBLEMS, CommandError, Output, UsageError, escape
from classbase.cli.reading import Condition, read_rows
from classbase.cli.students import StudentOption, find_student, full_name
from classbase.cli.tracking_figures import print_figures
from classbase.cli.tracking_page import counted, diagnose_page, fix_page, working
from classbase.client import Classbase

tracking_app = typer.Typer(
    name="tracking",
    help="Students: their classes, what is missing, doubled or wrong, and figures.",
    no_args_is_help=True,
)

# A grid of more is no longer read.
GRID = 150

FirstOption = Annotated[
    datetime | None,
    typer.Option("--from", help="First day; four weeks ago by default.", formats=["%Y-%m-%d"], metavar="DATE"),
]
LastOption = Annotated[
    datetime | None, typer.Option("--to", help="Last day; today by default.", formats=["%Y-%m-%d"], metavar="DATE")
]


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    app.add_typer(tracking_app)


@tracking_app.command("diagnose")
def diagnose(
    student: StudentOption = None,
    show_all: Annotated[bool, typer.Option("--all", help="List everybody, however many students there are.")] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """One line a student: valid, missing classes (which), or invalid data (what); and the totals.

    Exit codes: 0 all are valid, 1 something is missing or invalid, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        code = diagnose_page(out, cb, find_student(cb, student), show_all=show_all)
    raise typer.Exit(code)


@tracking_app.command("fix")
def fix(
    student: StudentOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make the classes that are missing: for whom how many, and who was left out and why.

    Exit codes: 0 nothing is missing any more, 1 something is (with --dry-run: at all), 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        code = fix_page(out, cb, find_student(cb, student), dry_run=dry_run, yes=yes)
    raise typer.Exit(code)


@tracking_app.command("generate")
def generate(
    through: Annotated[
        datetime | None,
        typer.Option(
            "--through", help="Last day; by default as many weeks ahead as usual.", formats=["%Y-%m-%d"], metavar="DATE"
        ),
    ] = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Do what the weekly run does: make everybody's classes. Safe to do twice, at once or late.

    Exit codes: 0 done, 1 done but not for everybody, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    target = resolve_target(url, key, db_url, project_dir)
    with open_client(target) as cb, working(out, "Making everybody's classes"):
        [run] = cb.tracking.generate_weekly_classes(through=through and through.date())
    details: Any = run.error_details
    if as_json:
        out.json(run.model_dump())
    else:
        made = f"{counted(run.classes_created, 'class')} created, {run.classes_removed:,} removed"
        whose = f"{details['changed']:,} of {counted(details['students'], 'student')}"
        out.text(f"Through {details['through']}: {made}, for {whose}, in {float(run.duration_ms or 0) / 1000:.1f} s.")
        if details["partial"] or details["failed"]:
            partial = counted(details["partial"], "student")
            out.text(f"Not all were possible for {partial}; it failed for {details['failed']:,}.")
            out.notice("next:  `classbase tracking diagnose` says which, `classbase tracking fix` says why.")
    raise typer.Exit(PROBLEMS if run.status in ("partial", "failed") else OK)


@tracking_app.command("week")
def week(
    week: WeekOption = None,
    student: StudentOption = None,
    teacher: Annotated[
        str | None, typer.Option("--teacher", help="Only what this teacher teaches.", metavar="NAME|ID")
    ] = None,
    time_zone: ZoneOption = None,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print a week of students' classes as a grid: whose, with whom, and what became of each."""
    out = Output(as_json=as_json, quiet=quiet)
    chosen = read_week(week)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        zone = choose_zone(cb, time_zone)
        monday = chosen or this_monday(zone)
        starts, ends = week_span(monday, zone)
        conditions: list[Condition] = [("starts_at", "gte", starts), ("starts_at", "lt", ends)]
        ids = {"student_id": find_student(cb, student), "teacher_id": find_id(cb, "people_directory", teacher)}
        conditions += [(column, "eq", value) for column, value in ids.items() if value is not None]
        classes = read_rows(cb, "classes", COLUMNS, conditions)
        students, teachers = _names(cb, classes)
    entries = to_entries(classes, students, teachers, zone)
    if as_json:
        out.json(to_rows(entries))
        return
    whose = [students.get(str(ids["student_id"])), teachers.get(str(ids["teacher_id"]))]
    heading = week_heading(monday, zone, *whose)
    if not entries:
        out.text(f"{heading}: no classes.")
    elif len(entries) > GRID:
        days = Counter(
            (datetime.fromisoformat(row["starts_at"]).astimezone(zone).date(), row["status"]) for row in classes
        )
        states = sorted({status for _, status in days})
        rows = [
            {"day": f"{day:%a %d %b}", **{status: days[day, status] for status in states}}
            for day in sorted({day for day, _ in days})
        ]
        out.table(rows, title=escape(heading))
        out.notice(f"{len(entries):,} classes are too many for a grid: say --student or --teacher.")
    else:
        out.stdout.print(week_grid(entries, monday, title=escape(heading)))


@tracking_app.command("stats")
def stats(
    first: FirstOption = None,
    last: LastOption = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="List every student, not only those with most classes.")
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Figures of the classes of some weeks: by status, payment and student, how they came about, and their growth."""
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        span = {name: day.date() for name, day in (("from_", first), ("to", last)) if day is not None}
        figures: Any = cb.tracking.class_statistics(**span)
    if as_json:
        out.json(figures)
    else:
        print_figures(out, figures, students=None if show_all else 15)


@tracking_app.command("duplicates")
def duplicates(
    remove: Annotated[bool, typer.Option("--remove", help="Remove all but the oldest, after a confirmation.")] = False,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List classes that are there more than once; --remove keeps the oldest, which gets attendance, payments and links.

    Exit codes: 0 none (or none any more), 1 some, 2 wrong usage, 3 could not run.
    """
    out = Output(as_json=as_json, quiet=quiet)
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        found = [row.model_dump() for row in cb.tracking.check_duplicate_classes()]
        if not as_json:
            _print_duplicates(out, found)
        fixes = [row.model_dump() for row in cb.operations.remove_duplicate_classes(dry_run=True)] if remove else []
        if fixes:
            copies = sum(len(row["duplicate_ids"]) for row in found)
            out.confirm(f"Remove {counted(copies, 'class')}, and put lost keys back?", yes=yes)
            with working(out, "Removing duplicates"):
                fixes = _remove_duplicates(cb)
    if as_json:
        out.json({"duplicates": found, "fixes": fixes})
    elif fixes:
        out.table(fixes, ["check_name", "faults", "fixed", "remaining", "fix_id"])
        out.notice(
            "Their rows are kept; `classbase undo FIX` is refused while the keys are there that refuse duplicates."
        )
    left = sum(row["remaining"] for row in fixes) if remove else len(found)
    raise typer.Exit(PROBLEMS if left else OK)


def _remove_duplicates(cb: Classbase) -> list[dict[str, Any]]:
    # A key that a duplicate was in the way of is back once that is gone: what remains is known at the end only.
    fixes = [row.model_dump() for row in cb.operations.remove_duplicate_classes()]
    left = Counter(row.check_name for row in cb.operations.run_diagnostics(checks=[row["check_name"] for row in fixes]))
    return [
        {**row, "fixed": row["faults"] - left[row["check_name"]], "remaining": left[row["check_name"]]} for row in fixes
    ]


def _print_duplicates(out: Output, found: list[dict[str, Any]]) -> None:
    rows = [{**row, "start_time": f"{row['start_time']:%H:%M}", "copies": len(row["duplicate_ids"])} for row in found]
    columns = {
        "student_name": "student",
        "date": "date",
        "start_time": "from",
        "copies": "copies",
        "kept_id": "the oldest",
    }
    out.table(rows[:GRID], columns, empty="No class is there twice.")
    if len(rows) > GRID:
        out.text(f"… and {len(rows) - GRID:,} more.")


@tracking_app.command("cancel")
def cancel(
    class_id: Annotated[
        UUID | None, typer.Argument(metavar="[ID]", help="Which class; or say --student and --date.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why.", metavar="TEXT")] = "",
    by: Annotated[
        Literal["student", "teacher", "organisation"],
        typer.Option("--by", help="In whose name, which decides with the notice given whether it is charged and paid."),
    ] = "organisation",
    student: StudentOption = None,
    day: Annotated[
        datetime | None, typer.Option("--date", help="The day of the class.", formats=["%Y-%m-%d"], metavar="DATE")
    ] = None,
    yes: YesOption = False,
    url: UrlOption = None,
    key: KeyOption = None,
    db_url: DbUrlOption = None,
    project_dir: ProjectDirOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Cancel a class, with the reason; says what it still costs and pays."""
    out = Output(as_json=as_json, quiet=quiet)
    if not reason.strip():
        raise UsageError("A cancelled class needs a reason.", 'Say --reason "…".')
    if (class_id is None) == (student is None or day is None):
        raise UsageError("Which class?", "Say its id, or --student and --date.")
    with open_client(resolve_target(url, key, db_url, project_dir)) as cb:
        chosen = class_id or _class_of(cb, find_student(cb, student), day)
        name = _describe(cb, chosen)
        out.confirm(f"Cancel {name}?", yes=yes)
        [row] = cb.tracking.cancel_class(chosen, reason, cancelled_by=by)
    if as_json:
        out.json(row.model_dump())
        return
    terms = [("it is", row.is_charged, "charged"), ("its teacher is", row.is_teacher_paid, "paid")]
    said = ", and ".join(f"{who}{'' if done else ' not'} {what}" for who, done, what in terms)
    out.text(f"{name[0].upper()}{name[1:]} is cancelled: {said}.")
    out.notice("`offer_makeup` says when it could be made up for, `book_makeup` books that: docs/tracking.md.")


def _class_of(cb: Classbase, student_id: UUID | None, day: datetime | None) -> UUID:
    assert student_id is not None
    assert day is not None
    conditions: list[Condition] = [
        ("student_id", "eq", student_id),
        ("date", "eq", day.date()),
        ("status", "eq", "scheduled"),
    ]
    found = read_rows(cb, "classes", ["id", "start_time"], conditions, order="start_time")
    if len(found) == 1:
        return UUID(found[0]["id"])
    if not found:
        raise CommandError(
            f"There is no class to be cancelled on {day:%Y-%m-%d}.", "See `classbase tracking week`.", code="not_found"
        )
    said = ", ".join(f"{row['start_time'][:5]} {row['id']}" for row in found)
    raise UsageError(f"There are {len(found)} classes on {day:%Y-%m-%d}.", f"Say the id: {said}")


def _describe(cb: Classbase, class_id: UUID) -> str:
    found = read_rows(cb, "classes", ["id", "student_id", "teacher_id", "date", "start_time"], [("id", "eq", class_id)])
    if not found:
        raise CommandError("There is no such class.", "`classbase tracking week --json` lists ids.", code="not_found")
    students, _ = _names(cb, found)
    return f"the class of {students[found[0]['student_id']]} on {found[0]['date']} {found[0]['start_time'][:5]}"


def _names(cb: Classbase, classes: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, str]]:
    """The names of the students and of the teachers of these classes, by id."""
    found: list[list[dict[str, Any]]] = []
    for column, table, columns in (
        ("student_id", "students", ["id", "first_name", "last_name"]),
        ("teacher_id", "people_directory", ["id", "full_name"]),
    ):
        ids = sorted({row[column] for row in classes if row[column] is not None})
        # Ids are part of the address over REST, which has a limit.
        found.append(
            [
                row
                for start in range(0, len(ids), 100)
                for row in read_rows(cb, table, columns, [("id", "in", ids[start : start + 100])])
            ]
        )
    return {row["id"]: full_name(row) for row in found[0]}, {row["id"]: row["full_name"] for row in found[1]}
