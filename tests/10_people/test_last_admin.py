"""There is always an able admin, whichever way one is taken away, also two at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from tests.support.identity import as_user
from tests.support.server import Database
from tests.support.world import World

ABLE = """
select r.user_id from public.user_roles r where r.role_name = 'admin' and private.is_able_admin(r.user_id)
"""

WAYS = {
    "revoked": "select public.revoke_role('{id}', 'admin')",
    "denied": "select public.grant_permission('{id}', 'manage:users', 'x', false)",
    "denied for a day": "select public.grant_permission('{id}', 'manage:users', 'x', false, private.now() + interval '1 day')",
    "deactivated": "update public.user_profiles set is_active = false where user_id = '{id}'",
    "erased": "select public.erase_person((select id from public.user_profiles where user_id = '{id}'), 'x')",
}
OWNERS_WAYS = {
    "row deleted": "delete from public.user_roles where role_name = 'admin' and user_id = '{id}'",
    "row given another role": "update public.user_roles set role_name = 'staff' where role_name = 'admin' and user_id = '{id}'",
    "login deleted": "delete from auth.users where id = '{id}'",
    "all rows deleted": "delete from public.user_roles where user_id = '{id}'",
}


@pytest.mark.parametrize("way", [*WAYS, *OWNERS_WAYS])
def test_the_last_admin_stays(db: psycopg.Connection[Any], world: World, refused: Any, way: str) -> None:
    last = world.user("admin")
    statement = {**WAYS, **OWNERS_WAYS}[way].format(id=last.id)
    with refused("forbidden") as refusal:
        db.execute(statement.encode())
    assert "last admin" in refusal.message
    if way in WAYS:
        with refused("forbidden"), as_user(db, last):
            db.execute(statement.encode())
    assert db.execute(ABLE).fetchall() == [(last.id,)]


@pytest.mark.parametrize("way", [*WAYS, *OWNERS_WAYS])
def test_the_last_but_one_may_go(db: psycopg.Connection[Any], world: World, way: str) -> None:
    going, last = world.user("admin"), world.user("admin")
    db.execute({**WAYS, **OWNERS_WAYS}[way].format(id=going.id).encode())
    assert db.execute(ABLE).fetchall() == [(last.id,)]


def test_the_unable_do_not_count(db: psycopg.Connection[Any], world: World, refused: Any) -> None:
    able, left, denied = world.user("admin"), world.user("admin"), world.user("admin")
    db.execute("update public.user_profiles set is_active = false where id = %s", [left.profile_id])
    db.execute("select public.grant_permission(%s, 'manage:users', 'x', false)", [denied.id])
    for statement in {**WAYS, **OWNERS_WAYS}.values():
        with refused("forbidden"):
            db.execute(statement.format(id=able.id).encode())
    db.execute("update public.user_profiles set is_active = true where id = %s", [left.profile_id])
    db.execute(WAYS["revoked"].format(id=able.id).encode())


def test_all_at_once_stay(db: psycopg.Connection[Any], world: World, refused: Any) -> None:
    for _ in range(3):
        world.user("admin")
    with refused("forbidden"):
        db.execute("delete from public.user_roles where role_name = 'admin'")
    with refused("forbidden"):
        db.execute("delete from auth.users")
    with refused("forbidden"):
        db.execute("update public.user_profiles set is_active = false")
    with refused("forbidden"):
        db.execute("truncate public.user_roles")
    assert len(db.execute(ABLE).fetchall()) == 3


def test_other_peoples_roles_come_and_go_without_an_admin(db: psycopg.Connection[Any], world: World) -> None:
    staff = world.user("staff")
    for way in ("revoked", "denied", "deactivated", "erased"):
        db.execute(WAYS[way].format(id=staff.id).replace("'admin'", "'staff'").encode())
    assert db.execute("select from public.user_roles where user_id = %s", [staff.id]).fetchall() == []


def test_an_imported_person_who_left_cannot_be_linked_to_the_last_admin(
    db: psycopg.Connection[Any], world: World, refused: Any
) -> None:
    last = world.user("admin")
    gone = world.insert("public.user_profiles", full_name="Left Long Ago", is_active=False)
    with refused("forbidden") as refusal:
        db.execute("select public.link_profile(%s, %s)", [gone.id, last.id])
    assert "last admin" in refusal.message


RACES = [
    ("revoked", "revoked"),
    ("revoked", "deactivated"),
    ("denied", "row deleted"),
    ("login deleted", "revoked"),
    ("erased", "denied"),
]


@pytest.mark.parametrize(("first", "second"), RACES)
@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_two_at_once_do_not_remove_each_other(
    database: Database, db: psycopg.Connection[Any], world: World, first: str, second: str, isolation: str
) -> None:
    one, other = world.user("admin"), world.user("admin")
    ways = {**WAYS, **OWNERS_WAYS}
    outcome: list[BaseException | None] = []
    ahead, behind = database.connect(autocommit=False), database.connect(autocommit=False)
    behind.execute(f"set transaction isolation level {isolation}")
    behind.execute(ABLE)  # takes the snapshot of a stricter transaction before the first one is done
    ahead.execute(ways[first].format(id=one.id).encode())

    def follow() -> None:
        try:
            behind.execute(ways[second].format(id=other.id).encode())
            behind.commit()
            outcome.append(None)
        except psycopg.Error as error:
            behind.rollback()
            outcome.append(error)

    follower = threading.Thread(target=follow)
    follower.start()
    wait_until_blocked(db, behind)
    ahead.commit()
    follower.join(30)
    assert len(db.execute(ABLE).fetchall()) == 1
    [error] = outcome
    assert isinstance(error, psycopg.Error)
    # The owner's transaction at a stricter level is told by Postgres itself; API calls run at read committed.
    assert error.sqlstate == ("PGRST" if isolation == "read committed" else "40001")


def test_the_race_is_real(database: Database, db: psycopg.Connection[Any], world: World) -> None:
    """Without touching the common row, both count the other one and both go."""
    db.execute(
        "create or replace function private.require_an_admin() returns void language plpgsql as $$ begin "
        "if not exists (select from public.user_roles r where r.role_name = 'admin' and private.is_able_admin(r.user_id))"
        " then perform private.fail('forbidden', 'The last admin stays'); end if; end $$"
    )
    one, other = world.user("admin"), world.user("admin")
    ahead, behind = database.connect(autocommit=False), database.connect(autocommit=False)
    ahead.execute(WAYS["revoked"].format(id=one.id).encode())
    behind.execute(WAYS["revoked"].format(id=other.id).encode())
    ahead.commit()
    behind.commit()
    assert db.execute(ABLE).fetchall() == []


def wait_until_blocked(db: psycopg.Connection[Any], waiting: psycopg.Connection[Any]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        row = db.execute("select cardinality(pg_blocking_pids(%s)) > 0", [waiting.info.backend_pid]).fetchone()
        if row == (True,):
            return
        time.sleep(0.01)
    raise AssertionError("the second transaction never waited for the first")


def test_the_first_admin_is_made_by_the_owner(world: World, call: Callable[..., Any], refused: Any) -> None:
    first, second = world.user("member"), world.user("member")
    with refused("forbidden"):
        call(first, "grant_role", p_user_id=first.id, p_role_name="admin")
    [grant] = call(None, "grant_role", p_user_id=first.id, p_role_name="admin", p_reason="set up")
    assert (grant["role_name"], grant["granted_by"]) == ("admin", None)
    call("service_role", "grant_role", p_user_id=second.id, p_role_name="manager")
    call(first, "grant_role", p_user_id=second.id, p_role_name="admin")
