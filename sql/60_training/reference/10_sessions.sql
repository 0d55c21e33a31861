-- Rows this module ships.

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('session_capacity_max', '60_training', 'integer', '12', 1, 10000, true, 'How many seats a session has at most; a course may say fewer.'),
  ('session_group_limit', '60_training', 'integer', '12', 1, 1000, true, 'How many seats one may book or hold at once.'),
  ('session_hold_minutes', '60_training', 'integer', '10', 1, 1440, true, 'How many minutes seats are held for somebody who is about to book, at most.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('follow_sessions', '60_training', '*/10 * * * *', 'private.follow_sessions', 'Sessions that have begun are in progress, those that are over completed.'),
  ('forget_old_holds', '60_training', '35 3 * * *', 'private.forget_old_holds', 'Deletes holds of seats that were over a day ago.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description;

with matrix (name, manager, instructor, staff, description) as (
  values
    ('create:session',         true, false, true,  'Add sessions of courses.'),
    ('update:session',         true, false, true,  'Change, move and cancel sessions.'),
    ('delete:session',         true, false, false, 'Delete sessions nobody booked.'),
    ('read:session_booking',   true, false, true,  'See everyone''s bookings of sessions, and their seats.'),
    ('create:session_booking', true, false, true,  'Book sessions for others, and for more at once than session_group_limit.'),
    ('update:session_booking', true, false, true,  'Change, move and cancel everyone''s bookings of sessions.')
),
registered as (
  insert into public.permissions (name, module, description)
  select m.name, '60_training', m.description from matrix m
  on conflict (name) do update set module = excluded.module, description = excluded.description
  where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description)
)
insert into public.role_permissions (role_name, permission)
select h.role_name, m.name
from matrix m
cross join lateral (values ('manager', m.manager), ('instructor', m.instructor), ('staff', m.staff)) as h (role_name, holds)
where h.holds
on conflict (role_name, permission) do nothing;

-- Where this module keeps what belongs to a person.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.course_sessions', 'instructor_id', 'profile_id', '60_training', '{id,session_date,start_time,end_time,status}', 'keep', '{}',
    'What was taught belongs to the books; it names an id only.'),
  ('public.course_sessions', 'created_by', 'user_id', '60_training', '{id,created_at}', 'keep', '{}', 'The session is the organisation''s.'),
  ('public.session_bookings', 'profile_id', 'profile_id', '60_training',
    '{id,session_id,attendee_name,attendee_email,status,seats,price,booked_at,cancelled_at,cancellation_reason,notes}', 'overwrite',
    '{"attendee_name": null, "attendee_email": null, "cancellation_reason": null, "notes": null}', null),
  ('public.session_bookings', 'user_id', 'user_id', '60_training', '{id,session_id,status,booked_at}', 'keep', '{}',
    'It is the same person''s by profile, and overwritten there.'),
  ('public.session_bookings', 'booked_by', 'user_id', '60_training', '{id,session_id,booked_at}', 'keep', '{}', 'The booking is that of who takes part; it names an id only.'),
  ('public.session_holds', 'user_id', 'user_id', '60_training', '{session_id,seats,held_until,created_at}', 'delete', '{}', null)
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
