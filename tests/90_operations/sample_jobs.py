"""Jobs that ran: one as scheduled, one that failed, one by hand."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """What run_due_jobs and run_job write."""
    when = {"started_at": "2026-01-05 02:05Z", "finished_at": "2026-01-05 02:06Z", "runner": "a test"}
    world.insert(
        "public.job_runs", job="extend_horizons", scheduled_for="2026-01-05 02:05Z", status="succeeded", result="12", **when
    )  # fmt: skip
    world.insert(
        "public.job_runs",
        job="forget_old_calls",
        scheduled_for="2026-01-05 02:05Z",
        covers_from="2026-01-05 01:05Z",
        status="failed",
        error_sqlstate="22012",
        error_message="division by zero",
        **when,
    )
    world.insert("public.job_runs", job="forget_old_calls", status="succeeded", run_by=people["admin"].id, **when)
