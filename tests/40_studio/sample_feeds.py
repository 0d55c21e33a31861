"""Calendar feeds on the stage: one's own, another's, one of everything, one that a server made, one that was revoked."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """Feeds of the instructor and the manager, and others'."""
    other = world.user("instructor", full_name="Fay Feeder")
    made = {
        "The instructor's own": (people["instructor"].profile_id, people["instructor"].id),
        "Another's own": (other.profile_id, other.id),
        "Everything": (None, people["manager"].id),
        "On the wall": (None, None),
        "Revoked": (people["instructor"].profile_id, people["instructor"].id),
    }
    for name, (resource_id, created_by) in made.items():
        world.insert(
            "public.calendar_feeds",
            name=name,
            resource_id=resource_id,
            created_by=created_by,
            token_hash=sha256(name.encode()).hexdigest(),
        )
    world.db.execute("update public.calendar_feeds set revoked_at = private.now() where name = 'Revoked'")
