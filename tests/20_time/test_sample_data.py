"""The sample data of supabase/seed.sql, whatever day it is loaded on."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from classbase import backend_files
from classbase.database.statements import execute_file


@pytest.mark.parametrize("days", range(7))
def test_it_loads_on_every_day_of_the_week_and_shows_everything(db: psycopg.Connection[Any], days: int) -> None:
    db.execute(
        "create or replace function private.now() returns timestamptz language sql stable set search_path = '' "
        f"return pg_catalog.now() + interval '{days} days'".encode()
    )
    for _ in range(2):
        execute_file(db, backend_files.seed_file())
    counts = {}
    for table in (
        "locations", "weekly_rules", "meetings", "availability_rules", "closures", "overrides", "class_types",
        "packages", "courses", "course_prerequisites", "package_purchases", "payments", "payment_items",
        "class_schedules", "instructor_rates", "bookings", "students", "student_schedule_slots", "student_pauses", "classes",
    ):  # fmt: skip
        row = db.execute(f"select count(*) from public.{table}".encode()).fetchone()
        assert row is not None
        counts[table] = row[0]
    assert counts == {
        "locations": 2, "weekly_rules": 4, "meetings": 3, "availability_rules": 7, "closures": 1, "overrides": 1,
        "class_types": 4, "packages": 2, "courses": 3, "course_prerequisites": 1, "package_purchases": 2, "payments": 2,
        "payment_items": 3, "class_schedules": 3, "instructor_rates": 3, "bookings": 7, "students": 3,
        "student_schedule_slots": 4, "student_pauses": 1, "classes": 27,
    }  # fmt: skip
    exceptions = db.execute("select distinct kind from public.weekly_rule_exceptions order by 1").fetchall()
    assert exceptions == [("cancelled",), ("taken_over",)]
    shown = db.execute(
        "select distinct unnest(array[class_status, instructor_status, payment_status]) from public.class_assignments order by 1"
    ).fetchall()
    assert [state for (state,) in shown] == [
        "accepted", "cancelled", "completed", "paid", "pending", "rejected", "scheduled"
    ]  # fmt: skip
    booked = db.execute("select status, count(*) from public.bookings group by 1 order by 1").fetchall()
    assert booked == [("cancelled", 1), ("completed", 1), ("confirmed", 4), ("pending", 1)]
    to_settle = db.execute("select distinct conflict_type from public.studio_conflicts()").fetchall()
    assert to_settle == [("rejected",)]
    pay = db.execute(
        "select sum(amount_due), sum(amount_paid), sum(amount_planned) from public.instructor_pay(private.today() - 28, private.today() + 13)"
    ).fetchone()
    assert pay is not None
    assert 0 < pay[1] < pay[0]
    assert pay[2] > 0
    owed = db.execute(
        "select source_table, split_part(title, ',', 1), amount_outstanding from public.outstanding_amounts() order by 1, 2"
    ).fetchall()
    assert owed == [
        ("classes", "Class of Mei", 30), ("package_purchases", "Crash course", 90),
        ("package_purchases", "Ten classes", 20), ("payments", None, -50),
    ]  # fmt: skip
    balances = db.execute(
        "select package_name, status, credits_left, is_usable from public.package_balances order by 1"
    ).fetchall()
    assert balances == [("Crash course", "paused", 7, False), ("Ten classes", "active", 9, True)]
    # The clock went on by days, which is a change of the schema, and nobody runs the jobs of a test.
    findings = db.execute(
        "select * from public.run_diagnostics() where check_name <> 'jobs_late' and entity_id is distinct from 'function private.now()'"
    ).fetchall()
    assert findings == []
    lessons = db.execute(
        "select s.first_name, c.status, c.payment_status, c.source, count(*) from public.classes c "
        "join public.students s on s.id = c.student_id where c.date <> private.today() group by 1, 2, 3, 4 order by 1, 2, 3, 4"
    ).fetchall()
    assert {row[:4] for row in lessons} == {
        ("Lena", "completed", "pending", "generated"), ("Lena", "scheduled", "pending", "generated"),
        ("Lena", "cancelled", "pending", "generated"), ("Lena", "scheduled", "pending", "makeup"),
        ("Mei", "completed", "paid", "generated"), ("Mei", "missed", "pending", "generated"),
        ("Mei", "scheduled", "pending", "generated"), ("Omar", "completed", "pending", "generated"),
        ("Omar", "missed", "pending", "generated"), ("Omar", "scheduled", "pending", "generated"),
    }  # fmt: skip
    assert {row[3] for row in db.execute("select * from public.diagnose_students()").fetchall()} == {
        "15 classes", "7 classes", "5 classes"
    }  # fmt: skip
