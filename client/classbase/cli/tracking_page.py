"""What an administrator opens every morning: whether each student's classes are all there, and putting it right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from classbase.cli.output import OK, PROBLEMS, Output, escape
from classbase.cli.reading import read_rows
from classbase.client import Classbase
from classbase.errors import LimitExceeded

# With so many students, those who are fine are counted, not listed; and no more than so many lines are printed.
FEW = 30
LINES = 50
DATES = 4

# As wide as a terminal shows them, which differs from what a library thinks of the second.
MARKS = {"valid": "✅", "missing": "⚠️ ", "invalid": "❌"}
COLOURS = {"valid": "green", "missing": "yellow", "invalid": "red"}
Row = Mapping[str, Any]


@contextmanager
def working(out: Output, doing: str) -> Iterator[None]:
    """Says on a terminal what is being done, and for how long already; leaves nothing behind."""
    progress = Progress(
        SpinnerColumn(),
        TextColumn(doing),
        TimeElapsedColumn(),
        console=out.stderr,
        transient=True,
        disable=out.as_json or out.quiet or not out.stderr.is_terminal,
    )
    with progress:
        progress.add_task("working")
        yield


def read_students(cb: Classbase, student_id: UUID | None = None) -> list[dict[str, Any]]:
    """The rows of `diagnose_students`, of all students or of one."""
    return [row.model_dump() for row in cb.tracking.diagnose_students(student_id=student_id)]


def totals(rows: Sequence[Row]) -> dict[str, int]:
    """How many students there are, by status, and how many classes they have and miss."""
    counts = Counter(row["status"] for row in rows)
    return {
        "students": len(rows),
        **{status: counts[status] for status in MARKS},
        "classes": sum(row["classes"] for row in rows),
        "missing_classes": sum(row["missing"] for row in rows),
    }


def diagnose_page(out: Output, cb: Classbase, student_id: UUID | None = None, *, show_all: bool = False) -> int:
    """Prints one line a student and the totals (`--json`: the rows and the totals); returns the exit code.

    Args:
        out: where to.
        cb: the backend.
        student_id: this student only.
        show_all: list every student, however many there are.
    """
    with working(out, "Comparing what was promised with what is there"):
        rows = read_students(cb, student_id)
    counts = totals(rows)
    if out.as_json:
        out.json({"totals": counts, "students": rows})
    else:
        _print_students(out, rows, show_all=show_all)
        _print_totals(out, counts)
    return PROBLEMS if counts["missing"] or counts["invalid"] else OK


def _dates(rows: Sequence[Row], count: int) -> str:
    said = [f"{row['date']} {row['start_time']}" for row in rows[:DATES]]
    more = count - len(said)
    return ", ".join(said) + (f" and {more} more" if more > 0 else "")


def _width(rows: Sequence[Row]) -> int:
    return min(max((len(row["student_name"]) for row in rows), default=0), 40)


def _line(row: Row, width: int) -> str:
    message = row["message"]
    if row["status"] == "missing":
        message += ": " + _dates(row["missing_dates"], row["missing"])
    return _marked(row["status"], row["student_name"].ljust(width), message)


def _marked(status: str, name: str, message: str, why: str = "") -> str:
    said = f"{MARKS[status]} [bold]{escape(name)}[/bold]  [{COLOURS[status]}]{escape(message)}[/]"
    return f"{said}: {escape(why)}" if why else said


def _print_students(out: Output, rows: Sequence[Row], *, show_all: bool) -> None:
    if not rows:
        out.text("There are no students yet.")
        return
    wrong = [row for status in ("invalid", "missing") for row in rows if row["status"] == status]
    listed = list(rows) if show_all or len(rows) <= FEW else wrong
    shown = listed if show_all else listed[: max(LINES, FEW)]
    width = _width(shown)
    for row in shown:
        out.stdout.print(_line(row, width), soft_wrap=True)
    left_out = [(len(listed) - len(shown), "more who are not")] if len(listed) > len(shown) else []
    if len(listed) < len(rows):
        left_out.append((len(rows) - len(listed), "who are fine"))
    if left_out:
        said = " and ".join(f"{count:,} {what}" for count, what in left_out)
        out.stdout.print(f"[dim]   … {said}: --all lists everybody[/dim]")


def _print_totals(out: Output, counts: Mapping[str, int]) -> None:
    if not counts["students"]:
        return
    parts = [
        f"{MARKS['valid']} [green]{counts['valid']:,} valid[/green]",
        f"{MARKS['missing']} [yellow]{counts['missing']:,} missing classes[/yellow]",
        f"{MARKS['invalid']} [red]{counts['invalid']:,} invalid[/red]",
    ]
    out.stdout.print(f"\n{'   '.join(parts)}")
    out.stdout.print(
        f"[bold]{counted(counts['students'], 'student')}[/bold], [bold]{counted(counts['classes'], 'class')}[/bold]; "
        f"[bold]{counts['missing_classes']:,}[/bold] missing."
    )
    if counts["missing_classes"]:
        out.notice("next:  `classbase tracking fix` makes what is missing; with --dry-run it says what that is.")
    if counts["invalid"]:
        out.notice("next:  correct the data of those who are invalid; docs/runbook.md says how.")


def fix_page(
    out: Output, cb: Classbase, student_id: UUID | None = None, *, dry_run: bool = False, yes: bool = False
) -> int:
    """Makes the classes that are missing, after asking, and says for whom how many, and who was left out and why.

    Args:
        out: where to; with `--json` one document.
        cb: the backend.
        student_id: this student only.
        dry_run: only say what would be made.
        yes: do not ask.

    Returns:
        The exit code: 1 when something is missing still (with `dry_run`, at all), or data is invalid.
    """
    with working(out, "Comparing what was promised with what is there"):
        rows = read_students(cb, student_id)
    lacking = [row for row in rows if row["missing"]]
    invalid = [row for row in rows if row["status"] == "invalid"]
    if dry_run or not lacking:
        if out.as_json:
            out.json({"dry_run": dry_run, "totals": totals(rows), "would_create": lacking, "invalid": invalid})
        else:
            _print_plan(out, lacking)
            _print_invalid(out, invalid)
        return PROBLEMS if lacking or invalid else OK
    if not out.as_json:
        _print_plan(out, lacking)
    missing = sum(row["missing"] for row in lacking)
    out.confirm(f"Make {counted(missing, 'class')} of {counted(len(lacking), 'student')}?", yes=yes)
    with working(out, f"Making {counted(missing, 'class')}"):
        logs = generate_missing(cb, student_id)
    names = {str(row["student_id"]): row["student_name"] for row in rows}
    done = [{**log, "student_name": names.get(str(log["student_id"]), "")} for log in logs if log["student_id"]]
    created = sum(log["classes_created"] for log in done)
    left_out = [log for log in done if log["status"] in ("partial", "failed")]
    if out.as_json:
        out.json({"dry_run": False, "created": created, "students": done, "invalid": invalid})
    else:
        _print_done(out, done, created)
        _print_invalid(out, invalid)
    return PROBLEMS if left_out or invalid else OK


def generate_missing(cb: Classbase, student_id: UUID | None = None) -> list[dict[str, Any]]:
    """Makes what is missing, of all students or of one; what was logged, a row a student and one of the run."""
    try:
        return [row.model_dump() for row in cb.tracking.generate_missing_classes(student_id=student_id)]
    except LimitExceeded:
        # It was done, for more students than REST answers rows: the logs have them all.
        runs = read_rows(
            cb,
            "class_generation_logs",
            ["id", "run_id"],
            [("operation", "eq", "backfill"), ("student_id", "null", None)],
        )
        columns = ["id", "student_id", "status", "message", "classes_created", "error_details"]
        return read_rows(cb, "class_generation_logs", columns, [("run_id", "eq", runs[-1]["run_id"])])


def counted(count: int, thing: str) -> str:
    """So many of something, in words: 1 class, 2,000 students."""
    plural = thing + ("es" if thing.endswith("s") else "s")
    return f"{count:,} {thing if count == 1 else plural}"


def print_lines(out: Output, rows: Sequence[Row], *, show_all: bool) -> None:
    """One line a student, and the totals: what `classbase diagnose tracking` shows above its findings."""
    _print_students(out, rows, show_all=show_all)
    _print_totals(out, totals(rows))


def mended(before: Sequence[Row], after: Sequence[Row]) -> list[dict[str, Any]]:
    """For each student who missed classes: how many of them are there now, and which are missing still."""
    now = {row["student_id"]: row for row in after}
    return [
        {
            "student_id": row["student_id"],
            "student_name": row["student_name"],
            "created": row["missing"] - now[row["student_id"]]["missing"],
            "still_missing": now[row["student_id"]]["missing"],
            "missing_dates": now[row["student_id"]]["missing_dates"],
        }
        for row in before
        if row["missing"] and row["student_id"] in now
    ]


def print_mended(out: Output, rows: Sequence[Row]) -> None:
    """One line for each student who missed classes, and how many were made in all."""
    for row in rows[:LINES]:
        said = f"{counted(row['created'], 'class')} made"
        if row["still_missing"]:
            said += f", {row['still_missing']:,} still missing: {_dates(row['missing_dates'], row['still_missing'])}"
        out.stdout.print(
            _marked("missing" if row["still_missing"] else "valid", row["student_name"], said), soft_wrap=True
        )
    if len(rows) > LINES:
        out.stdout.print(f"[dim]   … and {len(rows) - LINES:,} more[/dim]")
    out.text(f"{counted(sum(row['created'] for row in rows), 'class')} made for {counted(len(rows), 'student')}.")


def _print_plan(out: Output, lacking: Sequence[Row]) -> None:
    if not lacking:
        out.stdout.print("[bold green]No class is missing.[/bold green]")
        return
    width = _width(lacking[:LINES])
    for row in lacking[:LINES]:
        message = f"{counted(row['missing'], 'class')} to be made"
        dates = _dates(row["missing_dates"], row["missing"])
        out.stdout.print(_marked("missing", row["student_name"].ljust(width), message, dates), soft_wrap=True)
    if len(lacking) > LINES:
        out.text(f"   … and {counted(len(lacking) - LINES, 'more student')}.")
    missing = sum(row["missing"] for row in lacking)
    out.stdout.print(
        f"\n[bold]{counted(missing, 'class')}[/bold] of {counted(len(lacking), 'student')} missing.", soft_wrap=True
    )


def reasons(log: Row) -> list[str]:
    """Why classes of a student were left out, in sentences, each once with how many times."""
    details = log["error_details"] or {}
    if log["status"] == "failed":
        return [str(details.get("message") or log["message"])]
    counts = Counter(row["detail"] or row["reason"] for row in details.get("not_possible") or ())
    return [f"{reason}{f' ({count} times)' if count > 1 else ''}" for reason, count in counts.items()]


def _print_done(out: Output, done: Sequence[Row], created: int) -> None:
    made = [log for log in done if log["classes_created"]]
    left_out = [log for log in done if log["status"] in ("partial", "failed")]
    for log in made[:LINES]:
        count = log["classes_created"]
        out.stdout.print(_marked("valid", log["student_name"], f"{count} created"), soft_wrap=True)
    if len(made) > LINES:
        out.text(f"   … and {counted(len(made) - LINES, 'more student')}.")
    for log in left_out[:LINES]:
        status = "invalid" if log["status"] == "failed" else "missing"
        why = reasons(log)
        said = "; ".join(why[:DATES]) + (f"; and {len(why) - DATES} more" if len(why) > DATES else "")
        out.stdout.print(_marked(status, log["student_name"], log["message"], said), soft_wrap=True)
    if len(left_out) > LINES:
        out.text(f"   … and {counted(len(left_out) - LINES, 'more student')}.")
    out.stdout.print(
        f"\n[bold]{counted(created, 'class')}[/bold] created for {counted(len(made), 'student')}; "
        f"{counted(len(left_out), 'student')} could not have all of theirs.",
        soft_wrap=True,
    )


def _print_invalid(out: Output, invalid: Sequence[Row]) -> None:
    width = _width(invalid[:LINES])
    for row in invalid[:LINES]:
        out.stdout.print(_line(row, width), soft_wrap=True)
    if invalid:
        out.text(
            f"{counted(len(invalid), 'student')} with data that no class can be made from: a person has to correct it."
        )
