alter table public.alerts enable row level security;

-- Written by raise_alert and clear_alert, and through acknowledge_alert and resolve_alert.
grant select on public.alerts to authenticated, service_role;
create policy "holders of read:diagnostics see alerts" on public.alerts for select to authenticated
  using ((select private.has_permission('read:diagnostics')));
