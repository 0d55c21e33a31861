-- Sample data for a development backend; `classbase up --sample` and `supabase db push --include-seed` load it.
-- Running it again changes nothing.
--
-- One person of every role, two rooms, a weekly class and a meeting. The people have no password here, since it would
-- be the same everywhere: `classbase up --sample` gives them one of the installation's own and shows it; on a hosted
-- project set one in the dashboard.
do $$
declare
  v_large_room uuid;
  v_small_room uuid;
  v_instructor uuid;
  v_manager uuid;
begin
  if exists (select from auth.users where email = 'admin@example.org') then
    return;
  end if;

  insert into auth.users (
    instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data, raw_user_meta_data,
    created_at, updated_at, confirmation_token, recovery_token, email_change_token_new, email_change
  )
  select '00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', 'authenticated',
    people.role_name || '@example.org', '', now(),
    '{"provider": "email", "providers": ["email"], "sample": true}',
    jsonb_build_object('full_name', people.full_name),
    now(), now(), '', '', '', ''
  from (values
    ('admin', 'Anjali Nair'), ('manager', 'Marco Bianchi'), ('instructor', 'Ines Duarte'), ('staff', 'Sam Okafor'),
    ('member', 'Mei Tanaka')
  ) as people (role_name, full_name);

  insert into auth.identities (provider_id, user_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
  select u.id::text, u.id, jsonb_build_object('sub', u.id, 'email', u.email, 'email_verified', true), 'email', now(),
    now(), now()
  from auth.users as u
  where u.raw_app_meta_data ->> 'sample' = 'true';

  -- Their profiles, and the role member, came with the sign-up.
  insert into public.user_roles (user_id, role_name)
  select u.id, split_part(u.email, '@', 1)
  from auth.users as u
  where u.raw_app_meta_data ->> 'sample' = 'true'
  on conflict do nothing;

  select p.id into v_instructor from public.user_profiles as p where p.email = 'instructor@example.org';
  select p.id into v_manager from public.user_profiles as p where p.email = 'manager@example.org';

  insert into public.locations (name, address, capacity) values ('Large room', '1 Sample Street', 20)
  returning id into v_large_room;
  insert into public.locations (name, address, capacity) values ('Small room', '1 Sample Street', 8)
  returning id into v_small_room;

  perform public.create_weekly_rule('Morning yoga', array[v_instructor, v_large_room], 1, '09:00', '10:15');
  perform public.create_weekly_rule('Evening pilates', array[v_instructor, v_small_room], 3, '18:00', '19:00');
  perform public.schedule_meeting(
    'Staff meeting', private.today() + 1, '12:00', '12:45', array[v_instructor, v_manager, v_small_room]
  );
end
$$;
