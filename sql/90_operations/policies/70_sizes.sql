grant execute on function public.table_sizes(), public.access_overview(), private.sizes_for_caller(), private.access_for_caller()
  to authenticated, service_role;
