-- Profiles: made on sign-up, kept well-formed, edited only by those they belong to.

create function private.clean_name(p_text text) returns text
language sql immutable set search_path = ''
return private.clean_text(regexp_replace(p_text, '\s+', ' ', 'g'));
comment on function private.clean_name(text) is 'A name on one line: clean text with every run of white space as one space; empty becomes null.';

-- Names come from people and from other sign-in services, so anything may be in there. What does not make sense is
-- left out; the sign-up goes on. An address is no substitute for a name: the directory would show what it masks.
create function private.profile_of_login(p_login jsonb) returns public.user_profiles
language sql stable set search_path = ''
return (
  select row(
    null::uuid,
    (p_login ->> 'id')::uuid,
    coalesce(
      private.clean_name(left(private.clean_name(m.meta ->> 'full_name'), 200)),
      private.clean_name(left(private.clean_name(m.meta ->> 'name'), 200)),
      'Unnamed'
    ),
    case when private.is_email(lower(btrim(p_login ->> 'email'))) then lower(btrim(p_login ->> 'email')) end,
    case
      when private.is_phone('+' || ltrim(p_login ->> 'phone', '+')) then '+' || ltrim(p_login ->> 'phone', '+')
      when private.is_phone(m.meta ->> 'phone') then m.meta ->> 'phone'
    end,
    case when private.is_time_zone(m.meta ->> 'time_zone') then m.meta ->> 'time_zone' end,
    true, 1, private.now(), private.now(), null::timestamptz
  )::public.user_profiles
  from (
    select jsonb_object_agg(e.key, e.value) as meta
    from jsonb_each(case when jsonb_typeof(p_login -> 'raw_user_meta_data') = 'object' then p_login -> 'raw_user_meta_data' else '{}' end) e
    where jsonb_typeof(e.value) = 'string'
  ) m
);
comment on function private.profile_of_login(jsonb) is
  'The profile a row of auth.users (as JSON) would get: name, address, phone and zone where they make sense, null or "Unnamed" where not.';

-- Also the way in for a guest (an anonymous sign-in) who becomes a real user later, and for a changed address. The
-- trigger itself is in reference.sql, because the schema diff does not look into the auth schema.
create function private.keep_profile_of_login() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_profile public.user_profiles;
begin
  if coalesce((to_jsonb(new) ->> 'is_anonymous')::boolean, false) then
    return null;
  end if;
  v_profile := private.profile_of_login(to_jsonb(new));
  if exists (select from public.user_profiles p where p.user_id = new.id) then
    update public.user_profiles p set email = v_profile.email
    where p.user_id = new.id and v_profile.email is not null and p.email is distinct from v_profile.email;
    return null;
  end if;
  insert into public.user_profiles (user_id, full_name, email, phone, time_zone)
  values (new.id, v_profile.full_name, v_profile.email, v_profile.phone, v_profile.time_zone);
  insert into public.user_roles (user_id, role_name) values (new.id, 'member') on conflict do nothing;
  return null;
end;
$$;
comment on function private.keep_profile_of_login() is
  'Row trigger on auth.users: a new login gets a profile and the role member; a changed address reaches the profile.';

create function private.check_profile() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.full_name := private.clean_name(new.full_name);
  new.email := lower(private.clean_text(new.email));
  new.phone := private.clean_text(new.phone);
  new.time_zone := private.clean_text(new.time_zone);
  perform private.fail_input(
    private.input_error(new.full_name is null, 'full_name', 'A person needs a name')
    || private.input_error(length(new.full_name) > 200, 'full_name', 'A name has at most 200 characters')
    || private.input_error(not private.is_email(new.email), 'email', 'This is not an email address')
    || private.input_error(not private.is_phone(new.phone), 'phone', 'A phone number is written like +919876543210')
    || private.input_error(new.time_zone is not null and not private.is_time_zone(new.time_zone), 'time_zone',
      'A time zone is an IANA name, such as Europe/Paris')
  );
  return new;
end;
$$;
comment on function private.check_profile() is 'Row trigger: tidies names and contact data and refuses what is malformed, every field at once.';

create trigger t10_keep_version before update on public.user_profiles
  for each row execute function private.keep_version();
create trigger t20_check_profile before insert or update on public.user_profiles
  for each row execute function private.check_profile();

-- What belongs to the person, they may edit; what the organisation or the login says about them, they may not.
create function private.guard_profile() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if (new.id, new.user_id, new.email, new.is_active, new.created_at, new.erased_at)
      is distinct from (old.id, old.user_id, old.email, old.is_active, old.created_at, old.erased_at)
    and private.is_direct_write()
    and not private.has_permission('manage:users') then
    perform private.fail('forbidden', 'Of a profile you may change the name, the phone and the time zone',
      p_details => jsonb_build_object('permission', 'manage:users'),
      p_hint => 'A new address is set where you sign in; everything else by somebody who holds manage:users.');
  end if;
  return new;
end;
$$;
comment on function private.guard_profile() is 'Row trigger: without manage:users only name, phone and time zone of a profile change.';

create trigger t05_guard before update on public.user_profiles
  for each row execute function private.guard_profile();
