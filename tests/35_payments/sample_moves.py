"""Payments that were moved from a row to the one it was a duplicate of, on stage."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """One that found no payment to move."""
    world.insert("private.payment_moves", source_table="package_purchases", from_id=UUID(int=1), to_id=UUID(int=2))
