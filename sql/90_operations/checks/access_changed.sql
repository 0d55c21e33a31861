create function private.check_access_changed() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'schema', concat(d.kind, ' ', d.name),
    case d.difference when 'missing' then format('The %s %s is gone', d.kind, d.name) when 'changed' then format('The %s %s is not as it was shipped', d.kind, d.name)
      else format('There is a %s that was not shipped: %s', d.kind, d.name) end,
    jsonb_build_object('kind', d.kind, 'relation', d.relation, 'difference', d.difference, 'mend', d.mend)
  from private.schema_differences('{policy,grant}') d;
end;
comment on function private.check_access_changed() is 'Finds policies and grants other than when the schema was last loaded or migrated.';
