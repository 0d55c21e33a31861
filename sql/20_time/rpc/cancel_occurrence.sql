create function public.cancel_occurrence(p_rule_id uuid, p_occurs_on date, p_reason text default null)
returns setof public.weekly_rule_exceptions
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.require_permission('update:calendar');
  perform private.require_rule(p_rule_id);
  -- Cancelling twice changes nothing the second time, so a retry needs no key.
  return query
    insert into public.weekly_rule_exceptions as e (rule_id, occurs_on, kind, reason)
    values (p_rule_id, p_occurs_on, 'cancelled', private.clean_text(p_reason))
    on conflict (rule_id, occurs_on) do update
    set kind = 'cancelled', reason = excluded.reason, moved_to_date = null, moved_start_time = null, moved_end_time = null,
      taken_by_table = null, taken_by_id = null
    where e.kind <> 'taken_over' or not private.happening_exists(e.taken_by_table, e.taken_by_id)
    returning *;
  if not found then
    perform private.fail('illegal_transition', format('A happening of its own took %s over', p_occurs_on), 'p_occurs_on',
      p_hint => 'Cancel that happening instead.');
  end if;
end;
$$;
comment on function public.cancel_occurrence(uuid, date, text) is
  'Cancels one date of a weekly rule and frees its time. Needs update:calendar. Returns the exception. Raises not_found, invalid_input for a date the rule does not have, illegal_transition for one that was taken over.';
