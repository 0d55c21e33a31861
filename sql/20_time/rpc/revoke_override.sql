create function private.revoke_override_by_id(p_override_id uuid) returns public.overrides
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_override public.overrides;
begin
  perform private.require_permission('grant:override');
  update public.overrides o
  set revoked_at = private.now()
  where o.id = p_override_id and o.revoked_at is null;
  select o.* into v_override from public.overrides o where o.id = p_override_id;
  if not found then
    perform private.fail('not_found', 'There is no such override', 'p_override_id');
  end if;
  return v_override;
end;
$$;
comment on function private.revoke_override_by_id(uuid) is 'Ends an override for a holder of grant:override.';

create function public.revoke_override(p_override_id uuid, p_idempotency_key text default null) returns setof public.overrides
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('override_id', p_override_id);
  v_answer jsonb := private.answered_before('revoke_override', p_idempotency_key, v_request);
  v_override public.overrides;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.overrides, v_answer);
    return;
  end if;
  v_override := private.revoke_override_by_id(p_override_id);
  perform private.remember_answer('revoke_override', p_idempotency_key, v_request, to_jsonb(v_override));
  return next v_override;
end;
$$;
comment on function public.revoke_override(uuid, text) is
  'Takes an override back: what has started may go on, what starts later must no longer overlap. Needs grant:override. Returns the override. Raises time_conflict, and changes nothing, while later happenings still overlap; not_found.';
