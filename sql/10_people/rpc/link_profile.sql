-- Rows that would lose their person silently count as a use, like those whose foreign key forbids the removal; rows
-- that a foreign key removes along with the profile are part of it.
create function private.table_that_names_profile(p_profile_id uuid) returns text
language plpgsql stable set search_path = ''
as $$
declare
  v_reference record;
  v_found boolean;
begin
  for v_reference in
    select c.conrelid::regclass as table_name, a.attname as column_name, k.attname as key_name
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    join pg_catalog.pg_attribute k on k.attrelid = c.confrelid and k.attnum = c.confkey[1]
    where c.contype = 'f' and c.confrelid = 'public.user_profiles'::regclass and c.confdeltype in ('n', 'd')
  loop
    execute format('select exists (select from %s t join public.user_profiles p on p.%I = t.%I where p.id = $1)',
      v_reference.table_name, v_reference.key_name, v_reference.column_name)
      into v_found using p_profile_id;
    if v_found then
      return v_reference.table_name;
    end if;
  end loop;
  return null;
end;
$$;
comment on function private.table_that_names_profile(uuid) is
  'A table that would forget whom its rows are about if this profile were removed, or null.';

create function private.remove_unused_profile(p_profile_id uuid) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_table text := private.table_that_names_profile(p_profile_id);
begin
  if v_table is null then
    begin
      delete from public.user_profiles p where p.id = p_profile_id;
    exception when foreign_key_violation or restrict_violation then
      get stacked diagnostics v_table = table_name;
    end;
  end if;
  if v_table is not null then
    perform private.fail('duplicate', 'This user already has a profile that is in use', 'p_user_id',
      jsonb_build_object('profile_id', p_profile_id, 'used_by', v_table),
      'Move or remove what refers to that profile, then link again.');
  end if;
end;
$$;
comment on function private.remove_unused_profile(uuid) is 'Removes a profile nothing refers to; raises duplicate, naming the table, when something does.';

create function private.link_profile(p_profile_id uuid, p_user_id uuid, p_reason text, p_idempotency_key text) returns public.user_profiles
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('profile_id', p_profile_id, 'user_id', p_user_id, 'reason', p_reason);
  v_login jsonb;
  v_profile public.user_profiles;
  v_signed_up public.user_profiles;
  v_from_login public.user_profiles;
begin
  perform private.require_permission('manage:users');
  -- Only the id is remembered: a kept answer must not outlive the person's data.
  if private.answered_before('link_profile', p_idempotency_key, v_request) is not null then
    select p.* into v_profile from public.user_profiles p where p.id = p_profile_id;
    return v_profile;
  end if;
  perform private.fail_input(
    private.input_error(p_profile_id is null, 'p_profile_id', 'Say which person')
    || private.input_error(p_user_id is null, 'p_user_id', 'Say which login')
    || private.check_reason(p_reason)
  );
  perform private.require_subject(p_user_id);
  -- Both rows at once and in one order, so that two calls about the same people queue.
  perform from public.user_profiles p where p.id = p_profile_id or p.user_id = p_user_id order by p.id for update;
  select p.* into v_profile from public.user_profiles p where p.id = p_profile_id;
  if not found then
    perform private.fail('not_found', 'There is no such person', 'p_profile_id', jsonb_build_object('profile_id', p_profile_id));
  end if;
  if v_profile.user_id is distinct from p_user_id then
    if v_profile.user_id is not null then
      perform private.fail('duplicate', 'This person already has a login', 'p_profile_id',
        jsonb_build_object('profile_id', p_profile_id, 'user_id', v_profile.user_id));
    end if;
    if v_profile.erased_at is not null then
      perform private.fail('illegal_transition', 'This person was erased', 'p_profile_id', jsonb_build_object('profile_id', p_profile_id));
    end if;
    select p.* into v_signed_up from public.user_profiles p where p.user_id = p_user_id;
    if found then
      perform private.remove_unused_profile(v_signed_up.id);
    end if;
    select to_jsonb(u) into v_login from auth.users u where u.id = p_user_id;
    v_from_login := private.profile_of_login(v_login);
    update public.user_profiles p set
      user_id = p_user_id,
      email = coalesce(v_from_login.email, p.email),
      phone = coalesce(p.phone, v_signed_up.phone, v_from_login.phone),
      time_zone = coalesce(p.time_zone, v_signed_up.time_zone, v_from_login.time_zone)
    where p.id = p_profile_id
    returning p.* into v_profile;
    perform private.record_access('profile_linked', p_user_id, p_profile_id, p_reason => private.clean_text(p_reason),
      p_details => jsonb_build_object('replaced_profile_id', v_signed_up.id));
  end if;
  perform private.remember_answer('link_profile', p_idempotency_key, v_request, jsonb_build_object('id', p_profile_id));
  return v_profile;
end;
$$;
comment on function private.link_profile(uuid, uuid, text, text) is 'What public.link_profile does, with the rights to do it.';

create function public.link_profile(
  p_profile_id uuid, p_user_id uuid, p_reason text default null, p_idempotency_key text default null
) returns public.user_profiles
language sql volatile set search_path = ''
return private.link_profile(p_profile_id, p_user_id, p_reason, p_idempotency_key);
comment on function public.link_profile(uuid, uuid, text, text) is
  'Gives a person who was there before (an imported instructor) their login: the profile keeps its id, hence its timetable; the profile made at sign-up goes if nothing refers to it. Needs manage:users. Returns the profile. Raises forbidden, not_found, duplicate (naming the table that refers to it), illegal_transition, invalid_input.';
