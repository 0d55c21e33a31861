-- A module counts as installed when it brings checks. A permission is used when its name stands, in quotes, in a
-- policy, a view or a function of ours.
create function private.check_unused_permissions() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  with code as (
    select string_agg(c.body, ' ') as body
    from (
      select concat_ws(' ', pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) as body
      from pg_catalog.pg_policy p
      union all
      select pg_catalog.pg_get_viewdef(v.oid)
      from pg_catalog.pg_class v
      where v.relkind = 'v' and v.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
      union all
      select pg_catalog.pg_get_functiondef(f.oid)
      from pg_catalog.pg_proc f
      where f.prokind in ('f', 'p') and f.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    ) c
  )
  select 'public.permissions', p.name, format('Nothing asks for the permission %s', p.name), jsonb_build_object('module', p.module)
  from public.permissions p
  cross join code
  where exists (select from public.integrity_checks i where i.module = p.module)
    and strpos(code.body, quote_literal(p.name)) = 0;
end;
comment on function private.check_unused_permissions() is 'Permissions of installed modules that no policy, view or function names.';
