create function private.check_job_commands_missing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'scheduled_jobs', j.name, format('The job %s calls %s(), which there is not', j.name, j.command), jsonb_build_object('command', j.command)
  from public.scheduled_jobs j
  where not exists (
    select from pg_catalog.pg_proc p
    where p.pronamespace = 'private'::regnamespace and 'private.' || p.proname = j.command and p.prokind = 'f' and p.pronargs = p.pronargdefaults
  )
  union all
  select 'scheduled_jobs', j.name, format('The job %s is never due: %s', j.name, e.error ->> 'message'), jsonb_build_object('cron', j.cron)
  from public.scheduled_jobs j
  cross join lateral jsonb_array_elements(private.cron_errors(j.cron)) as e(error);
end;
comment on function private.check_job_commands_missing() is 'Finds jobs that cannot run: no such function without arguments, or a cron expression that makes no sense.';
