-- The jobs of operations itself.

-- VACUUM cannot run inside a function; ANALYZE can. A table somebody else is maintaining just now is left to them.
create function private.weekly_maintenance() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_table regclass;
  v_count integer := 0;
begin
  for v_table in
    select c.oid
    from pg_catalog.pg_class c
    left join pg_catalog.pg_stat_all_tables s on s.relid = c.oid
    where c.relnamespace = any (array['public', 'private']::regnamespace[]) and c.relkind in ('r', 'p')
      and pg_catalog.pg_has_role(c.relowner, 'usage')
      -- What a table is divided into changes, and nobody else ever analyzes the whole.
      and (c.relkind = 'p' or s.n_mod_since_analyze > 0)
    order by c.oid::regclass::text
  loop
    execute format('analyze (skip_locked) %s', v_table);
    v_count := v_count + 1;
  end loop;
  return v_count;
end;
$$;
comment on function private.weekly_maintenance() is 'Job: has the planner look again at every table that changed; returns how many.';

create function private.forget_old_runs() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_runs_before constant timestamptz := private.now() - make_interval(days => private.setting_integer('job_run_days'));
  v_images_before constant timestamptz := private.now() - make_interval(days => private.setting_integer('fix_image_days'));
  v_forgotten bigint[];
  v_runs integer;
  v_images integer;
begin
  -- How each job went last stays known however long ago.
  delete from public.job_runs r
  where r.started_at < v_runs_before and exists (select from public.job_runs l where l.job = r.job and l.id > r.id);
  get diagnostics v_runs = row_count;
  v_forgotten := array(
    select f.id from public.fix_runs f where f.applied_at < v_images_before and f.forgotten_at is null
      and exists (select from private.fix_changes c where c.fix_id = f.id)
    order by f.id for no key update
  );
  delete from private.fix_changes c where c.fix_id = any(v_forgotten);
  get diagnostics v_images = row_count;
  update public.fix_runs f set forgotten_at = private.now() where f.id = any(v_forgotten);
  if private.has_cron() then
    execute format('delete from %1$I.job_run_details d using %1$I.job j
      where j.jobid = d.jobid and j.jobname like ''classbase\_%%'' and d.end_time < $1', 'cron') using v_runs_before;
  end if;
  return v_runs + v_images;
end;
$$;
comment on function private.forget_old_runs() is
  'Job: deletes runs of jobs, and images of repairs, that are older than the settings want them; such repairs cannot be undone any more. Returns how many rows went.';
