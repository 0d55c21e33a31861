create function private.check_cron_schedules_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'cron.job', f.name, format('pg_cron''s entry %s %s', f.name, f.fault), '{}'::jsonb from private.cron_job_faults() f;
end;
comment on function private.check_cron_schedules_differ() is 'Finds entries of pg_cron that are not what we want of it; nothing where it is not installed.';

create function private.fix_cron_schedules_differ(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
begin atomic
  select case when cardinality(p_entity_ids) > 0 then private.sync_cron_jobs() else 0 end;
end;
comment on function private.fix_cron_schedules_differ(text[]) is 'Schedules our entries of pg_cron again, all that differ.';
