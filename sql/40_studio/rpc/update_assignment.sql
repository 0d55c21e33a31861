-- What may be changed of a class that is there.
create function private.change_fields() returns jsonb
language sql immutable set search_path = ''
return '{"class_type_id": "uuid", "package_id": "uuid", "instructor_id": "uuid", "location_id": "uuid", "date": "date", "start_time": "time",
  "end_time": "time", "time_zone": "text", "payment_amount": "amount", "payment_type": "text", "rate": "amount", "schedule_type": "text",
  "booking_type": "text", "class_status": "text", "payment_status": "text", "instructor_status": "text", "notes": "text",
  "schedule_id": "uuid", "occurs_on": "date", "plan_id": "uuid"}'::jsonb;
comment on function private.change_fields() is 'The fields of a class that may be changed, and of which kind each value is.';

-- Row level security and the triggers decide, as for any other update.
create function private.apply_changes(
  p_ids uuid[], p_changes jsonb, p_version integer default null, p_days integer default 0
) returns setof public.class_assignments
language sql volatile set search_path = ''
begin atomic
  update public.class_assignments a
  set (class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, time_zone, payment_amount, payment_type, schedule_type,
      booking_type, class_status, payment_status, instructor_status, notes, schedule_id, occurs_on, plan_id, rate)
    = (
      select c.class_type_id, c.package_id, c.instructor_id, c.location_id, c.date + p_days, c.start_time, c.end_time, c.time_zone, c.payment_amount,
        c.payment_type, c.schedule_type, c.booking_type, c.class_status, c.payment_status, c.instructor_status, c.notes, c.schedule_id, c.occurs_on,
        c.plan_id, c.rate
      from jsonb_populate_record(a, p_changes) c
    ),
    version = coalesce(p_version, a.version)
  where a.id = any(p_ids)
  returning a.*;
end;
comment on function private.apply_changes(uuid[], jsonb, integer, integer) is
  'Changes classes the caller may change, in one statement, and moves them by so many days; the fields were looked at by private.json_object_errors.';

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
  perform private.fail_input(private.unknown_in(p_changes, 'p_changes.'));
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
