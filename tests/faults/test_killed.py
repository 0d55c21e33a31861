"""A server that is killed at any moment: what was acknowledged is there, what was not is wholly absent, and one more run
ends where an undisturbed one does."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from tests.support.server import TEMPLATE, Database, TestServer

KILLS = 15
CENTRE = "killed_centre"

# Four teachers with fifteen students each, three hours a week. Nothing is generated yet.
_STUDENTS = """
insert into public.user_profiles (full_name) select 'Teacher ' || g from generate_series(1, 4) g;
insert into public.students (first_name, last_name, teacher_id, start_date, fixed_schedule)
select 'Student', g::text, p.id, private.today(), jsonb_agg(
  jsonb_build_object('day', 1 + g % 5, 'time', (8 + g % 15 / 5 * 3 + h) || ':00') order by h)
from generate_series(0, 59) g
join (select id, row_number() over (order by full_name) - 1 as number from public.user_profiles) p on p.number = g / 15
cross join generate_series(0, 2) h
group by g, p.id;
"""
# Whoever deletes generated classes leaves their students with some missing.
_DAMAGE = "delete from public.classes where ('x' || left(md5(student_id::text || date), 8))::bit(32)::bigint % 3 = 0"
_CLASSES = """
select s.last_name, c.date, c.start_time, c.end_time, c.status, c.source, p.full_name, c.starts_at, k.during
from public.classes c
join public.students s on s.id = c.student_id
left join public.user_profiles p on p.id = c.teacher_id
left join public.claims k on k.source_table = 'classes' and k.source_id = c.id
order by 1, 2, 3
"""

Work = Callable[[psycopg.Connection[Any]], object]


@pytest.fixture(scope="module")
def own_server(pytestconfig: pytest.Config) -> Iterator[TestServer]:
    """A server of this module's own, since nobody else's may be killed."""
    server = TestServer.start(int(pytestconfig.getoption("--pg")))
    try:
        server.prepare()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def centre(own_server: TestServer) -> str:
    """The name of a database with students that others are copied from."""
    database = own_server.create_database(TEMPLATE)
    with database.connect() as db:
        db.execute("alter table public.students disable trigger t50_follow_insert")
        db.execute(_STUDENTS.encode())
        db.execute("alter table public.students enable trigger t50_follow_insert")
        db.execute(
            "select private.run_generation('manual', array(select id from public.students), "
            "p_through => private.today() - 1, p_syncs_slots => true)"
        )
    database.close()
    with own_server.admin() as admin:
        admin.execute(f"alter database {database.name} rename to {CENTRE}".encode())
    return CENTRE


def crash(server: TestServer, database: Database, work: Work, after: float) -> None:
    """Begins `work`, kills the server `after` seconds, and starts it again."""
    begun = threading.Event()

    def run() -> None:
        with contextlib.suppress(psycopg.Error), database.connect() as db:
            begun.set()
            work(db)

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    time.sleep(after)
    process = server.process
    assert process is not None
    process.kill()
    thread.join()
    database.close()
    process.start()
    server.admin_dsn = process.dsn()


def rows(database: Database) -> list[tuple[Any, ...]]:
    with database.connect() as db:
        return db.execute(_CLASSES.encode()).fetchall()


def seconds(database: Database, work: Work) -> float:
    with database.connect() as db:
        begun = time.perf_counter()
        work(db)
        return time.perf_counter() - begun


def moments(undisturbed: float) -> list[float]:
    """When to kill: anywhere from before the beginning to after the end, a different moment each time."""
    chance = random.Random(KILLS)  # noqa: S311
    return [undisturbed * 1.2 * (number + chance.random()) / KILLS for number in range(KILLS)]


def generate(db: psycopg.Connection[Any]) -> object:
    return db.execute("select private.generate_for_everyone()").fetchone()


def mend(db: psycopg.Connection[Any]) -> object:
    return db.execute("select * from public.apply_fixes(p_modules => array['tracking'])").fetchall()


def test_weekly_generation_ends_in_the_same_rows_whenever_it_was_killed(own_server: TestServer, centre: str) -> None:
    undisturbed = own_server.create_database(centre)
    took = seconds(undisturbed, generate)
    expected = rows(undisturbed)
    assert len(expected) == 60 * 12
    found_after: set[int] = set()
    for moment in moments(took):
        database = own_server.create_database(centre)
        crash(own_server, database, generate, moment)
        found_after.add(len(rows(database)))
        with database.connect() as db:
            logged = (
                "select coalesce(sum(classes_created), 0) from public.class_generation_logs where student_id is null"
            )
            assert db.execute(logged.encode()).fetchone() == (len(rows(database)),), "the logs say what was done"
            generate(db)
            assert db.execute(logged.encode()).fetchone() == (len(expected),)
            assert (
                db.execute("select * from public.run_diagnostics(p_modules => array['tracking', 'time'])").fetchall()
                == []
            )
        assert rows(database) == expected
        database.drop()
    assert found_after <= {0, len(expected)}, "all or nothing"
    assert 0 in found_after


def test_a_repair_ends_in_the_same_rows_whenever_it_was_killed(own_server: TestServer, centre: str) -> None:
    damaged = own_server.create_database(centre)
    with damaged.connect() as db:
        generate(db)
        whole = db.execute(_CLASSES.encode()).fetchall()
        db.execute(_DAMAGE.encode())
        left = len(db.execute(_CLASSES.encode()).fetchall())
    assert 0 < left < len(whole)
    damaged.close()
    undisturbed = own_server.create_database(damaged.name)
    took = seconds(undisturbed, mend)
    assert rows(undisturbed) == whole
    found_after: set[int] = set()
    for moment in moments(took):
        database = own_server.create_database(damaged.name)
        crash(own_server, database, mend, moment)
        now_there = len(rows(database))
        found_after.add(now_there)
        with database.connect() as db:
            runs = db.execute(
                "select sum(fixed) from public.fix_runs where check_name = 'students_missing_classes'"
            ).fetchone()
            assert runs is not None
            assert (runs[0] is not None) == (now_there == len(whole)), "what the books say was mended, was"
            mend(db)
            assert (
                db.execute("select * from public.run_diagnostics(p_modules => array['tracking', 'time'])").fetchall()
                == []
            )
            assert rows(database) == whole
            # And it can be undone, to what was there before.
            fix = db.execute("select max(id) from public.fix_runs where changed_rows > 0").fetchone()
            assert fix is not None
            db.execute("select * from public.undo_fix(%s)", [fix[0]])
        assert len(rows(database)) == left
        database.drop()
    assert found_after <= {left, len(whole)}, "all or nothing"
    assert left in found_after
