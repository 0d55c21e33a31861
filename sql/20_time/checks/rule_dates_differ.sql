create function private.check_rule_dates_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select d.source_table, d.source_table || ' ' || d.source_id,
    case d.problem when 'missing' then 'Promised by a weekly rule and not claimed: ' else 'Claimed otherwise than the weekly rule says: ' end || private.describe_claim(d.resource_id, d.title, d.during),
    jsonb_build_object('resource_id', d.resource_id, 'occurs_on', d.occurs_on, 'starts_at', lower(d.during), 'ends_at', upper(d.during))
  from private.ledger_difference('{weekly_rules}') d
  where d.problem <> 'orphaned';
end;
comment on function private.check_rule_dates_differ() is 'Finds dates a weekly rule promises and the ledger lacks, or the reverse.';

create function private.fix_rule_dates_differ(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.rebuild_ledger(p_entity_ids);
comment on function private.fix_rule_dates_differ(text[]) is 'Derives the claims of these happenings from their rows again.';
