"""Every change of access is kept: who, what, to whom, why, when. And only ever added to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.identity import as_role
from tests.support.world import World


@pytest.fixture
def since(db: psycopg.Connection[Any]) -> Callable[[], list[dict[str, Any]]]:
    """What was recorded since the test began asking."""

    def newest() -> int:
        row = db.execute("select coalesce(max(id), 0) from public.access_changes").fetchone()
        assert row is not None
        return int(row[0])

    seen = [newest()]

    def run() -> list[dict[str, Any]]:
        found = db.execute(
            "select to_jsonb(c) - '{id,at}'::text[] from public.access_changes c where id > %s order by id", seen
        ).fetchall()
        seen[0] = newest()
        return [row[0] for row in found]

    return run


def facts(change: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(change[name] for name in names)


def test_grants_and_revocations(world: World, call: Callable[..., Any], since: Callable[[], Any]) -> None:
    admin, person = world.user("admin"), world.user("member")
    since()
    call(admin, "grant_role", p_user_id=person.id, p_role_name="staff", p_reason="  hired on Monday ")
    call(admin, "grant_role", p_user_id=person.id, p_role_name="staff", p_reason="again")
    call(admin, "grant_permission", p_user_id=person.id, p_permission="read:analytics", p_reason="audit")
    call(
        admin,
        "grant_permission",
        p_user_id=person.id,
        p_permission="read:analytics",
        p_reason="over",
        p_is_granted=False,
    )
    call(admin, "revoke_permission", p_user_id=person.id, p_permission="read:analytics")
    call("service_role", "revoke_role", p_user_id=person.id, p_role_name="staff", p_reason="left")
    changes = since()
    assert [facts(c, "action", "role_name", "permission", "reason") for c in changes] == [
        ("role_granted", "staff", None, "hired on Monday"),
        ("permission_granted", None, "read:analytics", "audit"),
        ("permission_denied", None, "read:analytics", "over"),
        ("permission_reset", None, "read:analytics", None),
        ("role_revoked", "staff", None, "left"),
    ]
    assert {facts(c, "subject_user_id", "subject_profile_id") for c in changes} == {
        (str(person.id), str(person.profile_id))
    }
    assert [facts(c, "actor_id", "actor_role") for c in changes] == [
        *[(str(admin.id), "authenticated")] * 4,
        (None, "service_role"),
    ]


def test_plain_sql_is_recorded_too(db: psycopg.Connection[Any], world: World, since: Callable[[], Any]) -> None:
    person = world.user("member")
    since()
    with db.transaction():
        db.execute("set local classbase.reason = 'by hand'")
        db.execute("insert into public.user_roles (user_id, role_name) values (%s, 'staff')", [person.id])
        db.execute("update public.user_roles set role_name = 'manager' where role_name = 'staff'")
    db.execute("delete from public.user_roles where role_name = 'manager'")
    changes = since()
    assert [facts(c, "action", "role_name", "reason") for c in changes] == [
        ("role_granted", "staff", "by hand"),
        ("role_revoked", "staff", "by hand"),
        ("role_granted", "manager", "by hand"),
        ("role_revoked", "manager", None),
    ]
    assert {c["actor_role"] for c in changes} == {"project_owner"}


def test_what_roles_mean_is_recorded(db: psycopg.Connection[Any], since: Callable[[], Any]) -> None:
    since()
    db.execute("insert into public.roles (name, description) values ('guard', 'Guards.')")
    db.execute("update public.roles set description = 'Guards at night.' where name = 'guard'")
    db.execute("update public.roles set description = description")
    db.execute("insert into public.role_permissions (role_name, permission) values ('guard', 'read:contact')")
    db.execute("update public.role_permissions set is_granted = false where role_name = 'guard'")
    db.execute("update public.role_permissions set is_granted = true where role_name = 'guard'")
    db.execute("delete from public.roles where name = 'guard'")
    changes = since()
    assert [facts(c, "action", "role_name", "permission") for c in changes] == [
        ("role_created", "guard", None),
        ("role_changed", "guard", None),
        ("role_permission_granted", "guard", "read:contact"),
        ("role_permission_withdrawn", "guard", "read:contact"),
        ("role_permission_granted", "guard", "read:contact"),
        ("role_removed", "guard", None),
        ("role_permission_withdrawn", "guard", "read:contact"),
    ]
    assert changes[1]["details"]["before"]["description"] == "Guards."
    assert changes[1]["details"]["after"]["description"] == "Guards at night."


def test_a_deleted_login_leaves_its_history(
    db: psycopg.Connection[Any], world: World, since: Callable[[], Any]
) -> None:
    granter, person = world.user("admin"), world.user("admin")
    db.execute("update public.user_roles set granted_by = %s where user_id = %s", [granter.id, person.id])
    since()
    db.execute("delete from auth.users where id = %s", [granter.id])
    changes = since()
    assert {c["action"] for c in changes} == {"role_revoked"}
    assert {c["subject_user_id"] for c in changes} == {str(granter.id)}
    assert db.execute("select distinct granted_by from public.user_roles").fetchall() == [(None,)]


def test_a_refused_change_is_not_recorded(
    world: World, call: Callable[..., Any], since: Callable[[], Any], refused: Any
) -> None:
    admin, member = world.user("admin"), world.user("member")
    since()
    with refused("forbidden"):
        call(member, "grant_role", p_user_id=member.id, p_role_name="admin")
    with refused("forbidden"):
        call(admin, "revoke_role", p_user_id=admin.id, p_role_name="admin")
    with refused("not_found"):
        call(admin, "revoke_role", p_user_id=member.id, p_role_name="staff")
    assert since() == []


@pytest.mark.parametrize(
    "statement",
    [
        "update public.access_changes set reason = 'nothing happened'",
        "delete from public.access_changes",
        "truncate public.access_changes",
    ],
)
def test_history_is_only_added_to(db: psycopg.Connection[Any], world: World, refused: Any, statement: str) -> None:
    world.user("admin")
    count = db.execute("select count(*) from public.access_changes").fetchone()
    with refused("forbidden"):
        db.execute(statement.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role(db, "service_role"):
        db.execute(statement.encode())
    assert db.execute("select count(*) from public.access_changes").fetchone() == count
