"""Something in every table of this module."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """The people on stage have profiles and roles already; exceptions are added, and somebody without a login."""
    world.insert("public.user_profiles", full_name="Import Ed", email="import.ed@example.org", phone="+14155550123")
    for role, permission, is_granted in (
        ("member", "read:own_analytics", True),
        ("staff", "update:assignment", False),
        ("nobody", "read:own_analytics", True),
    ):
        world.insert(
            "public.user_permissions",
            user_id=people[role].id,
            permission=permission,
            is_granted=is_granted,
            reason="for the stage",
            granted_by=people["admin"].id,
        )
    world.insert("public.roles", name="accountant", description="A role of the organisation's own.")
    world.insert("public.role_permissions", role_name="accountant", permission="read:analytics")
