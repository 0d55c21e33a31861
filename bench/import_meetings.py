"""Importing a whole term, against COPY of what it leaves behind into the same tables.

Both write meetings, participants and claims in one transaction, under the same constraints (foreign keys and the
exclusion constraint included) and indexes. COPY has the ledger's triggers off and finds people, places and override
groups there; the import reads text, makes all of them, and compares every row with every other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg

from bench.support import Ratio, say, side_by_side
from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.timetables import COLLEGE, COLLEGE_ZONE, college, lesson

_TABLES = ("meetings", "meeting_participants", "claims")


def run(server: TestServer) -> Iterator[Ratio]:
    """Every mode; `refuse` on the rows that fit, since it imports nothing of those that do not."""
    rows = college() if COLLEGE.exists() else _term()
    for mode in ("override", "skip", "refuse"):
        yield _against_copy(server, rows, mode)
        if mode == "skip":
            rows = _fitting(server, rows)


def _against_copy(server: TestServer, rows: list[dict[str, Any]], mode: str) -> Ratio:
    sent = json.dumps(rows)
    fresh = _Fresh(server)
    filled = server.create_database(TEMPLATE)
    try:
        report = _send(filled.connect(), sent, mode)
        copied = filled.connect(admin=True)
        contents = {table: _copy_out(copied, table) for table in _TABLES}
        say(f"{mode}: {report['imported']:,} meetings, {report['overrides']['groups']:,} override groups …")
        return side_by_side(
            f"import of {len(rows):,} rows ({mode}: {report['imported']:,})",
            lambda: _send(fresh.connection, sent, mode),
            "COPY into meetings, participants, claims",
            lambda: _copy_in(copied, contents),
            before_subject=fresh.renew,
            before_reference=lambda: _empty(copied),
            rounds=5,
            target=3.0,
        )
    finally:
        fresh.drop()
        filled.drop()


class _Fresh:
    """A database with nothing in it, a new one for every round."""

    def __init__(self, server: TestServer) -> None:
        self._server = server
        self._database: Database | None = None

    @property
    def connection(self) -> psycopg.Connection[Any]:
        assert self._database is not None
        return self._connection

    def renew(self) -> None:
        self.drop()
        self._database = self._server.create_database(TEMPLATE)
        self._connection = self._database.connect()

    def drop(self) -> None:
        if self._database is not None:
            self._database.drop()


def _send(connection: psycopg.Connection[Any], rows: str, mode: str) -> dict[str, Any]:
    row = connection.execute(
        "select public.import_meetings(%s::jsonb, %s, %s, p_label => 'Bench')", [rows, COLLEGE_ZONE, mode]
    ).fetchone()
    assert row is not None
    report: dict[str, Any] = row[0]
    return report


def _copy_out(connection: psycopg.Connection[Any], table: str) -> bytes:
    with connection.cursor().copy(f"copy public.{table} to stdout".encode()) as copy:
        return b"".join(bytes(part) for part in copy)


def _empty(connection: psycopg.Connection[Any]) -> None:
    names = ", ".join(f"public.{table}" for table in _TABLES)
    connection.execute("set session_replication_role = replica")
    connection.execute(f"truncate {names}".encode())
    connection.execute("set session_replication_role = origin")
    for table in _TABLES:
        connection.execute(f"alter table public.{table} disable trigger user".encode())


def _copy_in(connection: psycopg.Connection[Any], contents: dict[str, bytes]) -> None:
    with connection.transaction():
        for table, data in contents.items():
            with connection.cursor().copy(f"copy public.{table} from stdin".encode()) as copy:
                copy.write(data)


def _fitting(server: TestServer, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    database = server.create_database(TEMPLATE)
    try:
        left_out = {told["row"] for told in _send(database.connect(), json.dumps(rows), "skip")["left_out"]}
    finally:
        database.drop()
    return [row for number, row in enumerate(rows, 1) if number not in left_out]


def _term() -> list[dict[str, Any]]:
    """Where the college's timetable is not there: about as many rows, and thirty sections that overlap another."""
    return [
        lesson(
            str(section),
            f"Room {section % 130}",
            f"Teacher {section % 420}",
            f"{8 + section % 12:02}:00-{8 + section % 12:02}:50",
            date=f"2018-{9 + day // 28:02}-{1 + day % 28:02}",
        )
        for section in range(450)
        for day in range(74)
    ]
