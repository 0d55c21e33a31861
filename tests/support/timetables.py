"""Timetables as rows, and what plain Python makes of them: no SQL here, so that it can disagree with the database."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

COLLEGE = Path(__file__).parents[2] / "../shared/data/college_fall_2018.csv"
COLLEGE_ZONE = "America/New_York"
COLUMNS = (
    "crn", "course", "section", "title", "instructor", "location", "date", "start_time", "end_time", "capacity", "enrolled"
)  # fmt: skip

Row = Mapping[str, Any]


def college() -> list[dict[str, Any]]:
    """The college's rows, each with the line it stands on."""
    with COLLEGE.open(encoding="utf-8-sig", newline="") as file:
        return [{**row, "line": number} for number, row in enumerate(csv.DictReader(file), 2)]


def lesson(
    crn: str = "1", place: str = "", person: str = "", times: str = "09:00-10:00", **columns: Any
) -> dict[str, Any]:
    """One row: a meeting of a section on the first of October 2018 (a Monday) unless told otherwise."""
    start, _, end = times.partition("-")
    return {
        "crn": crn, "course": f"C {crn}", "section": "01", "title": f"Course {crn}", "instructor": person, "location": place,
        "date": "2018-10-01", "start_time": start, "end_time": end, "capacity": "10", "enrolled": "8", **columns,
    }  # fmt: skip


def uses(row: Row) -> Iterator[tuple[str, str]]:
    """Who and where: ("person" or "place", name) for each that there is."""
    for kind, column in (("person", "instructor"), ("place", "location")):
        name = str(row[column]).strip()
        if name and name != "BY ARR":
            yield kind, name.lower()


def at_once(one: Row, other: Row) -> bool:
    """Whether two rows overlap; one ending when the other begins is no overlap. Times are written like 09:30."""
    return bool(
        one["date"] == other["date"] and one["start_time"] < other["end_time"] and other["start_time"] < one["end_time"]
    )


def is_one_section(one: Row, other: Row) -> bool:
    """Whether two rows are of one section."""
    return bool(one["crn"] and one["crn"] == other["crn"])


@dataclass(frozen=True)
class Pair:
    """Two rows, by number from 0, that use one person or place at once."""

    kind: str
    earlier: int
    later: int
    one_section: bool


def overlapping(rows: Sequence[Row]) -> Iterator[Pair]:
    """Every two rows that use one person or place at once."""
    used: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        for kind, name in uses(row):
            used[kind, name, row["date"]].append(number)
    for (kind, _, _), numbers in used.items():
        for earlier, later in combinations(numbers, 2):
            if at_once(rows[earlier], rows[later]):
                yield Pair(kind, earlier, later, is_one_section(rows[earlier], rows[later]))


def counted(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """What a report says under "overlaps"."""
    meetings: dict[str, int] = {"place": 0, "person": 0}
    pairs: dict[str, set[frozenset[str]]] = {"place": set(), "person": set()}
    for pair in overlapping(rows):
        if not pair.one_section:
            meetings[pair.kind] += 1
            pairs[pair.kind].add(
                frozenset(rows[number]["crn"] or f"row {number}" for number in (pair.earlier, pair.later))
            )
    return {kind: {"meetings": meetings[kind], "pairs": len(pairs[kind])} for kind in meetings}


def said(row: Row) -> tuple[Any, ...]:
    """What makes two rows say the same."""
    texts = (row["crn"], row["title"], row["date"], row["start_time"], row["end_time"])
    return (*texts, frozenset(uses(row)))


def first_come(rows: Sequence[Row], standing: Sequence[Row] = ()) -> list[int]:
    """The numbers of the rows that are imported when each is taken if it clashes with nothing that is there."""
    taken: list[Row] = list(standing)
    imported, known = [], set()
    for number, row in enumerate(rows):
        if said(row) in known:
            continue
        known.add(said(row))
        if not any(at_once(row, other) and shared(row, other) and not is_one_section(row, other) for other in taken):
            taken.append(row)
            imported.append(number)
    return imported


def shared(one: Row, other: Row) -> set[tuple[str, str]]:
    """The people and places two rows have in common."""
    return set(uses(one)) & set(uses(other))


def clusters(rows: Sequence[Row]) -> set[frozenset[int]]:
    """The sets of two and more rows that overlap, directly or through others."""
    together = {number: {number} for number in range(len(rows))}
    for pair in overlapping(rows):
        merged = together[pair.earlier] | together[pair.later]
        for number in merged:
            together[number] = merged
    return {frozenset(cluster) for cluster in together.values() if len(cluster) > 1}


def numbered(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Rows with titles of their own, so that each can be found again."""
    return [{**row, "title": f"Row {number}"} for number, row in enumerate(rows)]
