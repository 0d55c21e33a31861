create function private.check_jobs_without_function() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'scheduled_jobs', j.name, format('The job %s runs %s, which is not there', j.name, j.command), jsonb_build_object('command', j.command, 'cron', j.cron)
  from public.scheduled_jobs j
  where j.is_active and to_regproc(j.command) is null;
end;
comment on function private.check_jobs_without_function() is 'Active jobs that cannot run.';
