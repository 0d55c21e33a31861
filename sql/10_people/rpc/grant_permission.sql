create function private.grant_permission(
  p_user_id uuid, p_permission text, p_reason text, p_is_granted boolean, p_expires_at timestamptz, p_idempotency_key text
) returns public.user_permissions
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('user_id', p_user_id, 'permission', p_permission, 'reason', p_reason,
    'is_granted', p_is_granted, 'expires_at', extract(epoch from p_expires_at));
  v_answer jsonb;
  v_row public.user_permissions;
begin
  perform private.require_permission('manage:users');
  v_answer := private.answered_before('grant_permission', p_idempotency_key, v_request);
  if v_answer is not null then
    return jsonb_populate_record(null::public.user_permissions, v_answer);
  end if;
  perform private.fail_input(
    private.input_error(p_user_id is null, 'p_user_id', 'Say whom')
    || private.input_error(p_permission is null, 'p_permission', 'Say which permission')
    || private.input_error(p_is_granted is null, 'p_is_granted', 'Say whether to grant or to deny')
    || private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why')
    || private.check_reason(p_reason)
    || private.input_error(p_expires_at <= private.now(), 'p_expires_at', 'The end is in the past')
  );
  perform private.require_subject(p_user_id);
  if not exists (select from public.permissions p where p.name = p_permission) then
    perform private.fail('not_found', 'There is no such permission', 'p_permission', jsonb_build_object('permission', p_permission));
  end if;
  insert into public.user_permissions (user_id, permission, is_granted, reason, expires_at, granted_by, granted_at)
  values (p_user_id, p_permission, p_is_granted, private.clean_text(p_reason), p_expires_at, private.caller_id(), private.now())
  on conflict (user_id, permission) do update set
    is_granted = excluded.is_granted, reason = excluded.reason, expires_at = excluded.expires_at,
    granted_by = excluded.granted_by, granted_at = excluded.granted_at
  returning * into v_row;
  perform private.remember_answer('grant_permission', p_idempotency_key, v_request, to_jsonb(v_row));
  return v_row;
end;
$$;
comment on function private.grant_permission(uuid, text, text, boolean, timestamptz, text) is
  'What public.grant_permission does, with the rights to do it.';

create function public.grant_permission(
  p_user_id uuid,
  p_permission text,
  p_reason text,
  p_is_granted boolean default true,
  p_expires_at timestamptz default null,
  p_idempotency_key text default null
) returns public.user_permissions
language sql volatile set search_path = ''
return private.grant_permission(p_user_id, p_permission, p_reason, p_is_granted, p_expires_at, p_idempotency_key);
comment on function public.grant_permission(uuid, text, text, boolean, timestamptz, text) is
  'Grants one permission to one user, or denies it with p_is_granted = false, whatever their roles say, until p_expires_at (null: for good); replaces an earlier decision. Needs manage:users and a reason. Returns the decision. Raises forbidden, not_found, invalid_input.';
