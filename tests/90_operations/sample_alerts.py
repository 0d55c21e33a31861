"""Alerts on stage: one that was looked at and put right, one that is open."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """What raise_alert writes, and who looked at it."""
    when = "2026-01-05 02:05Z"
    world.insert(
        "public.alerts",
        kind="large_table",
        subject="public.claims",
        severity="warning",
        message="public.claims takes 2 GB",
        acknowledged_at=when,
        acknowledged_by=people["admin"].id,
        resolved_at=when,
        resolved_by=people["admin"].id,
    )
    world.insert(
        "public.alerts", kind="job_failed", subject="forget_old_calls", severity="error", message="division by zero"
    )
