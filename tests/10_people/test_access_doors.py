"""Nobody grants themselves or others anything without manage:users, through any door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.identity import User, as_role, as_user
from tests.support.rest import Rest
from tests.support.world import World

POWERLESS = ("manager", "instructor", "staff", "member", None, "anon", "authenticated")


def somebody(world: World, kind: str | None) -> User | str:
    return kind if kind in ("anon", "authenticated") else world.user(kind)


def snapshot(db: psycopg.Connection[Any]) -> list[Any]:
    """Everything that says who may do what."""
    return [
        db.execute(f"select * from public.{table} order by {table}::text").fetchall()
        for table in ("roles", "permissions", "role_permissions", "user_roles", "user_permissions", "access_changes")
    ]


@pytest.mark.parametrize("kind", POWERLESS)
def test_no_door_over_rest(db: psycopg.Connection[Any], world: World, rest: Rest, kind: str | None) -> None:
    caller: User | str | None = somebody(world, kind)
    victim, admin = world.user("member"), world.user("admin")
    me = str(caller.id if isinstance(caller, User) else victim.id)
    db.execute(
        "insert into public.user_permissions (user_id, permission, is_granted, reason) values (%s, %s, false, 'no')",
        [me, "read:analytics"],
    )
    before = snapshot(db)
    caller = None if caller == "anon" else caller
    right = {"user_id": me, "permission": "manage:users", "is_granted": True, "reason": "because"}
    attempts = [
        rest.post("/user_roles", {"user_id": me, "role_name": "admin"}, user=caller),
        rest.post("/user_roles", [{"user_id": me, "role_name": "staff", "granted_by": str(admin.id)}], user=caller),
        rest.patch("/user_roles?role_name=eq.member", {"role_name": "admin"}, user=caller),
        rest.patch(f"/user_roles?user_id=eq.{admin.id}", {"user_id": me}, user=caller),
        rest.delete(f"/user_roles?user_id=eq.{admin.id}", user=caller),
        rest.post("/user_permissions", right, user=caller),
        rest.patch("/user_permissions?permission=eq.read:analytics", {"is_granted": True}, user=caller),
        rest.delete("/user_permissions?permission=eq.read:analytics", user=caller),
        rest.post("/role_permissions", {"role_name": "member", "permission": "manage:users"}, user=caller),
        rest.patch("/role_permissions?role_name=eq.manager", {"is_granted": False}, user=caller),
        rest.patch("/role_permissions?role_name=eq.staff", {"permission": "manage:users"}, user=caller),
        rest.delete("/role_permissions?role_name=eq.manager", user=caller),
        rest.post("/roles", {"name": "king", "description": "May everything."}, user=caller),
        rest.patch("/roles?name=eq.member", {"name": "admin2"}, user=caller),
        rest.patch("/roles?name=eq.member", {"description": "x"}, user=caller),
        rest.delete("/roles?name=eq.member", user=caller),
        rest.post("/permissions", {"name": "a:b", "module": "m", "description": "d"}, user=caller),
        rest.post("/access_changes", {"action": "role_granted", "actor_role": "x"}, user=caller),
        rest.post("/rpc/grant_role", {"p_user_id": me, "p_role_name": "admin"}, user=caller),
        rest.post("/rpc/revoke_role", {"p_user_id": str(admin.id), "p_role_name": "admin"}, user=caller),
        rest.post(
            "/rpc/grant_permission",
            {"p_user_id": me, "p_permission": "manage:users", "p_reason": "because"},
            user=caller,
        ),
        rest.post("/rpc/revoke_permission", {"p_user_id": me, "p_permission": "read:analytics"}, user=caller),
        rest.post("/rpc/link_profile", {"p_profile_id": str(admin.profile_id), "p_user_id": me}, user=caller),
        rest.post("/rpc/erase_person", {"p_profile_id": str(admin.profile_id), "p_reason": "x"}, user=caller),
        rest.patch(f"/user_profiles?id=eq.{admin.profile_id}", {"is_active": False}, user=caller),
    ]
    assert snapshot(db) == before
    for answer in attempts:
        # What row level security filters away looks like an empty success; everything else is refused.
        assert answer.status_code in (401, 403) or answer.json() == [], (answer.request.url, answer.text)
    refused = [answer for answer in attempts if answer.status_code in (401, 403)]
    assert len(refused) >= len(attempts) - 9


@pytest.mark.parametrize("role", ["manager", "instructor", "staff", "member"])
def test_functions_refuse_by_name(world: World, call: Callable[..., Any], refused: Any, role: str) -> None:
    caller = world.user(role)
    attempts: dict[str, dict[str, Any]] = {
        "grant_role": {"p_user_id": caller.id, "p_role_name": "admin"},
        "revoke_role": {"p_user_id": caller.id, "p_role_name": role},
        "grant_permission": {"p_user_id": caller.id, "p_permission": "manage:users", "p_reason": "x"},
        "revoke_permission": {"p_user_id": caller.id, "p_permission": "manage:users"},
        "link_profile": {"p_profile_id": caller.profile_id, "p_user_id": caller.id},
        "erase_person": {"p_profile_id": caller.profile_id, "p_reason": "x"},
    }
    for function, arguments in attempts.items():
        with refused("forbidden") as refusal:
            call(caller, function, **arguments)
        assert refusal.details == {"permission": "manage:users"}, function


def test_triggers_hold_when_grants_and_row_security_do_not(
    db: psycopg.Connection[Any], world: World, refused: Any
) -> None:
    """As if somebody had opened every table by mistake."""
    tables = ("roles", "role_permissions", "user_roles", "user_permissions")
    for table in tables:
        db.execute(f"alter table public.{table} disable row level security")
        db.execute(f"grant all on public.{table} to authenticated, anon")
    me, admin = world.user("member"), world.user("admin")
    db.execute(
        "insert into public.user_permissions (user_id, permission, is_granted, reason) values (%s, %s, false, 'no')",
        [me.id, "read:contact"],
    )
    attempts: list[tuple[str, list[Any]]] = [
        ("insert into public.user_roles (user_id, role_name) values (%s, 'admin')", [me.id]),
        ("insert into public.user_roles (user_id, role_name) values (%s, 'staff')", [me.id]),
        ("update public.user_roles set role_name = 'admin' where user_id = %s", [me.id]),
        ("update public.user_roles set user_id = %s where role_name = 'admin'", [me.id]),
        ("update public.user_roles set granted_by = %s where user_id = %s", [admin.id, me.id]),
        ("delete from public.user_roles where user_id = %s", [admin.id]),
        ("delete from public.user_roles where user_id = %s", [me.id]),
        (
            "insert into public.user_permissions (user_id, permission, is_granted, reason) "
            "values (%s, 'manage:users', true, 'x')",
            [me.id],
        ),
        ("update public.user_permissions set is_granted = true where user_id = %s", [me.id]),
        ("delete from public.user_permissions where user_id = %s", [me.id]),
        ("insert into public.role_permissions (role_name, permission) values ('member', 'manage:users')", []),
        ("update public.role_permissions set role_name = 'member' where permission = 'manage:users'", []),
        ("delete from public.role_permissions where role_name = 'manager'", []),
        ("insert into public.roles (name, description) values ('king', 'k')", []),
        ("update public.roles set description = 'k' where name = 'member'", []),
        ("delete from public.roles where name = 'member'", []),
        ("truncate public.user_permissions", []),
        ("truncate public.user_roles", []),
        ("truncate public.role_permissions", []),
        ("truncate public.roles cascade", []),
    ]
    before = snapshot(db)
    for statement, arguments in attempts:
        with refused("forbidden"), as_user(db, me):
            db.execute(statement.encode(), arguments)
    with refused("forbidden"), as_role(db, "anon"):
        db.execute("insert into public.user_roles (user_id, role_name) values (%s, 'admin')", [me.id])
    assert snapshot(db) == before


def test_a_careless_definer_function_gives_no_one_power(
    db: psycopg.Connection[Any], world: World, refused: Any
) -> None:
    db.execute(
        "create function public.oops(p_role text) returns void language sql security definer set search_path = '' as "
        "$$ insert into public.user_roles (user_id, role_name) values (auth.uid(), p_role) $$"
    )
    db.execute(
        "create function public.oops_too() returns void language sql security definer set search_path = '' as "
        "$$ delete from public.user_roles where role_name = 'admin' $$"
    )
    db.execute("grant execute on function public.oops(text), public.oops_too() to authenticated")
    me = world.user(None)
    world.user("admin")
    with refused("forbidden"), as_user(db, me):
        db.execute("select public.oops('admin')")
    with refused("forbidden"), as_user(db, me):
        db.execute("select public.oops_too()")


def test_user_managers_do_all_of_it(
    db: psycopg.Connection[Any], world: World, rest: Rest, rows: Callable[..., Any]
) -> None:
    admin, person = world.user("admin"), world.user("member")
    them = str(person.id)
    granted = rest.post("/rpc/grant_role", {"p_user_id": them, "p_role_name": "staff", "p_reason": "hired"}, user=admin)
    assert granted.status_code == 200, granted.text
    assert granted.json()["granted_by"] == str(admin.id)
    assert len(rest.get("/user_profiles?select=id", user=person).json()) == 2

    denied = {"p_user_id": them, "p_permission": "read:contact", "p_reason": "on probation", "p_is_granted": False}
    assert rest.post("/rpc/grant_permission", denied, user=admin).json()["is_granted"] is False
    assert len(rest.get("/user_profiles?select=id", user=person).json()) == 1
    reset = {"p_user_id": them, "p_permission": "read:contact"}
    assert rest.post("/rpc/revoke_permission", reset, user=admin).status_code == 200

    role = {"name": "accountant", "description": "Counts."}
    assert rest.post("/roles", role, user=admin).status_code == 201
    assert rest.patch("/roles?name=eq.accountant", {"description": "Counts twice."}, user=admin).json() != []
    pair = {"role_name": "accountant", "permission": "read:analytics"}
    assert rest.post("/role_permissions", pair, user=admin).status_code == 201
    where = "role_name=eq.accountant&permission=eq.read:analytics"
    assert rest.patch(f"/role_permissions?{where}", {"is_granted": False}, user=admin).json()[0]["is_granted"] is False
    assert len(rest.delete(f"/role_permissions?{where}", user=admin).json()) == 1
    assert len(rest.delete("/roles?name=eq.accountant", user=admin).json()) == 1
    revoke = {"p_user_id": them, "p_role_name": "staff"}
    assert rest.post("/rpc/revoke_role", revoke, user=admin).status_code == 200
    assert rows("select role_name from public.user_roles where user_id = %s", person.id) == [("member",)]


def test_a_server_may_write_directly(world: World, rest: Rest, rows: Callable[..., Any]) -> None:
    person = world.user("member")
    row = {"user_id": str(person.id), "role_name": "staff"}
    assert rest.post("/user_roles", row, user="service_role").status_code == 201
    assert rest.delete(f"/user_roles?user_id=eq.{person.id}&role_name=eq.staff", user="service_role").status_code == 200
    assert rows("select role_name from public.user_roles where user_id = %s", person.id) == [("member",)]


def test_a_grant_is_signed_by_who_makes_it(db: psycopg.Connection[Any], world: World, rows: Callable[..., Any]) -> None:
    admin, other, person = world.user("admin"), world.user("admin"), world.user("member")
    db.execute("grant insert on public.user_roles, public.user_permissions to authenticated")
    db.execute("create policy p on public.user_roles for insert to authenticated with check (true)")
    db.execute("create policy p on public.user_permissions for insert to authenticated with check (true)")
    with as_user(db, admin):
        db.execute(
            "insert into public.user_roles (user_id, role_name, granted_by, granted_at) values (%s, 'staff', %s, '1999-01-01')",
            [person.id, other.id],
        )
        db.execute(
            "insert into public.user_permissions (user_id, permission, is_granted, reason, granted_by, granted_at) "
            "values (%s, 'read:contact', true, 'x', %s, '1999-01-01')",
            [person.id, other.id],
        )
    for table in ("user_roles", "user_permissions"):
        [(by, fresh)] = rows(
            f"select granted_by, granted_at > private.now() - interval '1 hour' from public.{table} "
            "where user_id = %s and granted_by is not null",
            person.id,
        )
        assert (by, fresh) == (admin.id, True)


@pytest.mark.parametrize("who", ["owner", "admin", "service_role"])
def test_nobody_takes_anything_from_admin(db: psycopg.Connection[Any], world: World, refused: Any, who: str) -> None:
    admin = world.user("admin")
    statements = [
        "delete from public.role_permissions where role_name = 'admin' and permission = 'read:contact'",
        "update public.role_permissions set is_granted = false where role_name = 'admin' and permission = 'read:contact'",
        "delete from public.roles where name = 'member'",
    ]
    if who != "admin":
        statements += [
            "update public.role_permissions set role_name = 'member' where role_name = 'admin' and permission = 'a:b'",
            "update public.roles set name = 'boss' where name = 'admin'",
            "update public.roles set is_builtin = false where name = 'admin'",
        ]
        db.execute("insert into public.permissions (name, module, description) values ('a:b', 'm', 'd')")
    for statement in statements:
        with refused("forbidden"):
            if who == "owner":
                db.execute(statement.encode())
            else:
                with as_user(db, admin) if who == "admin" else as_role(db, "service_role"):
                    db.execute(statement.encode())


def test_a_permission_that_is_removed_takes_its_rows_along(
    db: psycopg.Connection[Any], rows: Callable[..., Any]
) -> None:
    db.execute("insert into public.permissions (name, module, description) values ('a:b', 'm', 'd')")
    db.execute("delete from public.permissions where name = 'a:b'")
    assert rows("select from public.role_permissions where permission = 'a:b'") == []


def test_shipped_permissions_are_switched_off_not_deleted(
    db: psycopg.Connection[Any], world: World, rest: Rest, rows: Callable[..., Any]
) -> None:
    admin = world.user("admin")
    where = "role_name=eq.manager&permission=eq.bulk:assignment"
    refused = rest.delete(f"/role_permissions?{where}", user=admin)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert rest.patch(f"/role_permissions?{where}", {"is_granted": False}, user=admin).status_code == 200
    manager = world.user("manager")
    with as_user(db, manager):
        assert db.execute("select private.has_permission('bulk:assignment')").fetchone() == (False,)
    pair = ("manager", "bulk:assignment")
    db.execute("delete from public.role_permissions where (role_name, permission) = (%s, %s)", pair)
    assert rows("select from public.role_permissions where (role_name, permission) = (%s, %s)", *pair) == []


def test_who_sees_what(world: World, rest: Rest, db: psycopg.Connection[Any]) -> None:
    admin, manager, member = world.user("admin"), world.user("manager"), world.user("member")
    db.execute(
        "insert into public.user_permissions (user_id, permission, is_granted, reason) values "
        "(%s, 'read:contact', true, 'x'), (%s, 'read:contact', true, 'x')",
        [manager.id, member.id],
    )

    def count(path: str, user: User | str | None) -> int | None:
        answer = rest.get(path, user=user)
        return len(answer.json()) if answer.status_code == 200 else None

    for table, seen in {
        "user_roles": {"admin": 5, "manager": 2, "member": 1},
        "user_permissions": {"admin": 2, "manager": 1, "member": 1},
    }.items():
        assert count(f"/{table}", admin) == seen["admin"], table
        assert count(f"/{table}", manager) == seen["manager"]
        assert count(f"/{table}", member) == seen["member"]
        assert count(f"/{table}", None) is None
        assert count(f"/{table}", "service_role") == seen["admin"]
    assert (count("/access_changes", admin) or 0) > 5
    assert count("/access_changes", manager) == 0
    assert count("/access_changes", None) is None
    for table in ("roles", "role_permissions"):
        assert count(f"/{table}", member) == count(f"/{table}", admin)
        assert count(f"/{table}", None) is None
