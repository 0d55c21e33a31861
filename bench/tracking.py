"""Students' classes: everybody's at once against bare tables, again with nothing to do, one student's; diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from bench.support import Ratio, say, side_by_side
from tests.support.server import TEMPLATE, Database, TestServer

STUDENTS, A_TEACHER = 10_000, 15  # each student has three weekly hours, a teacher 45

_PEOPLE = "insert into public.user_profiles (full_name) select 'Teacher ' || g from generate_series(1, %s) g"
_STUDENTS = """
insert into public.students (first_name, last_name, teacher_id, start_date, fixed_schedule)
select 'Student', g::text, p.id, private.today(), jsonb_agg(jsonb_build_object(
  'day', 1 + g %% 5, 'time', lpad((8 + g %% {a_teacher} / 5 * 3 + h)::text, 2, '0') || ':00') order by h)
from generate_series(0, %s - 1) g
join (select id, row_number() over (order by id) - 1 as number from public.user_profiles) p
  on p.number = g / {a_teacher}
cross join generate_series(0, 2) h
group by g, p.id
"""
# As it was before anything was generated: deleting would leave indexes full of empty pages, which nobody has who
# generates for the first time, and neither have the bare tables.
_FORGET = """
set session_replication_role = replica;
truncate public.classes, public.claims, private.student_generation, public.class_generation_logs cascade;
set session_replication_role = origin;
"""


class Centre:
    """A tutoring centre whose students have schedules, and no classes yet."""

    def __init__(self, server: TestServer, *, teachers: bool) -> None:
        say(f"Making {STUDENTS:,} students {'with' if teachers else 'without'} teachers …")
        self.database: Database = server.create_database(TEMPLATE)
        self.db: psycopg.Connection[Any] = self.database.connect()
        self.admin: psycopg.Connection[Any] = self.database.connect(admin=True)
        self.admin.execute(_PEOPLE, [-(-STUDENTS // A_TEACHER)])
        self.admin.execute("alter table public.students disable trigger t50_follow_insert")
        self.admin.execute(_STUDENTS.format(a_teacher=A_TEACHER).encode(), [STUDENTS])
        self.admin.execute("alter table public.students enable trigger t50_follow_insert")
        if not teachers:
            self.admin.execute("update public.students set teacher_id = null")
        self.admin.execute(
            "select private.run_generation('manual', array(select id from public.students), "
            "p_through => private.today() - 1, p_syncs_slots => true)"
        )
        self.forget()

    def forget(self) -> None:
        """Takes every class away again."""
        self.admin.execute(_FORGET)
        self.admin.execute("vacuum analyze")

    def generate(self) -> None:
        """Everybody's next four weeks."""
        self.db.execute("select private.generate_for_everyone()")

    def classes(self) -> int:
        """How many there are."""
        row = self.db.execute("select count(*) from public.classes").fetchone()
        assert row is not None
        return int(row[0])

    def close(self) -> None:
        """Lets go of its connections."""
        self.db.close()
        self.admin.close()


def _bare(centre: Centre, tables: list[str]) -> tuple[Callable[[], object], Callable[[], object]]:
    """Filling bare copies (columns, checks, keys and indexes) with the same rows; and emptying them before."""
    for table in tables:
        centre.admin.execute(f"create table rows_of_{table} as select * from public.{table} order by 2, 5".encode())
        centre.admin.execute(f"create table bare_{table} (like public.{table} including all)".encode())

    def empty() -> None:
        for table in tables:
            centre.admin.execute(f"truncate bare_{table}".encode())
        centre.admin.execute("vacuum analyze")

    def fill() -> None:
        for table in tables:
            centre.admin.execute(f"insert into bare_{table} select * from rows_of_{table}".encode())

    return fill, empty


def everybody(server: TestServer) -> Iterator[Ratio]:
    """120,000 classes: without teachers, one table is written; with teachers their time is claimed as well."""
    for teachers, tables in ((False, ["classes"]), (True, ["classes", "claims"])):
        centre = Centre(server, teachers=teachers)
        centre.generate()
        made = centre.classes()
        assert made == STUDENTS * 12, made
        fill, empty = _bare(centre, tables)
        yield side_by_side(
            f"generating {made:,} classes {'and claiming their teachers' if teachers else 'without teachers'}",
            centre.generate,
            f"INSERT … SELECT into bare {' and '.join(tables)}",
            fill,
            rounds=3,
            before_subject=centre.forget,
            before_reference=empty,
            target=2,
        )
        if teachers:
            yield from _again(centre)
        centre.close()


def _again(centre: Centre) -> Iterator[Ratio]:
    yield side_by_side(
        "generating again, nothing to do",
        centre.generate,
        "the first time",
        centre.generate,
        rounds=3,
        before_reference=centre.forget,
        target=0.1,
    )
    yield side_by_side(
        f"diagnosing {centre.classes():,} classes (what is missing, invalid, doubled, not promised)",
        lambda: centre.db.execute("select * from public.run_diagnostics(p_modules => array['tracking'])"),
        "generating them",
        centre.generate,
        rounds=3,
        before_reference=centre.forget,
    )


def one_student(server: TestServer) -> Iterator[Ratio]:
    """A student who comes with a schedule, against the same student and classes written by hand."""
    centre = Centre(server, teachers=True)
    centre.generate()
    centre.admin.execute("vacuum analyze")
    sample = centre.db.execute(
        "insert into public.students (first_name, start_date, fixed_schedule) values ('New', private.today() + 1, "
        """'[{"day": 1, "time": "17:00"}, {"day": 3, "time": "17:00"}, {"day": 5, "time": "17:00"}]') returning id"""
    ).fetchone()
    assert sample is not None
    rows = centre.db.execute(
        "select date, start_time, end_time, time_zone from public.classes where student_id = %s", [sample[0]]
    ).fetchall()
    numbers = iter(range(10_000_000))

    def teacher() -> Any:
        row = centre.admin.execute(
            "insert into public.user_profiles (full_name) values (%s) returning id", [f"New {next(numbers)}"]
        ).fetchone()
        assert row is not None
        return row[0]

    teachers: list[Any] = []

    def hire() -> None:
        teachers[:] = [teacher() for _ in range(20)]

    def with_schedule() -> None:
        for who in teachers:
            centre.db.execute(
                "insert into public.students (first_name, teacher_id, start_date, fixed_schedule) "
                "values ('New', %s, private.today() + 1, "
                """'[{"day": 1, "time": "17:00"}, {"day": 3, "time": "17:00"}, {"day": 5, "time": "17:00"}]')""",
                [who],
            )

    def by_hand() -> None:
        for who in teachers:
            with centre.db.transaction():
                student = centre.db.execute(
                    "insert into public.students (first_name, teacher_id, start_date) "
                    "values ('New', %s, private.today() + 1) returning id",
                    [who],
                ).fetchone()
                assert student is not None
                centre.db.execute(
                    "insert into public.classes (student_id, date, start_time, end_time, time_zone) values "
                    + ", ".join(["(%s, %s, %s, %s, %s)"] * len(rows)),
                    [value for row in rows for value in (student[0], *row)],
                )

    yield side_by_side(
        f"a student with {len(rows)} classes, by trigger",
        with_schedule,
        "the same student and classes by hand",
        by_hand,
        rounds=11,
        calls=20,
        before_subject=hire,
        before_reference=hire,
        target=3,
    )
    centre.close()


MEASURES = (everybody, one_student)


def run(server: TestServer) -> Iterator[Ratio]:
    """All of them."""
    for measure in MEASURES:
        yield from measure(server)
