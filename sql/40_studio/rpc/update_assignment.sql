-- What may be changed of a class that is there.
create function private.change_fields() returns jsonb
language sql immutable set search_path = ''
return '{"class_type_id": "uuid", "package_id": "uuid", "instructor_id": "uuid", "location_id": "uuid", "date": "date", "start_time": "time",
  "end_time": "time", "time_zone": "text", "payment_amount": "amount", "payment_type": "text", "rate": "amount", "schedule_type": "text",
  "booking_type": "text", "class_status": "text", "payment_status": "text", "instructor_status": "text", "notes": "text",
  "schedule_id": "uuid", "occurs_on": "date", "plan_id": "uuid"}'::jsonb;
comment on function private.change_fields() is 'The fields of a class that may be changed, and of which kind each value is.';

-- One update of whatever is named. Row level security and the triggers decide, as for any other update.
create function private.apply_changes(p_ids uuid[], p_changes jsonb, p_version integer default null) returns setof public.class_assignments
language plpgsql volatile set search_path = ''
as $$
declare
  v_columns text := (select string_agg(format('%I = c.%I', k.key, k.key), ', ' order by k.key) from jsonb_object_keys(p_changes) as k(key));
begin
  if p_version is not null then
    v_columns := concat_ws(', ', v_columns, 'version = $3');
  end if;
  return query execute format(
    'update public.class_assignments a set %s from jsonb_populate_record(null::public.class_assignments, $2) c where a.id = any($1) returning a.*',
    v_columns) using p_ids, p_changes, p_version;
end;
$$;
comment on function private.apply_changes(uuid[], jsonb, integer) is
  'Changes classes the caller may change in one statement; the fields were looked at by private.json_object_errors.';

create function public.update_assignment(
  p_id uuid, p_expected_version integer, p_changes jsonb, p_idempotency_key text default null
) returns setof public.class_assignments
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'expected_version', p_expected_version, 'changes', p_changes);
  v_answer jsonb := private.answered_before('update_assignment', p_idempotency_key, v_request);
  v_row public.class_assignments;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.class_assignments, v_answer);
    return;
  end if;
  perform private.fail_input(
    private.input_error(p_id is null, 'p_id', 'Say which class')
    || private.input_error(p_expected_version is null, 'p_expected_version', 'Say which version you read')
    || private.input_error(p_changes = '{}', 'p_changes', 'Say what changes')
    || private.json_object_errors(p_changes, private.change_fields(), 'p_changes.')
  );
  select * into v_row from private.apply_changes(array[p_id], p_changes, p_expected_version);
  if not found then
    if exists (select from public.class_assignments a where a.id = p_id) then
      perform private.require_permission('update:assignment');
    end if;
    perform private.fail('not_found', 'There is no such class', 'p_id', jsonb_build_object('id', p_id));
  end if;
  perform private.remember_answer('update_assignment', p_idempotency_key, v_request, to_jsonb(v_row));
  return next v_row;
end;
$$;
comment on function public.update_assignment(uuid, integer, jsonb, text) is
  'Changes one class, as it was at p_expected_version. p_changes holds the columns that change, such as {"date": "2026-03-02", "start_time": "18:00", "end_time": "19:00"}; null empties one. Needs update:assignment, or update:own_assignment for what its instructor may say. Returns the class. Raises stale_version with the class as it is now, time_conflict, illegal_transition, invalid_input naming every field, not_found.';
