"""The steps of the administrator's routine: what each looks at, what it says, and what it proposes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Literal

from classbase.cli.checks import SEVERITIES, each_in_turn
from classbase.cli.choosing import choose_zone
from classbase.cli.output import Output
from classbase.cli.reading import read_rows
from classbase.cli.tracking_page import counted, generate_missing, read_students, totals
from classbase.client import Classbase
from classbase.errors import LimitExceeded

Period = Literal["daily", "weekly", "monthly"]
DAYS: Mapping[Period, int] = {"daily": 1, "weekly": 7, "monthly": 30}
GRAVE = ("critical", "error", "warning")
# Found by checks as well, but told by the step after, and mended by a command of their own, which says more.
_OWN_COMMAND = frozenset({"students_missing_classes", "classes_duplicated", "class_keys_missing", "generation_late"})
# From so much growth on, in percent and bytes, a table is worth a look.
_GREW = 0.5
_LARGE = 10 * 1024**2


@dataclass(frozen=True)
class Proposal:
    """Something to be done, with the command that does it; `apply` is that, or None where a person has to decide."""

    why: str
    command: str
    apply: Callable[[], object] | None = None


@dataclass
class Step:
    """What one step found. `rows` is a table, `figures` names and values; a step without `problems` is fine."""

    name: str
    title: str
    figures: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)


@dataclass
class Found:
    """What a check found: how many, how grave, the first in words, and whether there is a repair."""

    count: int
    severity: str
    first: str
    can_be_fixed: bool


@dataclass
class Walk:
    """A walk through the steps: the backend, whose routine, where progress goes, and what the checks found."""

    cb: Classbase
    period: Period
    out: Output
    found: dict[str, Found] = field(default_factory=dict)


def steps_of(period: Period) -> list[tuple[str, Callable[[Walk], Step]]]:
    """The steps of a routine, in order, each with what it does, in words."""
    steps: list[tuple[str, Callable[[Walk], Step]]] = [
        ("", check),
        ("Comparing students with their classes", students),
        ("Adding up", figures),
    ]
    if period != "daily":
        steps.append(("Measuring tables", sizes))
    if period == "monthly":
        steps.append(("Looking at access", access))
    return steps


def check(walk: Walk) -> Step:
    """All integrity checks, one by one; what they find that no later step looks at."""
    cb, found = walk.cb, walk.found
    columns = ["check_name", "severity", "fix_description"]
    checks = read_rows(cb, "check_overview", columns, [("is_active", "eq", True)], order="check_name")
    run_id = cb.operations.start_diagnostics()
    with each_in_turn(walk.out, "Checking", len(checks)) as turn:
        for one_check in checks:
            turn(one_check["check_name"])
            _run(cb, one_check, run_id, found)
        turn(None)
    step = Step("checks", "Checks")
    by_severity = Counter(dict.fromkeys((*GRAVE, "info"), 0))
    for one in found.values():
        by_severity[one.severity] += one.count
    step.figures = dict(by_severity)
    in_order = sorted(found.items(), key=lambda item: (SEVERITIES.index(item[1].severity), item[0]))
    step.rows = [
        {"check": name, "severity": one.severity, "found": one.count, "first": one.first} for name, one in in_order
    ]
    step.problems = [
        f"{name}: {one.count} found" for name, one in in_order if one.severity in GRAVE and name not in _OWN_COMMAND
    ]
    mended = [name for name, one in in_order if one.can_be_fixed and name not in _OWN_COMMAND]
    if mended:
        findings = counted(sum(found[name].count for name in mended), "finding")
        why = f"{findings} with a repair: {', '.join(mended)}"
        step.proposals.append(
            Proposal(why, f"classbase fix {' '.join(mended)}", lambda: cb.operations.apply_fixes(checks=mended))
        )
    for name, one in in_order:
        if not one.can_be_fixed and one.severity in GRAVE:
            why = f"{name}: a person has to decide about {counted(one.count, 'finding')}"
            step.proposals.append(Proposal(why, f"classbase diagnose {name}"))
    return step


def _run(cb: Classbase, check: Mapping[str, Any], run_id: int | None, found: dict[str, Found]) -> None:
    name = check["check_name"]
    try:
        for row in cb.operations.run_diagnostics(checks=[name], run_id=run_id):
            # What cannot be run is a finding of another name.
            one = found.setdefault(row.check_name or name, Found(0, row.severity or "error", row.message or "", False))
            one.count += 1
            one.can_be_fixed = one.can_be_fixed or bool(row.can_be_fixed)
    except LimitExceeded as more:
        # More than REST answers rows: it ran, and is kept; only how many there are is known here.
        total = int(more.context.get("total", 1))
        found[name] = Found(total, check["severity"], f"{total:,} findings", bool(check["fix_description"]))


def students(walk: Walk) -> Step:
    """Students whose classes are not all there, duplicates, and whether the weekly run came."""
    cb = walk.cb
    step = Step("students", "Students and their classes")
    rows = read_students(cb)
    counts = totals(rows)
    copies = sum(len(row.duplicate_ids or ()) for row in cb.tracking.check_duplicate_classes())
    late = walk.found.get("generation_late")
    lost = "class_keys_missing" in walk.found
    step.figures = {
        "students": counts["students"],
        "with_all_their_classes": counts["valid"],
        "with_missing_classes": counts["missing"],
        "with_invalid_data": counts["invalid"],
        "missing_classes": counts["missing_classes"],
        "duplicate_classes": copies,
    }
    if copies or lost:
        why = (
            f"{counted(copies, 'class')} too many"
            if copies
            else "keys that keep classes from being there twice are lost"
        )
        step.problems.append(why)
        step.proposals.append(
            Proposal(why, "classbase tracking duplicates --remove", cb.operations.remove_duplicate_classes)
        )
    # What is late is missing too: the run makes all of it.
    if late:
        step.problems.append(late.first)
        step.proposals.append(Proposal(late.first, "classbase tracking generate", cb.tracking.generate_weekly_classes))
    if counts["missing_classes"]:
        missing = counted(counts["missing_classes"], "class")
        why = f"{missing} of {counted(sum(1 for row in rows if row['missing']), 'student')} missing"
        step.problems.append(why)
        step.proposals.append(Proposal(why, "classbase tracking fix", lambda: generate_missing(cb)))
    if counts["invalid"]:
        why = f"{counted(counts['invalid'], 'student')} with data that no class can be made from"
        step.problems.append(why)
        step.proposals.append(Proposal(why, "classbase tracking diagnose"))
    return step


def figures(walk: Walk) -> Step:
    """What was made, of whom, and what went wrong, in the days of the period."""
    cb, days = walk.cb, DAYS[walk.period]
    zone = choose_zone(cb, None)
    today = datetime.now(zone).date()
    first = today - timedelta(days=days - 1)
    numbers: Any = cb.tracking.class_statistics(from_=first, to=today)
    runs = numbers["generation"]
    since = datetime.combine(first, time(), zone)
    removed = read_rows(
        cb, "fix_runs", ["id", "fixed"], [("check_name", "eq", "classes_duplicated"), ("applied_at", "gte", since)]
    )
    step = Step("figures", "Today" if days == 1 else f"The last {days} days")
    step.figures = {
        "classes_created_today": numbers["created"]["today"],
        "classes_generated": runs["classes_created"],
        "students_processed": runs["students_processed"],
        "runs": runs["runs"],
        "failed_for_students": runs["failures"],
        "not_all_possible_for_students": runs["partial"],
        "average_run_ms": runs["average_duration_ms"],
        "duplicates_removed": sum(row["fixed"] for row in removed),
        "new_students": numbers["students"]["new"],
    }
    return step


def sizes(walk: Walk) -> Step:
    """The largest tables, and how much they grew since they were last measured."""
    rows = [row.model_dump() for row in walk.cb.operations.table_sizes()]
    step = Step("sizes", "The largest tables")
    step.figures = {
        "tables": len(rows),
        "bytes": sum(row["total_bytes"] for row in rows),
        "bytes_before": sum(row["bytes_before"] for row in rows if row["bytes_before"] is not None) or None,
    }
    step.rows = [
        {
            "table": row["table_name"],
            "rows": row["row_estimate"],
            "table_size": size(row["table_bytes"]),
            "indexes": size(row["index_bytes"]),
            "growth": growth(row["total_bytes"], row["bytes_before"], row["measured_on"]),
        }
        for row in rows[:10]
    ]
    for row in rows:
        before = row["bytes_before"]
        if before and row["total_bytes"] > _LARGE and row["total_bytes"] > before * (1 + _GREW):
            why = (
                f"{row['table_name']} grew from {size(before)} to {size(row['total_bytes'])} since {row['measured_on']}"
            )
            step.proposals.append(Proposal(why, "classbase diagnose operations"))
    return step


def access(walk: Walk) -> Step:
    """Tables without row level security, and those that are granted without a policy that lets anybody in."""
    rows = [row.model_dump() for row in walk.cb.operations.access_overview()]
    step = Step("access", "Access")
    step.figures = {
        "tables": len(rows),
        "protected_by_row_level_security": sum(1 for row in rows if row["is_protected"]),
        "policies": sum(row["policies"] for row in rows),
        "for_anybody": sum(1 for row in rows if "anon" in row["granted_to"]),
    }
    odd = [row for row in rows if not row["is_protected"] or (row["granted_to"] and not row["policies"])]
    step.rows = [
        {
            "table": row["table_name"],
            "row_level_security": row["is_protected"],
            "policies": row["policies"],
            "granted_to": row["granted_to"],
        }
        for row in odd
    ]
    for row in odd:
        if not row["is_protected"] and row["granted_to"]:
            why = f"{row['table_name']} has no row level security and is open to {', '.join(row['granted_to'])}"
            step.problems.append(why)
            step.proposals.append(Proposal(why, "classbase diagnose operations"))
    return step


def size(count: int) -> str:
    """Bytes as people read them."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"


def growth(now: int, before: int | None, since: date | None) -> str:
    """How much something grew since a day, in words; nothing where it was not measured."""
    if before is None or since is None:
        return ""
    if now == before:
        return f"none since {since}"
    sign = "+" if now > before else "−"
    return f"{sign}{size(abs(now - before))} since {since}"


def problems_of(steps: Sequence[Step]) -> int:
    """How many problems they found together."""
    return sum(len(step.problems) for step in steps)
