-- 10_people: who is who, and who may do what.
--
-- A person is one row of user_profiles, with or without a login: an instructor who came with an import has a profile
-- (and, in the modules after this one, a timetable) long before signing in for the first time. Signing up makes a
-- profile and gives the role `member`; link_profile joins a login to a profile that was there first, which keeps its id
-- and therefore everything that hangs on it.
--
-- What a person may do is decided in three steps, and private.has_permission is the only place that decides:
-- the roles they hold (user_roles) grant what role_permissions says; a row of user_permissions grants or denies one
-- permission to one person, with a reason and perhaps an end, and is stronger than any role; a deactivated person may
-- do nothing. `admin` holds every permission that exists: registering one gives it to admin in the same statement.
--
-- Who may change that: holders of `manage:users`, through the functions grant_role, revoke_role, grant_permission and
-- revoke_permission, and nobody else through any door. Row level security and the missing grants stop the API's roles;
-- triggers say the same again to whoever slips past them. There is always somebody left who can: the last able admin
-- cannot be revoked, denied, deactivated or deleted. Every change becomes a row of access_changes, which is only ever
-- added to.
--
-- Contact data is personal. user_profiles shows a caller their own row, and all rows to holders of `read:contact`;
-- everyone else who is signed in reads people_directory, where emails and phones are masked. Each module says in
-- private.personal_data where it keeps what belongs to a person, so that export_person and erase_person reach all of it.

create table public.user_profiles (
  id uuid primary key default gen_random_uuid(),
  user_id uuid unique references auth.users (id) on delete set null,
  full_name text not null,
  email text,
  phone text,
  time_zone text,
  is_active boolean not null default true,
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  erased_at timestamptz,
  constraint full_name_is_present check (length(full_name) between 1 and 200 and full_name = btrim(full_name)),
  constraint email_is_a_lower_case_address check (private.is_email(email)),
  constraint phone_is_e164 check (private.is_phone(phone)),
  constraint time_zone_is_known check (time_zone is null or private.is_time_zone(time_zone)),
  constraint erased_people_are_gone check (
    erased_at is null or (not is_active and user_id is null and email is null and phone is null and time_zone is null)
  )
);
create index user_profiles_email on public.user_profiles (email);
create index user_profiles_full_name on public.user_profiles (full_name);
comment on table public.user_profiles is
  'One row a person. Visible to that person and to holders of read:contact; everyone else reads people_directory.';
comment on column public.user_profiles.id is 'The person, in every module; somebody who teaches or works is the resource with this id.';
comment on column public.user_profiles.user_id is 'The login, or null for somebody who has none (yet).';
comment on column public.user_profiles.full_name is 'The name as the person writes it, 1 to 200 characters.';
comment on column public.user_profiles.email is 'Lower-case address; follows the login''s address where there is a login.';
comment on column public.user_profiles.phone is 'E.164, such as +919876543210, or null.';
comment on column public.user_profiles.time_zone is 'IANA zone in which this person reads times; null is the organisation''s.';
comment on column public.user_profiles.is_active is 'False for somebody who left: keeps every row, holds no role or permission.';
comment on column public.user_profiles.version is 'Counts the changes; an update that names an older one is refused.';
comment on column public.user_profiles.erased_at is 'When the identity was removed by erase_person; null for everyone else.';

create table public.roles (
  name text primary key,
  description text not null,
  is_builtin boolean not null default false,
  constraint name_is_snake_case check (name ~ '^[a-z]+(_[a-z0-9]+)*$'),
  constraint description_is_present check (length(btrim(description)) between 1 and 500)
);
comment on table public.roles is 'The roles people can hold. Holders of manage:users may add their own beside the built-in ones.';
comment on column public.roles.is_builtin is 'True for the roles classbase ships, which cannot be removed or renamed.';

create table public.role_permissions (
  role_name text not null references public.roles (name) on delete cascade,
  permission text not null references public.permissions (name) on delete cascade,
  is_granted boolean not null default true,
  primary key (role_name, permission),
  constraint admin_holds_every_permission check (role_name <> 'admin' or is_granted)
);
create index role_permissions_permission on public.role_permissions (permission);
comment on table public.role_permissions is 'Which role holds which permission; the rows of built-in roles are switched off, not deleted.';
comment on column public.role_permissions.is_granted is
  'False where the organisation took a shipped permission away from a role: the row stays, so that an upgrade does not bring it back.';

create table public.user_roles (
  user_id uuid not null references auth.users (id) on delete cascade,
  role_name text not null references public.roles (name) on delete restrict,
  granted_by uuid references auth.users (id) on delete set null,
  granted_at timestamptz not null default private.now(),
  primary key (user_id, role_name)
);
create index user_roles_role_name on public.user_roles (role_name);
create index user_roles_granted_by on public.user_roles (granted_by);
comment on table public.user_roles is 'Who holds which role. Written through grant_role and revoke_role.';
comment on column public.user_roles.granted_by is 'The user who granted it; null when the system or a server did.';

create table public.user_permissions (
  user_id uuid not null references auth.users (id) on delete cascade,
  permission text not null references public.permissions (name) on delete cascade,
  is_granted boolean not null,
  reason text not null,
  expires_at timestamptz,
  granted_by uuid references auth.users (id) on delete set null,
  granted_at timestamptz not null default private.now(),
  primary key (user_id, permission),
  constraint reason_is_present check (length(btrim(reason)) between 1 and 500),
  constraint end_is_after_start check (expires_at > granted_at)
);
create index user_permissions_permission on public.user_permissions (permission);
create index user_permissions_granted_by on public.user_permissions (granted_by);
comment on table public.user_permissions is
  'One permission granted or denied to one person, stronger than any role. Written through grant_permission and revoke_permission.';
comment on column public.user_permissions.is_granted is 'True grants the permission, false denies it whatever the roles say.';
comment on column public.user_permissions.expires_at is 'From this instant on the row means nothing; null is without end.';
comment on column public.user_permissions.granted_by is 'The user who decided it; null when a server did.';

-- No foreign keys: what happened stays known when the user, the role or the permission is gone.
create table public.access_changes (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  action text not null,
  actor_id uuid,
  actor_role text not null,
  subject_user_id uuid,
  subject_profile_id uuid,
  role_name text,
  permission text,
  reason text,
  details jsonb not null default '{}',
  constraint action_is_known check (action in (
    'role_granted', 'role_revoked', 'permission_granted', 'permission_denied', 'permission_reset',
    'role_created', 'role_changed', 'role_removed', 'role_permission_granted', 'role_permission_withdrawn',
    'profile_linked', 'person_exported', 'person_erased'
  ))
);
create index access_changes_subject_user on public.access_changes (subject_user_id, at);
create index access_changes_subject_profile on public.access_changes (subject_profile_id, at);
comment on table public.access_changes is 'What happened to roles, permissions and personal data: who, what, to whom, why, when. Only ever added to.';
comment on column public.access_changes.at is 'When the transaction that did it began.';
comment on column public.access_changes.actor_id is 'The user who did it, or null for a server or the system.';
comment on column public.access_changes.actor_role is 'The database role that acted, such as authenticated or service_role.';
comment on column public.access_changes.subject_user_id is 'The login concerned.';
comment on column public.access_changes.subject_profile_id is 'The person concerned.';
comment on column public.access_changes.details is 'What else is worth keeping: the end of a grant, the profile that was replaced, the rows erased.';

create table private.personal_data (
  table_name text not null,
  person_column text not null,
  person_key text not null,
  module text not null,
  export_columns text[] not null,
  erase_action text not null,
  placeholders jsonb not null default '{}',
  kept_because text,
  primary key (table_name, person_column),
  constraint key_is_known check (person_key in ('profile_id', 'user_id')),
  constraint action_is_known check (erase_action in ('keep', 'overwrite', 'delete')),
  constraint overwriting_says_with_what check ((erase_action = 'overwrite') = (placeholders <> '{}')),
  constraint keeping_says_why check (erase_action <> 'keep' or coalesce(length(btrim(kept_because)), 0) > 0)
);
comment on table private.personal_data is
  'Where each module keeps what belongs to a person: read by export_person, emptied by erase_person. Modules add rows in reference.sql.';
comment on column private.personal_data.table_name is 'With its schema, such as public.user_profiles.';
comment on column private.personal_data.person_column is 'The column that says whose row it is.';
comment on column private.personal_data.person_key is 'What that column holds: the person''s profile_id or their login''s user_id.';
comment on column private.personal_data.export_columns is 'The columns an export shows; an empty list shows that rows exist and no more.';
comment on column private.personal_data.erase_action is 'keep leaves the rows, overwrite writes placeholders into them, delete removes them.';
comment on column private.personal_data.placeholders is 'For overwrite: column to new value, null to empty it, such as {"full_name": "Erased person", "email": null}.';
comment on column private.personal_data.kept_because is 'For keep: the reason, shown to whoever erases a person.';
