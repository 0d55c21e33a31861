"""What nobody hears of without the triggers that tell. The rows are those of sample.py."""

from __future__ import annotations

from tests.support.guards import Scenario, guards
from tests.support.stage import Stage

OTTO = "(select id from public.user_profiles where full_name = 'Otto Other')"


def tells(guard: str, kind: str, statement: str) -> Scenario:
    """A scenario: the statement tells somebody something of this kind."""

    @guards(guard)
    def somebody_is_told(stage: Stage) -> None:
        assert stage.db.execute(statement.encode()).rowcount > 0
        told = stage.db.execute(
            "select count(*) from public.notifications where kind = %s and created_at = private.now()", [kind]
        ).fetchone()
        assert told is not None
        assert told[0] > 0

    return somebody_is_told


NEW = (
    "insert into public.class_assignments (class_type_id, instructor_id, date, payment_amount) "
    f"select class_type_id, instructor_id, private.today() + 70, 0 from public.class_assignments where instructor_id = {OTTO} limit 1"
)
FREE = f"(select id from public.class_assignments where instructor_id = {OTTO} and class_status = 'scheduled' and date > private.today() {{}} limit 1)"
UNSERVED = "and not exists (select from public.assignment_bookings l where l.assignment_id = class_assignments.id)"

SCENARIOS = (
    tells("public.class_assignments.t95_tell_insert", "assignment_given", NEW),
    tells(
        "public.class_assignments.t95_tell_update", "assignment_cancelled",
        f"update public.class_assignments set class_status = 'cancelled' where id = {FREE.format('')}",
    ),
    tells(
        "public.class_assignments.t95_tell_delete", "assignment_cancelled",
        f"delete from public.class_assignments where id = {FREE.format(UNSERVED)}",
    ),
    tells(
        "public.bookings.t95_tell_update", "booking_cancelled",
        "update public.bookings set status = 'cancelled' where status = 'pending' and profile_id is not null",
    ),
)  # fmt: skip
