"""The jobs operations itself brings, and what diagnosis says of jobs."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.calls import call
from tests.support.jobs import Jobs
from tests.support.repairs import Repairs
from tests.support.server import Database
from tests.support.waiting import until


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


def test_late_is_what_nobody_ran(jobs: Jobs) -> None:
    jobs.add("first", "0 9 * * *")
    jobs.at("2026-03-02 09:00Z")
    jobs.run()
    jobs.add("tidy", "0 10 * * *")
    jobs.at("2026-03-02 10:15Z")
    assert jobs.findings("jobs_late") == []
    jobs.at("2026-03-02 10:15:01Z")
    assert jobs.findings("jobs_late") == [("tidy", "The job tidy was due at 2026-03-02 10:00 UTC and was not run")]
    jobs.run()
    assert jobs.findings("jobs_late") == []


def test_a_database_that_nothing_runs_jobs_for_is_told_after_a_day(jobs: Jobs) -> None:
    jobs.add("tidy", "0 10 * * *")
    jobs.at("2026-03-02 23:00Z")
    assert jobs.findings("jobs_late") == []
    jobs.at("2026-03-03 01:00Z")
    [(entity, message)] = jobs.findings("jobs_late")
    assert entity == ""
    assert "classbase jobs run" in message
    jobs.run()
    assert jobs.findings("jobs_late") == []


def test_what_fails_is_found_until_it_works(jobs: Jobs) -> None:
    jobs.add("breaks", "0 9 * * *", "perform 1 / 0;")
    jobs.at("2026-03-02 09:00Z")
    jobs.run()
    assert jobs.findings("jobs_failing") == [("breaks", "The job breaks failed: division by zero")]
    [status] = [job for job in call(jobs.db, None, "job_status") if job["name"] == "breaks"]
    assert (status["failures"], status["last_error"], status["is_due"]) == (1, "division by zero", False)
    assert status["due_in"].total_seconds() == 300, "it is tried again in five minutes"
    jobs.mend("breaks")
    call(jobs.db, None, "run_job", p_name="breaks")
    assert jobs.findings("jobs_failing") == []


def test_jobs_that_cannot_run_are_found(jobs: Jobs, database: Database) -> None:
    jobs.add("gone", "0 9 * * *")
    jobs.add("wants", "0 9 * * *")
    jobs.add("never", "0 9 * * *")
    jobs.db.execute("drop function private.test_gone(), private.test_wants()")
    jobs.db.execute("create function private.test_wants(p_what text) returns text language sql return p_what")
    with database.connect(admin=True) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute("update public.scheduled_jobs set cron = '0 0 31 2 *' where name = 'never'")
    assert {name for name, _ in jobs.findings("job_commands_missing")} == {"gone", "wants", "never"}
    jobs.at("2026-03-02 09:00Z")
    runs = {run["job"]: run["error_sqlstate"] for run in jobs.run()}
    assert runs == {"gone": "42883", "wants": "42883"}


def test_old_runs_go_but_for_each_jobs_last(jobs: Jobs) -> None:
    jobs.add("tidy", "0 9 * * *")
    jobs.add("rare", "0 9 3 * *")
    for day in (2, 3, 4):
        jobs.at(f"2026-03-{day:02} 09:00Z")
        jobs.run()
    jobs.at("2026-06-01 08:00Z")
    assert jobs.db.execute("select private.forget_old_runs()").fetchone() == (1,)
    jobs.at("2027-01-01 10:00Z")
    jobs.db.execute("select private.forget_old_runs()")
    left = jobs.db.execute("select job, extract(day from started_at at time zone 'UTC')::integer from public.job_runs")
    assert sorted(left) == [("rare", 3), ("tidy", 4)]


def test_old_images_go_and_their_repair_cannot_be_undone(database: Database) -> None:
    repairs = Repairs(database)
    person = repairs.one("insert into public.user_profiles (full_name) values ('Zoe') returning id")
    meeting = repairs.one(
        "select id from public.schedule_meeting('Algebra', private.today() + 10, '09:00', '10:00', %s)", [person]
    )
    repairs.plant("delete from public.claims where source_id = %s", [meeting])
    fix_id = repairs.fix("claims_missing")
    jobs = Jobs(database)
    jobs.db.execute("create or replace function private.now() returns timestamptz language sql stable set search_path = '' return pg_catalog.now() + interval '89 days'")  # fmt: skip
    assert jobs.db.execute("select private.forget_old_runs()").fetchone() == (0,)
    jobs.db.execute("create or replace function private.now() returns timestamptz language sql stable set search_path = '' return pg_catalog.now() + interval '91 days'")  # fmt: skip
    assert jobs.db.execute("select private.forget_old_runs() > 0").fetchone() == (True,)
    assert jobs.db.execute("select count(*) from private.fix_changes").fetchone() == (0,)
    row = jobs.db.execute("select forgotten_at is not null from public.fix_runs where id = %s", [fix_id]).fetchone()
    assert row == (True,)
    with pytest.raises(psycopg.Error, match="illegal_transition"):
        jobs.db.execute("select * from public.undo_fix(%s)", [fix_id])


def test_the_planner_looks_again_at_what_changed(database: Database) -> None:
    with database.connect() as db:
        db.execute("insert into public.user_profiles (full_name) select 'P ' || n from generate_series(1, 200) n")
        seen = "select n_mod_since_analyze from pg_stat_user_tables where relid = 'public.user_profiles'::regclass"
        until(lambda: (db.execute(seen).fetchone() or (0,))[0] >= 200, "the statistics")
        [run] = call(db, None, "run_job", p_name="weekly_maintenance")
        assert run["status"] == "succeeded", run
        assert int(run["result"]) >= 1
        row = db.execute("select reltuples from pg_class where oid = 'public.user_profiles'::regclass").fetchone()
        assert row == (200,)


# -- performance ---------------------------------------------------------------------------------------------------


def large_tables(db: psycopg.Connection[Any]) -> set[str]:
    rows = db.execute("select subject from public.alerts where kind = 'large_table' and resolved_at is null")
    return {subject for (subject,) in rows}


def test_large_tables_raise_an_alert_until_they_are_small_again(database: Database) -> None:
    db, listener = database.connect(), database.connect()
    listener.execute("listen performance_alert")
    db.execute("update public.settings set value = '10' where key = 'large_table_megabytes'")
    assert call(db, None, "check_assignment_performance") == []
    db.execute(
        "create table private.parted (id integer, stuff text) partition by range (id);"
        "create table private.parted_1 partition of private.parted for values from (0) to (1000);"
        "create table private.parted_2 partition of private.parted for values from (1000) to (2000);"
        "alter table private.parted alter stuff set storage plain;"
        "alter table private.parted_1 alter stuff set storage plain;"
        "alter table private.parted_2 alter stuff set storage plain;"
        "insert into private.parted select n, repeat('x', 450) from generate_series(1, 1999) n cross join generate_series(1, 12)"
    )
    db.execute("insert into private.parted select n % 2000, repeat('x', 450) from generate_series(1, 1000) n")
    problems = call(db, None, "check_assignment_performance")
    assert [(p["kind"], p["subject"]) for p in problems] == [("large_table", "private.parted")]
    assert call(db, None, "run_job", p_name="check_performance")[0]["result"] == "1"
    assert large_tables(db) == {"private.parted"}
    assert len(list(listener.notifies(timeout=1, stop_after=2))) == 1, "said once, counted twice"
    assert db.execute("select times from public.alerts").fetchone() == (2,)
    db.execute("drop table private.parted")
    assert call(db, None, "run_job", p_name="check_performance")[0]["result"] == "0"
    assert large_tables(db) == set()
