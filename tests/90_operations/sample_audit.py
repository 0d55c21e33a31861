"""The audit trail of the rows on stage: it writes itself."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User, as_user
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """What triggers write: of the owner's rows, and of what an administrator did."""
    with as_user(world.db, people["admin"]) as db:
        db.execute("update public.user_profiles set phone = '+15550123' where id = %s", [people["member"].profile_id])
