"""pg_cron itself, on Debian's Postgres 15, for an owner who is no superuser."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from classbase.database.loader import load_sql
from classbase.embedded.binaries import postgres_bin_dir
from classbase.embedded.errors import EmbeddedError
from classbase.embedded.postgres import PostgresServer
from tests.support.calls import call
from tests.support.crowd import crowd
from tests.support.platform import OWNER, load_platform
from tests.support.server import Database, TestServer

NAME = "with_cron"
WANTED = {"classbase_jobs_1", "classbase_jobs_2", "classbase_jobs_3", "classbase_vacuum"}


def _extension() -> Path | None:
    try:
        folder = postgres_bin_dir(15).parent / "lib" / "pg_cron.so"
    except EmbeddedError:
        return None
    return folder if folder.exists() else None


pytestmark = pytest.mark.skipif(_extension() is None, reason="no pg_cron here: apt-get install postgresql-15-cron")


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    """A database with pg_cron, and sql/ loaded by its owner. The only one pg_cron looks after."""
    folder = Path(tempfile.mkdtemp(prefix="classbase-test-"))
    folder.chmod(0o755)
    settings = {
        "shared_preload_libraries": "pg_cron",
        "cron.database_name": NAME,
        "cron.use_background_workers": "on",
        "max_worker_processes": "20",
        "timezone": "Pacific/Kiritimati",
    }
    process = PostgresServer(folder / "data", major=15, fsync=False, settings=settings)
    process.start()
    try:
        server = TestServer(process.dsn(), process)
        with server.admin() as admin:
            admin.execute(f"create role {OWNER} login createdb createrole bypassrls")
            admin.execute(f"create database {NAME} template template0 owner {OWNER}")
        made = Database(server, NAME)
        with made.connect(admin=True) as admin:
            load_platform(admin)
            admin.execute("create extension pg_cron")
            admin.execute(f"grant usage on schema cron to {OWNER}")
        with made.connect() as owner:
            load_sql(owner)
        yield made
        made.close()
    finally:
        process.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def db(database: Database) -> Iterator[psycopg.Connection[Any]]:
    with database.connect() as connection:
        yield connection


def entries(db: psycopg.Connection[Any]) -> dict[str, tuple[str, str, bool]]:
    return {name: rest for name, *rest in db.execute("select jobname, schedule, command, active from cron.job")}  # type: ignore[misc]


def faults(db: psycopg.Connection[Any]) -> set[str]:
    return {f["entity_id"] for f in call(db, None, "run_diagnostics", p_checks=["cron_schedules_differ"])}


def test_loading_it_schedules_what_is_wanted(db: psycopg.Connection[Any]) -> None:
    before = entries(db)
    assert set(before) == WANTED
    assert faults(db) == set()
    assert db.execute("select private.sync_cron_jobs()").fetchone() == (0,)
    assert entries(db) == before


def test_what_differs_is_found_and_put_right(db: psycopg.Connection[Any], database: Database) -> None:
    before = entries(db)
    db.execute("select cron.schedule('classbase_of_old', '0 0 1 1 *', 'select 1')")
    db.execute("select cron.schedule('somebody_elses', '0 0 1 1 *', 'select 1')")
    db.execute("select cron.schedule('classbase_jobs_1', '0 0 1 1 *', 'select 1')")
    db.execute("select cron.unschedule('classbase_jobs_2')")
    with database.connect(admin=True) as admin:
        admin.execute("update cron.job set active = false where jobname = 'classbase_vacuum'")
    assert faults(db) == {"classbase_of_old", "classbase_jobs_1", "classbase_jobs_2", "classbase_vacuum"}
    [fix] = call(db, None, "apply_fixes", p_checks=["cron_schedules_differ"])
    assert (fix["faults"], fix["fixed"], fix["remaining"]) == (4, 4, 0)
    after = entries(db)
    assert after.pop("somebody_elses")
    db.execute("select cron.unschedule('somebody_elses')")
    assert after == before


def test_an_owner_who_may_not_use_it_has_none(db: psycopg.Connection[Any], database: Database) -> None:
    with database.connect(admin=True) as admin:
        admin.execute(f"revoke usage on schema cron from {OWNER}")
        try:
            assert db.execute("select private.has_cron(), private.sync_cron_jobs()").fetchone() == (False, 0)
            assert faults(db) == set()
            db.execute("select private.forget_old_runs()")
        finally:
            admin.execute(f"grant usage on schema cron to {OWNER}")


def test_what_pg_cron_kept_of_old_runs_goes(db: psycopg.Connection[Any], database: Database) -> None:
    with database.connect(admin=True) as admin:
        admin.execute(
            "insert into cron.job_run_details (jobid, runid, database, username, command, status, end_time) "
            "select jobid, n, database, username, command, 'succeeded', now() - make_interval(days => n) "
            "from cron.job cross join (values (89), (91)) v(n) where jobname = 'classbase_jobs_1'"
        )
    db.execute("select private.forget_old_runs()")
    assert db.execute("select runid from cron.job_run_details where runid in (89, 91)").fetchall() == [(89,)]


def test_every_minute_what_is_due_runs_once(db: psycopg.Connection[Any], database: Database) -> None:
    """Three entries of pg_cron, and others who ask all the time: one run a due time. VACUUM runs as well."""
    db.execute(
        "create table private.test_log (at timestamptz default private.now());"
        "create function private.test_job() returns integer language sql security definer set search_path = '' "
        "begin atomic insert into private.test_log default values; select 7; end;"
        "insert into public.scheduled_jobs (name, module, cron, command, description) "
        "values ('every_minute', 'test', '* * * * *', 'private.test_job', 'Of a test.'), "
        "('every_minute_too', 'test', '* * * * *', 'private.test_job', 'Of a test.')"
    )
    command = entries(db)["classbase_vacuum"][1]
    db.execute("select cron.schedule('try_vacuum', '* * * * *', %s)", [command])
    deadline = time.monotonic() + 180
    # On the hour others are due as well.
    ours = "select count(*) from public.job_runs where status = 'succeeded' and job like 'every_minute%'"
    vacuumed = (
        "select d.status, d.return_message from cron.job_run_details d join cron.job j on j.jobid = d.jobid "
        "where j.jobname = 'try_vacuum' and d.status in ('succeeded', 'failed')"
    )
    while True:
        runs, tried = db.execute(ours).fetchone(), db.execute(vacuumed).fetchone()
        if runs is not None and runs[0] >= 2 and tried is not None:
            break
        said = "select command, status, return_message from cron.job_run_details"
        assert time.monotonic() < deadline, db.execute(said).fetchall()
        time.sleep(0.2)
    crowd(database, 10, lambda by, _: by.execute("select count(*) from public.run_due_jobs()"))
    assert tried[0] == "succeeded", tried
    counted = (
        "select count(*), count(distinct (job, scheduled_for)) from public.job_runs where job like 'every_minute%'"
    )
    assert db.execute(counted).fetchone() == (db.execute("select count(*), count(*) from private.test_log").fetchone())
    failed = db.execute("select command, return_message from cron.job_run_details where status = 'failed'").fetchall()
    assert failed == []
