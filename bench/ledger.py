"""The time ledger: what its promise costs whoever writes, and whether looking things up stays flat as it grows.

A ledger of 10,000 claims is measured against one of 1,000,000 that is in every respect a hundred times as large: ten
times the people and places, ten times the weeks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from bench.support import Ratio, over_http, side_by_side, sign_in
from bench.timetable import Span, Timetable, make_timetable
from tests.support.server import TestServer

_FIND = "select * from public.find_conflicts(%s, %s, %s)"
_CALENDAR = "select * from public.calendar(%s, %s, %s)"
_SCAN = (
    "select resource_id, during, source_table, source_id, occurs_on, kind, title from public.claims"
    " where resource_id = any(%s) and during && tstzrange(%s, %s)"
)
# The same scan as a function, for whoever asks over HTTP: it passes by every policy.
_SCAN_FUNCTION = """
create function public.bare_scan(p_resource_ids uuid[], p_from timestamptz, p_to timestamptz)
returns table (
  resource_id uuid, during tstzrange, source_table text, source_id uuid, occurs_on date, kind text, title text
)
language sql stable security definer
begin atomic
  select c.resource_id, c.during, c.source_table, c.source_id, c.occurs_on, c.kind, c.title from public.claims c
  where c.resource_id = any(p_resource_ids) and c.during && tstzrange(p_from, p_to);
end;
grant execute on function public.bare_scan to authenticated;
"""
_SLOTS = "select * from public.free_slots(%s, %s, %s, interval '1 hour', p_respect_availability => false)"


class Ledgers:
    """The ledgers that are measured, each made when it is first asked for."""

    def __init__(self, server: TestServer) -> None:
        self.server = server

    @cached_property
    def small(self) -> Timetable:
        """10,000 claims."""
        return make_timetable(self.server, 50, 5)

    @cached_property
    def large(self) -> Timetable:
        """1,000,000 claims."""
        return make_timetable(self.server, 500, 50)


def notes(ledgers: Ledgers) -> Iterator[Ratio]:
    """A note on 33,000 meetings, which moves nobody: the ledger has to find that out."""
    timetable = ledgers.large
    with timetable.connect() as owner:
        ids = [row[0] for row in owner.execute("select id from public.meetings order by id limit 33000")]
        written = iter(range(1000))

        def update() -> None:
            owner.execute("update public.meetings set notes = %s where id = any(%s)", [f"Note {next(written)}", ids])

        def prepare(state: str) -> Callable[[], None]:
            def switch() -> None:
                _switch_triggers(owner, state)
                owner.execute("vacuum public.meetings")

            return switch

        yield side_by_side(
            "notes-only update of 33,000 meetings, 66,000 claims",
            update,
            "the same, ledger's triggers off",
            update,
            before_subject=prepare("enable"),
            before_reference=prepare("disable"),
            rounds=7,
            target=2.0,
        )
        _switch_triggers(owner, "enable")


def insert(ledgers: Ledgers) -> Iterator[Ratio]:
    """One meeting and its two participants, a transaction of a manager's."""
    timetable, batch = ledgers.large, 100
    taken = iter(range(100_000))
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
    with timetable.connect() as owner, timetable.connect() as connection:
        sign_in(connection, timetable.manager)

        def work() -> None:
            for _ in range(batch):
                number = next(taken)
                hour, pair = divmod(number, len(timetable.people))
                values = {"id": uuid4(), "day": tomorrow + timedelta(days=hour // 20), "start": f"{hour % 20:02}:00"}
                who = {"person": timetable.people[pair], "place": timetable.places[pair]}
                with connection.transaction():
                    connection.execute(
                        "insert into public.meetings (id, title, date, start_time, end_time) values"
                        " (%(id)s, 'Talk', %(day)s, %(start)s, %(start)s::time + interval '1 hour')",
                        values,
                    )
                    connection.execute(
                        "insert into public.meeting_participants (meeting_id, resource_id) values"
                        " (%(id)s, %(person)s), (%(id)s, %(place)s)",
                        values | who,
                    )

        yield side_by_side(
            "insert of a meeting with two participants",
            work,
            "the same, ledger's triggers off",
            work,
            before_subject=lambda: _switch_triggers(owner, "enable"),
            before_reference=lambda: _switch_triggers(owner, "disable"),
            rounds=9,
            calls=batch,
        )
        _switch_triggers(owner, "enable")


def find(ledgers: Ledgers) -> Iterator[Ratio]:
    """Who is free: hits and misses, warm, as a signed-in manager, on both ledgers."""
    batch = 200
    with _questions(ledgers.large, batch) as at_large, _questions(ledgers.small, batch) as at_small:
        yield side_by_side(
            "find_conflicts at 1,000,000 claims",
            at_large,
            "the same at 10,000",
            at_small,
            rounds=20,
            calls=batch,
            target=1.5,
        )


def rest(ledgers: Ledgers) -> Iterator[Ratio]:
    """The same question over HTTP, against the least that can be asked there."""
    timetable, batch = ledgers.large, 200
    with timetable.connect() as owner:
        ids = [row[0] for row in owner.execute("select id from public.meetings limit %s", [batch])]
    bodies = [_as_json(timetable.span(number)) for number in range(batch)]
    with _manager_over_http(timetable) as client:
        if client is None:
            return

        def ask() -> None:
            for body in bodies:
                client.post("/rpc/find_conflicts", json=body).raise_for_status()

        def read() -> None:
            for meeting_id in ids:
                client.get("/meetings", params={"id": f"eq.{meeting_id}"}).raise_for_status()

        yield side_by_side(
            "POST rpc/find_conflicts at 1,000,000 claims",
            ask,
            "GET meetings by primary key",
            read,
            rounds=12,
            calls=batch,
            target=1.3,
        )


def calendar(ledgers: Ledgers) -> Iterator[Ratio]:
    """A month of 200 people and places, against the barest reading of the claims it is made of."""
    timetable = ledgers.large
    resources = timetable.people[:100] + timetable.places[:100]
    since = timetable.since + timedelta(weeks=20)
    until = since + timedelta(days=30)
    with timetable.connect() as owner, timetable.connect() as connection:
        sign_in(connection, timetable.manager)
        yield side_by_side(
            "calendar: a month of 200 resources",
            lambda: connection.execute(_CALENDAR, [since, until, resources], prepare=True),
            "range scan of their claims",
            lambda: owner.execute(_SCAN, [resources, since, until], prepare=True),
            rounds=15,
            target=2.0,
        )
        owner.execute(_SCAN_FUNCTION)
    span = {"p_from": since.isoformat(), "p_to": until.isoformat(), "p_resource_ids": [str(r) for r in resources]}
    with _manager_over_http(timetable) as client:
        if client is not None:
            yield side_by_side(
                "calendar over HTTP: a month of 200 resources",
                lambda: client.post("/rpc/calendar", json=span).raise_for_status(),
                "range scan of their claims over HTTP, no policies",
                lambda: client.post("/rpc/bare_scan", json=span).raise_for_status(),
                rounds=15,
                target=2.0,
            )


def slots(ledgers: Ledgers) -> Iterator[Ratio]:
    """When five people are free together in four weeks, against reading their claims."""
    timetable, batch = ledgers.large, 10
    people = timetable.people[:5]
    since = timetable.since + timedelta(weeks=20)
    until = since + timedelta(weeks=4)
    with timetable.connect() as owner, timetable.connect() as connection:
        sign_in(connection, timetable.manager)

        def ask() -> None:
            for _ in range(batch):
                connection.execute(_SLOTS, [people, since, until], prepare=True)

        def scan() -> None:
            for _ in range(batch):
                owner.execute(_SCAN, [people, since, until], prepare=True)

        yield side_by_side(
            "free_slots: four weeks of five people", ask, "range scan of their claims", scan, rounds=10, calls=batch
        )


MEASURES: dict[str, Callable[[Ledgers], Iterator[Ratio]]] = {
    "notes": notes,
    "insert": insert,
    "find": find,
    "rest": rest,
    "calendar": calendar,
    "slots": slots,
}


def run(server: TestServer) -> Iterator[Ratio]:
    """Everything about the ledger, on one small and one large one."""
    ledgers = Ledgers(server)
    for measure in MEASURES.values():
        yield from measure(ledgers)


@contextmanager
def _questions(timetable: Timetable, count: int) -> Iterator[Callable[[], None]]:
    spans = [timetable.span(number) for number in range(count)]
    with timetable.connect() as connection:
        sign_in(connection, timetable.manager)

        def ask() -> None:
            for span in spans:
                connection.execute(_FIND, span, prepare=True).fetchall()

        yield ask


@contextmanager
def _manager_over_http(timetable: Timetable) -> Iterator[httpx.Client | None]:
    with over_http(timetable.database) as serving:
        if serving is None:
            yield None
            return
        headers = serving.headers(timetable.manager)
        with httpx.Client(base_url=serving.url, headers=headers, timeout=60, trust_env=False) as client:
            yield client


def _as_json(span: Span) -> dict[str, Any]:
    resource_ids, starts_at, ends_at = span
    return {
        "p_resource_ids": [str(resource_id) for resource_id in resource_ids],
        "p_starts_at": starts_at.isoformat(),
        "p_ends_at": ends_at.isoformat(),
    }


def _switch_triggers(owner: psycopg.Connection[Any], state: str) -> None:
    # What the ledger does after a statement; versions, instants and the audit trail are kept on both sides.
    found = owner.execute(
        "select t.tgrelid::regclass::text, t.tgname from pg_catalog.pg_trigger t"
        " where t.tgrelid in ('public.meetings'::regclass, 'public.meeting_participants'::regclass)"
        " and not t.tgisinternal and t.tgtype & 1 = 0 and t.tgfoid <> 'private.record_changes()'::regprocedure"
    ).fetchall()
    for table, trigger in found:
        owner.execute(f"alter table {table} {state} trigger {trigger}")
