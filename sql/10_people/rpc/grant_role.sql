create function private.check_reason(p_reason text) returns jsonb
language sql immutable set search_path = ''
return private.input_error(length(p_reason) > 500, 'p_reason', 'A reason has at most 500 characters');
comment on function private.check_reason(text) is 'The errors of an optional reason, for private.fail_input.';

-- Roles and logins are looked up first, so that a wrong name is told apart from a missing right.
create function private.require_subject(p_user_id uuid) returns void
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform private.require_permission('manage:users');
  if not exists (select from auth.users u where u.id = p_user_id) then
    perform private.fail('not_found', 'There is no such user', 'p_user_id', jsonb_build_object('user_id', p_user_id),
      'A user_id is the id of a login, not of a profile.');
  end if;
end;
$$;
comment on function private.require_subject(uuid) is 'Raises forbidden without manage:users, not_found when there is no such login.';

create function private.grant_role(p_user_id uuid, p_role_name text, p_reason text, p_idempotency_key text) returns public.user_roles
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('user_id', p_user_id, 'role_name', p_role_name, 'reason', p_reason);
  v_answer jsonb;
  v_grant public.user_roles;
begin
  perform private.require_permission('manage:users');
  v_answer := private.answered_before('grant_role', p_idempotency_key, v_request);
  if v_answer is not null then
    return jsonb_populate_record(null::public.user_roles, v_answer);
  end if;
  perform private.fail_input(
    private.input_error(p_user_id is null, 'p_user_id', 'Say whom')
    || private.input_error(p_role_name is null, 'p_role_name', 'Say which role')
    || private.check_reason(p_reason)
  );
  perform private.require_subject(p_user_id);
  if not exists (select from public.roles r where r.name = p_role_name) then
    perform private.fail('not_found', 'There is no such role', 'p_role_name', jsonb_build_object('role_name', p_role_name));
  end if;
  perform private.set_reason(p_reason);
  -- An update that changes nothing gives back the row that is there, also when a second call made it just now.
  insert into public.user_roles (user_id, role_name) values (p_user_id, p_role_name)
  on conflict (user_id, role_name) do update set role_name = excluded.role_name
  returning * into v_grant;
  perform private.set_reason(null);
  perform private.remember_answer('grant_role', p_idempotency_key, v_request, to_jsonb(v_grant));
  return v_grant;
end;
$$;
comment on function private.grant_role(uuid, text, text, text) is 'What public.grant_role does, with the rights to do it.';

create function public.grant_role(
  p_user_id uuid, p_role_name text, p_reason text default null, p_idempotency_key text default null
) returns public.user_roles
language sql volatile set search_path = ''
return private.grant_role(p_user_id, p_role_name, p_reason, p_idempotency_key);
comment on function public.grant_role(uuid, text, text, text) is
  'Gives a role to a user (p_user_id is the login''s id); a role they hold already is left as it is. Needs manage:users. Returns the grant. Raises forbidden, not_found, invalid_input.';
