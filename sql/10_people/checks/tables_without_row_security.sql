create function private.check_tables_without_row_security() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_class', format('public.%I', t.relname), format('Row level security is off on public.%I', t.relname),
    jsonb_build_object('mend', format('alter table public.%I enable row level security', t.relname))
  from pg_catalog.pg_class t
  where t.relkind in ('r', 'p') and t.relnamespace = 'public'::regnamespace and not t.relrowsecurity
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    );
end;
comment on function private.check_tables_without_row_security() is 'Tables the API exposes without row level security.';
