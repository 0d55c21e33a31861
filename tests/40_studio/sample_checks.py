"""A repair of dates on stage."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """One that found nothing to do."""
    world.db.execute("insert into private.taken_date_rebuilds (rule_ids, dates) values ('{}', '{}')")
