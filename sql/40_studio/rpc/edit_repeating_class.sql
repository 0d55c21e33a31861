create function public.edit_repeating_class(
  p_scope text,
  p_changes jsonb,
  p_assignment_id uuid default null,
  p_schedule_id uuid default null,
  p_occurs_on date default null,
  p_idempotency_key text default null
) returns table (schedule_id uuid, assignment_ids uuid[], kept jsonb)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request jsonb := jsonb_build_object('scope', p_scope, 'changes', p_changes, 'assignment_id', p_assignment_id, 'schedule_id', p_schedule_id,
    'occurs_on', p_occurs_on);
  v_answer jsonb := private.answered_before('edit_repeating_class', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.require_permission('update:assignment');
    perform private.fail_input(
      private.input_error(coalesce(p_scope, '') not in ('this', 'following', 'all'), 'p_scope', 'A scope is this, following or all')
      || private.input_error(p_changes = '{}', 'p_changes', 'Say what changes')
      || private.json_object_errors(p_changes, '{"day_of_week": "count", "start_time": "time", "end_time": "time", "instructor_id": "uuid",
        "location_id": "uuid", "class_type_id": "uuid", "max_participants": "count", "notes": "text"}', 'p_changes.')
      || private.input_error(p_changes -> 'day_of_week' = 'null' or p_changes ->> 'day_of_week' !~ '^[0-6]$', 'p_changes.day_of_week',
        'A day is 0 (Sunday) to 6 (Saturday)')
      || private.input_error(p_scope = 'this' and p_changes ? 'max_participants', 'p_changes.max_participants',
        'How many can take part is said for the whole schedule, not for one date')
      || private.input_error(p_assignment_id is null and (p_schedule_id is null or p_occurs_on is null), 'p_assignment_id',
        'Name a class, or a schedule and one of its dates')
      || private.input_error(p_assignment_id is not null and (p_schedule_id is not null or p_occurs_on is not null), 'p_schedule_id',
        'Name a class, or a schedule and one of its dates, not both')
    );
    perform private.fail_input(private.unknown_in(p_changes, 'p_changes.'));
    select to_jsonb(e) into v_answer from private.edit_series(p_scope, p_changes, p_assignment_id, p_schedule_id, p_occurs_on) e;
    perform private.remember_answer('edit_repeating_class', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select r.schedule_id, r.assignment_ids, r.kept from jsonb_to_record(v_answer) as r(schedule_id uuid, assignment_ids uuid[], kept jsonb);
end;
$$;
comment on function public.edit_repeating_class(text, jsonb, uuid, uuid, date, text) is
  'Changes a class that repeats. Name it by p_assignment_id, or by p_schedule_id and the date p_occurs_on of it. p_scope: this (that date only; a date without a class gets one), following (that date and all after it), all (today and after; what is past stays). p_changes: day_of_week, start_time, end_time, instructor_id, location_id, class_type_id, max_participants, notes. Classes changed by hand keep what was changed, field by field; kept lists them. A schedule with dates before the change ends there, and a new one goes on: schedule_id is that one. Classes made as one plan without a schedule change together likewise. Needs update:assignment, and manage:schedules for more than one class of a schedule. Returns the schedule, the classes concerned and what was kept. Raises time_conflict, invalid_input, not_found, illegal_transition.';
