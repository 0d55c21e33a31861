-- Imports, exports, and what the desk settles. What writes checks the permission first.

grant execute on function public.import_bookings(jsonb, boolean, text), public.import_schedules(jsonb, boolean, text, text),
  public.import_assignments(jsonb, boolean, text, text)
  to authenticated, service_role;
grant execute on function private.check_import(jsonb, jsonb, text, boolean), private.booking_columns(), private.schedule_columns(),
  private.assignment_columns(), private.import_booking_rows(jsonb, jsonb), private.import_schedule_rows(jsonb, jsonb),
  private.import_assignment_rows(jsonb, jsonb)
  to authenticated, service_role;

-- Exports ask the tables themselves, which say whose rows the caller sees.
grant select on private.export_names to authenticated, service_role;
grant execute on function public.export_bookings(uuid, integer), public.export_schedules(uuid, integer),
  public.export_assignments(date, date, uuid, integer)
  to authenticated, service_role;
grant execute on function private.list_to_text(text[]), private.instant_to_text(timestamptz), private.check_page(integer)
  to authenticated, service_role;
grant execute on function public.studio_conflicts(date, date), private.conflicts_of_studio(date, date)
  to authenticated, service_role;
