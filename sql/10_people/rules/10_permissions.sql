-- Who may do what: the one place that decides, and the sentence that refuses.

-- Roles from the token count only for roles that exist here, and only when an administrator switched that on; a
-- denial and a deactivation in the tables are stronger than any token.
create function private.token_roles() returns text[]
language sql stable security definer set search_path = ''
return case
    when private.setting_boolean('roles_from_token') and jsonb_typeof(auth.jwt() -> 'app_metadata' -> 'roles') = 'array'
      then array(select jsonb_array_elements_text(auth.jwt() -> 'app_metadata' -> 'roles'))
    else '{}'
  end;
comment on function private.token_roles() is 'The roles the caller''s token claims; empty unless the setting roles_from_token is on.';

create function private.is_deactivated(p_user_id uuid) returns boolean
language plpgsql stable security definer set search_path = ''
as $$
begin
  return exists (select from public.user_profiles p where p.user_id = p_user_id and not p.is_active);
end;
$$;
comment on function private.is_deactivated(uuid) is 'True for the login of somebody who was deactivated and therefore holds nothing.';

create function private.active_caller_id() returns uuid
language sql stable security definer set search_path = ''
return (select c.id from (select private.caller_id() as id) c where not private.is_deactivated(c.id));
comment on function private.active_caller_id() is 'The signed-in user''s id; null for who was deactivated, and for nobody.';

-- Every look-up leads with a primary key, whatever the size of the tables. In a policy it is written
-- (select private.has_permission('read:contact')), which runs once a statement.
create function private.has_permission(p_permission text) returns boolean
language sql stable security definer set search_path = ''
return private.is_trusted()
  or (
    private.caller_id() is not null
    and coalesce(
      (
        select u.is_granted
        from public.user_permissions u
        where u.user_id = private.caller_id() and u.permission = p_permission
          and (u.expires_at is null or u.expires_at > private.now())
      ),
      exists (
        select
        from public.user_roles r
        join public.role_permissions g on g.role_name = r.role_name and g.permission = p_permission and g.is_granted
        where r.user_id = private.caller_id()
      )
      or exists (
        select
        from public.role_permissions g
        where g.permission = p_permission and g.is_granted and g.role_name = any (private.token_roles())
      )
    )
    and not private.is_deactivated(private.caller_id())
  );
comment on function private.has_permission(text) is
  'True when the caller may do this: servers and operators always; a person by role or by a grant of their own, unless denied or deactivated.';

create function private.has_role(p_role text) returns boolean
language sql stable security definer set search_path = ''
return private.caller_id() is not null
  and (
    exists (select from public.user_roles r where r.user_id = private.caller_id() and r.role_name = p_role)
    or (p_role = any (private.token_roles()) and exists (select from public.roles r where r.name = p_role))
  )
  and not private.is_deactivated(private.caller_id());
comment on function private.has_role(text) is
  'True when the caller is a person who holds this role. Servers hold every permission but no role.';

create function private.require_permission(p_permission text) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if not private.has_permission(p_permission) then
    perform private.fail('forbidden', format('This needs the permission %s', p_permission),
      p_details => jsonb_build_object('permission', p_permission),
      p_hint => 'Ask somebody who holds manage:users to grant it.');
  end if;
end;
$$;
comment on function private.require_permission(text) is 'Raises forbidden unless the caller holds the permission.';

create function private.current_profile_id() returns uuid
language sql stable security definer set search_path = ''
return (select p.id from public.user_profiles p where p.user_id = private.caller_id());
comment on function private.current_profile_id() is 'The profile of the signed-in person, or null.';

-- So that a module registers a permission in one row and admin holds it from then on.
create function private.give_permissions_to_admin() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into public.role_permissions (role_name, permission)
  select 'admin', n.name from new_permissions n
  on conflict (role_name, permission) do nothing;
  return null;
end;
$$;
comment on function private.give_permissions_to_admin() is 'Statement trigger: the role admin holds every permission that is registered.';

create trigger t10_give_to_admin after insert on public.permissions
  referencing new table as new_permissions
  for each statement execute function private.give_permissions_to_admin();
