"""What people on stage were told, and how they want to hear of it: the member, and somebody else."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """A kind of this module's own, so that it needs no other."""
    world.insert(
        "public.notification_kinds",
        name="stage_call",
        module="10_people",
        description="You are on.",
        default_channels=["email"],
    )
    for role in ("member", "staff"):
        who = people[role].profile_id
        world.insert(
            "public.notifications", recipient_id=who, kind="stage_call", title="You are on", body="In a minute."
        )
        world.insert(
            "public.notification_preferences", profile_id=who, kind="stage_call", channel="sms", is_wanted=True
        )
