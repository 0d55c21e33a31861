"""A server that is killed while a session sells out: whoever was told they have a seat has it, and nobody else does."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from tests.support.server import TEMPLATE, Database, TestServer
from tests.support.training import Training
from tests.support.world import World

KILLS, CALLERS, SEATS = 6, 12, 60


@pytest.fixture(scope="module")
def own_server(pytestconfig: pytest.Config) -> Iterator[TestServer]:
    """A server of this module's own, since nobody else's may be killed."""
    server = TestServer.start(int(pytestconfig.getoption("--pg")))
    try:
        server.prepare()
        yield server
    finally:
        server.stop()


def book_until_killed(database: Database, session: UUID, number: int, told: list[str]) -> None:
    """Books one guest after another, and writes down whose booking was acknowledged."""
    try:
        with database.connect() as by:
            for turn in range(SEATS):
                name = f"{number} {turn}"
                by.execute(
                    "select public.book_session(%s, jsonb_build_array(jsonb_build_object('name', %s::text)), %s)",
                    [session, name, name],
                )
                told.append(name)
    except psycopg.Error:
        return


def test_what_was_acknowledged_is_there(own_server: TestServer) -> None:
    chance = random.Random(KILLS)  # noqa: S311
    killed_mid_way = 0
    for _ in range(KILLS):
        database = own_server.create_database(TEMPLATE)
        # Tests do not wait for the disk; who acknowledges has to.
        with own_server.admin() as admin:
            admin.execute(f"alter database {database.name} set synchronous_commit = on".encode())
        with database.connect() as db:
            session = Training(World(db)).session(SEATS)
        told: list[str] = []
        threads = [
            threading.Thread(target=book_until_killed, args=(database, session, n, told)) for n in range(CALLERS)
        ]
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        while not told and time.monotonic() - begun < 30:
            time.sleep(0.002)
        time.sleep(chance.random() * 0.15)
        process = own_server.process
        assert process is not None
        process.kill()
        for thread in threads:
            thread.join()
        database.close()
        process.start()
        own_server.admin_dsn = process.dsn()
        with database.connect() as db:
            training = Training.__new__(Training)
            training.db = db
            assert training.broken() == []
            booked = {
                name
                for (name,) in db.execute("select attendee_name from public.session_bookings where is_live").fetchall()
            }
            assert set(told) <= booked, "what was acknowledged is there"
            killed_mid_way += len(told) < SEATS
            # A retry with the same key does not book twice.
            if told and len(booked) < SEATS:
                again = "select public.book_session(%s, jsonb_build_array(jsonb_build_object('name', %s::text)), %s)"
                db.execute(again, [session, told[0], told[0]])
                assert db.execute(
                    "select count(*) from public.session_bookings where attendee_name = %s", [told[0]]
                ).fetchone() == (1,)
        database.drop()
    assert killed_mid_way > 0
