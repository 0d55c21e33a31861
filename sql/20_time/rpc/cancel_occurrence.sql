create function public.cancel_occurrence(
  p_rule_id uuid,
  p_occurs_on date,
  p_reason text default null,
  p_idempotency_key text default null
) returns setof public.weekly_rule_exceptions
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('rule_id', p_rule_id, 'occurs_on', p_occurs_on, 'reason', p_reason);
  v_answer jsonb := private.answered_before('cancel_occurrence', p_idempotency_key, v_request);
  v_exception public.weekly_rule_exceptions;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.weekly_rule_exceptions, v_answer);
    return;
  end if;
  perform private.require_permission('update:calendar');
  perform private.fail_input(private.occurrence_errors(p_rule_id, p_occurs_on, p_reason));
  perform private.require_rule(p_rule_id);
  insert into public.weekly_rule_exceptions as e (rule_id, occurs_on, kind, reason)
  values (p_rule_id, p_occurs_on, 'cancelled', private.clean_text(p_reason))
  on conflict (rule_id, occurs_on) do update
  set kind = 'cancelled', reason = excluded.reason, moved_to_date = null, moved_start_time = null, moved_end_time = null,
    taken_by_table = null, taken_by_id = null
  where e.kind <> 'taken_over' or not private.happening_exists(e.taken_by_table, e.taken_by_id)
  returning * into v_exception;
  if not found then
    perform private.fail('illegal_transition', format('A happening of its own took %s over', p_occurs_on), 'p_occurs_on',
      p_hint => 'Cancel that happening instead.');
  end if;
  perform private.remember_answer('cancel_occurrence', p_idempotency_key, v_request, to_jsonb(v_exception));
  return next v_exception;
end;
$$;
comment on function public.cancel_occurrence(uuid, date, text, text) is
  'Cancels one date of a weekly rule and frees its time. Needs update:calendar. Returns the exception. Raises not_found, invalid_input for a date the rule does not have, illegal_transition for one that was taken over.';
