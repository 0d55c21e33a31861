"""However many run jobs at once, and whatever happens to one of them, each due time runs once."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from tests.support.crowd import crowd
from tests.support.jobs import Jobs
from tests.support.server import Database
from tests.support.waiting import until


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


def tick(by: psycopg.Connection[Any], number: int) -> None:
    # Some for all that is due, some for one, as pg_cron and a foreground runner do.
    by.execute("select count(*) from public.run_due_jobs(%s)", [(1, 10)[number % 2]])


def test_twenty_at_once(jobs: Jobs, database: Database) -> None:
    for number in range(6):
        jobs.add(f"tidy_{number}", f"{number} * * * *")
    for hour in range(9, 12):
        jobs.at(f"2026-03-02 {hour:02}:30Z")
        assert crowd(database, 20, tick) == {"done": 20}
        jobs.run()
    assert [jobs.count(f"tidy_{number}") for number in range(6)] == [3] * 6
    row = jobs.db.execute("select count(*), count(distinct (job, scheduled_for)) from public.job_runs").fetchone()
    assert row == (18, 18)


def test_without_its_lock_it_would_run_twice(jobs: Jobs, database: Database) -> None:
    """That is: the test above would notice."""
    jobs.add("tidy", "* * * * *", "perform pg_sleep(0.05);")
    jobs.db.execute(
        "create or replace function private.hold_job(p_job text) returns boolean language sql volatile "
        "set search_path = '' return true"
    )
    jobs.at("2026-03-02 09:30Z")
    said = crowd(database, 8, tick)
    # The unique key is the second wall: one waits for the other, and is not told twice.
    assert jobs.count("tidy") > 1 or said != {"done": 8}


def running(jobs: Jobs, name: str) -> int | None:
    """The backend that is at a job, seen by its lock."""
    row = jobs.db.execute(
        "select pid from pg_locks where locktype = 'advisory' and granted and pid <> pg_backend_pid() and objsubid = 1 "
        "and (classid::bigint << 32 | objid::bigint) = hashtextextended('job ' || %s, 0)",
        [name],
    ).fetchone()
    return None if row is None else int(row[0])


def start(jobs: Jobs, statement: str) -> tuple[threading.Thread, list[str]]:
    said: list[str] = []

    def work() -> None:
        with jobs.database.connect() as by:
            try:
                by.execute(statement.encode())
                said.append("done")
            except psycopg.Error as error:
                said.append(error.sqlstate or "lost")

    thread = threading.Thread(target=work)
    thread.start()
    return thread, said


def test_while_one_is_at_it_others_pass_by(jobs: Jobs) -> None:
    jobs.add("waits", "0 9 * * *", "perform pg_advisory_xact_lock(1);")
    jobs.add("works", "0 9 * * *")
    jobs.at("2026-03-02 09:00Z")
    with jobs.database.connect(autocommit=False) as holder:
        holder.execute("select pg_advisory_xact_lock(1)")
        thread, said = start(jobs, "select * from public.run_due_jobs(1)")
        until(lambda: running(jobs, "waits") is not None, "the job's start")
        assert [run["job"] for run in jobs.run()] == ["works"]
        with pytest.raises(psycopg.Error, match="in_progress"):
            jobs.db.execute("select * from public.run_job('waits')")
    thread.join()
    assert said == ["done"]
    assert jobs.run() == []
    assert (jobs.count("waits"), jobs.count("works")) == (1, 1)


def test_killed_in_the_middle_it_runs_again_once(jobs: Jobs) -> None:
    jobs.add("waits", "0 9 * * *", "perform pg_advisory_xact_lock(1);")
    jobs.at("2026-03-02 09:00Z")
    with jobs.database.connect(autocommit=False) as holder:
        holder.execute("select pg_advisory_xact_lock(1)")
        for _ in range(2):
            thread, said = start(jobs, "select * from public.run_due_jobs()")
            until(lambda: running(jobs, "waits") is not None, "the job's start")
            jobs.db.execute("select pg_terminate_backend(%s)", [running(jobs, "waits")])
            thread.join()
            assert said == ["57P01"]
    assert jobs.count("waits") == 0
    assert jobs.db.execute("select count(*) from public.job_runs").fetchone() == (0,)
    assert crowd(jobs.database, 5, tick) == {"done": 5}
    assert jobs.count("waits") == 1
    row = jobs.db.execute("select status, attempts from public.job_runs").fetchall()
    assert row == [("succeeded", 1)]
