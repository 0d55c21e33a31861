alter table public.audit_log enable row level security;

-- Whoever may read it reads what everybody's rows held: what they may see of the tables themselves does not matter.
-- Nobody writes it but the triggers, which run as its owner.
grant select on public.audit_log to authenticated, service_role;
create policy "holders of read:audit see every change" on public.audit_log for select to authenticated
  using ((select private.has_permission('read:audit')));

grant execute on function public.record_history(text, text), public.row_as_of(text, text, timestamptz) to authenticated, service_role;
grant execute on function private.read_history(text, text), private.read_row_as_of(text, text, timestamptz) to authenticated, service_role;
