-- 00_platform: what must exist before anything else.
--
-- This module knows nothing of classes, people or time. It gives every other module the same few things: a place
-- for what is exposed (`public`) and a place for what is not (`private`); one way to say no (`private.fail`); one
-- clock (`private.now`); settings with their defaults, types and bounds in one table; answers that are remembered,
-- so that a retried call does nothing twice; versions that catch two people editing one row; counting of calls; and
-- the registries that modules add rows to: permissions, integrity checks and jobs.
--
-- The life of a setting: a module ships its definition (default, kind, bounds) in its reference.sql; an administrator
-- may give it a value, which is validated against the definition; putting the value back to null returns to the
-- default. Shipping a new default never touches a value somebody chose.
--
-- Promises: nothing becomes visible to the API by being created (default privileges are taken away first); every
-- refusal has a code that is listed in `private.error_codes`; the second of two calls with one idempotency key
-- answers what the first answered, in the same transaction as the work itself.

create schema if not exists private;
create schema if not exists extensions;
comment on schema private is 'Helpers, trigger functions and bookkeeping; never exposed over REST.';

-- A hosted project may once have granted everything in public to everyone; what this role makes from here on starts
-- with nothing, and each module grants what it exposes.
alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
alter default privileges in schema public revoke all on sequences from anon, authenticated, service_role;
alter default privileges in schema public revoke all on functions from anon, authenticated, service_role;
alter default privileges revoke execute on functions from public;

create extension if not exists btree_gist with schema extensions;

create table private.error_codes (
  code text primary key,
  http_status integer not null,
  category text not null,
  is_retryable boolean not null default false,
  description text not null,
  constraint code_is_snake_case check (code ~ '^[a-z]+(_[a-z]+)*$'),
  constraint status_is_a_refusal check (http_status between 400 and 599),
  constraint category_is_known check (category in ('network', 'validation', 'integrity', 'permission', 'system'))
);
comment on table private.error_codes is 'Every code a refusal may carry, with the HTTP status it travels under.';
comment on column private.error_codes.category is 'What kind of trouble it is: network, validation, integrity, permission or system.';
comment on column private.error_codes.is_retryable is 'True when the same call may succeed later without being changed.';

create table public.settings (
  key text primary key,
  module text not null,
  value jsonb,
  default_value jsonb not null,
  kind text not null,
  minimum numeric,
  maximum numeric,
  allowed_values jsonb,
  description text not null,
  is_public boolean not null default false,
  version integer not null default 1,
  updated_at timestamptz not null default now(),
  constraint key_is_snake_case check (key ~ '^[a-z]+(_[a-z0-9]+)*$'),
  constraint kind_is_known check (kind in ('text', 'integer', 'number', 'boolean', 'time_zone', 'object')),
  constraint bounds_belong_to_numbers check (kind in ('integer', 'number') or (minimum is null and maximum is null)),
  constraint allowed_values_are_a_list check (allowed_values is null or jsonb_typeof(allowed_values) = 'array')
);
comment on table public.settings is 'What an organisation may choose, each with its default, kind and bounds. A null value means the default.';
comment on column public.settings.value is 'The chosen value as JSON, or null for the default.';
comment on column public.settings.kind is 'text, integer, number, boolean, time_zone (an IANA name) or object.';
comment on column public.settings.is_public is 'True when app_config() tells it to anyone, signed in or not.';
comment on column public.settings.version is 'Counts the changes; an update that names an older one is refused.';

create table public.permissions (
  name text primary key,
  module text not null,
  description text not null,
  constraint name_is_action_and_thing check (name ~ '^[a-z_]+:[a-z_]+$')
);
comment on table public.permissions is 'Every permission there is, named action:thing, with the module that asks for it.';

create table public.integrity_checks (
  name text primary key,
  module text not null,
  category text not null,
  severity text not null,
  description text not null,
  fix_description text,
  is_active boolean not null default true,
  looks_at text,
  auto_fix boolean not null default false,
  fix_attempts integer not null default 3,
  fallback text not null default 'alert',
  alert_from text default 'error',
  notify_role text not null default 'admin',
  constraint name_is_snake_case check (name ~ '^[a-z]+(_[a-z0-9]+)*$'),
  constraint category_is_known check (category in ('crud', 'integrity', 'realtime', 'performance', 'security', 'schema')),
  constraint severity_is_known check (severity in ('critical', 'error', 'warning', 'info')),
  constraint only_what_can_be_fixed_fixes_itself check (not auto_fix or fix_description is not null),
  constraint fix_attempts_are_few check (fix_attempts between 1 and 100),
  constraint fallback_is_known check (fallback in ('alert', 'escalate', 'switch_off')),
  constraint alert_from_is_known check (alert_from in ('critical', 'error', 'warning', 'info'))
);
comment on table public.integrity_checks is
  'Every check diagnosis runs. private.check_<name>() finds; where fix_description is given, private.fix_<name>(text[]) mends.';
comment on column public.integrity_checks.fix_description is 'What the repair does, or null when a person has to decide.';
comment on column public.integrity_checks.looks_at is
  'The table in public whose rows it looks at, one of which each finding is about; null where that is no table, so that it counts in no score.';
comment on column public.integrity_checks.auto_fix is 'Whether the scheduled run may repair what it finds without being asked.';
comment on column public.integrity_checks.fix_attempts is 'After how many scheduled repairs in a row that left something over it stops trying.';
comment on column public.integrity_checks.fallback is
  'What happens then: alert goes on as for any finding, escalate makes the alert critical, switch_off takes auto_fix away as well.';
comment on column public.integrity_checks.alert_from is 'From which severity of its findings on the scheduled run raises an alert; null for never.';
comment on column public.integrity_checks.notify_role is 'Whom the alert is for: a role.';

create table public.scheduled_jobs (
  name text primary key,
  module text not null,
  cron text not null,
  time_zone text,
  command text not null,
  description text not null,
  is_active boolean not null default true,
  last_run_at timestamptz,
  constraint cron_has_five_fields check (cron ~ '^\S+(\s+\S+){4}$')
);
comment on table public.scheduled_jobs is 'Every recurring job: when (five cron fields, local to time_zone) and which private function it runs.';
comment on column public.scheduled_jobs.time_zone is 'The IANA zone the cron fields are in; null is the organisation''s.';
comment on column public.scheduled_jobs.command is 'The function it calls, without arguments, such as private.extend_horizons.';

create table private.idempotency_keys (
  caller text not null,
  function_name text not null,
  key text not null,
  request_hash bytea not null,
  answer jsonb not null,
  created_at timestamptz not null,
  primary key (caller, function_name, key)
);
create index idempotency_keys_created_at on private.idempotency_keys (created_at);
comment on table private.idempotency_keys is 'The answers of calls that carried a key, kept in the transaction that did the work.';
comment on column private.idempotency_keys.request_hash is 'SHA-256 of the arguments: the same key with other arguments is refused.';

-- Unlogged: losing the count of the last minute in a crash costs nothing. One row a call rather than a counter, so
-- that two calls of one caller never wait for each other.
create unlogged table private.api_calls (
  caller text not null,
  action text not null,
  called_at timestamptz not null
);
create index api_calls_recent on private.api_calls (caller, action, called_at);
comment on table private.api_calls is 'Writing calls of the last minutes, for the rate limit.';
