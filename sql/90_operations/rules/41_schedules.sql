-- A job's schedule makes sense, and a job that is new, switched on or given another schedule begins with its next due
-- time: what would have been due before is not caught up.

create function private.check_job_schedule() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.fail_input(
    private.cron_errors(new.cron)
    || private.input_error(not private.is_time_zone(new.time_zone), 'time_zone', 'A time zone is an IANA name, such as Europe/Paris')
  );
  if tg_op = 'UPDATE' and ((new.cron, new.time_zone) is distinct from (old.cron, old.time_zone) or (new.is_active and not old.is_active)) then
    new.watermark := greatest(old.watermark, private.now());
  end if;
  return new;
end;
$$;
comment on function private.check_job_schedule() is
  'Row trigger on scheduled_jobs: refuses a cron expression or time zone that makes no sense, and starts a changed schedule from now.';

create trigger t20_check_schedule before insert or update of cron, time_zone, is_active on public.scheduled_jobs
  for each row execute function private.check_job_schedule();
