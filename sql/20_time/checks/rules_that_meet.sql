create function private.check_rules_that_meet() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'weekly_rules', m.rule_id::text,
    format('%s will be in two places: %s and %s, %s', m.resource_name, r.title, m.with_title, private.describe_range(m.with_during)),
    jsonb_build_object('resource_id', m.resource_id, 'with_rule_id', m.with_id, 'starts_at', lower(m.with_during), 'ends_at', upper(m.with_during))
  from private.rules_that_meet(array(select w.id from public.weekly_rules w)) m
  join public.weekly_rules r on r.id = m.rule_id
  where m.rule_id < m.with_id;
end;
comment on function private.check_rules_that_meet() is
  'Finds weekly rules of one resource that meet beyond the horizon, as a changed time zone database or a restore may bring about. A person decides which of the two changes.';
