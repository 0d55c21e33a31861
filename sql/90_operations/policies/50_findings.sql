alter table public.diagnostic_runs enable row level security;
alter table public.check_results enable row level security;
alter table public.findings enable row level security;

-- Written by run_diagnostics, apply_fixes and the scheduled run only.
grant select on public.diagnostic_runs, public.check_results, public.findings, public.finding_history, public.check_overview
  to authenticated, service_role;
create policy "holders of read:diagnostics see runs" on public.diagnostic_runs for select to authenticated
  using ((select private.has_permission('read:diagnostics')));
create policy "holders of read:diagnostics see what checks said" on public.check_results for select to authenticated
  using ((select private.has_permission('read:diagnostics')));
create policy "holders of read:diagnostics see findings" on public.findings for select to authenticated
  using ((select private.has_permission('read:diagnostics')));

grant update (is_active, auto_fix, fix_attempts, fallback, alert_from, notify_role) on public.integrity_checks to authenticated, service_role;
create policy "holders of manage:checks choose what checks may do" on public.integrity_checks for update to authenticated
  using ((select private.has_permission('manage:checks'))) with check ((select private.has_permission('manage:checks')));

grant execute on function public.run_diagnostics(text[], text[], timestamptz, bigint), public.start_diagnostics(text), public.consistency_score(),
  public.acknowledge_alert(bigint), public.resolve_alert(bigint, text) to authenticated, service_role;
grant execute on function private.find_faults(text[], text[], timestamptz, bigint), private.open_run(), private.settle_alert(bigint, boolean, text)
  to authenticated, service_role;
