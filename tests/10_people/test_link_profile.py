"""An imported person gets a login and stays the same person."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.support.identity import User
from tests.support.server import Database
from tests.support.world import World

Call = Callable[..., Any]


@pytest.fixture
def imported(world: World) -> Any:
    return world.insert("public.user_profiles", full_name="Import Ed", phone="+919876543210")


def test_the_profile_keeps_its_id_and_gets_the_login(world: World, call: Call, rows: Call, imported: Any) -> None:
    admin, login = world.user("admin"), world.user("member", time_zone="Asia/Kolkata")
    [linked] = call(admin, "link_profile", p_profile_id=imported.id, p_user_id=login.id, p_reason="came to the desk")
    assert (linked["id"], linked["user_id"], linked["full_name"]) == (imported.id, login.id, "Import Ed")
    assert (linked["email"], linked["phone"], linked["time_zone"]) == (login.email, "+919876543210", "Asia/Kolkata")
    assert rows("select id from public.user_profiles where user_id = %s or id = %s", login.id, login.profile_id) == [
        (imported.id,)
    ]
    [access] = call(login, "current_access")
    assert (access["profile_id"], access["roles"]) == (imported.id, ["member"])
    assert rows(
        "select actor_id, subject_user_id, subject_profile_id, reason, details from public.access_changes "
        "where action = 'profile_linked'"
    ) == [(admin.id, login.id, imported.id, "came to the desk", {"replaced_profile_id": str(login.profile_id)})]


def test_what_hangs_on_the_profile_stays(
    db: psycopg.Connection[Any], world: World, call: Call, imported: Any, rows: Call
) -> None:
    db.execute("create table public.lessons (id int, teacher_id uuid not null references public.user_profiles (id))")
    db.execute("insert into public.lessons values (1, %s)", [imported.id])
    resource = rows("select id, profile_id from public.resources where id = %s", imported.id)
    assert len(resource) == 1, "somebody without a login is a resource already"
    login = world.user("member")
    call(world.user("admin"), "link_profile", p_profile_id=imported.id, p_user_id=login.id)
    assert rows("select teacher_id from public.lessons") == [(imported.id,)]
    assert rows("select id, profile_id from public.resources where id = %s", imported.id) == resource


def test_a_login_that_was_given_work_already_is_linked(world: World, call: Call, rows: Call, imported: Any) -> None:
    admin, login = world.user("admin"), world.user("instructor")
    assert rows("select count(*) from public.resources where id = %s", login.profile_id) == [(1,)]
    call(admin, "link_profile", p_profile_id=imported.id, p_user_id=login.id)
    assert rows("select id from public.resources where id in (%s, %s)", login.profile_id, imported.id) == [
        (imported.id,)
    ]


def test_a_login_with_a_timetable_of_its_own_is_not(
    db: psycopg.Connection[Any], world: World, call: Call, rows: Call, refused: Any, imported: Any
) -> None:
    admin, login = world.user("admin"), world.user("instructor")
    db.execute(
        "insert into public.weekly_rules (title, weekday, start_time, end_time, time_zone, effective) "
        "values ('Yoga', 1, '09:00', '10:00', 'UTC', daterange(private.today(), null))"
    )
    db.execute("insert into public.weekly_rule_resources select id, %s from public.weekly_rules", [login.profile_id])
    with refused("duplicate") as refusal:
        call(admin, "link_profile", p_profile_id=imported.id, p_user_id=login.id)
    assert refusal.details["used_by"].removeprefix("public.") in ("claims", "weekly_rule_resources")
    assert rows("select count(*) from public.claims where resource_id = %s", login.profile_id) > [(0,)]


@pytest.mark.parametrize("on_delete", ["no action", "restrict", "set null"])
def test_a_profile_that_is_in_use_is_not_thrown_away(
    db: psycopg.Connection[Any], world: World, call: Call, refused: Any, imported: Any, rows: Call, on_delete: str
) -> None:
    db.execute(
        "create table public.lessons (id int, teacher_id uuid references public.user_profiles (id) "
        f"on delete {on_delete})".encode()
    )
    login = world.user("member")
    db.execute("insert into public.lessons values (1, %s)", [login.profile_id])
    before = rows("select * from public.user_profiles order by id")
    with refused("duplicate") as refusal:
        call(world.user("admin"), "link_profile", p_profile_id=imported.id, p_user_id=login.id)
    assert refusal.details["used_by"].removeprefix("public.") == "lessons"
    assert refusal.details["profile_id"] == str(login.profile_id)
    assert rows("select * from public.user_profiles where full_name not like 'Admin%%' order by id") == before


def test_a_second_call_changes_nothing(world: World, call: Call, rows: Call, imported: Any) -> None:
    admin, login = world.user("admin"), world.user("member")
    asked = {"p_profile_id": imported.id, "p_user_id": login.id}
    first = call(admin, "link_profile", **asked, p_idempotency_key="k")
    assert call(admin, "link_profile", **asked, p_idempotency_key="k") == first
    assert call(admin, "link_profile", **asked) == first
    assert rows("select count(*) from public.access_changes where action = 'profile_linked'") == [(1,)]
    assert rows("select answer from private.idempotency_keys") == [({"id": str(imported.id)},)]


def refusals(world: World, imported: Any) -> dict[str, tuple[UUID | None, UUID | None, str, str]]:
    other = world.user("member")
    assert other.profile_id is not None
    free = world.user("member")
    return {
        "no such person": (uuid4(), free.id, "not_found", "p_profile_id"),
        "no such login": (imported.id, uuid4(), "not_found", "p_user_id"),
        "has another login": (other.profile_id, free.id, "duplicate", "p_profile_id"),
        "no person": (None, free.id, "invalid_input", "p_profile_id"),
        "no login": (imported.id, None, "invalid_input", "p_user_id"),
    }


@pytest.mark.parametrize("case", ["no such person", "no such login", "has another login", "no person", "no login"])
def test_what_makes_no_sense_is_named(world: World, call: Call, refused: Any, imported: Any, case: str) -> None:
    profile_id, user_id, code, field = refusals(world, imported)[case]
    with refused(code) as refusal:
        call(world.user("admin"), "link_profile", p_profile_id=profile_id, p_user_id=user_id)
    assert refusal.details["field"] == field


def test_an_erased_person_is_not_brought_back(world: World, call: Call, refused: Any, imported: Any) -> None:
    admin, login = world.user("admin"), world.user("member")
    call(admin, "erase_person", p_profile_id=imported.id, p_reason="asked for it")
    with refused("illegal_transition"):
        call(admin, "link_profile", p_profile_id=imported.id, p_user_id=login.id)


def test_two_logins_wanting_one_profile(
    database: Database, db: psycopg.Connection[Any], world: World, imported: Any
) -> None:
    first, second = world.user("member"), world.user("member")
    ahead, behind = database.connect(autocommit=False), database.connect(autocommit=False)
    ahead.execute("select public.link_profile(%s, %s)", [imported.id, first.id])
    outcome: list[psycopg.Error] = []

    def follow() -> None:
        try:
            behind.execute("select public.link_profile(%s, %s)", [imported.id, second.id])
        except psycopg.Error as error:
            outcome.append(error)

    follower = threading.Thread(target=follow)
    follower.start()
    while db.execute("select pg_blocking_pids(%s)", [behind.info.backend_pid]).fetchone() == ([],):
        assert follower.is_alive() or outcome == [], "it did not wait"
    ahead.commit()
    follower.join(30)
    behind.rollback()
    [error] = outcome
    assert '"duplicate"' in str(error)
    assert db.execute("select user_id from public.user_profiles where id = %s", [imported.id]).fetchone() == (first.id,)
    assert isinstance(second, User)
