-- There is always somebody left who can grant roles.

create function private.is_able_admin(p_user_id uuid) returns boolean
language sql stable security definer set search_path = ''
return exists (select from public.user_roles r where r.user_id = p_user_id and r.role_name = 'admin')
  and not private.is_deactivated(p_user_id)
  and not exists (
    select
    from public.user_permissions u
    where u.user_id = p_user_id and u.permission = 'manage:users' and not u.is_granted
      and (u.expires_at is null or u.expires_at > private.now())
  );
comment on function private.is_able_admin(uuid) is 'True for an admin who is neither deactivated nor denied manage:users.';

-- Two admins who remove each other at the same time must not both succeed. So whoever takes an admin away first
-- touches the role's row, which makes the second wait, and counts in a later statement, which sees what the first
-- one did. It is an update and not only a lock so that a transaction at a stricter isolation level fails instead
-- of counting in its old snapshot.
create function private.require_an_admin() returns void
language plpgsql security definer set search_path = ''
as $$
begin
  update public.roles r set description = r.description where r.name = 'admin';
  if not exists (select from public.user_roles r where r.role_name = 'admin' and private.is_able_admin(r.user_id)) then
    perform private.fail('forbidden', 'The last admin stays: nobody would be left who can grant roles', 'role_name',
      p_hint => 'Give somebody else the role admin first.');
  end if;
end;
$$;
comment on function private.require_an_admin() is 'Raises forbidden when no able admin is left, after waiting for whoever else is taking one away.';

create function private.keep_an_admin() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_table_name = 'user_roles' then
    perform private.require_an_admin();
  elsif exists (select from public.user_roles r where r.user_id = new.user_id and r.role_name = 'admin') then
    perform private.require_an_admin();
  end if;
  return null;
end;
$$;
comment on function private.keep_an_admin() is
  'Row trigger on what can take an admin''s power away (the role, a denial, a deactivation): refuses when no able admin is left.';

create trigger t80_keep_an_admin_revoked after delete on public.user_roles
  for each row when (old.role_name = 'admin') execute function private.keep_an_admin();
create trigger t80_keep_an_admin_changed after update on public.user_roles
  for each row when (old.role_name = 'admin' and (new.role_name <> 'admin' or new.user_id <> old.user_id))
  execute function private.keep_an_admin();
create trigger t80_keep_an_admin_denied after insert or update on public.user_permissions
  for each row when (new.permission = 'manage:users' and not new.is_granted) execute function private.keep_an_admin();
create trigger t80_keep_an_admin_active after insert or update on public.user_profiles
  for each row when (new.user_id is not null and not new.is_active) execute function private.keep_an_admin();
