-- Who may change who may do what. Grants and row level security already keep the API's roles out; these triggers say
-- it once more to whatever gets past them: a grant given by mistake, a careless definer function of a later module.

create function private.refuse_statement() returns trigger
language plpgsql set search_path = ''
as $$
begin
  perform private.fail('forbidden', tg_argv[0], p_details => jsonb_build_object('table', tg_table_name, 'operation', tg_op));
  return null;
end;
$$;
comment on function private.refuse_statement() is 'Statement trigger: refuses the statement, whoever makes it; its argument is the sentence that says why.';

-- Inside a definer function, and inside the actions of a foreign key, current_user is the owner while the acting role
-- is still the caller's. This must therefore stay an invoker function.
create function private.is_direct_write() returns boolean
language sql stable set search_path = ''
return current_user::text = private.acting_role();
comment on function private.is_direct_write() is
  'True in a trigger when the caller wrote the table itself, false when a definer function or a foreign key did.';

create function private.stamp_access() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if private.caller_id() is not null then
    new.granted_by := private.caller_id();
    new.granted_at := private.now();
  end if;
  return new;
end;
$$;
comment on function private.stamp_access() is 'Row trigger: a grant is signed by the user who makes it, whatever the statement says.';

-- Without manage:users, three things still have to work, all of them second-hand: signing up (the role member), the
-- end of a login (its rows go with it), and the end of whoever granted something (granted_by becomes null).
create function private.guard_access() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if private.has_permission('manage:users') then
    return coalesce(new, old);
  end if;
  if not private.is_direct_write() then
    if tg_op = 'INSERT' and tg_table_name = 'user_roles' and to_jsonb(new) ->> 'role_name' = 'member' then
      return new;
    end if;
    if tg_op = 'DELETE' and not exists (select from auth.users u where u.id = old.user_id) then
      return old;
    end if;
    if tg_op = 'UPDATE' and new.granted_by is null and to_jsonb(new) - 'granted_by' = to_jsonb(old) - 'granted_by' then
      return new;
    end if;
  end if;
  perform private.require_permission('manage:users');
  return null;
end;
$$;
comment on function private.guard_access() is
  'Row trigger on user_roles and user_permissions: only holders of manage:users, servers and operators change them.';

create trigger t10_stamp before insert on public.user_roles
  for each row execute function private.stamp_access();
create trigger t20_guard before insert or update or delete on public.user_roles
  for each row execute function private.guard_access();
create trigger t30_no_truncate before truncate on public.user_roles
  for each statement execute function private.refuse_statement('Roles are revoked one by one: somebody has to remain who may grant them');

create trigger t10_stamp before insert on public.user_permissions
  for each row execute function private.stamp_access();
create trigger t20_guard before insert or update or delete on public.user_permissions
  for each row execute function private.guard_access();
create trigger t30_no_truncate before truncate on public.user_permissions
  for each statement execute function private.refuse_statement('Permissions are taken back one by one, so that each change is recorded');

create function private.guard_role() returns trigger
language plpgsql set search_path = ''
as $$
begin
  -- private.require_an_admin touches a row without changing it, on behalf of anyone.
  if tg_op = 'UPDATE' and new is not distinct from old then
    return new;
  end if;
  perform private.require_permission('manage:users');
  if tg_op <> 'INSERT' and old.is_builtin and (tg_op = 'DELETE' or new.name <> old.name or not new.is_builtin) then
    perform private.fail('forbidden', format('The role %s is built in and can neither be removed nor renamed', old.name), 'name');
  end if;
  return coalesce(new, old);
end;
$$;
comment on function private.guard_role() is 'Row trigger: only holders of manage:users change roles, and nobody removes or renames a built-in one.';

create trigger t20_guard before insert or update or delete on public.roles
  for each row execute function private.guard_role();
create trigger t30_no_truncate before truncate on public.roles
  for each statement execute function private.refuse_statement('The built-in roles cannot be removed');

-- A row of a built-in role that was deleted would come back with the next upgrade, hence is_granted.
-- With the owner's rights, because the caller may see none of the permissions it looks up.
create function private.guard_role_permission() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  perform private.require_permission('manage:users');
  -- A permission or a role that is removed takes its rows along.
  if tg_op = 'INSERT'
    or not exists (select from public.permissions p where p.name = old.permission)
    or not exists (select from public.roles r where r.name = old.role_name) then
    return coalesce(new, old);
  end if;
  if old.role_name = 'admin' and (tg_op = 'DELETE' or new is distinct from old) then
    perform private.fail('forbidden', 'admin holds every permission', 'role_name',
      p_hint => 'Deny the permission to one person with grant_permission, or give people another role.');
  end if;
  if tg_op = 'DELETE' and not private.is_trusted() and (select r.is_builtin from public.roles r where r.name = old.role_name) then
    perform private.fail('forbidden', format('%s is a built-in role: switch its permission off instead of deleting the row', old.role_name),
      'role_name', p_hint => 'Set is_granted to false.');
  end if;
  return coalesce(new, old);
end;
$$;
comment on function private.guard_role_permission() is
  'Row trigger: only holders of manage:users change what a role may do; admin keeps everything; built-in rows are switched off, not deleted.';

create trigger t20_guard before insert or update or delete on public.role_permissions
  for each row execute function private.guard_role_permission();
create trigger t30_no_truncate before truncate on public.role_permissions
  for each statement execute function private.refuse_statement('admin holds every permission');
