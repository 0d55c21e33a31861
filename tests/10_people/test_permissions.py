"""private.has_permission is the only place that decides: roles, exceptions, deactivation, tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.identity import User, as_role, as_user
from tests.support.world import World

MATRIX = {
    "manager": {
        "create:assignment", "read:assignment", "update:assignment", "delete:assignment", "bulk:assignment",
        "read:analytics", "read:contact", "read:diagnostics",
    },
    "instructor": {"read:assignment", "update:own_assignment", "read:own_analytics"},
    "staff": {"create:assignment", "read:assignment", "update:assignment", "read:contact"},
    "member": set(),
}  # fmt: skip
ONLY_ADMIN = {"manage:users", "manage:settings"}


def holds(db: psycopg.Connection[Any], user: User, permission: str) -> bool:
    with as_user(db, user):
        row = db.execute("select private.has_permission(%s)", [permission]).fetchone()
    assert row is not None
    return bool(row[0])


def has_role(db: psycopg.Connection[Any], user: User, role: str) -> bool:
    with as_user(db, user):
        row = db.execute("select private.has_role(%s)", [role]).fetchone()
    assert row is not None
    return bool(row[0])


def decide(
    db: psycopg.Connection[Any], user: User, permission: str, granted: bool, expires_at: str | None = None
) -> None:
    db.execute(
        "insert into public.user_permissions (user_id, permission, is_granted, reason, granted_at, expires_at) "
        "values (%s, %s, %s, 'test', private.now() - interval '1 day', private.now() + %s::interval)",
        [user.id, permission, granted, expires_at],
    )


@pytest.mark.parametrize("role", ["admin", *MATRIX])
def test_the_matrix(db: psycopg.Connection[Any], world: World, call: Callable[..., Any], role: str) -> None:
    user = world.user(role)
    [access] = call(user, "current_access")
    everything = {name for (name,) in db.execute("select name from public.permissions")}
    mine = set[str]().union(*MATRIX.values()) | ONLY_ADMIN
    assert mine <= everything
    assert set(access["permissions"]) & mine == (mine if role == "admin" else MATRIX[role])
    assert role != "admin" or set(access["permissions"]) == everything
    assert role == "admin" or not ONLY_ADMIN & set(access["permissions"])
    assert access["user_id"] == user.id
    assert access["profile_id"] == user.profile_id
    assert set(access["roles"]) == {"member", role}


def test_current_access_agrees_with_has_permission(
    db: psycopg.Connection[Any], world: World, call: Callable[..., Any]
) -> None:
    users = [world.user(role) for role in ("admin", "manager", "instructor", "staff", "member", None)]
    decide(db, users[4], "read:contact", True)
    decide(db, users[1], "read:contact", False)
    names = [name for (name,) in db.execute("select name from public.permissions order by 1")]
    roles = [name for (name,) in db.execute("select name from public.roles order by 1")]
    for user in users:
        [access] = call(user, "current_access")
        assert access["permissions"] == [name for name in names if holds(db, user, name)]
        assert access["roles"] == [name for name in roles if has_role(db, user, name)]


def test_nobody_in_particular_has_no_access(call: Callable[..., Any], db: psycopg.Connection[Any]) -> None:
    for role in ("anon", "authenticated", "service_role"):
        assert call(role, "current_access") == []
    for role, expected in (("anon", False), ("authenticated", False), ("service_role", True)):
        with as_role(db, role):
            row = db.execute("select private.has_permission('manage:users'), private.has_role('admin')").fetchone()
            assert row == (expected, False)
    row = db.execute("select private.has_permission('manage:users'), private.has_role('admin')").fetchone()
    assert row == (True, False), "the owner may do everything but is no admin"


@pytest.mark.parametrize(
    ("role", "granted", "expires", "expected"),
    [
        ("member", True, None, True),
        ("member", True, "1 hour", True),
        ("member", True, "-1 hour", False),
        ("staff", False, None, False),
        ("staff", False, "1 hour", False),
        ("staff", False, "-1 hour", True),
        ("member", False, None, False),
    ],
)
def test_what_was_decided_for_one_person_beats_their_roles(
    db: psycopg.Connection[Any], world: World, role: str, granted: bool, expires: str | None, expected: bool
) -> None:
    user, other = world.user(role), world.user(role)
    before = holds(db, user, "read:contact")
    decide(db, user, "read:contact", granted, expires)
    assert holds(db, user, "read:contact") is expected
    assert holds(db, other, "read:contact") is before
    assert holds(db, user, "read:analytics") is False


def test_somebody_who_left_may_do_nothing(db: psycopg.Connection[Any], world: World, call: Callable[..., Any]) -> None:
    world.user("admin")
    user = world.user("admin")
    decide(db, user, "read:contact", True)
    db.execute("update public.user_profiles set is_active = false where id = %s", [user.profile_id])
    assert not holds(db, user, "read:contact")
    assert not has_role(db, user, "admin")
    [access] = call(user, "current_access")
    assert (access["roles"], access["permissions"]) == ([], [])


def test_a_permission_that_does_not_exist_is_held_by_nobody(db: psycopg.Connection[Any], world: World) -> None:
    assert not holds(db, world.user("admin"), "fly:aeroplane")


def test_a_permission_registered_later_is_admins_at_once(db: psycopg.Connection[Any], world: World) -> None:
    admin, manager = world.user("admin"), world.user("manager")
    statement = (
        "insert into public.permissions (name, module, description) values ('fly:kite', '99_sky', 'Kites.') "
        "on conflict (name) do update set description = excluded.description"
    )
    for _ in range(2):
        db.execute(statement)
        assert holds(db, admin, "fly:kite")
        assert not holds(db, manager, "fly:kite")


def test_what_an_organisation_took_from_a_role_stays_taken(
    db: psycopg.Connection[Any], world: World, reference: str
) -> None:
    manager = world.user("manager")
    db.execute(
        "update public.role_permissions set is_granted = false "
        "where (role_name, permission) = ('manager', 'bulk:assignment')"
    )
    assert not holds(db, manager, "bulk:assignment")
    db.execute(reference.encode())
    assert not holds(db, manager, "bulk:assignment")


def test_roles_in_the_token_count_only_where_a_setting_says_so(db: psycopg.Connection[Any], world: World) -> None:
    plain = world.user("member")
    claims = {"roles": ["staff", "no_such_role"]}
    user = User(plain.id, plain.email, plain.full_name, plain.role, plain.profile_id, claims)
    assert not holds(db, user, "read:contact")
    assert not has_role(db, user, "staff")

    db.execute("update public.settings set value = 'true' where key = 'roles_from_token'")
    assert holds(db, user, "read:contact")
    assert has_role(db, user, "staff")
    assert has_role(db, user, "member"), "the roles granted here count as well"
    assert not has_role(db, user, "no_such_role")
    assert not holds(db, user, "read:analytics")

    decide(db, user, "read:contact", False)
    assert not holds(db, user, "read:contact"), "a denial is stronger than a token"
    db.execute("update public.user_profiles set is_active = false where id = %s", [user.profile_id])
    assert not holds(db, user, "create:assignment")


@pytest.mark.parametrize("claim", [None, "admin", {"admin": True}, [1, None, ["admin"]], 7])
def test_malformed_roles_in_a_token_give_nothing(db: psycopg.Connection[Any], world: World, claim: Any) -> None:
    db.execute("update public.settings set value = 'true' where key = 'roles_from_token'")
    plain = world.user("member")
    user = User(plain.id, plain.email, plain.full_name, plain.role, plain.profile_id, {"roles": claim})
    assert not holds(db, user, "manage:users")


def test_require_permission_says_what_is_missing(db: psycopg.Connection[Any], world: World, refused: Any) -> None:
    with refused("forbidden") as refusal, as_user(db, world.user("member")):
        db.execute("select private.require_permission('read:contact')")
    assert refusal.details == {"permission": "read:contact"}
    with as_user(db, world.user("staff")):
        db.execute("select private.require_permission('read:contact')")


def test_in_a_policy_it_runs_once_a_statement(db: psycopg.Connection[Any], world: World) -> None:
    """The cost must not grow with the table: what is read beyond a plain scan stays the same."""
    db.execute("insert into public.user_profiles (full_name) select 'Person ' || i from generate_series(1, 3000) i")
    db.execute("analyze public.user_profiles")
    for user in (world.user("staff"), world.user("member")):
        with as_user(db, user):
            plan = db.execute(
                "explain (analyze, format json, timing off) select * from public.user_profiles"
            ).fetchone()
        assert plan is not None
        parts = plan[0][0]["Plan"]["Plans"]
        asked = [part for part in parts if part.get("Parent Relationship") == "InitPlan"]
        assert len(asked) == 2
        assert all(part["Actual Loops"] <= 1 for part in asked)
        assert "has_permission" not in plan[0][0]["Plan"]["Filter"]


def test_a_role_of_ones_own(db: psycopg.Connection[Any], world: World) -> None:
    db.execute("insert into public.roles (name, description) values ('accountant', 'Counts.')")
    db.execute("insert into public.role_permissions (role_name, permission) values ('accountant', 'read:analytics')")
    user = world.user("accountant")
    assert holds(db, user, "read:analytics")
    assert has_role(db, user, "accountant")


def test_the_computed_column(world: World, rest: Any) -> None:
    user = world.user("instructor")
    answer = rest.get("/user_roles?select=role_name,permissions&order=role_name", user=user).json()
    assert answer == [
        {"role_name": "instructor", "permissions": sorted(MATRIX["instructor"] | {"read:student", "update:own_class"})},
        {"role_name": "member", "permissions": []},
    ]
