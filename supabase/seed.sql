-- Sample data for a development backend; `classbase up --sample` and `supabase db push --include-seed` load it.
-- Running it again changes nothing.
--
-- A small studio: one person of every role, a teacher who has no login yet, two rooms, weekly classes of which one date
-- is cancelled, a staff meeting, one class under two names, working hours and a day on which it is closed; what it
-- teaches and sells; a member who bought two packages, paid one of them in part and paused the other. All dates lie
-- around today, whenever that is. The people have no password here, since it would
-- be the same everywhere: `classbase up --sample` gives them one of the installation's own and shows it; on a hosted
-- project set one in the dashboard.
do $$
declare
  v_today date := private.today();
  v_wednesday date := v_today + (3 - extract(dow from v_today)::integer + 7) % 7 + 7;
  v_large_room uuid;
  v_small_room uuid;
  v_instructor uuid;
  v_manager uuid;
  v_guest uuid;
  v_pilates uuid;
  v_open_day uuid[];
  v_member uuid;
  v_first_course uuid;
  v_ten_classes uuid;
  v_crash_course uuid;
  v_paused uuid;
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

  insert into public.user_profiles (full_name) values ('Tomás Ferreira') returning id into v_guest;

  perform public.set_availability(
    v_instructor,
    (
      select jsonb_agg(jsonb_build_object('weekday', day, 'start_time', '08:00', 'end_time', '20:00'))
      from generate_series(0, 6) as day
    )
  );
  perform public.create_weekly_rule('Morning yoga', array[v_instructor, v_large_room], 1, '09:00', '10:15');
  perform public.create_weekly_rule('Ballet for beginners', array[v_guest, v_large_room], 2, '17:00', '18:30');
  perform public.create_weekly_rule('Ballet for children', array[v_guest, v_large_room], 6, '10:00', '11:00');
  select r.id into v_pilates
  from public.create_weekly_rule('Evening pilates', array[v_instructor, v_small_room], 3, '18:00', '19:00') as r;
  perform public.cancel_occurrence(v_pilates, v_wednesday, 'Ines is at a congress');
  perform public.schedule_meeting(
    'Staff meeting', v_today + 1, '12:00', '12:45', array[v_instructor, v_manager, v_small_room]
  );

  -- One class under two names: both take the same teacher and room, and somebody allowed that.
  select array_agg(m.id) into v_open_day
  from (values ('Open day: yoga'), ('Open day: breathing')) as t (title)
  cross join lateral public.schedule_meeting(t.title, v_wednesday + 4, '11:00', '12:30') as m;
  perform public.grant_override(
    (select jsonb_agg(jsonb_build_object('source_table', 'meetings', 'source_id', id)) from unnest(v_open_day) as id),
    'One class, announced under two names'
  );
  insert into public.meeting_participants (meeting_id, resource_id)
  select m.id, r.id
  from unnest(v_open_day) as m (id)
  cross join unnest(array[v_instructor, v_large_room]) as r (id);

  perform public.add_closure('Inventory', v_today + 28, p_cancel_occurrences => true);

  insert into public.class_types (name, description, difficulty_level, duration_minutes, max_participants, is_active) values
    ('Morning yoga', 'Slow, and early.', 'beginner', 75, 15, true),
    ('Evening pilates', null, 'intermediate', 60, 8, true),
    ('Ballet for beginners', null, 'beginner', 90, 15, true),
    ('Aerobics', 'As it was taught until last year.', 'advanced', 60, 20, false);
  insert into public.packages (name, description, price, class_count, validity_days, duration) values
    ('Ten classes', 'Any class, within three months.', 120, 10, 90, '3 months')
  returning id into v_ten_classes;
  insert into public.packages (name, description, price, class_count, validity_days, duration, course_type, late_cancel_hours) values
    ('Crash course', 'A class a day for a week.', 90, 7, 10, '1 week', 'crash', 48)
  returning id into v_crash_course;
  insert into public.courses (code, title, subject, duration_minutes, default_capacity, price) values
    ('YT 100', 'Foundations of teaching yoga', 'Yoga', 480, 12, 900)
  returning id into v_first_course;
  with next_course as (
    insert into public.courses (code, title, subject, duration_minutes, default_capacity, price, certificate_validity_days) values
      ('YT 200', 'Teaching yoga', 'Yoga', 480, 12, 1800, 1095)
    returning id
  )
  insert into public.course_prerequisites (course_id, required_course_id)
  select n.id, v_first_course from next_course as n;

  select p.id into v_member from public.user_profiles as p where p.email = 'member@example.org';
  perform public.record_payment(
    v_member, 150, 'card',
    (
      select jsonb_agg(jsonb_build_object('source_table', 'package_purchases', 'source_id', p.id, 'amount', 100))
      from public.purchase_package(v_member, v_ten_classes) as p
    ),
    'stripe', 'ch_sample'
  );
  select p.id into v_paused from public.purchase_package(v_member, v_crash_course, v_today - 2) as p;
  perform public.pause_package(v_paused, 'Mei is travelling');
end
$$;
