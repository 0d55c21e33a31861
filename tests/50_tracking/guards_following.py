"""What no longer follows without each trigger of students, classes and what they depend on.

The names of the rows are those of sample.py. That teachers are taken when their classes are is seen by asking the ledger.
"""

from __future__ import annotations

from typing import Any

from tests.support.guards import Scenario, guards
from tests.support.stage import Stage

LENA = "(select id from public.students where first_name = 'Lena')"
TOM = "(select id from public.user_profiles where full_name = 'Tom Tutor')"
LEARNER = "(select id from public.user_profiles where full_name = 'Lena Learner')"
CLASS = "update public.classes set {} where notes = 'To come Lena'"
GENERATED = f"public.classes where source = 'generated' and student_id = {LENA}"
DATES = f"(select count(*) from {GENERATED} and date = private.today() + {{}})"
PAUSED = f"insert into public.student_pauses (student_id, starts_on, ends_on, reason) values ({LENA}, private.today(), private.today() + 3, 'Ill.')"
CLOSED = (
    "insert into public.closures (name, starts_on, ends_on) values ('Flood', private.today() + 1, private.today() + 3)"
)
CALLED = (
    f"select bool_and(title like '%{{}}%') from public.claims where source_table = 'classes' and resource_id = {TOM}"
)


def ask(stage: Stage, question: str) -> Any:
    """The first value of the answer."""
    row = stage.db.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def follows(guard: str, *statements: str, then: str) -> Scenario:
    """After the statements the ledger agrees with the classes, and `then` is true."""

    @guards(guard)
    def it_follows(stage: Stage) -> None:
        for statement in statements:
            assert stage.db.execute(statement.encode()).rowcount != 0
        assert stage.db.execute("select from private.ledger_difference()").fetchone() is None
        assert ask(stage, then if then.startswith("select") else f"select {then}") is True

    return it_follows


SCENARIOS = [
    # students
    follows(
        "public.students.t50_follow_insert",
        "insert into public.students (first_name, start_date, fixed_schedule) values ('Nia', private.today(), '{\"friday\": \"10:00\"}')",
        then="select count(*) = 4 from public.classes c join public.students s on s.id = c.student_id where s.first_name = 'Nia'",
    ),
    follows(
        "public.students.t50_follow_update",
        "update public.students set fixed_schedule = '[]' where first_name = 'Lena'",
        then=f"not exists (select from {GENERATED})",
    ),
    follows(
        "public.students.t40_keep_absence",
        "update public.students set is_active = false where first_name = 'Blank'",
        "alter table public.students disable trigger t20_check",
        "update public.students set inactive_since = inactive_since - 5 where first_name = 'Blank'",
        "alter table public.students enable trigger t20_check",
        "update public.students set is_active = true where first_name = 'Blank'",
        then="select count(*) = 1 from public.student_pauses where ends_on = starts_on + 4",
    ),
    follows(
        "public.students.t60_rename_classes",
        "update public.students set first_name = 'Helena' where first_name = 'Lena'",
        then=CALLED.format("Helena Sample"),
    ),
    # what schedules depend on
    follows("public.student_pauses.t50_follow_insert", PAUSED, then=f"{DATES.format(2)} = 0"),
    follows(
        "public.student_pauses.t50_follow_update",
        PAUSED,
        "update public.student_pauses set ends_on = starts_on where reason = 'Ill.'",
        then=f"{DATES.format(2)} = 1",
    ),
    follows(
        "public.student_pauses.t50_follow_delete",
        f"delete from public.student_pauses where student_id = {LENA}",
        then=f"{DATES.format(23)} = 1",
    ),
    follows("public.closures.t60_follow_insert", CLOSED, then=f"{DATES.format(2)} = 0"),
    follows(
        "public.closures.t60_follow_update",
        CLOSED,
        "update public.closures set ends_on = starts_on where name = 'Flood'",
        then=f"{DATES.format(2)} = 1",
    ),
    follows(
        "public.closures.t60_follow_delete",
        CLOSED,
        "delete from public.closures where name = 'Flood'",
        then=f"{DATES.format(2)} = 1",
    ),
    follows(
        "public.courses.t50_follow_course_minutes",
        "update public.courses set duration_minutes = 45 where code = 'TUT 1'",
        then=f"select bool_and(end_time = '04:45') from {GENERATED}",
    ),
    follows(
        "public.courses.t60_rename_classes",
        "update public.courses set title = 'Coaching' where code = 'TUT 1'",
        then=CALLED.format("Coaching"),
    ),
    follows(
        "private.generation_runs.t50_generate",
        f"delete from {GENERATED}",
        "select private.generate_for_everyone()",
        then=f"select count(*) = 3 from {GENERATED}",
    ),
    # classes
    follows(
        "public.classes.t30_prepare_insert",
        f"insert into public.classes (student_id, teacher_id, date, start_time) values ({LENA}, {LEARNER}, private.today() + 9, '08:00')",
        then=f"select count(*) = 1 from public.claims where resource_id = {LEARNER}",
    ),
    follows(
        "public.classes.t30_prepare_update",
        CLASS.format(f"teacher_id = {LEARNER}"),
        then=f"select count(*) = 1 from public.claims where resource_id = {LEARNER}",
    ),
    follows(
        "public.classes.t50_claims_insert",
        f"insert into public.classes (student_id, teacher_id, date, start_time) values ({LENA}, {TOM}, private.today() + 9, '08:00')",
        then="true",
    ),
    follows("public.classes.t50_claims_update", CLASS.format("start_time = '05:10'"), then="true"),
    follows("public.classes.t50_claims_delete", "delete from public.classes where notes = 'To come Lena'", then="true"),
    follows(
        "public.class_attendance.t50_follow_attendance",
        "update public.class_attendance set status = 'absent'",
        then="select bool_and(status = 'missed') from public.classes where notes like 'Held%'",
    ),
]  # fmt: skip


@guards("public.closures.t05_lock_students")
def students_are_locked_before_places(stage: Stage) -> None:
    """The order in which everybody locks: also a closure that concerns nobody's class any more."""
    stage.db.execute(
        "insert into public.closures (name, starts_on, ends_on) values ('Past', '2020-01-01', '2020-01-01')"
    )
    assert ask(
        stage,
        "select bool_and(xmax::text::bigint >= pg_current_xact_id()::text::bigint % 4294967296) from public.students where is_active",
    )


def refund(stage: Stage) -> None:
    stage.db.execute(
        "select public.refund_payment((select p.id from public.payments p join public.payment_items i on i.payment_id = p.id "
        "join public.classes c on c.id = i.source_id where c.notes = 'Held Lena'), p_reason => 'Wrong.')"
    )


@guards("public.refund_items.t70_follow_class_payments")
def a_class_whose_money_went_back_is_not_paid(stage: Stage) -> None:
    refund(stage)
    assert ask(stage, "select payment_status from public.classes where notes = 'Held Lena'") == "pending"


@guards("public.payment_items.t70_follow_class_payments")
def a_class_that_was_paid_for_is_paid(stage: Stage) -> None:
    stage.db.execute(
        "with paid as (insert into public.payments (payer_id, amount, method) "
        f"values ({LEARNER}, 25, 'cash') returning id) "
        "insert into public.payment_items (payment_id, source_table, source_id, amount) "
        "select p.id, 'classes', c.id, 25 from paid p, public.classes c where c.notes = 'To come Lena'".encode()
    )
    assert ask(stage, "select payment_status from public.classes where notes = 'To come Lena'") == "paid"


@guards("public.students.t05_share")
def whoever_changes_students_waits_for_who_locks_them_all(stage: Stage) -> None:
    stage.db.execute("update public.students set notes = 'x' where false")
    assert ask(
        stage,
        "select count(*) = 1 from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and pid = pg_backend_pid()",
    )
