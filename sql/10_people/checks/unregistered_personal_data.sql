-- Whatever refers to a person or a login is about somebody.
create function private.check_unregistered_personal_data() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_class', r.name, format('%s refers to people, but export_person and erase_person do not know it', r.name),
    jsonb_build_object('columns', r.columns)
  from (
    select format('%I.%I', n.nspname, t.relname) as name, t.oid, array_agg(distinct a.attname::text order by a.attname::text) as columns
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_class t on t.oid = c.conrelid
    join pg_catalog.pg_namespace n on n.oid = t.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = any (c.conkey)
    where c.contype = 'f' and c.confrelid in ('auth.users'::regclass, 'public.user_profiles'::regclass)
      and n.nspname in ('public', 'private') and not t.relispartition
    group by n.nspname, t.relname, t.oid
  ) r
  where not exists (select from private.personal_data d where to_regclass(d.table_name) = r.oid);
end;
comment on function private.check_unregistered_personal_data() is
  'Tables that refer to people or logins and are missing in the registry of personal data.';
