"""Something in the change feed."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """A topic of everybody's with one change."""
    world.db.execute(
        "insert into private.feed_topics (prefix, module, description, is_public) "
        "values ('sample', '00_platform', 'For those who look at samples.', true)"
    )
    world.db.execute(
        "insert into public.changes (topic, event, payload) values ('sample:1', 'sample-made', '{\"version\": 1}')"
    )
