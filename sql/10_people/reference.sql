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
    ('read:own_analytics',     '40_studio', false, true,  false, 'See one''s own numbers.')
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

-- Where this module keeps what belongs to a person.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('auth.users', 'id', 'user_id', '10_people', '{email,raw_user_meta_data,created_at}', 'delete', '{}', null),
  ('public.user_profiles', 'id', 'profile_id', '10_people', '{id,full_name,email,phone,time_zone,is_active,created_at,updated_at}', 'overwrite',
    '{"full_name": "Erased person", "email": null, "phone": null, "time_zone": null, "is_active": false}', null),
  ('public.user_roles', 'user_id', 'user_id', '10_people', '{role_name,granted_at}', 'delete', '{}', null),
  ('public.user_permissions', 'user_id', 'user_id', '10_people', '{permission,is_granted,reason,expires_at,granted_at}', 'delete', '{}', null),
  ('public.access_changes', 'subject_user_id', 'user_id', '10_people', '{at,action,role_name,permission,reason}', 'keep', '{}',
    'Who could do what, and when, stays known; the rows name ids only.'),
  ('private.idempotency_keys', 'caller', 'user_id', '10_people', '{function_name,created_at}', 'delete', '{}', null),
  ('private.api_calls', 'caller', 'user_id', '10_people', '{action,called_at}', 'delete', '{}', null)
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;

insert into public.integrity_checks (name, module, category, severity, description) values
  ('roles_of_missing_users', '10_people', 'integrity', 'error',
    'Roles and permissions of logins that no longer exist, as a restore without foreign keys leaves them.'),
  ('unused_permissions', '10_people', 'schema', 'warning', 'Permissions of an installed module that no policy, view or function asks for.'),
  ('unregistered_personal_data', '10_people', 'schema', 'warning',
    'Tables that refer to people or logins and that no module registered as personal data.'),
  ('tables_without_row_security', '10_people', 'security', 'critical', 'Tables in public on which row level security is off.'),
  ('definers_without_search_path', '10_people', 'security', 'critical',
    'Security definer functions that do not fix their search_path, so that a caller could slip another function under their names.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity, description = excluded.description;

-- The schema diff looks neither into the auth schema nor at roles a scratch database lacks, so these two are repeated
-- here, where migrations take them from.
create or replace trigger t10_keep_profile after insert or update of email on auth.users
  for each row execute function private.keep_profile_of_login();

do $$
begin
  if exists (select from pg_catalog.pg_roles r where r.rolname = 'supabase_auth_admin') then
    grant usage on schema public, private to supabase_auth_admin;
    grant execute on function public.custom_access_token_hook(jsonb), private.roles_for_token(text) to supabase_auth_admin;
  end if;
end;
$$;

-- Logins that were there before classbase was.
with adopted as (
  insert into public.user_profiles (user_id, full_name, email, phone, time_zone)
  select u.id, p.full_name, p.email, p.phone, p.time_zone
  from auth.users u
  cross join lateral private.profile_of_login(to_jsonb(u)) p
  where not exists (select from public.user_profiles o where o.user_id = u.id)
    and not coalesce((to_jsonb(u) ->> 'is_anonymous')::boolean, false)
  returning user_id
)
insert into public.user_roles (user_id, role_name) select a.user_id, 'member' from adopted a
on conflict (user_id, role_name) do nothing;
