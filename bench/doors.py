"""Booking as those do it who book: programs with a connection each, and frontends over HTTP. Sixteen at once.

`bench.seats` asks the database alone, by a client that costs next to nothing. Here the clients are processes of their
own: with psycopg, where the barest booking is a transaction of two statements; and over PostgREST, where it is a
function, for want of transactions.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID

import httpx
import psycopg

from bench.seats import CLIENTS, SESSIONS, House
from bench.support import Ratio, over_http, sign_in
from tests.support.identity import User
from tests.support.server import TestServer

BOOKINGS, ROUNDS = 60, 5

_BARE_FUNCTION = """
create function public.book_barely(p_session_id uuid, p_email text) returns setof public.bare_bookings
language sql as $$
  with taken as (
    update public.bare_sessions set booked = booked + 1 where id = p_session_id and booked < capacity returning id
  )
  insert into public.bare_bookings (session_id, name, email) select id, 'Guest', p_email from taken returning *
$$;
grant execute on function public.book_barely to authenticated;
update public.settings set value = '100000' where key = 'calls_per_minute';
"""

# What a client does for one booking: of which session, for whom.
Booking = Callable[[UUID, str], object]


def _ours_by_psycopg(dsn: str, user: User) -> Booking:
    db = sign_in(psycopg.connect(dsn, autocommit=True), user)
    return lambda session_id, email: db.execute(
        "select id from public.book_session(%s, %s)", [session_id, json.dumps([{"name": "Guest", "email": email}])]
    ).fetchall()


def _bare_by_psycopg(dsn: str, user: User) -> Booking:
    db = sign_in(psycopg.connect(dsn, autocommit=True), user)

    def book(session_id: UUID, email: str) -> None:
        with db.transaction():
            taken = db.execute(
                "update public.bare_sessions set booked = booked + 1 where id = %s and booked < capacity", [session_id]
            )
            assert taken.rowcount == 1
            db.execute(
                "insert into public.bare_bookings (session_id, name, email) values (%s, 'Guest', %s) returning id",
                [session_id, email],
            ).fetchall()

    return book


def _ours_over_http(url: str, headers: dict[str, str]) -> Booking:
    client = httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)
    return lambda session_id, email: client.post(
        "/rpc/book_session",
        json={"p_session_id": str(session_id), "p_attendees": [{"name": "Guest", "email": email}]},
    ).raise_for_status()


def _bare_over_http(url: str, headers: dict[str, str]) -> Booking:
    client = httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)
    return lambda session_id, email: client.post(
        "/rpc/book_barely", json={"p_session_id": str(session_id), "p_email": email}
    ).raise_for_status()


def _client(make: Callable[..., Booking], door: tuple[Any, ...], orders: Connection) -> None:
    book = make(*door)
    while (span := orders.recv()) is not None:
        for _ in range(BOOKINGS):
            book(UUID(int=random.randint(*span)), f"g{random.randrange(10**12)}@example.org")  # noqa: S311
        orders.send("done")


class Crowd:
    """Sixteen clients that stay, each a process with its connection."""

    def __init__(self, make: Callable[..., Booking], door: tuple[Any, ...]) -> None:
        fresh = multiprocessing.get_context("spawn")
        self.orders: list[Connection] = []
        for _ in range(CLIENTS):
            mine, theirs = fresh.Pipe()
            self.orders.append(mine)
            fresh.Process(target=_client, args=(make, door, theirs), daemon=True).start()

    def book(self, span: tuple[int, int]) -> float:
        """Lets everybody book so many of these sessions; milliseconds between bookings."""
        start = time.perf_counter()
        for orders in self.orders:
            orders.send(span)
        for orders in self.orders:
            orders.recv()
        return (time.perf_counter() - start) / (CLIENTS * BOOKINGS) * 1000

    def leave(self) -> None:
        """Lets everybody go home."""
        for orders in self.orders:
            orders.send(None)


def _compare(
    house: House, by: str, ours: Callable[..., Booking], bare: Callable[..., Booking], door: tuple[Any, ...]
) -> Iterator[Ratio]:
    crowds = (Crowd(ours, door), Crowd(bare, door))
    for hot, where, target in ((True, "one hot session", 1.0), (False, f"{SESSIONS} sessions", 2.0)):
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(ROUNDS + 1):
            for side in (0, 1) if number % 2 else (1, 0):
                span = house.sessions(1, CLIENTS * BOOKINGS) if hot else house.sessions(SESSIONS, 60)
                took = crowds[side].book(span)
                if number > 0:
                    times[side].append(took)
        mine, theirs = times
        yield Ratio(
            f"book_session {by}, {where}",
            "conditional UPDATE + INSERT",
            statistics.median(mine),
            statistics.median(theirs),
            statistics.median(a / b for a, b in zip(mine, theirs, strict=True)),
            target,
        )
    for crowd in crowds:
        crowd.leave()


def run(server: TestServer) -> Iterator[Ratio]:
    """Both doors."""
    house = House(server, _BARE_FUNCTION)
    yield from _compare(house, "by psycopg", _ours_by_psycopg, _bare_by_psycopg, (house.database.dsn, house.user))
    with over_http(house.database) as serving:
        if serving is not None:
            door = (serving.url, serving.headers(house.user))
            yield from _compare(house, "over HTTP", _ours_over_http, _bare_over_http, door)
    house.db.close()
