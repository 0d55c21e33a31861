"""The log itself: only ever added to, by whomever; kept in months; forgetting those who are erased, and nobody else."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.calls import call, refused
from tests.support.identity import as_role
from tests.support.repairs import Repairs
from tests.support.server import Database
from tests.support.waiting import until_blocked
from tests.support.world import World

_MOVE_CLOCK = """
create or replace function private.now() returns timestamptz language sql stable set search_path = ''
return pg_catalog.now() + interval '{}'
"""
PARTITIONS = "select partition::text, month, is_guarded from private.audit_partitions() order by month nulls first"


def partitions(db: psycopg.Connection[Any]) -> list[str]:
    """The months that have a partition."""
    return [str(month) for _, month, _ in db.execute(PARTITIONS) if month is not None]


def held_in(db: psycopg.Connection[Any], table: str) -> list[str]:
    """In which partitions the changes of a table are."""
    found = db.execute(
        "select distinct tableoid::regclass::text from public.audit_log where table_name = %s order by 1", [table]
    )
    return [name for (name,) in found]


def partition_of(db: psycopg.Connection[Any], months: int = 0) -> str:
    """The name of this month's partition, or of a later one's."""
    row = db.execute(
        "select to_char(date_trunc('month', now() at time zone 'UTC') + make_interval(months => %s),"
        " '\"private.audit_log_\"YYYY_MM')", [months]
    ).fetchone()  # fmt: skip
    assert row is not None
    return str(row[0])


WRITES = [
    "update {} set actor_role = 'nobody'",
    "update {} set new_values = null, forgotten_at = now()",
    "delete from {}",
    "delete from {} where false",
    "truncate {}",
    "insert into {} (at, table_name, row_key, operation) values (now(), 'locations', '1', 'insert')",
]


@pytest.mark.parametrize("statement", WRITES)
@pytest.mark.parametrize("which", ["public.audit_log", "this month", "private.audit_log_rest"])
def test_nobody_writes_it_not_even_its_owner(
    db: psycopg.Connection[Any], world: World, statement: str, which: str
) -> None:
    world.insert("public.locations", name="Room")
    table = partition_of(db) if which == "this month" else which
    before = db.execute("select * from public.audit_log order by id").fetchall()
    with refused("forbidden"):
        db.execute(statement.format(table).encode())
    assert db.execute("select * from public.audit_log order by id").fetchall() == before


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
@pytest.mark.parametrize("statement", WRITES)
def test_the_roles_of_the_api_may_not_even_try(db: psycopg.Connection[Any], role: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role(db, role):
        db.execute(statement.format("public.audit_log").encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role(db, role):
        db.execute(f"select * from {partition_of(db)}".encode())


TAMPERING = [
    "delete from public.audit_log",
    "update public.audit_log set actor_role = 'nobody', forgotten_at = now()",
    "update public.audit_log set at = at - interval '1 day', forgotten_at = now()",
    'update public.audit_log set new_values = new_values || \'{"name": "Hall"}\', forgotten_at = now()',
    "update public.audit_log set new_values = new_values - 'name', forgotten_at = now()",
    "update public.audit_log set new_values = null, forgotten_at = now()",
    "update public.audit_log set old_values = '{}', forgotten_at = now()",
    "update public.audit_log set ip_address = '::1', forgotten_at = now()",
    'update public.audit_log set new_values = new_values || \'{"name": "***"}\'',
]


@pytest.mark.parametrize("statement", TAMPERING)
def test_a_trigger_of_somebodys_own_changes_nothing_either(
    db: psycopg.Connection[Any], world: World, statement: str
) -> None:
    world.insert("public.locations", name="Room")
    db.execute(
        sql.SQL(
            "create function private.tamper() returns trigger language plpgsql set search_path = '' as {};"
            "create trigger t99_tamper after update on public.locations for each row execute function private.tamper()"
        ).format(sql.Literal(f"begin {statement} where table_name = 'locations'; return null; end"))
        if "where" not in statement
        else sql.SQL("select 1")
    )
    with refused("forbidden"):
        db.execute("update public.locations set capacity = 5")


def test_this_month_and_three_to_come_have_their_partitions(db: psycopg.Connection[Any], world: World) -> None:
    assert len(partitions(db)) == 4
    assert db.execute("select private.make_audit_partitions()").fetchone() == (0,)
    world.insert("public.locations", name="Room")
    assert held_in(db, "locations") == [partition_of(db)]


def test_a_month_without_a_partition_stops_nobody(database: Database, world: World) -> None:
    """Its rows go to the rest, are found there, and move where they belong, not changed by it."""
    repairs = Repairs(database)
    repairs.behind.execute(_MOVE_CLOCK.format("400 days"))
    world.insert("public.locations", name="Room")
    repairs.behind.execute(_MOVE_CLOCK.format("440 days"))
    world.insert("public.locations", name="Hall")
    assert held_in(repairs.db, "locations") == ["private.audit_log_rest"]
    before = repairs.db.execute("select * from public.audit_log order by id").fetchall()
    found = repairs.finds("audit_partitions_missing")
    assert len([message for message in found if "wait for it" in message]) == 2
    faults, fixed, remaining, _ = repairs.try_fix("audit_partitions_missing")
    assert (faults, remaining) == (fixed, 0)
    assert len(held_in(repairs.db, "locations")) == 2
    assert "private.audit_log_rest" not in held_in(repairs.db, "locations")
    seen = repairs.db.execute("select * from public.audit_log where id <= %s order by id", [before[-1][0]]).fetchall()
    assert seen == before
    assert {guarded for *_, guarded in repairs.db.execute(PARTITIONS)} == {True}
    with refused("forbidden"):
        repairs.db.execute(f"delete from {held_in(repairs.db, 'locations')[0]}".encode())


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York"])
def test_months_begin_at_midnight_utc_wherever_the_session_is(db: psycopg.Connection[Any], zone: str) -> None:
    db.execute(f"set timezone = '{zone}'".encode())
    db.execute("set datestyle = 'SQL, DMY'")
    db.execute(_MOVE_CLOCK.format("800 days"))
    assert db.execute("select private.make_audit_partitions()").fetchone() == (4,)
    db.execute("set timezone = 'UTC'; set datestyle = 'ISO'")
    bounds = db.execute(
        "select pg_get_expr(c.relpartbound, c.oid) from pg_class c join private.audit_partitions() p on p.partition = c.oid"
        " where p.month is not null"
    ).fetchall()
    assert len(bounds) == 8
    assert all(bound.count("-01 00:00:00+00') ") + bound.count("-01 00:00:00+00')") >= 2 for (bound,) in bounds), bounds


def test_months_are_kept_as_long_as_the_setting_says(db: psycopg.Connection[Any]) -> None:
    drop = "select private.drop_old_audit_partitions()"
    kept = partitions(db)
    assert db.execute(drop).fetchone() == (0,)
    db.execute(_MOVE_CLOCK.format("3 years"))
    db.execute("update public.settings set value = '0' where key = 'audit_months_kept'")
    assert db.execute(drop).fetchone() == (0,)
    db.execute("update public.settings set value = '35' where key = 'audit_months_kept'")
    assert db.execute(drop).fetchone() == (1,)
    assert partitions(db) == kept[1:]
    db.execute("update public.settings set value = null where key = 'audit_months_kept'")
    assert db.execute(drop).fetchone() == (3,)
    assert partitions(db) == []
    assert db.execute("select private.make_audit_partitions()").fetchone() == (4,)


def test_the_jobs_are_on_the_list(db: psycopg.Connection[Any]) -> None:
    listed = db.execute("select command from public.scheduled_jobs where name like '%audit%' order by 1").fetchall()
    assert listed == [("private.drop_old_audit_partitions",), ("private.make_audit_partitions",)]


def test_making_partitions_does_not_wait_for_writers_nor_they_for_it(
    database: Database, db: psycopg.Connection[Any]
) -> None:
    writer, maker = database.connect(autocommit=False), database.connect(autocommit=False)
    db.execute(f"drop table {partition_of(db, 3)}".encode())
    writer.execute("insert into public.locations (name) values ('Room')")
    row = maker.execute("select private.make_audit_partitions()").fetchone()
    assert row == (1,)
    writer.execute("insert into public.locations (name) values ('Hall')")
    writer.commit()
    maker.commit()


def test_dropping_months_gives_up_rather_than_hold_writers_up(database: Database, db: psycopg.Connection[Any]) -> None:
    writer = database.connect(autocommit=False)
    writer.execute("insert into public.locations (name) values ('Room')")
    db.execute(_MOVE_CLOCK.format("3 years"))
    with pytest.raises(psycopg.errors.LockNotAvailable):
        db.execute("select private.drop_old_audit_partitions()")
    writer.commit()
    assert db.execute("select private.drop_old_audit_partitions()").fetchone() == (4,)


def test_a_partition_somebody_could_write_is_found_and_guarded(database: Database) -> None:
    repairs = Repairs(database)
    one, two = partition_of(repairs.db), partition_of(repairs.db, 1)
    repairs.db.execute(f"drop trigger t00_only_triggers_write on {one}".encode())
    repairs.db.execute(f"alter table {two} disable trigger t00_only_triggers_write".encode())
    assert len(repairs.finds("audit_partitions_missing")) == 2
    repairs.try_fix("audit_partitions_missing")
    assert repairs.found(schema=True) == set()
    with refused("forbidden"):
        repairs.db.execute(f"truncate {one}".encode())


def test_the_erased_are_forgotten_and_what_happened_is_not(db: psycopg.Connection[Any], world: World) -> None:
    admin, zoe, other = (
        world.user("admin"),
        world.user("instructor", full_name="Zoe Quill"),
        world.user("staff", full_name="Otto"),
    )
    db.execute(
        "update public.user_profiles set phone = '+15550100', full_name = 'Zoe Quill-Ford' where id = %s",
        [zoe.profile_id],
    )
    call(
        db,
        zoe,
        "request_time_off",
        p_resource_id=zoe.profile_id,
        p_starts_on="2030-01-02",
        p_ends_on="2030-01-03",
        p_reason="Hospital.",
    )
    with db.transaction():
        db.execute("select set_config('request.headers', %s, true)", ['{"x-forwarded-for": "203.0.113.7"}'])
        db.execute("select set_config('request.jwt.claims', %s, true)", [f'{{"sub": "{zoe.id}"}}'])
        db.execute("insert into public.locations (name) values ('Room')")
    before = db.execute("select count(*) from public.audit_log").fetchone()
    call(db, admin, "erase_person", p_profile_id=zoe.profile_id, p_reason="Asked for it.")
    log = db.execute("select to_jsonb(a) #>> '{}' from public.audit_log a").fetchall()
    text = "\n".join(line for (line,) in log)
    for trace in ("Zoe", "Quill", zoe.email, "+15550100", "Hospital.", "203.0.113.7"):
        assert trace not in text, trace
    assert "Otto" in text
    assert "Room" in text
    after = db.execute("select count(*) from public.audit_log").fetchone()
    assert before is not None
    assert after is not None
    assert after[0] > before[0]
    history = call(db, admin, "record_history", p_table="user_profiles", p_id=str(zoe.profile_id))
    assert [change["operation"] for change in history][:2] == ["insert", "update"]
    assert {"full_name", "phone"} <= set(history[1]["changed_columns"]) | set(history[2]["changed_columns"])
    assert history[0]["new_values"]["full_name"] == "***"
    assert history[0]["forgotten_at"] is not None
    # When they came, and that they are active no more, is no secret; nor is anybody else touched.
    assert history[0]["new_values"]["created_at"] is not None
    [others] = call(db, admin, "record_history", p_table="user_profiles", p_id=str(other.profile_id))
    assert (others["new_values"]["full_name"], others["forgotten_at"]) == ("Otto", None)


def test_rows_that_were_deleted_before_are_forgotten_too(db: psycopg.Connection[Any], world: World) -> None:
    zoe = world.user("instructor", full_name="Zoe Quill")
    db.execute("select public.grant_permission(%s, 'read:audit', 'Very private reason.')", [zoe.id])
    db.execute("select public.revoke_permission(%s, 'read:audit')", [zoe.id])
    [(seen,)] = db.execute("select count(*) from public.audit_log a where a::text like '%%Very private%%'").fetchall()
    assert seen >= 2
    db.execute("select public.erase_person(%s, 'Asked for it.')", [zoe.profile_id])
    assert db.execute("select count(*) from public.audit_log a where a::text like '%%Very private%%'").fetchone() == (
        0,
    )


def test_an_erasing_that_is_taken_back_forgets_nothing(db: psycopg.Connection[Any], world: World) -> None:
    zoe = world.user("instructor", full_name="Zoe Quill")
    before = db.execute("select * from public.audit_log order by id").fetchall()
    with db.transaction(force_rollback=True):
        db.execute("select public.erase_person(%s, 'Asked for it.')", [zoe.profile_id])
    assert db.execute("select * from public.audit_log order by id").fetchall() == before


def test_while_somebody_is_erased_others_write_on(
    database: Database, db: psycopg.Connection[Any], world: World
) -> None:
    zoe = world.user("instructor", full_name="Zoe Quill")
    erasing, writing = database.connect(autocommit=False), database.connect()
    erasing.execute("select public.erase_person(%s, 'Asked for it.')", [zoe.profile_id])
    writing.execute("insert into public.locations (name) values ('Room')")
    rename = threading.Thread(
        target=writing.execute,
        args=["update public.user_profiles set time_zone = null where id = %s", [zoe.profile_id]],
    )
    rename.start()
    until_blocked(db, writing)
    erasing.commit()
    rename.join(30)
    assert db.execute("select count(*) from public.audit_log a where a::text like '%%Zoe%%'").fetchone() == (0,)
