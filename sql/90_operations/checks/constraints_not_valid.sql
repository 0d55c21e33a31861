create function private.check_constraints_not_valid() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_constraint', format('%I on %s', k.conname, k.conrelid::regclass), format('The constraint %s on %s was never checked against the rows that are there', k.conname, k.conrelid::regclass),
    jsonb_build_object('mend', format('alter table %s validate constraint %I', k.conrelid::regclass, k.conname))
  from pg_catalog.pg_constraint k
  where k.connamespace in ('public'::regnamespace, 'private'::regnamespace) and k.conrelid <> 0 and not k.convalidated;
end;
comment on function private.check_constraints_not_valid() is 'Constraints that hold for new rows only.';
