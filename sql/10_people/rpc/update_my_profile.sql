create function public.update_my_profile(
  p_full_name text default null,
  p_phone text default null,
  p_time_zone text default null,
  p_version integer default null,
  p_idempotency_key text default null
) returns public.user_profiles
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('full_name', p_full_name, 'phone', p_phone, 'time_zone', p_time_zone, 'version', p_version);
  v_answer jsonb;
  v_profile public.user_profiles;
begin
  if private.caller_id() is null then
    perform private.fail('forbidden', 'Sign in first');
  end if;
  v_answer := private.answered_before('update_my_profile', p_idempotency_key, v_request);
  if v_answer is not null then
    return jsonb_populate_record(null::public.user_profiles, v_answer);
  end if;
  update public.user_profiles p set
    full_name = coalesce(p_full_name, p.full_name),
    phone = coalesce(p_phone, p.phone),
    time_zone = coalesce(p_time_zone, p.time_zone),
    version = coalesce(p_version, p.version)
  where p.user_id = private.caller_id()
  returning p.* into v_profile;
  if not found then
    perform private.fail('not_found', 'You have no profile');
  end if;
  perform private.remember_answer('update_my_profile', p_idempotency_key, v_request, to_jsonb(v_profile));
  return v_profile;
end;
$$;
comment on function public.update_my_profile(text, text, text, integer, text) is
  'Changes the caller''s own name, phone (E.164) and time zone (IANA). Null leaves a field as it is, empty text empties it; p_version, when given, must be the row''s. Returns the profile. Raises forbidden, invalid_input, stale_version.';
