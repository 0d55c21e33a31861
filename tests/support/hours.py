"""Hours as tests state them, and the day it is."""

from __future__ import annotations

from datetime import date
from typing import Any, cast

import psycopg
from psycopg.types.json import Jsonb

from tests.support.calls import call
from tests.support.identity import User

Db = psycopg.Connection[Any]


def state(db: Db, caller: User | str | None, resource: Any, hours: Any, **more: Any) -> list[dict[str, Any]]:
    return call(db, caller, "set_availability", p_resource_id=resource, p_hours=Jsonb(hours), **more)


def today(db: Db) -> date:
    row = db.execute("select private.today()").fetchone()
    assert row is not None
    return cast(date, row[0])
