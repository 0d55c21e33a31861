create function public.restore_occurrence(p_rule_id uuid, p_occurs_on date, p_idempotency_key text default null) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('rule_id', p_rule_id, 'occurs_on', p_occurs_on);
begin
  if private.answered_before('restore_occurrence', p_idempotency_key, v_request) is not null then
    return true;
  end if;
  perform private.require_permission('update:calendar');
  perform private.fail_input(private.occurrence_errors(p_rule_id, p_occurs_on));
  perform private.require_rule(p_rule_id);
  delete from public.weekly_rule_exceptions e
  where e.rule_id = p_rule_id and e.occurs_on = p_occurs_on
    and (e.kind <> 'taken_over' or not private.happening_exists(e.taken_by_table, e.taken_by_id));
  if not found and exists (
    select from public.weekly_rule_exceptions e where e.rule_id = p_rule_id and e.occurs_on = p_occurs_on
  ) then
    perform private.fail('illegal_transition', format('A happening of its own took %s over', p_occurs_on), 'p_occurs_on',
      p_hint => 'Delete that happening first.');
  end if;
  perform private.remember_answer('restore_occurrence', p_idempotency_key, v_request, 'true');
  return true;
end;
$$;
comment on function public.restore_occurrence(uuid, date, text) is
  'Puts a cancelled or moved date of a weekly rule back to where the rule has it. Needs update:calendar. True when it is there now. Raises time_conflict when its time has been taken meanwhile, not_found, illegal_transition for a date a happening took over.';
