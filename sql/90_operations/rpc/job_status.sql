-- Which of its due times are still to run is asked as whoever owns the jobs; whether the caller may know, first.
create function private.describe_jobs() returns table (
  name text, module text, description text, cron text, time_zone text, is_active boolean, is_due boolean, due_at timestamptz, due_in interval,
  last_run_at timestamptz, last_status text, last_duration interval, last_error text, failures integer
)
language plpgsql stable security definer rows 10 set search_path = '' set jit = 'off'
as $$
begin
  perform private.require_permission('read:diagnostics');
  return query
    select j.name, j.module, j.description, j.cron, z.zone, j.is_active, d.scheduled_for is not null,
      n.at, greatest(n.at - private.now(), interval '0'), l.started_at, l.status, l.duration, l.error_message,
      -- A due time counts as often as it was tried.
      coalesce((
        select sum(r.attempts)::integer from public.job_runs r
        where r.job = j.name and r.status = 'failed'
          and r.id > coalesce((select max(s.id) from public.job_runs s where s.job = j.name and s.status = 'succeeded'), 0)
      ), 0)
    from public.scheduled_jobs j
    cross join lateral (select coalesce(j.time_zone, private.setting_text('organisation_time_zone')) as zone) z
    left join private.due_jobs() d on d.job = j.name
    left join lateral (
      select r.started_at, r.status, r.duration, r.error_message, r.retry_at
      from public.job_runs r where r.job = j.name order by r.started_at desc, r.id desc limit 1
    ) l on true
    cross join lateral (
      select case when j.is_active then coalesce(d.scheduled_for, least(l.retry_at, private.cron_next(j.cron, z.zone, private.now()))) end as at
    ) n
    order by n.at nulls last, j.name;
end;
$$;
comment on function private.describe_jobs() is 'Every job with when it is due and how it went last, for a holder of read:diagnostics.';

create function public.job_status() returns table (
  name text, module text, description text, cron text, time_zone text, is_active boolean, is_due boolean, due_at timestamptz, due_in interval,
  last_run_at timestamptz, last_status text, last_duration interval, last_error text, failures integer
)
language sql stable set search_path = ''
begin atomic
  select * from private.describe_jobs();
end;
comment on function public.job_status() is
  'Every job: when it is due (is_due: now; due_in: how long until then, by the database''s clock; null when it is switched off) in which zone, how its last run went, and how often it failed since it last succeeded. Soonest first. Needs read:diagnostics.';
