-- Rows this module ships.

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('class_horizon_weeks', '50_tracking', 'integer', '4', 1, 52, true, 'How many weeks ahead students'' classes are generated.'),
  ('complete_student_classes_after_hours', '50_tracking', 'integer', '24', 0, 744, false, 'How many hours after its end a student''s class counts as held if nobody says otherwise; 0 is never.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('generate_weekly_classes', '50_tracking', '0 6 * * 1', 'private.weekly_generation', 'Makes every student''s classes up to the horizon, and what an outage left out.'),
  ('complete_past_student_classes', '50_tracking', '20 * * * *', 'private.complete_past_student_classes', 'Completes students'' classes that are over and of which nobody said otherwise.'),
  ('clean_old_class_generation_logs', '50_tracking', '40 3 * * *', 'private.clean_generation_logs', 'Deletes what generation logged more than 30 days ago.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description;

-- An organisation's own rules stay as they are.
insert into public.cancellation_rules (cancelled_by, notice_hours, is_charged, is_teacher_paid) values
  ('student', 24, false, false),
  ('student', 0, true, true),
  ('teacher', 0, false, false),
  ('organisation', 24, false, false),
  ('organisation', 0, false, true)
on conflict do nothing;

with matrix (name, manager, instructor, staff, description) as (
  values
    ('read:student',     true, true,  true,  'See students and their classes: those one teaches, and with read:calendar everyone''s.'),
    ('create:student',   true, false, true,  'Add students.'),
    ('update:student',   true, false, true,  'Change students, their schedules and pauses.'),
    ('delete:student',   true, false, false, 'Delete students who have no classes.'),
    ('create:class',     true, false, true,  'Add classes by hand, and make-up classes.'),
    ('update:class',     true, false, true,  'Change, cancel and move everyone''s classes.'),
    ('update:own_class', true, true,  true,  'Cancel, move and complete the classes one teaches, and record attendance.'),
    ('delete:class',     true, false, false, 'Delete classes.'),
    ('generate:classes', true, false, true,  'Run the generation of classes, and make what is missing.'),
    ('manage:tracking',  true, false, false, 'Set what cancelling costs, and remove duplicate classes.')
),
registered as (
  insert into public.permissions (name, module, description)
  select m.name, '50_tracking', m.description from matrix m
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
  ('public.students', 'profile_id', 'profile_id', '50_tracking', '{id,first_name,last_name,email,phone,start_date,end_date,fixed_schedule,notes}', 'overwrite',
    '{"first_name": "Erased", "last_name": null, "email": null, "phone": null, "notes": null}', null),
  ('public.students', 'user_id', 'user_id', '50_tracking', '{id,first_name,last_name,email,phone,start_date,end_date,fixed_schedule,notes}', 'overwrite',
    '{"first_name": "Erased", "last_name": null, "email": null, "phone": null, "notes": null}', null),
  ('public.students', 'teacher_id', 'profile_id', '50_tracking', '{id,start_date,end_date}', 'keep', '{}', 'Who taught whom stays known; it names an id only.'),
  ('public.students', 'created_by', 'user_id', '50_tracking', '{id,created_at}', 'keep', '{}', 'The student is the organisation''s.'),
  ('public.student_pauses', 'created_by', 'user_id', '50_tracking', '{id,created_at}', 'keep', '{}', 'The pause is the student''s.'),
  ('public.classes', 'teacher_id', 'profile_id', '50_tracking', '{id,date,start_time,end_time,status,teacher_pay}', 'keep', '{}',
    'What was taught belongs to the books; it names an id only.'),
  ('public.class_attendance', 'recorded_by', 'user_id', '50_tracking', '{class_id,recorded_at}', 'keep', '{}', 'Who recorded it stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
