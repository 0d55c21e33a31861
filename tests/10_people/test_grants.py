"""grant_role and its sisters: what they answer, what they refuse, and calls that are repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from tests.support.world import World

Call = Callable[..., Any]


def test_a_repeated_call_answers_the_same(world: World, call: Call, rows: Call, refused: Any) -> None:
    admin, person = world.user("admin"), world.user("member")
    for function, arguments in (
        ("grant_role", {"p_role_name": "staff", "p_reason": "x"}),
        ("revoke_role", {"p_role_name": "staff"}),
        ("grant_permission", {"p_permission": "read:contact", "p_reason": "x"}),
        ("revoke_permission", {"p_permission": "read:contact"}),
    ):
        asked = {"p_user_id": person.id, **arguments, "p_idempotency_key": "monday"}
        first = call(admin, function, **asked)
        before = rows("select count(*) from public.access_changes")
        assert call(admin, function, **asked) == first
        assert rows("select count(*) from public.access_changes") == before
        with refused("idempotency_mismatch"):
            call(admin, function, **{**asked, "p_user_id": admin.id})


def test_a_role_that_is_held_already_is_left_alone(world: World, call: Call) -> None:
    admin, other, person = world.user("admin"), world.user("admin"), world.user("member")
    first = call(admin, "grant_role", p_user_id=person.id, p_role_name="staff")
    assert first[0]["granted_by"] == admin.id
    assert call(other, "grant_role", p_user_id=person.id, p_role_name="staff") == first


@pytest.mark.parametrize(
    ("function", "arguments", "code", "field"),
    [
        ("grant_role", {"p_role_name": "emperor"}, "not_found", "p_role_name"),
        ("grant_role", {"p_role_name": "staff", "p_user_id": uuid4()}, "not_found", "p_user_id"),
        ("grant_role", {"p_role_name": None}, "invalid_input", "p_role_name"),
        ("grant_role", {"p_role_name": "staff", "p_reason": "x" * 501}, "invalid_input", "p_reason"),
        ("revoke_role", {"p_role_name": "staff"}, "not_found", "p_role_name"),
        ("revoke_role", {"p_role_name": "staff", "p_user_id": None}, "invalid_input", "p_user_id"),
        ("grant_permission", {"p_permission": "a:b", "p_reason": "x"}, "not_found", "p_permission"),
        ("grant_permission", {"p_permission": "read:contact", "p_reason": " "}, "invalid_input", "p_reason"),
        (
            "grant_permission",
            {"p_permission": "read:contact", "p_reason": "x", "p_expires_at": "2001-01-01+00"},
            "invalid_input",
            "p_expires_at",
        ),
        ("revoke_permission", {"p_permission": "read:contact"}, "not_found", "p_permission"),
    ],
)
def test_wrong_input_is_named(
    world: World, call: Call, refused: Any, function: str, arguments: dict[str, Any], code: str, field: str
) -> None:
    admin, person = world.user("admin"), world.user("member")
    with refused(code) as refusal:
        call(admin, function, **{"p_user_id": person.id, **arguments})
    assert refusal.details["field"] == field


def test_every_wrong_field_is_named_at_once(world: World, call: Call, refused: Any) -> None:
    with refused("invalid_input") as refusal:
        call(
            world.user("admin"), "grant_permission", p_user_id=None, p_permission=None, p_reason=None, p_is_granted=None
        )
    assert refusal.fields == {"p_user_id", "p_permission", "p_reason", "p_is_granted"}


def test_a_decision_replaces_the_one_before(world: World, call: Call, rows: Call) -> None:
    admin, person = world.user("admin"), world.user("member")
    for granted, reason in ((True, "one"), (False, "two")):
        call(
            admin,
            "grant_permission",
            p_user_id=person.id,
            p_permission="read:contact",
            p_reason=reason,
            p_is_granted=granted,
        )
    assert rows("select is_granted, reason, granted_by from public.user_permissions") == [(False, "two", admin.id)]
