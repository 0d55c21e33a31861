-- Where pg_cron is installed it runs the jobs. It catches nothing up and knows one time zone only, so what it is given is
-- to look every minute what is due; which job runs when is decided here. Several look at once, each in a transaction of
-- its own with room for one job, so that a long one delays nobody. What cannot run inside a function it is given by name.

create function private.wanted_cron_jobs() returns table (name text, schedule text, command text)
language sql immutable set search_path = ''
begin atomic
  select 'classbase_jobs_' || n, '* * * * *', 'select count(*) from public.run_due_jobs(1)' from generate_series(1, 3) n
  union all
  select 'classbase_vacuum', '40 3 * * 0', 'vacuum (analyze, skip_locked)';
end;
comment on function private.wanted_cron_jobs() is 'What pg_cron shall do for us, by name.';

create function private.has_cron() returns boolean
language sql stable set search_path = ''
return case
  -- Even to ask for what is in a schema takes a right to it.
  when exists (select from pg_catalog.pg_namespace n where n.nspname = 'cron' and has_schema_privilege(n.oid, 'usage'))
  then coalesce(has_function_privilege(to_regprocedure('cron.schedule(text,text,text)'), 'execute'), false) and to_regclass('cron.job') is not null
  else false
end;
comment on function private.has_cron() is 'Whether pg_cron is installed in this database and there for the owner of our functions.';

-- pg_cron shows a role its own entries only. Its schema is named at the last moment, since it may not be there.
create function private.cron_jobs() returns table (name text, schedule text, command text, is_active boolean)
language plpgsql stable security definer set search_path = ''
as $$
begin
  if private.has_cron() then
    return query execute format(
      'select j.jobname::text, j.schedule, j.command, j.active from %I.job j
       where j.jobname like ''classbase\_%%'' and j.database = current_database() and j.username = current_user', 'cron');
  end if;
end;
$$;
comment on function private.cron_jobs() is 'What pg_cron does for us; nothing where it is not installed.';

create function private.cron_job_faults() returns table (name text, fault text)
language sql stable security definer set search_path = ''
begin atomic
  select coalesce(w.name, c.name),
    case when c.name is null then 'is missing' when w.name is null then 'is not ours any more' when not c.is_active then 'is switched off'
      else 'is not what it should be' end
  from private.wanted_cron_jobs() w
  full join private.cron_jobs() c on c.name = w.name
  where private.has_cron()
    and (w.schedule, w.command, true) is distinct from (c.schedule, c.command, c.is_active);
end;
comment on function private.cron_job_faults() is 'Where what pg_cron does differs from what it shall do; nothing where it is not installed.';

create function private.sync_cron_jobs() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fault record;
  v_changed integer := 0;
begin
  for v_fault in
    select f.name, w.schedule, w.command from private.cron_job_faults() f left join private.wanted_cron_jobs() w on w.name = f.name order by f.name
  loop
    -- Scheduling a name that is there changes its entry, but leaves one that is switched off as it is.
    if exists (select from private.cron_jobs() c where c.name = v_fault.name) then
      execute format('select %I.unschedule($1)', 'cron') using v_fault.name;
    end if;
    if v_fault.schedule is not null then
      execute format('select %I.schedule($1, $2, $3)', 'cron') using v_fault.name, v_fault.schedule, v_fault.command;
    end if;
    v_changed := v_changed + 1;
  end loop;
  return v_changed;
end;
$$;
comment on function private.sync_cron_jobs() is
  'Makes pg_cron, where it is installed, do what it shall do and nothing else of ours; returns how many entries changed. Runs with every migration; call it once more after installing pg_cron.';
