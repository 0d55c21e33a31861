-- A hosted project gives its roles seconds, and a whole season takes longer: PostgREST reads the limit from here.
create function public.import_bookings(
  p_rows jsonb,
  p_dry_run boolean default false,
  p_idempotency_key text default null
) returns jsonb
language plpgsql volatile set search_path = '' set statement_timeout = '2min'
as $$
declare
  v_request jsonb := jsonb_build_object('on_conflict', 'refuse', 'dry_run', p_dry_run);
  v_answer jsonb;
begin
  perform private.check_import(p_rows, private.booking_columns(), 'refuse', p_dry_run);
  if p_dry_run then
    return private.import_booking_rows(p_rows, v_request);
  end if;
  v_answer := private.answered_before('import_bookings', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows));
  if v_answer is null then
    v_answer := private.import_booking_rows(p_rows, v_request);
    perform private.remember_answer('import_bookings', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows), v_answer);
  end if;
  return v_answer;
end;
$$;
comment on function public.import_bookings(jsonb, boolean, text) is
  'Imports bookings, all or none: p_rows is [{"booking_id", "customer", "class_name", "instructor", "class_date", "class_time", "preferred_days", "preferred_times", "timezone", "first_name", "last_name", "email", "phone", "status", "booking_type", "package", "uses_credits", "notes", "id", "created_by", "created_at", "line"}, …], all text, none of them required. customer and package are names or ids, a customer also an email address; lists have semicolons between. confirmed is what the classes make of a booking, when they are imported with their booking_ids. booking_id, created_by and created_at are for servers. Needs create:booking and bulk:assignment, and update:booking for ended ones. Rows of an id that is there already are left as they are (present), so that a file can be imported again. p_dry_run changes nothing. Returns the report: rows, imported, present, left_out, clashes, refused, errors. Raises invalid_input naming line, column and reason of every bad cell, limit_exceeded; details carry the report.';
