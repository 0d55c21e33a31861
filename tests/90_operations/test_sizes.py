"""table_sizes() and access_overview(): what there is, how it grew, and who may reach it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.support.calls import call, refused
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.world import World


def _size(db: psycopg.Connection[Any], table: str) -> dict[str, Any]:
    [row] = [row for row in call(db, "service_role", "table_sizes") if row["table_name"] == table]
    return row


def test_sizes_are_those_of_postgres_and_the_largest_comes_first(
    database: Database, db: psycopg.Connection[Any]
) -> None:
    db.execute(
        "insert into public.class_types (name) select 'Type ' || repeat('x', 50) || n from generate_series(1, 3000) as n"
    )
    db.execute("analyze public.class_types")
    row = _size(db, "public.class_types")
    expected = db.execute(
        "select pg_table_size('public.class_types'), pg_indexes_size('public.class_types'), pg_total_relation_size('public.class_types')"
    ).fetchone()
    assert (row["table_bytes"], row["index_bytes"], row["total_bytes"]) == expected
    assert row["row_estimate"] == 3000
    assert (row["bytes_before"], row["measured_on"]) == (None, None)
    rows = call(db, "service_role", "table_sizes")
    assert [one["total_bytes"] for one in rows] == sorted((one["total_bytes"] for one in rows), reverse=True)
    tables = db.execute(
        "select count(*) from pg_class where relnamespace in ('public'::regnamespace, 'private'::regnamespace) "
        "and relkind in ('r', 'p') and not relispartition"
    ).fetchone()
    assert tables is not None
    assert len(rows) == tables[0]


def test_a_partitioned_table_is_as_large_as_its_partitions(database: Database, db: psycopg.Connection[Any]) -> None:
    db.execute("create table private.parted (day date, note text) partition by range (day)")
    db.execute(
        "create table private.parted_1 partition of private.parted for values from ('2026-01-01') to ('2026-02-01')"
    )
    db.execute(
        "create table private.parted_2 partition of private.parted for values from ('2026-02-01') to ('2026-03-01')"
    )
    db.execute(
        "insert into private.parted select date '2026-01-01' + n % 50, repeat('x', 100) from generate_series(1, 2000) as n"
    )
    db.execute("analyze private.parted")
    row = _size(db, "private.parted")
    parts = db.execute(
        "select pg_total_relation_size('private.parted_1') + pg_total_relation_size('private.parted_2')"
    ).fetchone()
    assert (row["total_bytes"],) == parts
    assert row["row_estimate"] >= 2000
    assert not [one for one in call(db, "service_role", "table_sizes") if "parted_" in one["table_name"]]


def test_growth_is_since_the_last_reading_of_an_earlier_day(db: psycopg.Connection[Any]) -> None:
    first = db.execute("select private.take_size_reading(), private.today()").fetchone()
    assert first is not None
    before = _size(db, "public.class_types")
    assert before["measured_on"] is None
    db.execute("insert into public.class_types (name) select 'Type ' || n from generate_series(1, 2000) as n")
    # On the same day it is the same reading, written anew.
    assert db.execute("select private.take_size_reading()").fetchone() == first[:1]
    assert db.execute("select count(distinct taken_on) from private.table_size_readings").fetchone() == (1,)
    db.execute(
        "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
        "return pg_catalog.now() + interval '3 days'"
    )
    reading = db.execute(
        "select total_bytes from private.table_size_readings where table_name = 'public.class_types'"
    ).fetchone()
    after = _size(db, "public.class_types")
    assert after["measured_on"] == first[1]
    assert (after["bytes_before"],) == reading
    assert after["bytes_before"] > before["total_bytes"]
    db.execute("update private.table_size_readings set taken_on = %s", [first[1] - timedelta(days=900)])
    db.execute("select private.take_size_reading()")
    assert db.execute("select count(distinct taken_on) from private.table_size_readings").fetchone() == (1,)


def test_access_says_what_is_open(db: psycopg.Connection[Any]) -> None:
    rows = {row["table_name"]: row for row in call(db, "service_role", "access_overview")}
    assert all(row["is_protected"] for row in rows.values())
    assert set(rows["students"]["commands"]) == {"select", "insert", "update", "delete"}
    assert (rows["students"]["policies"], rows["students"]["granted_to"]) == (4, ["authenticated"])
    db.execute("create table public.forgotten (id integer)")
    db.execute("grant update (id) on public.forgotten to anon")
    [row] = [row for row in call(db, "service_role", "access_overview") if row["table_name"] == "forgotten"]
    assert (row["is_protected"], row["policies"], row["commands"], row["granted_to"]) == (False, 0, [], ["anon"])


@pytest.mark.parametrize("function", ["table_sizes", "access_overview"])
def test_only_who_may_read_diagnostics(rest: Rest, world: World, function: str) -> None:
    for caller, status in ((None, 401), (world.user("member"), 403), (world.user("instructor"), 403)):
        assert rest.post(f"/rpc/{function}", user=caller).status_code == status
    for caller in (world.user("manager"), world.user("admin"), "service_role"):
        answer = rest.post(f"/rpc/{function}", user=caller)
        assert answer.status_code == 200
        assert answer.json()
    with refused("forbidden"):
        call(world.db, world.user("staff"), function)
