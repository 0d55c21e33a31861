create function private.revoke_role(p_user_id uuid, p_role_name text, p_reason text, p_idempotency_key text) returns public.user_roles
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('user_id', p_user_id, 'role_name', p_role_name, 'reason', p_reason);
  v_answer jsonb;
  v_grant public.user_roles;
begin
  perform private.require_permission('manage:users');
  v_answer := private.answered_before('revoke_role', p_idempotency_key, v_request);
  if v_answer is not null then
    return jsonb_populate_record(null::public.user_roles, v_answer);
  end if;
  perform private.fail_input(
    private.input_error(p_user_id is null, 'p_user_id', 'Say whom')
    || private.input_error(p_role_name is null, 'p_role_name', 'Say which role')
    || private.check_reason(p_reason)
  );
  perform private.set_reason(p_reason);
  delete from public.user_roles r where r.user_id = p_user_id and r.role_name = p_role_name returning r.* into v_grant;
  if not found then
    perform private.fail('not_found', 'This user does not hold this role', 'p_role_name',
      jsonb_build_object('user_id', p_user_id, 'role_name', p_role_name));
  end if;
  perform private.set_reason(null);
  perform private.remember_answer('revoke_role', p_idempotency_key, v_request, to_jsonb(v_grant));
  return v_grant;
end;
$$;
comment on function private.revoke_role(uuid, text, text, text) is 'What public.revoke_role does, with the rights to do it.';

create function public.revoke_role(
  p_user_id uuid, p_role_name text, p_reason text default null, p_idempotency_key text default null
) returns public.user_roles
language sql volatile set search_path = ''
return private.revoke_role(p_user_id, p_role_name, p_reason, p_idempotency_key);
comment on function public.revoke_role(uuid, text, text, text) is
  'Takes a role from a user (p_user_id is the login''s id); the last admin stays. Needs manage:users. Returns the grant that ended. Raises forbidden, not_found, invalid_input.';
