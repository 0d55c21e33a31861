create function public.restore_occurrence(p_rule_id uuid, p_occurs_on date) returns boolean
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.require_permission('update:calendar');
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
  return true;
end;
$$;
comment on function public.restore_occurrence(uuid, date) is
  'Puts a cancelled or moved date of a weekly rule back to where the rule has it. Needs update:calendar. True when it is there now. Raises time_conflict when its time has been taken meanwhile, not_found, illegal_transition for a date a happening took over.';
