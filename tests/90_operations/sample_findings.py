"""A run of diagnosis on stage with what a check said, a finding that is open and one that was put right."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.identity import User
from tests.support.world import World


def fill(world: World, people: Mapping[str, User]) -> None:
    """What run_diagnostics, apply_fixes and the scheduled run write."""
    run = world.insert("public.diagnostic_runs", run_by=people["manager"].id)
    result = world.insert(
        "public.check_results", run_id=run.id, check_name="claims_missing", looked_at=9, found=1, appeared=1
    )
    about = {
        "check_name": "claims_missing",
        "entity": "claims",
        "severity": "critical",
        "message": "Not claimed.",
        "first_result_id": result.id,
    }
    world.insert("public.findings", entity_id="open", **about)
    fix = world.insert("public.fix_runs", check_name="claims_missing", faults=1, fixed=1)
    world.db.execute(
        "insert into public.findings (check_name, entity, entity_id, severity, message, first_result_id, last_result_id, last_seen_at, resolved_at, fix_id)"
        " values ('claims_missing', 'claims', 'gone', 'critical', 'Not claimed.', %(id)s, %(id)s, private.now(), private.now(), %(fix)s)",
        {"id": result.id, "fix": fix.id},
    )  # fmt: skip
    world.insert("private.auto_fix_tries", check_name="claims_missing", tries=1)
