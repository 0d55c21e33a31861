"""The time ledger in tests: people, places and happenings made in a line, faults looked for, guards taken away."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from itertools import count
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from tests.support.calls import Refusal, read_refusal
from tests.support.server import Database
from tests.support.waiting import is_blocked, until

Connection = psycopg.Connection[Any]
Change = Callable[[Connection], Any]

FAULTS = """
select problem || ' claim', title || ' on ' || occurs_on from private.ledger_difference()
union all
select 'overlap', a.title || ' and ' || b.title
from public.claims a
join public.claims b on b.resource_id = a.resource_id and b.during && a.during and b.share_key <> a.share_key
where (a.source_id, a.occurs_on) < (b.source_id, b.occurs_on)
union all
select 'rules meet', m.resource_name || ' in ' || m.with_title
from public.weekly_rules r
cross join lateral private.rules_that_meet(array[r.id]) m
union all
select 'two takers', r.title || ' on ' || m.occurs_on
from public.meetings m
join public.weekly_rules r on r.id = m.rule_id
left join public.weekly_rule_exceptions e on e.rule_id = m.rule_id and e.occurs_on = m.occurs_on and e.taken_by_id = m.id
where e.rule_id is null
union all
select 'two groups', m.source_id::text
from public.override_members m
group by m.source_id, m.source_table
having count(*) > 1
"""

# Guards as somebody might have left them out. Each is SQL that replaces a function of ours.
NO_RESOURCE_LOCKS = (
    "create or replace function private.lock_resources(p_ids uuid[]) returns void language sql as 'select'"
)
NO_SOURCE_LOCKS = (
    "create or replace function private.lock_sources(p_source_table text, p_ids uuid[]) returns void "
    "language sql as 'select'"
)
NO_MEMBERSHIP_LOCKS = (
    "create or replace function private.lock_memberships(p_source_table text, p_ids uuid[]) returns void "
    "language sql as 'select'"
)


class Ledger:
    """A database with a ledger, written as the owner. Names are numbered, so that no two are the same.

    `day` is an ordinary day well inside the horizon: a Wednesday some weeks ahead.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.db = database.connect()
        self._observer = database.connect(admin=True)
        self._numbers = count(1)
        soon = self.one("select private.today() + 30")
        self.day: date = soon + timedelta(days=(2 - soon.weekday()) % 7)

    def one(self, statement: str, *arguments: Any) -> Any:
        """The first value of the first row."""
        row = self.db.execute(statement.encode(), arguments).fetchone()
        assert row is not None
        return row[0]

    def place(self, name: str | None = None) -> UUID:
        """A new place; gives its resource's id."""
        place: UUID = self.one(
            "insert into public.locations (name) values (%s) returning id", name or f"Room {next(self._numbers)}"
        )
        return place

    def places(self, how_many: int) -> list[UUID]:
        """New places, in the order in which resources are locked."""
        return sorted(self.place() for _ in range(how_many))

    def person(self, name: str | None = None) -> UUID:
        """A new person without a login; gives their resource's id."""
        person: UUID = self.one(
            "insert into public.user_profiles (full_name) values (%s) returning id",
            name or f"Ann {next(self._numbers)}",
        )
        return person

    def meeting(self, title: str, *who: UUID | None, by: Connection | None = None, **columns: Any) -> UUID:
        """A meeting with its participants, on `day` from 9 to 10 unless told otherwise, over the plain tables."""
        connection = by or self.db
        values = {"title": title, "date": self.day, "start_time": "09:00", "end_time": "10:00", **columns}
        row = connection.execute(
            sql.SQL("insert into public.meetings ({}) values ({}) returning id").format(
                sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(map(sql.Literal, values.values()))
            )
        ).fetchone()
        assert row is not None
        if who:
            add_participants(connection, row[0], *who)
        meeting: UUID = row[0]
        return meeting

    def rule(self, title: str, *who: UUID, by: Connection | None = None, **columns: Any) -> UUID:
        """A weekly rule from `day` on without end, on its weekday from 9 to 10 UTC unless told otherwise."""
        connection = by or self.db
        values = {
            "title": title, "weekday": self.day.isoweekday() % 7, "start_time": "09:00", "end_time": "10:00",
            "time_zone": "UTC", "effective": f"[{self.day},)", **columns,
        }  # fmt: skip
        row = connection.execute(
            sql.SQL("insert into public.weekly_rules ({}) values ({}) returning id").format(
                sql.SQL(", ").join(map(sql.Identifier, values)), sql.SQL(", ").join(map(sql.Literal, values.values()))
            )
        ).fetchone()
        assert row is not None
        if who:
            connection.execute(
                "insert into public.weekly_rule_resources (rule_id, resource_id) select %s, u from unnest(%s::uuid[]) u",
                [row[0], list(who)],
            )
        rule: UUID = row[0]
        return rule

    def override(self, *members: UUID, table: str = "meetings", by: Connection | None = None, **more: Any) -> UUID:
        """An override group of happenings of one table, granted over the public function."""
        named = Jsonb([{"source_table": table, "source_id": str(member)} for member in members])
        row = (
            (by or self.db)
            .execute("select id from public.grant_override(%s, 'Cross-listed', %s)", [named, more.get("expires_at")])
            .fetchone()
        )
        assert row is not None
        override: UUID = row[0]
        return override

    def horizon(self, resource: UUID) -> Any:
        """Until when a resource can be booked."""
        return self.one("select claimed_until from public.resource_horizons where resource_id = %s", resource)

    def claims_of(self, happening: UUID) -> list[tuple[Any, ...]]:
        """The claims of one happening: resource, start, end, in order."""
        return self.db.execute(
            "select resource_id, lower(during), upper(during) from public.claims where source_id = %s order by 2, 1",
            [happening],
        ).fetchall()

    def faults(self) -> list[tuple[str, str]]:
        """Everything that is not as the ledger promises: kind and where."""
        return self.db.execute(FAULTS).fetchall()

    def weaken(self, *statements: str) -> None:
        """Replaces guards by what somebody might have written instead."""
        for statement in statements:
            self.db.execute(statement.encode())

    def rewrite(self, function: str, old: str, new: str) -> None:
        """Replaces a part of a function's text; fails when that part is not there."""
        definition = self.one("select pg_get_functiondef(%s::regprocedure)", function)
        assert old in definition, f"{function} no longer says: {old}"
        self.db.execute(definition.replace(old, new).encode())

    def attempt(self, change: Change) -> Outcome:
        """One transaction by itself."""
        return self.collide(lambda by: None, change)

    def collide(self, first: Change, second: Change) -> Outcome:
        """Two transactions: `first` has done its work and holds on; `second` starts; then first commits.

        First commits once second is seen to wait, or is done.
        """
        return self.pile_up(first, second)[0]

    def pile_up(self, first: Change, *others: Change, gives_up: bool = False) -> list[Outcome]:
        """Like `collide`, with several others: each starts once the one before is seen to wait, or is done.

        `gives_up`: the first rolls back instead of committing.
        """
        holder = self.database.connect(autocommit=False)
        holder.execute("select")  # a transaction of our own, whatever blocks `first` opens in it
        first(holder)
        waiters = [self.database.connect(autocommit=False) for _ in others]

        def run(change: Change, by: Connection) -> None:
            with by.transaction():
                change(by)

        with ThreadPoolExecutor(len(others)) as pool:
            running = []
            for change, by in zip(others, waiters, strict=True):
                running.append(pool.submit(run, change, by))
                until(partial(self._has_stopped, running[-1], by), "the other's end or wait")
            waited = [not one.done() for one in running]
            (holder.rollback if gives_up else holder.commit)()
            errors = [one.exception() for one in running]
        for error in errors:
            if error is not None and not isinstance(error, psycopg.Error):
                raise error
        return [Outcome(was, error) for was, error in zip(waited, errors, strict=True)]

    def _has_stopped(self, running: Future[None], by: Connection) -> bool:
        return running.done() or is_blocked(self._observer, by)


@dataclass(frozen=True)
class Outcome:
    """What became of the second of two transactions: whether it was seen to wait, and what refused it."""

    waited: bool
    error: BaseException | None

    @property
    def refusal(self) -> Refusal:
        """What refused the second; fails the test when it went through, or failed otherwise."""
        assert isinstance(self.error, psycopg.Error), "it was not refused"
        return read_refusal(self.error)

    @property
    def code(self) -> str | None:
        """The code of the refusal (or the SQLSTATE of another error); None when it went through."""
        if not isinstance(self.error, psycopg.Error):
            return None
        return self.refusal.code if self.error.sqlstate == "PGRST" else self.error.sqlstate


def add_participants(connection: Connection, meeting: UUID, *who: UUID | None) -> None:
    """Adds participants to a meeting in one statement."""
    connection.execute(
        "insert into public.meeting_participants (meeting_id, resource_id) select %s, u from unnest(%s::uuid[]) u",
        [meeting, list(who)],
    )
