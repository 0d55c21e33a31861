create function private.check_claims_missing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select d.source_table, d.source_table || ' ' || d.source_id,
    'Not claimed: ' || private.describe_claim(d.resource_id, d.title, d.during),
    jsonb_build_object('resource_id', d.resource_id, 'occurs_on', d.occurs_on, 'starts_at', lower(d.during), 'ends_at', upper(d.during))
  from private.ledger_difference(private.sources_but_rules()) d
  where d.problem = 'missing';
end;
comment on function private.check_claims_missing() is 'Finds happenings whose time is not claimed.';

create function private.fix_claims_missing(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.rebuild_ledger(p_entity_ids);
comment on function private.fix_claims_missing(text[]) is 'Derives the claims of these happenings from their rows again.';
