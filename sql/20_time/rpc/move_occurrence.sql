create function public.move_occurrence(
  p_rule_id uuid,
  p_occurs_on date,
  p_to_date date,
  p_start_time time,
  p_end_time time,
  p_reason text default null,
  p_idempotency_key text default null
) returns setof public.weekly_rule_exceptions
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'rule_id', p_rule_id, 'occurs_on', p_occurs_on, 'to_date', p_to_date, 'start_time', p_start_time, 'end_time', p_end_time,
    'reason', p_reason);
  v_answer jsonb := private.answered_before('move_occurrence', p_idempotency_key, v_request);
  v_exception public.weekly_rule_exceptions;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.weekly_rule_exceptions, v_answer);
    return;
  end if;
  perform private.require_permission('update:calendar');
  perform private.fail_input(
    private.occurrence_errors(p_rule_id, p_occurs_on, p_reason)
    || private.input_error(p_to_date is null, 'p_to_date', 'Say to which day')
    || private.input_error(p_to_date not between date '1970-01-01' and date '2199-12-31', 'p_to_date', 'A date lies between 1970 and 2199')
    || private.input_error(p_start_time is null, 'p_start_time', 'Say when it starts')
    || private.input_error(p_end_time is null, 'p_end_time', 'Say when it ends')
    || private.input_error(p_end_time <= p_start_time, 'p_end_time', 'The end must be after the start')
  );
  perform private.require_rule(p_rule_id);
  insert into public.weekly_rule_exceptions as e (rule_id, occurs_on, kind, moved_to_date, moved_start_time, moved_end_time, reason)
  values (p_rule_id, p_occurs_on, 'moved', p_to_date, p_start_time, p_end_time, private.clean_text(p_reason))
  on conflict (rule_id, occurs_on) do update
  set kind = 'moved', reason = excluded.reason, moved_to_date = excluded.moved_to_date,
    moved_start_time = excluded.moved_start_time, moved_end_time = excluded.moved_end_time,
    taken_by_table = null, taken_by_id = null
  where e.kind <> 'taken_over' or not private.happening_exists(e.taken_by_table, e.taken_by_id)
  returning * into v_exception;
  if not found then
    perform private.fail('illegal_transition', format('A happening of its own took %s over', p_occurs_on), 'p_occurs_on',
      p_hint => 'Move that happening instead.');
  end if;
  perform private.remember_answer('move_occurrence', p_idempotency_key, v_request, to_jsonb(v_exception));
  return next v_exception;
end;
$$;
comment on function public.move_occurrence(uuid, date, date, time, time, text, text) is
  'Moves one date of a weekly rule to another day and time, wall-clock in the rule''s zone; the rest of the rule stays. Needs update:calendar. Returns the exception. Raises time_conflict naming what is in the way there, not_found, invalid_input, illegal_transition for a date that was taken over.';
