create function private.check_taken_over_by_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'weekly_rule_exceptions', e.rule_id || ' ' || e.occurs_on,
    format('%s on %s was taken over by something that is gone, so it does not take place', r.title, e.occurs_on),
    jsonb_build_object('rule_id', e.rule_id, 'occurs_on', e.occurs_on, 'taken_by_table', e.taken_by_table, 'taken_by_id', e.taken_by_id)
  from public.weekly_rule_exceptions e
  join public.weekly_rules r on r.id = e.rule_id
  where e.kind = 'taken_over' and not private.happening_exists(e.taken_by_table, e.taken_by_id);
end;
comment on function private.check_taken_over_by_nothing() is
  'Finds promised dates of weekly rules whose stand-in was deleted. A person decides: restore_occurrence() puts the date back, cancel_occurrence() says it is meant.';
