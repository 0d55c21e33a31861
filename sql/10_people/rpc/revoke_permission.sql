create function private.revoke_permission(p_user_id uuid, p_permission text, p_reason text, p_idempotency_key text)
returns public.user_permissions
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('user_id', p_user_id, 'permission', p_permission, 'reason', p_reason);
  v_answer jsonb;
  v_row public.user_permissions;
begin
  perform private.require_permission('manage:users');
  v_answer := private.answered_before('revoke_permission', p_idempotency_key, v_request);
  if v_answer is not null then
    return jsonb_populate_record(null::public.user_permissions, v_answer);
  end if;
  perform private.fail_input(
    private.input_error(p_user_id is null, 'p_user_id', 'Say whom')
    || private.input_error(p_permission is null, 'p_permission', 'Say which permission')
    || private.check_reason(p_reason)
  );
  perform private.set_reason(p_reason);
  delete from public.user_permissions u where u.user_id = p_user_id and u.permission = p_permission returning u.* into v_row;
  if not found then
    perform private.fail('not_found', 'Nothing was decided about this permission for this user alone', 'p_permission',
      jsonb_build_object('user_id', p_user_id, 'permission', p_permission),
      'A permission that comes from a role ends with the role, or is denied with grant_permission(…, p_is_granted => false).');
  end if;
  perform private.set_reason(null);
  perform private.remember_answer('revoke_permission', p_idempotency_key, v_request, to_jsonb(v_row));
  return v_row;
end;
$$;
comment on function private.revoke_permission(uuid, text, text, text) is 'What public.revoke_permission does, with the rights to do it.';

create function public.revoke_permission(
  p_user_id uuid, p_permission text, p_reason text default null, p_idempotency_key text default null
) returns public.user_permissions
language sql volatile set search_path = ''
return private.revoke_permission(p_user_id, p_permission, p_reason, p_idempotency_key);
comment on function public.revoke_permission(uuid, text, text, text) is
  'Takes back what grant_permission decided for one user, a grant or a denial; their roles decide again. Needs manage:users. Returns what ended. Raises forbidden, not_found, invalid_input.';
