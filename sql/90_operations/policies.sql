grant execute on function public.run_diagnostics(text[], text[]), public.apply_fixes(text[], text[], boolean, text) to authenticated, service_role;
grant execute on function private.find_faults(text[], text[]), private.mend_faults(text[], text[], boolean) to authenticated, service_role;
