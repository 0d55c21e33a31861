"""What fails once a guard of jobs is gone."""

from __future__ import annotations

from tests.support.calls import refused
from tests.support.guards import guards
from tests.support.stage import Stage

_RUN = "update public.job_runs set {} where status = 'succeeded' and scheduled_for is not null"

REFUSED = {
    "public.scheduled_jobs.time_zone_exists": "update public.scheduled_jobs set time_zone = 'Mars/Olympus'",
    "public.scheduled_jobs.command_is_a_private_function": (
        "update public.scheduled_jobs set command = 'private.f(); drop table public.settings; --'"
    ),
    "public.job_runs.job_runs_pkey": (
        "insert into public.job_runs (id, job, status, started_at, finished_at, runner) overriding system value "
        "select id, job, 'succeeded', started_at, finished_at, runner from public.job_runs where scheduled_for is null"
    ),
    "public.job_runs.status_is_known": "update public.job_runs set status = 'skipped' where status = 'succeeded'",
    "public.job_runs.what_it_covers_begins_before_it": _RUN.format("covers_from = scheduled_for + interval '1 hour'"),
    "public.job_runs.attempts_are_counted_from_one": _RUN.format("attempts = 0"),
    "public.job_runs.start_is_not_after_finish": _RUN.format("finished_at = started_at - interval '1 second'"),
    "public.job_runs.failures_say_why": _RUN.format("error_message = 'Nothing went wrong.'"),
    "public.job_runs.only_failed_due_times_are_tried_again": _RUN.format("retry_at = private.now()"),
}


@guards("public.scheduled_jobs.t20_check_schedule")
def a_schedule_is_one_that_can_be_kept(stage: Stage) -> None:
    """Five words are not yet a schedule; and a new schedule is not caught up."""
    with refused("invalid_input"), stage.db.transaction():
        stage.db.execute("update public.scheduled_jobs set cron = '0 0 31 feb *' where name = 'extend_horizons'")
    stage.db.execute("update public.scheduled_jobs set watermark = '2020-01-01' where name = 'extend_horizons'")
    stage.db.execute("update public.scheduled_jobs set cron = '* * * * *' where name = 'extend_horizons'")
    row = stage.db.execute("select count(*) from private.due_jobs('extend_horizons')").fetchone()
    assert row == (0,)
