"""What fails once a guard of findings is gone."""

from __future__ import annotations

from tests.support.guards import guards
from tests.support.stage import Stage

FINDING = "update public.findings set {} where entity_id = 'open'"

REFUSED = {
    "public.integrity_checks.only_what_can_be_fixed_fixes_itself": (
        "update public.integrity_checks set auto_fix = true where fix_description is null"
    ),
    "public.integrity_checks.fix_attempts_are_few": "update public.integrity_checks set fix_attempts = 0",
    "public.integrity_checks.fallback_is_known": "update public.integrity_checks set fallback = 'prayer'",
    "public.integrity_checks.alert_from_is_known": "update public.integrity_checks set alert_from = 'mild'",
    "public.check_results.result_counts_are_not_below_zero": "update public.check_results set resolved = -1",
    "public.findings.finding_severity_is_known": FINDING.format("severity = 'mild'"),
    "public.findings.resolved_findings_were_seen_last": FINDING.format("resolved_at = private.now()"),
    "public.findings.only_resolved_findings_name_a_fix": FINDING.format(
        "fix_id = (select min(id) from public.fix_runs)"
    ),
    "public.findings.findings_fix_id_fkey": "update public.findings set fix_id = 999999 where entity_id = 'gone'",
    "private.auto_fix_tries.tries_are_counted_from_one": "update private.auto_fix_tries set tries = 0",
}


@guards("public.user_profiles.t61_rename_in_findings")
def no_finding_names_the_erased(stage: Stage) -> None:
    """Neither in its sentence nor in its details."""
    person = stage.people["member"]
    named = "select count(*) from public.findings where strpos(concat(message, detail), %s) > 0"
    stage.db.execute(
        "update public.findings set message = %s, detail = jsonb_build_object('who', %s::text) where entity_id = 'open'",
        [f"{person.full_name} is in two places.", person.full_name],
    )
    assert stage.db.execute(named, [person.full_name]).fetchone() == (1,)
    stage.db.execute("select public.erase_person(%s, 'Asked for it.')", [person.profile_id])
    assert stage.db.execute(named, [person.full_name]).fetchone() == (0,)
