-- A hosted project gives its roles seconds, and a whole season takes longer: PostgREST reads the limit from here.
create function public.import_schedules(
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
  perform private.check_import(p_rows, private.schedule_columns(), p_on_conflict, p_dry_run);
  if p_dry_run then
    return private.import_schedule_rows(p_rows, v_request);
  end if;
  v_answer := private.answered_before('import_schedules', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows));
  if v_answer is null then
    v_answer := private.import_schedule_rows(p_rows, v_request);
    perform private.remember_answer('import_schedules', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows), v_answer);
  end if;
  return v_answer;
end;
$$;
comment on function public.import_schedules(jsonb, boolean, text, text) is
  'Imports class schedules, all or none: p_rows is [{"class_type", "day_of_week", "start_time", "end_time", "duration_minutes", "time_zone", "instructor", "location", "max_participants", "is_active", "effective_from", "effective_until", "notes", "called_off", "moved", "id", "created_by", "created_at", "line"}, …], all text. class_type, instructor and location are names or ids; day_of_week is 0 (Sunday) to 6, or a name; called_off are dates with semicolons between, moved are 2026-01-31 > 2026-02-01 10:00-11:00. What runs into something is refused as a whole (p_on_conflict refuse), or left out in the order of the rows (skip). created_by and created_at are for servers. Needs manage:schedules. Rows of an id that is there already are left as they are (present), so that a file can be imported again. p_dry_run changes nothing. Returns the report: rows, imported, present, left_out, clashes, refused, errors. Raises invalid_input naming line, column and reason of every bad cell, limit_exceeded, time_conflict; details carry the report.';
