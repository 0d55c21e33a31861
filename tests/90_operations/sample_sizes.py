"""How large a table was yesterday."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """One reading."""
    world.insert(
        "private.table_size_readings",
        taken_on="2026-01-01",
        table_name="public.classes",
        row_estimate=1,
        total_bytes=8192,
    )
