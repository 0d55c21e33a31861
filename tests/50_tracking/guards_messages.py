"""What nobody hears of without the triggers that tell. The rows are those of sample.py."""

from __future__ import annotations

from typing import Any

from tests.support.guards import guards
from tests.support.stage import Stage

COMING = "select id, date from public.classes where status = 'scheduled' and starts_at > private.now() order by starts_at desc limit 1"


def told(stage: Stage, kind: str) -> bool:
    row = stage.db.execute(
        "select count(*) > 0 from public.notifications where kind = %s and created_at = private.now()", [kind]
    ).fetchone()
    assert row is not None
    return bool(row[0])


def coming(stage: Stage) -> tuple[Any, ...]:
    row = stage.db.execute(COMING).fetchone()
    assert row is not None
    return row


@guards("public.classes.t95_tell_insert")
def of_a_class_that_was_moved(stage: Stage) -> None:
    lesson, day = coming(stage)
    stage.db.execute("select public.reschedule_class(%s, %s::date + 1, '23:00')", [lesson, day])
    assert told(stage, "class_rescheduled")


@guards("public.classes.t95_tell_update")
def of_a_class_that_was_cancelled(stage: Stage) -> None:
    lesson, _ = coming(stage)
    stage.db.execute("select public.cancel_class(%s, 'Ill.', 'organisation')", [lesson])
    assert told(stage, "class_cancelled")
