"""What one caller may ask of us in a minute, and in one request."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.rest import Rest
from tests.support.world import World

Db = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def _few(db: Db) -> None:
    for key, value in (("calls_per_minute", 3), ("anonymous_calls_per_minute", 2), ("request_bytes_limit", 2000)):
        db.execute("update public.settings set value = %s where key = %s", [Jsonb(value), key])
    db.execute("create function public.ping() returns integer language sql volatile as 'select 1'")
    db.execute("grant execute on function public.ping to anon, authenticated, service_role")


def test_writing_calls_are_counted_by_caller_and_action(rest: Rest, world: World, db: Db) -> None:
    ann, bob = world.user("manager"), world.user("manager")
    assert [rest.post("/rpc/ping", user=ann).status_code for _ in range(5)] == [200] * 3 + [429] * 2
    refusal = rest.post("/rpc/ping", user=ann)
    assert refusal.json()["code"] == "rate_limited"
    assert refusal.headers["retry-after"] == "60"
    # Another action, another person, reading, and servers are not concerned.
    assert rest.post("/locations", {"name": "Hall"}, user=ann).status_code == 201
    assert rest.post("/rpc/ping", user=bob).status_code == 200
    assert all(rest.get("/locations", user=ann).status_code == 200 for _ in range(5))
    assert all(rest.post("/rpc/ping", user="service_role").status_code == 200 for _ in range(5))
    # A minute later it is over.
    db.execute("update private.api_calls set called_at = called_at - interval '1 minute'")
    assert rest.post("/rpc/ping", user=ann).status_code == 200


def test_strangers_are_counted_by_address(rest: Rest) -> None:
    def ping(address: str) -> int:
        return rest.post("/rpc/ping", headers={"X-Forwarded-For": address}).status_code

    assert [ping("192.0.2.1") for _ in range(3)] == [200, 200, 429]
    assert ping("192.0.2.2") == 200


def test_a_request_has_a_size(rest: Rest, world: World, db: Db) -> None:
    manager = world.user("manager")
    refusal = rest.post("/locations", {"name": "Hall", "address": "x" * 3000}, user=manager)
    assert (refusal.status_code, refusal.json()["code"]) == (413, "limit_exceeded")
    assert rest.post("/locations", {"name": "Hall", "address": "x" * 500}, user=manager).status_code == 201
    # A server may send more, and meets the table's own bounds.
    assert (
        rest.post("/locations", {"name": "Attic", "address": "x" * 3000}, user="service_role").json()["code"] == "23514"
    )
    assert db.execute("select array_agg(name) from public.locations").fetchone() == (["Hall"],)


def test_the_count_is_kept_short(rest: Rest, world: World, db: Db) -> None:
    rest.post("/rpc/ping", user=world.user("manager"))
    db.execute("update private.api_calls set called_at = called_at - interval '11 minutes'")
    assert db.execute("select private.forget_old_calls()").fetchone() == (1,)
