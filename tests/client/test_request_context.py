"""Over psycopg the database is told exactly what PostgREST would tell it, for one transaction only."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import psycopg
import pytest

from classbase import errors
from tests.client.doors import DATABASE, Door, door_id

TOLD = [
    "request.method",
    "request.path",
    "request.cookies",
    "request.jwt.claims",
    "request.headers",
    "search_path",
    "transaction_isolation",
]


def _insert(title: str) -> str:
    return f"insert into public.sample_entries (title) values ('{title}')"


async def test_psycopg_tells_what_postgrest_tells(both: tuple[Door, Door]) -> None:
    rest, database = [await door.open(door.sample.member).told(TOLD) for door in both]
    for name in ("request.method", "request.path", "transaction_read_only", "transaction_isolation", "role"):
        assert rest[name] == database[name], name
    assert json.loads(rest["request.cookies"]) == json.loads(database["request.cookies"]) == {}
    claims = json.loads(rest["request.jwt.claims"])
    del claims["exp"]  # of the token, which psycopg does without
    assert claims == json.loads(database["request.jwt.claims"])
    headers = [json.loads(each["request.headers"]) for each in (rest, database)]
    assert [each["content-type"] for each in headers] == ["application/json"] * 2
    assert [each["accept"] for each in headers] == ["application/json"] * 2
    # PostgREST names the exposed schema and then the extra ones, which name it again.
    assert list(dict.fromkeys(rest["search_path"].split(", "))) == database["search_path"].split(", ")


async def test_what_reads_only_runs_in_a_read_only_transaction(door: Door) -> None:
    methods = door.open()
    assert (await methods.told([]))["transaction_read_only"] == "on"
    assert await methods.told_writing() == "off"


async def test_headers_of_ones_own_arrive(door: Door) -> None:
    told = await door.open(headers={"x-device": "kiosk 3"}).told(["request.headers"])
    assert json.loads(told["request.headers"])["x-device"] == "kiosk 3"


async def test_the_caller_is_who_the_claims_say(door: Door) -> None:
    client = door.client(door.sample.member)
    answer = client.people.current_access()
    (row,) = await answer if door.asynchronous else answer
    assert row.user_id == door.sample.member.id
    assert row.roles == ["member"]


async def test_anybody_may_ask_for_the_configuration(door: Door) -> None:
    client = door.client("anon")
    answer = client.platform.app_config()
    config: Any = await answer if door.asynchronous else answer
    assert config["page_size"] == 50


@pytest.mark.parametrize("door", DATABASE[:1], ids=door_id, indirect=True)
async def test_a_transaction_of_ones_own_is_kept_or_undone_as_a_whole(door: Door) -> None:
    client = door.client()
    async with client.transaction() as connection:
        cursor = await connection.execute("select current_user::text, current_setting('request.jwt.claims')::jsonb")
        assert await cursor.fetchone() == ("service_role", {"role": "service_role"})
        await connection.execute(_insert("kept"))

    async def attempt(*statements: str, read_only: bool = False) -> None:
        async with client.transaction(read_only=read_only) as connection:
            for statement in statements:
                await connection.execute(statement)

    async def give_up() -> None:
        async with client.transaction() as connection:
            await connection.execute(_insert("given up"))
            raise RuntimeError("of the caller")

    async def look_away() -> None:
        async with client.transaction() as connection:
            await connection.execute(_insert("looked away"))
            with suppress(psycopg.Error):
                await connection.execute("select 1 / 0")

    with pytest.raises(errors.Duplicate):
        await attempt(_insert("undone"), _insert("kept"))
    with pytest.raises(errors.InternalError, match="read-only"):
        await attempt(_insert("read"), read_only=True)
    with pytest.raises(RuntimeError, match="of the caller"):
        await give_up()
    with pytest.raises(errors.InternalError, match="ignored"):
        await look_away()
    assert [row.title for row in await door.methods(client).titles()] == ["kept"]


@pytest.mark.parametrize("door", DATABASE[1:], ids=door_id, indirect=True)
async def test_the_synchronous_transaction_does_the_same(door: Door) -> None:
    client = door.client(door.sample.member)
    with client.transaction() as connection:
        row = connection.execute("select auth.uid(), current_user::text").fetchone()
        assert row == (door.sample.member.id, "authenticated")
        with connection.transaction():
            connection.execute(_insert("kept"))
    with pytest.raises(errors.Forbidden), client.transaction() as connection:
        connection.execute("delete from public.sample_entries")
    assert [row.title for row in await door.methods(client).list_entries()] == ["kept"]


@pytest.mark.parametrize("door", DATABASE, ids=door_id, indirect=True)
async def test_nothing_outlives_the_transaction(door: Door) -> None:
    client = door.client(door.sample.member)
    for _ in range(8):
        await door.methods(client).told([])
    (connection,) = client._transport._idle
    cursor = connection.execute(
        "select current_user::text, current_setting('request.jwt.claims', true), current_setting('request.path', true),"
        " (select count(*) from pg_prepared_statements)"
    )
    row = await (await cursor).fetchone() if door.asynchronous else cursor.fetchone()
    assert row == ("project_owner", "", "", 0)


@pytest.mark.parametrize("door", DATABASE, ids=door_id, indirect=True)
async def test_a_closed_client_makes_no_calls(door: Door) -> None:
    client = door.client()
    methods = door.methods(client)
    await methods.told([])
    await door.close()
    with pytest.raises(errors.InternalError, match="closed"):
        await methods.told([])
