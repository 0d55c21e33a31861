-- A new database has a day to be given something that runs its jobs; once something did, every job is looked at.
create function private.check_jobs_late() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  with runs as (
    select exists (select from public.job_runs r where r.scheduled_for is not null) or private.has_cron() as were_seen
  )
  select 'scheduled_jobs', d.job, format('The job %s was due at %s and was not run', d.job, to_char(d.scheduled_for at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')),
    jsonb_build_object('scheduled_for', d.scheduled_for)
  from private.due_jobs() d
  cross join runs
  where runs.were_seen and d.attempts = 0
    and d.scheduled_for < private.now() - make_interval(mins => private.setting_integer('job_late_minutes'))
  union all
  select 'scheduled_jobs', '', 'Nothing runs the jobs: neither pg_cron, nor `classbase jobs run`, nor a caller of run_due_jobs', '{}'::jsonb
  from runs
  where not runs.were_seen
    and (select min(j.watermark) from public.scheduled_jobs j where j.is_active) < private.now() - interval '1 day';
end;
comment on function private.check_jobs_late() is 'Finds jobs that are due for longer than job_late_minutes, and databases whose jobs nothing runs.';
