-- A hosted project gives its roles seconds, and a whole season takes longer: PostgREST reads the limit from here.
create function public.import_assignments(
  p_rows jsonb,
  p_dry_run boolean default false,
  p_on_conflict text default 'refuse',
  p_idempotency_key text default null
) returns jsonb
language plpgsql volatile set search_path = '' set statement_timeout = '2min'
as $$
declare
  v_request jsonb := jsonb_build_object('on_conflict', p_on_conflict, 'dry_run', p_dry_run);
  v_answer jsonb;
begin
  perform private.check_import(p_rows, private.assignment_columns(), p_on_conflict, p_dry_run);
  if p_dry_run then
    return private.import_assignment_rows(p_rows, v_request);
  end if;
  v_answer := private.answered_before('import_assignments', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows));
  if v_answer is null then
    v_answer := private.import_assignment_rows(p_rows, v_request);
    perform private.remember_answer('import_assignments', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows), v_answer);
  end if;
  return v_answer;
end;
$$;
comment on function public.import_assignments(jsonb, boolean, text, text) is
  'Imports classes, all or none, those that are over as well: p_rows is [{"date", "start_time", "end_time", "time_zone", "instructor", "class_type", "package", "location", "payment_amount", "payment_type", "rate", "schedule_type", "booking_type", "class_status", "payment_status", "instructor_status", "notes", "schedule_id", "occurs_on", "plan_id", "booking_ids", "id", "rate_id", "instructor_response_at", "assigned_by", "assigned_at", "created_at", "archived_by", "archived_at", "line"}, …], all text. Names or ids for instructor, class_type, package and location; booking_ids are codes with semicolons between. With a schedule_id a column that is missing is as the schedule says. What runs into something is refused as a whole (p_on_conflict refuse), or left out in the order of the rows (skip). instructor_response_at and what follows it is for servers. Needs bulk:assignment and create:assignment, and manage:pay for pay that is not pending. Rows of an id that is there already are left as they are (present), so that a file can be imported again. p_dry_run changes nothing. Returns the report: rows, imported, present, left_out, clashes, refused, errors. Raises invalid_input naming line, column and reason of every bad cell, limit_exceeded, time_conflict; details carry the report.';
