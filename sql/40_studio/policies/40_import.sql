-- Imports and exports. What writes checks the permission first.

grant execute on function public.import_bookings(jsonb, boolean, text), public.import_schedules(jsonb, boolean, text, text),
  public.import_assignments(jsonb, boolean, text, text)
  to authenticated, service_role;
grant execute on function private.check_import(jsonb, jsonb, text, boolean), private.booking_columns(), private.schedule_columns(),
  private.assignment_columns(), private.import_booking_rows(jsonb, jsonb), private.import_schedule_rows(jsonb, jsonb),
  private.import_assignment_rows(jsonb, jsonb)
  to authenticated, service_role;
