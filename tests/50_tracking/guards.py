"""What goes wrong without each guard of students and classes. The names of the rows are those of sample.py: LENA's.

What follows from a change is in guards_following.py.
"""

from __future__ import annotations

import psycopg
import pytest

from tests.support.guards import guards, works
from tests.support.stage import Stage

LENA = "(select id from public.students where first_name = 'Lena')"
BLANK = "(select id from public.students where first_name = 'Blank')"
SLOT = f"(select id from public.student_schedule_slots where student_id = {LENA})"
STUDENT = "update public.students set {} where first_name = 'Blank'"
PAUSE = f"update public.student_pauses set {{}} where student_id = {LENA}"
CLASS = "update public.classes set {} where notes = 'To come Lena'"
WEEKLY = f"update public.student_schedule_slots set {{}} where student_id = {LENA}"
# Columns, and what is selected from the class to come, `c`.
ANOTHER = (
    "insert into public.classes (student_id, date, start_time, end_time, time_zone, starts_at, ends_at, {}) "
    "select c.student_id, c.date + {days}, c.start_time + interval '{minutes} min', c.end_time + interval '{minutes} min', 'UTC', "
    "c.starts_at + interval '{days} days {minutes} min', c.ends_at + interval '{days} days {minutes} min', {} "
    "from public.classes c where c.notes = 'To come Lena'"
)
OFF = "'cancelled', 'student', 'Ill.', private.now()"

REFUSED = {
    # students
    "public.students.first_name_is_given": STUDENT.format("first_name = ' '"),
    "public.students.last_name_is_short": STUDENT.format("last_name = repeat('x', 101)"),
    "public.students.email_is_a_lower_case_address": STUDENT.format("email = 'at home'"),
    "public.students.phone_is_e164": STUDENT.format("phone = '555'"),
    "public.students.starts_before_it_ends": STUDENT.format("end_date = start_date - 1"),
    "public.students.dates_are_between_1970_and_2200": STUDENT.format("start_date = '1950-01-01'"),
    "public.students.time_zone_exists": STUDENT.format("time_zone = 'Mars/Base'"),
    "public.students.class_price_is_an_amount": STUDENT.format("class_price = 'NaN'"),
    "public.students.teacher_pay_is_an_amount": STUDENT.format("teacher_pay = -1"),
    "public.students.inactive_says_since_when": STUDENT.format("inactive_since = '2026-01-01'"),
    "public.students.notes_are_short": STUDENT.format("notes = repeat('x', 1001)"),
    "public.students.t20_check": STUDENT.format("""fixed_schedule = '[{"day": "funday", "start_time": "10:00"}]'"""),
    # weekly times
    "public.student_schedule_slots.weekday_is_sunday_0_to_saturday_6": WEEKLY.format("weekday = 7"),
    "public.student_schedule_slots.start_is_before_end": WEEKLY.format("end_time = start_time"),
    "public.student_schedule_slots.time_zone_exists": WEEKLY.format("time_zone = 'Mars/Base'"),
    "public.student_schedule_slots.slots_of_a_student_do_not_overlap": (
        "insert into public.student_schedule_slots (student_id, weekday, start_time, end_time, time_zone) select student_id, weekday, "
        f"start_time + interval '10 min', end_time, time_zone from public.student_schedule_slots where student_id = {LENA}"
    ),
    "public.student_schedule_slots.student_schedule_slots_pkey": (
        "insert into public.student_schedule_slots (id, student_id, weekday, start_time, end_time, time_zone) "
        f"values ({SLOT}, {BLANK}, 1, '10:00', '11:00', 'UTC')"
    ),
    "public.student_schedule_slots.student_schedule_slots_student_id_fkey": (
        "insert into public.student_schedule_slots (student_id, weekday, start_time, end_time, time_zone) "
        "values (gen_random_uuid(), 1, '10:00', '11:00', 'UTC')"
    ),
    "public.student_schedule_slots.t00_only_triggers_write": WEEKLY.format("start_time = '03:00'"),
    # pauses
    "public.student_pauses.is_between_1970_and_2200": PAUSE.format("ends_on = '2300-01-01'"),
    "public.student_pauses.reason_is_given": PAUSE.format("reason = ' x'"),
    "public.student_pauses.pauses_of_a_student_do_not_overlap": (
        f"insert into public.student_pauses (student_id, starts_on, reason) select student_id, ends_on, 'x' from public.student_pauses where student_id = {LENA}"
    ),
    # classes
    "public.classes.classes_one_a_start": ANOTHER.format("status, cancelled_by, cancellation_reason, cancelled_at", OFF, days=0, minutes=0),
    "public.classes.classes_one_a_slot_and_date": (
        "update public.classes set occurs_on = (select min(c.occurs_on) from public.classes c) where source = 'generated'"
    ),
    "public.classes.no_student_is_in_two_classes": ANOTHER.format("notes", "'Another'", days=0, minutes=10),
    "public.classes.classes_one_replacement": ANOTHER.format(
        "source, rescheduled_from", "'makeup', (select o.id from public.classes o where o.notes = 'Called off Lena')", days=9, minutes=0
    ),
    "public.classes.classes_slot_is_the_students": f"update public.classes set slot_id = gen_random_uuid() where slot_id = {SLOT}",
    "public.classes.classes_student_id_fkey": CLASS.format("student_id = gen_random_uuid()"),
    "public.classes.start_is_before_end": CLASS.format("end_time = '04:00'"),
    "public.classes.date_is_between_1970_and_2200": CLASS.format("date = '1950-01-01'"),
    "public.classes.time_zone_exists": CLASS.format("time_zone = 'Mars/Base'"),
    "public.classes.status_is_known": CLASS.format("status = 'lost'"),
    "public.classes.payment_status_is_known": CLASS.format("payment_status = 'lost'"),
    "public.classes.source_is_known": CLASS.format("source = 'thin air'"),
    "public.classes.slot_says_which_date": f"update public.classes set occurs_on = null where slot_id = {SLOT}",
    "public.classes.generated_from_a_slot": CLASS.format("source = 'generated'"),
    "public.classes.t60_is_replaced": CLASS.format("status = 'rescheduled'"),
    "public.classes.replaces_another": CLASS.format("rescheduled_from = id"),
    "public.classes.price_is_an_amount": CLASS.format("price = 'NaN'"),
    "public.classes.teacher_pay_is_an_amount": CLASS.format("teacher_pay = -1"),
    "public.classes.cancelled_by_is_known": "update public.classes set cancelled_by = 'nobody' where notes = 'Called off Lena'",
    "public.classes.cancelled_says_who_why_and_when": CLASS.format("cancelled_at = private.now()"),
    "public.classes.texts_are_short": CLASS.format("notes = repeat('x', 1001)"),
    "public.classes.t20_check_update": CLASS.format("source = 'import'"),
    "public.classes.t30_keep_what_is_paid": (
        "delete from public.class_attendance; delete from public.classes where notes = 'Held Lena'"
    ),
    "public.classes.t45_check_instants": (
        "insert into public.classes (student_id, date, start_time, end_time, time_zone, starts_at, ends_at, source, slot_id, occurs_on) "
        f"values ({LENA}, '2040-01-01', '10:00', '11:00', 'UTC', '2040-01-01 09:00+00', '2040-01-01 10:00+00', 'generated', {SLOT}, '2040-01-01')"
    ),
    # attendance
    "public.class_attendance.status_is_known": "update public.class_attendance set status = 'asleep'",
    "public.class_attendance.minutes_late_are_sensible": "update public.class_attendance set minutes_late = 5",
    "public.class_attendance.note_is_short": "update public.class_attendance set note = repeat('x', 1001)",
    "public.class_attendance.t20_check": (
        "insert into public.class_attendance (class_id, status) select id, 'present' from public.classes where notes = 'Called off Lena'"
    ),
    # cancelling
    "public.cancellation_rules.cancelled_by_is_known": "update public.cancellation_rules set cancelled_by = 'nobody' where cancelled_by = 'teacher'",
    "public.cancellation_rules.notice_is_within_a_month": "update public.cancellation_rules set notice_hours = -1 where cancelled_by = 'teacher'",
    # generation
    "public.class_generation_logs.operation_is_known": "update public.class_generation_logs set operation = 'magic'",
    "public.class_generation_logs.status_is_known": "update public.class_generation_logs set status = 'lost'",
    "public.class_generation_logs.counts_are_not_below_zero": "update public.class_generation_logs set classes_removed = -1",
}  # fmt: skip

SCENARIOS = [
    works(
        "public.classes.t20_check_insert",
        f"insert into public.classes (student_id, date, start_time) values ({LENA}, private.today() + 99, '10:00')",
        "select price = 25 and ends_at = starts_at + interval '30 min' from public.classes where date = private.today() + 99",
    ),
    works(
        "public.classes.t98_audit_insert",
        f"insert into public.classes (student_id, date, start_time) values ({LENA}, private.today() + 99, '10:00')",
        "select exists (select from public.audit_log where table_name = 'classes' and operation = 'insert' "
        "and new_values ->> 'date' = (private.today() + 99)::text)",
    ),
    works(
        "public.student_pauses.t20_check",
        PAUSE.format("reason = '  Away. '"),
        f"select reason = 'Away.' from public.student_pauses where student_id = {LENA}",
    ),
]


@guards("public.student_schedule_slots.student_schedule_slots_of_whom")
def a_class_is_of_a_weekly_time_of_its_student(stage: Stage) -> None:
    """The key is what the classes' reference to weekly times refers to."""
    stage.db.execute("alter table public.classes disable trigger user")
    with pytest.raises(psycopg.errors.ForeignKeyViolation), stage.db.transaction():
        stage.db.execute(f"update public.classes set student_id = {BLANK} where slot_id = {SLOT}".encode())


@guards("public.student_pauses.first_day_is_not_after_last")
def a_pause_ends_after_it_begins(stage: Stage) -> None:
    """Without it the range made of the days would complain in words nobody wrote for this."""
    stage.db.execute("alter table public.student_pauses disable trigger user")
    with pytest.raises(psycopg.errors.CheckViolation), stage.db.transaction():
        stage.db.execute(PAUSE.format("ends_on = starts_on - 1").encode())


@guards("public.classes.t60_still_replaces")
def a_class_that_stands_for_another_is_not_deleted(stage: Stage) -> None:
    """Otherwise the one that was moved would be held by nobody."""
    db = stage.db
    db.execute(
        "select private.move_one(id, date + 40, '05:00', null, null) from public.classes where notes = 'To come Lena'"
    )
    db.execute("set constraints all immediate")
    with pytest.raises(psycopg.Error, match="No class stands for"), db.transaction():
        db.execute("delete from public.classes where source = 'rescheduled'")
