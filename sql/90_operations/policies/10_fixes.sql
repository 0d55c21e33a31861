alter table public.fix_runs enable row level security;

-- The images are for undo_fix() only: they hold what their rows hold, of everybody.
grant select on public.fix_runs to authenticated, service_role;
create policy "holders of read:diagnostics see what was repaired" on public.fix_runs for select to authenticated
  using ((select private.has_permission('read:diagnostics')));

grant execute on function public.apply_fixes(text[], text[], boolean, text, bigint, text[]), public.undo_fix(bigint, boolean, text),
  public.remove_duplicate_classes(boolean, text)
  to authenticated, service_role;
grant execute on function private.mend_faults(text[], text[], boolean, bigint, text[]), private.take_back(bigint, boolean)
  to authenticated, service_role;
