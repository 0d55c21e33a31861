-- Sample data for a development backend; `classbase up --sample` and `supabase db push --include-seed` load it.
-- Running it again changes nothing.
--
-- A small studio: one person of every role, a teacher who has no login yet, two rooms, weekly classes of which one date
-- is cancelled, a staff meeting, one class under two names, working hours and a day on which it is closed; what it
-- teaches and sells; a member who bought two packages, paid one of them in part and paused the other; a month of classes
-- made from the weekly ones, some of them over, one of them nobody wants to teach, with bookings and pay; and three
-- students with lessons of their own every week, one of whom pauses and one of whom makes up for a lesson; and two
-- sessions of a course with a few seats taken. All dates lie around today, whenever that is. The people have no password here, since it would
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
  v_plan jsonb;
  v_lessons uuid;
  v_lesson uuid;
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
  insert into public.class_types (name, description, difficulty_level, duration_minutes, max_participants, is_active) values
    ('Morning yoga', 'Slow, and early.', 'beginner', 75, 15, true),
    ('Evening pilates', null, 'intermediate', 60, 8, true),
    ('Ballet for beginners', null, 'beginner', 90, 15, true),
    ('Aerobics', 'As it was taught until last year.', 'advanced', 60, 20, false);
  insert into public.class_schedules (class_type_id, day_of_week, start_time, end_time, instructor_id, location_id, effective_from)
  select t.id, n.day_of_week, n.start_time, n.end_time, n.instructor_id, n.location_id, v_today - 40
  from (values
    ('Morning yoga', 1, time '09:00', time '10:15', v_instructor, v_large_room),
    ('Ballet for beginners', 2, time '17:00', time '18:30', v_guest, v_large_room),
    ('Evening pilates', 3, time '18:00', time '19:00', v_instructor, v_small_room)
  ) as n (name, day_of_week, start_time, end_time, instructor_id, location_id)
  join public.class_types as t on t.name = n.name;
  perform public.create_weekly_rule('Ballet for children', array[v_guest, v_large_room], 6, '10:00', '11:00');
  select s.id into v_pilates
  from public.class_schedules as s
  join public.class_types as t on t.id = s.class_type_id and t.name = 'Evening pilates';
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

  -- What both are paid for a class, whatever its type, and for pilates.
  insert into public.instructor_rates (instructor_id, class_type_id, rate, effective_from) values
    (v_instructor, null, 40, v_today - 365), (v_guest, null, 35, v_today - 365),
    (v_instructor, (select t.id from public.class_types as t where t.name = 'Evening pilates'), 45, v_today - 365);

  -- The last four weeks and the next two, made from the schedules as anybody would: planned, then created.
  select jsonb_agg(p.assignment order by p.date, p.start_time) into v_plan
  from public.class_schedules as s
  cross join lateral public.plan_assignments('weekly', p_schedule_id => s.id, p_from => v_today - 28, p_until => v_today + 13) as p
  where p.status = 'planned';
  perform public.create_assignments(v_plan);

  insert into public.bookings (profile_id, class_name, class_date, first_name, last_name, email, class_package_id, uses_credits) values
    (v_member, 'Morning yoga', v_today + 7, 'Mei', 'Tanaka', 'member@example.org', v_ten_classes, true);
  insert into public.bookings (class_name, first_name, last_name, email, phone, booking_type)
  select (array['Morning yoga', 'Evening pilates', 'Ballet for beginners'])[n.no % 3 + 1], n.first_name, n.last_name,
    lower(n.first_name) || '@example.com', '+91 98450 1000' || n.no, case n.no when 4 then 'corporate' else 'individual' end
  from (values (0, 'Noor', 'Haddad'), (1, 'Olga', 'Petrova'), (2, 'Pablo', 'Reyes'), (3, 'Quentin', 'Moreau'), (4, 'Rita', 'Svensson'), (5, 'Tom', 'Baker'))
    as n (no, first_name, last_name);
  -- Everybody is in each class of what they asked for, but for Mei, whose credits begin today, and Tom, for whom nothing was found yet.
  insert into public.assignment_bookings (assignment_id, booking_id)
  select a.id, b.booking_id
  from public.bookings as b
  join public.class_types as t on t.name = b.class_name
  join public.class_assignments as a on a.class_type_id = t.id
  where coalesce(b.email, '') <> 'tom@example.com' and (not b.uses_credits or a.date >= v_today);

  -- What is over is over, and half of it paid for.
  update public.class_assignments set instructor_status = 'accepted' where date < v_today or instructor_id = v_instructor and date < v_today + 7;
  update public.class_assignments set class_status = 'completed' where date < v_today;
  update public.class_assignments set payment_status = 'paid' where date < v_today - 14;
  update public.bookings set status = 'completed' where email = 'rita@example.com';
  update public.bookings set status = 'cancelled' where email = 'quentin@example.com';
  -- Tomás cannot come to the last of his classes: somebody else has to be asked. The yoga before that is called off.
  update public.class_assignments set instructor_status = 'rejected'
  where id = (select a.id from public.class_assignments as a where a.instructor_id = v_guest order by a.date desc limit 1);
  update public.class_assignments set class_status = 'cancelled', notes = 'The heating is being repaired'
  where id = (
    select a.id from public.class_assignments as a
    join public.class_types as t on t.id = a.class_type_id and t.name = 'Morning yoga'
    where a.date > v_today order by a.date desc limit 1
  );
  -- A workshop whose hour is still to be arranged, and one that is no weekly class.
  insert into public.class_assignments (class_type_id, instructor_id, date, payment_amount, notes)
  select t.id, v_guest, v_today + 6, 60, 'Workshop; the hour depends on the hall'
  from public.class_types as t where t.name = 'Ballet for beginners';
  insert into public.class_assignments (class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, payment_amount, schedule_type)
  select t.id, v_crash_course, v_guest, v_small_room, v_today + n.day, '13:00', '14:00', 30, 'crash'
  from public.class_types as t cross join generate_series(2, 4) as n (day) where t.name = 'Evening pilates';

  -- Lessons, one to one, at hours at which nothing else is. Their classes come by themselves: from three weeks ago, as
  -- far ahead as the setting says.
  insert into public.courses (code, title, subject, duration_minutes, price) values ('BR 1', 'Breathing, one to one', 'Yoga', 45, 30)
  returning id into v_lessons;
  insert into public.students (first_name, last_name, email, user_id, course_id, teacher_id, start_date, class_price, fixed_schedule) values
    ('Lena', 'Fischer', 'lena@example.com', null, v_lessons, v_instructor, v_today - 21, 25,
      '[{"day": "tuesday", "start_time": "16:00"}, {"day": "thursday", "start_time": "16:00"}]'),
    ('Omar', 'Haddad', 'omar@example.com', null, v_lessons, v_guest, v_today - 21, null, '{"friday": "15:00"}'),
    ('Mei', 'Tanaka', 'member@example.org', (select u.id from auth.users as u where u.email = 'member@example.org'),
      v_lessons, v_instructor, v_today - 21, null, '[{"day": "monday", "start_time": "14:00", "duration_minutes": 60}]');
  insert into public.student_pauses (student_id, starts_on, ends_on, reason)
  select s.id, v_today + 7, v_today + 20, 'Exams' from public.students as s where s.first_name = 'Omar';
  -- What was held was attended, but for the first lesson of Omar and the last of Mei; she has paid for the one before.
  insert into public.class_attendance (class_id, status, minutes_late)
  select c.id,
    case
      when s.first_name = 'Omar' and c.no = 1 then 'excused' when s.first_name = 'Mei' and c.no = 3 then 'absent'
      when s.first_name = 'Lena' and c.no = 4 then 'late' else 'present'
    end,
    case when s.first_name = 'Lena' and c.no = 4 then 10 end
  from (
    select k.id, k.student_id, row_number() over (partition by k.student_id order by k.date) as no
    from public.classes as k where k.date < v_today
  ) as c
  join public.students as s on s.id = c.student_id
  order by c.id;
  perform public.record_payment(
    v_member, 60, 'card',
    (
      select jsonb_agg(jsonb_build_object('source_table', 'classes', 'source_id', c.id, 'amount', 30))
      from public.classes as c
      join public.students as s on s.id = c.student_id and s.first_name = 'Mei'
      where c.status = 'completed'
    ),
    'stripe', 'ch_lessons'
  );
  -- Lena calls a lesson off in time, and makes up for it as soon as Ines is free again.
  select c.id into v_lesson
  from public.classes as c
  join public.students as s on s.id = c.student_id and s.first_name = 'Lena'
  where c.date > v_today + 2 order by c.date limit 1;
  perform public.cancel_class(v_lesson, 'Lena has a cold', 'student');
  perform public.book_makeup(v_lesson, o.date, o.start_time)
  from public.classes as c
  cross join lateral public.offer_makeup(c.id, c.ends_at, p_limit => 1) as o
  where c.id = v_lesson;

  -- Sessions of what is taught as a course, early in the morning: one nearly sold out, one that needs two more to be held.
  insert into public.course_sessions (course_id, location_id, session_date, start_time, end_time, max_capacity, min_bookings, decide_by, notes)
  select c.id, l.id, v_today + d.days, '06:00', '07:00', d.seats, d.minimum, private.now() + interval '5 days', d.notes
  from (values (8, 4, null, 'Sample: nearly full'), (15, 6, 3, 'Sample: held from three on')) as d (days, seats, minimum, notes)
  cross join (select v_first_course as id) as c
  cross join (select r.id from public.locations as r where r.name = 'Small room') as l;
  insert into public.session_bookings (session_id, attendee_name, seats)
  select s.id, g.name, 1
  from public.course_sessions as s
  cross join (values ('Ada'), ('Ben'), ('Cleo')) as g (name)
  where s.notes = 'Sample: nearly full' or g.name = 'Ada';
end
$$;
