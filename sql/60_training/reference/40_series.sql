-- Rows that series bring along.

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('series_horizon_days', '60_training', 'integer', '365', 1, 730, false, 'How many days ahead the sessions of series are made.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('generate_series_sessions', '60_training', '50 2 * * *', 'private.generate_series_sessions', 'Makes the sessions that series promise, as far ahead as the horizon.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description
where (scheduled_jobs.module, scheduled_jobs.cron, scheduled_jobs.command, scheduled_jobs.description)
  is distinct from (excluded.module, excluded.cron, excluded.command, excluded.description);

with matrix (name, manager, instructor, staff, description) as (
  values
    ('manage:series',       true, false, true,  'Plan, create, change and cancel series of sessions.'),
    ('mark:attendance',     true, false, true,  'Mark the register of any session; its instructor may without.'),
    ('issue:certificates',  true, false, true,  'Issue certificates, and see who has what and lacks what.'),
    ('revoke:certificates', true, false, false, 'Revoke certificates.')
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

insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.session_series', 'instructor_id', 'profile_id', '60_training', '{id,rrule,first_date,start_time,end_time,status}', 'keep', '{}',
    'Who taught what stays known; it names an id only.'),
  ('public.session_series', 'created_by', 'user_id', '60_training', '{id,created_at}', 'keep', '{}', 'The series is the organisation''s.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
