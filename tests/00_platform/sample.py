"""Something in every table of this module."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """What the module ships is there already; calls and their answers are added."""
    world.insert(
        "private.api_calls", caller=str(people["member"].id), action="POST /meetings", called_at="2026-01-01T00:00Z"
    )
    world.insert(
        "private.idempotency_keys",
        caller=str(people["member"].id),
        function_name="make_something",
        key="once",
        request_hash=b"\\x00",
        answer={},
        created_at="2026-01-01T00:00Z",
    )
