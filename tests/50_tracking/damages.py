"""Damage to students and their classes."""

from __future__ import annotations

from tests.support.damage import Damage, Town


def prepare(town: Town) -> None:
    """Two students who have been coming for three weeks, and what became of their classes so far."""
    one, names = town.one, town.names
    for name, hour in (("mia", "02:00"), ("noa", "03:00")):
        teacher = one(f"insert into public.user_profiles (full_name) values ('Teacher of {name}') returning id")
        names[name] = one(
            "insert into public.students (first_name, teacher_id, start_date, time_zone, fixed_schedule) "
            "select %s, %s, private.today() - 20, 'UTC', jsonb_agg(jsonb_build_object('day', d, 'start_time', %s::text)) "
            "from generate_series(0, 6) d returning id",
            name.title(),
            teacher,
            hour,
        )
    town.db.execute(
        "update public.classes set status = 'completed' where ends_at < private.now() and status = 'scheduled'"
    )
    for number, name in enumerate(("early", "forgotten", "seen"), 3):
        names[name] = one(
            "select id from public.classes where student_id = %s and date = private.today() - %s", names["mia"], number
        )
    names["coming"] = one(
        "select id from public.classes where student_id = %s and date = private.today() + 5", names["mia"]
    )


DAMAGES = [
    Damage(
        "a class to come is gone",
        "delete from public.claims where source_id = '{coming}'; delete from public.classes where id = '{coming}'",
        (
            ("students_missing_classes", "warning", "students", "{mia}"),
        ), mended=True,
    ),
    Damage(
        "a schedule nobody can read",
        """update public.students set fixed_schedule = '[{"day": "funday"}]' where id = '{noa}'""",
        (
            ("students_invalid", "error", "students", "{noa}"),
        ),
    ),
    Damage(
        "a class an hour before its time",
        "update public.classes set starts_at = starts_at - interval '1 hour', ends_at = ends_at - interval '1 hour' where id = '{early}'",
        (
            ("student_class_instants_differ", "error", "classes", "{early}"),
            ("claims_differ", "critical", "classes", "classes {early}"),
        ), mended=True,
    ),
    Damage(
        "a class nobody said anything about",
        "update public.classes set status = 'scheduled' where id = '{forgotten}'",
        (
            ("student_classes_past_but_scheduled", "warning", "classes", "{forgotten}"),
        ), mended=True,
    ),
    Damage(
        "a student was absent from a class that was held",
        "insert into public.class_attendance (class_id, status) values ('{seen}', 'absent')",
        (
            ("attendance_differs", "error", "classes", "{seen}"),
        ), mended=True,
    ),
]  # fmt: skip
