-- Rows this module ships.

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('roles_from_token', '10_people', 'boolean', 'false', null, null, false,
    'Whether app_metadata.roles of the token counts beside the roles granted here.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.roles (name, description, is_builtin) values
  ('admin', 'Runs the organisation: holds every permission there is.', true),
  ('manager', 'Plans and decides: everything about assignments, analytics, contact data, exceptions.', true),
  ('instructor', 'Teaches: reads and updates what they teach, sees their own numbers.', true),
  ('staff', 'Works at the desk: books, assigns, calls people.', true),
  ('member', 'A signed-in customer: their own bookings, classes and sessions only.', true)
on conflict (name) do update set description = excluded.description, is_builtin = true
where (roles.description, roles.is_builtin) is distinct from (excluded.description, true);

-- The matrix. admin is missing because registering a permission gives it to admin.
with matrix (name, module, manager, instructor, staff, description) as (
  values
    ('manage:users',           '10_people', false, false, false, 'Grant and revoke roles and permissions, edit, link, export and erase people.'),
    ('manage:settings',        '10_people', false, false, false, 'Read and change the settings.'),
    ('read:contact',           '10_people', true,  false, true,  'See emails and phone numbers unmasked.'),
    ('read:diagnostics',       '10_people', true,  false, false, 'See checks, jobs and what diagnosis found.'),
    ('create:assignment',      '40_studio', true,  false, true,  'Assign a class to an instructor.'),
    ('read:assignment',        '40_studio', true,  true,  true,  'See assignments; an instructor those they teach.'),
    ('update:assignment',      '40_studio', true,  false, true,  'Change an assignment.'),
    ('delete:assignment',      '40_studio', true,  false, false, 'Delete an assignment.'),
    ('bulk:assignment',        '40_studio', true,  false, false, 'Change many assignments in one call.'),
    ('update:own_assignment',  '40_studio', false, true,  false, 'Change an assignment one teaches.'),
    ('read:analytics',         '40_studio', true,  false, false, 'See everyone''s numbers.'),
    ('read:own_analytics',     '40_studio', false, true,  false, 'See one''s own numbers.'),
    ('book:beyond_horizon',    '40_studio', true,  false, false, 'Book further ahead than customers may.')
),
registered as (
  insert into public.permissions (name, module, description)
  select m.name, m.module, m.description from matrix m
  on conflict (name) do update set module = excluded.module, description = excluded.description
  where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description)
)
insert into public.role_permissions (role_name, permission)
select h.role_name, m.name
from matrix m
cross join lateral (values ('manager', m.manager), ('instructor', m.instructor), ('staff', m.staff)) as h (role_name, holds)
where h.holds
on conflict (role_name, permission) do nothing;
