-- What happened to roles, permissions and personal data, kept for good.

-- The functions hand their reason to the triggers that record; in plain SQL, set local classbase.reason = '…' does.
create function private.set_reason(p_reason text) returns void
language sql volatile set search_path = ''
begin atomic
  select pg_catalog.set_config('classbase.reason', coalesce(private.clean_text(p_reason), ''), true);
end;
comment on function private.set_reason(text) is 'States why, for the changes of access that follow in this transaction; null to stop.';

create function private.record_access(
  p_action text,
  p_user_id uuid default null,
  p_profile_id uuid default null,
  p_role_name text default null,
  p_permission text default null,
  p_details jsonb default '{}',
  p_reason text default null
) returns void
language sql volatile security definer set search_path = ''
begin atomic
  insert into public.access_changes
    (at, action, actor_id, actor_role, subject_user_id, subject_profile_id, role_name, permission, reason, details)
  values (
    private.now(), p_action, private.caller_id(), private.acting_role(), p_user_id,
    coalesce(p_profile_id, (select p.id from public.user_profiles p where p.user_id = p_user_id)),
    p_role_name, p_permission, coalesce(p_reason, nullif(pg_catalog.current_setting('classbase.reason', true), '')), p_details
  );
end;
comment on function private.record_access(text, uuid, uuid, text, text, jsonb, text) is
  'Adds a row to access_changes: who is calling did this, to that person, for the reason given or stated with set_reason.';

create function private.record_role_grant() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and (new.user_id, new.role_name) = (old.user_id, old.role_name) then
    return null;
  end if;
  if tg_op <> 'INSERT' then
    perform private.record_access('role_revoked', old.user_id, null, old.role_name);
  end if;
  if tg_op <> 'DELETE' then
    perform private.record_access('role_granted', new.user_id, null, new.role_name);
  end if;
  return null;
end;
$$;
comment on function private.record_role_grant() is 'Row trigger on user_roles: records what was granted and revoked.';

create function private.record_user_permission() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and to_jsonb(new) - 'granted_by' = to_jsonb(old) - 'granted_by' then
    return null;
  end if;
  if tg_op = 'DELETE' or (tg_op = 'UPDATE' and (new.user_id, new.permission) <> (old.user_id, old.permission)) then
    perform private.record_access('permission_reset', old.user_id, null, null, old.permission,
      jsonb_build_object('was_granted', old.is_granted));
  end if;
  if tg_op <> 'DELETE' then
    perform private.record_access(case when new.is_granted then 'permission_granted' else 'permission_denied' end,
      new.user_id, null, null, new.permission, jsonb_build_object('expires_at', new.expires_at), new.reason);
  end if;
  return null;
end;
$$;
comment on function private.record_user_permission() is 'Row trigger on user_permissions: records grants, denials and their end.';

create function private.record_role_permission() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and new is not distinct from old then
    return null;
  end if;
  if tg_op <> 'INSERT' and old.is_granted then
    perform private.record_access('role_permission_withdrawn', p_role_name => old.role_name, p_permission => old.permission);
  end if;
  if tg_op <> 'DELETE' and new.is_granted then
    perform private.record_access('role_permission_granted', p_role_name => new.role_name, p_permission => new.permission);
  end if;
  return null;
end;
$$;
comment on function private.record_role_permission() is 'Row trigger on role_permissions: records what a role gained and lost.';

create function private.record_role() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_op = 'INSERT' then
    perform private.record_access('role_created', p_role_name => new.name);
  elsif tg_op = 'DELETE' then
    perform private.record_access('role_removed', p_role_name => old.name);
  elsif new is distinct from old then
    perform private.record_access('role_changed', p_role_name => new.name,
      p_details => jsonb_build_object('before', to_jsonb(old), 'after', to_jsonb(new)));
  end if;
  return null;
end;
$$;
comment on function private.record_role() is 'Row trigger on roles: records new, changed and removed roles.';

create trigger t90_record after insert or update or delete on public.user_roles
  for each row execute function private.record_role_grant();
create trigger t90_record after insert or update or delete on public.user_permissions
  for each row execute function private.record_user_permission();
create trigger t90_record after insert or update or delete on public.role_permissions
  for each row execute function private.record_role_permission();
create trigger t90_record after insert or update or delete on public.roles
  for each row execute function private.record_role();

create trigger t10_only_added_to before update or delete or truncate on public.access_changes
  for each statement execute function private.refuse_statement('access_changes is only ever added to');
