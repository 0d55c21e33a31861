"""The custom access token hook for Supabase Auth."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.world import World


def run(connection: psycopg.Connection[Any], event: Any) -> Any:
    row = connection.execute("select public.custom_access_token_hook(%s)", [Jsonb(event)]).fetchone()
    assert row is not None
    return row[0]


def event(user_id: Any, **app_metadata: Any) -> dict[str, Any]:
    claims = {"sub": str(user_id), "role": "authenticated", "app_metadata": app_metadata, "aal": "aal1"}
    return {"user_id": str(user_id), "claims": claims, "authentication_method": "password"}


@pytest.fixture
def auth(database: Database) -> psycopg.Connection[Any]:
    """A connection as the auth service."""
    connection = database.connect(admin=True)
    connection.execute("set session authorization supabase_auth_admin")
    return connection


def test_the_auth_service_gets_the_roles(auth: psycopg.Connection[Any], world: World) -> None:
    user = world.user("staff")
    asked = event(user.id, provider="email", roles=["admin"])
    answer = run(auth, asked)
    assert answer["claims"]["app_metadata"] == {"provider": "email", "roles": ["member", "staff"]}
    asked["claims"].pop("app_metadata")
    answer["claims"].pop("app_metadata")
    assert answer == asked, "everything else is passed on"


def test_somebody_who_left_gets_no_roles(
    auth: psycopg.Connection[Any], db: psycopg.Connection[Any], world: World
) -> None:
    user = world.user("staff")
    db.execute("update public.user_profiles set is_active = false where user_id = %s", [user.id])
    assert run(auth, event(user.id))["claims"]["app_metadata"] == {"roles": []}


@pytest.mark.parametrize("user_id", [uuid4(), "not an id", ""])
def test_an_unknown_login_gets_no_roles(auth: psycopg.Connection[Any], user_id: Any) -> None:
    assert run(auth, event(user_id))["claims"]["app_metadata"] == {"roles": []}


@pytest.mark.parametrize("odd", [{}, {"claims": 7}, {"claims": None}, [], "text"])
def test_an_event_without_claims_comes_back(auth: psycopg.Connection[Any], odd: Any) -> None:
    assert run(auth, odd) == odd


def test_odd_app_metadata_is_replaced(auth: psycopg.Connection[Any], world: World) -> None:
    user = world.user("staff")
    asked = event(user.id)
    asked["claims"]["app_metadata"] = "text"
    assert run(auth, asked)["claims"]["app_metadata"] == {"roles": ["member", "staff"]}


def test_nobody_else_runs_it(db: psycopg.Connection[Any], rest: Rest, world: World) -> None:
    for role in ("anon", "authenticated", "service_role", "authenticator"):
        row = db.execute(
            "select has_function_privilege(%s, 'public.custom_access_token_hook(jsonb)', 'execute'), "
            "has_function_privilege(%s, 'private.roles_for_token(text)', 'execute')",
            [role, role],
        ).fetchone()
        assert row == (False, False), role
    answer = rest.post("/rpc/custom_access_token_hook", {"event": event(uuid4())}, user=world.user("admin"))
    assert answer.status_code in (403, 404)


def test_what_the_hook_writes_is_what_the_rules_read(
    auth: psycopg.Connection[Any], db: psycopg.Connection[Any], world: World, rest: Rest
) -> None:
    db.execute("update public.settings set value = 'true' where key = 'roles_from_token'")
    user = world.user("staff")
    claims = run(auth, event(user.id))["claims"]
    db.execute("delete from public.user_roles where user_id = %s and role_name = 'staff'", [user.id])
    token = rest.token(user, **claims)
    answer = rest.get("/user_profiles?select=id", headers={"Authorization": f"Bearer {token}"})
    assert len(answer.json()) == 1
    [access] = rest.post("/rpc/current_access", headers={"Authorization": f"Bearer {token}"}).json()
    assert access["roles"] == ["member", "staff"]
