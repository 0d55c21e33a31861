"""What goes wrong without each guard of the catalogue. The names of the rows are those of sample.py."""

from __future__ import annotations

from tests.support.calls import refused
from tests.support.guards import guards
from tests.support.stage import Stage

COURSE = "(select id from public.courses where code = '{}')"
A_CIRCLE = f"insert into public.course_prerequisites (course_id, required_course_id) values ({COURSE.format('YT 200')}, {COURSE.format('YT 500')})"

REFUSED = {
    "public.class_types.class_types_one_name": "update public.class_types set name = 'HATHA YOGA' where name = 'Power yoga'",
    "public.class_types.name_is_given": "update public.class_types set name = ' ' where name = 'Power yoga'",
    "public.class_types.description_is_short": "update public.class_types set description = repeat('x', 1001)",
    "public.class_types.difficulty_level_is_known": "update public.class_types set difficulty_level = 'divine'",
    "public.class_types.duration_is_part_of_a_day": "update public.class_types set duration_minutes = 1500",
    "public.class_types.somebody_can_take_part": "update public.class_types set max_participants = 0",
    "public.class_types.t20_check": "update public.class_types set duration_minutes = 20",
    "public.packages.name_is_given": "update public.packages set name = ''",
    "public.packages.price_is_an_amount": "update public.packages set price = 'NaN'",
    "public.packages.class_count_is_sensible": "update public.packages set class_count = 0",
    "public.packages.validity_is_at_most_ten_years": "update public.packages set validity_days = 0",
    "public.packages.course_type_is_known": "update public.packages set course_type = 'slow'",
    "public.packages.late_cancel_is_within_a_month": "update public.packages set late_cancel_hours = -1",
    "public.packages.texts_are_short": "update public.packages set description = repeat('x', 1001)",
    "public.courses.courses_one_code": "update public.courses set code = 'yt 200' where code = 'YT 500'",
    "public.courses.code_is_given": "update public.courses set code = '' where code = 'YT 500'",
    "public.courses.title_is_given": "update public.courses set title = ' '",
    "public.courses.kind_is_known": "update public.courses set kind = 'hobby'",
    "public.courses.duration_is_at_most_31_days": "update public.courses set duration_minutes = 44641",
    "public.courses.capacity_is_sensible": "update public.courses set default_capacity = 0",
    "public.courses.credits_are_not_negative": "update public.courses set credits = -1",
    "public.courses.price_is_an_amount": "update public.courses set price = -1",
    "public.courses.certificates_are_valid_for_a_while": "update public.courses set certificate_validity_days = 0",
    "public.courses.texts_are_short": "update public.courses set subject = repeat('x', 201)",
    "public.course_prerequisites.course_does_not_require_itself": (
        "update public.course_prerequisites set required_course_id = course_id"
    ),
    "public.course_prerequisites.group_is_counted_from_one": 'update public.course_prerequisites set "group" = 0',
    "public.course_prerequisites.t50_no_circle_insert": A_CIRCLE,
    "public.course_prerequisites.t50_no_circle_update": (
        f"update public.course_prerequisites set required_course_id = {COURSE.format('YT 900')} where course_id = {COURSE.format('YT 500')}"
    ),
}  # fmt: skip


@guards("public.packages.t20_check")
def every_wrong_field_of_a_package_is_named(stage: Stage) -> None:
    with refused("invalid_input") as refusal, stage.db.transaction():
        stage.db.execute("update public.packages set price = -1, class_count = 0")
    assert refusal.fields == {"price", "class_count"}


@guards("public.courses.t20_check")
def every_wrong_field_of_a_course_is_named(stage: Stage) -> None:
    with refused("invalid_input") as refusal, stage.db.transaction():
        stage.db.execute("insert into public.courses (code, title, kind) values (' ', '', 'hobby')")
    assert refusal.fields == {"code", "title", "kind"}


@guards("public.course_prerequisites.t10_one_at_a_time")
def who_adds_a_requirement_holds_the_lock(stage: Stage) -> None:
    """What the lock is for is seen in test_prerequisites.py, with two connections."""
    stage.db.execute("update public.course_prerequisites set course_id = course_id")
    held = stage.db.execute("select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()").fetchone()
    assert held is not None
