-- Running jobs: each due time of a job once, whoever asks and however many ask at once.

-- Of the due times since the watermark only the latest counts; it is due until a run of it is there, and again when that
-- run failed and may be tried again.
create function private.due_jobs(p_job text default null) returns table (job text, scheduled_for timestamptz, attempts integer)
language plpgsql stable security definer rows 10 set search_path = '' set jit = 'off'
as $$
begin
  return query
    select j.name, d.at, coalesce(r.attempts, 0)
    from public.scheduled_jobs j
    cross join lateral private.cron_previous(j.cron, coalesce(j.time_zone, private.setting_text('organisation_time_zone')), private.now()) as d(at)
    left join public.job_runs r on r.job = j.name and r.scheduled_for = d.at
    where j.is_active and (p_job is null or j.name = p_job)
      and case when r.id is null then d.at > j.watermark else r.retry_at <= private.now() end;
end;
$$;
comment on function private.due_jobs(text) is 'The jobs that are due (all, or the one of that name), with the due time to run and how often it was tried.';

-- What a job does is undone when it fails, checks it had put off until the end included; that it failed is kept, and so
-- is what other jobs of the same call did. The one place that takes every error: it tells them all.
create function private.attempt_job(p_job public.scheduled_jobs, p_scheduled_for timestamptz) returns public.job_runs
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_began constant timestamptz := private.stopwatch();
  v_attempts constant integer := 1 + coalesce(
    (select r.attempts from public.job_runs r where r.job = p_job.name and r.scheduled_for = p_scheduled_for), 0);
  v_run public.job_runs;
  v_said jsonb;
begin
  begin
    execute format('select left(string_agg(r::text, E''\n''), 1000) from private.%I() as r', split_part(p_job.command, '.', 2)) into v_run.result;
    set constraints all immediate;
  exception when others or query_canceled then
    get stacked diagnostics v_run.error_sqlstate = returned_sqlstate, v_run.error_message = message_text;
  end;
  set constraints all deferred;
  -- What private.fail raises; its sentence is for people.
  if v_run.error_sqlstate = 'PGRST' and v_run.error_message like '{"code": "%' then
    v_said := v_run.error_message::jsonb;
    v_run.error_code := v_said ->> 'code';
    v_run.error_message := v_said ->> 'message';
  end if;
  insert into public.job_runs as r (
    job, scheduled_for, covers_from, attempts, status, started_at, finished_at, result, error_sqlstate, error_code, error_message,
    retry_at, runner, run_by
  )
  select p_job.name, p_scheduled_for,
    case when p_scheduled_for is not null then least(p_scheduled_for, private.cron_next(p_job.cron, z.zone, p_job.watermark)) end, v_attempts,
    case when v_run.error_sqlstate is null then 'succeeded' else 'failed' end,
    private.now(), private.now() + (private.stopwatch() - v_began),
    case when v_run.error_sqlstate is null then nullif(v_run.result, '') end,
    v_run.error_sqlstate, v_run.error_code,
    case when v_run.error_sqlstate is not null then coalesce(left(private.clean_text(v_run.error_message), 1000), 'It did not say why.') end,
    case when v_run.error_sqlstate is not null and p_scheduled_for is not null and v_attempts < private.setting_integer('job_attempts')
      then private.now() + v_attempts * make_interval(mins => private.setting_integer('job_retry_minutes')) end,
    left(concat_ws(' as ', nullif(current_setting('application_name'), ''), private.acting_role()), 200), private.caller_id()
  from (select coalesce(p_job.time_zone, private.setting_text('organisation_time_zone')) as zone) z
  on conflict (job, scheduled_for) do update set
    attempts = excluded.attempts, status = excluded.status, started_at = excluded.started_at, finished_at = excluded.finished_at,
    result = excluded.result, error_sqlstate = excluded.error_sqlstate, error_code = excluded.error_code,
    error_message = excluded.error_message, retry_at = excluded.retry_at, runner = excluded.runner, run_by = excluded.run_by
  returning r.* into v_run;
  update public.scheduled_jobs j
  set last_run_at = v_run.started_at, watermark = greatest(j.watermark, p_scheduled_for)
  where j.name = p_job.name;
  if v_run.status = 'failed' then
    perform private.raise_alert('job_failed', p_job.name, 'error', format('The job %s failed: %s', p_job.name, v_run.error_message),
      jsonb_build_object('job_run_id', v_run.id, 'sqlstate', v_run.error_sqlstate, 'code', v_run.error_code, 'retry_at', v_run.retry_at));
  else
    perform private.clear_alert('job_failed', p_job.name);
  end if;
  return v_run;
end;
$$;
comment on function private.attempt_job(public.scheduled_jobs, timestamptz) is
  'Runs a job''s function, for a due time or (null) by hand, and records how it went; failures raise the alert job_failed, success clears it. Its caller holds the job.';

create function private.hold_job(p_job text) returns boolean
language sql volatile set search_path = ''
return pg_try_advisory_xact_lock(hashtextextended('job ' || p_job, 0));
comment on function private.hold_job(text) is 'Takes a job for this transaction; false when somebody else is running it.';

-- Statement after statement: whether it is still due is asked after the lock is held, and sees what its last holder did.
create function private.take_turn(p_job text) returns public.job_runs
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_job public.scheduled_jobs;
  v_scheduled_for timestamptz;
begin
  if not private.hold_job(p_job) then
    return null;
  end if;
  select d.scheduled_for into v_scheduled_for from private.due_jobs(p_job) d;
  if not found then
    return null;
  end if;
  select j.* into v_job from public.scheduled_jobs j where j.name = p_job;
  return private.attempt_job(v_job, v_scheduled_for);
end;
$$;
comment on function private.take_turn(text) is 'Runs a job if it is due and nobody else is running it; null otherwise.';

-- A statement that is cut off takes everything in it along. So where statements have a limit, no job is begun in its
-- second half, and none after one that was cut off.
create function private.run_due(p_limit integer) returns setof public.job_runs
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_began constant timestamptz := private.stopwatch();
  v_patience constant interval := nullif(current_setting('statement_timeout')::interval, interval '0') / 2;
  v_done integer := 0;
  v_name text;
  v_run public.job_runs;
begin
  perform private.require_permission('run:jobs');
  perform private.require_read_committed();
  for v_name in select d.job from private.due_jobs() d order by d.scheduled_for, d.job loop
    exit when v_done >= p_limit or private.stopwatch() - v_began > v_patience;
    v_run := private.take_turn(v_name);
    continue when v_run.id is null;
    v_done := v_done + 1;
    return next v_run;
    exit when v_run.error_sqlstate = '57014';
  end loop;
end;
$$;
comment on function private.run_due(integer) is 'Runs the jobs that are due, the longest due first, at most p_limit of them, for a holder of run:jobs; gives their runs.';

create function private.run_by_hand(p_name text) returns public.job_runs
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_job public.scheduled_jobs;
begin
  perform private.require_permission('run:jobs');
  perform private.require_read_committed();
  select j.* into v_job from public.scheduled_jobs j where j.name = p_name;
  if not found then
    perform private.fail('not_found', format('There is no job called %s', private.clean_text(p_name)), 'p_name', jsonb_build_object('name', p_name));
  end if;
  if not private.hold_job(p_name) then
    perform private.fail('in_progress', format('The job %s is running', p_name), 'p_name', jsonb_build_object('name', p_name),
      'Ask again when it is done.');
  end if;
  return private.attempt_job(v_job, null);
end;
$$;
comment on function private.run_by_hand(text) is 'Runs a job now, due or not, for a holder of run:jobs. Its schedule goes on as if it had not.';
