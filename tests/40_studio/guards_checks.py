"""What fails once a guard of the studio's repairs is gone."""

from __future__ import annotations

from tests.support.guards import guards
from tests.support.stage import Stage


@guards("private.taken_date_rebuilds.t50_rebuild")
def dates_are_taken_over_again(stage: Stage) -> None:
    """A class whose date was given away behind everybody's back gets it again."""
    taken = "select count(*) from public.weekly_rule_exceptions where taken_by_table = 'class_assignments'"
    before = stage.db.execute(taken).fetchone()
    stage.db.execute("alter table public.weekly_rule_exceptions disable trigger user")
    stage.db.execute("delete from public.weekly_rule_exceptions where taken_by_table = 'class_assignments'")
    stage.db.execute("alter table public.weekly_rule_exceptions enable trigger user")
    stage.db.execute(
        "insert into private.taken_date_rebuilds (rule_ids, dates) select array_agg(rule_id), array_agg(occurs_on)"
        " from private.taken_date_faults"
    )
    assert stage.db.execute(taken).fetchone() == before != (0,)
