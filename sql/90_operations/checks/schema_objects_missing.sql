create function private.check_schema_objects_missing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'schema', concat(d.kind, ' ', d.name), format('The %s %s is gone', replace(d.kind, '_', ' '), d.name),
    jsonb_build_object('kind', d.kind, 'relation', d.relation, 'mend', d.mend)
  from private.schema_differences() d
  where d.difference = 'missing' and d.kind not in ('policy', 'grant')
    -- tables_without_images names these, whether they are gone or disabled.
    and not (d.kind = 'trigger' and d.mend like '%private.keep_image(%');
end;
comment on function private.check_schema_objects_missing() is 'Finds what was there when the schema was last loaded or migrated and is gone.';
