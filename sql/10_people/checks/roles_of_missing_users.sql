create function private.check_roles_of_missing_users() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select g.entity, g.user_id::text || '/' || g.what,
    format('%s of a user who no longer exists: %s', g.kind, g.what),
    jsonb_build_object('user_id', g.user_id, lower(g.kind), g.what)
  from (
    select 'public.user_roles' as entity, 'Role' as kind, r.user_id, r.role_name as what from public.user_roles r
    union all
    select 'public.user_permissions', 'Permission', p.user_id, p.permission from public.user_permissions p
  ) g
  where not exists (select from auth.users u where u.id = g.user_id);
end;
comment on function private.check_roles_of_missing_users() is 'Roles and permissions whose login is gone.';
