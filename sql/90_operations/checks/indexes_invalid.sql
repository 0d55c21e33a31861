create function private.check_indexes_invalid() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_index', x.indexrelid::regclass::text, format('The index %s on %s is not valid: nothing uses it, and it keeps nothing unique', x.indexrelid::regclass, x.indrelid::regclass),
    jsonb_build_object('table', x.indrelid::regclass::text, 'is_unique', x.indisunique)
  from pg_catalog.pg_index x
  join pg_catalog.pg_class c on c.oid = x.indrelid
  where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace) and not (x.indisvalid and x.indisready);
end;
comment on function private.check_indexes_invalid() is 'Indexes that a failed build left behind.';
