-- Jobs: every run of what public.scheduled_jobs lists.
--
-- Whoever calls run_due_jobs(), once or twenty times at once, from pg_cron, a foreground runner or over REST, is told
-- the jobs that are due and runs each due time of a job at most once. A job is due when its latest due time lies after
-- its watermark; running it moves the watermark there. What was missed in an outage is therefore caught up by one run,
-- which stands for all due times since covers_from. A due time whose run failed is tried again a few times (setting
-- job_attempts), until the next due time takes its place.
--
-- A run and what it did are one transaction: when its server dies halfway, neither is there, and the job is still due.

alter table public.scheduled_jobs
  add column watermark timestamptz not null default private.now(),
  add constraint time_zone_exists check (private.is_time_zone(time_zone)),
  add constraint command_is_a_private_function check (command ~ '^private\.[a-z][a-z0-9_]*$');
comment on column public.scheduled_jobs.watermark is
  'Due times up to here are done with: run, or before the job was there, switched on or given another schedule.';
comment on column public.scheduled_jobs.last_run_at is 'When it last ran, with or without success.';

create table public.job_runs (
  id bigint generated always as identity primary key,
  job text not null references public.scheduled_jobs (name) on update cascade on delete cascade,
  scheduled_for timestamptz,
  covers_from timestamptz,
  attempts integer not null default 1,
  status text not null,
  started_at timestamptz not null,
  finished_at timestamptz not null,
  duration interval generated always as (finished_at - started_at) stored,
  result text,
  error_sqlstate text,
  error_code text,
  error_message text,
  retry_at timestamptz,
  runner text not null,
  run_by uuid,
  constraint job_runs_once_a_due_time unique (job, scheduled_for),
  constraint status_is_known check (status in ('succeeded', 'failed')),
  constraint what_it_covers_begins_before_it check (covers_from <= scheduled_for),
  constraint attempts_are_counted_from_one check (attempts > 0),
  constraint start_is_not_after_finish check (started_at <= finished_at),
  constraint failures_say_why check ((status = 'failed') = (error_message is not null) and (status = 'failed') = (error_sqlstate is not null)),
  constraint only_failed_due_times_are_tried_again check (retry_at is null or (status = 'failed' and scheduled_for is not null))
);
create index job_runs_job on public.job_runs (job, started_at desc);
create index job_runs_started_at on public.job_runs (started_at);
comment on table public.job_runs is 'Every run of a job; a due time that is tried again keeps one row. Written by run_due_jobs and run_job only.';
comment on column public.job_runs.scheduled_for is 'The due time it ran for; null when somebody ran it by hand.';
comment on column public.job_runs.covers_from is 'The first due time it stands for; earlier than scheduled_for when runs were missed.';
comment on column public.job_runs.attempts is 'How often this due time was tried; the rest of the row tells of the last time.';
comment on column public.job_runs.status is 'succeeded or failed.';
comment on column public.job_runs.result is 'What its function returned, as text.';
comment on column public.job_runs.error_code is 'The code of a refusal of ours (docs/errors.md), if it was one.';
comment on column public.job_runs.retry_at is 'From when on this due time is tried again, unless the next one comes first; null when it is not.';
comment on column public.job_runs.runner is 'Who ran it: the connection''s application_name and role.';
comment on column public.job_runs.run_by is 'The login; null when a server did it.';
