"""The local backend runs its jobs by itself."""

from __future__ import annotations

import json
from typing import Any

import psutil
import psycopg

from classbase.embedded.processes import alive
from tests.embedded.conftest import Backend
from tests.support.waiting import until


def ask(document: dict[str, Any], query: str) -> Any:
    with psycopg.connect(document["db_url"], autocommit=True) as conn:
        row = conn.execute(query.encode()).fetchone()
        return row[0] if row else None


def test_jobs_run_by_themselves_and_again_after_a_crash(backend: Backend) -> None:
    up = backend.up()
    until(lambda: backend.status()["jobs_pid"] is not None, "the start")
    first = backend.status()["jobs_pid"]
    assert psutil.Process(first).cmdline()[-3:] == ["jobs", "run", "--quiet"]
    assert up["db_url"] not in " ".join(psutil.Process(first).cmdline())
    # A job that is due for long; whatever runs the jobs is asleep, and sees it when it is started anew.
    ask(up, "update public.scheduled_jobs set watermark = '2026-01-01' where name = 'forget_old_calls' returning 1")
    psutil.Process(first).kill()
    until(lambda: backend.status()["jobs_pid"] not in (None, first), "the new start")
    until(lambda: ask(up, "select count(*) from public.job_runs where job = 'forget_old_calls'") >= 1, "the run")
    assert ask(up, "select status from public.job_runs where job = 'forget_old_calls' limit 1") == "succeeded"
    second = backend.status()["jobs_pid"]
    assert backend.run("down").returncode == 0
    assert not alive(second)
    assert backend.processes() == []


def test_they_can_be_switched_off_and_run_over_rest(backend: Backend) -> None:
    up = backend.up("--no-jobs")
    status = backend.status()
    assert (status["healthy"], status["jobs_on"], status["jobs_pid"]) == (True, False, None)
    assert "switched off" in backend.run("status").stdout
    assert backend.up()["jobs_on"] is False, "what was said last time holds"
    there = ("--url", up["api_url"], "--key", up["service_role_key"])
    ask(up, "update public.scheduled_jobs set watermark = '2026-01-01' where name = 'extend_horizons' returning 1")
    # Others of the list may have fallen due since the backend came up; this one is.
    ran = [json.loads(line) for line in backend.run("jobs", "run", "--once", "--json", *there).stdout.splitlines()]
    assert [run["status"] for run in ran if run["job"] == "extend_horizons"] == ["succeeded"]
    listed = {job["name"]: job for job in json.loads(backend.run("jobs", "list", "--json", *there).stdout)}
    assert listed["extend_horizons"]["last_status"] == "succeeded"
    assert backend.run("jobs", "run-now", "check_performance", *there).returncode == 0
    backend.up("--jobs")
    until(lambda: backend.status()["jobs_pid"] is not None, "the start")
