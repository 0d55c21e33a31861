"""Importing meetings as the tests do."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from tests.support.calls import call
from tests.support.identity import User
from tests.support.timetables import lesson

Connection = psycopg.Connection[Any]


Report = dict[str, Any]


def run(
    db: Connection, rows: Any, on_conflict: str = "refuse", caller: User | str | None = None, **more: Any
) -> Report:
    arguments = {"p_time_zone": "America/New_York", "p_on_conflict": on_conflict, **more}
    [answer] = call(db, caller, "import_meetings", p_rows=Jsonb(rows), **arguments)
    report: Report = answer["import_meetings"]
    return report


def count(db: Connection, table: str) -> int:
    row = db.execute(f"select count(*) from public.{table}").fetchone()
    assert row is not None
    return int(row[0])


# Three sections in one room, the second overlapping both others; a fourth with the first one's teacher.
CHAIN = [
    lesson("1", "Room A", "Ann", "09:00-10:00"),
    lesson("2", "Room A", "Bo", "09:30-10:30"),
    lesson("3", "Room A", "Cy", "10:00-11:00"),
    lesson("4", "Room B", "Ann", "09:00-09:30"),
]


TABLES = (
    "meetings",
    "meeting_participants",
    "claims",
    "resources",
    "user_profiles",
    "locations",
    "overrides",
    "override_members",
)


def contents(db: Connection) -> dict[str, int]:
    return {table: count(db, table) for table in TABLES}
