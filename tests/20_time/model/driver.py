"""The real ledger behind the model: a database at a stopped clock, written by its owner and by a signed-in manager."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg

from tests.support.calls import read_refusal
from tests.support.identity import as_user
from tests.support.server import Database
from tests.support.world import World

from .reference import DAY, Claim, When

# Within the three weeks that can be booked, Paris skips an hour (29 March) and Sydney has one twice (5 April).
START = datetime(2026, 3, 26, 12, tzinfo=UTC)
HORIZON_DAYS = 21

PERSON, ROOM, PROJECTOR = RESOURCES = tuple(UUID(int=0xA0 + number) for number in range(3))

Statement = tuple[str, list[Any]]


def clock(minute: int) -> str:
    """Minutes past midnight as SQL reads them; 24:00 is midnight of the next day."""
    return f"{minute // 60:02}:{minute % 60:02}"


def columns(when: When) -> list[Any]:
    """date, start_time, end_time, ends_on, time_zone of a meeting."""
    if when.end <= DAY:
        return [when.day, clock(when.start), clock(when.end), None, when.zone]
    return [when.day, clock(when.start), clock(when.end - DAY), when.day + timedelta(days=1), when.zone]


class Driver:
    """Runs changes, each its own transaction, and says what is claimed. `seen` counts the outcomes, by code."""

    def __init__(self, database: Database, *sabotage: str) -> None:
        self.db = database.connect()
        self.seen: Counter[str] = Counter()
        self.db.execute("update public.settings set value = %s where key = 'ledger_horizon_days'", [str(HORIZON_DAYS)])
        self.db.execute("insert into public.user_profiles (id, full_name) values (%s, 'Ann')", [PERSON])
        self.db.execute("insert into public.locations (id, name) values (%s, 'Room')", [ROOM])
        self.manager = World(self.db).user("manager")
        for statement in sabotage:
            self.db.execute(statement.encode())

    def begin(self) -> dict[UUID, datetime]:
        """Sets the clock back and makes the resources; gives their horizons."""
        self.set_clock(START)
        self.db.execute("delete from public.resources")
        self.db.execute(
            "insert into public.resources (id, kind, name, profile_id, location_id) "
            "values (%(person)s, 'person', 'Ann', %(person)s, null), (%(room)s, 'place', 'Room', null, %(room)s), "
            "(%(projector)s, 'equipment', 'Projector', null, null)",
            {"person": PERSON, "room": ROOM, "projector": PROJECTOR},
        )
        self.db.execute("select private.ensure_people(array[%s]::uuid[])", [self.manager.profile_id])
        return self.horizons()

    def end(self) -> None:
        """Deletes every happening, through the front door, and with it every claim."""
        for table in ("meetings", "weekly_rules", "overrides"):
            self.db.execute(f"delete from public.{table}".encode())
        assert self.claims() == [], "claims outlived their happenings"

    def set_clock(self, now: datetime) -> None:
        self.db.execute(
            "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
            f"return timestamptz '{now.isoformat()}'".encode()
        )

    def run(self, statements: Iterable[Statement], *, signed_in: bool) -> tuple[str | None, Any]:
        """One transaction. Gives the code it was refused with, and the first value of the last statement's first row."""
        acting: AbstractContextManager[Any] = as_user(self.db, self.manager) if signed_in else self.db.transaction()
        code, value = None, None
        try:
            with acting:
                for statement, arguments in statements:
                    cursor = self.db.execute(statement.encode(), arguments)
                    row = cursor.fetchone() if cursor.description else None
                    value = row[0] if row else None
        except psycopg.Error as error:
            code = read_refusal(error).code if error.sqlstate == "PGRST" else error.diag.constraint_name or str(error)
        self.seen[code or "accepted"] += 1
        return code, value

    def claims(self) -> list[Claim]:
        rows = self.db.execute(
            "select resource_id, lower(during), upper(during), source_table, source_id, occurs_on, "
            "(select o.id from public.overrides o where o.id = c.share_key) from public.claims c"
        )
        return [Claim(*row) for row in rows]

    def horizons(self) -> dict[UUID, datetime]:
        return dict(self.db.execute("select resource_id, claimed_until from public.resource_horizons").fetchall())

    def difference(self) -> list[tuple[str, str, date]]:
        """What the database itself finds wrong with its claims."""
        return self.db.execute("select problem, title, occurs_on from private.ledger_difference()").fetchall()

    def findings(self) -> set[tuple[str, str]]:
        """The checks that find something worse than worth knowing, and what they name."""
        rows = self.db.execute(
            "select check_name, entity_id from public.run_diagnostics(p_modules => '{time}') where severity <> 'info'"
        )
        return {(name, entity) for name, entity in rows.fetchall()}
