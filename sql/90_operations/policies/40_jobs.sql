alter table public.job_runs enable row level security;

-- Written by run_due_jobs and run_job.
grant select on public.job_runs to authenticated, service_role;
create policy "holders of read:diagnostics see the runs of jobs" on public.job_runs for select to authenticated
  using ((select private.has_permission('read:diagnostics')));

grant execute on function public.run_due_jobs(integer), public.run_job(text, text), public.job_status(),
  public.job_history(text, text, integer), public.check_assignment_performance()
  to authenticated, service_role;
grant execute on function private.run_due(integer), private.run_by_hand(text), private.describe_jobs(), private.measure_performance()
  to authenticated, service_role;
