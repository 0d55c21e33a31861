"""Asking for time off, deciding about it, and what it is in the way of."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

import psycopg

from tests.support.calls import call
from tests.support.identity import User

Db = psycopg.Connection[Any]


Row = dict[str, Any]


def request(db: Db, caller: User | str | None, resource: Any, day: date | str, **more: Any) -> list[Row]:
    return call(db, caller, "request_time_off", p_resource_id=resource, p_starts_on=day, **more)


def decide(db: Db, caller: User | str | None, time_off: Any, decision: str = "approved", **more: Any) -> list[Row]:
    return call(db, caller, "decide_time_off", p_id=time_off, p_decision=decision, **more)


def cancel(db: Db, caller: User | str | None, time_off: Any, **more: Any) -> list[Row]:
    return call(db, caller, "cancel_time_off", p_id=time_off, **more)


def status_of(db: Db, time_off: Any) -> str:
    row = db.execute("select status from public.time_off where id = %s", [time_off]).fetchone()
    assert row is not None
    return str(row[0])


def covers(db: Db) -> list[tuple[str, date, str]]:
    return db.execute(
        "select source_table, occurs_on, status from public.cover_requests order by occurs_on, source_table, status"
    ).fetchall()


def meet(db: Db, resources: list[Any], day: date, title: str = "Lesson") -> UUID:
    [row] = call(
        db, None, "schedule_meeting", p_title=title, p_date=day, p_start_time="10:00", p_end_time="11:00",
        p_resource_ids=resources,
    )  # fmt: skip
    return UUID(str(row["id"]))
