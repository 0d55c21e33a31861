"""Running jobs: once, caught up once, recorded, alerted, by those who may."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
import pytest

from tests.support.calls import call, refused
from tests.support.identity import as_role, as_user
from tests.support.jobs import Jobs
from tests.support.rest import Rest
from tests.support.server import Database
from tests.support.world import World


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


def test_a_job_runs_at_its_due_time_and_not_before(jobs: Jobs) -> None:
    jobs.add("tidy", "30 9 * * *")
    jobs.at("2026-03-02 09:29:59Z")
    assert jobs.run() == []
    jobs.at("2026-03-02 09:30:00Z")
    [run] = jobs.run()
    assert (run["job"], run["status"], run["attempts"], run["result"]) == ("tidy", "succeeded", 1, "1")
    assert run["scheduled_for"] == run["covers_from"] == dt.datetime(2026, 3, 2, 9, 30, tzinfo=dt.UTC)
    assert jobs.run() == []
    jobs.at("2026-03-03 09:29:59Z")
    assert jobs.run() == []
    assert jobs.count("tidy") == 1
    jobs.at("2026-03-03 11:00:00Z")
    assert [run["job"] for run in jobs.run()] == ["tidy"]
    assert jobs.count("tidy") == 2


def test_an_outage_of_three_weeks_is_caught_up_once(jobs: Jobs) -> None:
    jobs.add("tidy", "0 6 * * 1")
    jobs.at("2026-03-25 12:00Z")
    [run] = jobs.run()
    assert run["scheduled_for"] == dt.datetime(2026, 3, 23, 6, tzinfo=dt.UTC)
    assert run["covers_from"] == dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)
    assert jobs.run() == []
    assert jobs.count("tidy") == 1


def test_what_was_due_before_it_was_there_is_not_caught_up(jobs: Jobs) -> None:
    jobs.at("2026-03-04 12:00Z")
    jobs.add("tidy", "0 6 * * *")
    assert jobs.run() == []
    jobs.change("tidy", "is_active = false")
    jobs.at("2026-03-08 12:00Z")
    assert jobs.run() == []
    jobs.change("tidy", "is_active = true")
    assert jobs.run() == []
    jobs.change("tidy", "time_zone = 'Asia/Tokyo'")
    assert jobs.run() == []
    jobs.at("2026-03-08 21:00Z")  # six in the morning in Tokyo
    assert len(jobs.run()) == 1


def test_a_clock_set_back_runs_nothing_again(jobs: Jobs) -> None:
    jobs.add("tidy", "0 * * * *")
    jobs.at("2026-03-02 09:00Z")
    assert len(jobs.run()) == 1
    for moment in ("2026-03-01 09:00Z", "2026-03-02 08:00Z", "2026-03-02 09:59Z"):
        jobs.at(moment)
        assert jobs.run() == []
    jobs.at("2026-03-02 10:00Z")
    assert len(jobs.run()) == 1


def test_the_organisations_zone_is_where_its_days_begin(jobs: Jobs) -> None:
    jobs.add("tidy", "0 6 * * *")
    jobs.db.execute("update public.settings set value = '\"America/New_York\"' where key = 'organisation_time_zone'")
    jobs.at("2026-03-02 10:59Z")
    assert jobs.run() == []
    jobs.at("2026-03-02 11:00Z")
    assert len(jobs.run()) == 1
    jobs.at("2026-03-08 10:00Z")  # six o'clock, since the clock moved on that night
    assert len(jobs.run()) == 1


def test_a_failure_stops_no_other_job_and_is_told(jobs: Jobs) -> None:
    jobs.add("breaks", "0 9 * * *", "perform 1 / 0;")
    jobs.add("refuses", "0 9 * * *", "perform private.fail('limit_exceeded', 'Too many.');")
    jobs.add("works", "0 9 * * *")
    jobs.at("2026-03-02 09:00Z")
    runs = {run["job"]: run for run in jobs.run()}
    assert {name: run["status"] for name, run in runs.items()} == {
        "breaks": "failed", "refuses": "failed", "works": "succeeded"
    }  # fmt: skip
    assert (runs["breaks"]["error_sqlstate"], runs["breaks"]["error_message"]) == ("22012", "division by zero")
    assert (runs["refuses"]["error_code"], runs["refuses"]["error_message"]) == ("limit_exceeded", "Too many.")
    assert jobs.count("breaks") == 0, "what it had done before it failed is undone"
    assert jobs.alerts() == {"breaks", "refuses"}
    assert {name for name, _ in jobs.findings("jobs_failing")} == {"breaks", "refuses"}
    jobs.mend("breaks")
    jobs.at("2026-03-03 09:00Z")
    jobs.run()
    assert jobs.alerts() == {"refuses"}


@pytest.mark.parametrize("code", ["40001", "40P01", "57014", "XX000", "P0001"])
def test_no_error_escapes(jobs: Jobs, code: str) -> None:
    jobs.add("breaks", "0 9 * * *", f"raise exception sqlstate '{code}' using message = E'no\\nway';")
    jobs.at("2026-03-02 09:00Z")
    [run] = jobs.run()
    assert (run["status"], run["error_sqlstate"]) == ("failed", code)


def test_what_is_checked_at_the_end_is_the_jobs_own_failure(jobs: Jobs) -> None:
    jobs.db.execute(
        "create table private.late (id integer unique deferrable initially deferred); "
        "insert into private.late values (1)"
    )
    jobs.add("breaks", "0 9 * * *", "insert into private.late values (1);")
    jobs.add("works", "0 9 * * *", "insert into private.late values (2), (2); delete from private.late where id = 2;")
    jobs.at("2026-03-02 09:00Z")
    assert [(run["job"], run["status"]) for run in jobs.run()] == [("breaks", "failed"), ("works", "succeeded")]


def test_a_failed_due_time_is_tried_again_a_few_times(jobs: Jobs) -> None:
    jobs.add("breaks", "0 9 * * *", "perform 1 / 0;")
    tried = []
    for moment in ("09:00", "09:04", "09:05", "09:14", "09:15", "09:20", "10:00", "23:00"):
        jobs.at(f"2026-03-02 {moment}Z")
        tried += [(moment, run["attempts"]) for run in jobs.run()]
    assert tried == [("09:00", 1), ("09:05", 2), ("09:15", 3)]
    row = jobs.db.execute("select count(*), max(attempts), max(retry_at) from public.job_runs").fetchone()
    assert row == (1, 3, None)
    jobs.mend("breaks")
    jobs.at("2026-03-03 09:00Z")
    [run] = jobs.run()
    assert (run["status"], run["attempts"]) == ("succeeded", 1)


def test_trying_again_ends_where_the_next_due_time_begins(jobs: Jobs) -> None:
    jobs.add("breaks", "*/2 * * * *", "perform 1 / 0;")
    for moment in ("09:00", "09:02", "09:06"):
        jobs.at(f"2026-03-02 {moment}Z")
        [run] = jobs.run()
        assert run["attempts"] == 1


def test_at_most_so_many_the_longest_due_first(jobs: Jobs) -> None:
    for hour in (3, 1, 2):
        jobs.add(f"tidy_{hour}", f"0 {hour} * * *")
    jobs.at("2026-03-02 09:00Z")
    assert [run["job"] for run in jobs.run(p_limit=2)] == ["tidy_1", "tidy_2"]
    assert [run["job"] for run in jobs.run(p_limit=2)] == ["tidy_3"]
    for limit in (0, 101, None):
        with refused("invalid_input") as refusal:
            jobs.run(p_limit=limit)
        assert refusal.fields == {"p_limit"}


def test_where_statements_have_a_limit_one_that_is_cut_off_is_recorded(jobs: Jobs) -> None:
    jobs.add("a_sleeps", "0 9 * * *", "perform pg_sleep(60);")
    jobs.add("works", "0 9 * * *")
    jobs.at("2026-03-02 09:00Z")
    with jobs.db.transaction():
        jobs.db.execute("set local statement_timeout = '400ms'")
        runs = jobs.run()
    assert [(run["job"], run["error_sqlstate"]) for run in runs] == [("a_sleeps", "57014")]
    assert [run["job"] for run in jobs.run()] == ["works"]


def test_none_is_begun_in_the_second_half_of_a_statements_time(jobs: Jobs) -> None:
    for number in range(3):
        jobs.add(f"sleeps_{number}", "0 9 * * *", "perform pg_sleep(1.2);")
    jobs.at("2026-03-02 09:00Z")
    with jobs.db.transaction():
        jobs.db.execute("set local statement_timeout = '4s'")
        assert len(jobs.run()) == 2
    assert len(jobs.run()) == 1


def test_other_isolation_levels_are_refused(jobs: Jobs) -> None:
    jobs.add("tidy", "0 9 * * *")
    jobs.at("2026-03-02 09:00Z")
    for statement in ("select * from public.run_due_jobs()", "select * from public.run_job('tidy')"):
        with refused("invalid_input"), jobs.db.transaction():
            jobs.db.execute("set transaction isolation level repeatable read")
            jobs.db.execute(statement.encode())
    assert len(jobs.run()) == 1


# -- by hand -------------------------------------------------------------------------------------------------------


def test_by_hand_it_runs_at_once_and_its_schedule_goes_on(jobs: Jobs) -> None:
    jobs.add("tidy", "0 9 * * *")
    jobs.change("tidy", "is_active = false")
    [run] = call(jobs.db, None, "run_job", p_name="tidy", p_idempotency_key="k")
    assert (run["status"], run["result"]) == ("succeeded", "1")
    assert call(jobs.db, None, "run_job", p_name="tidy", p_idempotency_key="k") == [run]
    assert jobs.count("tidy") == 1
    jobs.change("tidy", "is_active = true")
    jobs.at("2026-03-02 09:00Z")
    assert len(jobs.run()) == 1


def test_by_hand_a_failure_is_an_answer(jobs: Jobs) -> None:
    jobs.add("breaks", "0 9 * * *", "perform 1 / 0;")
    [run] = call(jobs.db, None, "run_job", p_name="breaks")
    assert (run["status"], run["error_sqlstate"]) == ("failed", "22012")
    assert jobs.alerts() == {"breaks"}
    with refused("not_found"):
        call(jobs.db, None, "run_job", p_name="nonsense")


def test_by_hand_every_job_we_ship_works_for_whoever_may_run_it(jobs: Jobs, world: World) -> None:
    for caller in (world.user("admin"), "service_role", None):
        for (name,) in jobs.db.execute("select name from public.scheduled_jobs where module <> 'test'").fetchall():
            [run] = call(jobs.db, caller, "run_job", p_name=name)
            assert run["status"] == "succeeded", run


# -- who may -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "may_see", "may_run"),
    [("admin", True, True), ("manager", True, False), ("instructor", False, False), ("staff", False, False), ("member", False, False)],
)  # fmt: skip
def test_who_may(jobs: Jobs, world: World, role: str, may_see: bool, may_run: bool) -> None:
    user = world.user(role)
    call(jobs.db, None, "run_job", p_name="forget_old_calls")
    for statement, may in (
        ("select count(*) > 0 from public.job_status()", may_see),
        ("select count(*) > 0 from public.job_history()", may_see),
        ("select count(*) >= 0 from public.check_assignment_performance()", may_see),
        ("select count(*) >= 0 from public.run_due_jobs()", may_run),
        ("select count(*) > 0 from public.run_job('forget_old_calls')", may_run),
    ):
        if may:
            with as_user(jobs.db, user):
                assert jobs.db.execute(statement.encode()).fetchone() == (True,)
        else:
            with refused("forbidden"), as_user(jobs.db, user):
                jobs.db.execute(statement.encode())
    with as_user(jobs.db, user):
        assert (jobs.db.execute("select 1 from public.job_runs").fetchone() is not None) == may_see
    with pytest.raises(psycopg.errors.InsufficientPrivilege), as_role(jobs.db, "anon"):
        jobs.db.execute("select * from public.run_due_jobs()")


def test_over_rest(jobs: Jobs, world: World, rest: Rest) -> None:
    jobs.add("tidy", "0 9 * * *")
    jobs.at("2026-03-02 09:00Z")
    assert rest.post("/rpc/run_due_jobs", {}, user=world.user("manager")).status_code == 403
    answer = rest.post("/rpc/run_due_jobs", {"p_limit": 5}, user="service_role")
    assert [run["job"] for run in answer.json()] == ["tidy"], answer.text
    [run] = rest.get("/rpc/job_history?p_job=tidy", user=world.user("manager")).json()
    assert run["run_by"] is None
    assert rest.get("/rpc/job_history?p_job=nonsense", user=world.user("manager")).json()["code"] == "not_found"
    for method, path in (("POST", "/job_runs"), ("PATCH", "/job_runs?id=gt.0"), ("DELETE", "/job_runs?id=gt.0")):
        body: dict[str, Any] = {} if method == "DELETE" else {"json": {"status": "succeeded"}}
        assert rest.request(method, path, user="service_role", **body).status_code == 403
    status = {job["name"]: job for job in rest.post("/rpc/job_status", {}, user=world.user("manager")).json()}
    assert (status["tidy"]["is_due"], status["tidy"]["last_status"]) == (False, "succeeded")
