create function private.check_schema_objects_changed() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'schema', concat(d.kind, ' ', d.name), format('The %s %s is not as it was shipped', replace(d.kind, '_', ' '), d.name),
    jsonb_build_object('kind', d.kind, 'relation', d.relation, 'mend', d.mend)
  from private.schema_differences() d
  -- For states there are checks of their own: disabled triggers, what is not valid, row level security.
  where d.difference = 'changed' and d.kind not in ('policy', 'grant', 'trigger_state', 'constraint_state', 'index_state', 'row_security');
end;
comment on function private.check_schema_objects_changed() is 'Finds what says something else than when the schema was last loaded or migrated.';
