"""Each check of this module: silent on a sound database, silent on look-alikes, loud on the planted fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.support.server import Database
from tests.support.world import World

CHECKS = (
    "roles_of_missing_users",
    "unused_permissions",
    "unregistered_personal_data",
    "tables_without_row_security",
    "definers_without_search_path",
)


@pytest.fixture
def found(db: psycopg.Connection[Any]) -> Callable[[str], list[tuple[Any, ...]]]:
    def run(check: str) -> list[tuple[Any, ...]]:
        statement = f"select entity, entity_id, message, detail from private.check_{check}() order by entity_id"
        return db.execute(statement.encode()).fetchall()

    return run


@pytest.mark.parametrize("check", CHECKS)
def test_a_sound_database_is_silent(world: World, found: Any, rows: Any, check: str) -> None:
    world.user("admin")
    ours = ("00_platform", "10_people")
    assert [row for row in found(check) if row[3].get("module", "10_people") in ours] == []
    assert rows("select module from public.integrity_checks where name = %s", check) == [("10_people",)]


def test_roles_of_missing_users(database: Database, db: psycopg.Connection[Any], world: World, found: Any) -> None:
    world.user("staff")
    missing = uuid4()
    for table in ("user_roles", "user_permissions"):
        db.execute(f"alter table public.{table} drop constraint {table}_user_id_fkey")
    db.execute("insert into public.user_roles (user_id, role_name) values (%s, 'staff')", [missing])
    db.execute(
        "insert into public.user_permissions (user_id, permission, is_granted, reason) "
        "values (%s, 'read:contact', true, 'x')",
        [missing],
    )
    findings = found("roles_of_missing_users")
    assert [(entity, entity_id) for entity, entity_id, _, _ in findings] == [
        ("public.user_permissions", f"{missing}/read:contact"),
        ("public.user_roles", f"{missing}/staff"),
    ]
    assert findings[1][3] == {"user_id": str(missing), "role": "staff"}
    database.connect(admin=True).execute("insert into auth.users (id) values (%s)", [missing])
    assert found("roles_of_missing_users") == []


def flying(found: Any) -> list[tuple[Any, ...]]:
    return [row for row in found("unused_permissions") if row[1].startswith("fly:")]


def test_unused_permissions(db: psycopg.Connection[Any], found: Any) -> None:
    db.execute(
        "insert into public.permissions (name, module, description) values "
        "('fly:kite', '10_people', 'd'), ('fly:kites', '10_people', 'd'), ('fly:balloon', '10_people', 'd'), "
        "('fly:plane', '99_not_installed', 'd')"
    )
    db.execute("create table public.kites (id int)")
    db.execute("create policy p on public.kites using ((select private.has_permission('fly:kites')))")
    db.execute(
        "create function private.fly() returns boolean language sql set search_path = '' "
        "return private.has_permission('fly:balloon')"
    )
    db.execute("create table public.planes (id int)")
    db.execute("create policy p on public.planes using ((select private.has_permission('fly:a_kite')))")
    [(entity, entity_id, _, detail)] = flying(found)
    assert (entity, entity_id, detail) == ("public.permissions", "fly:kite", {"module": "10_people"})
    db.execute("drop function private.fly()")
    assert [row[1] for row in flying(found)] == ["fly:balloon", "fly:kite"]


def test_unregistered_personal_data(db: psycopg.Connection[Any], found: Any) -> None:
    db.execute("create table private.diaries (id int, owner_id uuid references public.user_profiles (id), text text)")
    db.execute(
        "create table public.logins (user_id uuid references auth.users (id), by_id uuid references auth.users (id))"
    )
    db.execute("create table public.rooms (id int primary key)")
    db.execute("create table public.keys (room_id int references public.rooms (id))")
    assert [(row[1], row[3]) for row in found("unregistered_personal_data")] == [
        ("private.diaries", {"columns": ["owner_id"]}),
        ("public.logins", {"columns": ["by_id", "user_id"]}),
    ]
    db.execute(
        "insert into private.personal_data (table_name, person_column, person_key, module, export_columns, erase_action) "
        "values ('private.diaries', 'owner_id', 'profile_id', '95_test', '{text}', 'delete'), "
        "('public.logins', 'by_id', 'user_id', '95_test', '{}', 'delete')"
    )
    assert found("unregistered_personal_data") == []


def test_tables_without_row_security(db: psycopg.Connection[Any], found: Any) -> None:
    db.execute("create table private.hidden (id int)")
    db.execute("create view public.looked_at with (security_invoker = true) as select 1 as one")
    db.execute('create table public."Odd name" (id int)')
    db.execute("create table public.parts (id int) partition by range (id)")
    assert [(row[0], row[1]) for row in found("tables_without_row_security")] == [
        ("pg_class", 'public."Odd name"'),
        ("pg_class", "public.parts"),
    ]
    for _, _, _, detail in found("tables_without_row_security"):
        db.execute(detail["mend"].encode())
    assert found("tables_without_row_security") == []
    db.execute("alter table public.user_roles disable row level security")
    assert [row[1] for row in found("tables_without_row_security")] == ["public.user_roles"]


def test_definers_without_search_path(db: psycopg.Connection[Any], found: Any) -> None:
    for name, options in {
        "private.invoker(int)": "",
        "private.pinned()": "security definer set search_path = pg_catalog",
        "private.loose(int)": "security definer",
        "public.other()": "security definer set work_mem = 64000",
    }.items():
        db.execute(f"create function {name} returns int language sql {options} as $$ select 1 $$".encode())
    findings = found("definers_without_search_path")
    assert [(row[0], row[1]) for row in findings] == [
        ("pg_proc", "private.loose(integer)"),
        ("pg_proc", "public.other()"),
    ]
    for _, _, _, detail in findings:
        db.execute(detail["mend"].encode())
    assert found("definers_without_search_path") == []
