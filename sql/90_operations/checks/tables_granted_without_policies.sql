create function private.check_tables_granted_without_policies() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_class', c.oid::regclass::text, format('%s is granted %s on %s, and no policy gives a row', g.role, string_agg(distinct lower(g.privilege), ', '), c.oid::regclass),
    jsonb_build_object('role', g.role, 'privileges', jsonb_agg(distinct lower(g.privilege)))
  from pg_catalog.pg_class c
  cross join lateral (
    select pg_catalog.pg_get_userbyid(a.grantee)::text as role, a.privilege_type as privilege, a.grantee
    from pg_catalog.aclexplode(c.relacl) a
    where a.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
  ) g
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relrowsecurity and g.role in ('anon', 'authenticated')
    and not exists (
      select from pg_catalog.pg_policy p
      where p.polrelid = c.oid and p.polpermissive and (p.polroles = '{0}' or g.grantee = any(p.polroles))
        and p.polcmd in ('*', case g.privilege when 'SELECT' then 'r' when 'INSERT' then 'a' when 'UPDATE' then 'w' else 'd' end)
    )
  group by c.oid, g.role;
end;
comment on function private.check_tables_granted_without_policies() is 'Tables in public whose grants are in vain, as a lost policy leaves them.';
