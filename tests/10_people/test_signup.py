"""Signing up makes a profile and gives the role member, whatever the sign-up carries."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests.support.server import Database


def sign_up(db: psycopg.Connection[Any], email: str | None, meta: Any = None, **columns: Any) -> UUID:
    user_id = uuid4()
    names = ["id", "email", "raw_user_meta_data", *columns]
    db.execute(
        f"insert into auth.users ({', '.join(names)}) values ({', '.join(['%s'] * len(names))})",
        [user_id, email, None if meta is None else Jsonb(meta), *columns.values()],
    )
    return user_id


def profile(db: psycopg.Connection[Any], user_id: UUID) -> tuple[Any, ...] | None:
    return db.execute(
        "select full_name, email, phone, time_zone, is_active from public.user_profiles where user_id = %s", [user_id]
    ).fetchone()


def roles(db: psycopg.Connection[Any], user_id: UUID) -> list[str]:
    found = db.execute("select role_name from public.user_roles where user_id = %s order by 1", [user_id])
    return [row[0] for row in found]


def test_a_new_login_has_a_profile_and_is_a_member(db: psycopg.Connection[Any]) -> None:
    user = sign_up(
        db, "Asha.Rao@Example.ORG", {"full_name": "  Asha\n Rao ", "time_zone": "Asia/Kolkata"}, phone="919876543210"
    )
    assert profile(db, user) == ("Asha Rao", "asha.rao@example.org", "+919876543210", "Asia/Kolkata", True)
    assert roles(db, user) == ["member"]


@pytest.mark.parametrize(
    ("email", "meta", "name"),
    [
        (None, None, "Unnamed"),
        ("no address at all", ["a", "list"], "Unnamed"),
        ("x@example.org", "a string", "Unnamed"),
        ("x@example.org", {"full_name": {"first": "A"}, "name": 7}, "Unnamed"),
        ("x@example.org", {"full_name": "\u0001\u0007 \t ", "name": "From elsewhere"}, "From elsewhere"),
        ("x@example.org", {"full_name": "n" * 5000, "time_zone": "Z" * 5000, "phone": "+" + "1" * 5000}, "n" * 200),
        ("x@example.org", {"full_name": "Ok", "time_zone": "Mars/Olympus", "phone": "call me"}, "Ok"),
    ],
)
def test_odd_data_never_stops_a_sign_up(db: psycopg.Connection[Any], email: str | None, meta: Any, name: str) -> None:
    user = sign_up(db, email, meta)
    made = profile(db, user)
    assert made is not None
    assert made[0] == name
    assert made[1] in (None, "x@example.org")
    assert made[2:] == (None, None, True)
    assert roles(db, user) == ["member"]


def test_the_address_is_not_used_as_a_name(db: psycopg.Connection[Any]) -> None:
    made = profile(db, sign_up(db, "somebody.private@example.org", {}))
    assert made is not None
    assert "private" not in made[0]


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=6,
)
_metadata = _anything | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("full_name", "name", "phone", "time_zone"), _anything)
)
_address = st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=255) | st.emails()


@given(email=_address, meta=_metadata)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_a_profile_is_made(db: psycopg.Connection[Any], email: str | None, meta: Any) -> None:
    json.dumps(meta)
    with db.transaction(force_rollback=True):
        user = sign_up(db, email[:255] if email else email, meta)
        made = profile(db, user)
        assert made is not None
        assert 1 <= len(made[0]) <= 200
        assert roles(db, user) == ["member"]


def test_a_changed_address_reaches_the_profile(db: psycopg.Connection[Any]) -> None:
    user = sign_up(db, "old@example.org", {"full_name": "A"})
    db.execute("update auth.users set email = 'New@Example.org' where id = %s", [user])
    made = profile(db, user)
    assert made is not None
    assert made[1] == "new@example.org"
    db.execute("update auth.users set email = 'nonsense' where id = %s", [user])
    assert profile(db, user) == made


def test_a_guest_gets_a_profile_on_becoming_a_user(db: psycopg.Connection[Any]) -> None:
    guest = sign_up(db, None, {}, is_anonymous=True)
    assert profile(db, guest) is None
    assert roles(db, guest) == []
    db.execute("update auth.users set email = 'guest@example.org', is_anonymous = false where id = %s", [guest])
    assert profile(db, guest) == ("Unnamed", "guest@example.org", None, None, True)
    assert roles(db, guest) == ["member"]


def test_the_auth_service_may_sign_people_up_and_delete_them(database: Database, db: psycopg.Connection[Any]) -> None:
    """It is neither the owner nor a user: the triggers must not mistake it for somebody who grants roles."""
    with database.connect(admin=True) as platform:
        platform.execute("grant insert, delete, update, select on auth.users to supabase_auth_admin")
        platform.execute("alter table auth.users disable row level security")
        platform.execute("set session authorization supabase_auth_admin")
        user = sign_up(platform, "a@example.org", {"full_name": "A"})
        assert roles(db, user) == ["member"]
        platform.execute("delete from auth.users where id = %s", [user])
    assert roles(db, user) == []
    assert db.execute("select full_name, user_id from public.user_profiles").fetchall() == [("A", None)]


def test_logins_from_before_classbase_are_adopted_once(
    database: Database, db: psycopg.Connection[Any], reference: str
) -> None:
    database.connect(admin=True).execute("drop trigger t10_keep_profile on auth.users")
    user = sign_up(db, "early@example.org", {"full_name": "Early Bird"})
    guest = sign_up(db, None, {}, is_anonymous=True)
    assert profile(db, user) is None
    db.execute(reference.encode())
    assert profile(db, user) == ("Early Bird", "early@example.org", None, None, True)
    assert roles(db, user) == ["member"]
    assert profile(db, guest) is None
    db.execute("delete from public.user_roles where user_id = %s", [user])
    db.execute(reference.encode())
    assert roles(db, user) == [], "an upgrade must not give back what was taken away"
    assert profile(db, sign_up(db, "late@example.org", {})) is not None, "the trigger is back"
