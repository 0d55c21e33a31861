"""The fixtures themselves: fresh databases, and acting as somebody as PostgREST does."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support.identity import User
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.world import World

_SEEN = """
select current_user::text as role, current_setting('role') as acting,
  current_setting('request.jwt.claims', true)::jsonb as claims,
  current_setting('request.method', true) as method, current_setting('request.path', true) as path
"""


def test_every_test_has_a_database_of_its_own(database: Database, db: psycopg.Connection[Any]) -> None:
    db.execute("create table public.left_behind ()")
    again = database.server.create_database("classbase_template")
    try:
        row = again.connect().execute("select to_regclass('public.left_behind')").fetchone()
        assert row == (None,)
    finally:
        again.drop()


def test_the_owner_is_no_superuser(db: psycopg.Connection[Any]) -> None:
    row = db.execute("select rolsuper from pg_roles where rolname = current_user").fetchone()
    assert row == (False,)


def test_acting_as_a_user_equals_what_postgrest_sets(
    database: Database, db: psycopg.Connection[Any], world: World, as_user: Any
) -> None:
    db.execute(f"create function public.seen() returns jsonb language sql as $$select to_jsonb(s) from ({_SEEN}) s$$")
    db.execute("grant execute on function public.seen() to authenticated")
    user = world.user("member")
    with Rest.serve(database) as rest:
        over_rest = rest.post("/rpc/seen", user=user).json()
    with as_user(db, user, path="/rpc/seen") as acting:
        direct = acting.cursor(row_factory=dict_row).execute(_SEEN).fetchone()
    over_rest["claims"].pop("exp")
    assert direct == over_rest


def test_acting_ends_with_the_block(db: psycopg.Connection[Any], as_role: Any) -> None:
    def who() -> tuple[Any, ...] | None:
        return db.execute("select current_user::text, current_setting('request.jwt.claims', true)").fetchone()

    with db.transaction():
        before = who()
        with as_role(db, "anon"):
            with as_role(db, "service_role"):
                assert who() == ("service_role", '{"role": "service_role"}')
            assert who() == ("anon", '{"role": "anon"}')
            with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role(db, "authenticated"):
                db.execute("create table public.not_mine ()")
            assert who() == ("anon", '{"role": "anon"}')
        after = who()
    assert before is not None
    assert after == (before[0], "")


def test_a_user_has_a_profile_and_the_role(world: World, db: psycopg.Connection[Any]) -> None:
    user = world.user("manager", full_name="Mina Rao")
    assert isinstance(user, User)
    rows = db.execute(
        "select p.full_name, r.role_name from public.user_profiles p join public.user_roles r using (user_id) "
        "where p.id = %s order by 2",
        [user.profile_id],
    ).fetchall()
    assert rows == [("Mina Rao", "manager"), ("Mina Rao", "member")]
