-- Rows this module ships.

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('class_minutes_min', '30_catalog', 'integer', '30', 1, 1440, true, 'The shortest a class may be, in minutes.'),
  ('class_minutes_max', '30_catalog', 'integer', '180', 1, 1440, true, 'The longest a class may be, in minutes.'),
  ('class_minutes_default', '30_catalog', 'integer', '60', 1, 1440, true, 'How long a class is when nobody says otherwise, in minutes.'),
  ('days_ahead', '30_catalog', 'integer', '90', 1, 730, true, 'How many days ahead classes can be planned and booked.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

with matrix (name, manager, instructor, staff, description) as (
  values ('manage:catalog', true, false, false, 'Add and change class types, packages and courses.')
),
registered as (
  insert into public.permissions (name, module, description)
  select m.name, '30_catalog', m.description from matrix m
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
  ('prerequisites_in_a_circle', '30_catalog', 'integrity', 'error', 'Courses that in the end require themselves.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity, description = excluded.description;

-- Where this module keeps what belongs to a person.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.class_types', 'created_by', 'user_id', '30_catalog', '{id,name,created_at}', 'keep', '{}', 'The class type is the organisation''s.'),
  ('public.packages', 'created_by', 'user_id', '30_catalog', '{id,name,created_at}', 'keep', '{}', 'The package is the organisation''s.'),
  ('public.courses', 'created_by', 'user_id', '30_catalog', '{id,title,created_at}', 'keep', '{}', 'The course is the organisation''s.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
