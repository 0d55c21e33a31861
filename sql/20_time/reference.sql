-- Rows this module ships.

insert into public.settings (key, module, kind, default_value, minimum, maximum, allowed_values, is_public, description) values
  ('ledger_horizon_days', '20_time', 'integer', '400', 1, 730, null, true, 'How many days ahead time can be booked, and weekly rules are claimed.'),
  ('import_rows_limit', '20_time', 'integer', '100000', 1, 1000000, null, false, 'Rows one import of meetings may bring.'),
  ('availability_policy', '20_time', 'text', '"warn"', null, null, '["ignore", "warn", "refuse"]', true, 'Whether booking somebody outside their hours, during time off or a closure is refused, only warned about, or ignored.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, allowed_values = excluded.allowed_values, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.allowed_values, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.allowed_values, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('extend_horizons', '20_time', '5 2 * * *', 'private.extend_horizons', 'Moves each resource''s horizon on and claims what weekly rules promise up to there.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description;

with matrix (name, manager, instructor, staff, description) as (
  values
    ('read:calendar',       true, false, true,  'See everyone''s calendar, not only one''s own.'),
    ('create:calendar',     true, false, true,  'Make meetings and weekly rules.'),
    ('update:calendar',     true, false, true,  'Change, cancel and move meetings and dates of weekly rules.'),
    ('delete:calendar',     true, false, false, 'Delete meetings and weekly rules.'),
    ('bulk:calendar',       true, false, false, 'Import meetings.'),
    ('manage:resources',    true, false, false, 'Add and change places and equipment.'),
    ('grant:override',      true, false, false, 'Let happenings overlap, with a reason.'),
    ('book:beyond_horizon', true, false, false, 'Let time be booked further ahead than the horizon.')
),
registered as (
  insert into public.permissions (name, module, description)
  select m.name, '20_time', m.description from matrix m
  on conflict (name) do update set module = excluded.module, description = excluded.description
  where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description)
)
insert into public.role_permissions (role_name, permission)
select h.role_name, m.name
from matrix m
cross join lateral (values ('manager', m.manager), ('instructor', m.instructor), ('staff', m.staff)) as h (role_name, holds)
where h.holds
on conflict (role_name, permission) do nothing;

insert into public.integrity_checks (name, module, category, severity, description, fix_description) values
  ('claims_orphaned', '20_time', 'integrity', 'error', 'Claims whose source row is gone.', 'Removes them.'),
  ('claims_missing', '20_time', 'integrity', 'critical', 'Happenings whose time is not claimed.', 'Claims it, where nobody else has it.'),
  ('claims_differ', '20_time', 'integrity', 'critical', 'Claims whose time, key or title is not what their source says.', 'Derives them again.'),
  ('rule_dates_differ', '20_time', 'integrity', 'critical', 'Dates a weekly rule promises and the ledger lacks, or the reverse.', 'Derives them again, where nobody else has the time.'),
  ('resources_overlapping', '20_time', 'integrity', 'critical', 'Somebody or something is in two places.', null),
  ('ledger_guards_missing', '20_time', 'schema', 'critical', 'The exclusion constraint or a trigger of the ledger is missing or disabled.', null),
  ('horizons_late', '20_time', 'integrity', 'warning', 'Weekly rules are not claimed as far ahead as they should be.', 'Moves the horizons on.'),
  ('rules_that_meet', '20_time', 'integrity', 'error', 'Weekly rules of one resource meet beyond the horizon.', null),
  ('meeting_instants_differ', '20_time', 'integrity', 'error', 'Meetings whose instants are not those of their wall-clock time.', 'Works them out again.'),
  ('people_and_resources_differ', '20_time', 'integrity', 'error', 'People who work or places without a resource, and the reverse.', 'Makes the missing resources.'),
  ('taken_over_by_nothing', '20_time', 'integrity', 'warning', 'Dates of weekly rules whose stand-in was deleted.', null),
  ('overrides_without_use', '20_time', 'integrity', 'info', 'Override groups with fewer than two happenings left.', null)
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;

-- Availability.
with matrix (name, manager, instructor, staff, description) as (
  values
    ('manage:availability', true, false, false, 'State the hours of other people, places and equipment.'),
    ('decide:time_off',     true, false, false, 'See, request, approve, refuse and cancel other people''s time off, and settle cover.'),
    ('manage:closures',     true, false, false, 'Close a place, or everything, for days.')
),
registered as (
  insert into public.permissions (name, module, description)
  select m.name, '20_time', m.description from matrix m
  on conflict (name) do update set module = excluded.module, description = excluded.description
  where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description)
)
insert into public.role_permissions (role_name, permission)
select h.role_name, m.name
from matrix m
cross join lateral (values ('manager', m.manager), ('instructor', m.instructor), ('staff', m.staff)) as h (role_name, holds)
where h.holds
on conflict (role_name, permission) do nothing;

insert into public.integrity_checks (name, module, category, severity, description) values
  ('work_outside_stated_hours', '20_time', 'integrity', 'warning',
    'Coming uses of people and places outside the hours they stated. Finds nothing where availability_policy is ignore.'),
  ('work_during_time_off', '20_time', 'integrity', 'warning',
    'Coming uses of people during approved time off that nobody decided to keep. Finds nothing where availability_policy is ignore.'),
  ('work_during_closures', '20_time', 'integrity', 'warning',
    'Coming uses during closures of the place or of everything. Finds nothing where availability_policy is ignore.'),
  ('overdue_cover_requests', '20_time', 'integrity', 'info',
    'Cover requests that are still open although their date has passed.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity, description = excluded.description;

-- Where this module keeps what belongs to a person. Who made or decided something is forgotten with the login.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.resources', 'id', 'profile_id', '20_time', '{kind,name,is_active}', 'keep', '{}', 'It carries the profile''s name, which is overwritten.'),
  ('public.claims', 'resource_id', 'profile_id', '20_time', '{during,kind,title}', 'keep', '{}', 'The ledger stays whole: that time was taken, by an id.'),
  ('public.meeting_participants', 'resource_id', 'profile_id', '20_time', '{meeting_id}', 'keep', '{}', 'The ledger is derived from it; it names an id only.'),
  ('public.weekly_rule_resources', 'resource_id', 'profile_id', '20_time', '{rule_id}', 'keep', '{}', 'The ledger is derived from it; it names an id only.'),
  ('public.availability_rules', 'resource_id', 'profile_id', '20_time', '{weekday,start_time,end_time,time_zone,effective}', 'delete', '{}', null),
  ('public.time_off', 'resource_id', 'profile_id', '20_time', '{starts_on,ends_on,start_time,end_time,time_zone,status,reason,note}', 'overwrite',
    '{"reason": null, "note": null}', null),
  ('public.cover_requests', 'resource_id', 'profile_id', '20_time', '{source_table,source_id,occurs_on,status}', 'keep', '{}',
    'Who stands in is planned from it; it names an id only.'),
  ('public.meetings', 'created_by', 'user_id', '20_time', '{id,title,created_at}', 'keep', '{}', 'The meeting is the organisation''s.'),
  ('public.weekly_rules', 'created_by', 'user_id', '20_time', '{id,title,created_at}', 'keep', '{}', 'The rule is the organisation''s.'),
  ('public.weekly_rule_exceptions', 'created_by', 'user_id', '20_time', '{rule_id,occurs_on,kind,created_at}', 'keep', '{}', 'The exception is the organisation''s.'),
  ('public.closures', 'created_by', 'user_id', '20_time', '{id,name,created_at}', 'keep', '{}', 'The closure is the organisation''s.'),
  ('public.overrides', 'granted_by', 'user_id', '20_time', '{id,reason,granted_at}', 'keep', '{}', 'Why happenings may overlap stays known.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
