"""`classbase jobs`: the list, the history, running by hand, and the foreground runner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from classbase import connect
from classbase.cli.app import run
from classbase.cli.job_runner import JobRunner
from classbase.errors import Forbidden
from classbase.retry import RetryPolicy
from tests.client.cutting_proxy import COMMITTED, CuttingProxy
from tests.support.jobs import Jobs
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.waiting import until
from tests.support.world import World


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture
def say(jobs: Jobs, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `classbase jobs ...`, which must end with that exit code; gives what it printed."""
    monkeypatch.setenv("COLUMNS", "220")

    def command(*arguments: str, code: int = 0) -> str:
        signals = {sign: signal.getsignal(sign) for sign in (signal.SIGTERM, signal.SIGINT)}
        try:
            assert run(["jobs", *arguments, "--db-url", jobs.database.dsn]) == code
        finally:
            for sign, handler in signals.items():
                signal.signal(sign, handler)
        said = capsys.readouterr()
        return said.out or said.err

    return command


def test_the_list_says_when_and_how_it_went(jobs: Jobs, say: Any) -> None:
    jobs.add("tidy", "0 6 * * mon")
    jobs.change("tidy", "time_zone = 'Europe/Paris'")
    jobs.add("breaks", "30 0 * * *", "perform 1 / 0;")
    jobs.at("2026-03-02 00:30Z")
    say("run", "--once", code=1)
    listed = {job["name"]: job for job in json.loads(say("list", "--json"))}
    assert (listed["tidy"]["due_at"], listed["tidy"]["last_run_at"]) == ("2026-03-02T05:00:00+00:00", None)
    assert (listed["breaks"]["last_status"], listed["breaks"]["failures"]) == ("failed", 1)
    assert not listed["extend_horizons"]["is_active"]
    text = say("list")
    for words in ("Mon 2026-03-02 06:00 CET", "4 h 30 min", "failed 1×: division by zero", "switched off", "not yet"):
        assert words in text


def test_once_runs_what_is_due_and_says_so_to_cron(jobs: Jobs, say: Any) -> None:
    jobs.add("tidy", "0 9 * * *")
    assert say("run", "--once", "--json") == ""
    jobs.at("2026-03-02 09:00Z")
    [line] = say("run", "--once", "--json").splitlines()
    assert (json.loads(line)["job"], json.loads(line)["result"]) == ("tidy", "1")
    assert jobs.count("tidy") == 1
    jobs.add("breaks", "30 9 * * *", "perform private.fail('limit_exceeded', 'Too [bold]many.');")
    jobs.at("2026-03-02 09:30Z")
    assert "limit_exceeded: Too [bold]many. (again from 2026-03-02 09:35:00Z)" in say("run", "--once", code=1)


def test_by_hand(jobs: Jobs, say: Any) -> None:
    jobs.add("tidy", "0 9 * * *")
    jobs.add("breaks", "0 9 * * *", "perform 1 / 0;")
    assert "tidy" in say("run-now", "tidy")
    assert json.loads(say("run-now", "breaks", "--json", code=1))["error_sqlstate"] == "22012"
    assert json.loads(say("run-now", "nonsense", "--json", code=3))["error"]["code"] == "not_found"
    assert "division by zero" in say("history")
    assert [row["job"] for row in json.loads(say("history", "--json"))] == ["breaks", "tidy"]
    assert [row["job"] for row in json.loads(say("history", "tidy", "--json"))] == ["tidy"]
    assert [row["job"] for row in json.loads(say("history", "--failed", "--json"))] == ["breaks"]
    assert json.loads(say("history", "nonsense", "--json", code=3))["error"]["code"] == "not_found"


# -- in the foreground ---------------------------------------------------------------------------------------------


@contextmanager
def runner(db_url: str) -> Iterator[subprocess.Popen[str]]:
    """`classbase jobs run --json` as a process; ended at the end if the test did not."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SUPABASE_", "PG"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "classbase", "jobs", "run", "--json"],
        env={**environment, "DATABASE_URL": db_url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_it_runs_what_becomes_due_until_told_to_end(jobs: Jobs) -> None:
    """Two of them, and the job at hand is finished first."""
    jobs.add("tidy", "* * * * *")
    jobs.at("2026-03-02 08:59:59.5Z")  # something is always due within a second, so that nobody sleeps long
    jobs.add("waits", "0 9 * * *", "perform pg_advisory_xact_lock(1);")
    with runner(jobs.database.dsn) as one, runner(jobs.database.dsn) as other:
        until(lambda: jobs.count("tidy") == 1, "the first run")
        with jobs.database.connect(autocommit=False) as holder:
            holder.execute("select pg_advisory_xact_lock(1)")
            jobs.db.execute("update public.scheduled_jobs set is_active = false where name = 'tidy'")
            jobs.at("2026-03-02 09:00Z")
            blocked = "select pid from pg_stat_activity where wait_event = 'advisory' and query like '%run_due_jobs%'"
            until(lambda: jobs.db.execute(blocked).fetchone() is not None, "the job's start")
            for process in (one, other):
                process.send_signal(signal.SIGTERM)
            until(lambda: one.poll() is not None or other.poll() is not None, "the idle one's end")
            assert None in (one.poll(), other.poll()), "the busy one finishes its job"
        said = [
            json.loads(line)["job"]
            for process in (one, other)
            for line in process.communicate(timeout=60)[0].splitlines()
        ]
        assert (one.returncode, other.returncode) == (0, 0)
    assert sorted(said) == ["tidy", "waits"]
    assert (jobs.count("tidy"), jobs.count("waits")) == (1, 1)


def test_it_outlives_a_lost_connection(jobs: Jobs) -> None:
    jobs.add("tidy", "* * * * *")
    kill = (
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
    )
    with runner(jobs.database.dsn) as process:
        for minute in range(1, 4):
            jobs.at(f"2026-03-02 09:0{minute}:59.5Z")
            until(lambda: jobs.count("tidy") == minute, "the run")  # noqa: B023
            jobs.db.execute(kill)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0


def test_an_answer_that_is_lost_runs_nothing_twice(jobs: Jobs) -> None:
    for number in range(3):
        jobs.add(f"tidy_{number}", f"{number} 9 * * *")
    jobs.at("2026-03-02 09:30Z")
    with CuttingProxy.before(jobs.database.dsn, COMMITTED) as proxy:
        proxy.cuts = 2
        with runner(proxy.address(jobs.database.dsn)) as process:
            until(lambda: all(jobs.count(f"tidy_{number}") for number in range(3)), "the runs")
            until(lambda: proxy.was_cut == 2, "the cuts")
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
    assert [jobs.count(f"tidy_{number}") for number in range(3)] == [1, 1, 1]
    assert jobs.db.execute("select count(*) from public.job_runs").fetchone() == (3,)


def test_over_rest_and_for_those_who_may_only(jobs: Jobs, rest: Rest, world: World) -> None:
    jobs.add("tidy", "0 9 * * *")
    jobs.add("tidy_too", "5 9 * * *")
    jobs.at("2026-03-02 09:30Z")
    ran: list[str] = []

    def runner_of(token: str) -> JobRunner:
        cb = connect(rest.url, token, rest_path="")
        return JobRunner(cb, lambda run: ran.append(run["job"]), pytest.fail, threading.Event())

    with pytest.raises(Forbidden):
        runner_of(rest.token(world.user("manager"))).run()
    assert runner_of(rest.token("service_role")).run(once=True) == 0
    assert ran == ["tidy", "tidy_too"]


def test_it_says_what_it_waits_for_when_there_is_no_server() -> None:
    stop, said = threading.Event(), list[str]()

    def warn(line: str) -> None:
        said.append(line)
        if len(said) == 2:
            stop.set()

    with connect("http://127.0.0.1:9", "key", retry=RetryPolicy(attempts=1)) as cb:
        assert JobRunner(cb, lambda _: pytest.fail("Nothing runs."), warn, stop).run() == 0
    assert all("Trying again in" in line for line in said)
