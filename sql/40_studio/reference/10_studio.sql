-- Rows this module ships.

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('booking_prefix', '40_studio', 'text', '"YOG"', null, null, true, 'What the codes of bookings begin with: 1 to 10 capital letters and digits.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

with matrix (name, manager, instructor, staff, description) as (
  values
    ('read:booking',     true, false, true,  'See everyone''s bookings.'),
    ('create:booking',   true, false, true,  'Book for others.'),
    ('update:booking',   true, false, true,  'Change and complete everyone''s bookings.'),
    ('delete:booking',   true, false, false, 'Delete bookings.'),
    ('manage:schedules', true, false, true,  'Add, change and delete class schedules.')
),
registered as (
  insert into public.permissions (name, module, description)
  select m.name, '40_studio', m.description from matrix m
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
  ('public.bookings', 'profile_id', 'profile_id', '40_studio',
    '{booking_id,class_name,instructor,class_date,class_time,preferred_days,preferred_times,timezone,first_name,last_name,email,phone,status,booking_type,notes,created_at}',
    'overwrite', '{"first_name": "Erased", "last_name": null, "email": null, "phone": null, "notes": null}', null),
  ('public.bookings', 'user_id', 'user_id', '40_studio', '{booking_id,created_at}', 'keep', '{}', 'It is the same person''s by profile, and overwritten there.'),
  ('public.bookings', 'created_by', 'user_id', '40_studio', '{booking_id,created_at}', 'keep', '{}', 'The booking is the customer''s.'),
  ('public.class_schedules', 'instructor_id', 'profile_id', '40_studio', '{id,day_of_week,start_time,end_time,effective_from,effective_until}', 'keep', '{}',
    'What was promised stays known; it names an id only.'),
  ('public.class_schedules', 'created_by', 'user_id', '40_studio', '{id,created_at}', 'keep', '{}', 'The schedule is the organisation''s.'),
  ('public.class_assignments', 'instructor_id', 'profile_id', '40_studio', '{id,date,start_time,end_time,class_status,payment_amount,payment_status}', 'keep', '{}',
    'What was taught and paid belongs to the books; it names an id only.'),
  ('public.class_assignments', 'assigned_by', 'user_id', '40_studio', '{id,assigned_at}', 'keep', '{}', 'The class is the organisation''s.'),
  ('public.class_assignments_archive', 'instructor_id', 'profile_id', '40_studio', '{id,date,start_time,end_time,class_status,payment_amount,payment_status}', 'keep', '{}',
    'What was taught and paid belongs to the books; it names an id only.'),
  ('public.class_assignments_archive', 'assigned_by', 'user_id', '40_studio', '{id,assigned_at}', 'keep', '{}', 'The class was the organisation''s; it names an id only.'),
  ('public.class_assignments_archive', 'archived_by', 'user_id', '40_studio', '{id,archived_at}', 'keep', '{}', 'Who moved it stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
