create function private.check_jobs_failing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'scheduled_jobs', r.job, format('The job %s failed: %s', r.job, r.error_message),
    jsonb_build_object('job_run_id', r.id, 'started_at', r.started_at, 'attempts', r.attempts, 'sqlstate', r.error_sqlstate,
      'code', r.error_code, 'retry_at', r.retry_at)
  from public.scheduled_jobs j
  cross join lateral (
    select l.* from public.job_runs l where l.job = j.name order by l.started_at desc, l.id desc limit 1
  ) r
  where j.is_active and r.status = 'failed';
end;
comment on function private.check_jobs_failing() is 'Finds jobs whose last run failed.';
