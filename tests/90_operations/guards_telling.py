"""Who hears of nothing without the triggers that tell of alerts. The rows are those of sample_alerts.py."""

from __future__ import annotations

from tests.support.guards import guards
from tests.support.stage import Stage

REFUSED = {
    "public.settings.t30_check_alert_recipients": (
        "update public.settings set value = '\"the boss\"' where key = 'alert_recipients'"
    )
}


def heard(stage: Stage, title: str) -> bool:
    row = stage.db.execute(
        "select count(*) from public.notifications where title = %s and recipient_id = %s",
        [title, stage.people["admin"].profile_id],
    ).fetchone()
    return row == (1,)


@guards("public.alerts.t50_tell_insert")
def of_a_new_alert(stage: Stage) -> None:
    stage.db.execute("select private.raise_alert('job_failed', 'something', 'error', 'Something failed')")
    assert heard(stage, "Error: Something failed")


@guards("public.alerts.t50_tell_update")
def of_one_that_got_worse(stage: Stage) -> None:
    stage.db.execute("update public.alerts set severity = 'critical' where subject = 'forget_old_calls'")
    assert heard(stage, "Critical: division by zero")
