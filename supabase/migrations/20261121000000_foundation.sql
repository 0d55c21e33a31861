-- Written by `make squash` from sql/. Edit sql/, never this file.

-- sql/00_platform/tables.sql

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
  constraint name_is_snake_case check (name ~ '^[a-z]+(_[a-z0-9]+)*$'),
  constraint category_is_known check (category in ('crud', 'integrity', 'realtime', 'performance', 'security', 'schema')),
  constraint severity_is_known check (severity in ('critical', 'error', 'warning', 'info'))
);
comment on table public.integrity_checks is
  'Every check diagnosis runs. private.check_<name>() finds; where fix_description is given, private.fix_<name>(text[]) mends.';
comment on column public.integrity_checks.fix_description is 'What the repair does, or null when a person has to decide.';

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

-- sql/00_platform/rules/10_clock.sql

-- The clock and the caller: the two things every rule asks about its surroundings.

-- Tests that move time replace the body of this function; nothing else reads a clock.
create function private.now() returns timestamptz
language sql stable set search_path = ''
return pg_catalog.now();
comment on function private.now() is 'The only clock rules read: the start of the transaction.';

create function private.caller_id() returns uuid
language sql stable set search_path = ''
return auth.uid();
comment on function private.caller_id() is 'The signed-in user''s id, or null.';

-- The role a request acts as. current_user would be the owner inside a definer function; the role setting is not.
create function private.acting_role() returns text
language sql stable set search_path = ''
return case pg_catalog.current_setting('role', true)
    when 'none' then session_user::text
    else coalesce(nullif(pg_catalog.current_setting('role', true), ''), session_user::text)
  end;
comment on function private.acting_role() is 'The database role the caller acts as, also inside definer functions.';

create function private.is_trusted() returns boolean
language sql stable set search_path = ''
return private.acting_role() = 'service_role'
    or pg_catalog.pg_has_role(
      private.acting_role(),
      (select n.nspowner from pg_catalog.pg_namespace n where n.nspname = 'private'),
      'member'
    );
comment on function private.is_trusted() is
  'True for servers and operators: service_role, and the owner of the schema on a direct connection.';

-- sql/00_platform/rules/20_errors.sql

-- Saying no. One function raises every refusal, so that each has a code, a sentence, and what a program needs.

-- SQLSTATE PGRST lets us choose code, status and headers. (PTxyz would put the sentence in the HTTP status line,
-- where a line break stored in somebody's name becomes a header.)
create function private.fail(
  p_code text,
  p_message text,
  p_field text default null,
  p_details jsonb default '{}',
  p_hint text default null
) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_details jsonb := coalesce(p_details, '{}') || case when p_field is null then '{}' else jsonb_build_object('field', p_field) end;
  v_status integer := coalesce((select e.http_status from private.error_codes e where e.code = p_code), 400);
  v_headers jsonb := case when v_details ? 'retry_after' then jsonb_build_object('Retry-After', v_details ->> 'retry_after') else '{}' end;
begin
  raise sqlstate 'PGRST' using
    message = jsonb_build_object(
      'code', p_code,
      'message', regexp_replace(p_message, '[[:cntrl:]]+', ' ', 'g'),
      'details', v_details::text,
      'hint', p_hint
    )::text,
    detail = jsonb_build_object('status', v_status, 'headers', v_headers)::text;
end;
$$;
comment on function private.fail(text, text, text, jsonb, text) is
  'Raises a refusal: a code of private.error_codes, a sentence, the field at fault, details for programs, and what to do.';

create function private.input_error(p_when boolean, p_field text, p_message text) returns jsonb
language sql immutable set search_path = ''
return case when p_when then jsonb_build_array(jsonb_build_object('field', p_field, 'message', p_message)) else '[]' end;
comment on function private.input_error(boolean, text, text) is
  'One bad field as a list of one, or an empty list: concatenate several and hand them to private.fail_input.';

create function private.fail_input(p_errors jsonb) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if coalesce(jsonb_array_length(p_errors), 0) > 0 then
    perform private.fail(
      'invalid_input',
      (select string_agg(e ->> 'message', '; ') from jsonb_array_elements(p_errors) e),
      p_errors -> 0 ->> 'field',
      jsonb_build_object('errors', p_errors)
    );
  end if;
end;
$$;
comment on function private.fail_input(jsonb) is
  'Raises invalid_input for all offending fields at once ([{field, message}]); does nothing when there are none.';

-- For tables that only their own triggers may write.
create function private.refuse_direct_write() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if tg_op = 'TRUNCATE' or pg_catalog.pg_trigger_depth() < 2 then
    perform private.fail(
      'forbidden',
      format('%s is kept by triggers and cannot be written directly', tg_table_name),
      p_details => jsonb_build_object('table', tg_table_name, 'operation', tg_op),
      p_hint => tg_argv[0]
    );
  end if;
  return null;
end;
$$;
comment on function private.refuse_direct_write() is
  'Statement trigger: lets only other triggers write the table; its argument is the hint that says what to write instead.';

-- sql/00_platform/rules/30_text.sql

-- What counts as well-formed text.

create function private.clean_text(p_text text) returns text
language sql immutable set search_path = ''
return nullif(btrim(regexp_replace(p_text, '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]', '', 'g'), E' \t\r\n'), '');
comment on function private.clean_text(text) is 'Trimmed, without control characters (line breaks and tabs within it stay); empty becomes null.';

create function private.is_email(p_text text) returns boolean
language sql immutable set search_path = ''
return p_text = lower(p_text)
  and length(p_text) <= 254
  and p_text ~ '^[^\s@<>(),;:"\[\]\\]{1,64}@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$';
comment on function private.is_email(text) is 'True for a lower-case address with a domain; deliberately no more than that.';

create function private.is_phone(p_text text) returns boolean
language sql immutable set search_path = ''
return p_text ~ '^\+[1-9][0-9]{6,14}$';
comment on function private.is_phone(text) is 'True for a number in E.164 form, such as +919876543210.';

-- Names like EST5EDT or FOO+3 would be taken as POSIX zones with fixed rules, hence the shape besides the attempt.
create function private.is_time_zone(p_name text) returns boolean
language plpgsql immutable strict set search_path = ''
as $$
begin
  if p_name !~ '^(UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]*(/[A-Z][A-Za-z_-]*)?|/GMT[+-][0-9]{1,2}))$' then
    return false;
  end if;
  perform timestamp '2000-01-01' at time zone p_name;
  return true;
exception when invalid_parameter_value then
  return false;
end;
$$;
comment on function private.is_time_zone(text) is 'True for an IANA time zone this server knows, such as America/New_York.';

-- sql/00_platform/rules/40_settings.sql

-- Settings: read fast, validated on the way in.

create function private.setting(p_key text) returns jsonb
language sql stable security definer set search_path = ''
return (select coalesce(s.value, s.default_value) from public.settings s where s.key = p_key);
comment on function private.setting(text) is 'A setting''s value, or its default; null when there is no such setting.';

create function private.setting_text(p_key text) returns text
language sql stable security definer set search_path = ''
return (select coalesce(s.value, s.default_value) #>> '{}' from public.settings s where s.key = p_key);
comment on function private.setting_text(text) is 'A setting as text.';

create function private.setting_integer(p_key text) returns integer
language sql stable set search_path = ''
return private.setting_text(p_key)::integer;
comment on function private.setting_integer(text) is 'A setting as a whole number.';

create function private.setting_boolean(p_key text) returns boolean
language sql stable set search_path = ''
return private.setting_text(p_key)::boolean;
comment on function private.setting_boolean(text) is 'A setting as true or false.';

create function private.setting_error(p_setting public.settings, p_value jsonb) returns text
language sql immutable set search_path = ''
return case
    when p_value is null then null
    when p_setting.kind = 'boolean' and jsonb_typeof(p_value) <> 'boolean' then 'must be true or false'
    when p_setting.kind in ('integer', 'number') and jsonb_typeof(p_value) <> 'number' then 'must be a number'
    when p_setting.kind in ('text', 'time_zone') and jsonb_typeof(p_value) <> 'string' then 'must be text'
    when p_setting.kind = 'object' and jsonb_typeof(p_value) <> 'object' then 'must be an object'
    when p_setting.kind = 'integer' and (p_value #>> '{}')::numeric % 1 <> 0 then 'must be a whole number'
    when p_setting.kind in ('integer', 'number') and (p_value #>> '{}')::numeric < p_setting.minimum
      then 'must not be below ' || p_setting.minimum
    when p_setting.kind in ('integer', 'number') and (p_value #>> '{}')::numeric > p_setting.maximum
      then 'must not be above ' || p_setting.maximum
    when p_setting.kind = 'time_zone' and not private.is_time_zone(p_value #>> '{}') then 'must be an IANA time zone, such as Europe/Paris'
    when p_setting.kind = 'text' and length(p_value #>> '{}') > 1000 then 'must not be longer than 1000 characters'
    when p_setting.allowed_values is not null and not p_setting.allowed_values @> p_value
      then 'must be one of ' || p_setting.allowed_values::text
  end;
comment on function private.setting_error(public.settings, jsonb) is 'Why a value does not fit a setting''s definition, or null when it does.';

create function private.check_setting() returns trigger
language plpgsql set search_path = ''
as $$
declare
  v_reason text;
begin
  if new.value = 'null'::jsonb then
    new.value := null;
  end if;
  v_reason := private.setting_error(new, new.value);
  if v_reason is not null then
    perform private.fail('invalid_input', format('%s %s', new.key, v_reason), 'value',
      jsonb_build_object('setting', new.key, 'errors', jsonb_build_array(jsonb_build_object('field', new.key, 'message', v_reason))));
  end if;
  v_reason := private.setting_error(new, new.default_value);
  if v_reason is not null then
    perform private.fail('invalid_input', format('the default of %s %s', new.key, v_reason), 'default_value');
  end if;
  return new;
end;
$$;
comment on function private.check_setting() is 'Row trigger: a setting''s value and default fit its definition.';

create trigger t20_value_fits_definition before insert or update on public.settings
  for each row execute function private.check_setting();

-- sql/00_platform/rules/50_local_time.sql

-- Wall-clock time to instants. Local date, time and IANA zone are the truth; this is the one place that turns them
-- into instants, because `at time zone` alone silently moves a time in the hour that does not exist and takes the
-- second of the two in the hour that happens twice.

-- Two candidates: what Postgres makes of it, and the same with the offset in force a day earlier. In the fold these are
-- the two, of which the first counts; in the gap neither reads back as the wanted wall-clock time. No zone changes its
-- offset twice in a day. In plpgsql because bulk loads call it for every row, and it is three times as fast there.
create function private.local_to_instant(p_date date, p_time time, p_time_zone text) returns timestamptz
language plpgsql stable strict set search_path = ''
as $$
declare
  v_wanted constant timestamp := p_date + p_time;
  v_plain constant timestamptz := v_wanted at time zone p_time_zone;
  v_earlier constant timestamptz := v_plain - interval '24 hours'
    + (v_wanted - ((v_plain - interval '24 hours') at time zone p_time_zone));
begin
  if v_earlier at time zone p_time_zone = v_wanted then
    return least(v_earlier, v_plain);
  elsif v_plain at time zone p_time_zone = v_wanted then
    return v_plain;
  end if;
  return null;
end;
$$;
comment on function private.local_to_instant(date, time, text) is
  'The instant of a wall-clock time: null where the clock skips it, the first of the two where the clock repeats it.';

-- A use that ends at 02:00 on the night the clock jumps from 02:00 to 03:00 ends at the jump, although 02:00 is not
-- shown: an end is excluded, so what counts is the moment before it.
create function private.local_end_to_instant(p_date date, p_time time, p_time_zone text) returns timestamptz
language plpgsql stable strict set search_path = ''
as $$
declare
  v_moment_before constant timestamp := p_date + p_time - interval '1 microsecond';
begin
  return coalesce(
    private.local_to_instant(p_date, p_time, p_time_zone),
    private.local_to_instant(v_moment_before::date, v_moment_before::time, p_time_zone) + interval '1 microsecond'
  );
end;
$$;
comment on function private.local_end_to_instant(date, time, text) is
  'The instant a use ends at, by the wall clock: also where the clock jumps at that very moment; null inside the skipped time.';

create function private.describe_skipped(p_date date, p_time time, p_time_zone text) returns text
language sql stable set search_path = ''
return format('%s %s does not exist in %s: the clock skips it', p_date, left(p_time::text, 5), p_time_zone);
comment on function private.describe_skipped(date, time, text) is 'The sentence that refuses a wall-clock time the clock skips.';

create function private.fail_local_time(p_date date, p_time time, p_time_zone text, p_field text) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.fail('invalid_input', private.describe_skipped(p_date, p_time, p_time_zone), p_field,
    jsonb_build_object('date', p_date, 'time', p_time, 'time_zone', p_time_zone));
end;
$$;
comment on function private.fail_local_time(date, time, text, text) is 'Refuses a wall-clock time the clock skips.';

create function private.today() returns date
language sql stable set search_path = ''
return (private.now() at time zone private.setting_text('organisation_time_zone'))::date;
comment on function private.today() is 'Today''s date where the organisation is.';

create function private.describe_range(p_during tstzrange, p_time_zone text default null) returns text
language sql stable set search_path = ''
return (
  select to_char(l.starts, 'YYYY-MM-DD HH24:MI') || '–'
    || case
      when l.starts::date = l.ends::date then to_char(l.ends, 'HH24:MI')
      when l.ends = l.starts::date + 1 then '24:00'
      else to_char(l.ends, 'YYYY-MM-DD HH24:MI')
    end || ' ' || l.zone
  from (
    select lower(p_during) at time zone z.zone as starts, upper(p_during) at time zone z.zone as ends, z.zone
    from (select coalesce(p_time_zone, private.setting_text('organisation_time_zone')) as zone offset 0) z
    offset 0 -- or the planner asks for the zone anew for each mention of it
  ) l
);
comment on function private.describe_range(tstzrange, text) is
  'A range of instants as people read it, in a zone (by default the organisation''s): 2026-03-02 09:00–10:30 Europe/Paris.';

-- sql/00_platform/rules/60_versions.sql

-- Two people editing one row: the second is told.

create function private.keep_version() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if new.version is distinct from old.version then
    perform private.fail(
      'stale_version',
      format('This row was changed meanwhile: it is at version %s, not %s', old.version, new.version),
      'version',
      jsonb_build_object('table', tg_table_name, 'current', to_jsonb(old)),
      'Read the row again, apply the change to what is there now, and send its version.'
    );
  end if;
  new.version := old.version + 1;
  new.updated_at := private.now();
  return new;
end;
$$;
comment on function private.keep_version() is
  'Row trigger: counts changes in version and stamps updated_at; an update that names another version than the row''s is refused.';

create trigger t10_keep_version before update on public.settings
  for each row execute function private.keep_version();

-- sql/00_platform/rules/70_idempotency.sql

-- A call that is retried does its work once. The key and the answer are kept in the transaction that does the work,
-- so either both are there or neither is.

create function private.calling() returns text
language sql stable set search_path = ''
return coalesce(private.caller_id()::text, private.acting_role());
comment on function private.calling() is 'Who is calling, for bookkeeping: the user''s id, or else the role.';

-- Statement after statement on purpose: the look-up must not share a snapshot with the attempt to lock. A caller
-- whose twin is still running is told so at once, because a crowd waiting on one key would fill the connection pool.
create function private.answered_before(p_function text, p_key text, p_request jsonb) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_hash bytea := sha256(convert_to(coalesce(p_request, '{}')::text, 'UTF8'));
  v_kept private.idempotency_keys;
begin
  if p_key is null then
    return null;
  end if;
  if length(p_key) not between 1 and 200 then
    perform private.fail('invalid_input', 'An idempotency key has 1 to 200 characters', 'idempotency_key');
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended(format('%s %s %s', private.calling(), p_function, p_key), 0)) then
    perform private.fail('in_progress', 'The same call is still running', 'idempotency_key',
      p_hint => 'Ask again in a moment with the same key.');
  end if;
  select k.* into v_kept
  from private.idempotency_keys k
  where k.caller = private.calling() and k.function_name = p_function and k.key = p_key;
  if found and v_kept.request_hash <> v_hash then
    perform private.fail('idempotency_mismatch', 'This idempotency key was used with other arguments', 'idempotency_key',
      p_hint => 'Use a new key for a new call.');
  end if;
  return v_kept.answer;
end;
$$;
comment on function private.answered_before(text, text, jsonb) is
  'The answer an earlier call with this key gave, or null when this is the first; refuses other arguments and a twin still running.';

create function private.remember_answer(p_function text, p_key text, p_request jsonb, p_answer jsonb) returns void
language sql volatile security definer set search_path = ''
begin atomic
  insert into private.idempotency_keys (caller, function_name, key, request_hash, answer, created_at)
  select private.calling(), p_function, p_key, sha256(convert_to(coalesce(p_request, '{}')::text, 'UTF8')),
    coalesce(p_answer, 'null'), private.now()
  where p_key is not null;
end;
comment on function private.remember_answer(text, text, jsonb, jsonb) is
  'Keeps the answer of a call that carried a key, for the call that will be made again.';

-- sql/00_platform/rules/80_limits.sql

-- What one caller may ask of us. PostgREST runs private.pre_request before every request (db-pre-request).

-- Reading requests run in read-only transactions and are not counted; a refused call takes its count back with it.
create function private.pre_request() returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_headers jsonb := nullif(current_setting('request.headers', true), '')::jsonb;
  v_action text := current_setting('request.method', true) || ' ' || current_setting('request.path', true);
  v_caller text;
  v_limit integer;
  v_calls integer;
begin
  if private.is_trusted() then
    return;
  end if;
  if (v_headers ->> 'content-length') ~ '^[0-9]{1,18}$'
    and (v_headers ->> 'content-length')::bigint > private.setting_integer('request_bytes_limit') then
    perform private.fail('limit_exceeded', format('A request may hold %s bytes', private.setting_integer('request_bytes_limit')), 'body',
      jsonb_build_object('limit', private.setting_integer('request_bytes_limit')),
      'Send the rows in smaller parts.');
  end if;
  if current_setting('transaction_read_only') = 'on' then
    return;
  end if;
  v_caller := coalesce(private.caller_id()::text, 'anonymous ' || coalesce(v_headers ->> 'x-forwarded-for', ''));
  v_limit := private.setting_integer(case when private.caller_id() is null then 'anonymous_calls_per_minute' else 'calls_per_minute' end);
  select count(*) into v_calls
  from (
    select from private.api_calls c
    where c.caller = v_caller and c.action = v_action and c.called_at > private.now() - interval '1 minute'
    limit v_limit
  ) recent;
  if v_calls >= v_limit then
    perform private.fail('rate_limited', format('At most %s such calls a minute', v_limit), p_details => jsonb_build_object('limit', v_limit, 'retry_after', 60),
      p_hint => 'Wait a minute, or send several rows in one call.');
  end if;
  insert into private.api_calls (caller, action, called_at) values (v_caller, v_action, private.now());
end;
$$;
comment on function private.pre_request() is
  'Runs before every REST request: bounds its size and counts writing calls per caller and action.';

create function private.forget_old_calls() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_calls integer;
  v_keys integer;
begin
  delete from private.api_calls c where c.called_at < private.now() - interval '10 minutes';
  get diagnostics v_calls = row_count;
  delete from private.idempotency_keys k where k.created_at < private.now() - make_interval(days => private.setting_integer('idempotency_days'));
  get diagnostics v_keys = row_count;
  return v_calls + v_keys;
end;
$$;
comment on function private.forget_old_calls() is 'Job: deletes counted calls and remembered answers that are past their use; returns how many.';

-- sql/00_platform/rpc/app_config.sql

create function private.version() returns text
language sql immutable set search_path = ''
return '0.1.0';
comment on function private.version() is 'The release of classbase this database is at.';

create function private.public_settings() returns jsonb
language sql stable security definer set search_path = ''
return (select jsonb_object_agg(s.key, coalesce(s.value, s.default_value)) from public.settings s where s.is_public);
comment on function private.public_settings() is 'The settings anyone may know, by key.';

-- A document rather than rows: frontends keep it whole, and modules add keys by marking a setting public.
create function public.app_config() returns jsonb
language sql stable set search_path = ''
return private.public_settings() || jsonb_build_object('version', private.version());
comment on function public.app_config() is
  'What a frontend needs before anyone signs in: one document of the public settings (organisation, time zone, currency, page size, refresh and cache seconds, bulk limit, flags) and the backend''s version.';

-- sql/00_platform/policies.sql

-- Nothing here may be written over REST except settings, by those who hold manage:settings (10_people says who).

grant usage on schema public, private to anon, authenticated, service_role;

alter table public.settings enable row level security;
alter table public.permissions enable row level security;
alter table public.integrity_checks enable row level security;
alter table public.scheduled_jobs enable row level security;

-- anon learns settings through app_config() only.
grant select on public.settings, public.permissions, public.integrity_checks, public.scheduled_jobs to authenticated, service_role;
grant update (value, version) on public.settings to authenticated, service_role;
grant update (is_active) on public.integrity_checks, public.scheduled_jobs to service_role;

grant execute on function public.app_config() to anon, authenticated, service_role;

grant execute on function private.now(), private.today(), private.caller_id(), private.acting_role(), private.is_trusted(),
  private.calling(), private.fail(text, text, text, jsonb, text), private.fail_input(jsonb), private.input_error(boolean, text, text),
  private.clean_text(text), private.is_email(text), private.is_phone(text), private.is_time_zone(text),
  private.local_to_instant(date, time, text), private.local_end_to_instant(date, time, text),
  private.describe_skipped(date, time, text),
  private.fail_local_time(date, time, text, text), private.describe_range(tstzrange, text),
  private.public_settings(), private.version(), private.pre_request(),
  private.setting_error(public.settings, jsonb)
  to anon, authenticated, service_role;
-- Settings that are not public stay out of anon's reach; rules read them inside definer functions.
grant execute on function private.setting(text), private.setting_text(text), private.setting_integer(text), private.setting_boolean(text),
  private.answered_before(text, text, jsonb), private.remember_answer(text, text, jsonb, jsonb)
  to authenticated, service_role;

-- sql/00_platform/reference.sql

-- Rows this module ships.

insert into private.error_codes (code, http_status, category, is_retryable, description) values
  ('invalid_input', 400, 'validation', false, 'A value is missing or does not make sense; errors lists every field at fault.'),
  ('forbidden', 403, 'permission', false, 'The caller may not do this.'),
  ('not_found', 404, 'validation', false, 'There is no such row, or the caller may not see it.'),
  ('time_conflict', 409, 'integrity', false, 'Somebody or something would be in two places; conflicts lists what is already there.'),
  ('seats_full', 409, 'integrity', false, 'There are not enough free places.'),
  ('stale_version', 409, 'integrity', false, 'The row was changed since it was read; current holds it as it is now.'),
  ('illegal_transition', 409, 'integrity', false, 'The row cannot go from its status to that one.'),
  ('duplicate', 409, 'integrity', false, 'There is one like it already.'),
  ('in_progress', 409, 'system', true, 'The same call, with the same idempotency key, is still running.'),
  ('limit_exceeded', 413, 'validation', false, 'More than may be asked for at once, or further ahead than allowed; limit says how much is.'),
  ('idempotency_mismatch', 422, 'validation', false, 'The idempotency key was used before with other arguments.'),
  ('rate_limited', 429, 'system', true, 'Too many calls in a minute; retry_after says for how many seconds to wait.')
on conflict (code) do update set
  http_status = excluded.http_status, category = excluded.category,
  is_retryable = excluded.is_retryable, description = excluded.description;

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('organisation_name', '00_platform', 'text', '"Our organisation"', null, null, true, 'What the organisation is called.'),
  ('organisation_time_zone', '00_platform', 'time_zone', '"UTC"', null, null, true, 'Where the organisation''s days begin and end.'),
  ('currency', '00_platform', 'text', '"USD"', null, null, true, 'ISO 4217 code of all amounts.'),
  ('page_size', '00_platform', 'integer', '50', 1, 1000, true, 'Rows a page in lists.'),
  ('refresh_seconds', '00_platform', 'integer', '60', 5, 3600, true, 'How often a frontend asks again.'),
  ('cache_seconds', '00_platform', 'integer', '300', 0, 86400, true, 'How long a frontend may keep what it read.'),
  ('bulk_limit', '00_platform', 'integer', '100', 1, 1000, true, 'Rows one bulk call may change.'),
  ('request_bytes_limit', '00_platform', 'integer', '1048576', 1024, 67108864, false, 'Bytes one REST request may hold.'),
  ('calls_per_minute', '00_platform', 'integer', '300', 1, 100000, false, 'Writing calls of one kind a signed-in user may make in a minute.'),
  ('anonymous_calls_per_minute', '00_platform', 'integer', '60', 1, 100000, false, 'Writing calls of one kind one address may make in a minute without signing in.'),
  ('idempotency_days', '00_platform', 'integer', '30', 1, 365, false, 'Days for which a retried call gets its first answer.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('forget_old_calls', '00_platform', '17 * * * *', 'private.forget_old_calls', 'Deletes counted calls and remembered answers that are past their use.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description;

-- sql/10_people/tables.sql

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

-- sql/10_people/rules/10_permissions.sql

-- Who may do what: the one place that decides, and the sentence that refuses.

-- Roles from the token count only for roles that exist here, and only when an administrator switched that on; a
-- denial and a deactivation in the tables are stronger than any token.
create function private.token_roles() returns text[]
language sql stable security definer set search_path = ''
return case
    when private.setting_boolean('roles_from_token') and jsonb_typeof(auth.jwt() -> 'app_metadata' -> 'roles') = 'array'
      then array(select jsonb_array_elements_text(auth.jwt() -> 'app_metadata' -> 'roles'))
    else '{}'
  end;
comment on function private.token_roles() is 'The roles the caller''s token claims; empty unless the setting roles_from_token is on.';

create function private.is_deactivated(p_user_id uuid) returns boolean
language sql stable security definer set search_path = ''
return exists (select from public.user_profiles p where p.user_id = p_user_id and not p.is_active);
comment on function private.is_deactivated(uuid) is 'True for the login of somebody who was deactivated and therefore holds nothing.';

-- Every look-up leads with a primary key, whatever the size of the tables. In a policy it is written
-- (select private.has_permission('read:contact')), which runs once a statement.
create function private.has_permission(p_permission text) returns boolean
language sql stable security definer set search_path = ''
return private.is_trusted()
  or (
    private.caller_id() is not null
    and coalesce(
      (
        select u.is_granted
        from public.user_permissions u
        where u.user_id = private.caller_id() and u.permission = p_permission
          and (u.expires_at is null or u.expires_at > private.now())
      ),
      exists (
        select
        from public.user_roles r
        join public.role_permissions g on g.role_name = r.role_name and g.permission = p_permission and g.is_granted
        where r.user_id = private.caller_id()
      )
      or exists (
        select
        from public.role_permissions g
        where g.permission = p_permission and g.is_granted and g.role_name = any (private.token_roles())
      )
    )
    and not private.is_deactivated(private.caller_id())
  );
comment on function private.has_permission(text) is
  'True when the caller may do this: servers and operators always; a person by role or by a grant of their own, unless denied or deactivated.';

create function private.has_role(p_role text) returns boolean
language sql stable security definer set search_path = ''
return private.caller_id() is not null
  and (
    exists (select from public.user_roles r where r.user_id = private.caller_id() and r.role_name = p_role)
    or (p_role = any (private.token_roles()) and exists (select from public.roles r where r.name = p_role))
  )
  and not private.is_deactivated(private.caller_id());
comment on function private.has_role(text) is
  'True when the caller is a person who holds this role. Servers hold every permission but no role.';

create function private.require_permission(p_permission text) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if not private.has_permission(p_permission) then
    perform private.fail('forbidden', format('This needs the permission %s', p_permission),
      p_details => jsonb_build_object('permission', p_permission),
      p_hint => 'Ask somebody who holds manage:users to grant it.');
  end if;
end;
$$;
comment on function private.require_permission(text) is 'Raises forbidden unless the caller holds the permission.';

create function private.current_profile_id() returns uuid
language sql stable security definer set search_path = ''
return (select p.id from public.user_profiles p where p.user_id = private.caller_id());
comment on function private.current_profile_id() is 'The profile of the signed-in person, or null.';

-- So that a module registers a permission in one row and admin holds it from then on.
create function private.give_permissions_to_admin() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into public.role_permissions (role_name, permission)
  select 'admin', n.name from new_permissions n
  on conflict (role_name, permission) do nothing;
  return null;
end;
$$;
comment on function private.give_permissions_to_admin() is 'Statement trigger: the role admin holds every permission that is registered.';

create trigger t10_give_to_admin after insert on public.permissions
  referencing new table as new_permissions
  for each statement execute function private.give_permissions_to_admin();

-- sql/10_people/rules/20_profiles.sql

-- Profiles: made on sign-up, kept well-formed, edited only by those they belong to.

create function private.clean_name(p_text text) returns text
language sql immutable set search_path = ''
return private.clean_text(regexp_replace(p_text, '\s+', ' ', 'g'));
comment on function private.clean_name(text) is 'A name on one line: clean text with every run of white space as one space; empty becomes null.';

-- Names come from people and from other sign-in services, so anything may be in there. What does not make sense is
-- left out; the sign-up goes on. An address is no substitute for a name: the directory would show what it masks.
create function private.profile_of_login(p_login jsonb) returns public.user_profiles
language sql stable set search_path = ''
return (
  select row(
    null::uuid,
    (p_login ->> 'id')::uuid,
    coalesce(
      private.clean_name(left(private.clean_name(m.meta ->> 'full_name'), 200)),
      private.clean_name(left(private.clean_name(m.meta ->> 'name'), 200)),
      'Unnamed'
    ),
    case when private.is_email(lower(btrim(p_login ->> 'email'))) then lower(btrim(p_login ->> 'email')) end,
    case
      when private.is_phone('+' || ltrim(p_login ->> 'phone', '+')) then '+' || ltrim(p_login ->> 'phone', '+')
      when private.is_phone(m.meta ->> 'phone') then m.meta ->> 'phone'
    end,
    case when private.is_time_zone(m.meta ->> 'time_zone') then m.meta ->> 'time_zone' end,
    true, 1, private.now(), private.now(), null::timestamptz
  )::public.user_profiles
  from (
    select jsonb_object_agg(e.key, e.value) as meta
    from jsonb_each(case when jsonb_typeof(p_login -> 'raw_user_meta_data') = 'object' then p_login -> 'raw_user_meta_data' else '{}' end) e
    where jsonb_typeof(e.value) = 'string'
  ) m
);
comment on function private.profile_of_login(jsonb) is
  'The profile a row of auth.users (as JSON) would get: name, address, phone and zone where they make sense, null or "Unnamed" where not.';

-- Also the way in for a guest (an anonymous sign-in) who becomes a real user later, and for a changed address. The
-- trigger itself is in reference.sql, because the schema diff does not look into the auth schema.
create function private.keep_profile_of_login() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_profile public.user_profiles;
begin
  if coalesce((to_jsonb(new) ->> 'is_anonymous')::boolean, false) then
    return null;
  end if;
  v_profile := private.profile_of_login(to_jsonb(new));
  if exists (select from public.user_profiles p where p.user_id = new.id) then
    update public.user_profiles p set email = v_profile.email
    where p.user_id = new.id and v_profile.email is not null and p.email is distinct from v_profile.email;
    return null;
  end if;
  insert into public.user_profiles (user_id, full_name, email, phone, time_zone)
  values (new.id, v_profile.full_name, v_profile.email, v_profile.phone, v_profile.time_zone);
  insert into public.user_roles (user_id, role_name) values (new.id, 'member') on conflict do nothing;
  return null;
end;
$$;
comment on function private.keep_profile_of_login() is
  'Row trigger on auth.users: a new login gets a profile and the role member; a changed address reaches the profile.';

create function private.check_profile() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.full_name := private.clean_name(new.full_name);
  new.email := lower(private.clean_text(new.email));
  new.phone := private.clean_text(new.phone);
  new.time_zone := private.clean_text(new.time_zone);
  perform private.fail_input(
    private.input_error(new.full_name is null, 'full_name', 'A person needs a name')
    || private.input_error(length(new.full_name) > 200, 'full_name', 'A name has at most 200 characters')
    || private.input_error(not private.is_email(new.email), 'email', 'This is not an email address')
    || private.input_error(not private.is_phone(new.phone), 'phone', 'A phone number is written like +919876543210')
    || private.input_error(new.time_zone is not null and not private.is_time_zone(new.time_zone), 'time_zone',
      'A time zone is an IANA name, such as Europe/Paris')
  );
  return new;
end;
$$;
comment on function private.check_profile() is 'Row trigger: tidies names and contact data and refuses what is malformed, every field at once.';

create trigger t10_keep_version before update on public.user_profiles
  for each row execute function private.keep_version();
create trigger t20_check_profile before insert or update on public.user_profiles
  for each row execute function private.check_profile();

-- What belongs to the person, they may edit; what the organisation or the login says about them, they may not.
create function private.guard_profile() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if (new.id, new.user_id, new.email, new.is_active, new.created_at, new.erased_at)
      is distinct from (old.id, old.user_id, old.email, old.is_active, old.created_at, old.erased_at)
    and private.is_direct_write()
    and not private.has_permission('manage:users') then
    perform private.fail('forbidden', 'Of a profile you may change the name, the phone and the time zone',
      p_details => jsonb_build_object('permission', 'manage:users'),
      p_hint => 'A new address is set where you sign in; everything else by somebody who holds manage:users.');
  end if;
  return new;
end;
$$;
comment on function private.guard_profile() is 'Row trigger: without manage:users only name, phone and time zone of a profile change.';

create trigger t05_guard before update on public.user_profiles
  for each row execute function private.guard_profile();

-- sql/10_people/rules/30_access_guards.sql

-- Who may change who may do what. Grants and row level security already keep the API's roles out; these triggers say
-- it once more to whatever gets past them: a grant given by mistake, a careless definer function of a later module.

create function private.refuse_statement() returns trigger
language plpgsql set search_path = ''
as $$
begin
  perform private.fail('forbidden', tg_argv[0], p_details => jsonb_build_object('table', tg_table_name, 'operation', tg_op));
  return null;
end;
$$;
comment on function private.refuse_statement() is 'Statement trigger: refuses the statement, whoever makes it; its argument is the sentence that says why.';

-- Inside a definer function, and inside the actions of a foreign key, current_user is the owner while the acting role
-- is still the caller's. This must therefore stay an invoker function.
create function private.is_direct_write() returns boolean
language sql stable set search_path = ''
return current_user::text = private.acting_role();
comment on function private.is_direct_write() is
  'True in a trigger when the caller wrote the table itself, false when a definer function or a foreign key did.';

create function private.stamp_access() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if private.caller_id() is not null then
    new.granted_by := private.caller_id();
    new.granted_at := private.now();
  end if;
  return new;
end;
$$;
comment on function private.stamp_access() is 'Row trigger: a grant is signed by the user who makes it, whatever the statement says.';

-- Without manage:users, three things still have to work, all of them second-hand: signing up (the role member), the
-- end of a login (its rows go with it), and the end of whoever granted something (granted_by becomes null).
create function private.guard_access() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if private.has_permission('manage:users') then
    return coalesce(new, old);
  end if;
  if not private.is_direct_write() then
    if tg_op = 'INSERT' and tg_table_name = 'user_roles' and to_jsonb(new) ->> 'role_name' = 'member' then
      return new;
    end if;
    if tg_op = 'DELETE' and not exists (select from auth.users u where u.id = old.user_id) then
      return old;
    end if;
    if tg_op = 'UPDATE' and new.granted_by is null and to_jsonb(new) - 'granted_by' = to_jsonb(old) - 'granted_by' then
      return new;
    end if;
  end if;
  perform private.require_permission('manage:users');
  return null;
end;
$$;
comment on function private.guard_access() is
  'Row trigger on user_roles and user_permissions: only holders of manage:users, servers and operators change them.';

create trigger t10_stamp before insert on public.user_roles
  for each row execute function private.stamp_access();
create trigger t20_guard before insert or update or delete on public.user_roles
  for each row execute function private.guard_access();
create trigger t30_no_truncate before truncate on public.user_roles
  for each statement execute function private.refuse_statement('Roles are revoked one by one: somebody has to remain who may grant them');

create trigger t10_stamp before insert on public.user_permissions
  for each row execute function private.stamp_access();
create trigger t20_guard before insert or update or delete on public.user_permissions
  for each row execute function private.guard_access();
create trigger t30_no_truncate before truncate on public.user_permissions
  for each statement execute function private.refuse_statement('Permissions are taken back one by one, so that each change is recorded');

create function private.guard_role() returns trigger
language plpgsql set search_path = ''
as $$
begin
  -- private.require_an_admin touches a row without changing it, on behalf of anyone.
  if tg_op = 'UPDATE' and new is not distinct from old then
    return new;
  end if;
  perform private.require_permission('manage:users');
  if tg_op <> 'INSERT' and old.is_builtin and (tg_op = 'DELETE' or new.name <> old.name or not new.is_builtin) then
    perform private.fail('forbidden', format('The role %s is built in and can neither be removed nor renamed', old.name), 'name');
  end if;
  return coalesce(new, old);
end;
$$;
comment on function private.guard_role() is 'Row trigger: only holders of manage:users change roles, and nobody removes or renames a built-in one.';

create trigger t20_guard before insert or update or delete on public.roles
  for each row execute function private.guard_role();
create trigger t30_no_truncate before truncate on public.roles
  for each statement execute function private.refuse_statement('The built-in roles cannot be removed');

-- A row of a built-in role that was deleted would come back with the next upgrade, hence is_granted.
-- With the owner's rights, because the caller may see none of the permissions it looks up.
create function private.guard_role_permission() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  perform private.require_permission('manage:users');
  -- A permission or a role that is removed takes its rows along.
  if tg_op = 'INSERT'
    or not exists (select from public.permissions p where p.name = old.permission)
    or not exists (select from public.roles r where r.name = old.role_name) then
    return coalesce(new, old);
  end if;
  if old.role_name = 'admin' and (tg_op = 'DELETE' or new is distinct from old) then
    perform private.fail('forbidden', 'admin holds every permission', 'role_name',
      p_hint => 'Deny the permission to one person with grant_permission, or give people another role.');
  end if;
  if tg_op = 'DELETE' and not private.is_trusted() and (select r.is_builtin from public.roles r where r.name = old.role_name) then
    perform private.fail('forbidden', format('%s is a built-in role: switch its permission off instead of deleting the row', old.role_name),
      'role_name', p_hint => 'Set is_granted to false.');
  end if;
  return coalesce(new, old);
end;
$$;
comment on function private.guard_role_permission() is
  'Row trigger: only holders of manage:users change what a role may do; admin keeps everything; built-in rows are switched off, not deleted.';

create trigger t20_guard before insert or update or delete on public.role_permissions
  for each row execute function private.guard_role_permission();
create trigger t30_no_truncate before truncate on public.role_permissions
  for each statement execute function private.refuse_statement('admin holds every permission');

-- sql/10_people/rules/40_last_admin.sql

-- There is always somebody left who can grant roles.

create function private.is_able_admin(p_user_id uuid) returns boolean
language sql stable security definer set search_path = ''
return exists (select from public.user_roles r where r.user_id = p_user_id and r.role_name = 'admin')
  and not private.is_deactivated(p_user_id)
  and not exists (
    select
    from public.user_permissions u
    where u.user_id = p_user_id and u.permission = 'manage:users' and not u.is_granted
      and (u.expires_at is null or u.expires_at > private.now())
  );
comment on function private.is_able_admin(uuid) is 'True for an admin who is neither deactivated nor denied manage:users.';

-- Two admins who remove each other at the same time must not both succeed. So whoever takes an admin away first
-- touches the role's row, which makes the second wait, and counts in a later statement, which sees what the first
-- one did. It is an update and not only a lock so that a transaction at a stricter isolation level fails instead
-- of counting in its old snapshot.
create function private.require_an_admin() returns void
language plpgsql security definer set search_path = ''
as $$
begin
  update public.roles r set description = r.description where r.name = 'admin';
  if not exists (select from public.user_roles r where r.role_name = 'admin' and private.is_able_admin(r.user_id)) then
    perform private.fail('forbidden', 'The last admin stays: nobody would be left who can grant roles', 'role_name',
      p_hint => 'Give somebody else the role admin first.');
  end if;
end;
$$;
comment on function private.require_an_admin() is 'Raises forbidden when no able admin is left, after waiting for whoever else is taking one away.';

create function private.keep_an_admin() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_table_name = 'user_roles' then
    perform private.require_an_admin();
  elsif exists (select from public.user_roles r where r.user_id = new.user_id and r.role_name = 'admin') then
    perform private.require_an_admin();
  end if;
  return null;
end;
$$;
comment on function private.keep_an_admin() is
  'Row trigger on what can take an admin''s power away (the role, a denial, a deactivation): refuses when no able admin is left.';

create trigger t80_keep_an_admin_revoked after delete on public.user_roles
  for each row when (old.role_name = 'admin') execute function private.keep_an_admin();
create trigger t80_keep_an_admin_changed after update on public.user_roles
  for each row when (old.role_name = 'admin' and (new.role_name <> 'admin' or new.user_id <> old.user_id))
  execute function private.keep_an_admin();
create trigger t80_keep_an_admin_denied after insert or update on public.user_permissions
  for each row when (new.permission = 'manage:users' and not new.is_granted) execute function private.keep_an_admin();
create trigger t80_keep_an_admin_active after insert or update on public.user_profiles
  for each row when (new.user_id is not null and not new.is_active) execute function private.keep_an_admin();

-- sql/10_people/rules/50_access_changes.sql

-- What happened to roles, permissions and personal data, kept for good.

-- The functions hand their reason to the triggers that record; in plain SQL, set local classbase.reason = '…' does.
create function private.set_reason(p_reason text) returns void
language sql volatile set search_path = ''
begin atomic
  select pg_catalog.set_config('classbase.reason', coalesce(private.clean_text(p_reason), ''), true);
end;
comment on function private.set_reason(text) is 'States why, for the changes of access that follow in this transaction; null to stop.';

create function private.record_access(
  p_action text,
  p_user_id uuid default null,
  p_profile_id uuid default null,
  p_role_name text default null,
  p_permission text default null,
  p_details jsonb default '{}',
  p_reason text default null
) returns void
language sql volatile security definer set search_path = ''
begin atomic
  insert into public.access_changes
    (at, action, actor_id, actor_role, subject_user_id, subject_profile_id, role_name, permission, reason, details)
  values (
    private.now(), p_action, private.caller_id(), private.acting_role(), p_user_id,
    coalesce(p_profile_id, (select p.id from public.user_profiles p where p.user_id = p_user_id)),
    p_role_name, p_permission, coalesce(p_reason, nullif(pg_catalog.current_setting('classbase.reason', true), '')), p_details
  );
end;
comment on function private.record_access(text, uuid, uuid, text, text, jsonb, text) is
  'Adds a row to access_changes: who is calling did this, to that person, for the reason given or stated with set_reason.';

create function private.record_role_grant() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and (new.user_id, new.role_name) = (old.user_id, old.role_name) then
    return null;
  end if;
  if tg_op <> 'INSERT' then
    perform private.record_access('role_revoked', old.user_id, null, old.role_name);
  end if;
  if tg_op <> 'DELETE' then
    perform private.record_access('role_granted', new.user_id, null, new.role_name);
  end if;
  return null;
end;
$$;
comment on function private.record_role_grant() is 'Row trigger on user_roles: records what was granted and revoked.';

create function private.record_user_permission() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and to_jsonb(new) - 'granted_by' = to_jsonb(old) - 'granted_by' then
    return null;
  end if;
  if tg_op = 'DELETE' or (tg_op = 'UPDATE' and (new.user_id, new.permission) <> (old.user_id, old.permission)) then
    perform private.record_access('permission_reset', old.user_id, null, null, old.permission,
      jsonb_build_object('was_granted', old.is_granted));
  end if;
  if tg_op <> 'DELETE' then
    perform private.record_access(case when new.is_granted then 'permission_granted' else 'permission_denied' end,
      new.user_id, null, null, new.permission, jsonb_build_object('expires_at', new.expires_at), new.reason);
  end if;
  return null;
end;
$$;
comment on function private.record_user_permission() is 'Row trigger on user_permissions: records grants, denials and their end.';

create function private.record_role_permission() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and new is not distinct from old then
    return null;
  end if;
  if tg_op <> 'INSERT' and old.is_granted then
    perform private.record_access('role_permission_withdrawn', p_role_name => old.role_name, p_permission => old.permission);
  end if;
  if tg_op <> 'DELETE' and new.is_granted then
    perform private.record_access('role_permission_granted', p_role_name => new.role_name, p_permission => new.permission);
  end if;
  return null;
end;
$$;
comment on function private.record_role_permission() is 'Row trigger on role_permissions: records what a role gained and lost.';

create function private.record_role() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if tg_op = 'INSERT' then
    perform private.record_access('role_created', p_role_name => new.name);
  elsif tg_op = 'DELETE' then
    perform private.record_access('role_removed', p_role_name => old.name);
  elsif new is distinct from old then
    perform private.record_access('role_changed', p_role_name => new.name,
      p_details => jsonb_build_object('before', to_jsonb(old), 'after', to_jsonb(new)));
  end if;
  return null;
end;
$$;
comment on function private.record_role() is 'Row trigger on roles: records new, changed and removed roles.';

create trigger t90_record after insert or update or delete on public.user_roles
  for each row execute function private.record_role_grant();
create trigger t90_record after insert or update or delete on public.user_permissions
  for each row execute function private.record_user_permission();
create trigger t90_record after insert or update or delete on public.role_permissions
  for each row execute function private.record_role_permission();
create trigger t90_record after insert or update or delete on public.roles
  for each row execute function private.record_role();

create trigger t10_only_added_to before update or delete or truncate on public.access_changes
  for each statement execute function private.refuse_statement('access_changes is only ever added to');

-- sql/10_people/rules/60_masks.sql

-- What people see of each other's contact data without read:contact.

create function private.mask_email(p_email text) returns text
language sql immutable set search_path = ''
return case
    when p_email is null then null
    when p_email !~ '^[^@]+@[^@.]+.*\.[^.@]+$' then '***'
    else left(p_email, 1) || '***@' || left(split_part(p_email, '@', 2), 1) || '***.' || substring(p_email from '[^.@]+$')
  end;
comment on function private.mask_email(text) is 'An address without what identifies it: anna@demo.com becomes a***@d***.com.';

-- Short numbers would show most of themselves, so they show less.
create function private.mask_phone(p_phone text) returns text
language sql immutable set search_path = ''
return case
    when p_phone is null then null
    when length(p_phone) >= 11 then left(p_phone, 3) || '******' || right(p_phone, 3)
    else left(p_phone, 2) || '******'
  end;
comment on function private.mask_phone(text) is 'A number without what identifies it: +919876543210 becomes +91******210.';

-- sql/10_people/rules/70_personal_data.sql

-- The registry of personal data: wrong rows are refused when a module registers them, not when a person asks.

create function private.check_personal_data() returns trigger
language plpgsql set search_path = ''
as $$
declare
  v_columns text[];
  v_unknown text;
begin
  select array_agg(a.attname::text) into v_columns
  from pg_catalog.pg_attribute a
  where a.attrelid = to_regclass(new.table_name) and a.attnum > 0 and not a.attisdropped;
  if v_columns is null then
    perform private.fail('invalid_input', format('There is no table %s', new.table_name), 'table_name');
  end if;
  select c into v_unknown
  from unnest(new.export_columns || new.person_column || array(select jsonb_object_keys(new.placeholders))) c
  where c <> all (v_columns)
  limit 1;
  if found then
    perform private.fail('invalid_input', format('%s has no column %s', new.table_name, v_unknown), 'export_columns');
  end if;
  return new;
end;
$$;
comment on function private.check_personal_data() is 'Row trigger: what is registered as personal data exists.';

create trigger t10_check before insert or update on private.personal_data
  for each row execute function private.check_personal_data();

create function private.person_condition(p_entry private.personal_data, p_profile_id uuid, p_user_id uuid) returns text
language sql stable set search_path = ''
return (
  select format('%I = %L::%s', p_entry.person_column,
    case p_entry.person_key when 'profile_id' then p_profile_id else p_user_id end,
    pg_catalog.format_type(a.atttypid, null))
  from pg_catalog.pg_attribute a
  where a.attrelid = to_regclass(p_entry.table_name) and a.attname = p_entry.person_column
);
comment on function private.person_condition(private.personal_data, uuid, uuid) is
  'The SQL condition that picks one person''s rows of a registered table; true for none when the person has no such key.';

-- sql/10_people/views.sql

-- Everyone's names, with contact data for those who need it.
--
-- user_profiles shows most callers only their own row, so the directory needs the owner's rights to list the others.
-- They stay in private, in a view that can hand out nothing but masked columns; what the API exposes runs with the
-- caller's rights, like every view in public. A view rather than a function, and no security barrier, so that filters
-- and limits use the indexes; there is nothing to hide from a filter, which sees the masked columns like everyone else.
create view private.directory as
select
  p.id,
  p.full_name,
  case when (select private.has_permission('read:contact')) or p.user_id = (select private.caller_id()) then p.email else private.mask_email(p.email) end as email,
  case when (select private.has_permission('read:contact')) or p.user_id = (select private.caller_id()) then p.phone else private.mask_phone(p.phone) end as phone,
  p.time_zone,
  p.is_active
from public.user_profiles p
where p.erased_at is null;
comment on view private.directory is 'Everyone who was not erased, contact data masked for those who may not read it; read through public.people_directory.';

create view public.people_directory with (security_invoker = true) as
select d.id, d.full_name, d.email, d.phone, d.time_zone, d.is_active
from private.directory d;
comment on view public.people_directory is
  'Everyone''s name for anyone signed in. Emails and phones are masked (a***@d***.com, +91******210) unless the row is the caller''s own or the caller holds read:contact.';
comment on column public.people_directory.email is 'In full for oneself and for holders of read:contact, masked for others.';
comment on column public.people_directory.phone is 'In full for oneself and for holders of read:contact, masked for others.';
comment on column public.people_directory.is_active is 'False for somebody who left.';

-- sql/10_people/rpc/current_access.sql

-- Takes no argument, so that it can tell nobody about anybody else.
create function private.current_access() returns table (user_id uuid, profile_id uuid, roles text[], permissions text[])
language sql stable security definer set search_path = ''
begin atomic
  select
    private.caller_id(),
    private.current_profile_id(),
    array(select r.name from public.roles r where private.has_role(r.name) order by r.name),
    array(select p.name from public.permissions p where private.has_permission(p.name) order by p.name)
  where private.caller_id() is not null;
end;
comment on function private.current_access() is 'What public.current_access shows.';

create function public.current_access() returns table (user_id uuid, profile_id uuid, roles text[], permissions text[])
language sql stable set search_path = ''
begin atomic
  select a.user_id, a.profile_id, a.roles, a.permissions from private.current_access() a;
end;
comment on function public.current_access() is
  'Who is calling and what they may do: one row for anyone signed in (login, person, roles, permissions, sorted), none for anyone else. For menus; the rules ask the database again.';

-- sql/10_people/rpc/custom_access_token_hook.sql

create function private.roles_for_token(p_user_id text) returns jsonb
language sql stable security definer set search_path = ''
begin atomic
  select coalesce(jsonb_agg(r.role_name order by r.role_name), '[]')
  from public.user_roles r
  where r.user_id = (case when p_user_id ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then p_user_id::uuid end)
    and not private.is_deactivated(r.user_id);
end;
comment on function private.roles_for_token(text) is 'The names of the roles a login holds; none when deactivated or unknown.';

-- Supabase Auth calls this with its own role; its argument has to be called event.
create function public.custom_access_token_hook(event jsonb) returns jsonb
language sql stable set search_path = ''
return case
    when jsonb_typeof(event -> 'claims') = 'object' then jsonb_set(
      event,
      '{claims,app_metadata}',
      case when jsonb_typeof(event #> '{claims,app_metadata}') = 'object' then event #> '{claims,app_metadata}' else '{}' end
        || jsonb_build_object('roles', private.roles_for_token(event ->> 'user_id'))
    )
    else event
  end;
comment on function public.custom_access_token_hook(jsonb) is
  'Custom access token hook for Supabase Auth: puts the roles granted here into app_metadata.roles of every token. Executable by supabase_auth_admin only.';

-- sql/10_people/rpc/erase_person.sql

create function private.erase_person(p_profile_id uuid, p_reason text, p_idempotency_key text)
returns table (table_name text, action text, row_count bigint, kept_because text)
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('profile_id', p_profile_id, 'reason', p_reason);
  v_answer jsonb;
  v_profile public.user_profiles;
  v_entry private.personal_data;
  v_count bigint;
begin
  perform private.require_permission('manage:users');
  v_answer := private.answered_before('erase_person', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_profile_id is null, 'p_profile_id', 'Say whom')
      || private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why')
      || private.check_reason(p_reason)
    );
    select p.* into v_profile from public.user_profiles p where p.id = p_profile_id for update;
    if not found then
      perform private.fail('not_found', 'There is no such person', 'p_profile_id', jsonb_build_object('profile_id', p_profile_id));
    end if;
    if v_profile.erased_at is not null then
      perform private.fail('illegal_transition', 'This person was erased before', 'p_profile_id',
        jsonb_build_object('profile_id', p_profile_id, 'erased_at', v_profile.erased_at));
    end if;
    v_answer := '[]';
    -- Later modules first, since their rows refer to earlier ones; then the login, which would take its rows along
    -- uncounted; the person's own row last of all.
    for v_entry in
      select d.* from private.personal_data d
      order by d.module desc, d.table_name = 'public.user_profiles', d.table_name = 'auth.users', d.table_name, d.person_column
    loop
      execute format(
        case v_entry.erase_action
          when 'keep' then 'select %1$s from %2$s where %3$s'
          when 'delete' then 'delete from %2$s where %3$s'
          else 'update %2$s set %1$s where %3$s'
        end,
        case v_entry.erase_action
          when 'overwrite' then (
            select string_agg(format('%I = %L', e.key, e.value), ', ') from jsonb_each_text(v_entry.placeholders) e
          )
          else ''
        end,
        to_regclass(v_entry.table_name),
        private.person_condition(v_entry, v_profile.id, v_profile.user_id)
      );
      get diagnostics v_count = row_count;
      v_answer := v_answer || jsonb_build_object('table_name', v_entry.table_name, 'action', v_entry.erase_action,
        'row_count', v_count, 'kept_because', v_entry.kept_because);
    end loop;
    update public.user_profiles p set erased_at = private.now() where p.id = p_profile_id;
    perform private.record_access('person_erased', v_profile.user_id, v_profile.id, p_reason => private.clean_text(p_reason),
      p_details => jsonb_build_object('tables', v_answer));
    perform private.remember_answer('erase_person', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select e.table_name, e.action, e.row_count, e.kept_because
    from jsonb_to_recordset(v_answer) as e (table_name text, action text, row_count bigint, kept_because text);
end;
$$;
comment on function private.erase_person(uuid, text, text) is 'What public.erase_person does, with the rights to do it.';

create function public.erase_person(p_profile_id uuid, p_reason text, p_idempotency_key text default null)
returns table (table_name text, action text, row_count bigint, kept_because text)
language sql volatile set search_path = ''
begin atomic
  select e.table_name, e.action, e.row_count, e.kept_because
  from private.erase_person(p_profile_id, p_reason, p_idempotency_key) e;
end;
comment on function public.erase_person(uuid, text, text) is
  'Removes a person''s identity for good: the login is deleted, names and contact data are overwritten or deleted in every module, rows the books need stay without them. Needs manage:users and a reason; recorded. Returns what was done, one row a registered table. Raises forbidden, not_found, illegal_transition, invalid_input.';

-- sql/10_people/rpc/export_person.sql

create function private.export_person(p_profile_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_profile public.user_profiles;
  v_entry private.personal_data;
  v_rows jsonb;
  v_tables jsonb := '{}';
begin
  if p_profile_id is distinct from private.current_profile_id() then
    perform private.require_permission('manage:users');
  end if;
  select p.* into v_profile from public.user_profiles p where p.id = p_profile_id;
  if not found then
    perform private.fail('not_found', 'There is no such person', 'p_profile_id', jsonb_build_object('profile_id', p_profile_id));
  end if;
  for v_entry in select d.* from private.personal_data d order by d.module, d.table_name, d.person_column loop
    execute format(
      'select coalesce(jsonb_agg(to_jsonb(r)), %L) from (select %s from %s where %s) r',
      '[]',
      (select string_agg(format('%I', c), ', ') from unnest(v_entry.export_columns) c),
      to_regclass(v_entry.table_name),
      private.person_condition(v_entry, v_profile.id, v_profile.user_id)
    ) into v_rows;
    v_tables := v_tables || jsonb_build_object(v_entry.table_name, coalesce(v_tables -> v_entry.table_name, '[]') || v_rows);
  end loop;
  perform private.record_access('person_exported', v_profile.user_id, v_profile.id);
  return jsonb_build_object(
    'profile_id', v_profile.id, 'user_id', v_profile.user_id, 'exported_at', private.now(), 'tables', v_tables
  );
end;
$$;
comment on function private.export_person(uuid) is 'What public.export_person does, with the rights to do it.';

create function public.export_person(p_profile_id uuid) returns jsonb
language sql volatile set search_path = ''
return private.export_person(p_profile_id);
comment on function public.export_person(uuid) is
  'Everything kept about one person as one document, {profile_id, user_id, exported_at, tables: {table: [rows]}}, over all modules. For the person themselves and for holders of manage:users; recorded. Raises forbidden, not_found.';

-- sql/10_people/rpc/grant_permission.sql

create function private.grant_permission(
  p_user_id uuid, p_permission text, p_reason text, p_is_granted boolean, p_expires_at timestamptz, p_idempotency_key text
) returns public.user_permissions
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('user_id', p_user_id, 'permission', p_permission, 'reason', p_reason,
    'is_granted', p_is_granted, 'expires_at', extract(epoch from p_expires_at));
  v_answer jsonb;
  v_row public.user_permissions;
begin
  perform private.require_permission('manage:users');
  v_answer := private.answered_before('grant_permission', p_idempotency_key, v_request);
  if v_answer is not null then
    return jsonb_populate_record(null::public.user_permissions, v_answer);
  end if;
  perform private.fail_input(
    private.input_error(p_user_id is null, 'p_user_id', 'Say whom')
    || private.input_error(p_permission is null, 'p_permission', 'Say which permission')
    || private.input_error(p_is_granted is null, 'p_is_granted', 'Say whether to grant or to deny')
    || private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why')
    || private.check_reason(p_reason)
    || private.input_error(p_expires_at <= private.now(), 'p_expires_at', 'The end is in the past')
  );
  perform private.require_subject(p_user_id);
  if not exists (select from public.permissions p where p.name = p_permission) then
    perform private.fail('not_found', 'There is no such permission', 'p_permission', jsonb_build_object('permission', p_permission));
  end if;
  insert into public.user_permissions (user_id, permission, is_granted, reason, expires_at, granted_by, granted_at)
  values (p_user_id, p_permission, p_is_granted, private.clean_text(p_reason), p_expires_at, private.caller_id(), private.now())
  on conflict (user_id, permission) do update set
    is_granted = excluded.is_granted, reason = excluded.reason, expires_at = excluded.expires_at,
    granted_by = excluded.granted_by, granted_at = excluded.granted_at
  returning * into v_row;
  perform private.remember_answer('grant_permission', p_idempotency_key, v_request, to_jsonb(v_row));
  return v_row;
end;
$$;
comment on function private.grant_permission(uuid, text, text, boolean, timestamptz, text) is
  'What public.grant_permission does, with the rights to do it.';

create function public.grant_permission(
  p_user_id uuid,
  p_permission text,
  p_reason text,
  p_is_granted boolean default true,
  p_expires_at timestamptz default null,
  p_idempotency_key text default null
) returns public.user_permissions
language sql volatile set search_path = ''
return private.grant_permission(p_user_id, p_permission, p_reason, p_is_granted, p_expires_at, p_idempotency_key);
comment on function public.grant_permission(uuid, text, text, boolean, timestamptz, text) is
  'Grants one permission to one user, or denies it with p_is_granted = false, whatever their roles say, until p_expires_at (null: for good); replaces an earlier decision. Needs manage:users and a reason. Returns the decision. Raises forbidden, not_found, invalid_input.';

-- sql/10_people/rpc/grant_role.sql

create function private.check_reason(p_reason text) returns jsonb
language sql immutable set search_path = ''
return private.input_error(length(p_reason) > 500, 'p_reason', 'A reason has at most 500 characters');
comment on function private.check_reason(text) is 'The errors of an optional reason, for private.fail_input.';

-- Roles and logins are looked up first, so that a wrong name is told apart from a missing right.
create function private.require_subject(p_user_id uuid) returns void
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform private.require_permission('manage:users');
  if not exists (select from auth.users u where u.id = p_user_id) then
    perform private.fail('not_found', 'There is no such user', 'p_user_id', jsonb_build_object('user_id', p_user_id),
      'A user_id is the id of a login, not of a profile.');
  end if;
end;
$$;
comment on function private.require_subject(uuid) is 'Raises forbidden without manage:users, not_found when there is no such login.';

create function private.grant_role(p_user_id uuid, p_role_name text, p_reason text, p_idempotency_key text) returns public.user_roles
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('user_id', p_user_id, 'role_name', p_role_name, 'reason', p_reason);
  v_answer jsonb;
  v_grant public.user_roles;
begin
  perform private.require_permission('manage:users');
  v_answer := private.answered_before('grant_role', p_idempotency_key, v_request);
  if v_answer is not null then
    return jsonb_populate_record(null::public.user_roles, v_answer);
  end if;
  perform private.fail_input(
    private.input_error(p_user_id is null, 'p_user_id', 'Say whom')
    || private.input_error(p_role_name is null, 'p_role_name', 'Say which role')
    || private.check_reason(p_reason)
  );
  perform private.require_subject(p_user_id);
  if not exists (select from public.roles r where r.name = p_role_name) then
    perform private.fail('not_found', 'There is no such role', 'p_role_name', jsonb_build_object('role_name', p_role_name));
  end if;
  perform private.set_reason(p_reason);
  -- An update that changes nothing gives back the row that is there, also when a second call made it just now.
  insert into public.user_roles (user_id, role_name) values (p_user_id, p_role_name)
  on conflict (user_id, role_name) do update set role_name = excluded.role_name
  returning * into v_grant;
  perform private.set_reason(null);
  perform private.remember_answer('grant_role', p_idempotency_key, v_request, to_jsonb(v_grant));
  return v_grant;
end;
$$;
comment on function private.grant_role(uuid, text, text, text) is 'What public.grant_role does, with the rights to do it.';

create function public.grant_role(
  p_user_id uuid, p_role_name text, p_reason text default null, p_idempotency_key text default null
) returns public.user_roles
language sql volatile set search_path = ''
return private.grant_role(p_user_id, p_role_name, p_reason, p_idempotency_key);
comment on function public.grant_role(uuid, text, text, text) is
  'Gives a role to a user (p_user_id is the login''s id); a role they hold already is left as it is. Needs manage:users. Returns the grant. Raises forbidden, not_found, invalid_input.';

-- sql/10_people/rpc/link_profile.sql

-- Rows that would lose their person silently count as a use, like those whose foreign key forbids the removal; rows
-- that a foreign key removes along with the profile are part of it.
create function private.table_that_names_profile(p_profile_id uuid) returns text
language plpgsql stable set search_path = ''
as $$
declare
  v_reference record;
  v_found boolean;
begin
  for v_reference in
    select c.conrelid::regclass as table_name, a.attname as column_name, k.attname as key_name
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    join pg_catalog.pg_attribute k on k.attrelid = c.confrelid and k.attnum = c.confkey[1]
    where c.contype = 'f' and c.confrelid = 'public.user_profiles'::regclass and c.confdeltype in ('n', 'd')
  loop
    execute format('select exists (select from %s t join public.user_profiles p on p.%I = t.%I where p.id = $1)',
      v_reference.table_name, v_reference.key_name, v_reference.column_name)
      into v_found using p_profile_id;
    if v_found then
      return v_reference.table_name;
    end if;
  end loop;
  return null;
end;
$$;
comment on function private.table_that_names_profile(uuid) is
  'A table that would forget whom its rows are about if this profile were removed, or null.';

create function private.remove_unused_profile(p_profile_id uuid) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_table text := private.table_that_names_profile(p_profile_id);
begin
  if v_table is null then
    begin
      delete from public.user_profiles p where p.id = p_profile_id;
    exception when foreign_key_violation or restrict_violation then
      get stacked diagnostics v_table = table_name;
    end;
  end if;
  if v_table is not null then
    perform private.fail('duplicate', 'This user already has a profile that is in use', 'p_user_id',
      jsonb_build_object('profile_id', p_profile_id, 'used_by', v_table),
      'Move or remove what refers to that profile, then link again.');
  end if;
end;
$$;
comment on function private.remove_unused_profile(uuid) is 'Removes a profile nothing refers to; raises duplicate, naming the table, when something does.';

create function private.link_profile(p_profile_id uuid, p_user_id uuid, p_reason text, p_idempotency_key text) returns public.user_profiles
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('profile_id', p_profile_id, 'user_id', p_user_id, 'reason', p_reason);
  v_login jsonb;
  v_profile public.user_profiles;
  v_signed_up public.user_profiles;
  v_from_login public.user_profiles;
begin
  perform private.require_permission('manage:users');
  -- Only the id is remembered: a kept answer must not outlive the person's data.
  if private.answered_before('link_profile', p_idempotency_key, v_request) is not null then
    select p.* into v_profile from public.user_profiles p where p.id = p_profile_id;
    return v_profile;
  end if;
  perform private.fail_input(
    private.input_error(p_profile_id is null, 'p_profile_id', 'Say which person')
    || private.input_error(p_user_id is null, 'p_user_id', 'Say which login')
    || private.check_reason(p_reason)
  );
  perform private.require_subject(p_user_id);
  -- Both rows at once and in one order, so that two calls about the same people queue.
  perform from public.user_profiles p where p.id = p_profile_id or p.user_id = p_user_id order by p.id for update;
  select p.* into v_profile from public.user_profiles p where p.id = p_profile_id;
  if not found then
    perform private.fail('not_found', 'There is no such person', 'p_profile_id', jsonb_build_object('profile_id', p_profile_id));
  end if;
  if v_profile.user_id is distinct from p_user_id then
    if v_profile.user_id is not null then
      perform private.fail('duplicate', 'This person already has a login', 'p_profile_id',
        jsonb_build_object('profile_id', p_profile_id, 'user_id', v_profile.user_id));
    end if;
    if v_profile.erased_at is not null then
      perform private.fail('illegal_transition', 'This person was erased', 'p_profile_id', jsonb_build_object('profile_id', p_profile_id));
    end if;
    select p.* into v_signed_up from public.user_profiles p where p.user_id = p_user_id;
    if found then
      perform private.remove_unused_profile(v_signed_up.id);
    end if;
    select to_jsonb(u) into v_login from auth.users u where u.id = p_user_id;
    v_from_login := private.profile_of_login(v_login);
    update public.user_profiles p set
      user_id = p_user_id,
      email = coalesce(v_from_login.email, p.email),
      phone = coalesce(p.phone, v_signed_up.phone, v_from_login.phone),
      time_zone = coalesce(p.time_zone, v_signed_up.time_zone, v_from_login.time_zone)
    where p.id = p_profile_id
    returning p.* into v_profile;
    perform private.record_access('profile_linked', p_user_id, p_profile_id, p_reason => private.clean_text(p_reason),
      p_details => jsonb_build_object('replaced_profile_id', v_signed_up.id));
  end if;
  perform private.remember_answer('link_profile', p_idempotency_key, v_request, jsonb_build_object('id', p_profile_id));
  return v_profile;
end;
$$;
comment on function private.link_profile(uuid, uuid, text, text) is 'What public.link_profile does, with the rights to do it.';

create function public.link_profile(
  p_profile_id uuid, p_user_id uuid, p_reason text default null, p_idempotency_key text default null
) returns public.user_profiles
language sql volatile set search_path = ''
return private.link_profile(p_profile_id, p_user_id, p_reason, p_idempotency_key);
comment on function public.link_profile(uuid, uuid, text, text) is
  'Gives a person who was there before (an imported instructor) their login: the profile keeps its id, hence its timetable; the profile made at sign-up goes if nothing refers to it. Needs manage:users. Returns the profile. Raises forbidden, not_found, duplicate (naming the table that refers to it), illegal_transition, invalid_input.';

-- sql/10_people/rpc/permissions.sql

-- A computed column: /user_roles?select=*,permissions over REST.
create function public.permissions(public.user_roles) returns text[]
language sql stable set search_path = ''
begin atomic
  select array(
    select g.permission from public.role_permissions g where g.role_name = ($1).role_name and g.is_granted order by g.permission
  );
end;
comment on function public.permissions(public.user_roles) is 'Computed column of user_roles: the permissions this role gives, sorted.';

-- sql/10_people/rpc/revoke_permission.sql

create function private.revoke_permission(p_user_id uuid, p_permission text, p_reason text, p_idempotency_key text)
returns public.user_permissions
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('user_id', p_user_id, 'permission', p_permission, 'reason', p_reason);
  v_answer jsonb;
  v_row public.user_permissions;
begin
  perform private.require_permission('manage:users');
  v_answer := private.answered_before('revoke_permission', p_idempotency_key, v_request);
  if v_answer is not null then
    return jsonb_populate_record(null::public.user_permissions, v_answer);
  end if;
  perform private.fail_input(
    private.input_error(p_user_id is null, 'p_user_id', 'Say whom')
    || private.input_error(p_permission is null, 'p_permission', 'Say which permission')
    || private.check_reason(p_reason)
  );
  perform private.set_reason(p_reason);
  delete from public.user_permissions u where u.user_id = p_user_id and u.permission = p_permission returning u.* into v_row;
  if not found then
    perform private.fail('not_found', 'Nothing was decided about this permission for this user alone', 'p_permission',
      jsonb_build_object('user_id', p_user_id, 'permission', p_permission),
      'A permission that comes from a role ends with the role, or is denied with grant_permission(…, p_is_granted => false).');
  end if;
  perform private.set_reason(null);
  perform private.remember_answer('revoke_permission', p_idempotency_key, v_request, to_jsonb(v_row));
  return v_row;
end;
$$;
comment on function private.revoke_permission(uuid, text, text, text) is 'What public.revoke_permission does, with the rights to do it.';

create function public.revoke_permission(
  p_user_id uuid, p_permission text, p_reason text default null, p_idempotency_key text default null
) returns public.user_permissions
language sql volatile set search_path = ''
return private.revoke_permission(p_user_id, p_permission, p_reason, p_idempotency_key);
comment on function public.revoke_permission(uuid, text, text, text) is
  'Takes back what grant_permission decided for one user, a grant or a denial; their roles decide again. Needs manage:users. Returns what ended. Raises forbidden, not_found, invalid_input.';

-- sql/10_people/rpc/revoke_role.sql

create function private.revoke_role(p_user_id uuid, p_role_name text, p_reason text, p_idempotency_key text) returns public.user_roles
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('user_id', p_user_id, 'role_name', p_role_name, 'reason', p_reason);
  v_answer jsonb;
  v_grant public.user_roles;
begin
  perform private.require_permission('manage:users');
  v_answer := private.answered_before('revoke_role', p_idempotency_key, v_request);
  if v_answer is not null then
    return jsonb_populate_record(null::public.user_roles, v_answer);
  end if;
  perform private.fail_input(
    private.input_error(p_user_id is null, 'p_user_id', 'Say whom')
    || private.input_error(p_role_name is null, 'p_role_name', 'Say which role')
    || private.check_reason(p_reason)
  );
  perform private.set_reason(p_reason);
  delete from public.user_roles r where r.user_id = p_user_id and r.role_name = p_role_name returning r.* into v_grant;
  if not found then
    perform private.fail('not_found', 'This user does not hold this role', 'p_role_name',
      jsonb_build_object('user_id', p_user_id, 'role_name', p_role_name));
  end if;
  perform private.set_reason(null);
  perform private.remember_answer('revoke_role', p_idempotency_key, v_request, to_jsonb(v_grant));
  return v_grant;
end;
$$;
comment on function private.revoke_role(uuid, text, text, text) is 'What public.revoke_role does, with the rights to do it.';

create function public.revoke_role(
  p_user_id uuid, p_role_name text, p_reason text default null, p_idempotency_key text default null
) returns public.user_roles
language sql volatile set search_path = ''
return private.revoke_role(p_user_id, p_role_name, p_reason, p_idempotency_key);
comment on function public.revoke_role(uuid, text, text, text) is
  'Takes a role from a user (p_user_id is the login''s id); the last admin stays. Needs manage:users. Returns the grant that ended. Raises forbidden, not_found, invalid_input.';

-- sql/10_people/rpc/update_my_profile.sql

create function public.update_my_profile(
  p_full_name text default null,
  p_phone text default null,
  p_time_zone text default null,
  p_version integer default null,
  p_idempotency_key text default null
) returns public.user_profiles
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('full_name', p_full_name, 'phone', p_phone, 'time_zone', p_time_zone, 'version', p_version);
  v_answer jsonb;
  v_profile public.user_profiles;
begin
  if private.caller_id() is null then
    perform private.fail('forbidden', 'Sign in first');
  end if;
  v_answer := private.answered_before('update_my_profile', p_idempotency_key, v_request);
  if v_answer is not null then
    return jsonb_populate_record(null::public.user_profiles, v_answer);
  end if;
  update public.user_profiles p set
    full_name = coalesce(p_full_name, p.full_name),
    phone = coalesce(p_phone, p.phone),
    time_zone = coalesce(p_time_zone, p.time_zone),
    version = coalesce(p_version, p.version)
  where p.user_id = private.caller_id()
  returning p.* into v_profile;
  if not found then
    perform private.fail('not_found', 'You have no profile');
  end if;
  perform private.remember_answer('update_my_profile', p_idempotency_key, v_request, to_jsonb(v_profile));
  return v_profile;
end;
$$;
comment on function public.update_my_profile(text, text, text, integer, text) is
  'Changes the caller''s own name, phone (E.164) and time zone (IANA). Null leaves a field as it is, empty text empties it; p_version, when given, must be the row''s. Returns the profile. Raises forbidden, invalid_input, stale_version.';

-- sql/10_people/policies.sql

-- Roles and permissions are given and taken by functions; here is what may be read, and the little that may be written.

alter table public.user_profiles enable row level security;
alter table public.roles enable row level security;
alter table public.role_permissions enable row level security;
alter table public.user_roles enable row level security;
alter table public.user_permissions enable row level security;
alter table public.access_changes enable row level security;

-- People: one's own row, and everyone's with read:contact. Others read people_directory. Which columns of one's own
-- row may change is for a trigger to say, since a grant cannot tell whose row it is.
grant select, insert (full_name, email, phone, time_zone),
  update (full_name, email, phone, time_zone, is_active, version) on public.user_profiles to authenticated;
grant select, insert, update, delete on public.user_profiles to service_role;
create policy "people see themselves, contact readers see everyone" on public.user_profiles for select to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('read:contact')));
create policy "user managers add people" on public.user_profiles for insert to authenticated
  with check ((select private.has_permission('manage:users')));
create policy "people change themselves, user managers change everyone" on public.user_profiles for update to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('manage:users')))
  with check (user_id = (select private.caller_id()) or (select private.has_permission('manage:users')));
-- No delete for authenticated: people are deactivated, or erased with erase_person.

grant select on private.directory, public.people_directory to authenticated, service_role;

-- What the roles mean is no secret to those who hold one.
grant select, insert (name, description), update (description), delete on public.roles to authenticated;
grant select, insert, update, delete on public.roles to service_role;
create policy "everyone sees the roles" on public.roles for select to authenticated using (true);
create policy "user managers add roles" on public.roles for insert to authenticated
  with check ((select private.has_permission('manage:users')));
create policy "user managers describe roles" on public.roles for update to authenticated
  using ((select private.has_permission('manage:users'))) with check ((select private.has_permission('manage:users')));
create policy "user managers remove roles" on public.roles for delete to authenticated
  using ((select private.has_permission('manage:users')));

grant select, insert, update (is_granted), delete on public.role_permissions to authenticated;
grant select, insert, update, delete on public.role_permissions to service_role;
create policy "everyone sees what roles may do" on public.role_permissions for select to authenticated using (true);
create policy "user managers give roles permissions" on public.role_permissions for insert to authenticated
  with check ((select private.has_permission('manage:users')));
create policy "user managers switch permissions of roles" on public.role_permissions for update to authenticated
  using ((select private.has_permission('manage:users'))) with check ((select private.has_permission('manage:users')));
create policy "user managers take permissions from roles" on public.role_permissions for delete to authenticated
  using ((select private.has_permission('manage:users')));

-- Who holds what: no writing for authenticated, because grant_role and its sisters ask for the reason.
grant select on public.user_roles, public.user_permissions to authenticated;
grant select, insert, delete on public.user_roles, public.user_permissions to service_role;
create policy "people see their roles, user managers see all" on public.user_roles for select to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('manage:users')));
create policy "people see their permissions, user managers see all" on public.user_permissions for select to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('manage:users')));

-- Written by triggers and functions only.
grant select on public.access_changes to authenticated, service_role;
create policy "user managers see what changed" on public.access_changes for select to authenticated
  using ((select private.has_permission('manage:users')));

-- What 00_platform keeps, now that it is known who may see it.
create policy "settings managers see the settings, everyone the public ones" on public.settings for select to authenticated
  using (is_public or (select private.has_permission('manage:settings')));
create policy "settings managers change the settings" on public.settings for update to authenticated
  using ((select private.has_permission('manage:settings'))) with check ((select private.has_permission('manage:settings')));
create policy "diagnosticians see the permissions" on public.permissions for select to authenticated
  using ((select private.has_permission('read:diagnostics')));
create policy "diagnosticians see the checks" on public.integrity_checks for select to authenticated
  using ((select private.has_permission('read:diagnostics')));
create policy "diagnosticians see the jobs" on public.scheduled_jobs for select to authenticated
  using ((select private.has_permission('read:diagnostics')));

grant execute on function private.has_permission(text), private.has_role(text), private.require_permission(text),
  private.current_profile_id(), private.is_direct_write(), private.current_access(), public.current_access()
  to anon, authenticated, service_role;

grant execute on function private.mask_email(text), private.mask_phone(text), private.clean_name(text),
  public.permissions(public.user_roles)
  to authenticated, service_role;

-- Each checks the permission first, in the private function.
grant execute on function
  public.grant_role(uuid, text, text, text), private.grant_role(uuid, text, text, text),
  public.revoke_role(uuid, text, text, text), private.revoke_role(uuid, text, text, text),
  public.grant_permission(uuid, text, text, boolean, timestamptz, text), private.grant_permission(uuid, text, text, boolean, timestamptz, text),
  public.revoke_permission(uuid, text, text, text), private.revoke_permission(uuid, text, text, text),
  public.link_profile(uuid, uuid, text, text), private.link_profile(uuid, uuid, text, text),
  public.export_person(uuid), private.export_person(uuid),
  public.erase_person(uuid, text, text), private.erase_person(uuid, text, text)
  to authenticated, service_role;

-- For people only: a server has no profile of its own.
grant execute on function public.update_my_profile(text, text, text, integer, text) to authenticated;

-- public.custom_access_token_hook and private.roles_for_token: for Supabase Auth alone, see reference.sql.

-- sql/10_people/checks/definers_without_search_path.sql

create function private.check_definers_without_search_path() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_proc', f.oid::regprocedure::text, format('%s runs with its owner''s rights and does not fix its search_path', f.oid::regprocedure),
    jsonb_build_object('mend', format('alter function %s set search_path = %L', f.oid::regprocedure, ''))
  from pg_catalog.pg_proc f
  where f.prosecdef and f.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    and not exists (select from unnest(f.proconfig) c where c like 'search_path=%')
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
    );
end;
comment on function private.check_definers_without_search_path() is 'Security definer functions whose search_path the caller chooses.';

-- sql/10_people/checks/roles_of_missing_users.sql

create function private.check_roles_of_missing_users() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select g.entity, g.user_id::text || '/' || g.what,
    format('%s of a user who no longer exists: %s', g.kind, g.what),
    jsonb_build_object('user_id', g.user_id, lower(g.kind), g.what)
  from (
    select 'public.user_roles' as entity, 'Role' as kind, r.user_id, r.role_name as what from public.user_roles r
    union all
    select 'public.user_permissions', 'Permission', p.user_id, p.permission from public.user_permissions p
  ) g
  where not exists (select from auth.users u where u.id = g.user_id);
end;
comment on function private.check_roles_of_missing_users() is 'Roles and permissions whose login is gone.';

-- sql/10_people/checks/tables_without_row_security.sql

create function private.check_tables_without_row_security() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_class', format('public.%I', t.relname), format('Row level security is off on public.%I', t.relname),
    jsonb_build_object('mend', format('alter table public.%I enable row level security', t.relname))
  from pg_catalog.pg_class t
  where t.relkind in ('r', 'p') and t.relnamespace = 'public'::regnamespace and not t.relrowsecurity
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = t.oid and d.deptype = 'e'
    );
end;
comment on function private.check_tables_without_row_security() is 'Tables the API exposes without row level security.';

-- sql/10_people/checks/unregistered_personal_data.sql

-- Whatever refers to a person or a login is about somebody.
create function private.check_unregistered_personal_data() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_class', r.name, format('%s refers to people, but export_person and erase_person do not know it', r.name),
    jsonb_build_object('columns', r.columns)
  from (
    select format('%I.%I', n.nspname, t.relname) as name, t.oid, array_agg(distinct a.attname::text order by a.attname::text) as columns
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_class t on t.oid = c.conrelid
    join pg_catalog.pg_namespace n on n.oid = t.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = any (c.conkey)
    where c.contype = 'f' and c.confrelid in ('auth.users'::regclass, 'public.user_profiles'::regclass)
      and n.nspname in ('public', 'private') and not t.relispartition
    group by n.nspname, t.relname, t.oid
  ) r
  where not exists (select from private.personal_data d where to_regclass(d.table_name) = r.oid);
end;
comment on function private.check_unregistered_personal_data() is
  'Tables that refer to people or logins and are missing in the registry of personal data.';

-- sql/10_people/checks/unused_permissions.sql

-- A module counts as installed when it brings checks. A permission is used when its name stands, in quotes, in a
-- policy, a view or a function of ours.
create function private.check_unused_permissions() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  with code as (
    select string_agg(c.body, ' ') as body
    from (
      select concat_ws(' ', pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) as body
      from pg_catalog.pg_policy p
      union all
      select pg_catalog.pg_get_viewdef(v.oid)
      from pg_catalog.pg_class v
      where v.relkind = 'v' and v.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
      union all
      select pg_catalog.pg_get_functiondef(f.oid)
      from pg_catalog.pg_proc f
      where f.prokind in ('f', 'p') and f.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    ) c
  )
  select 'public.permissions', p.name, format('Nothing asks for the permission %s', p.name), jsonb_build_object('module', p.module)
  from public.permissions p
  cross join code
  where exists (select from public.integrity_checks i where i.module = p.module)
    and strpos(code.body, quote_literal(p.name)) = 0;
end;
comment on function private.check_unused_permissions() is 'Permissions of installed modules that no policy, view or function names.';

-- sql/10_people/reference.sql

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

-- sql/20_time/tables.sql

-- 20_time: the time ledger. No one is ever in two places.
--
-- `resources` is everything that cannot be in two places: a person, a place, a piece of equipment. `claims` says
-- when each of them is taken, and one exclusion constraint on it carries the promise: two claims of one resource may
-- not overlap unless they share a key. Everything else about time (what is free, what clashes, what happens this
-- month) is a query over this table.
--
-- Nobody writes claims. They are derived, in the same transaction, from the rows people do write: meetings, weekly
-- rules and the source tables of later modules. A happening is one row of a source table; its claims share a key of
-- their own (a weekly rule is a happening on each of its dates). Happenings that are meant to overlap (two cross-listed sections in one room) form an override group and
-- share the group's key, so that a stranger is still refused.
--
-- The life of a use of time: a happening is written; its claims are inserted or the write is refused with what
-- stands in the way; the happening moves, and its claims move; it is cancelled, and its time is free again.
-- A weekly rule never ends by itself, so it is claimed only up to a horizon that is kept per resource and moves on
-- day by day. Nothing at all can be claimed beyond a resource's horizon, so nothing can get in a rule's way there.
--
-- Wall-clock date, time and IANA zone are the truth; instants are derived from them (private.local_to_instant).
-- All ranges are half-open and finite: back to back is free.
--
-- Lock order, for whoever changes something here: overrides, then exceptions by rule and date, then source rows by table
-- and id, then resources by id, then claims by resource and start. Whoever makes a single claim locks no resource: the
-- constraint decides.

create table public.locations (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  address text,
  capacity integer,
  time_zone text,
  is_active boolean not null default true,
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  constraint address_is_short check (length(address) <= 1000),
  constraint capacity_is_not_negative check (capacity >= 0),
  constraint time_zone_exists check (private.is_time_zone(time_zone))
);
create unique index locations_one_name on public.locations (lower(name));
comment on table public.locations is 'Places where things happen, for every module. Each is a resource with the same id.';
comment on column public.locations.capacity is 'How many people fit in; null when nobody counted.';
comment on column public.locations.time_zone is 'The IANA zone of its clock; null is the organisation''s.';

create table public.resources (
  id uuid primary key default gen_random_uuid(),
  kind text not null,
  name text not null,
  profile_id uuid unique references public.user_profiles (id) on delete restrict,
  location_id uuid unique references public.locations (id) on delete cascade,
  is_active boolean not null default true,
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint kind_is_known check (kind in ('person', 'place', 'equipment')),
  constraint person_has_a_profile check ((kind = 'person') = (profile_id is not null)),
  constraint place_has_a_location check ((kind = 'place') = (location_id is not null)),
  constraint shares_the_id_of_what_it_stands_for check (id = coalesce(profile_id, location_id, id)),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200)
);
create index resources_kind_name on public.resources (kind, name);
comment on table public.resources is 'Everything that cannot be in two places at once: people who teach or work, places, equipment.';
comment on column public.resources.id is 'The id of the profile or location it stands for; equipment has its own.';
comment on column public.resources.kind is 'person, place or equipment.';
comment on column public.resources.name is 'What it is called; follows the profile or location.';

create table public.resource_horizons (
  resource_id uuid primary key references public.resources (id) on delete cascade,
  claimed_until timestamptz not null,
  constraint claimed_until_is_finite check (isfinite(claimed_until))
);
comment on table public.resource_horizons is
  'Until when each resource''s weekly rules are claimed. Nothing can be claimed beyond; moving it on claims what the rules promise.';

create table public.claims (
  resource_id uuid not null references public.resources (id) on delete restrict,
  during tstzrange not null,
  share_key uuid not null,
  source_table text not null,
  source_id uuid not null,
  occurs_on date not null,
  kind text not null,
  title text not null,
  primary key (resource_id, source_table, source_id, occurs_on),
  constraint nobody_is_in_two_places exclude using gist (resource_id with =, during with &&, share_key with <>),
  constraint during_is_half_open_and_finite check (
    not isempty(during) and lower_inc(during) and not upper_inc(during)
    and coalesce(isfinite(lower(during)) and isfinite(upper(during)), false)
  ),
  constraint during_is_at_most_31_days check (
    isfinite(lower(during)) and isfinite(upper(during)) and upper(during) - lower(during) <= interval '31 days'
  ),
  constraint during_is_between_1970_and_2200 check (
    lower(during) >= timestamptz '1969-12-31 00:00+00' and upper(during) <= timestamptz '2200-01-02 00:00+00'
  )
);
-- With the date, since a weekly rule has hundreds of claims and a calendar asks for one date's at a time.
create index claims_source on public.claims (source_id, source_table, occurs_on);
comment on table public.claims is
  'Who and what is taken when, derived from the source tables; the one constraint nobody_is_in_two_places carries the promise.';
comment on column public.claims.during is 'Half-open range of instants; dates of 1970 to 2199 where it is, hence a day more either side.';
comment on column public.claims.share_key is 'Claims with one key may overlap: those of one override group. Else each happening, and each date of a rule, has its own.';
comment on column public.claims.source_table is 'The table in public the happening is a row of.';
comment on column public.claims.source_id is 'The happening''s id there; for a recurring one, the weekly rule''s.';
comment on column public.claims.occurs_on is 'The local date the happening is listed under; a moved occurrence keeps the date it was moved from.';
comment on column public.claims.kind is 'What kind of happening it is, in the words of its module.';
comment on column public.claims.title is 'What the happening is called, so that a refusal can name it.';

create table public.overrides (
  id uuid primary key default gen_random_uuid(),
  reason text not null,
  granted_by uuid references auth.users (id) on delete set null,
  granted_at timestamptz not null default private.now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  constraint reason_is_given check (reason is not distinct from private.clean_text(reason) and length(reason) <= 1000)
);
create index overrides_granted_by on public.overrides (granted_by);
comment on table public.overrides is 'Groups of happenings that may overlap each other, each with who allowed it and why.';
comment on column public.overrides.expires_at is 'Happenings that start from then on may no longer overlap; null is never.';
comment on column public.overrides.revoked_at is 'When it was taken back; happenings that start from then on may no longer overlap.';

create table public.override_members (
  override_id uuid not null references public.overrides (id) on delete cascade,
  source_table text not null,
  source_id uuid not null,
  primary key (source_id, source_table)
);
create index override_members_override on public.override_members (override_id);
comment on table public.override_members is 'The happenings of each override group; a happening is in at most one.';
comment on column public.override_members.source_table is 'The table in public the happening is a row of, such as meetings or weekly_rules.';
comment on column public.override_members.source_id is 'The happening''s id there.';

create table public.weekly_rules (
  id uuid primary key default gen_random_uuid(),
  title text not null,
  kind text not null default 'weekly',
  weekday smallint not null,
  start_time time not null,
  end_time time not null,
  time_zone text not null,
  effective daterange not null,
  source_table text,
  source_id uuid,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint title_is_given check (title is not distinct from private.clean_text(title) and length(title) <= 500),
  constraint kind_is_snake_case check (kind ~ '^[a-z]+(_[a-z]+)*$'),
  constraint weekday_is_sunday_0_to_saturday_6 check (weekday between 0 and 6),
  constraint start_is_before_end check (start_time < end_time),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint effective_has_a_first_day check (
    not isempty(effective) and coalesce(isfinite(lower(effective)), false) and lower(effective) >= date '1970-01-01'
  ),
  constraint effective_ends_before_2200 check (upper_inf(effective) or upper(effective) <= date '2200-01-01'),
  constraint source_is_whole check ((source_table is null) = (source_id is null))
);
create index weekly_rules_source on public.weekly_rules (source_id, source_table);
create index weekly_rules_created_by on public.weekly_rules (created_by);
comment on table public.weekly_rules is
  'What happens every week at one wall-clock time in one zone; claimed date by date up to each resource''s horizon.';
comment on column public.weekly_rules.weekday is '0 Sunday to 6 Saturday.';
comment on column public.weekly_rules.end_time is 'On the same day; 24:00 is midnight.';
comment on column public.weekly_rules.effective is 'The dates it holds for, upper bound excluded; without an upper bound it goes on.';
comment on column public.weekly_rules.source_table is 'The table of a module this rule was made from, if it was.';

create table public.weekly_rule_resources (
  rule_id uuid not null references public.weekly_rules (id) on delete cascade,
  resource_id uuid not null references public.resources (id) on delete restrict,
  primary key (rule_id, resource_id)
);
create index weekly_rule_resources_resource on public.weekly_rule_resources (resource_id);
comment on table public.weekly_rule_resources is 'Who and what each weekly rule takes.';

create table public.weekly_rule_exceptions (
  rule_id uuid not null references public.weekly_rules (id) on delete cascade,
  occurs_on date not null,
  kind text not null,
  moved_to_date date,
  moved_start_time time,
  moved_end_time time,
  taken_by_table text,
  taken_by_id uuid,
  reason text,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  primary key (rule_id, occurs_on),
  constraint kind_is_known check (kind in ('cancelled', 'moved', 'taken_over')),
  constraint moved_says_where_to check (
    (kind = 'moved') = (moved_to_date is not null) and (kind = 'moved') = (moved_start_time is not null)
    and (kind = 'moved') = (moved_end_time is not null)
  ),
  constraint moved_start_is_before_end check (moved_start_time < moved_end_time),
  constraint taken_over_says_by_what check (
    (kind = 'taken_over') = (taken_by_id is not null) and (kind = 'taken_over') = (taken_by_table is not null)
  ),
  constraint reason_is_short check (length(reason) <= 1000)
);
create index weekly_rule_exceptions_taken_by on public.weekly_rule_exceptions (taken_by_id) where taken_by_id is not null;
create index weekly_rule_exceptions_created_by on public.weekly_rule_exceptions (created_by);
comment on table public.weekly_rule_exceptions is
  'Single dates of a weekly rule that are cancelled, moved, or taken over by a happening of their own.';
comment on column public.weekly_rule_exceptions.occurs_on is 'The date the rule would have had it.';
comment on column public.weekly_rule_exceptions.moved_to_date is 'The date it is held on instead, in the rule''s zone.';
comment on column public.weekly_rule_exceptions.taken_by_table is 'The table in public of the happening that stands in for this date.';

create table public.meetings (
  id uuid primary key default gen_random_uuid(),
  title text not null,
  kind text not null default 'meeting',
  date date not null,
  start_time time not null,
  end_time time not null,
  ends_on date,
  time_zone text,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  status text not null default 'scheduled',
  course text,
  section text,
  external_ref text,
  capacity integer,
  enrolled integer,
  rule_id uuid references public.weekly_rules (id) on delete set null,
  occurs_on date,
  notes text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint title_is_given check (title is not distinct from private.clean_text(title) and length(title) <= 500),
  constraint kind_is_snake_case check (kind ~ '^[a-z]+(_[a-z]+)*$'),
  constraint status_is_known check (status in ('scheduled', 'cancelled')),
  constraint start_is_before_end check (starts_at < ends_at),
  constraint lasts_at_most_31_days check (ends_at - starts_at <= interval '31 days'),
  constraint is_between_1970_and_2200 check (date >= date '1970-01-01' and coalesce(ends_on, date) < date '2200-01-01'),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint rule_says_which_date check (rule_id is null or occurs_on is not null),
  constraint capacity_is_not_negative check (capacity >= 0),
  constraint enrolled_is_not_negative check (enrolled >= 0),
  constraint texts_are_short check (
    length(course) <= 200 and length(section) <= 200 and length(external_ref) <= 200 and length(notes) <= 10000
  )
);
create index meetings_starts_at on public.meetings (starts_at);
create index meetings_external_ref on public.meetings (external_ref, date);
create index meetings_rule on public.meetings (rule_id) where rule_id is not null;
create index meetings_created_by on public.meetings (created_by);
comment on table public.meetings is
  'One-off happenings of any kind: timetabled classes from elsewhere, exams, staff meetings. Their participants are resources.';
comment on column public.meetings.date is 'The local date it starts on.';
comment on column public.meetings.ends_on is 'The local date it ends on, when that is not the date it starts on.';
comment on column public.meetings.time_zone is 'The IANA zone of date and times; left out, it becomes the organisation''s.';
comment on column public.meetings.starts_at is 'The instant it starts, worked out from date, start_time and time_zone.';
comment on column public.meetings.ends_at is 'The instant it ends, worked out from ends_on, end_time and time_zone.';
comment on column public.meetings.external_ref is 'Its identifier where it came from, such as a registrar''s course reference number.';
comment on column public.meetings.rule_id is 'The weekly rule of which it takes over one occurrence, if it does.';
comment on column public.meetings.occurs_on is 'The date of the occurrence it takes over.';

create table public.meeting_participants (
  meeting_id uuid not null references public.meetings (id) on delete cascade,
  resource_id uuid not null references public.resources (id) on delete restrict,
  primary key (meeting_id, resource_id)
);
create index meeting_participants_resource on public.meeting_participants (resource_id);
comment on table public.meeting_participants is 'Who and what each meeting takes: people, the place, equipment.';

-- Availability: when somebody or something can be asked for at all, as against when they are taken. Hours are stated
-- week by week; time off is requested, decided and perhaps cancelled; closures shut one place or everything. None of
-- it claims time: free_slots() asks all three, and the setting availability_policy says whether claims outside them
-- are refused, warned about or ignored. Who stated no hours is not thereby free all day: it is unknown.
--
-- The life of time off: requested, then approved or refused by somebody else; cancelled before or after. Approving it
-- needs a word about what the person already does then: as long as there is such a thing, either the approval is
-- refused, or it is kept and each use becomes a cover request, open until somebody covers it or it is dropped.

create table public.availability_rules (
  id uuid primary key default gen_random_uuid(),
  resource_id uuid not null references public.resources (id) on delete cascade,
  weekday smallint not null,
  start_time time not null,
  end_time time not null,
  time_zone text not null,
  effective daterange not null default daterange(private.today(), null),
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint weekday_is_sunday_0_to_saturday_6 check (weekday between 0 and 6),
  constraint start_is_before_end check (start_time < end_time),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint effective_has_a_first_day check (
    not isempty(effective) and coalesce(isfinite(lower(effective)), false) and lower(effective) >= date '1970-01-01'
  ),
  constraint effective_ends_before_2200 check (upper_inf(effective) or upper(effective) <= date '2200-01-01'),
  constraint hours_do_not_overlap exclude using gist (
    resource_id with =, weekday with =, effective with &&,
    tsrange(date '2000-01-01' + start_time, date '2000-01-01' + end_time) with &&
  )
);
comment on table public.availability_rules is
  'The hours in which a person works or a place is open, by weekday. Without any row for a date it is unknown.';
comment on column public.availability_rules.weekday is '0 Sunday to 6 Saturday.';
comment on column public.availability_rules.end_time is 'On the same day; 24:00 is midnight.';
comment on column public.availability_rules.time_zone is
  'The IANA zone of the times; left out, it becomes the person''s or place''s, or else the organisation''s.';
comment on column public.availability_rules.effective is
  'The dates it holds for, upper bound excluded; without an upper bound it goes on.';

create table public.time_off (
  id uuid primary key default gen_random_uuid(),
  resource_id uuid not null references public.resources (id) on delete cascade,
  starts_on date not null,
  ends_on date not null,
  start_time time,
  end_time time,
  time_zone text not null,
  during tstzrange not null,
  status text not null default 'requested',
  reason text,
  keeps_claims boolean not null default false,
  decided_by uuid references auth.users (id) on delete set null,
  decided_at timestamptz,
  note text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint first_day_is_not_after_last check (starts_on <= ends_on),
  constraint lasts_at_most_two_years check (ends_on - starts_on < 731),
  constraint is_between_1970_and_2200 check (starts_on >= date '1970-01-01' and ends_on < date '2200-01-01'),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint during_is_half_open_and_finite check (
    not isempty(during) and lower_inc(during) and not upper_inc(during)
    and coalesce(isfinite(lower(during)) and isfinite(upper(during)), false)
  ),
  constraint status_is_known check (status in ('requested', 'approved', 'refused', 'cancelled')),
  constraint decided_has_a_time check (
    case status when 'requested' then decided_at is null when 'cancelled' then true else decided_at is not null end
  ),
  constraint only_approving_keeps_claims check (not keeps_claims or status in ('approved', 'cancelled')),
  constraint texts_are_short check (length(reason) <= 1000 and length(note) <= 1000)
);
create index time_off_resource_during on public.time_off using gist (resource_id, during);
create index time_off_waiting on public.time_off (created_at) where status = 'requested';
create index time_off_decided_by on public.time_off (decided_by);
create index time_off_created_by on public.time_off (created_by);
comment on table public.time_off is 'When somebody is away: requested, decided, perhaps cancelled. Only approved time off counts.';
comment on column public.time_off.ends_on is 'The last day off.';
comment on column public.time_off.start_time is 'When it begins on the first day; null is with the day.';
comment on column public.time_off.end_time is 'When it ends on the last day; null is with the day.';
comment on column public.time_off.time_zone is
  'The IANA zone of the dates and times; left out, it becomes the person''s or place''s, or else the organisation''s.';
comment on column public.time_off.during is 'Half-open range of instants, worked out from dates, times and zone.';
comment on column public.time_off.status is 'requested, approved, refused or cancelled.';
comment on column public.time_off.reason is 'Why, in the words of whoever asked; seen by that person and by those who decide.';
comment on column public.time_off.keeps_claims is
  'True when it was approved although the person is needed then: every such use became a cover request.';
comment on column public.time_off.decided_by is 'The user who approved or refused it; null when a server did.';
comment on column public.time_off.note is 'What whoever decided had to say about it.';

create table public.cover_requests (
  id uuid primary key default gen_random_uuid(),
  time_off_id uuid not null references public.time_off (id) on delete cascade,
  resource_id uuid not null references public.resources (id) on delete cascade,
  source_table text not null,
  source_id uuid not null,
  occurs_on date not null,
  status text not null default 'open',
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint one_request_a_use unique (time_off_id, source_table, source_id, occurs_on),
  constraint status_is_known check (status in ('open', 'covered', 'dropped'))
);
create index cover_requests_resource on public.cover_requests (resource_id, source_id, occurs_on);
create index cover_requests_open on public.cover_requests (occurs_on) where status = 'open';
comment on table public.cover_requests is
  'What somebody was needed for when their time off was approved: open until another does it or it is dropped.';
comment on column public.cover_requests.resource_id is 'Who is away.';
comment on column public.cover_requests.source_table is 'The table in public the happening is a row of.';
comment on column public.cover_requests.source_id is 'The happening''s id there; for a recurring one, the weekly rule''s.';
comment on column public.cover_requests.occurs_on is 'The date of the happening, as its claim has it.';
comment on column public.cover_requests.status is
  'open; covered, once the one who is away is no longer claimed for it; dropped, when no cover is needed after all.';

create table public.closures (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  starts_on date not null,
  ends_on date not null,
  location_id uuid references public.locations (id) on delete cascade,
  during tstzrange not null,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  constraint first_day_is_not_after_last check (starts_on <= ends_on),
  constraint lasts_at_most_two_years check (ends_on - starts_on < 731),
  constraint is_between_1970_and_2200 check (starts_on >= date '1970-01-01' and ends_on < date '2200-01-01'),
  constraint during_is_half_open_and_finite check (
    not isempty(during) and lower_inc(during) and not upper_inc(during)
    and coalesce(isfinite(lower(during)) and isfinite(upper(during)), false)
  )
);
create index closures_during on public.closures using gist (during);
create index closures_location on public.closures (location_id);
create index closures_created_by on public.closures (created_by);
comment on table public.closures is 'Holidays and other days on which one place, or everything, is closed.';
comment on column public.closures.ends_on is 'The last day closed.';
comment on column public.closures.location_id is 'The place that is closed; null is everything.';
comment on column public.closures.during is
  'Half-open range of instants: whole days where the place is, or where the organisation is when it has no zone of its own.';

-- sql/20_time/rules/05_arguments.sql

-- Arguments that several functions of this module take.

create function private.check_span(
  p_from timestamptz, p_to timestamptz, p_longest interval, p_from_field text, p_to_field text,
  p_resource_ids uuid[] default array['00000000-0000-0000-0000-000000000000'::uuid]
) returns void
language plpgsql immutable set search_path = ''
as $$
begin
  -- The bounds first: before Postgres 17 infinite instants cannot be subtracted.
  if p_from < p_to and p_from >= timestamptz '1970-01-01 00:00+00' and p_to <= timestamptz '2200-01-01 00:00+00'
    and p_to - p_from <= p_longest and cardinality(p_resource_ids) between 1 and 1000 then
    return;
  end if;
  perform private.fail_input(
    private.input_error(coalesce(cardinality(p_resource_ids), 0) not between 1 and 1000, 'p_resource_ids', 'Name 1 to 1000 resources')
    || private.input_error(p_from is null, p_from_field, 'Say from when')
    || private.input_error(p_to is null, p_to_field, 'Say until when')
    || private.input_error(p_from < timestamptz '1970-01-01 00:00+00' or p_from > timestamptz '2200-01-01 00:00+00', p_from_field, 'A date lies between 1970 and 2199')
    || private.input_error(p_to < timestamptz '1970-01-01 00:00+00' or p_to > timestamptz '2200-01-01 00:00+00', p_to_field, 'A date lies between 1970 and 2199')
    || private.input_error(p_to <= p_from, p_to_field, 'The end must be after the start')
    || private.input_error(isfinite(p_from) and isfinite(p_to) and p_to - p_from > p_longest, p_to_field, format('At most %s at once', p_longest))
  );
end;
$$;
comment on function private.check_span(timestamptz, timestamptz, interval, text, text, uuid[]) is
  'Refuses a span of instants that makes no sense or is too long, naming every bad field.';

create function private.require_resources(p_ids uuid[]) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_unknown uuid[] := array(
    select u.id from unnest(p_ids) as u(id) where not exists (select from public.resources r where r.id = u.id)
  );
begin
  if cardinality(v_unknown) > 0 then
    perform private.fail('not_found', format('There is no resource %s', v_unknown[1]), 'p_resource_ids',
      jsonb_build_object('missing', to_jsonb(v_unknown)));
  end if;
end;
$$;
comment on function private.require_resources(uuid[]) is 'Raises not_found for ids that are no resources.';

create function private.require_rule(p_rule_id uuid) returns void
language plpgsql stable security definer set search_path = ''
as $$
begin
  if not exists (select from public.weekly_rules r where r.id = p_rule_id) then
    perform private.fail('not_found', 'There is no such weekly rule', 'p_rule_id');
  end if;
end;
$$;
comment on function private.require_rule(uuid) is 'Raises not_found for an id that is no weekly rule.';

create function private.occurrence_errors(p_rule_id uuid, p_occurs_on date, p_reason text default null) returns jsonb
language sql immutable set search_path = ''
return private.input_error(p_rule_id is null, 'p_rule_id', 'Say which weekly rule')
  || private.input_error(p_occurs_on is null, 'p_occurs_on', 'Say which of its dates')
  || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters');
comment on function private.occurrence_errors(uuid, date, text) is 'What is wrong with naming one date of a weekly rule.';

create function private.happening_exists(p_source_table text, p_source_id uuid) returns boolean
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_exists boolean;
begin
  if to_regclass(format('public.%I', p_source_table)) is null then
    return false;
  end if;
  execute format('select exists (select from public.%I s where s.id = $1)', p_source_table) into v_exists using p_source_id;
  return v_exists;
end;
$$;
comment on function private.happening_exists(text, uuid) is 'Whether a happening''s row is there.';

-- sql/20_time/rules/10_resources.sql

-- Who and what is a resource: everyone who works (holds a role other than member, or was imported before having a
-- login) and every location, each with the same id; equipment is written by hand.

create function private.ensure_people(p_profile_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  insert into public.resources (id, kind, name, profile_id, is_active)
  select p.id, 'person', coalesce(private.clean_text(left(p.full_name, 200)), 'Unnamed'), p.id, p.is_active
  from public.user_profiles p
  where p.id = any(p_profile_ids)
  on conflict do nothing;
end;
comment on function private.ensure_people(uuid[]) is 'Makes the resources of these profiles where they are missing.';

-- Imports bring hundreds of people at once, so this runs once a statement.
create function private.make_people_of_profiles() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  -- Who is written without a login is somebody to be planned with; who loses theirs, a customer perhaps, is not.
  perform private.ensure_people(array(
    select n.id
    from new_rows n
    where (tg_op = 'INSERT' and n.user_id is null)
      or exists (select from public.user_roles r where r.user_id = n.user_id and r.role_name <> 'member')
  ));
  return null;
end;
$$;
comment on function private.make_people_of_profiles() is
  'Statement trigger on user_profiles: who works, or is written without a login, becomes a resource.';

create trigger t50_make_people_insert after insert on public.user_profiles
  referencing new table as new_rows for each statement execute function private.make_people_of_profiles();
create trigger t50_make_people_update after update on public.user_profiles
  referencing new table as new_rows for each statement execute function private.make_people_of_profiles();

create function private.make_person_of_role() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if new.role_name <> 'member' then
    perform private.ensure_people(array(select p.id from public.user_profiles p where p.user_id = new.user_id));
  end if;
  return null;
end;
$$;
comment on function private.make_person_of_role() is 'Row trigger on user_roles: who is given work becomes a resource.';

create trigger t50_make_person after insert or update of role_name, user_id on public.user_roles
  for each row execute function private.make_person_of_role();

create function private.follow_profile() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  update public.resources r
  set name = coalesce(private.clean_text(left(new.full_name, 200)), 'Unnamed'), is_active = new.is_active
  where r.profile_id = new.id;
  return null;
end;
$$;
comment on function private.follow_profile() is 'Row trigger on user_profiles: the resource carries the profile''s name.';

create trigger t60_follow after update of full_name, is_active on public.user_profiles
  for each row when ((old.full_name, old.is_active) is distinct from (new.full_name, new.is_active))
  execute function private.follow_profile();

create function private.make_places_of_locations() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into public.resources as r (id, kind, name, location_id, is_active)
  select n.id, 'place', n.name, n.id, n.is_active from new_rows n order by n.id
  on conflict (location_id) do update set name = excluded.name, is_active = excluded.is_active
  where (r.name, r.is_active) is distinct from (excluded.name, excluded.is_active);
  return null;
end;
$$;
comment on function private.make_places_of_locations() is
  'Statement trigger on locations: each is a resource of the same id, name and activity.';

create trigger t50_make_places_insert after insert on public.locations
  referencing new table as new_rows for each statement execute function private.make_places_of_locations();
create trigger t50_make_places_update after update on public.locations
  referencing new table as new_rows for each statement execute function private.make_places_of_locations();

create function private.start_horizon() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  insert into public.resource_horizons (resource_id, claimed_until)
  select n.id, private.now() + make_interval(days => private.setting_integer('ledger_horizon_days'))
  from new_rows n
  on conflict do nothing;
  return null;
end;
$$;
comment on function private.start_horizon() is 'Statement trigger on resources: a new one can be claimed up to the horizon of the settings.';

create trigger t50_start_horizon after insert on public.resources
  referencing new table as new_rows
  for each statement execute function private.start_horizon();

create trigger t10_keep_version before update on public.locations
  for each row execute function private.keep_version();
create trigger t10_keep_version before update on public.resources
  for each row execute function private.keep_version();

-- sql/20_time/rules/11_unused_people.sql

-- A profile that gives way to another (link_profile) takes its resource along, unless the resource is in use: then the
-- foreign keys of claims, meetings and weekly rules refuse both.

create function private.forget_unused_person() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  delete from public.resources r where r.profile_id = old.id;
  return old;
end;
$$;
comment on function private.forget_unused_person() is 'Row trigger on user_profiles: a removed profile takes an unused resource along.';

create trigger t50_forget_unused_person before delete on public.user_profiles
  for each row execute function private.forget_unused_person();

-- sql/20_time/rules/20_claims.sql

-- Claims follow their sources.
--
-- A source table has a uuid `id` and a view private.<table>_claims (source_id, resource_id, during, occurs_on, kind,
-- title): what its rows claim, worked out from the live rows. `select private.attach_claims('public.x')` makes its
-- claims follow it; for a child table that the view also reads, `select private.attach_claims('public.y', 'public.x',
-- 'x_id')`. Nothing else is needed.

create trigger t00_only_triggers_write before insert or update or delete or truncate on public.claims
  for each statement execute function private.refuse_direct_write(
    'Write the happening itself (a meeting, a weekly rule, …): its claims follow.');

-- The key of one happening, or of one date of a recurring one: two dates of a rule may not overlap either, should one of
-- them be moved onto the other. The table's name is part of it, so that a row made with the id of another table's row
-- does not get the right to overlap it; days are counted, because how a date is written depends on the session.
create function private.happening_key(p_source_table text, p_source_id uuid, p_occurs_on date) returns uuid
language sql immutable strict set search_path = ''
return md5(p_source_table || p_source_id::text || (p_occurs_on - date '1970-01-01'))::uuid;
comment on function private.happening_key(text, uuid, date) is 'The share key of a happening that is in no override group.';

create function private.require_read_committed() returns void
language plpgsql stable set search_path = ''
as $$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    perform private.fail('invalid_input',
      format('This is written under READ COMMITTED, not %s', upper(current_setting('transaction_isolation'))),
      'isolation_level', p_hint => 'Begin the transaction without naming an isolation level.');
  end if;
end;
$$;
comment on function private.require_read_committed() is
  'Refuses other isolation levels: under them a statement after a lock still sees what was before it.';

create function private.lock_resources(p_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  select from public.resources r where r.id = any(p_ids) order by r.id for no key update;
end;
comment on function private.lock_resources(uuid[]) is 'Locks resources in the order everybody locks them in.';

-- Explains, from the rows that stand there, why claims could not be made. Says nothing when nothing stands there any
-- more: whoever was in the way has gone meanwhile.
create function private.refuse_overlap(p_missing public.claims[]) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sees_all boolean := private.has_permission('read:calendar');
  v_self uuid := private.current_profile_id();
  v_message text;
  v_conflicts jsonb;
  v_count integer;
begin
  with clashes as (
    select n.resource_id, r.name, n.source_table, n.source_id, n.during,
      c.source_table as with_table, c.source_id as with_id, c.occurs_on, c.kind, c.title, c.during as with_during,
      v_sees_all or n.resource_id = v_self as is_told,
      row_number() over (order by lower(n.during), r.name, lower(c.during), c.source_id) as position,
      count(*) over () as total
    from unnest(p_missing) n
    join public.claims c on c.resource_id = n.resource_id and c.during && n.during and c.share_key <> n.share_key
    join public.resources r on r.id = n.resource_id
  )
  select max(total),
    max(case when position = 1 then
      format('%s is already %s, %s', name, case when is_told then 'in ' || title else 'taken' end, private.describe_range(with_during))
      || case when total > 1 then format(' (and %s more)', total - 1) else '' end
    end),
    jsonb_agg(
      jsonb_build_object(
        'resource_id', resource_id, 'resource_name', name, 'source_table', source_table, 'source_id', source_id,
        'starts_at', lower(during), 'ends_at', upper(during), 'conflicts_with',
        jsonb_build_object('starts_at', lower(with_during), 'ends_at', upper(with_during))
        || case when is_told then jsonb_build_object(
          'source_table', with_table, 'source_id', with_id, 'occurs_on', occurs_on, 'kind', kind, 'title', title
        ) else '{}' end
      ) order by position
    ) filter (where position <= 100)
  into v_count, v_message, v_conflicts
  from clashes;
  if v_count > 0 then
    perform private.fail('time_conflict', v_message, p_details => jsonb_build_object('conflicts', v_conflicts, 'count', v_count),
      p_hint => 'Choose another time, or somebody or somewhere else; free_slots() says when all are free.');
  end if;
end;
$$;
comment on function private.refuse_overlap(public.claims[]) is
  'Raises time_conflict naming what stands in the way of these claims, as far as the caller may read it.';

-- One-off uses end before the horizon; what a rule promises starts before it. So whatever is claimed later, by a
-- horizon moving on, starts where no one-off can be.
create function private.refuse_beyond_horizon(p_claims public.claims[]) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_late record;
begin
  select r.id, r.name, h.claimed_until, n.title into v_late
  from unnest(p_claims) n
  join public.resources r on r.id = n.resource_id
  left join public.resource_horizons h on h.resource_id = n.resource_id
  where coalesce(case when n.source_table = 'weekly_rules' then lower(n.during) >= h.claimed_until
    else upper(n.during) > h.claimed_until end, true)
  order by lower(n.during), r.name
  limit 1;
  if found then
    perform private.fail('limit_exceeded',
      format('%s can be booked until %s only', v_late.name, coalesce(v_late.claimed_until::text, 'an unknown time')), 'ends_at',
      jsonb_build_object('resource_id', v_late.id, 'limit', v_late.claimed_until),
      'Holders of book:beyond_horizon may call extend_horizon() first.');
  end if;
end;
$$;
comment on function private.refuse_beyond_horizon(public.claims[]) is 'Raises limit_exceeded for claims beyond their resource''s horizon.';

-- The caller holds locks on the source rows. Only the difference between what is and what should be is written, so
-- that an update of a note touches no claim. Losers of the constraint are found by counting, never by an exception:
-- ON CONFLICT DO NOTHING waits for whoever is ahead instead of deadlocking with them.
create function private.derive_claims(p_source_table text, p_ids uuid[], p_partial boolean default false) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_gone public.claims[];
  v_new public.claims[];
  v_missing public.claims[];
  v_inserted integer;
  v_refuses_unavailable boolean := private.setting_text('availability_policy') = 'refuse';
begin
  perform private.require_read_committed();
  execute format($sql$
    with wanted as materialized (
      select w.resource_id, w.during,
        case when lower(w.during) < coalesce(least(o.expires_at, o.revoked_at), 'infinity') and o.id is not null
          then o.id else md5($2 || w.source_id::text || (w.occurs_on - date '1970-01-01'))::uuid end as share_key,
        $2 as source_table, w.source_id, w.occurs_on, w.kind, w.title
      from private.%I w
      left join public.override_members m on m.source_id = w.source_id and m.source_table = $2
      left join public.overrides o on o.id = m.override_id
      where w.source_id = any($1)
    ), present as materialized (
      select c.resource_id, c.during, c.share_key, c.source_table, c.source_id, c.occurs_on, c.kind, c.title
      from public.claims c
      where c.source_id = any($1) and c.source_table = $2
    )
    select
      (select array_agg(row(g.*)::public.claims) from (select * from present except select * from wanted) g),
      (select array_agg(row(n.*)::public.claims) from (select * from wanted except select * from present) n)
    $sql$, p_source_table || '_claims')
  into v_gone, v_new using p_ids, p_source_table;

  -- Whoever makes a single claim holds nothing while waiting for it. Whoever makes several, or leaves some for others,
  -- would hold the one while waiting for the next: with the resources locked, in order, they wait before they hold
  -- anything. Where time off refuses claims, whoever approves it holds the same locks.
  if v_gone is not null or cardinality(v_new) > 1 or v_refuses_unavailable and v_new is not null then
    perform private.lock_resources(array(select n.resource_id from unnest(v_gone || v_new) n));
  end if;
  if v_gone is not null then
    delete from public.claims c using unnest(v_gone) g
    where c.resource_id = g.resource_id and c.source_table = g.source_table and c.source_id = g.source_id
      and c.occurs_on = g.occurs_on;
  end if;

  if v_new is null then
    return;
  end if;
  if p_partial then
    v_new := array(
      select n from unnest(v_new) n
      join public.resource_horizons h on h.resource_id = n.resource_id
      where case when n.source_table = 'weekly_rules' then lower(n.during) < h.claimed_until else upper(n.during) <= h.claimed_until end
    );
  else
    perform private.refuse_beyond_horizon(v_new);
  end if;
  v_missing := v_new;
  for attempt in 1..5 loop
    with inserted as (
      insert into public.claims (resource_id, during, share_key, source_table, source_id, occurs_on, kind, title)
      select n.resource_id, n.during, n.share_key, n.source_table, n.source_id, n.occurs_on, n.kind, n.title
      from unnest(v_missing) n
      order by n.resource_id, lower(n.during), n.source_id
      on conflict do nothing
      returning 1
    )
    select count(*) into v_inserted from inserted;
    exit when v_inserted = cardinality(v_missing) or p_partial;
    if attempt = 5 then
      perform private.fail('time_conflict', 'Somebody else was there a moment ago', p_hint => 'Try again.');
    end if;
    v_missing := array(
      select n from unnest(v_missing) n
      where not exists (
        select from public.claims c
        where c.resource_id = n.resource_id and c.source_table = n.source_table and c.source_id = n.source_id
          and c.occurs_on = n.occurs_on and c.during = n.during
      )
    );
    perform private.refuse_overlap(v_missing);
  end loop;
  if v_refuses_unavailable and not p_partial then
    -- Time that was taken before, such as by a happening that only got another name, stays taken.
    perform private.refuse_unavailable(array(
      select n from unnest(v_new) n
      where not exists (select from unnest(v_gone) g where g.resource_id = n.resource_id and g.during = n.during)
    ));
  end if;
end;
$$;
comment on function private.derive_claims(text, uuid[], boolean) is
  'Makes the claims of these happenings what their source rows say, or raises time_conflict; the caller has locked the rows. Partial (repairs only): claims what can be claimed and leaves the rest to diagnosis.';

create function private.lock_sources(p_source_table text, p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  execute format('select from public.%I s where s.id = any($1) order by s.id for no key update', p_source_table) using p_ids;
end;
$$;
comment on function private.lock_sources(text, uuid[]) is 'Locks happenings, so that nobody else derives their claims meanwhile.';

-- An override may name a happening before it is written, and may be taken back this very moment: then its key must not
-- be lent. Happenings that are there already need no such lock, since whoever changes an override derives its members
-- again under their locks.
create function private.lock_memberships(p_source_table text, p_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  select from public.override_members m
  join public.overrides o on o.id = m.override_id
  where m.source_id = any(p_ids) and m.source_table = p_source_table
  order by o.id
  for share of m, o;
end;
comment on function private.lock_memberships(text, uuid[]) is 'Keeps the overrides of new happenings as they are until these are written.';

-- A happening made later with the id of one that is gone is another one, and was allowed nothing.
create function private.forget_memberships(p_source_table text, p_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  delete from public.override_members m where m.source_id = any(p_ids) and m.source_table = p_source_table;
end;
comment on function private.forget_memberships(text, uuid[]) is 'Takes deleted happenings out of their override groups.';

-- Arguments: the source table's name, the column that holds its id, and whether this table is a child of it.
create function private.follow_source() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  if tg_op = 'TRUNCATE' then
    perform private.fail('forbidden', format('%s cannot be truncated: time is claimed for its rows', tg_table_name),
      p_details => jsonb_build_object('table', tg_table_name), p_hint => 'Delete the rows: their claims go with them.');
  end if;
  -- Only ids are taken from the transition tables: a later trigger may have changed the rows again.
  execute case tg_op
      when 'INSERT' then format('select array_agg(distinct n.%I) from new_rows n', tg_argv[1])
      when 'DELETE' then format('select array_agg(distinct o.%I) from old_rows o', tg_argv[1])
      else format('select array_agg(u.id) from (select n.%1$I as id from new_rows n union select o.%1$I from old_rows o) u', tg_argv[1])
    end into v_ids;
  if v_ids is null then
    return null;
  end if;
  if tg_argv[2]::boolean then
    -- Somebody else may be changing the parent this moment; the lock, and the next statement, see what they did.
    perform private.lock_sources(tg_argv[0], v_ids);
  elsif tg_op = 'INSERT' then
    perform private.lock_memberships(tg_argv[0], v_ids);
  end if;
  perform private.derive_claims(tg_argv[0], v_ids);
  if tg_op = 'DELETE' and not tg_argv[2]::boolean then
    perform private.forget_memberships(tg_argv[0], v_ids);
  end if;
  return null;
end;
$$;
comment on function private.follow_source() is 'Statement trigger of every source table and its children: derives the claims of the changed rows.';

-- Before a row is touched, since under those levels the touching itself may fail, with a code PostgREST retries for ever.
create function private.refuse_other_isolation() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  perform private.require_read_committed();
  return null;
end;
$$;
comment on function private.refuse_other_isolation() is 'Statement trigger: what claims follow is written under READ COMMITTED.';

create function private.attach_claims(p_table regclass, p_source regclass default null, p_key text default 'id') returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_source text := (select c.relname from pg_catalog.pg_class c where c.oid = coalesce(p_source, p_table));
  v_arguments text := format('%L, %L, %L', v_source, p_key, p_source is not null);
begin
  execute format('create trigger t00_read_committed before insert or update or delete on %s
    for each statement execute function private.refuse_other_isolation()', p_table);
  execute format('create trigger t50_claims_insert after insert on %s referencing new table as new_rows
    for each statement execute function private.follow_source(%s)', p_table, v_arguments);
  execute format('create trigger t50_claims_update after update on %s referencing old table as old_rows new table as new_rows
    for each statement execute function private.follow_source(%s)', p_table, v_arguments);
  execute format('create trigger t50_claims_delete after delete on %s referencing old table as old_rows
    for each statement execute function private.follow_source(%s)', p_table, v_arguments);
  execute format('create trigger t00_no_truncate before truncate on %s
    for each statement execute function private.follow_source(%s)', p_table, v_arguments);
end;
$$;
comment on function private.attach_claims(regclass, regclass, text) is
  'Makes claims follow a source table, or a child of one: (table), or (child, source, the child''s column with the source''s id).';

-- Repairs go through a table of their own, so that claims are still written by triggers only, and each repair is on
-- record.
create table private.ledger_rebuilds (
  id bigint generated always as identity primary key,
  source_table text not null,
  source_ids uuid[] not null,
  rebuilt_by text not null default private.calling(),
  rebuilt_at timestamptz not null default private.now()
);
comment on table private.ledger_rebuilds is 'Every time claims were derived again from their sources: of what, by whom, when.';
comment on column private.ledger_rebuilds.source_ids is 'The happenings whose claims were derived again.';

create function private.rebuild_claims() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_sources(new.source_table, new.source_ids);
  perform private.lock_resources(array(
    select c.resource_id from public.claims c where c.source_table = new.source_table and c.source_id = any(new.source_ids)
    union
    select p.resource_id from public.weekly_rule_resources p where new.source_table = 'weekly_rules' and p.rule_id = any(new.source_ids)
  ));
  perform private.derive_claims(new.source_table, new.source_ids, true);
  return null;
end;
$$;
comment on function private.rebuild_claims() is 'Row trigger on ledger_rebuilds: derives the claims of the named happenings again, as far as they fit.';

create trigger t50_rebuild after insert on private.ledger_rebuilds
  for each row execute function private.rebuild_claims();

create function private.claim_sources() returns table (source_table text)
language sql stable set search_path = ''
begin atomic
  select left(v.relname, -length('_claims'))
  from pg_catalog.pg_class v
  join pg_catalog.pg_namespace n on n.oid = v.relnamespace and n.nspname = 'private'
  join pg_catalog.pg_class t on t.relname = left(v.relname, -length('_claims')) and t.relkind in ('r', 'p')
  join pg_catalog.pg_namespace p on p.oid = t.relnamespace and p.nspname = 'public'
  where v.relkind = 'v' and v.relname like '%\_claims';
end;
comment on function private.claim_sources() is 'The tables whose rows claim time: those with a view private.<table>_claims.';

-- sql/20_time/rules/30_overrides.sql

-- Override groups: happenings that may overlap each other carry the group's id as share key, for as long as the
-- override holds. Which key a claim has depends on when it starts, not on when somebody looks: an override that
-- expires in June never allowed an overlap in July, so no job has to take anything back.

create function private.check_override() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and (new.id, new.granted_at) is distinct from (old.id, old.granted_at) then
    perform private.fail('invalid_input', 'An override keeps its id and the time it was granted', 'id');
  end if;
  if new.expires_at <= new.granted_at then
    perform private.fail('invalid_input', 'An override expires after it is granted', 'expires_at');
  end if;
  return new;
end;
$$;
comment on function private.check_override() is 'Row trigger on overrides: refuses what no override can be.';

create trigger t20_check before insert or update on public.overrides
  for each row execute function private.check_override();

-- One override can hold happenings of several tables; each table's are derived in one pass. All are locked before any
-- is derived, and all their resources before the first claim is written, in the order everybody else takes them.
create function private.derive_members(p_members public.override_members[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_source record;
begin
  perform private.lock_sources(m.source_table, array_agg(distinct m.source_id))
  from unnest(p_members) m
  group by m.source_table
  order by m.source_table;
  perform private.lock_resources(array(
    select c.resource_id
    from unnest(p_members) m
    join public.claims c on c.source_id = m.source_id and c.source_table = m.source_table
    union
    select r.resource_id
    from unnest(p_members) m
    join public.weekly_rule_resources r on r.rule_id = m.source_id
    where m.source_table = 'weekly_rules'
  ));
  if (select count(distinct m.source_table) from unnest(p_members) m) > 1 then
    -- When a whole group gets another key, one table's new claims must not run into the other's old ones.
    delete from public.claims c using unnest(p_members) m where c.source_id = m.source_id and c.source_table = m.source_table;
  end if;
  for v_source in
    select m.source_table, array_agg(distinct m.source_id) as ids
    from unnest(p_members) m
    group by m.source_table
    order by m.source_table
  loop
    if v_source.source_table = 'weekly_rules' then
      perform private.derive_weekly_rules(v_source.ids, '{}');
    else
      perform private.derive_claims(v_source.source_table, v_source.ids);
    end if;
  end loop;
end;
$$;
comment on function private.derive_members(public.override_members[]) is 'Derives the claims of the members of override groups again.';

create function private.follow_override_members() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if tg_op = 'INSERT' then
    perform private.derive_members(array(select n::public.override_members from new_rows n));
  elsif tg_op = 'DELETE' then
    perform private.derive_members(array(select o::public.override_members from old_rows o));
  else
    perform private.derive_members(array(
      select n::public.override_members from new_rows n union all select o::public.override_members from old_rows o
    ));
  end if;
  return null;
end;
$$;
comment on function private.follow_override_members() is 'Statement trigger on override_members: their claims take or lose the group''s key.';

create trigger t50_claims_insert after insert on public.override_members
  referencing new table as new_rows for each statement execute function private.follow_override_members();
create trigger t50_claims_update after update on public.override_members
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_override_members();
create trigger t50_claims_delete after delete on public.override_members
  referencing old table as old_rows for each statement execute function private.follow_override_members();

create function private.follow_override() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.derive_members(array(
    select m from public.override_members m join new_rows n on n.id = m.override_id
  ));
  return null;
end;
$$;
comment on function private.follow_override() is 'Statement trigger on overrides: a changed end gives the members'' later claims their own keys back.';

create trigger t50_claims_update after update on public.overrides
  referencing new table as new_rows for each statement execute function private.follow_override();

create function private.check_override_member() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if to_regclass(format('private.%I', new.source_table || '_claims')) is null then
    perform private.fail('invalid_input', format('%s is no table of happenings', new.source_table), 'source_table');
  end if;
  return new;
end;
$$;
comment on function private.check_override_member() is 'Row trigger on override_members: the table is one whose rows claim time.';

create trigger t20_check before insert or update on public.override_members
  for each row execute function private.check_override_member();

create trigger t00_read_committed before insert or update or delete on public.override_members
  for each statement execute function private.refuse_other_isolation();
create trigger t00_read_committed before insert or update or delete on public.overrides
  for each statement execute function private.refuse_other_isolation();

create function private.refuse_truncate() returns trigger
language plpgsql set search_path = ''
as $$
begin
  perform private.fail('forbidden', format('%s cannot be truncated: claims depend on its rows', tg_table_name),
    p_details => jsonb_build_object('table', tg_table_name), p_hint => 'Delete the rows instead.');
  return null;
end;
$$;
comment on function private.refuse_truncate() is 'Statement trigger: refuses TRUNCATE, which no row trigger sees.';

create trigger t00_no_truncate before truncate on public.overrides
  for each statement execute function private.refuse_truncate();
create trigger t00_no_truncate before truncate on public.override_members
  for each statement execute function private.refuse_truncate();

-- sql/20_time/rules/40_weekly_rules.sql

-- Weekly rules become dated claims, up to each resource's horizon. Whoever writes a rule, an exception to one, or a
-- horizon holds the resources' locks and reads rules and horizons in a later statement.

-- Dates, never instants, are stepped through: a week is not always 168 hours. Ends may be 24:00.
create function private.regular_occurrences(p_rule public.weekly_rules, p_from timestamptz, p_until timestamptz)
returns table (occurs_on date, during tstzrange)
language sql stable set search_path = ''
begin atomic
  select o.occurs_on, o.during
  from (
    select d.day as occurs_on,
      tstzrange(
        private.local_to_instant(d.day, p_rule.start_time, p_rule.time_zone),
        private.local_end_to_instant(d.day, p_rule.end_time, p_rule.time_zone)
      ) as during
    from (
      select generate_series(
        f.first + ((p_rule.weekday - extract(dow from f.first)::integer + 7) % 7),
        least(upper(p_rule.effective) - 1, (p_until at time zone p_rule.time_zone)::date + 1)::timestamp,
        interval '7 days'
      )::date as day
      from (
        select greatest(lower(p_rule.effective), (p_from at time zone p_rule.time_zone)::date - 1) as first
      ) f
    ) d
    where not exists (
      select from public.weekly_rule_exceptions e where e.rule_id = p_rule.id and e.occurs_on = d.day
    )
    offset 0 -- or the planner works the range out anew for each mention of it
  ) o
  where lower(o.during) < p_until and upper(o.during) is not null
    and (p_from is null or lower(o.during) >= p_from);
end;
comment on function private.regular_occurrences(public.weekly_rules, timestamptz, timestamptz) is
  'When a rule happens as it says, start from p_from (null: ever) and before p_until: without exceptions and dates the clock skips.';

-- A date that was moved while the rule still had it is not held any more once the rule has it no longer.
create function private.moved_occurrences(p_rule public.weekly_rules)
returns table (occurs_on date, during tstzrange)
language sql stable set search_path = ''
begin atomic
  select o.occurs_on, o.during
  from (
    select e.occurs_on,
      tstzrange(
        private.local_to_instant(e.moved_to_date, e.moved_start_time, p_rule.time_zone),
        private.local_end_to_instant(e.moved_to_date, e.moved_end_time, p_rule.time_zone)
      ) as during
    from public.weekly_rule_exceptions e
    where e.rule_id = p_rule.id and e.kind = 'moved'
      and e.occurs_on <@ p_rule.effective and extract(dow from e.occurs_on) = p_rule.weekday
    offset 0
  ) o
  where lower(o.during) is not null and upper(o.during) is not null;
end;
comment on function private.moved_occurrences(public.weekly_rules) is 'The dates of a rule that were moved, and where to.';

create function private.rule_occurrences(p_rule public.weekly_rules, p_from timestamptz, p_until timestamptz)
returns table (occurs_on date, during tstzrange)
language sql stable set search_path = ''
begin atomic
  select r.occurs_on, r.during from private.regular_occurrences(p_rule, p_from, p_until) r
  union all
  select m.occurs_on, m.during
  from private.moved_occurrences(p_rule) m
  where lower(m.during) < p_until and (p_from is null or lower(m.during) >= p_from);
end;
comment on function private.rule_occurrences(public.weekly_rules, timestamptz, timestamptz) is
  'When a rule happens, start from p_from (null: ever) and before p_until: without exceptions and dates the clock skips, with moved ones where they moved to.';

-- In one zone rules meet on their weekday or not at all, and for their whole common time. Between zones clocks are at
-- most 26 hours apart, so a date meets only the other rule's nearest date; and what does not meet within 28 years never
-- does, since the calendar of weekdays and clock changes repeats. Moved dates are few, and are compared with everything.
create function private.rule_meets(
  p_rule public.weekly_rules, p_other public.weekly_rules, p_from timestamptz
) returns table (occurs_on date, during tstzrange, other_occurs_on date, other_during tstzrange)
language sql stable set search_path = ''
begin atomic
  with common as materialized (
    select s.since,
      least(s.since + 10240 * interval '24 hours', (upper(p_rule.effective * p_other.effective) + 2)::timestamp at time zone 'UTC') as until
    from (
      select greatest(p_from, lower(p_rule.effective * p_other.effective)::timestamp at time zone 'UTC') - interval '48 hours' as since
    ) s
    where p_rule.id is distinct from p_other.id and p_rule.effective && p_other.effective
      and case
        when p_rule.time_zone = p_other.time_zone then
          p_rule.weekday = p_other.weekday and p_rule.start_time < p_other.end_time and p_other.start_time < p_rule.end_time
        else
          (p_other.weekday - p_rule.weekday + 10) % 7 - 3 between -2 and 2
      end
  ), ours as materialized (
    select o.* from common c cross join lateral private.regular_occurrences(p_rule, c.since, c.until) o
  ), theirs as materialized (
    select o.* from common c cross join lateral private.regular_occurrences(p_other, c.since, c.until) o
  )
  select a.occurs_on, a.during, b.occurs_on, b.during
  from ours a
  join theirs b on b.occurs_on = a.occurs_on + ((p_other.weekday - p_rule.weekday + 10) % 7 - 3)
  where a.during && b.during and greatest(upper(a.during), upper(b.during)) > p_from
  union all
  select a.occurs_on, a.during, b.occurs_on, b.during
  from private.moved_occurrences(p_rule) a
  cross join lateral private.rule_occurrences(p_other, lower(a.during) - interval '48 hours', upper(a.during)) b
  where a.during && b.during and greatest(upper(a.during), upper(b.during)) > p_from
    and (p_rule.id is distinct from p_other.id or b.occurs_on <> a.occurs_on)
  union all
  select a.occurs_on, a.during, b.occurs_on, b.during
  from private.moved_occurrences(p_other) b
  cross join lateral private.regular_occurrences(p_rule, lower(b.during) - interval '48 hours', upper(b.during)) a
  where a.during && b.during and greatest(upper(a.during), upper(b.during)) > p_from
    and p_rule.id is distinct from p_other.id;
end;
comment on function private.rule_meets(public.weekly_rules, public.weekly_rules, timestamptz) is
  'The occurrences, ending after an instant, in which two weekly rules overlap, or a moved date of one rule its other dates.';

-- Inside the horizon the constraint on claims decides. Beyond it nothing is claimed yet, so rules are compared.
create function private.rules_that_meet(p_rule_ids uuid[]) returns table (
  resource_id uuid, resource_name text, rule_id uuid, during tstzrange,
  with_id uuid, with_title text, with_kind text, with_occurs_on date, with_during tstzrange
)
language sql stable security definer set search_path = ''
begin atomic
  select s.id, s.name, r.id, m.during, q.id, q.title, q.kind, m.other_occurs_on, m.other_during
  from public.weekly_rules r
  join public.weekly_rule_resources a on a.rule_id = r.id
  join public.weekly_rule_resources b on b.resource_id = a.resource_id
  join public.weekly_rules q on q.id = b.rule_id
  join public.resources s on s.id = a.resource_id
  join public.resource_horizons h on h.resource_id = a.resource_id
  left join public.override_members mr on mr.source_table = 'weekly_rules' and mr.source_id = r.id
  left join public.override_members mq on mq.source_table = 'weekly_rules' and mq.source_id = q.id
  left join public.overrides o on o.id = mr.override_id and o.id = mq.override_id
  cross join lateral (
    select m.*
    from private.rule_meets(r, q, h.claimed_until) m
    where (lower(m.during) >= h.claimed_until or lower(m.other_during) >= h.claimed_until)
      and (o.id is null
        or greatest(lower(m.during), lower(m.other_during)) >= coalesce(least(o.expires_at, o.revoked_at), 'infinity'))
    order by m.during
    limit 1
  ) m
  where r.id = any(p_rule_ids)
    -- Most pairs are told apart at a glance.
    and (
      r.time_zone <> q.time_zone or r.weekday = q.weekday and r.start_time < q.end_time and q.start_time < r.end_time
      or exists (
        select from public.weekly_rule_exceptions e
        where e.rule_id in (r.id, q.id) and e.kind = 'moved' and e.moved_to_date > (h.claimed_until at time zone 'UTC')::date - 3
      )
    );
end;
comment on function private.rules_that_meet(uuid[]) is
  'With which rule of the same resource (itself, where a date was moved) each of these rules meets beyond the horizon, and when first, unless an override lets them.';

create function private.refuse_rules_that_meet(p_rule_ids uuid[]) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_clash record;
  v_is_told boolean;
begin
  select m.* into v_clash
  from private.rules_that_meet(p_rule_ids) m
  order by lower(m.during), m.resource_name
  limit 1;
  if not found then
    return;
  end if;
  v_is_told := private.has_permission('read:calendar') or v_clash.resource_id = private.current_profile_id();
  perform private.fail('time_conflict',
    format('%s will be %s, %s', v_clash.resource_name,
      case when v_is_told then 'in ' || v_clash.with_title else 'taken' end, private.describe_range(v_clash.with_during)),
    p_details => jsonb_build_object('count', 1, 'conflicts', jsonb_build_array(jsonb_build_object(
      'resource_id', v_clash.resource_id, 'resource_name', v_clash.resource_name,
      'source_table', 'weekly_rules', 'source_id', v_clash.rule_id,
      'starts_at', lower(v_clash.during), 'ends_at', upper(v_clash.during),
      'conflicts_with', jsonb_build_object('starts_at', lower(v_clash.with_during), 'ends_at', upper(v_clash.with_during))
        || case when v_is_told then jsonb_build_object(
          'source_table', 'weekly_rules', 'source_id', v_clash.with_id, 'occurs_on', v_clash.with_occurs_on,
          'kind', v_clash.with_kind, 'title', v_clash.with_title) else '{}' end))),
    p_hint => 'The two rules meet beyond the dates that are claimed so far; end one before that, or choose another time.');
end;
$$;
comment on function private.refuse_rules_that_meet(uuid[]) is
  'Raises time_conflict when one of these rules meets another of the same resource anywhere beyond the horizon.';

create function private.lock_rules(p_rule_ids uuid[], p_resource_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_sources('weekly_rules', p_rule_ids);
  perform private.lock_resources(p_resource_ids || array(
    select r.resource_id from public.weekly_rule_resources r where r.rule_id = any(p_rule_ids)
  ));
end;
$$;
comment on function private.lock_rules(uuid[], uuid[]) is 'Locks rules, then in one go their resources and further ones.';

create function private.derive_weekly_rules(p_rule_ids uuid[], p_resource_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_read_committed();
  perform private.lock_resources(array(
    select r.resource_id from public.weekly_rule_resources r where r.rule_id = any(p_rule_ids)
    union select c.resource_id from public.claims c where c.source_table = 'weekly_rules' and c.source_id = any(p_rule_ids)
    union select unnest(p_resource_ids)
  ));
  perform private.derive_claims('weekly_rules', p_rule_ids);
  perform private.refuse_rules_that_meet(p_rule_ids);
end;
$$;
comment on function private.derive_weekly_rules(uuid[], uuid[]) is
  'Makes the claims of these rules what they promise, with their resources (and those just left) locked first.';

-- Arguments: the column that holds the rule's id, and the column that holds a resource's, where there is one.
create function private.follow_weekly_rule() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_resource_ids uuid[];
begin
  execute case tg_op
      when 'INSERT' then format('select array_agg(distinct %I), array_agg(distinct %s) from new_rows', tg_argv[0], tg_argv[1])
      when 'DELETE' then format('select array_agg(distinct %I), array_agg(distinct %s) from old_rows', tg_argv[0], tg_argv[1])
      else format('select array_agg(distinct %1$I), array_agg(distinct %2$s) from
        (select * from new_rows union all select * from old_rows) u', tg_argv[0], tg_argv[1])
    end into v_ids, v_resource_ids;
  if v_ids is null then
    return null;
  end if;
  perform private.lock_sources('weekly_rules', v_ids);
  if tg_op = 'INSERT' and tg_relid = 'public.weekly_rules'::regclass then
    perform private.lock_memberships('weekly_rules', v_ids);
  end if;
  perform private.derive_weekly_rules(v_ids, array_remove(v_resource_ids, null));
  if tg_op = 'DELETE' and tg_relid = 'public.weekly_rules'::regclass then
    perform private.forget_memberships('weekly_rules', v_ids);
  end if;
  return null;
end;
$$;
comment on function private.follow_weekly_rule() is 'Statement trigger of weekly rules, their resources and exceptions: derives the claims of the changed rules.';

create function private.attach_weekly_rules(p_table regclass, p_key text, p_resource text) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_call text := format('for each statement execute function private.follow_weekly_rule(%L, %L)', p_key, p_resource);
begin
  execute format('create trigger t00_read_committed before insert or update or delete on %s
    for each statement execute function private.refuse_other_isolation()', p_table);
  execute format('create trigger t50_claims_insert after insert on %s referencing new table as new_rows %s', p_table, v_call);
  execute format('create trigger t50_claims_update after update on %s referencing old table as old_rows new table as new_rows %s', p_table, v_call);
  execute format('create trigger t50_claims_delete after delete on %s referencing old table as old_rows %s', p_table, v_call);
  execute format('create trigger t00_no_truncate before truncate on %s for each statement execute function private.refuse_truncate()', p_table);
end;
$$;
comment on function private.attach_weekly_rules(regclass, text, text) is 'Makes claims follow one of the three tables weekly rules are written in.';

select private.attach_weekly_rules('public.weekly_rules', 'id', 'null::uuid');
select private.attach_weekly_rules('public.weekly_rule_resources', 'rule_id', 'resource_id');
select private.attach_weekly_rules('public.weekly_rule_exceptions', 'rule_id', 'null::uuid');

create trigger t10_keep_version before update on public.weekly_rules
  for each row execute function private.keep_version();

create function private.check_weekly_rule_exception() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_rule public.weekly_rules;
begin
  select r.* into v_rule from public.weekly_rules r where r.id = new.rule_id;
  if not found then
    return new;
  end if;
  if extract(dow from new.occurs_on) <> v_rule.weekday or not new.occurs_on <@ v_rule.effective then
    perform private.fail('invalid_input', format('%s does not happen on %s', v_rule.title, new.occurs_on), 'occurs_on',
      jsonb_build_object('rule_id', v_rule.id));
  end if;
  if new.kind = 'moved' then
    if new.moved_to_date not between date '1970-01-01' and date '2199-12-31' then
      perform private.fail('invalid_input', 'A date lies between 1970 and 2199', 'moved_to_date');
    end if;
    if private.local_to_instant(new.moved_to_date, new.moved_start_time, v_rule.time_zone) is null then
      perform private.fail_local_time(new.moved_to_date, new.moved_start_time, v_rule.time_zone, 'moved_start_time');
    end if;
    if private.local_end_to_instant(new.moved_to_date, new.moved_end_time, v_rule.time_zone) is null then
      perform private.fail_local_time(new.moved_to_date, new.moved_end_time, v_rule.time_zone, 'moved_end_time');
    end if;
  end if;
  if new.kind = 'taken_over' and new.taken_by_table not in (select s.source_table from private.claim_sources() s) then
    perform private.fail('invalid_input', format('%s is no table of happenings', new.taken_by_table), 'taken_by_table');
  end if;
  return new;
end;
$$;
comment on function private.check_weekly_rule_exception() is
  'Row trigger: an exception is to a date the rule has, a moved one goes to a time that exists, and what took one over is a happening.';

create trigger t20_check before insert or update on public.weekly_rule_exceptions
  for each row execute function private.check_weekly_rule_exception();

-- sql/20_time/rules/45_taking_over.sql

-- Dates of weekly rules that happenings of their own stand in for.

-- One taker wins: a date somebody stands in for is not given away behind their back. Triggers may, since they know
-- that the stand-in has left.
create function private.keep_taken_over() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if pg_catalog.pg_trigger_depth() < 2 and private.happening_exists(old.taken_by_table, old.taken_by_id) then
    perform private.fail('illegal_transition', format('A happening of its own took %s over', old.occurs_on), 'occurs_on',
      jsonb_build_object('rule_id', old.rule_id, 'occurs_on', old.occurs_on, 'taken_by_table', old.taken_by_table,
        'taken_by_id', old.taken_by_id),
      'Cancel, move or delete that happening instead.');
  end if;
  return case tg_op when 'DELETE' then old else new end;
end;
$$;
comment on function private.keep_taken_over() is 'Row trigger on weekly_rule_exceptions: a date stays with the happening that took it over while that is there.';

create trigger t10_keep_taken_over before update or delete on public.weekly_rule_exceptions
  for each row when (old.kind = 'taken_over') execute function private.keep_taken_over();

-- For happenings made from a rule: the date becomes theirs, once. Arrays go together, one element a date; p_resource_ids
-- are those the happenings will claim themselves.
--
-- Exceptions come first, then rules, then resources. The locks are taken within the statement that writes the
-- exceptions, before its triggers run: those would lock the rules' resources alone, and the others would come out of turn.
create function private.take_over(
  p_source_table text, p_source_ids uuid[], p_rule_ids uuid[], p_dates date[], p_resource_ids uuid[] default '{}',
  p_cancelled_too boolean default false
) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_standing public.weekly_rule_exceptions;
  v_taken integer;
begin
  perform private.require_read_committed();
  for attempt in 1..5 loop
    with revived as (
      update public.weekly_rule_exceptions e
      set kind = 'taken_over', taken_by_table = p_source_table, taken_by_id = t.source_id, reason = null
      from (
        select e.rule_id, e.occurs_on, t.source_id
        from unnest(p_source_ids, p_rule_ids, p_dates) as t(source_id, rule_id, occurs_on)
        join public.weekly_rule_exceptions e on e.rule_id = t.rule_id and e.occurs_on = t.occurs_on and e.kind = 'cancelled'
        where p_cancelled_too
        order by e.rule_id, e.occurs_on
        for update of e
      ) t
      where e.rule_id = t.rule_id and e.occurs_on = t.occurs_on
      returning e.rule_id
    ),
    taken as (
      insert into public.weekly_rule_exceptions as e (rule_id, occurs_on, kind, taken_by_table, taken_by_id)
      select t.rule_id, t.occurs_on, 'taken_over', p_source_table, t.source_id
      from unnest(p_source_ids, p_rule_ids, p_dates) as t(source_id, rule_id, occurs_on)
      order by t.rule_id, t.occurs_on
      on conflict (rule_id, occurs_on) do nothing
      returning e.rule_id
    ),
    counted as (
      select (select count(*) from taken) + (select count(*) from revived) as dates
    ),
    locked as (
      select case when c.dates > 0 then private.lock_rules(p_rule_ids, p_resource_ids)::text end from counted c
    )
    select c.dates into v_taken from counted c cross join locked;
    -- Nothing taken and nothing standing: what stood there has gone this moment. Nothing is locked yet, so go again.
    exit when v_taken > 0 or not exists (
      select from unnest(p_rule_ids, p_dates) as t(rule_id, occurs_on)
      where not exists (
        select from public.weekly_rule_exceptions e where e.rule_id = t.rule_id and e.occurs_on = t.occurs_on
      )
    );
  end loop;
  select t.rule_id, t.occurs_on, coalesce(e.kind, 'being changed'), e.taken_by_table, e.taken_by_id
  into v_standing.rule_id, v_standing.occurs_on, v_standing.kind, v_standing.taken_by_table, v_standing.taken_by_id
  from unnest(p_source_ids, p_rule_ids, p_dates) as t(source_id, rule_id, occurs_on)
  left join public.weekly_rule_exceptions e on e.rule_id = t.rule_id and e.occurs_on = t.occurs_on
  where (e.taken_by_table, e.taken_by_id) is distinct from (p_source_table, t.source_id)
  order by t.occurs_on
  limit 1;
  if found then
    perform private.fail('time_conflict',
      format('%s of this rule is already %s', v_standing.occurs_on, replace(v_standing.kind, '_', ' ')), 'occurs_on',
      jsonb_build_object('rule_id', v_standing.rule_id, 'occurs_on', v_standing.occurs_on, 'kind', v_standing.kind,
        'taken_by_table', v_standing.taken_by_table, 'taken_by_id', v_standing.taken_by_id));
  end if;
end;
$$;
comment on function private.take_over(text, uuid[], uuid[], date[], uuid[], boolean) is
  'Gives dates of rules to happenings of their own, in the same transaction as their claims, cancelled dates only where p_cancelled_too; the second taker gets time_conflict.';

create function private.give_back(p_source_table text, p_source_ids uuid[], p_rule_ids uuid[], p_dates date[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  delete from public.weekly_rule_exceptions e
  using (
    select e.rule_id, e.occurs_on
    from unnest(p_source_ids, p_rule_ids, p_dates) as t(source_id, rule_id, occurs_on)
    join public.weekly_rule_exceptions e on e.rule_id = t.rule_id and e.occurs_on = t.occurs_on
      and e.taken_by_table = p_source_table and e.taken_by_id = t.source_id
    order by e.rule_id, e.occurs_on
    for update of e
  ) given
  where e.rule_id = given.rule_id and e.occurs_on = given.occurs_on;
end;
comment on function private.give_back(text, uuid[], uuid[], date[]) is
  'Gives dates back to their rules that these happenings no longer stand in for; raises time_conflict when their time is taken.';

-- sql/20_time/rules/50_horizons.sql

-- The horizon moves forward only, and whatever moves it claims what the rules promise up to there in the same
-- transaction: if the job stops, the horizon stops, and nothing is ever wrong, only late.

create function private.check_horizon() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and new.resource_id <> old.resource_id then
    perform private.fail('invalid_input', 'A horizon belongs to its resource', 'resource_id');
  end if;
  if tg_op = 'UPDATE' and new.claimed_until < old.claimed_until then
    perform private.fail('invalid_input', 'A horizon never moves back', 'claimed_until',
      jsonb_build_object('resource_id', new.resource_id, 'limit', old.claimed_until));
  end if;
  if new.claimed_until > private.now() + interval '2 years' then
    perform private.fail('limit_exceeded', 'Nothing can be booked more than two years ahead', 'claimed_until',
      jsonb_build_object('resource_id', new.resource_id, 'limit', private.now() + interval '2 years'));
  end if;
  return new;
end;
$$;
comment on function private.check_horizon() is 'Row trigger: a horizon moves forward, and at most two years ahead of today.';

create trigger t20_check before insert or update on public.resource_horizons
  for each row execute function private.check_horizon();

-- Written anew it could be further on than it was, past dates that nobody claimed.
create function private.keep_horizon() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if exists (select from public.resources r where r.id = old.resource_id) then
    perform private.fail('forbidden', 'A horizon stays as long as its resource', 'resource_id',
      jsonb_build_object('resource_id', old.resource_id));
  end if;
  return old;
end;
$$;
comment on function private.keep_horizon() is 'Row trigger: a horizon goes with its resource only.';

create trigger t20_keep before delete on public.resource_horizons
  for each row execute function private.keep_horizon();

-- What a rule promises there can still be in the way of a happening only where claims or constraints were tampered
-- with; such a date is left out and found by diagnosis, since a daily job must not stop for it.
create function private.claim_up_to_horizon() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_since timestamptz[];
begin
  if tg_op = 'INSERT' then
    select array_agg(n.resource_id), array_agg(null::timestamptz) into v_ids, v_since from new_rows n;
  else
    select array_agg(o.resource_id), array_agg(o.claimed_until) into v_ids, v_since from old_rows o;
  end if;
  perform private.lock_resources(v_ids);
  insert into public.claims (resource_id, during, share_key, source_table, source_id, occurs_on, kind, title)
  select h.resource_id, c.during,
    case when lower(c.during) < coalesce(least(o.expires_at, o.revoked_at), 'infinity') and o.id is not null
      then o.id else private.happening_key('weekly_rules', r.id, c.occurs_on) end,
    'weekly_rules', r.id, c.occurs_on, r.kind, r.title
  from unnest(v_ids, v_since) as m(resource_id, since)
  join public.resource_horizons h on h.resource_id = m.resource_id
  join public.weekly_rule_resources p on p.resource_id = h.resource_id
  join public.weekly_rules r on r.id = p.rule_id
  left join public.override_members g on g.source_id = r.id and g.source_table = 'weekly_rules'
  left join public.overrides o on o.id = g.override_id
  cross join lateral private.rule_occurrences(r, m.since, h.claimed_until) c
  order by h.resource_id, lower(c.during), r.id
  on conflict do nothing;
  return null;
end;
$$;
comment on function private.claim_up_to_horizon() is 'Statement trigger on resource_horizons: claims what weekly rules promise between the old horizon and the new.';

create trigger t00_read_committed before insert or update or delete on public.resource_horizons
  for each statement execute function private.refuse_other_isolation();
create trigger t50_claims_insert after insert on public.resource_horizons
  referencing new table as new_rows
  for each statement execute function private.claim_up_to_horizon();
create trigger t50_claims_update after update on public.resource_horizons
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.claim_up_to_horizon();
create trigger t00_no_truncate before truncate on public.resource_horizons
  for each statement execute function private.refuse_truncate();

-- A resource somebody is writing to just now is skipped; the next run takes it.
create function private.extend_horizons(p_limit integer default 5000) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_target timestamptz := private.now() + make_interval(days => private.setting_integer('ledger_horizon_days'));
  v_extended integer;
begin
  with due as (
    select h.resource_id
    from public.resource_horizons h
    join public.resources r on r.id = h.resource_id
    where h.claimed_until < v_target - interval '1 hour'
    order by h.resource_id
    limit p_limit
    for no key update of r skip locked
  )
  update public.resource_horizons h
  set claimed_until = v_target
  from due
  where h.resource_id = due.resource_id and h.claimed_until < v_target;
  get diagnostics v_extended = row_count;
  return v_extended;
end;
$$;
comment on function private.extend_horizons(integer) is
  'Job: moves horizons on to where the settings want them, at most p_limit resources a call; returns how many it moved.';

-- sql/20_time/rules/60_meetings.sql

-- Meetings: local date and times become instants, and time is claimed for their participants.

create function private.meeting_errors(
  p_date date, p_start_time time, p_end_time time, p_ends_on date, p_time_zone text, p_prefix text default ''
) returns jsonb
language plpgsql stable set search_path = ''
as $$
declare
  v_is_dated constant boolean := coalesce(p_date between date '1970-01-01' and date '2199-12-31', false);
  v_is_zoned constant boolean := coalesce(private.is_time_zone(p_time_zone), false);
  v_ends_on constant date := coalesce(p_ends_on, p_date);
  v_errors jsonb :=
    private.input_error(p_date is null, p_prefix || 'date', 'Say on which day')
    || private.input_error(p_date is not null and not v_is_dated, p_prefix || 'date', 'A date lies between 1970 and 2199')
    || private.input_error(p_start_time is null, p_prefix || 'start_time', 'Say when it starts')
    || private.input_error(p_end_time is null, p_prefix || 'end_time', 'Say when it ends')
    || private.input_error(not v_is_zoned, p_prefix || 'time_zone', 'A time zone is an IANA name, such as Europe/Paris');
begin
  if not v_is_dated then
    return v_errors;
  end if;
  if v_ends_on not between p_date and least(p_date + 31, date '2199-12-31') then
    return v_errors || private.input_error(true, p_prefix || 'ends_on', 'It ends on the day it starts, or up to 31 days later');
  end if;
  v_errors := v_errors
    || private.input_error(v_ends_on + p_end_time <= p_date + p_start_time, p_prefix || 'end_time', 'The end must be after the start')
    || private.input_error(v_ends_on + p_end_time - (p_date + p_start_time) > interval '31 days', p_prefix || 'ends_on', 'A single use lasts at most 31 days');
  if v_errors <> '[]' then
    return v_errors;
  end if;
  return private.input_error(private.local_to_instant(p_date, p_start_time, p_time_zone) is null, p_prefix || 'start_time',
      private.describe_skipped(p_date, p_start_time, p_time_zone))
    || private.input_error(private.local_end_to_instant(v_ends_on, p_end_time, p_time_zone) is null, p_prefix || 'end_time',
      private.describe_skipped(v_ends_on, p_end_time, p_time_zone))
    -- What lasts 31 days on the clock may last an hour more, or less, where the clock changes meanwhile.
    || private.input_error(
      private.local_end_to_instant(v_ends_on, p_end_time, p_time_zone) - private.local_to_instant(p_date, p_start_time, p_time_zone)
        > interval '31 days', p_prefix || 'ends_on', 'A single use lasts at most 31 days');
end;
$$;
comment on function private.meeting_errors(date, time, time, date, text, text) is
  'What is wrong with when a meeting shall be, every field at once; the fields'' names get the prefix.';

-- Bulk loads come through here: what is right is only looked at once.
create function private.set_meeting_instants() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  new.time_zone := coalesce(new.time_zone, private.setting_text('organisation_time_zone'));
  if new.date between date '1970-01-01' and date '2199-12-31'
    and coalesce(new.ends_on, new.date) between new.date and date '2199-12-31'
    and private.is_time_zone(new.time_zone) then
    new.starts_at := private.local_to_instant(new.date, new.start_time, new.time_zone);
    new.ends_at := private.local_end_to_instant(coalesce(new.ends_on, new.date), new.end_time, new.time_zone);
    if coalesce(new.starts_at < new.ends_at and new.ends_at - new.starts_at <= interval '31 days', false) then
      return new;
    end if;
  end if;
  perform private.fail_input(private.meeting_errors(new.date, new.start_time, new.end_time, new.ends_on, new.time_zone));
  return new;
end;
$$;
comment on function private.set_meeting_instants() is
  'Row trigger: works out starts_at and ends_at, and refuses times that do not exist or make no sense.';

create trigger t20_set_instants
  before insert or update of date, start_time, end_time, ends_on, time_zone, starts_at, ends_at on public.meetings
  for each row execute function private.set_meeting_instants();

create trigger t10_keep_version before update on public.meetings
  for each row execute function private.keep_version();

-- After the rows are there and before their own time is claimed: the rules' claims go, so that theirs can come.
create function private.take_over_for_meetings() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_rule_ids uuid[];
  v_dates date[];
begin
  if tg_op = 'INSERT' then
    select array_agg(n.id), array_agg(n.rule_id), array_agg(n.occurs_on) into v_ids, v_rule_ids, v_dates
    from new_rows n
    where n.rule_id is not null;
  else
    select array_agg(n.id), array_agg(n.rule_id), array_agg(n.occurs_on) into v_ids, v_rule_ids, v_dates
    from new_rows n
    left join old_rows o on o.id = n.id and o.rule_id = n.rule_id and o.occurs_on = n.occurs_on
    where n.rule_id is not null and o.id is null;
  end if;
  if v_ids is not null then
    perform private.take_over('meetings', v_ids, v_rule_ids, v_dates);
  end if;
  return null;
end;
$$;
comment on function private.take_over_for_meetings() is 'Statement trigger: meetings made from a weekly rule take those dates of the rule over.';

create trigger t40_take_over_insert after insert on public.meetings
  referencing new table as new_rows for each statement execute function private.take_over_for_meetings();
create trigger t40_take_over_update after update on public.meetings
  referencing old table as old_rows new table as new_rows for each statement execute function private.take_over_for_meetings();

-- After their own time was left. What was deleted gives nothing back: whether the date is then held or not, somebody
-- has to say (restore_occurrence, cancel_occurrence).
create function private.give_back_for_meetings() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_rule_ids uuid[];
  v_dates date[];
begin
  select array_agg(o.id), array_agg(o.rule_id), array_agg(o.occurs_on) into v_ids, v_rule_ids, v_dates
  from old_rows o
  left join new_rows n on n.id = o.id and n.rule_id = o.rule_id and n.occurs_on = o.occurs_on
  where o.rule_id is not null and n.id is null;
  if v_ids is not null then
    perform private.give_back('meetings', v_ids, v_rule_ids, v_dates);
  end if;
  return null;
end;
$$;
comment on function private.give_back_for_meetings() is 'Statement trigger: a meeting that no longer stands in for a date gives it back to the rule.';

create trigger t60_give_back after update on public.meetings
  referencing old table as old_rows new table as new_rows for each statement execute function private.give_back_for_meetings();

select private.attach_claims('public.meetings');
select private.attach_claims('public.meeting_participants', 'public.meetings', 'meeting_id');

-- sql/20_time/rules/70_availability.sql

-- Availability: the hours people work and places are open, turned into instants; and what is said to claims that
-- do not respect them.

-- A local day begins when the day before ends, also where the clock skips midnight.
create function private.day_start(p_date date, p_time_zone text) returns timestamptz
language sql stable strict set search_path = ''
return private.local_end_to_instant(p_date, time '00:00', p_time_zone);
comment on function private.day_start(date, text) is 'The instant a date begins in a zone.';

create function private.resource_time_zone(p_resource_id uuid) returns text
language sql stable security definer set search_path = ''
return coalesce(
  (
    select coalesce(p.time_zone, l.time_zone)
    from public.resources r
    left join public.user_profiles p on p.id = r.profile_id
    left join public.locations l on l.id = r.location_id
    where r.id = p_resource_id
  ),
  private.setting_text('organisation_time_zone')
);
comment on function private.resource_time_zone(uuid) is 'The IANA zone a person or place reads the clock in; by default the organisation''s.';

create function private.set_default_zone() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  new.time_zone := coalesce(new.time_zone, private.resource_time_zone(new.resource_id));
  return new;
end;
$$;
comment on function private.set_default_zone() is 'Row trigger: a row that names no time zone gets its resource''s.';

create trigger t10_keep_version before update on public.availability_rules
  for each row execute function private.keep_version();
create trigger t20_set_default_zone before insert or update of time_zone, resource_id on public.availability_rules
  for each row execute function private.set_default_zone();

-- Many people keep the same hours, so each wall-clock time is turned into an instant once. A date on which one of
-- the two times is skipped by the clock is skipped.
create function private.hours_of(p_resource_ids uuid[], p_window tstzrange)
returns table (resource_id uuid, stated tstzmultirange, hours tstzmultirange)
language sql stable set search_path = ''
begin atomic
  with occurrences as (
    select r.resource_id, d.day::date as day, r.start_time, r.end_time, r.time_zone
    from public.availability_rules r
    cross join lateral (
      select greatest(lower(r.effective), (lower(p_window) at time zone r.time_zone)::date - 1) as first
    ) f
    cross join lateral generate_series(
      f.first + ((r.weekday - extract(dow from f.first)::integer + 7) % 7),
      least(upper(r.effective) - 1, (upper(p_window) at time zone r.time_zone)::date + 1)::timestamp,
      interval '7 days'
    ) as d(day)
    where r.resource_id = any(p_resource_ids)
  ),
  starts as (
    select s.day, s.start_time, s.time_zone, private.local_to_instant(s.day, s.start_time, s.time_zone) as at
    from (select distinct o.day, o.start_time, o.time_zone from occurrences o) s
  ),
  ends as (
    select e.day, e.end_time, e.time_zone, private.local_end_to_instant(e.day, e.end_time, e.time_zone) as at
    from (select distinct o.day, o.end_time, o.time_zone from occurrences o) e
  ),
  worked as (
    select o.resource_id, range_agg(tstzrange(s.at, e.at)) as hours
    from occurrences o
    join starts s on s.day = o.day and s.start_time = o.start_time and s.time_zone = o.time_zone
    join ends e on e.day = o.day and e.end_time = o.end_time and e.time_zone = o.time_zone
    where s.at < e.at
    group by o.resource_id
  ),
  stated as (
    select r.resource_id,
      range_agg(tstzrange(private.day_start(lower(r.effective), r.time_zone), private.day_start(upper(r.effective), r.time_zone))) as stated
    from (
      select distinct a.resource_id, a.effective, a.time_zone
      from public.availability_rules a
      where a.resource_id = any(p_resource_ids)
    ) r
    group by r.resource_id
  )
  select s.resource_id, s.stated, coalesce(w.hours, '{}')
  from stated s
  left join worked w on w.resource_id = s.resource_id;
end;
comment on function private.hours_of(uuid[], tstzrange) is
  'For resources that stated hours: during which time they did so at all, and their hours in a window; both reach beyond the window.';

-- Everything that keeps a resource from being asked for, whatever hours it stated.
create function private.busy_ranges(p_resource_ids uuid[], p_window tstzrange) returns table (resource_id uuid, during tstzrange)
language sql stable security definer set search_path = ''
begin atomic
  select c.resource_id, c.during
  from public.claims c
  where c.resource_id = any(p_resource_ids) and c.during && p_window
  union all
  select t.resource_id, t.during
  from public.time_off t
  where t.resource_id = any(p_resource_ids) and t.during && p_window and t.status = 'approved'
  union all
  select r.id, c.during
  from public.closures c
  join public.resources r on c.location_id is null or r.location_id = c.location_id
  where r.id = any(p_resource_ids) and c.during && p_window;
end;
comment on function private.busy_ranges(uuid[], tstzrange) is
  'When resources are taken, on approved time off, or closed (everything, or the place itself); neither clipped nor merged.';

create function private.window_errors(p_resource_ids uuid[], p_from timestamptz, p_to timestamptz) returns jsonb
language sql stable set search_path = ''
return private.input_error(coalesce(cardinality(p_resource_ids), 0) = 0, 'p_resource_ids', 'Name at least one resource')
  || private.input_error(array_position(p_resource_ids, null) is not null, 'p_resource_ids', 'A resource is missing its id')
  || private.input_error(p_from is null, 'p_from', 'Say from when')
  || private.input_error(p_to is null, 'p_to', 'Say until when')
  || private.input_error(p_from not between timestamptz '1970-01-01 00:00+00' and timestamptz '2200-01-01 00:00+00', 'p_from', 'A date lies between 1970 and 2199')
  || private.input_error(p_to not between timestamptz '1970-01-01 00:00+00' and timestamptz '2200-01-01 00:00+00', 'p_to', 'A date lies between 1970 and 2199')
  || private.input_error(p_to <= p_from, 'p_to', 'The end must be after the start')
  || private.input_error(isfinite(p_from) and isfinite(p_to) and p_to - p_from > interval '366 days', 'p_to', 'At most a year at once');
comment on function private.window_errors(uuid[], timestamptz, timestamptz) is
  'What is wrong with asking for these resources between two instants, as private.fail_input takes it.';

create function private.refuse_too_many(p_resource_ids uuid[]) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if cardinality(p_resource_ids) > 100 then
    perform private.fail('limit_exceeded', 'Ask for at most 100 resources at once', 'p_resource_ids', jsonb_build_object('limit', 100));
  end if;
end;
$$;
comment on function private.refuse_too_many(uuid[]) is 'Raises limit_exceeded for more resources than may be asked for at once.';

-- Called after claims were made, with their resources locked where the answer matters. What was stated in vague terms
-- to a manager is told in bare times to everybody else.
create function private.refuse_unavailable(p_claims public.claims[]) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_decides boolean;
  v_self uuid;
  v_message text;
  v_conflicts jsonb;
  v_count integer;
begin
  if private.setting_text('availability_policy') <> 'refuse' then
    return;
  end if;
  v_decides := private.has_permission('decide:time_off');
  v_self := private.current_profile_id();
  with wanted as materialized (
    select n.resource_id, r.name, r.kind, r.location_id, n.source_table, n.source_id, n.during
    from unnest(p_claims) n
    join public.resources r on r.id = n.resource_id
  ),
  hours as (
    select h.resource_id, h.stated, h.hours
    from private.hours_of(
      array(select distinct w.resource_id from wanted w),
      (select range_merge(range_agg(w.during)) from wanted w)
    ) h
  ),
  reasons as (
    select w.resource_id, w.name, w.source_table, w.source_id, w.during,
      'time_off' as kind, 'time_off' as with_table, t.id as with_id, t.reason as title, t.during as with_during,
      format('%s is off', w.name) as sentence, v_decides or w.resource_id = v_self as is_told
    from wanted w
    join public.time_off t on t.resource_id = w.resource_id and t.during && w.during and t.status = 'approved'
    union all
    select w.resource_id, w.name, w.source_table, w.source_id, w.during,
      'closure', 'closures', c.id, c.name, c.during,
      format('%s is closed for %s', case when c.location_id is null then 'Everything' else w.name end, c.name), true
    from wanted w
    join public.closures c on (c.location_id is null or c.location_id = w.location_id) and c.during && w.during
    union all
    select w.resource_id, w.name, w.source_table, w.source_id, w.during,
      'outside_availability', 'availability_rules', null, null, o.outside,
      format(case w.kind when 'person' then '%s does not work' else '%s is not open' end, w.name), true
    from wanted w
    join hours h on h.resource_id = w.resource_id
    cross join lateral unnest(tstzmultirange(w.during) * h.stated - h.hours) as o(outside)
  ),
  numbered as (
    select r.*, row_number() over (order by lower(r.during), r.name, r.kind, lower(r.with_during)) as position,
      count(*) over () as total
    from reasons r
  )
  select max(n.total),
    max(case when n.position = 1 then
      n.sentence || ', ' || private.describe_range(n.with_during)
      || case when n.total > 1 then format(' (and %s more)', n.total - 1) else '' end
    end),
    jsonb_agg(
      jsonb_build_object(
        'resource_id', n.resource_id, 'resource_name', n.name, 'source_table', n.source_table, 'source_id', n.source_id,
        'starts_at', lower(n.during), 'ends_at', upper(n.during), 'conflicts_with',
        jsonb_build_object('starts_at', lower(n.with_during), 'ends_at', upper(n.with_during), 'kind', n.kind)
        || case when n.is_told then jsonb_build_object(
          'source_table', n.with_table, 'source_id', n.with_id, 'title', n.title
        ) else '{}' end
      ) order by n.position
    ) filter (where n.position <= 100)
  into v_count, v_message, v_conflicts
  from numbered n;
  if v_count > 0 then
    perform private.fail('time_conflict', v_message, p_details => jsonb_build_object('conflicts', v_conflicts, 'count', v_count),
      p_hint => 'Choose another time; free_slots() says when all are free. The setting availability_policy decides whether this is refused.');
  end if;
end;
$$;
comment on function private.refuse_unavailable(public.claims[]) is
  'Where the setting availability_policy is "refuse": raises time_conflict for claims in approved time off, in a closure or outside stated hours.';

-- sql/20_time/rules/75_time_off.sql

-- Time off: when it is, who may decide it, and what becomes of what the person was needed for.

-- Claims, and beyond the horizon, where nothing is claimed yet, what weekly rules promise.
create function private.uses_within(p_resource_ids uuid[], p_during tstzrange)
returns table (resource_id uuid, source_table text, source_id uuid, occurs_on date, kind text, title text, during tstzrange)
language sql stable security definer set search_path = ''
begin atomic
  select c.resource_id, c.source_table, c.source_id, c.occurs_on, c.kind, c.title, c.during
  from public.claims c
  where c.resource_id = any(p_resource_ids) and c.during && p_during
  union all
  select c.resource_id, c.source_table, c.source_id, c.occurs_on, c.kind, c.title, c.during
  from public.claims c
  where p_resource_ids is null and c.during && p_during
  union all
  select h.resource_id, 'weekly_rules', r.id, o.occurs_on, r.kind, r.title, o.during
  from public.resource_horizons h
  join public.weekly_rule_resources p on p.resource_id = h.resource_id
  join public.weekly_rules r on r.id = p.rule_id
  cross join lateral private.rule_occurrences(
    r, greatest(h.claimed_until, lower(p_during) - interval '24 hours'), upper(p_during)
  ) o
  where (p_resource_ids is null or h.resource_id = any(p_resource_ids))
    and h.claimed_until < upper(p_during) and o.during && p_during;
end;
comment on function private.uses_within(uuid[], tstzrange) is
  'What these resources (null: all) are needed for in a range, whether claimed already or promised by a weekly rule.';

create function private.time_off_errors(
  p_starts_on date, p_ends_on date, p_start_time time, p_end_time time, p_time_zone text, p_prefix text
) returns jsonb
language sql stable set search_path = ''
return private.input_error(p_starts_on is null, p_prefix || 'starts_on', 'Say on which day it starts')
  || private.input_error(p_starts_on not between date '1970-01-01' and date '2199-12-30', p_prefix || 'starts_on', 'A date lies between 1970 and 2199')
  || private.input_error(p_ends_on not between date '1970-01-01' and date '2199-12-30', p_prefix || 'ends_on', 'A date lies between 1970 and 2199')
  || private.input_error(p_ends_on < p_starts_on, p_prefix || 'ends_on', 'The last day must not be before the first')
  || private.input_error(isfinite(p_starts_on) and isfinite(p_ends_on) and p_ends_on - p_starts_on >= 731, p_prefix || 'ends_on',
    'Time off lasts at most two years')
  || private.input_error(
    coalesce(p_ends_on, p_starts_on) = p_starts_on and coalesce(p_end_time, time '24:00') <= coalesce(p_start_time, time '00:00'),
    p_prefix || 'end_time', 'The end must be after the start')
  || private.input_error(not private.is_time_zone(p_time_zone), p_prefix || 'time_zone', 'That is no IANA time zone');
comment on function private.time_off_errors(date, date, time, time, text, text) is
  'What is wrong with time off, as private.fail_input takes it; the prefix goes before each field.';

create function private.set_time_off_range() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_starts_at timestamptz;
  v_ends_at timestamptz;
begin
  if tg_op = 'UPDATE' and old.status <> 'requested' and (
    (new.resource_id, new.starts_on, new.ends_on, new.start_time, new.end_time, new.time_zone)
    is distinct from (old.resource_id, old.starts_on, old.ends_on, old.start_time, old.end_time, old.time_zone)
  ) then
    perform private.fail('illegal_transition', format('Time off that is %s keeps its dates', old.status), 'starts_on',
      jsonb_build_object('id', old.id, 'status', old.status), 'Cancel it and request the other dates.');
  end if;
  new.ends_on := coalesce(new.ends_on, new.starts_on);
  new.time_zone := coalesce(new.time_zone, private.resource_time_zone(new.resource_id));
  perform private.fail_input(
    private.time_off_errors(new.starts_on, new.ends_on, new.start_time, new.end_time, new.time_zone, '')
  );
  v_starts_at := case when new.start_time is null then private.day_start(new.starts_on, new.time_zone)
    else private.local_to_instant(new.starts_on, new.start_time, new.time_zone) end;
  if v_starts_at is null then
    perform private.fail_local_time(new.starts_on, new.start_time, new.time_zone, 'start_time');
  end if;
  v_ends_at := case when new.end_time is null then private.day_start(new.ends_on + 1, new.time_zone)
    else private.local_end_to_instant(new.ends_on, new.end_time, new.time_zone) end;
  if v_ends_at is null then
    perform private.fail_local_time(new.ends_on, new.end_time, new.time_zone, 'end_time');
  end if;
  if v_ends_at <= v_starts_at then
    perform private.fail('invalid_input', 'The clock skips all of it', 'ends_on');
  end if;
  new.during := tstzrange(v_starts_at, v_ends_at);
  return new;
end;
$$;
comment on function private.set_time_off_range() is
  'Row trigger: works out during, names every bad field, and keeps the dates of time off that was decided.';

-- Approving locks the person, as whoever claims their time does where claims in time off are refused.
create function private.check_time_off_status() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_from text := case tg_op when 'UPDATE' then old.status end;
  v_is_own boolean := not private.is_trusted() and new.resource_id = private.current_profile_id();
begin
  if tg_op = 'UPDATE' and new.status = old.status then
    return new;
  end if;
  if (coalesce(v_from, 'new'), new.status) not in (
    ('new', 'requested'), ('requested', 'approved'), ('requested', 'refused'), ('requested', 'cancelled'), ('approved', 'cancelled')
  ) then
    perform private.fail('illegal_transition',
      case tg_op when 'UPDATE' then format('Time off that is %s cannot become %s', v_from, new.status)
        else 'Time off is requested first, then decided' end,
      'status', jsonb_build_object('id', new.id, 'from', v_from, 'to', new.status));
  end if;
  if new.status = 'requested' then
    new.decided_by := null;
    new.decided_at := null;
  elsif new.status = 'cancelled' then
    if not private.has_permission('decide:time_off') then
      if v_is_own is not true then
        perform private.require_permission('decide:time_off');
      elsif v_from = 'approved' and lower(new.during) <= private.now() then
        perform private.fail('forbidden', 'It has begun: only those who decide time off can cancel it now',
          p_details => jsonb_build_object('id', new.id, 'permission', 'decide:time_off'));
      end if;
    end if;
  else
    perform private.require_permission('decide:time_off');
    if v_is_own and not private.has_role('admin') then
      perform private.fail('forbidden', 'Somebody else has to decide your own time off', p_details => jsonb_build_object('id', new.id));
    end if;
    new.decided_by := private.caller_id();
    new.decided_at := private.now();
  end if;
  if new.status = 'approved' then
    perform private.require_read_committed();
    perform private.lock_resources(array[new.resource_id]);
    if not new.keeps_claims then
      perform private.refuse_time_off_in_use(new);
    end if;
  end if;
  return new;
end;
$$;
comment on function private.check_time_off_status() is
  'Row trigger: time off is requested, decided by somebody else, perhaps cancelled, and not approved while the person is needed, unless that is kept.';

create function private.refuse_time_off_in_use(p_time_off public.time_off) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_name text := (select r.name from public.resources r where r.id = p_time_off.resource_id);
  v_message text;
  v_conflicts jsonb;
  v_count integer;
begin
  with numbered as (
    select u.*, row_number() over (order by lower(u.during), u.title, u.source_id) as position, count(*) over () as total
    from private.uses_within(array[p_time_off.resource_id], p_time_off.during) u
  )
  select max(n.total),
    max(case when n.position = 1 then
      format('%s is needed then: %s, %s', v_name, n.title, private.describe_range(n.during, p_time_off.time_zone))
      || case when n.total > 1 then format(' (and %s more)', n.total - 1) else '' end
    end),
    jsonb_agg(
      jsonb_build_object(
        'resource_id', p_time_off.resource_id, 'resource_name', v_name, 'source_table', 'time_off', 'source_id', p_time_off.id,
        'starts_at', lower(p_time_off.during), 'ends_at', upper(p_time_off.during), 'conflicts_with',
        jsonb_build_object('starts_at', lower(n.during), 'ends_at', upper(n.during), 'source_table', n.source_table,
          'source_id', n.source_id, 'occurs_on', n.occurs_on, 'kind', n.kind, 'title', n.title)
      ) order by n.position
    ) filter (where n.position <= 100)
  into v_count, v_message, v_conflicts
  from numbered n;
  if v_count > 0 then
    perform private.fail('time_conflict', v_message, p_details => jsonb_build_object('conflicts', v_conflicts, 'count', v_count),
      p_hint => 'Refuse the time off, move what is there, or approve it and keep that, flagged for cover (p_claims "keep").');
  end if;
end;
$$;
comment on function private.refuse_time_off_in_use(public.time_off) is
  'Raises time_conflict listing what a person is needed for during their time off.';

create function private.flag_for_cover() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if new.status = 'approved' then
    insert into public.cover_requests (time_off_id, resource_id, source_table, source_id, occurs_on)
    select new.id, u.resource_id, u.source_table, u.source_id, u.occurs_on
    from private.uses_within(array[new.resource_id], new.during) u
    order by u.occurs_on, u.source_id;
  else
    update public.cover_requests c set status = 'dropped' where c.time_off_id = new.id and c.status = 'open';
  end if;
  return null;
end;
$$;
comment on function private.flag_for_cover() is
  'Row trigger: approved time off asks for cover for what the person was needed for; cancelled time off asks no longer.';

create trigger t10_keep_version before update on public.time_off
  for each row execute function private.keep_version();
create trigger t20_set_range
  before insert or update of resource_id, starts_on, ends_on, start_time, end_time, time_zone, during on public.time_off
  for each row execute function private.set_time_off_range();
create trigger t30_check_status before insert or update of status on public.time_off
  for each row execute function private.check_time_off_status();
create trigger t60_flag_for_cover after update of status on public.time_off
  for each row when (old.status <> new.status) execute function private.flag_for_cover();

create function private.check_cover_request() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_use record;
begin
  if (new.id, new.time_off_id, new.resource_id, new.source_table, new.source_id, new.occurs_on)
    is distinct from (old.id, old.time_off_id, old.resource_id, old.source_table, old.source_id, old.occurs_on) then
    perform private.fail('invalid_input', 'A cover request stays with what it is for', 'source_id');
  end if;
  if new.status = old.status then
    return new;
  end if;
  if old.status <> 'open' or new.status not in ('covered', 'dropped') then
    perform private.fail('illegal_transition', format('A cover request that is %s cannot become %s', old.status, new.status), 'status',
      jsonb_build_object('id', new.id, 'from', old.status, 'to', new.status));
  end if;
  if new.status = 'covered' then
    select u.title, u.during, r.name into v_use
    from public.time_off t
    cross join lateral private.uses_within(array[new.resource_id], t.during) u
    join public.resources r on r.id = new.resource_id
    where t.id = new.time_off_id and u.source_table = new.source_table and u.source_id = new.source_id
      and u.occurs_on = new.occurs_on;
    if found then
      perform private.fail('illegal_transition',
        format('%s is still down for %s, %s', v_use.name, v_use.title, private.describe_range(v_use.during)), 'status',
        jsonb_build_object('id', new.id, 'from', old.status, 'to', new.status),
        'Give it to somebody else first, or drop the request when no cover is needed.');
    end if;
  end if;
  return new;
end;
$$;
comment on function private.check_cover_request() is
  'Row trigger: a cover request is open, then covered (once the one who is away is out of it) or dropped.';

create trigger t00_only_triggers_insert before insert on public.cover_requests
  for each statement execute function private.refuse_direct_write(
    'Approve time off with p_claims "keep": what is needed then is flagged.');
create trigger t10_keep_version before update on public.cover_requests
  for each row execute function private.keep_version();
create trigger t20_check before update on public.cover_requests
  for each row execute function private.check_cover_request();

-- sql/20_time/rules/80_closures.sql

-- Closures: whole local days on which one place, or everything, is closed.

create function private.closure_range(p_starts_on date, p_ends_on date, p_location_id uuid) returns tstzrange
language sql stable security definer set search_path = ''
return (
  select tstzrange(private.day_start(p_starts_on, z.zone), private.day_start(p_ends_on + 1, z.zone))
  from (
    select coalesce(
      (select l.time_zone from public.locations l where l.id = p_location_id),
      private.setting_text('organisation_time_zone')
    ) as zone
  ) z
  where p_starts_on <= p_ends_on
);
comment on function private.closure_range(date, date, uuid) is
  'The instants of whole days where a place is, or where the organisation is; null for a last day before the first.';

-- Where claims in closures are refused, whoever claims time holds the resources' locks: so does who closes them.
create function private.set_closure_range() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  new.name := private.clean_text(new.name);
  new.ends_on := coalesce(new.ends_on, new.starts_on);
  perform private.fail_input(private.closure_errors(new.name, new.starts_on, new.ends_on, ''));
  new.during := private.closure_range(new.starts_on, new.ends_on, new.location_id);
  if isempty(new.during) then
    perform private.fail('invalid_input', 'The clock skips all of it', 'starts_on');
  end if;
  if private.setting_text('availability_policy') = 'refuse' then
    perform private.require_read_committed();
    perform private.lock_resources(array(
      select r.id from public.resources r where new.location_id is null or r.location_id = new.location_id
    ));
  end if;
  return new;
end;
$$;
comment on function private.set_closure_range() is 'Row trigger: works out during, and names every bad field.';

create function private.closure_errors(p_name text, p_starts_on date, p_ends_on date, p_prefix text) returns jsonb
language sql immutable set search_path = ''
return private.input_error(private.clean_text(p_name) is null, p_prefix || 'name', 'Say what the closure is called')
  || private.input_error(length(p_name) > 200, p_prefix || 'name', 'A name has at most 200 characters')
  || private.input_error(p_starts_on is null, p_prefix || 'starts_on', 'Say on which day it starts')
  || private.input_error(p_starts_on not between date '1970-01-01' and date '2199-12-30', p_prefix || 'starts_on', 'A date lies between 1970 and 2199')
  || private.input_error(p_ends_on not between date '1970-01-01' and date '2199-12-30', p_prefix || 'ends_on', 'A date lies between 1970 and 2199')
  || private.input_error(p_ends_on < p_starts_on, p_prefix || 'ends_on', 'The last day must not be before the first')
  || private.input_error(isfinite(p_starts_on) and isfinite(p_ends_on) and p_ends_on - p_starts_on >= 731, p_prefix || 'ends_on',
    'A closure lasts at most two years');
comment on function private.closure_errors(text, date, date, text) is
  'What is wrong with a closure, as private.fail_input takes it; the prefix goes before each field.';

create trigger t10_keep_version before update on public.closures
  for each row execute function private.keep_version();
create trigger t20_set_range before insert or update of name, starts_on, ends_on, location_id, during on public.closures
  for each row execute function private.set_closure_range();

-- Days are where the clock is: when a place's zone or the organisation's changes, its closed days stay the same dates.
create function private.follow_location_zone() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.closures c set starts_on = c.starts_on where c.location_id = new.id;
  return null;
end;
$$;
comment on function private.follow_location_zone() is 'Row trigger on locations: closures of a place follow its zone.';

create trigger t60_follow_zone after update of time_zone on public.locations
  for each row when (old.time_zone is distinct from new.time_zone) execute function private.follow_location_zone();

create function private.follow_organisation_zone() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.closures c set starts_on = c.starts_on
  where not exists (select from public.locations l where l.id = c.location_id and l.time_zone is not null);
  return null;
end;
$$;
comment on function private.follow_organisation_zone() is
  'Row trigger on settings: closures of everything, and of places without a zone of their own, follow the organisation''s zone.';

create trigger t60_follow_zone after update on public.settings
  for each row when (
    new.key = 'organisation_time_zone' and coalesce(old.value, old.default_value) is distinct from coalesce(new.value, new.default_value)
  ) execute function private.follow_organisation_zone();

-- sql/20_time/rules/90_import_reading.sql

-- Importing meetings, first part: from text to rows, with every fault of every row told.
--
-- A timetable has tens of thousands of rows but few different dates, times, titles and names, so whatever costs
-- something is worked out once for each different text and joined back.
--
-- Rows travel as arrays. Nobody keeps statistics of those, so what joins them plans for the arrays it is given
-- (plan_cache_mode), and never compares all with all where it can hash (enable_nestloop). What writes must not do so: the
-- foreign keys would be planned for every row.

create type private.import_row as (
  row_number integer,
  line integer,
  fate text,
  external_ref text,
  course text,
  section text,
  title text,
  person text,
  place text,
  capacity integer,
  enrolled integer,
  date date,
  start_time time,
  end_time time,
  starts_at timestamptz,
  ends_at timestamptz,
  meeting_id uuid,
  person_id uuid,
  place_id uuid
);
comment on type private.import_row is
  'One row of a timetable. fate: bad, repeated (an earlier row says the same), unchanged (imported before), left_out, or new.';

create type private.import_fault as (row_number integer, line integer, column_name text, code text, reason text, value text);
comment on type private.import_fault is 'What is wrong with one field of one row of a timetable.';

create type private.import_name as (kind text, key text, name text, resource_id uuid, is_new boolean, candidates integer);
comment on type private.import_name is 'A person or place a timetable names, and the resource that is meant; a new one gets its id here.';

create function private.text_to_date(p_text text) returns date
language sql immutable set search_path = ''
return case
    when p_text ~ '^(19[7-9][0-9]|2[01][0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$' then
      case
        when substr(p_text, 9, 2)::integer <= extract(day from
            make_date(substr(p_text, 1, 4)::integer, substr(p_text, 6, 2)::integer, 1) + interval '1 month' - interval '1 day')
          then make_date(substr(p_text, 1, 4)::integer, substr(p_text, 6, 2)::integer, substr(p_text, 9, 2)::integer)
      end
  end;
comment on function private.text_to_date(text) is 'The date of text like 2018-09-04, from 1970 to 2199; null for anything else.';

create function private.text_to_time(p_text text) returns time
language sql immutable set search_path = ''
return case
    when p_text ~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$' or p_text ~ '^24:00(:00)?$' then p_text::time
  end;
comment on function private.text_to_time(text) is 'The time of text like 09:30, 9:30 or 09:30:00, also 24:00; null for anything else.';

-- The id of a meeting is worked out from what its row says (less capacity and enrolment), so that the same row imported
-- again is found again, also when somebody has moved, renamed or cancelled the meeting meanwhile.
create function private.read_import_rows(
  p_rows jsonb, p_time_zone text, out p_read private.import_row[], out p_faults private.import_fault[]
)
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
declare
  v_mark constant text := chr(31); -- in no cleaned text
  v_key constant text := 'imported meeting' || v_mark || p_time_zone || v_mark;
begin
  with raw as materialized (
    select i.n::integer as row_number, i.item ->> 'line' as line, i.item ->> 'date' as date,
      i.item ->> 'start_time' as start_time, i.item ->> 'end_time' as end_time,
      i.item - array['line', 'date', 'start_time', 'end_time'] as rest
    from jsonb_array_elements(p_rows) with ordinality as i(item, n)
  ), rests as materialized (
    select d.rest, r.crn, r.course, r.section, r.title, r.instructor, r.location, r.capacity, r.enrolled,
      private.clean_text(r.crn) as external_ref,
      private.clean_text(r.course) as clean_course,
      private.clean_text(r.section) as clean_section,
      coalesce(private.clean_name(r.title), private.clean_name(r.course)) as clean_title,
      nullif(private.clean_name(r.instructor), 'BY ARR') as person,
      nullif(private.clean_name(r.location), 'BY ARR') as place,
      case when r.capacity ~ '^\s*[0-9]{1,9}\s*$' then r.capacity::integer end as clean_capacity,
      case when r.enrolled ~ '^\s*[0-9]{1,9}\s*$' then r.enrolled::integer end as clean_enrolled
    from (select distinct raw.rest from raw) d
    cross join lateral jsonb_to_record(d.rest) as r(
      crn text, course text, section text, title text, instructor text, location text, capacity text, enrolled text)
  ), rests_judged as materialized (
    select r.*,
      r.clean_title is null or length(r.clean_title) > 500
        or greatest(length(r.external_ref), length(r.clean_course), length(r.clean_section), length(r.person), length(r.place), 0) > 200
        or (r.clean_capacity is null and coalesce(r.capacity, '') ~ '\S')
        or (r.clean_enrolled is null and coalesce(r.enrolled, '') ~ '\S') as is_bad
    from rests r
  ), dates as materialized (
    select d.text, private.text_to_date(btrim(d.text)) as date from (select distinct raw.date as text from raw) d
  ), times as materialized (
    select t.text, private.text_to_time(btrim(t.text)) as time
    from (select raw.start_time as text from raw union select raw.end_time from raw) t
  ), dated as materialized (
    select raw.row_number, raw.line, raw.date as raw_date, raw.start_time as raw_start_time, raw.end_time as raw_end_time,
      raw.rest, d.date, s.time as start_time, e.time as end_time
    from raw
    left join dates d on d.text = raw.date
    left join times s on s.text = raw.start_time
    left join times e on e.text = raw.end_time
  ), starts as materialized (
    select u.date, u.start_time, private.local_to_instant(u.date, u.start_time, p_time_zone) as starts_at
    from (select distinct d.date, d.start_time from dated d where d.start_time < time '24:00') u
  ), ends as materialized (
    select u.date, u.end_time, private.local_end_to_instant(u.date, u.end_time, p_time_zone) as ends_at
    from (select distinct d.date, d.end_time from dated d) u
  ), judged as materialized (
    select d.*, s.starts_at, e.ends_at, r.crn, r.course, r.section, r.title, r.instructor, r.location, r.capacity, r.enrolled,
      r.external_ref, r.clean_course, r.clean_section, r.clean_title, r.person, r.place, r.clean_capacity, r.clean_enrolled,
      case when d.line ~ '^[0-9]{1,9}$' then d.line::integer else d.row_number + 1 end as clean_line,
      r.is_bad or coalesce(d.start_time >= d.end_time or s.starts_at is null or e.ends_at is null, true) as is_bad
    from dated d
    join rests_judged r on r.rest = d.rest
    left join starts s on s.date = d.date and s.start_time = d.start_time
    left join ends e on e.date = d.date and e.end_time = d.end_time
  )
  select
    (
      select array_agg(
        row(j.row_number, j.clean_line, case when j.is_bad then 'bad' else 'new' end,
          j.external_ref, j.clean_course, j.clean_section, j.clean_title, j.person, j.place, j.clean_capacity, j.clean_enrolled,
          j.date, j.start_time, j.end_time, j.starts_at, j.ends_at,
          case when not j.is_bad then md5(
            v_key || (j.date - date '1970-01-01') || v_mark || j.start_time || v_mark || j.end_time || v_mark || j.clean_title || v_mark
            || coalesce(j.external_ref, '') || v_mark || coalesce(lower(j.person), '') || v_mark || coalesce(lower(j.place), ''))::uuid end,
          null, null)::private.import_row
        order by j.row_number)
      from judged j
    ),
    (
      select array_agg(row(j.row_number, j.clean_line, f.column_name, 'invalid_input', f.reason, left(f.value, 200))::private.import_fault
        order by j.row_number, f.position)
      from judged j
      cross join lateral (
        values
          (1, length(j.external_ref) > 200, 'crn', 'It has at most 200 characters', j.crn),
          (2, length(j.clean_course) > 200, 'course', 'It has at most 200 characters', j.course),
          (3, length(j.clean_section) > 200, 'section', 'It has at most 200 characters', j.section),
          (4, j.clean_title is null, 'title', 'Say what it is called', j.title),
          (4, length(j.clean_title) > 500, 'title', 'A title has at most 500 characters', j.title),
          (5, length(j.person) > 200, 'instructor', 'A name has at most 200 characters', j.instructor),
          (6, length(j.place) > 200, 'location', 'A name has at most 200 characters', j.location),
          (7, j.date is null, 'date', 'A date is written like 2018-09-04, and lies between 1970 and 2199', j.raw_date),
          (8, coalesce(j.start_time >= time '24:00', true), 'start_time', 'A start is written like 09:30, from 00:00 to 23:59', j.raw_start_time),
          (9, j.end_time is null, 'end_time', 'An end is written like 10:45; midnight is 24:00', j.raw_end_time),
          (10, j.start_time < time '24:00' and j.end_time <= j.start_time, 'end_time',
            format('The end must be after the start (%s)', to_char(j.start_time, 'HH24:MI')), j.raw_end_time),
          (11, j.date is not null and j.start_time < time '24:00' and j.starts_at is null, 'start_time',
            format('%s %s does not exist in %s: the clock skips it', btrim(j.raw_date), btrim(j.raw_start_time), p_time_zone), j.raw_start_time),
          (12, j.date is not null and j.end_time > j.start_time and j.ends_at is null, 'end_time',
            format('%s %s does not exist in %s: the clock skips it', btrim(j.raw_date), btrim(j.raw_end_time), p_time_zone), j.raw_end_time),
          (13, j.clean_capacity is null and j.capacity ~ '\S', 'capacity', 'It is a whole number, or empty', j.capacity),
          (14, j.clean_enrolled is null and j.enrolled ~ '\S', 'enrolled', 'It is a whole number, or empty', j.enrolled)
      ) as f(position, is_fault, column_name, reason, value)
      where j.is_bad and f.is_fault
    )
  into p_read, p_faults;
end;
$$;
comment on function private.read_import_rows(jsonb, text) is
  'Reads the rows of a timetable (objects of text, local to the zone); what cannot be read is told for every field.';

-- A name means the resource of its kind that is called so, whatever the case; among several the one spelled exactly
-- so, among those one that is active. More than one after that is a fault, since guessing would book somebody else.
create function private.find_import_names(p_rows private.import_row[]) returns private.import_name[]
language plpgsql volatile set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    with spelled as (
      select n.kind, n.name, min(r.row_number) as first_row
      from unnest(p_rows) r
      cross join lateral (values ('person', r.person), ('place', r.place)) as n(kind, name)
      where n.name is not null and r.fate <> 'bad'
      group by n.kind, n.name
    ), named as (
      select s.kind, lower(s.name) as key, (array_agg(s.name order by s.first_row))[1] as name
      from spelled s
      group by s.kind, lower(s.name)
    ), known as materialized (
      select r.id, r.kind, r.name, r.is_active, lower(regexp_replace(r.name, '\s+', ' ', 'g')) as key
      from public.resources r
    ), matched as (
      select n.kind, n.key, n.name, r.id,
        count(r.id) over fit as candidates,
        row_number() over (partition by n.kind, n.key order by r.name = n.name desc, r.is_active desc, r.id) as position
      from named n
      left join known r on r.kind = n.kind and r.key = n.key
      window fit as (partition by n.kind, n.key, r.name = n.name, r.is_active)
    )
    select coalesce(
      array_agg(
        row(m.kind, m.key, m.name, coalesce(m.id, gen_random_uuid()), m.id is null, m.candidates)::private.import_name
        order by m.kind, m.key),
      '{}')
    from matched m
    where m.position = 1
  );
end;
$$;
comment on function private.find_import_names(private.import_row[]) is
  'The people and places that rows name, each with the resource meant; more than one candidate means nobody knows which.';

create function private.faults_of_names(p_rows private.import_row[], p_names private.import_name[]) returns private.import_fault[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return array(
    select row(r.row_number, r.line, u.column_name, 'invalid_input',
      format('%s are called so: nobody knows which is meant', n.candidates), u.name)::private.import_fault
    from unnest(p_rows) r
    cross join lateral (values ('person', 'instructor', r.person), ('place', 'location', r.place)) as u(kind, column_name, name)
    join unnest(p_names) n on n.kind = u.kind and n.key = lower(u.name)
    where n.candidates > 1 and r.fate <> 'bad'
    order by r.row_number, u.kind
  );
end;
$$;
comment on function private.faults_of_names(private.import_row[], private.import_name[]) is
  'The rows that name somebody who could be one of several.';

-- sql/20_time/rules/91_import_overlaps.sql

-- Importing meetings, second part: what overlaps what, and what follows from that.
--
-- Rows of one crn are one section: listed twice at the same time they are one thing told twice (two rooms, two
-- teachers, a lecture inside its laboratory), not a double booking. They never stand in each other's way, but need a
-- common key like all that overlaps. Everything else that overlaps clashes.

create type private.import_overlap as (
  kind text,
  resource_id uuid,
  row_number integer,
  with_row integer,
  is_one_section boolean,
  source_table text,
  source_id uuid,
  occurs_on date,
  source_kind text,
  title text,
  during tstzrange
);
comment on type private.import_overlap is
  'A row of a timetable that overlaps an earlier row (with_row), or a happening of the ledger (the columns after that).';

create function private.refuse_import_crowd(p_rows private.import_row[], p_resource_id uuid, p_date date, p_count bigint) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_name text := (
    select case when r.person_id = p_resource_id then r.person else r.place end
    from unnest(p_rows) r where p_resource_id in (r.person_id, r.place_id) limit 1
  );
begin
  perform private.fail('limit_exceeded',
    format('Too many rows overlap to compare them all: %s has %s on %s alone', v_name, p_count, p_date), 'p_rows',
    jsonb_build_object('name', v_name, 'date', p_date, 'rows', p_count),
    'Leave names empty that stand for no real person or place (online, to be announced).');
end;
$$;
comment on function private.refuse_import_crowd(private.import_row[], uuid, date, bigint) is
  'Raises limit_exceeded naming the person or place with the most rows on one date.';

-- All dates are in one zone and no row crosses midnight, so two rows that overlap have one date.
create function private.overlaps_in_import(p_rows private.import_row[]) returns private.import_overlap[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
declare
  v_most constant integer := 1000000;
  v_crowd record;
  v_found private.import_overlap[];
begin
  select u.id, u.date, u.uses, sum(u.uses * (u.uses - 1) / 2) over () as comparisons into v_crowd
  from (
    select x.id, r.date, count(*) as uses
    from unnest(p_rows) r
    cross join lateral (values (r.person_id), (r.place_id)) as x(id)
    where x.id is not null
    group by x.id, r.date
  ) u
  order by u.uses desc
  limit 1;
  if v_crowd.comparisons > 20 * v_most then
    perform private.refuse_import_crowd(p_rows, v_crowd.id, v_crowd.date, v_crowd.uses);
  end if;
  with uses as materialized (
    select u.kind, u.id, r.date, r.row_number, r.starts_at, r.ends_at, r.external_ref
    from unnest(p_rows) r
    cross join lateral (values ('person', r.person_id), ('place', r.place_id)) as u(kind, id)
    where u.id is not null
  )
  select array_agg(
    row(o.kind, o.id, o.row_number, o.with_row, o.is_one_section, null, null, null, null, null, null)::private.import_overlap
    order by o.row_number, o.with_row, o.kind)
  into v_found
  from (
    select b.kind, b.id, b.row_number, a.row_number as with_row, coalesce(a.external_ref = b.external_ref, false) as is_one_section
    from uses a
    join uses b on b.id = a.id and b.date = a.date
    where a.row_number < b.row_number and a.starts_at < b.ends_at and b.starts_at < a.ends_at
    limit v_most + 1
  ) o;
  if cardinality(v_found) > v_most then
    perform private.refuse_import_crowd(p_rows, v_crowd.id, v_crowd.date, v_crowd.uses);
  end if;
  return coalesce(v_found, '{}');
end;
$$;
comment on function private.overlaps_in_import(private.import_row[]) is
  'Every pair of rows that use one person or place at once, in the order of the later row.';

create function private.overlaps_with_ledger(p_rows private.import_row[], p_names private.import_name[], p_time_zone text)
returns private.import_overlap[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    with uses as materialized (
      select u.kind, u.id, r.date, r.row_number, r.starts_at, r.ends_at, r.external_ref
      from unnest(p_rows) r
      cross join lateral (values ('person', r.person_id), ('place', r.place_id)) as u(kind, id)
      where u.id is not null and r.fate = 'new'
    ), standing as materialized (
      select c.resource_id, c.source_table, c.source_id, c.occurs_on, c.kind, c.title, c.during, d.day::date as day
      from public.claims c
      -- A claim may run over several days, a row never does: they meet on the row's day, once.
      cross join lateral generate_series(
        (lower(c.during) at time zone p_time_zone)::date::timestamp,
        ((upper(c.during) - interval '1 microsecond') at time zone p_time_zone)::date::timestamp,
        interval '1 day'
      ) as d(day)
      where c.resource_id = any(array(select n.resource_id from unnest(p_names) n where not n.is_new))
        and c.during && (select tstzrange(min(u.starts_at), max(u.ends_at)) from uses u)
    )
    select coalesce(
      array_agg(
        row(u.kind, u.id, u.row_number, null, o.row_number is not null, s.source_table, s.source_id, s.occurs_on, s.kind, s.title,
          s.during)::private.import_overlap
        order by u.row_number, lower(s.during), s.source_id, u.kind),
      '{}')
    from uses u
    join standing s on s.resource_id = u.id and s.day = u.date and s.during && tstzrange(u.starts_at, u.ends_at)
    left join unnest(p_rows) o
      on o.meeting_id = s.source_id and s.source_table = 'meetings' and o.external_ref = u.external_ref and o.fate = 'unchanged'
  );
end;
$$;
comment on function private.overlaps_with_ledger(private.import_row[], private.import_name[], text) is
  'Every happening of the ledger that a new row overlaps; a meeting of an unchanged row of the same crn is its own section.';

create function private.clashes_of_import(p_rows private.import_row[], p_overlaps private.import_overlap[])
returns private.import_overlap[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return array(
    select o
    from unnest(p_overlaps) o
    join unnest(p_rows) r on r.row_number = o.row_number and r.fate = 'new'
    left join unnest(p_rows) w on w.row_number = o.with_row
    where not o.is_one_section and (o.with_row is null or w.fate = 'new')
    order by o.row_number, o.with_row
  );
end;
$$;
comment on function private.clashes_of_import(private.import_row[], private.import_overlap[]) is
  'Of the overlaps, those that stand in the way of a new row, in the order of the rows.';

-- First come, first served, exactly: whether a row fits depends on whether the rows before it did. That is one pass
-- over the clashes (no statement, no row of any table); rounds of statements over the same clashes would need as many
-- rounds as the longest chain of rows has links.
create function private.clashes_that_decide(p_clashes private.import_overlap[]) returns private.import_overlap[]
language plpgsql immutable set search_path = ''
as $$
declare
  v_clash private.import_overlap;
  v_left_out boolean[] := array_fill(false, array[coalesce((select max(c.row_number) from unnest(p_clashes) c), 0)]);
  v_deciding private.import_overlap[] := '{}';
begin
  -- In the order of the later row, so that the earlier one is settled by then.
  foreach v_clash in array p_clashes loop
    if not v_left_out[v_clash.row_number] and (v_clash.with_row is null or not v_left_out[v_clash.with_row]) then
      v_left_out[v_clash.row_number] := true;
      v_deciding := array_append(v_deciding, v_clash);
    end if;
  end loop;
  return v_deciding;
end;
$$;
comment on function private.clashes_that_decide(private.import_overlap[]) is
  'Of clashes in the order of the later row: for each row that cannot be imported when the ledger and earlier rows go first, what it clashes with.';

-- Union-find with path halving over plain integers: as good as linear in the pairs, whatever their shape.
create function private.connected(p_one integer[], p_other integer[]) returns table (node integer, root integer)
language plpgsql immutable set search_path = ''
as $$
declare
  v_parent integer[] := array(
    select g from generate_series(1, (select coalesce(max(n), 0) from (select unnest(p_one) as n union all select unnest(p_other)) e)) g
  );
  v_one integer;
  v_other integer;
begin
  for i in 1..coalesce(cardinality(p_one), 0) loop
    v_one := p_one[i];
    while v_parent[v_one] <> v_one loop
      v_parent[v_one] := v_parent[v_parent[v_one]];
      v_one := v_parent[v_one];
    end loop;
    v_other := p_other[i];
    while v_parent[v_other] <> v_other loop
      v_parent[v_other] := v_parent[v_parent[v_other]];
      v_other := v_parent[v_other];
    end loop;
    -- The smaller number stays the root: groups are numbered by their first member.
    v_parent[greatest(v_one, v_other)] := least(v_one, v_other);
  end loop;
  -- A parent is never greater than its child, so by the time a node is reached its parent's root is known.
  for i in 1..coalesce(cardinality(v_parent), 0) loop
    v_parent[i] := v_parent[v_parent[i]];
  end loop;
  return query
    select n.node, v_parent[n.node] from (select unnest(p_one) as node union select unnest(p_other)) n order by n.node;
end;
$$;
comment on function private.connected(integer[], integer[]) is
  'Which nodes belong together when each pair (p_one[i], p_other[i]) does: every node named, with the smallest of its group.';

-- sql/20_time/rules/92_import_writing.sql

-- Importing meetings, third part: names become resources, rows become meetings, what overlaps becomes override groups.

create function private.settle_import_rows(p_rows private.import_row[], p_names private.import_name[]) returns private.import_row[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    select coalesce(
      array_agg(
        row(r.row_number, r.line,
          case
            when r.fate <> 'new' then r.fate
            when r.first_row < r.row_number then 'repeated'
            when m.id is not null then 'unchanged'
            else 'new'
          end,
          r.external_ref, r.course, r.section, r.title, r.person, r.place, r.capacity, r.enrolled,
          r.date, r.start_time, r.end_time, r.starts_at, r.ends_at, r.meeting_id,
          case when r.fate <> 'bad' then p.resource_id end, case when r.fate <> 'bad' then l.resource_id end)::private.import_row
        order by r.row_number),
      '{}')
    from (
      select u.*, min(u.row_number) over (partition by u.meeting_id) as first_row from unnest(p_rows) u
    ) r
    left join public.meetings m on m.id = r.meeting_id
    left join unnest(p_names) p on p.kind = 'person' and p.key = lower(r.person)
    left join unnest(p_names) l on l.kind = 'place' and l.key = lower(r.place)
  );
end;
$$;
comment on function private.settle_import_rows(private.import_row[], private.import_name[]) is
  'Gives rows their resources, and says which are new, repeated within the file, or imported before.';

create function private.make_import_resources(p_names private.import_name[]) returns void
language sql volatile set search_path = ''
begin atomic
  insert into public.user_profiles (id, full_name)
  select n.resource_id, n.name from unnest(p_names) n where n.is_new and n.kind = 'person' order by n.key;
  insert into public.locations (id, name)
  select n.resource_id, n.name from unnest(p_names) n where n.is_new and n.kind = 'place' order by n.key;
end;
comment on function private.make_import_resources(private.import_name[]) is
  'Makes profiles without login and locations for the new names; their resources and horizons come with them.';

create function private.faults_beyond_horizon(p_rows private.import_row[], p_names private.import_name[]) returns private.import_fault[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    with new_ones as materialized (
      select private.now() + make_interval(days => private.setting_integer('ledger_horizon_days')) as claimed_until
    )
    select array_agg(
      row(r.row_number, r.line, 'date', 'limit_exceeded',
        format('%s can be booked until %s only', n.name, coalesce(h.claimed_until::date::text, d.claimed_until::date::text)),
        r.date::text)::private.import_fault
      order by r.row_number, n.kind)
    from new_ones d
    cross join unnest(p_rows) r
    cross join lateral (values (r.person_id), (r.place_id)) as u(id)
    join unnest(p_names) n on n.resource_id = u.id
    left join public.resource_horizons h on h.resource_id = n.resource_id
    where r.fate = 'new' and r.ends_at > coalesce(h.claimed_until, d.claimed_until)
  );
end;
$$;
comment on function private.faults_beyond_horizon(private.import_row[], private.import_name[]) is
  'The new rows that end after somebody or something they use can be booked; for new names, after where their horizon will be.';

-- Happenings before resources, like everybody who changes a happening: those that will join an override group, with
-- those of the groups they are in.
create function private.lock_import_sources(p_overlaps private.import_overlap[]) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.lock_sources(s.source_table, array_agg(s.source_id))
  from (
    select o.source_table, o.source_id from unnest(p_overlaps) o where o.with_row is null
    union
    select f.source_table, f.source_id
    from unnest(p_overlaps) o
    join public.override_members m on m.source_id = o.source_id and m.source_table = o.source_table
    join public.override_members f on f.override_id = m.override_id
  ) s
  group by s.source_table
  order by s.source_table;
end;
$$;
comment on function private.lock_import_sources(private.import_overlap[]) is
  'Locks the ledger''s happenings that rows overlap, before their resources are locked.';

create type private.import_member as (
  group_id uuid, is_one_section boolean, row_number integer, source_table text, source_id uuid, override_id uuid
);
comment on type private.import_member is
  'A happening of a cluster (whose override group will be group_id): the meeting of a row, or one of the ledger with the override group it is in so far.';

-- Every cluster of happenings that overlap, directly or through others. Those of the ledger that are in one override
-- group already count as one.
create function private.import_clusters(p_rows private.import_row[], p_overlaps private.import_overlap[])
returns private.import_member[]
language plpgsql volatile set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
declare
  v_one integer[];
  v_other integer[];
  v_sections boolean[];
  v_nodes integer[];
  v_members private.import_member[];
begin
  with relevant as materialized (
    select o.row_number, o.with_row, o.is_one_section, o.source_table, o.source_id
    from unnest(p_overlaps) o
    join unnest(p_rows) r on r.row_number = o.row_number and r.fate = 'new'
    left join unnest(p_rows) w on w.row_number = o.with_row
    where o.with_row is null or w.fate = 'new'
  ), standing as materialized (
    select s.source_table, s.source_id, m.override_id,
      (cardinality(p_rows) + dense_rank() over (order by coalesce(m.override_id::text, s.source_table || s.source_id)))::integer as node
    from (select distinct n.source_table, n.source_id from relevant n where n.with_row is null) s
    left join public.override_members m on m.source_id = s.source_id and m.source_table = s.source_table
  ), edges as materialized (
    select n.row_number as one, coalesce(n.with_row, s.node) as other, n.is_one_section
    from relevant n
    left join standing s on s.source_id = n.source_id and s.source_table = n.source_table
  ), members as materialized (
    select s.node, row(null, null, null, s.source_table, s.source_id, s.override_id)::private.import_member as member
    from standing s
    union all
    select r.row_number, row(null, null, r.row_number, 'meetings', r.meeting_id, null)::private.import_member
    from unnest(p_rows) r
    where r.row_number in (select e.one from edges e union all select e.other from edges e)
  )
  select e.one, e.other, e.sections, m.nodes, m.members into v_one, v_other, v_sections, v_nodes, v_members
  from (
    select array_agg(g.one order by g.one, g.other) as one, array_agg(g.other order by g.one, g.other) as other,
      array_agg(g.is_one_section order by g.one, g.other) as sections
    from edges g
  ) e
  cross join (
    select array_agg(g.node order by g.node) as nodes, array_agg(g.member order by g.node) as members from members g
  ) m;
  return array(
    with connected as materialized (
      select c.node, c.root from private.connected(v_one, v_other) c
    ), clusters as materialized (
      select c.root, bool_and(e.is_one_section) as is_one_section
      from unnest(v_one, v_sections) as e(node, is_one_section)
      join connected c on c.node = e.node
      group by c.root
    ), groups as materialized (
      -- Another row of a section joins the group its section has: nothing else is allowed by that than was before.
      select l.root, l.is_one_section,
        case when l.is_one_section and count(distinct o.id) = 1 and bool_and(o.expires_at is null and o.revoked_at is null)
          then (array_agg(o.id) filter (where o.id is not null))[1] else gen_random_uuid() end as group_id
      from clusters l
      join connected c on c.root = l.root
      join rows from (unnest(v_nodes), unnest(v_members))
        as m(node, group_id, is_one_section, row_number, source_table, source_id, override_id) on m.node = c.node
      left join public.overrides o on o.id = m.override_id
      group by l.root, l.is_one_section
    )
    select row(l.group_id, l.is_one_section, m.row_number, m.source_table, m.source_id, m.override_id)::private.import_member
    from connected c
    join groups l on l.root = c.root
    join rows from (unnest(v_nodes), unnest(v_members))
      as m(node, group_id, is_one_section, row_number, source_table, source_id, override_id) on m.node = c.node
  );
end;
$$;
comment on function private.import_clusters(private.import_row[], private.import_overlap[]) is
  'The happenings that overlap new rows, and those rows, by cluster.';

-- Each cluster becomes one group. A group that stands and is touched moves into it whole, because a happening is in
-- one group only; the override it leaves stays, empty, as the record of who allowed it.
create function private.group_import(p_members private.import_member[], p_label text) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  if exists (select from unnest(p_members) m where m.override_id <> m.group_id) then
    perform private.require_permission('grant:override');
  end if;
  insert into public.overrides (id, reason, granted_by)
  select m.group_id,
    private.clean_text(left(
      p_label || case when m.is_one_section then ': rows of one crn at once' else '' end
      || coalesce('; before that: ' || string_agg(distinct o.reason, '; '), ''), 1000)),
    private.caller_id()
  from unnest(p_members) m
  left join public.overrides o on o.id = m.override_id
  group by m.group_id, m.is_one_section
  having bool_and(m.override_id is distinct from m.group_id);
  update public.override_members s
  set override_id = m.group_id
  from (select distinct u.override_id, u.group_id from unnest(p_members) u where u.override_id <> u.group_id) m
  where s.override_id = m.override_id;
  -- Before the meetings themselves are there, so that their claims carry the group's key from the start.
  insert into public.override_members (override_id, source_table, source_id)
  select m.group_id, m.source_table, m.source_id
  from unnest(p_members) m
  where m.override_id is null
  order by m.source_id, m.source_table;
end;
$$;
comment on function private.group_import(private.import_member[], text) is
  'Makes the override groups of an import''s clusters, before the meetings that will be in them.';

create function private.write_import(p_rows private.import_row[], p_time_zone text) returns void
language sql volatile set search_path = ''
begin atomic
  insert into public.meetings (
    id, title, date, start_time, end_time, time_zone, starts_at, ends_at, course, section, external_ref, capacity, enrolled,
    created_by, created_at, updated_at
  )
  select r.meeting_id, r.title, r.date, r.start_time, r.end_time, p_time_zone, r.starts_at, r.ends_at, r.course, r.section,
    r.external_ref, r.capacity, r.enrolled, w.caller, w.now, w.now
  from unnest(p_rows) r
  cross join (select private.caller_id() as caller, private.now() as now) w
  where r.fate = 'new';
  insert into public.meeting_participants (meeting_id, resource_id)
  select r.meeting_id, u.id
  from unnest(p_rows) r
  cross join lateral (values (r.person_id), (r.place_id)) as u(id)
  where r.fate = 'new' and u.id is not null;
end;
comment on function private.write_import(private.import_row[], text) is
  'Writes the new rows as meetings with their participants; their claims follow, or time_conflict says who was faster.';

create function private.leave_out(p_rows private.import_row[], p_left_out integer[]) returns private.import_row[]
language plpgsql immutable set search_path = ''
as $$
declare
  v_rows private.import_row[] := p_rows;
  v_row_number integer;
begin
  foreach v_row_number in array p_left_out loop
    v_rows[v_row_number].fate := 'left_out';
  end loop;
  return v_rows;
end;
$$;
comment on function private.leave_out(private.import_row[], integer[]) is 'The rows, with these left out.';

-- sql/20_time/rules/93_import_report.sql

-- Importing meetings, fourth part: what is told. One document for all modes, the dry run, and refusals.

create function private.describe_import_row(p_row private.import_row) returns jsonb
language sql immutable set search_path = ''
return jsonb_build_object(
    'row', p_row.row_number, 'line', p_row.line, 'crn', p_row.external_ref, 'title', p_row.title,
    'date', to_char(p_row.date, 'YYYY-MM-DD'), 'start_time', to_char(p_row.start_time, 'HH24:MI'), 'end_time', to_char(p_row.end_time, 'HH24:MI'));
comment on function private.describe_import_row(private.import_row) is 'A row of a timetable, as reports name it.';

create function private.describe_import_overlaps(
  p_overlaps private.import_overlap[], p_rows private.import_row[], p_names private.import_name[]
) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
declare
  -- Not as the session would write it: a report is the same over every door.
  v_instant constant text := 'YYYY-MM-DD"T"HH24:MI:SS"Z"';
  v_sees_all constant boolean := private.has_permission('read:calendar');
  v_self constant uuid := private.current_profile_id();
begin
  return (
    select coalesce(
      jsonb_agg(
        private.describe_import_row(r) || jsonb_build_object('kind', o.kind, 'resource', n.name, 'with',
          case when o.with_row is not null then private.describe_import_row(w)
            else jsonb_build_object(
                'starts_at', to_char(lower(o.during) at time zone 'UTC', v_instant), 'ends_at', to_char(upper(o.during) at time zone 'UTC', v_instant))
              || case when v_sees_all or o.resource_id = v_self then jsonb_build_object(
                'source_table', o.source_table, 'source_id', o.source_id, 'occurs_on', to_char(o.occurs_on, 'YYYY-MM-DD'),
                'kind', o.source_kind, 'title', o.title) else '{}' end
          end)
        order by o.position),
      '[]')
    from unnest(p_overlaps) with ordinality as o(
      kind, resource_id, row_number, with_row, is_one_section, source_table, source_id, occurs_on, source_kind, title, during, position)
    join unnest(p_rows) r on r.row_number = o.row_number
    left join unnest(p_rows) w on w.row_number = o.with_row
    join unnest(p_names) n on n.resource_id = o.resource_id
  );
end;
$$;
comment on function private.describe_import_overlaps(private.import_overlap[], private.import_row[], private.import_name[]) is
  'Overlaps as reports list them; of the ledger''s happenings only as much as the caller may read.';

-- In a place or of a person: how many pairs of dated rows of different crn overlap, and how many pairs of crn that are.
create function private.count_import_overlaps(p_overlaps private.import_overlap[], p_rows private.import_row[]) returns jsonb
language plpgsql immutable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    select jsonb_object_agg(k.kind, jsonb_build_object('meetings', coalesce(f.meetings, 0), 'pairs', coalesce(f.pairs, 0)))
    from (values ('place'), ('person')) as k(kind)
    left join (
      select o.kind, count(*) as meetings,
        count(distinct (
          least(coalesce(r.external_ref, 'row ' || r.row_number), coalesce(w.external_ref, 'row ' || w.row_number)),
          greatest(coalesce(r.external_ref, 'row ' || r.row_number), coalesce(w.external_ref, 'row ' || w.row_number))
        )) as pairs
      from unnest(p_overlaps) o
      join unnest(p_rows) r on r.row_number = o.row_number
      join unnest(p_rows) w on w.row_number = o.with_row
      where not o.is_one_section
      group by o.kind
    ) f on f.kind = k.kind
  );
end;
$$;
comment on function private.count_import_overlaps(private.import_overlap[], private.import_row[]) is
  'Overlaps within a timetable, counted by kind of resource.';

create function private.describe_import_faults(p_faults private.import_fault[], p_limit integer) returns jsonb
language sql immutable set search_path = ''
begin atomic
  select coalesce(
    jsonb_agg(
      jsonb_build_object('row', f.row_number, 'line', f.line, 'column', f.column_name, 'code', f.code, 'reason', f.reason, 'value', f.value)
      order by f.position),
    '[]')
  from unnest(p_faults) with ordinality as f(row_number, line, column_name, code, reason, value, position)
  where f.position <= p_limit;
end;
comment on function private.describe_import_faults(private.import_fault[], integer) is 'Faults as reports list them, at most so many.';

-- p_overlaps and p_ledger are what was found; p_reasons tells of each row left out what it clashes with.
create function private.import_report(
  p_request jsonb, p_rows private.import_row[], p_names private.import_name[], p_overlaps private.import_overlap[],
  p_ledger private.import_overlap[], p_reasons private.import_overlap[], p_faults private.import_fault[],
  p_members private.import_member[], p_is_refused boolean, p_limit integer
) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    with fates as (
      select count(*) as rows, count(*) filter (where r.fate = 'new') as new, count(*) filter (where r.fate = 'unchanged') as unchanged,
        count(*) filter (where r.fate = 'repeated') as repeated
      from unnest(p_rows) r
    ), names as (
      select count(*) filter (where n.kind = 'person') as people, count(*) filter (where n.kind = 'place') as places,
        coalesce(jsonb_agg(n.name order by n.key) filter (where n.kind = 'person' and n.is_new), '[]') as new_people,
        coalesce(jsonb_agg(n.name order by n.key) filter (where n.kind = 'place' and n.is_new), '[]') as new_places
      from unnest(p_names) n
    ), clashes as (
      select array_agg(o.overlap order by o.position) filter (where o.position <= p_limit) as listed, count(*) as total
      from (
        select u as overlap, row_number() over (order by u.row_number, u.with_row, u.kind) as position
        from unnest(p_overlaps || p_ledger) u
        where not u.is_one_section
      ) o
    )
    select p_request || jsonb_build_object(
      'rows', f.rows,
      'resources', jsonb_build_object('people', n.people, 'places', n.places),
      'new_people', n.new_people,
      'new_places', n.new_places,
      'overlaps', private.count_import_overlaps(p_overlaps, p_rows),
      'ledger_overlaps', jsonb_build_object(
        'place', (select count(*) from unnest(p_ledger) o where o.kind = 'place' and not o.is_one_section),
        'person', (select count(*) from unnest(p_ledger) o where o.kind = 'person' and not o.is_one_section)),
      'overlapping', private.describe_import_overlaps(c.listed, p_rows, p_names),
      'overlapping_total', c.total,
      'imported', case when p_is_refused then 0 else f.new end,
      'unchanged', f.unchanged,
      'repeated', f.repeated,
      'left_out', private.describe_import_overlaps(p_reasons, p_rows, p_names),
      'overrides', (
        select jsonb_build_object('groups', count(distinct m.group_id), 'meetings', count(m.row_number)) from unnest(p_members) m
      ),
      'refused', p_is_refused,
      'errors', private.describe_import_faults(p_faults, 1000),
      'errors_total', coalesce(cardinality(p_faults), 0))
    from fates f, names n, clashes c
  );
end;
$$;
comment on function private.import_report(
  jsonb, private.import_row[], private.import_name[], private.import_overlap[], private.import_overlap[], private.import_overlap[],
  private.import_fault[], private.import_member[], boolean, integer) is
  'The report of an import, or of what one would do.';

-- sql/20_time/rules/94_import.sql

-- Importing meetings: the parts put together.

create function private.refuse_import(
  p_report jsonb, p_faults private.import_fault[]
) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_first jsonb := p_report -> 'errors' -> 0;
  v_count integer := coalesce(cardinality(p_faults), 0);
begin
  if v_count > 0 then
    -- What cannot be read comes before what is too far ahead.
    perform private.fail(
      case when exists (select from unnest(p_faults) f where f.code = 'invalid_input') then 'invalid_input' else 'limit_exceeded' end,
      format('Nothing was imported. Line %s, %s: %s%s', v_first ->> 'line', v_first ->> 'column', v_first ->> 'reason',
        case when v_count > 1 then format(' (and %s more)', v_count - 1) else '' end),
      v_first ->> 'column',
      jsonb_build_object(
        'errors', (
          select jsonb_agg(e || jsonb_build_object('field', e ->> 'column',
            'message', format('Line %s, %s: %s', e ->> 'line', e ->> 'column', e ->> 'reason')))
          from jsonb_array_elements(p_report -> 'errors') e
        ),
        'count', v_count, 'report', p_report),
      case when v_first ->> 'code' = 'limit_exceeded'
        then 'Holders of book:beyond_horizon may call extend_horizon(); for new names the setting ledger_horizon_days counts.'
        else 'Mend the file and import it again.' end);
  end if;
  v_first := p_report -> 'overlapping' -> 0;
  perform private.fail('time_conflict',
    format('Nothing was imported. Line %s (%s) needs %s on %s from %s to %s, %s%s',
      v_first ->> 'line', v_first ->> 'title', v_first ->> 'resource', v_first ->> 'date', v_first ->> 'start_time', v_first ->> 'end_time',
      case when v_first -> 'with' ? 'line' then format('like line %s (%s)', v_first -> 'with' ->> 'line', v_first -> 'with' ->> 'title')
        else 'taken by ' || coalesce(v_first -> 'with' ->> 'title', 'something else') end,
      case when (p_report ->> 'overlapping_total')::integer > 1
        then format(' (and %s more)', (p_report ->> 'overlapping_total')::integer - 1) else '' end),
    p_details => jsonb_build_object('conflicts', p_report -> 'overlapping', 'count', p_report -> 'overlapping_total', 'report', p_report),
    p_hint => 'Import what fits (p_on_conflict skip), or let them overlap (override).');
end;
$$;
comment on function private.refuse_import(jsonb, private.import_fault[]) is
  'Raises what stands in an import''s way: bad rows, rows beyond the horizon, or else overlaps; details carry the report.';

create function private.import_rows(p_rows jsonb, p_request jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set work_mem = '64MB' set jit = off
as $$
declare
  v_zone constant text := p_request ->> 'time_zone';
  v_mode constant text := p_request ->> 'on_conflict';
  v_is_dry constant boolean := (p_request ->> 'dry_run')::boolean;
  v_rows private.import_row[];
  v_faults private.import_fault[];
  v_names private.import_name[];
  v_overlaps private.import_overlap[];
  v_ledger private.import_overlap[];
  v_clashes private.import_overlap[];
  v_reasons private.import_overlap[] := '{}';
  v_members private.import_member[] := '{}';
  v_is_refused boolean;
  v_report jsonb;
begin
  perform private.require_permission('bulk:calendar');
  if v_mode = 'override' then
    perform private.require_permission('grant:override');
  end if;
  perform private.require_read_committed();

  select r.p_read, coalesce(r.p_faults, '{}') into v_rows, v_faults from private.read_import_rows(p_rows, v_zone) r;
  if not v_is_dry then
    -- One import at a time, so that two that bring the same rows, or somebody new of the same name, do not bring them
    -- twice. Taken before anything else is locked.
    perform pg_advisory_xact_lock(hashtextextended('import_meetings', 0));
  end if;
  v_names := private.find_import_names(v_rows);
  v_faults := v_faults || private.faults_of_names(v_rows, v_names);
  v_rows := private.settle_import_rows(v_rows, v_names);
  v_overlaps := private.overlaps_in_import(v_rows);

  if not v_is_dry and cardinality(v_faults) = 0 then
    perform private.make_import_resources(array(select n from unnest(v_names) n where n.is_new));
    if v_mode = 'override' or exists (select from unnest(v_rows) r where r.fate = 'unchanged') then
      perform private.lock_import_sources(array(
        select o from unnest(private.overlaps_with_ledger(v_rows, v_names, v_zone)) o where v_mode = 'override' or o.is_one_section
      ));
    end if;
    perform private.lock_resources(array(select n.resource_id from unnest(v_names) n));
  end if;
  -- From here on, statements see what was there when the locks were had.
  v_ledger := private.overlaps_with_ledger(v_rows, v_names, v_zone);
  v_faults := v_faults || private.faults_beyond_horizon(v_rows, v_names);

  v_clashes := private.clashes_of_import(v_rows, v_overlaps || v_ledger);
  v_is_refused := cardinality(v_faults) > 0 or (v_mode = 'refuse' and cardinality(v_clashes) > 0);
  if v_mode = 'skip' then
    v_reasons := private.clashes_that_decide(v_clashes);
    v_rows := private.leave_out(v_rows, array(select o.row_number from unnest(v_reasons) o));
  end if;
  if not v_is_refused then
    v_members := private.import_clusters(v_rows, v_overlaps || v_ledger);
    if not v_is_dry then
      perform private.group_import(v_members, p_request ->> 'label');
      perform private.write_import(v_rows, v_zone);
    end if;
  end if;
  v_report := private.import_report(p_request, v_rows, v_names, v_overlaps, v_ledger, v_reasons, v_faults, v_members,
    v_is_refused, case when v_is_dry then 10000 else 100 end);
  if v_is_refused and not v_is_dry then
    perform private.refuse_import(v_report, v_faults);
  end if;
  return v_report;
end;
$$;
comment on function private.import_rows(jsonb, jsonb) is
  'Imports a timetable, or says what importing it would do, for a holder of bulk:calendar (and grant:override for overriding).';

-- sql/20_time/views.sql

-- What the rows of each source table claim. Read by private.derive_claims; the names are <table>_claims.

create view private.meetings_claims as
select m.id as source_id, p.resource_id, tstzrange(m.starts_at, m.ends_at) as during, m.date as occurs_on, m.kind, m.title
from public.meetings m
join public.meeting_participants p on p.meeting_id = m.id
where m.status = 'scheduled';
comment on view private.meetings_claims is 'What meetings claim: each participant, from start to end, unless cancelled.';

create view private.weekly_rules_claims as
select r.id as source_id, p.resource_id, o.during, o.occurs_on, r.kind, r.title
from public.weekly_rules r
join public.weekly_rule_resources p on p.rule_id = r.id
join public.resource_horizons h on h.resource_id = p.resource_id
cross join lateral private.rule_occurrences(r, null, h.claimed_until) o;
comment on view private.weekly_rules_claims is 'What weekly rules claim: each resource, every occurrence up to its horizon.';

create view public.skipped_occurrences with (security_invoker = true) as
select r.id as rule_id, r.title, d.day::date as occurs_on,
  format('%s does not exist in %s on %s: the clock skips it',
    case when private.local_to_instant(d.day::date, r.start_time, r.time_zone) is null then r.start_time else r.end_time end,
    r.time_zone, d.day::date) as reason
from public.weekly_rules r
cross join lateral (
  select max(h.claimed_until) as claimed_until
  from public.weekly_rule_resources p
  join public.resource_horizons h on h.resource_id = p.resource_id
  where p.rule_id = r.id
) h
cross join lateral generate_series(
  lower(r.effective) + ((r.weekday - extract(dow from lower(r.effective))::integer + 7) % 7),
  least(upper(r.effective) - 1, (h.claimed_until at time zone r.time_zone)::date)::timestamp,
  interval '7 days'
) as d(day)
where (
    private.local_to_instant(d.day::date, r.start_time, r.time_zone) is null
    or private.local_end_to_instant(d.day::date, r.end_time, r.time_zone) is null
  )
  and not exists (select from public.weekly_rule_exceptions e where e.rule_id = r.id and e.occurs_on = d.day::date);
comment on view public.skipped_occurrences is
  'Every date a weekly rule leaves out because its wall-clock time does not exist on it, and why.';

-- sql/20_time/rpc/add_closure.sql

-- A document a row, because what is cancelled is read before it is gone, and what is left afterwards.
create function private.closure_hits(p_resource_ids uuid[], p_during tstzrange)
returns table (source_table text, source_id uuid, occurs_on date, hit jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select u.source_table, u.source_id, u.occurs_on, jsonb_build_object(
    'resource_id', u.resource_id, 'resource_name', r.name, 'source_table', u.source_table, 'source_id', u.source_id,
    'occurs_on', u.occurs_on, 'kind', u.kind, 'title', case when s.sees_all then u.title end,
    'starts_at', lower(u.during), 'ends_at', upper(u.during))
  from private.uses_within(p_resource_ids, p_during) u
  join public.resources r on r.id = u.resource_id
  cross join (select private.has_permission('read:calendar') as sees_all) s;
end;
comment on function private.closure_hits(uuid[], tstzrange) is
  'What a closure of these resources (null: all) hits; titles for those who may read the calendar.';

create function private.lock_closed(p_rule_ids uuid[], p_closed uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_sources('weekly_rules', p_rule_ids);
  perform private.lock_resources(array(
    select p.resource_id from public.weekly_rule_resources p where p.rule_id = any(p_rule_ids)
    union
    select r.id
    from public.resources r
    where (r.id = any(p_closed) or p_closed is null) and private.setting_text('availability_policy') = 'refuse'
  ));
end;
$$;
comment on function private.lock_closed(uuid[], uuid[]) is
  'Locks rules, then in one go their resources and, where claims in closures are refused, those that are closed (null: all).';

-- Exceptions come first, then their rules, then resources, and the closure last: the order in which everybody who
-- cancels a date locks. The locks are taken within the statement that writes the exceptions, before its triggers run:
-- those would lock the rules' resources alone, and the closure's would come out of turn.
create function private.make_closure(
  p_name text, p_starts_on date, p_ends_on date, p_location_id uuid, p_cancel_occurrences boolean
) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_closed uuid[] := (select array[r.id] from public.resources r where r.location_id = p_location_id);
  v_during tstzrange := private.closure_range(p_starts_on, p_ends_on, p_location_id);
  v_cancelled jsonb := '[]';
  v_closure_id uuid;
  v_left jsonb;
begin
  perform private.require_permission('manage:closures');
  if p_cancel_occurrences then
    perform private.require_permission('update:calendar');
  end if;
  if p_location_id is not null and v_closed is null then
    perform private.fail('not_found', 'There is no such place', 'p_location_id', jsonb_build_object('id', p_location_id));
  end if;
  if p_cancel_occurrences then
    perform private.require_read_committed();
    with hit as materialized (
      select u.source_id, u.occurs_on, u.hit from private.closure_hits(v_closed, v_during) u where u.source_table = 'weekly_rules'
    ),
    cancelled as (
      insert into public.weekly_rule_exceptions as e (rule_id, occurs_on, kind, reason)
      select distinct h.source_id, h.occurs_on, 'cancelled', p_name
      from hit h
      order by h.source_id, h.occurs_on
      on conflict (rule_id, occurs_on) do update
      set kind = 'cancelled', reason = excluded.reason, moved_to_date = null, moved_start_time = null, moved_end_time = null
      where e.kind = 'moved'
      returning e.rule_id, e.occurs_on
    ),
    locked as (
      select private.lock_closed(array_agg(distinct c.rule_id), v_closed) from cancelled c
    )
    select coalesce(jsonb_agg(h.hit || '{"is_cancelled": true}'), '[]') into v_cancelled
    from hit h
    join cancelled c on c.rule_id = h.source_id and c.occurs_on = h.occurs_on
    where exists (select from locked);
  end if;
  insert into public.closures (name, starts_on, ends_on, location_id)
  values (p_name, p_starts_on, p_ends_on, p_location_id)
  returning id into v_closure_id;
  select coalesce(jsonb_agg(u.hit || '{"is_cancelled": false}'), '[]') into v_left
  from private.closure_hits(v_closed, v_during) u;
  return (
    select coalesce(
      jsonb_agg(a.hit || jsonb_build_object('id', v_closure_id)
        order by (a.hit ->> 'starts_at')::timestamptz, a.hit ->> 'resource_name', a.hit ->> 'source_id'),
      jsonb_build_array(jsonb_build_object('id', v_closure_id))
    )
    from jsonb_array_elements(v_cancelled || v_left) as a(hit)
  );
end;
$$;
comment on function private.make_closure(text, date, date, uuid, boolean) is
  'Adds a closure for a holder of manage:closures; what it hits, as public.add_closure returns it.';

create function public.add_closure(
  p_name text,
  p_starts_on date,
  p_ends_on date default null,
  p_location_id uuid default null,
  p_cancel_occurrences boolean default false,
  p_idempotency_key text default null
) returns table (
  id uuid, resource_id uuid, resource_name text, source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz, is_cancelled boolean
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'name', p_name, 'starts_on', p_starts_on, 'ends_on', p_ends_on, 'location_id', p_location_id, 'cancel_occurrences', p_cancel_occurrences);
  v_answer jsonb;
begin
  perform private.require_permission('manage:closures');
  v_answer := private.answered_before('add_closure', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(private.closure_errors(p_name, p_starts_on, p_ends_on, 'p_'));
    v_answer := private.make_closure(
      private.clean_text(p_name), p_starts_on, coalesce(p_ends_on, p_starts_on), p_location_id, coalesce(p_cancel_occurrences, false));
    perform private.remember_answer('add_closure', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.id, a.resource_id, a.resource_name, a.source_table, a.source_id, a.occurs_on, a.kind, a.title, a.starts_at, a.ends_at,
      a.is_cancelled
    from jsonb_to_recordset(v_answer) as a(
      id uuid, resource_id uuid, resource_name text, source_table text, source_id uuid, occurs_on date, kind text, title text,
      starts_at timestamptz, ends_at timestamptz, is_cancelled boolean);
end;
$$;
comment on function public.add_closure(text, date, date, uuid, boolean, text) is
  'Closes a place, or everything when p_location_id is null, from p_starts_on to p_ends_on (included; the same day by default), whole days where the place is. With p_cancel_occurrences the dates of weekly rules it hits are cancelled, the closure''s name as their reason, and stay so when the closure is deleted; other happenings are only listed. Needs manage:closures, and update:calendar to cancel. Returns a row for each use of a resource it hits, with the closure''s id, or one row without. Raises invalid_input naming every bad field, forbidden, not_found.';

-- sql/20_time/rpc/busy_times.sql

create function public.busy_times(p_resource_ids uuid[], p_from timestamptz, p_to timestamptz)
returns table (resource_id uuid, starts_at timestamptz, ends_at timestamptz)
language plpgsql stable set search_path = ''
as $$
begin
  perform private.refuse_too_many(p_resource_ids);
  perform private.fail_input(private.window_errors(p_resource_ids, p_from, p_to));
  perform private.require_resources(p_resource_ids);
  return query
    select m.resource_id, lower(d.during), upper(d.during)
    from (
      select b.resource_id, range_agg(b.during) * tstzmultirange(tstzrange(p_from, p_to)) as during
      from private.busy_ranges(p_resource_ids, tstzrange(p_from, p_to)) b
      group by b.resource_id
    ) m
    cross join lateral unnest(m.during) as d(during)
    order by m.resource_id, lower(d.during);
end;
$$;
comment on function public.busy_times(uuid[], timestamptz, timestamptz) is
  'When these resources cannot be had between p_from and p_to (excluded; at most a year): taken, on approved time off, or closed, without saying which. One row a stretch, merged and clipped to the window; none for a resource that is free throughout. Hours nobody works are not among them: see free_slots(). For anyone signed in, at most 100 resources. Raises invalid_input naming every bad field, not_found, limit_exceeded.';

-- sql/20_time/rpc/calendar.sql

create function private.calendar_rows(p_from timestamptz, p_to timestamptz, p_resource_ids uuid[], p_kinds text[])
returns table (
  source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz, resource_ids uuid[], resource_names text[], resource_kinds text[]
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sees_all boolean := private.has_permission('read:calendar');
  v_self uuid := private.current_profile_id();
  -- Everybody is a list too: a plan that is kept for both would not use the index for either.
  v_resource_ids uuid[] := coalesce(p_resource_ids, array(select r.id from public.resources r));
begin
  if not v_sees_all then
    if p_resource_ids is not null and p_resource_ids <> array[v_self] then
      perform private.fail('forbidden', 'Only your own calendar is yours to read', 'p_resource_ids',
        p_hint => 'busy_times() tells when somebody is busy, without saying with what.');
    end if;
    v_resource_ids := array_remove(array[v_self], null);
  end if;
  perform private.check_span(p_from, p_to, interval '400 days', 'p_from', 'p_to');
  -- Looked up date by date (offset 0 keeps it that way, whatever the planner believes of three columns together), then
  -- put in order once instead of once for every array of every date.
  return query
    with found as materialized (
      select distinct c.source_id, c.occurs_on, c.source_table
      from public.claims c
      where c.during && tstzrange(p_from, p_to)
        and c.resource_id = any(v_resource_ids)
        and (p_kinds is null or c.kind = any(p_kinds))
    ),
    called as materialized (
      select r.id, r.name, r.kind, row_number() over (order by r.kind, r.name, r.id) as place
      from public.resources r
    ),
    taking_part as (
      select f.source_table, f.source_id, f.occurs_on, c.kind, c.title, lower(c.during) as starts_at, upper(c.during) as ends_at,
        r.id as resource_id, r.name as resource_name, r.kind as resource_kind
      from found f
      cross join lateral (
        select c.resource_id, c.kind, c.title, c.during
        from public.claims c
        where c.source_id = f.source_id and c.source_table = f.source_table and c.occurs_on = f.occurs_on
        offset 0
      ) c
      join called r on r.id = c.resource_id
      order by starts_at, ends_at, c.title, f.source_id, f.source_table, f.occurs_on, c.kind, r.place
    )
    select t.source_table, t.source_id, t.occurs_on, t.kind, t.title, t.starts_at, t.ends_at,
      array_agg(t.resource_id), array_agg(t.resource_name), array_agg(t.resource_kind)
    from taking_part t
    group by t.starts_at, t.ends_at, t.title, t.source_id, t.source_table, t.occurs_on, t.kind
    union all
    -- A meeting nobody and nowhere is named for claims nothing, and happens all the same.
    select 'meetings', m.id, m.date, m.kind, m.title, m.starts_at, m.ends_at, '{}', '{}', '{}'
    from public.meetings m
    where v_sees_all and p_resource_ids is null and m.status = 'scheduled'
      and m.starts_at > p_from - interval '800 hours' and m.starts_at < p_to and m.ends_at > p_from
      and (p_kinds is null or m.kind = any(p_kinds))
      and not exists (select from public.meeting_participants p where p.meeting_id = m.id)
    order by 6, 7, 5, 2;
end;
$$;
comment on function private.calendar_rows(timestamptz, timestamptz, uuid[], text[]) is
  'What happens in a range; callers without read:calendar get what they take part in.';

create function public.calendar(
  p_from timestamptz,
  p_to timestamptz,
  p_resource_ids uuid[] default null,
  p_kinds text[] default null
) returns table (
  source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz, resource_ids uuid[], resource_names text[], resource_kinds text[]
)
language sql stable set search_path = ''
begin atomic
  select * from private.calendar_rows(p_from, p_to, p_resource_ids, p_kinds);
end;
comment on function public.calendar(timestamptz, timestamptz, uuid[], text[]) is
  'Everything that happens from p_from until p_to (excluded; at most 400 days), one row an occurrence in order of time, cancelled dates left out; of the given resources and kinds, or of all. Instants carry their offset. Callers without read:calendar see what they take part in themselves.';

-- sql/20_time/rpc/cancel_occurrence.sql

create function public.cancel_occurrence(
  p_rule_id uuid,
  p_occurs_on date,
  p_reason text default null,
  p_idempotency_key text default null
) returns setof public.weekly_rule_exceptions
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('rule_id', p_rule_id, 'occurs_on', p_occurs_on, 'reason', p_reason);
  v_answer jsonb := private.answered_before('cancel_occurrence', p_idempotency_key, v_request);
  v_exception public.weekly_rule_exceptions;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.weekly_rule_exceptions, v_answer);
    return;
  end if;
  perform private.require_permission('update:calendar');
  perform private.fail_input(private.occurrence_errors(p_rule_id, p_occurs_on, p_reason));
  perform private.require_rule(p_rule_id);
  insert into public.weekly_rule_exceptions as e (rule_id, occurs_on, kind, reason)
  values (p_rule_id, p_occurs_on, 'cancelled', private.clean_text(p_reason))
  on conflict (rule_id, occurs_on) do update
  set kind = 'cancelled', reason = excluded.reason, moved_to_date = null, moved_start_time = null, moved_end_time = null,
    taken_by_table = null, taken_by_id = null
  where e.kind <> 'taken_over' or not private.happening_exists(e.taken_by_table, e.taken_by_id)
  returning * into v_exception;
  if not found then
    perform private.fail('illegal_transition', format('A happening of its own took %s over', p_occurs_on), 'p_occurs_on',
      p_hint => 'Cancel that happening instead.');
  end if;
  perform private.remember_answer('cancel_occurrence', p_idempotency_key, v_request, to_jsonb(v_exception));
  return next v_exception;
end;
$$;
comment on function public.cancel_occurrence(uuid, date, text, text) is
  'Cancels one date of a weekly rule and frees its time. Needs update:calendar. Returns the exception. Raises not_found, invalid_input for a date the rule does not have, illegal_transition for one that was taken over.';

-- sql/20_time/rpc/cancel_time_off.sql

create function public.cancel_time_off(p_id uuid, p_note text default null, p_idempotency_key text default null) returns setof public.time_off
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'note', p_note);
  v_answer jsonb := private.answered_before('cancel_time_off', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_id is null, 'p_id', 'Say which time off')
      || private.input_error(length(p_note) > 1000, 'p_note', 'A note has at most 1000 characters')
    );
    perform private.set_time_off_status(p_id, 'cancelled', private.clean_text(p_note), null);
    v_answer := (select to_jsonb(t) from public.time_off t where t.id = p_id);
    perform private.remember_answer('cancel_time_off', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.time_off, v_answer);
end;
$$;
comment on function public.cancel_time_off(uuid, text, text) is
  'Takes back time off that was requested or approved; its open cover requests are dropped. Your own until it begins, or anybody''s with decide:time_off. Returns the time off. Raises illegal_transition for what was refused or cancelled before, forbidden, not_found.';

-- sql/20_time/rpc/create_weekly_rule.sql

create function public.create_weekly_rule(
  p_title text,
  p_resource_ids uuid[],
  p_weekday integer,
  p_start_time time,
  p_end_time time,
  p_time_zone text default null,
  p_from date default null,
  p_until date default null,
  p_kind text default 'weekly',
  p_idempotency_key text default null
) returns setof public.weekly_rules
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'title', p_title, 'resource_ids', p_resource_ids, 'weekday', p_weekday, 'start_time', p_start_time, 'end_time', p_end_time,
    'time_zone', p_time_zone, 'from', p_from, 'until', p_until, 'kind', p_kind);
  v_answer jsonb := private.answered_before('create_weekly_rule', p_idempotency_key, v_request);
  v_zone text := coalesce(p_time_zone, private.setting_text('organisation_time_zone'));
  v_from date := coalesce(p_from, private.today());
  v_rule public.weekly_rules;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.weekly_rules, v_answer);
    return;
  end if;
  perform private.require_permission('create:calendar');
  perform private.fail_input(
    private.input_error(private.clean_text(p_title) is null, 'p_title', 'Say what it is called')
    || private.input_error(length(p_title) > 500, 'p_title', 'A title has at most 500 characters')
    || private.input_error(coalesce(cardinality(p_resource_ids), 0) not between 1 and 100, 'p_resource_ids', 'Name 1 to 100 resources')
    || private.input_error(coalesce(p_weekday, -1) not between 0 and 6, 'p_weekday', 'A weekday is 0 (Sunday) to 6 (Saturday)')
    || private.input_error(p_start_time is null, 'p_start_time', 'Say when it starts')
    || private.input_error(p_end_time is null, 'p_end_time', 'Say when it ends')
    || private.input_error(p_end_time <= p_start_time, 'p_end_time', 'The end must be after the start')
    || private.input_error(not private.is_time_zone(v_zone), 'p_time_zone', 'That is no IANA time zone')
    || private.input_error(v_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
    || private.input_error(p_until not between date '1970-01-01' and date '2199-12-31', 'p_until', 'A date lies between 1970 and 2199')
    || private.input_error(p_until < v_from, 'p_until', 'The last day must not be before the first')
    || private.input_error(coalesce(p_kind, '') !~ '^[a-z]+(_[a-z]+)*$', 'p_kind', 'A kind is a word in lower case')
  );
  perform private.require_resources(p_resource_ids);
  insert into public.weekly_rules (title, kind, weekday, start_time, end_time, time_zone, effective)
  values (private.clean_text(p_title), p_kind, p_weekday, p_start_time, p_end_time, v_zone, daterange(v_from, p_until, '[]'))
  returning * into v_rule;
  insert into public.weekly_rule_resources (rule_id, resource_id)
  select distinct v_rule.id, u.id from unnest(p_resource_ids) as u(id);
  perform private.remember_answer('create_weekly_rule', p_idempotency_key, v_request, to_jsonb(v_rule));
  return next v_rule;
end;
$$;
comment on function public.create_weekly_rule(text, uuid[], integer, time, time, text, date, date, text, text) is
  'Makes something happen every week: weekday 0 Sunday to 6 Saturday, wall-clock times in p_time_zone (the organisation''s by default), from p_from (today) to p_until (included; null: for ever), taking these resources. Needs create:calendar. Claims every date up to the horizon and compares with other rules beyond it. Returns the rule. Raises time_conflict naming what it runs into, invalid_input, not_found.';

-- sql/20_time/rpc/decide_time_off.sql

create function private.set_time_off_status(p_id uuid, p_status text, p_note text, p_keeps_claims boolean) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_time_off public.time_off;
begin
  if p_status <> 'cancelled' then
    perform private.require_permission('decide:time_off');
  end if;
  select t.* into v_time_off
  from public.time_off t
  where t.id = p_id and (t.resource_id = private.current_profile_id() or private.has_permission('decide:time_off'))
  for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such time off', 'p_id', jsonb_build_object('id', p_id));
  end if;
  if v_time_off.status = p_status then
    perform private.fail('illegal_transition', format('This time off is %s already', p_status), 'p_id',
      jsonb_build_object('id', p_id, 'from', p_status, 'to', p_status));
  end if;
  update public.time_off t
  set status = p_status, note = coalesce(p_note, t.note), keeps_claims = coalesce(p_keeps_claims, t.keeps_claims)
  where t.id = p_id;
end;
$$;
comment on function private.set_time_off_status(uuid, text, text, boolean) is
  'Decides or cancels time off that the caller may see; triggers say whether that may be done.';

create function public.decide_time_off(
  p_id uuid,
  p_decision text,
  p_note text default null,
  p_claims text default 'refuse',
  p_idempotency_key text default null
) returns table (
  id uuid, status text, version integer, source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'decision', p_decision, 'note', p_note, 'claims', p_claims);
  v_answer jsonb;
begin
  perform private.require_permission('decide:time_off');
  v_answer := private.answered_before('decide_time_off', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_id is null, 'p_id', 'Say which time off')
      || private.input_error(coalesce(p_decision, '') not in ('approved', 'refused'), 'p_decision', 'A decision is approved or refused')
      || private.input_error(coalesce(p_claims, '') not in ('refuse', 'keep'), 'p_claims', 'Claims are refuse or keep')
      || private.input_error(length(p_note) > 1000, 'p_note', 'A note has at most 1000 characters')
    );
    perform private.set_time_off_status(p_id, p_decision, private.clean_text(p_note), p_decision = 'approved' and p_claims = 'keep');
    v_answer := private.time_off_answer(p_id);
    perform private.remember_answer('decide_time_off', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.id, a.status, a.version, a.source_table, a.source_id, a.occurs_on, a.kind, a.title, a.starts_at, a.ends_at
    from jsonb_to_recordset(v_answer) as a(
      id uuid, status text, version integer, source_table text, source_id uuid, occurs_on date, kind text, title text,
      starts_at timestamptz, ends_at timestamptz);
end;
$$;
comment on function public.decide_time_off(uuid, text, text, text, text) is
  'Decides requested time off: p_decision is approved or refused. When the person is needed then, approving with p_claims "refuse" raises time_conflict listing what for; with "keep" it is approved and each such use becomes a cover request. Needs decide:time_off; nobody but an admin decides their own. Returns the time off with a row for each use that was kept, or one row without. Raises illegal_transition when it was decided before, time_conflict, forbidden, not_found, invalid_input.';

-- sql/20_time/rpc/extend_horizon.sql

create function private.extend_horizon_of(p_resource_ids uuid[], p_until timestamptz) returns setof public.resource_horizons
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('book:beyond_horizon');
  perform private.require_resources(p_resource_ids);
  perform private.lock_resources(p_resource_ids);
  update public.resource_horizons h
  set claimed_until = p_until
  where h.resource_id = any(p_resource_ids) and h.claimed_until < p_until;
  return query select h.* from public.resource_horizons h where h.resource_id = any(p_resource_ids) order by h.resource_id;
end;
$$;
comment on function private.extend_horizon_of(uuid[], timestamptz) is 'Moves horizons on for a holder of book:beyond_horizon.';

create function public.extend_horizon(p_resource_ids uuid[], p_until timestamptz, p_idempotency_key text default null)
returns setof public.resource_horizons
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('resource_ids', p_resource_ids, 'until', p_until at time zone 'UTC');
  v_answer jsonb := private.answered_before('extend_horizon', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(coalesce(cardinality(p_resource_ids), 0) not between 1 and 100, 'p_resource_ids', 'Name 1 to 100 resources')
      || private.input_error(p_until is null or not isfinite(p_until), 'p_until', 'Say until when')
    );
    v_answer := (select jsonb_agg(to_jsonb(h)) from private.extend_horizon_of(p_resource_ids, p_until) h);
    perform private.remember_answer('extend_horizon', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.resource_horizons, v_answer);
end;
$$;
comment on function public.extend_horizon(uuid[], timestamptz, text) is
  'Lets these resources be booked further ahead, up to two years: claims what their weekly rules promise until p_until first. Needs book:beyond_horizon. Returns their horizons; one that is further already stays. Raises limit_exceeded beyond two years.';

-- sql/20_time/rpc/find_conflicts.sql

-- Flat in the number of claims: one probe of the constraint's own index per resource. There is one way to do that, and
-- planning it anew for every question would take longer than answering.
create function private.conflicts(p_resource_ids uuid[], p_starts_at timestamptz, p_ends_at timestamptz, p_exclude_source uuid)
returns table (
  resource_id uuid, resource_name text, conflict_type text, source_table text, source_id uuid,
  starts_at timestamptz, ends_at timestamptz, message text
)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = 'force_generic_plan'
as $$
declare
  v_sees_all boolean;
  v_self uuid;
begin
  if private.caller_id() is null and not private.is_trusted() then
    perform private.fail('forbidden', 'Sign in to see who is free');
  end if;
  perform private.check_span(p_starts_at, p_ends_at, interval '31 days', 'p_starts_at', 'p_ends_at', p_resource_ids);
  v_sees_all := private.has_permission('read:calendar');
  v_self := private.current_profile_id();
  return query
    select c.resource_id, r.name,
      case when t.is_told then c.kind else 'busy' end,
      case when t.is_told then c.source_table end,
      case when t.is_told then c.source_id end,
      lower(c.during), upper(c.during),
      format('%s is already %s, %s', r.name, case when t.is_told then 'in ' || c.title else 'taken' end, private.describe_range(c.during))
    from public.claims c
    join public.resources r on r.id = c.resource_id
    cross join lateral (select v_sees_all or c.resource_id = v_self as is_told) t
    where c.resource_id = any(p_resource_ids) and c.during && tstzrange(p_starts_at, p_ends_at)
      and c.source_id is distinct from p_exclude_source
    order by lower(c.during), r.name, c.source_id;
end;
$$;
comment on function private.conflicts(uuid[], timestamptz, timestamptz, uuid) is
  'What takes these resources in a range; titles and sources only as far as the caller may read them.';

create function public.find_conflicts(
  p_resource_ids uuid[],
  p_starts_at timestamptz,
  p_ends_at timestamptz,
  p_exclude_source uuid default null
) returns table (
  resource_id uuid, resource_name text, conflict_type text, source_table text, source_id uuid,
  starts_at timestamptz, ends_at timestamptz, message text
)
language sql stable set search_path = ''
begin atomic
  select * from private.conflicts(p_resource_ids, p_starts_at, p_ends_at, p_exclude_source);
end;
comment on function public.find_conflicts(uuid[], timestamptz, timestamptz, uuid) is
  'What stands in the way of using these resources from p_starts_at until p_ends_at (excluded; at most 31 days): one row a clash, none when all are free. p_exclude_source leaves out one happening, such as the one being moved. Callers who may not read somebody''s calendar get conflict_type busy and the times only. Raises invalid_input for an end that is not after its start.';

-- sql/20_time/rpc/find_resources.sql

create function public.find_resources(p_name text default null, p_kinds text[] default null, p_limit integer default 50)
returns setof public.resources
language plpgsql stable set search_path = ''
as $$
declare
  v_name text := lower(private.clean_text(p_name));
begin
  perform private.fail_input(
    private.input_error(length(p_name) > 200, 'p_name', 'A name has at most 200 characters')
    || private.input_error(not p_kinds <@ array['person', 'place', 'equipment'], 'p_kinds', 'A kind is person, place or equipment')
    || private.input_error(coalesce(p_limit, 0) not between 1 and 1000, 'p_limit', 'Ask for 1 to 1000 rows')
  );
  return query
    select r.*
    from public.resources r
    where (v_name is null or strpos(lower(r.name), v_name) > 0)
      and (p_kinds is null or r.kind = any(p_kinds))
    order by lower(r.name) <> v_name, strpos(lower(r.name), v_name), r.is_active desc, r.name, r.id
    limit p_limit;
end;
$$;
comment on function public.find_resources(text, text[], integer) is
  'People, places and equipment whose name holds p_name, whatever the case (all by default): those called exactly so first, then those that begin with it. p_kinds narrows to person, place, equipment; at most p_limit rows.';

-- sql/20_time/rpc/find_weekly_conflicts.sql

create function private.weekly_conflicts(
  p_resource_ids uuid[], p_rule public.weekly_rules, p_limit integer
) returns table (
  resource_id uuid, resource_name text, conflict_type text, source_table text, source_id uuid, occurs_on date,
  starts_at timestamptz, ends_at timestamptz, message text
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sees_all boolean;
  v_self uuid;
begin
  if private.caller_id() is null and not private.is_trusted() then
    perform private.fail('forbidden', 'Sign in to see who is free');
  end if;
  v_sees_all := private.has_permission('read:calendar');
  v_self := private.current_profile_id();
  return query
    with hits as (
      -- Up to the horizon everything is claimed.
      select h.resource_id, c.kind, c.source_table, c.source_id, c.title, o.occurs_on, c.during
      from public.resource_horizons h
      cross join lateral private.rule_occurrences(p_rule, null, h.claimed_until) o
      join public.claims c on c.resource_id = h.resource_id and c.during && o.during
      where h.resource_id = any(p_resource_ids)
      union
      -- Beyond it there are rules only; the first date on which two of them meet says enough.
      select h.resource_id, q.kind, 'weekly_rules', q.id, q.title, m.occurs_on, m.other_during
      from public.resource_horizons h
      join public.weekly_rule_resources p on p.resource_id = h.resource_id
      join public.weekly_rules q on q.id = p.rule_id
      cross join lateral (
        select m.occurs_on, m.other_during
        from private.rule_meets(p_rule, q, h.claimed_until) m
        where lower(m.during) >= h.claimed_until or lower(m.other_during) >= h.claimed_until
        order by m.occurs_on
        limit 1
      ) m
      where h.resource_id = any(p_resource_ids)
    )
    select x.resource_id, r.name,
      case when t.is_told then x.kind else 'busy' end,
      case when t.is_told then x.source_table end,
      case when t.is_told then x.source_id end,
      x.occurs_on, lower(x.during), upper(x.during),
      format('%s is already %s, %s', r.name, case when t.is_told then 'in ' || x.title else 'taken' end, private.describe_range(x.during))
    from hits x
    join public.resources r on r.id = x.resource_id
    cross join lateral (select v_sees_all or x.resource_id = v_self as is_told) t
    order by lower(x.during), r.name, x.source_id
    limit p_limit;
end;
$$;
comment on function private.weekly_conflicts(uuid[], public.weekly_rules, integer) is
  'What a weekly rule would run into: claims up to the horizons, other rules beyond.';

create function public.find_weekly_conflicts(
  p_resource_ids uuid[],
  p_weekday integer,
  p_start_time time,
  p_end_time time,
  p_time_zone text default null,
  p_from date default null,
  p_until date default null,
  p_limit integer default 200
) returns table (
  resource_id uuid, resource_name text, conflict_type text, source_table text, source_id uuid, occurs_on date,
  starts_at timestamptz, ends_at timestamptz, message text
)
language plpgsql stable set search_path = ''
as $$
declare
  v_rule public.weekly_rules;
begin
  v_rule.time_zone := coalesce(p_time_zone, private.setting_text('organisation_time_zone'));
  perform private.fail_input(
    private.input_error(coalesce(cardinality(p_resource_ids), 0) not between 1 and 100, 'p_resource_ids', 'Name 1 to 100 resources')
    || private.input_error(coalesce(p_weekday, -1) not between 0 and 6, 'p_weekday', 'A weekday is 0 (Sunday) to 6 (Saturday)')
    || private.input_error(p_start_time is null, 'p_start_time', 'Say when it starts')
    || private.input_error(p_end_time is null, 'p_end_time', 'Say when it ends')
    || private.input_error(p_end_time <= p_start_time, 'p_end_time', 'The end must be after the start')
    || private.input_error(not private.is_time_zone(v_rule.time_zone), 'p_time_zone', 'That is no IANA time zone')
    || private.input_error(p_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
    || private.input_error(p_until not between date '1970-01-01' and date '2199-12-31', 'p_until', 'A date lies between 1970 and 2199')
    || private.input_error(p_until < coalesce(p_from, private.today()), 'p_until', 'The last day must not be before the first')
    || private.input_error(coalesce(p_limit, 0) not between 1 and 1000, 'p_limit', 'Ask for 1 to 1000 rows')
  );
  v_rule.weekday := p_weekday;
  v_rule.start_time := p_start_time;
  v_rule.end_time := p_end_time;
  v_rule.effective := daterange(coalesce(p_from, private.today()), p_until, '[]');
  return query select * from private.weekly_conflicts(p_resource_ids, v_rule, p_limit);
end;
$$;
comment on function public.find_weekly_conflicts(uuid[], integer, time, time, text, date, date, integer) is
  'What a weekly rule would run into before it is made: weekday 0 Sunday to 6 Saturday, wall-clock times in p_time_zone (the organisation''s by default), from p_from (today) to p_until (included; null: for ever). Every clash up to the horizon and, beyond it, the first with each other rule; at most p_limit rows. Raises invalid_input naming every bad field.';

-- sql/20_time/rpc/free_slots.sql

-- Sets of instants are multiranges, and what is free is one expression: the window and the horizons, in the hours of
-- all, without what keeps any of them.
--
-- Starts lie on a grid counted from each local midnight, so that they are round times on the wall clock. On a day
-- without a clock change that is plain addition; on the others each grid time is looked up: one the clock skips is no
-- start, and of an hour that happens twice the first counts, as for whatever may be booked there.
create function private.slots(
  p_resource_ids uuid[], p_window tstzrange, p_duration interval, p_step interval, p_respect_availability boolean,
  p_time_zone text, p_limit integer
) returns table (starts_at timestamptz, ends_at timestamptz)
language sql stable security definer set search_path = ''
begin atomic
  with asked as (
    select r.id, r.kind, r.is_active, h.claimed_until
    from public.resources r
    left join public.resource_horizons h on h.resource_id = r.id
    where r.id = any(p_resource_ids)
  ),
  bounds as (
    select tstzmultirange(p_window)
      * case
        when bool_and(a.is_active and a.claimed_until is not null) then tstzmultirange(tstzrange(null, min(a.claimed_until)))
        else '{}'
      end as during
    from asked a
  ),
  -- Nothing stated is unknown: never free for a person, open for a place or a piece of equipment.
  hours as (
    select range_intersect_agg(
      coalesce(h.hours, '{}')
      + case a.kind when 'person' then '{}' else tstzmultirange(tstzrange(null, null)) - coalesce(h.stated, '{}') end
    ) as during
    from asked a
    left join private.hours_of(p_resource_ids, p_window) h on h.resource_id = a.id
    where p_respect_availability
  ),
  free as (
    select f.during
    from bounds b
    cross join hours h
    cross join lateral unnest(
      b.during * coalesce(h.during, tstzmultirange(tstzrange(null, null)))
      - coalesce((select range_agg(y.during) from private.busy_ranges(p_resource_ids, p_window) y), '{}')
    ) as f(during)
    where upper(f.during) - lower(f.during) >= p_duration
  ),
  days as (
    select m.day, m.starts_at, lead(m.starts_at) over (order by m.day) as ends_at
    from (
      select d.day::date as day, private.day_start(d.day::date, p_time_zone) as starts_at
      from generate_series(
        (lower(p_window) at time zone p_time_zone)::date - 1, ((upper(p_window) at time zone p_time_zone)::date + 2)::timestamp,
        interval '1 day'
      ) as d(day)
    ) m
  ),
  grid as (
    select d.day, d.starts_at, d.ends_at, n.number * p_step as since_midnight, f.during
    from days d
    join free f on f.during && tstzrange(d.starts_at, d.ends_at)
    cross join lateral generate_series(0, ceil(86400 / extract(epoch from p_step))::integer - 1) as n(number)
  )
  select s.starts_at, s.starts_at + p_duration
  from grid g
  cross join lateral (
    select case
      when g.ends_at - g.starts_at = interval '24 hours' then g.starts_at + g.since_midnight
      else private.local_to_instant(g.day, time '00:00' + g.since_midnight, p_time_zone)
    end as starts_at
  ) s
  where s.starts_at >= lower(g.during) and s.starts_at + p_duration <= upper(g.during)
  order by s.starts_at
  limit p_limit;
end;
comment on function private.slots(uuid[], tstzrange, interval, interval, boolean, text, integer) is
  'The slots public.free_slots returns; durations and steps are in seconds only, since a day is not always 24 hours.';

create function public.free_slots(
  p_resource_ids uuid[],
  p_from timestamptz,
  p_to timestamptz,
  p_duration interval,
  p_step interval default null,
  p_respect_availability boolean default true,
  p_limit integer default 500
) returns table (starts_at timestamptz, ends_at timestamptz)
language plpgsql stable set search_path = ''
as $$
declare
  v_duration interval;
  v_step interval;
begin
  perform private.refuse_too_many(p_resource_ids);
  if p_limit > 5000 then
    perform private.fail('limit_exceeded', 'Ask for at most 5000 slots at once', 'p_limit', jsonb_build_object('limit', 5000));
  end if;
  perform private.fail_input(
    private.window_errors(p_resource_ids, p_from, p_to)
    || private.input_error(p_duration is null, 'p_duration', 'Say how long it takes')
    || private.input_error(p_duration < interval '1 minute', 'p_duration', 'It takes at least a minute')
    || private.input_error(p_duration > interval '31 days', 'p_duration', 'A single use lasts at most 31 days')
    || private.input_error(p_step < interval '1 minute', 'p_step', 'A step is at least a minute')
    || private.input_error(p_step > interval '1 day', 'p_step', 'A step is at most a day')
    || private.input_error(coalesce(p_limit, 0) < 1, 'p_limit', 'Ask for at least one slot')
  );
  -- An interval in days or months would be added by the caller's time zone.
  v_duration := make_interval(secs => extract(epoch from p_duration)::double precision);
  v_step := make_interval(secs => extract(epoch from least(coalesce(p_step, p_duration), interval '1 day'))::double precision);
  if extract(epoch from p_to - p_from) / extract(epoch from v_step) > 50000 then
    perform private.fail('limit_exceeded', 'That is more than 50000 steps at once', 'p_step', jsonb_build_object('limit', 50000),
      'Ask for a shorter time, or in larger steps.');
  end if;
  perform private.require_resources(p_resource_ids);
  return query
    select s.starts_at, s.ends_at
    from private.slots(
      p_resource_ids, tstzrange(p_from, p_to), v_duration, v_step, coalesce(p_respect_availability, true),
      private.setting_text('organisation_time_zone'), p_limit
    ) s;
end;
$$;
comment on function public.free_slots(uuid[], timestamptz, timestamptz, interval, interval, boolean, integer) is
  'Slots of p_duration (up to 31 days) between p_from and p_to (at most a year, the past included) in which all these resources can be had: not taken, not on approved time off, not closed, not beyond the time they can be booked ahead, active, and in the hours they stated. Who stated no hours offers nothing; a place or a piece of equipment without hours is open. p_respect_availability false ignores hours, nothing else. Starts lie on a grid of p_step (p_duration by default, at most a day) counted from each midnight where the organisation is. In order of time, at most p_limit (5000). For anyone signed in, at most 100 resources. Raises invalid_input naming every bad field, not_found, limit_exceeded.';

-- sql/20_time/rpc/grant_override.sql

create function private.grant_override_to(p_members jsonb, p_reason text, p_expires_at timestamptz) returns public.overrides
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_override public.overrides;
  v_standing record;
begin
  perform private.require_permission('grant:override');
  insert into public.overrides (reason, granted_by, expires_at)
  values (private.clean_text(p_reason), private.caller_id(), p_expires_at)
  returning * into v_override;
  -- What an ended override named may be named again. Whoever names one at the same moment is waited for, and then seen.
  insert into public.override_members as m (override_id, source_table, source_id)
  select distinct v_override.id, g.source_table, g.source_id
  from jsonb_to_recordset(p_members) as g(source_table text, source_id uuid)
  order by g.source_id, g.source_table
  on conflict (source_id, source_table) do update
  set override_id = excluded.override_id
  where exists (
    select from public.overrides o where o.id = m.override_id and least(o.expires_at, o.revoked_at) <= private.now()
  );
  select m.source_table, m.source_id, o.reason into v_standing
  from jsonb_to_recordset(p_members) as g(source_table text, source_id uuid)
  join public.override_members m on m.source_table = g.source_table and m.source_id = g.source_id
  join public.overrides o on o.id = m.override_id
  where o.id <> v_override.id
  order by m.source_id
  limit 1;
  if found then
    perform private.fail('duplicate', format('One of them is in an override already (%s)', v_standing.reason), 'p_members',
      jsonb_build_object('source_table', v_standing.source_table, 'source_id', v_standing.source_id),
      'A happening is in at most one group: revoke that override first, or change when it expires.');
  end if;
  return v_override;
end;
$$;
comment on function private.grant_override_to(jsonb, text, timestamptz) is 'Makes an override group for a holder of grant:override.';

create function public.grant_override(
  p_members jsonb,
  p_reason text,
  p_expires_at timestamptz default null,
  p_idempotency_key text default null
) returns setof public.overrides
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('members', p_members, 'reason', p_reason, 'expires_at', p_expires_at at time zone 'UTC');
  v_answer jsonb := private.answered_before('grant_override', p_idempotency_key, v_request);
  v_override public.overrides;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.overrides, v_answer);
    return;
  end if;
  perform private.fail_input(
    private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why they may overlap')
    || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters')
    || private.input_error(p_expires_at <= private.now(), 'p_expires_at', 'An override expires in the future')
    || case
      when jsonb_typeof(p_members) is distinct from 'array' then
        private.input_error(true, 'p_members', 'Members are a list of {"source_table", "source_id"}')
      when jsonb_array_length(p_members) not between 2 and 1000 then
        private.input_error(true, 'p_members', 'A group has 2 to 1000 members')
      else coalesce((
        select jsonb_agg(jsonb_build_object('field', format('p_members[%s]', m.position - 1),
          'message', 'A member is {"source_table": a table of happenings, "source_id": its id}'))
        from jsonb_array_elements(p_members) with ordinality as m(member, position)
        where jsonb_typeof(m.member) <> 'object' or m.member ->> 'source_table' is null
          or coalesce(m.member ->> 'source_id', '') !~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
      ), '[]')
    end
  );
  v_override := private.grant_override_to(p_members, p_reason, p_expires_at);
  perform private.remember_answer('grant_override', p_idempotency_key, v_request, to_jsonb(v_override));
  return next v_override;
end;
$$;
comment on function public.grant_override(jsonb, text, timestamptz, text) is
  'Lets a group of happenings overlap each other: p_members is [{"source_table": "meetings", "source_id": "…"}, …], 2 to 1000 of them, which may be written before or after. Strangers to the group are still refused. Happenings that start at p_expires_at or later are not covered. Needs grant:override. Returns the override. Raises duplicate when one is in a group already.';

-- sql/20_time/rpc/import_meetings.sql

-- A hosted project gives its roles seconds, and a whole term takes longer: PostgREST reads the limit from here.
create function public.import_meetings(
  p_rows jsonb,
  p_time_zone text default null,
  p_on_conflict text default 'refuse',
  p_dry_run boolean default false,
  p_label text default null,
  p_idempotency_key text default null
) returns jsonb
language plpgsql volatile set search_path = '' set statement_timeout = '2min'
as $$
declare
  v_zone text := coalesce(p_time_zone, private.setting_text('organisation_time_zone'));
  v_columns constant text[] := array['line', 'crn', 'course', 'section', 'title', 'instructor', 'location', 'date', 'start_time',
    'end_time', 'capacity', 'enrolled'];
  v_limit integer := private.setting_integer('import_rows_limit');
  v_count integer := case when jsonb_typeof(p_rows) = 'array' then jsonb_array_length(p_rows) end;
  v_stray record;
  v_request jsonb;
  v_answer jsonb;
begin
  perform private.require_permission('bulk:calendar');
  if v_count > v_limit then
    perform private.fail('limit_exceeded', format('One import may bring %s rows, not %s', v_limit, v_count), 'p_rows',
      jsonb_build_object('limit', v_limit, 'rows', v_count), 'Import it in parts, or raise the setting import_rows_limit.');
  end if;
  perform private.fail_input(
    private.input_error(v_count is null, 'p_rows', 'Rows are a list of objects')
    || private.input_error(v_count = 0, 'p_rows', 'There are no rows')
    || private.input_error(not private.is_time_zone(v_zone), 'p_time_zone', 'A time zone is an IANA name, such as America/New_York')
    || private.input_error(coalesce(p_on_conflict, '') not in ('refuse', 'skip', 'override'), 'p_on_conflict', 'It is refuse, skip or override')
    || private.input_error(p_dry_run is null, 'p_dry_run', 'It is true or false')
    || private.input_error(length(p_label) > 200, 'p_label', 'A label has at most 200 characters')
  );
  select r.position, r.item into v_stray
  from jsonb_array_elements(p_rows) with ordinality as r(item, position)
  where case when jsonb_typeof(r.item) = 'object' then r.item - v_columns <> '{}' else true end
  limit 1;
  if found then
    perform private.fail('invalid_input',
      format('Row %s is not an object of %s', v_stray.position, array_to_string(v_columns, ', ')), 'p_rows',
      jsonb_build_object('row', v_stray.position, 'columns', to_jsonb(v_columns)));
  end if;
  v_request := jsonb_build_object('time_zone', v_zone, 'on_conflict', p_on_conflict, 'dry_run', p_dry_run,
    'label', coalesce(private.clean_name(p_label), format('Import of %s meetings', v_count)));
  if p_dry_run then
    return private.import_rows(p_rows, v_request);
  end if;
  v_answer := private.answered_before('import_meetings', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows));
  if v_answer is null then
    v_answer := private.import_rows(p_rows, v_request);
    perform private.remember_answer('import_meetings', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows), v_answer);
  end if;
  return v_answer;
end;
$$;
comment on function public.import_meetings(jsonb, text, text, boolean, text, text) is
  'Imports a timetable in one transaction: p_rows is [{"crn", "course", "section", "title", "instructor", "location", "date", "start_time", "end_time", "capacity", "enrolled", "line"}, …], all text, dates like 2018-09-04, times like 09:30 in p_time_zone (the organisation''s by default); instructor and location are names, empty or BY ARR for none, and become people without login and places where there are none of that name. What overlaps a row of another crn, or the ledger, is refused as a whole (p_on_conflict refuse), left out in the order of the rows (skip), or imported as override groups with p_label as their reason (override, needs grant:override); rows of one crn may overlap. Rows that say what an earlier import said are left unchanged. p_dry_run changes nothing. Needs bulk:calendar. Returns the report: rows, resources, overlaps, imported, unchanged, left_out, errors and more. Raises invalid_input naming every bad field of every row, limit_exceeded, time_conflict; details carry the report.';

-- sql/20_time/rpc/move_occurrence.sql

create function public.move_occurrence(
  p_rule_id uuid,
  p_occurs_on date,
  p_to_date date,
  p_start_time time,
  p_end_time time,
  p_reason text default null,
  p_idempotency_key text default null
) returns setof public.weekly_rule_exceptions
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'rule_id', p_rule_id, 'occurs_on', p_occurs_on, 'to_date', p_to_date, 'start_time', p_start_time, 'end_time', p_end_time,
    'reason', p_reason);
  v_answer jsonb := private.answered_before('move_occurrence', p_idempotency_key, v_request);
  v_exception public.weekly_rule_exceptions;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.weekly_rule_exceptions, v_answer);
    return;
  end if;
  perform private.require_permission('update:calendar');
  perform private.fail_input(
    private.occurrence_errors(p_rule_id, p_occurs_on, p_reason)
    || private.input_error(p_to_date is null, 'p_to_date', 'Say to which day')
    || private.input_error(p_to_date not between date '1970-01-01' and date '2199-12-31', 'p_to_date', 'A date lies between 1970 and 2199')
    || private.input_error(p_start_time is null, 'p_start_time', 'Say when it starts')
    || private.input_error(p_end_time is null, 'p_end_time', 'Say when it ends')
    || private.input_error(p_end_time <= p_start_time, 'p_end_time', 'The end must be after the start')
  );
  perform private.require_rule(p_rule_id);
  insert into public.weekly_rule_exceptions as e (rule_id, occurs_on, kind, moved_to_date, moved_start_time, moved_end_time, reason)
  values (p_rule_id, p_occurs_on, 'moved', p_to_date, p_start_time, p_end_time, private.clean_text(p_reason))
  on conflict (rule_id, occurs_on) do update
  set kind = 'moved', reason = excluded.reason, moved_to_date = excluded.moved_to_date,
    moved_start_time = excluded.moved_start_time, moved_end_time = excluded.moved_end_time,
    taken_by_table = null, taken_by_id = null
  where e.kind <> 'taken_over' or not private.happening_exists(e.taken_by_table, e.taken_by_id)
  returning * into v_exception;
  if not found then
    perform private.fail('illegal_transition', format('A happening of its own took %s over', p_occurs_on), 'p_occurs_on',
      p_hint => 'Move that happening instead.');
  end if;
  perform private.remember_answer('move_occurrence', p_idempotency_key, v_request, to_jsonb(v_exception));
  return next v_exception;
end;
$$;
comment on function public.move_occurrence(uuid, date, date, time, time, text, text) is
  'Moves one date of a weekly rule to another day and time, wall-clock in the rule''s zone; the rest of the rule stays. Needs update:calendar. Returns the exception. Raises time_conflict naming what is in the way there, not_found, invalid_input, illegal_transition for a date that was taken over.';

-- sql/20_time/rpc/request_time_off.sql

create function private.add_time_off(
  p_resource_id uuid, p_starts_on date, p_ends_on date, p_start_time time, p_end_time time, p_time_zone text, p_reason text
) returns uuid
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
begin
  if p_resource_id is distinct from private.current_profile_id() then
    perform private.require_permission('decide:time_off');
  end if;
  perform private.require_resources(array[p_resource_id]);
  insert into public.time_off (resource_id, starts_on, ends_on, start_time, end_time, time_zone, reason)
  values (p_resource_id, p_starts_on, p_ends_on, p_start_time, p_end_time, p_time_zone, p_reason)
  returning id into v_id;
  return v_id;
end;
$$;
comment on function private.add_time_off(uuid, date, date, time, time, text, text) is
  'Requests time off for the caller, or for anybody by a holder of decide:time_off.';

create function private.time_off_answer(p_id uuid) returns jsonb
language sql stable security definer set search_path = ''
return (
  select jsonb_agg(jsonb_build_object(
    'id', t.id, 'status', t.status, 'version', t.version, 'source_table', u.source_table, 'source_id', u.source_id,
    'occurs_on', u.occurs_on, 'kind', u.kind, 'title', u.title, 'starts_at', lower(u.during), 'ends_at', upper(u.during)
  ) order by lower(u.during), u.title, u.source_id)
  from public.time_off t
  left join lateral private.uses_within(array[t.resource_id], t.during) u on t.status in ('requested', 'approved')
  where t.id = p_id
    and (t.resource_id = private.current_profile_id() or private.has_permission('decide:time_off'))
);
comment on function private.time_off_answer(uuid) is
  'Time off as the functions about it return it, for the person and those who decide: a row for each use it hits, or one without.';

create function public.request_time_off(
  p_resource_id uuid,
  p_starts_on date,
  p_ends_on date default null,
  p_start_time time default null,
  p_end_time time default null,
  p_time_zone text default null,
  p_reason text default null,
  p_idempotency_key text default null
) returns table (
  id uuid, status text, version integer, source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'resource_id', p_resource_id, 'starts_on', p_starts_on, 'ends_on', p_ends_on, 'start_time', p_start_time, 'end_time', p_end_time,
    'time_zone', p_time_zone, 'reason', p_reason);
  v_answer jsonb := private.answered_before('request_time_off', p_idempotency_key, v_request);
  v_id uuid;
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_resource_id is null, 'p_resource_id', 'Say whose time off it is')
      || private.time_off_errors(p_starts_on, p_ends_on, p_start_time, p_end_time, p_time_zone, 'p_')
      || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters')
    );
    -- The answer is read in a statement of its own, which sees the row.
    v_id := private.add_time_off(
      p_resource_id, p_starts_on, p_ends_on, p_start_time, p_end_time, p_time_zone, private.clean_text(p_reason));
    v_answer := private.time_off_answer(v_id);
    perform private.remember_answer('request_time_off', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.id, a.status, a.version, a.source_table, a.source_id, a.occurs_on, a.kind, a.title, a.starts_at, a.ends_at
    from jsonb_to_recordset(v_answer) as a(
      id uuid, status text, version integer, source_table text, source_id uuid, occurs_on date, kind text, title text,
      starts_at timestamptz, ends_at timestamptz);
end;
$$;
comment on function public.request_time_off(uuid, date, date, time, time, text, text, text) is
  'Requests time off from p_starts_on to p_ends_on (included; the same day by default), whole days, or from p_start_time of the first until p_end_time of the last, wall-clock in p_time_zone (the person''s by default). For yourself, or for anybody with decide:time_off. Returns its id and status with a row for each thing the person is needed for then, or one row without. Raises invalid_input naming every bad field, forbidden, not_found.';

-- sql/20_time/rpc/restore_occurrence.sql

create function public.restore_occurrence(p_rule_id uuid, p_occurs_on date, p_idempotency_key text default null) returns boolean
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('rule_id', p_rule_id, 'occurs_on', p_occurs_on);
begin
  if private.answered_before('restore_occurrence', p_idempotency_key, v_request) is not null then
    return true;
  end if;
  perform private.require_permission('update:calendar');
  perform private.fail_input(private.occurrence_errors(p_rule_id, p_occurs_on));
  perform private.require_rule(p_rule_id);
  delete from public.weekly_rule_exceptions e
  where e.rule_id = p_rule_id and e.occurs_on = p_occurs_on
    and (e.kind <> 'taken_over' or not private.happening_exists(e.taken_by_table, e.taken_by_id));
  if not found and exists (
    select from public.weekly_rule_exceptions e where e.rule_id = p_rule_id and e.occurs_on = p_occurs_on
  ) then
    perform private.fail('illegal_transition', format('A happening of its own took %s over', p_occurs_on), 'p_occurs_on',
      p_hint => 'Delete that happening first.');
  end if;
  perform private.remember_answer('restore_occurrence', p_idempotency_key, v_request, 'true');
  return true;
end;
$$;
comment on function public.restore_occurrence(uuid, date, text) is
  'Puts a cancelled or moved date of a weekly rule back to where the rule has it. Needs update:calendar. True when it is there now. Raises time_conflict when its time has been taken meanwhile, not_found, illegal_transition for a date a happening took over.';

-- sql/20_time/rpc/revoke_override.sql

create function private.revoke_override_by_id(p_override_id uuid) returns public.overrides
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_override public.overrides;
begin
  perform private.require_permission('grant:override');
  update public.overrides o
  set revoked_at = private.now()
  where o.id = p_override_id and o.revoked_at is null;
  select o.* into v_override from public.overrides o where o.id = p_override_id;
  if not found then
    perform private.fail('not_found', 'There is no such override', 'p_override_id');
  end if;
  return v_override;
end;
$$;
comment on function private.revoke_override_by_id(uuid) is 'Ends an override for a holder of grant:override.';

create function public.revoke_override(p_override_id uuid, p_idempotency_key text default null) returns setof public.overrides
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('override_id', p_override_id);
  v_answer jsonb := private.answered_before('revoke_override', p_idempotency_key, v_request);
  v_override public.overrides;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.overrides, v_answer);
    return;
  end if;
  v_override := private.revoke_override_by_id(p_override_id);
  perform private.remember_answer('revoke_override', p_idempotency_key, v_request, to_jsonb(v_override));
  return next v_override;
end;
$$;
comment on function public.revoke_override(uuid, text) is
  'Takes an override back: what has started may go on, what starts later must no longer overlap. Needs grant:override. Returns the override. Raises time_conflict, and changes nothing, while later happenings still overlap; not_found.';

-- sql/20_time/rpc/schedule_meeting.sql

-- Before the meeting is there, since only now is it known whom it will claim besides the rule's own resources.
create function private.take_over_for(p_meeting_id uuid, p_rule_id uuid, p_occurs_on date, p_resource_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('create:calendar');
  perform private.take_over('meetings', array[p_meeting_id], array[p_rule_id], array[p_occurs_on], p_resource_ids);
end;
$$;
comment on function private.take_over_for(uuid, uuid, date, uuid[]) is 'Gives a date of a rule to a meeting about to be written, for a holder of create:calendar.';

create function public.schedule_meeting(
  p_title text,
  p_date date,
  p_start_time time,
  p_end_time time,
  p_resource_ids uuid[] default '{}',
  p_time_zone text default null,
  p_ends_on date default null,
  p_kind text default 'meeting',
  p_notes text default null,
  p_rule_id uuid default null,
  p_occurs_on date default null,
  p_idempotency_key text default null
) returns setof public.meetings
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'title', p_title, 'date', p_date, 'start_time', p_start_time, 'end_time', p_end_time, 'resource_ids', p_resource_ids,
    'time_zone', p_time_zone, 'ends_on', p_ends_on, 'kind', p_kind, 'notes', p_notes, 'rule_id', p_rule_id, 'occurs_on', p_occurs_on);
  v_answer jsonb := private.answered_before('schedule_meeting', p_idempotency_key, v_request);
  v_id uuid := gen_random_uuid();
  v_meeting public.meetings;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.meetings, v_answer);
    return;
  end if;
  perform private.require_permission('create:calendar');
  perform private.fail_input(
    private.input_error(private.clean_text(p_title) is null, 'p_title', 'Say what it is called')
    || private.input_error(length(p_title) > 500, 'p_title', 'A title has at most 500 characters')
    || private.meeting_errors(p_date, p_start_time, p_end_time, p_ends_on, coalesce(p_time_zone, private.setting_text('organisation_time_zone')), 'p_')
    || private.input_error(coalesce(p_kind, '') !~ '^[a-z]+(_[a-z]+)*$', 'p_kind', 'A kind is a word in lower case')
    || private.input_error(length(p_notes) > 10000, 'p_notes', 'Notes have at most 10000 characters')
    || private.input_error(cardinality(p_resource_ids) > 500, 'p_resource_ids', 'A meeting has at most 500 participants')
    || private.input_error((p_rule_id is null) <> (p_occurs_on is null), 'p_occurs_on', 'A rule and the date taken over go together')
    || private.input_error(array_position(p_resource_ids, null) is not null, 'p_resource_ids', 'A participant is missing its id')
  );
  perform private.require_resources(p_resource_ids);
  if p_rule_id is not null then
    perform private.require_rule(p_rule_id);
    perform private.take_over_for(v_id, p_rule_id, p_occurs_on, p_resource_ids);
  end if;
  insert into public.meetings (id, title, kind, date, start_time, end_time, ends_on, time_zone, notes, rule_id, occurs_on)
  values (v_id, private.clean_text(p_title), p_kind, p_date, p_start_time, p_end_time, p_ends_on, p_time_zone, private.clean_text(p_notes), p_rule_id, p_occurs_on)
  returning * into v_meeting;
  insert into public.meeting_participants (meeting_id, resource_id)
  select distinct v_meeting.id, u.id from unnest(p_resource_ids) as u(id);
  perform private.remember_answer('schedule_meeting', p_idempotency_key, v_request, to_jsonb(v_meeting));
  return next v_meeting;
end;
$$;
comment on function public.schedule_meeting(text, date, time, time, uuid[], text, date, text, text, uuid, date, text) is
  'Writes a meeting with its participants (ids of resources) in one go, and claims their time. Date and times are wall-clock in p_time_zone (the organisation''s by default); p_ends_on when it ends on a later day; p_rule_id with p_occurs_on takes one date of a weekly rule over. Needs create:calendar. Returns the meeting. Raises time_conflict naming what is in the way, limit_exceeded beyond the horizon, invalid_input, not_found for unknown resources.';

-- sql/20_time/rpc/set_availability.sql

-- What is wrong with a list of hours, entry by entry; then, among those that are well-formed, which overlap.
create function private.hours_errors(p_hours jsonb) returns jsonb
language sql stable set search_path = ''
return case
    when jsonb_typeof(p_hours) is distinct from 'array' then
      private.input_error(true, 'p_hours', 'Hours are a list of {"weekday", "start_time", "end_time"}')
    when jsonb_array_length(p_hours) > 200 then private.input_error(true, 'p_hours', 'At most 200 entries')
    else (
      with entries as (
        select format('p_hours[%s]', e.position - 1) as path, e.position, e.entry,
          coalesce(jsonb_typeof(e.entry -> 'weekday') = 'number' and e.entry ->> 'weekday' ~ '^[0-6]$', false) as has_weekday,
          coalesce(e.entry ->> 'start_time' ~ '^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$', false) as has_start,
          coalesce(e.entry ->> 'end_time' ~ '^(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?|24:00(:00)?)$', false) as has_end
        from jsonb_array_elements(p_hours) with ordinality as e(entry, position)
      ),
      parsed as (
        select e.*, case when e.has_start then (e.entry ->> 'start_time')::time end as start_time,
          case when e.has_end then (e.entry ->> 'end_time')::time end as end_time
        from entries e
      ),
      errors as (
        select e.position, m.field, m.message
        from parsed e
        cross join lateral (
          values
            (jsonb_typeof(e.entry) <> 'object', e.path, 'An entry is {"weekday": 0 to 6, "start_time": "09:00", "end_time": "17:00"}'),
            (jsonb_typeof(e.entry) = 'object' and not e.has_weekday, e.path || '.weekday', 'A weekday is 0 (Sunday) to 6 (Saturday)'),
            (jsonb_typeof(e.entry) = 'object' and not e.has_start, e.path || '.start_time', 'A time is written 09:00'),
            (jsonb_typeof(e.entry) = 'object' and not e.has_end, e.path || '.end_time', 'A time is written 17:00; 24:00 is midnight'),
            (e.end_time <= e.start_time, e.path || '.end_time', 'The end must be after the start'),
            (
              e.entry ? 'time_zone' and not coalesce(private.is_time_zone(e.entry ->> 'time_zone'), false), e.path || '.time_zone',
              'That is no IANA time zone'
            )
        ) as m(applies, field, message)
        where m.applies
        union all
        select b.position, b.path, format('Overlaps %s', a.path)
        from parsed a
        join parsed b on b.position > a.position and b.entry -> 'weekday' = a.entry -> 'weekday'
          and b.start_time < a.end_time and a.start_time < b.end_time
      )
      select coalesce(jsonb_agg(jsonb_build_object('field', e.field, 'message', e.message) order by e.position, e.field), '[]')
      from errors e
    )
  end;
comment on function private.hours_errors(jsonb) is 'What is wrong with a list of weekly hours, as private.fail_input takes it.';

create function private.replace_availability(p_resource_id uuid, p_hours jsonb, p_from date)
returns setof public.availability_rules
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if p_resource_id is distinct from private.current_profile_id() then
    perform private.require_permission('manage:availability');
  end if;
  perform private.require_resources(array[p_resource_id]);
  -- Two who replace the same hours at once would both keep theirs.
  perform private.lock_resources(array[p_resource_id]);
  delete from public.availability_rules r where r.resource_id = p_resource_id and lower(r.effective) >= p_from;
  update public.availability_rules r set effective = r.effective * daterange(null, p_from)
  where r.resource_id = p_resource_id and r.effective @> p_from;
  return query
    insert into public.availability_rules (resource_id, weekday, start_time, end_time, time_zone, effective)
    select p_resource_id, h.weekday, h.start_time, h.end_time, h.time_zone, daterange(p_from, null)
    from jsonb_to_recordset(p_hours) as h(weekday smallint, start_time time, end_time time, time_zone text)
    order by h.weekday, h.start_time
    returning *;
end;
$$;
comment on function private.replace_availability(uuid, jsonb, date) is
  'Replaces a resource''s hours from a date on, by that person or a holder of manage:availability.';

create function public.set_availability(
  p_resource_id uuid,
  p_hours jsonb,
  p_from date default null,
  p_idempotency_key text default null
) returns setof public.availability_rules
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('resource_id', p_resource_id, 'hours', p_hours, 'from', p_from);
  v_answer jsonb := private.answered_before('set_availability', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_resource_id is null, 'p_resource_id', 'Say whose hours they are')
      || private.input_error(p_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
      || private.hours_errors(p_hours)
    );
    v_answer := (
      select coalesce(jsonb_agg(to_jsonb(r) order by r.weekday, r.start_time), '[]')
      from private.replace_availability(p_resource_id, p_hours, coalesce(p_from, private.today())) r
    );
    perform private.remember_answer('set_availability', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.availability_rules, v_answer);
end;
$$;
comment on function public.set_availability(uuid, jsonb, date, text) is
  'States the weekly hours of a person or place from p_from (today) on, in place of those stated before, which stay known for the dates before. p_hours is [{"weekday": 0 Sunday to 6 Saturday, "start_time": "09:00", "end_time": "17:00", "time_zone": optional}, …], wall-clock times; an empty list states nothing from then on. Your own hours, or anybody''s with manage:availability. Returns the rows made. Raises invalid_input naming every bad entry, forbidden, not_found.';

-- sql/20_time/policies.sql

-- Who may see and write what of time.
--
-- Claims and horizons are written by triggers alone, so nobody is granted to write them, not even service_role.
-- Overrides are made and ended through grant_override and revoke_override; only their reason and end may be patched.

alter table public.locations enable row level security;
alter table public.resources enable row level security;
alter table public.resource_horizons enable row level security;
alter table public.claims enable row level security;
alter table public.overrides enable row level security;
alter table public.override_members enable row level security;
alter table public.weekly_rules enable row level security;
alter table public.weekly_rule_resources enable row level security;
alter table public.weekly_rule_exceptions enable row level security;
alter table public.meetings enable row level security;
alter table public.meeting_participants enable row level security;

-- What one takes part in is one's own calendar; so is what one made, or a caller who may make a meeting but not read
-- everybody's could not be answered with it. Definers, because a policy that asked the tables themselves
-- would ask their policies in turn.
create function private.own_meeting_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select p.meeting_id from public.meeting_participants p where p.resource_id = private.current_profile_id();
end;
comment on function private.own_meeting_ids() is 'The meetings the caller takes part in.';

create function private.own_rule_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select p.rule_id from public.weekly_rule_resources p where p.resource_id = private.current_profile_id();
end;
comment on function private.own_rule_ids() is 'The weekly rules the caller takes part in.';

grant execute on function private.own_meeting_ids(), private.own_rule_ids() to authenticated;

grant select on public.locations to anon, authenticated, service_role;
grant insert (name, address, capacity, time_zone, is_active) on public.locations to authenticated;
grant update (name, address, capacity, time_zone, is_active, version) on public.locations to authenticated;
grant delete on public.locations to authenticated;
grant insert, update, delete on public.locations to service_role;
create policy "anyone sees places that are in use" on public.locations for select to anon
  using (is_active);
create policy "signed-in people see all places" on public.locations for select to authenticated
  using (true);
create policy "holders of manage:resources add places" on public.locations for insert to authenticated
  with check ((select private.has_permission('manage:resources')));
create policy "holders of manage:resources change places" on public.locations for update to authenticated
  using ((select private.has_permission('manage:resources')));
create policy "holders of manage:resources delete places" on public.locations for delete to authenticated
  using ((select private.has_permission('manage:resources')));

-- People and places get their resource from their profile or location; only equipment is written here.
grant select on public.resources to authenticated, service_role;
grant insert (kind, name, is_active) on public.resources to authenticated, service_role;
grant update (name, is_active, version) on public.resources to authenticated, service_role;
grant delete on public.resources to authenticated, service_role;
create policy "signed-in people see all resources" on public.resources for select to authenticated
  using (true);
create policy "holders of manage:resources add equipment" on public.resources for insert to authenticated
  with check (kind = 'equipment' and (select private.has_permission('manage:resources')));
create policy "holders of manage:resources change equipment" on public.resources for update to authenticated
  using (kind = 'equipment' and (select private.has_permission('manage:resources')));
create policy "holders of manage:resources delete equipment" on public.resources for delete to authenticated
  using (kind = 'equipment' and (select private.has_permission('manage:resources')));

grant select on public.resource_horizons to authenticated, service_role;
create policy "signed-in people see until when can be booked" on public.resource_horizons for select to authenticated
  using (true);

grant select on public.claims to authenticated, service_role;
create policy "people see their own claims, holders of read:calendar all" on public.claims for select to authenticated
  using ((select private.has_permission('read:calendar')) or resource_id = (select private.current_profile_id()));

grant select on public.overrides, public.override_members to authenticated, service_role;
grant update (reason, expires_at) on public.overrides to authenticated, service_role;
create policy "holders of read:calendar see overrides" on public.overrides for select to authenticated
  using ((select private.has_permission('read:calendar')));
create policy "holders of grant:override change reason and end" on public.overrides for update to authenticated
  using ((select private.has_permission('grant:override')));
create policy "holders of read:calendar see members of overrides" on public.override_members for select to authenticated
  using ((select private.has_permission('read:calendar')));

grant select on public.weekly_rules, public.weekly_rule_resources, public.weekly_rule_exceptions to authenticated, service_role;
grant insert (id, title, kind, weekday, start_time, end_time, time_zone, effective) on public.weekly_rules to authenticated;
grant update (title, kind, weekday, start_time, end_time, time_zone, effective, version) on public.weekly_rules to authenticated;
grant insert (rule_id, resource_id) on public.weekly_rule_resources to authenticated;
grant insert (rule_id, occurs_on, kind, moved_to_date, moved_start_time, moved_end_time, reason) on public.weekly_rule_exceptions to authenticated;
grant update (kind, moved_to_date, moved_start_time, moved_end_time, taken_by_table, taken_by_id, reason)
  on public.weekly_rule_exceptions to authenticated;
grant delete on public.weekly_rules, public.weekly_rule_resources, public.weekly_rule_exceptions to authenticated;
grant insert, update, delete on public.weekly_rules, public.weekly_rule_resources, public.weekly_rule_exceptions to service_role;
create policy "people see rules they are in or made, calendar readers all" on public.weekly_rules for select to authenticated
  using ((select private.has_permission('read:calendar')) or id = any(array(select private.own_rule_ids()))
    or created_by = (select private.caller_id()));
create policy "holders of create:calendar make rules" on public.weekly_rules for insert to authenticated
  with check ((select private.has_permission('create:calendar')));
create policy "holders of update:calendar change rules" on public.weekly_rules for update to authenticated
  using ((select private.has_permission('update:calendar')));
create policy "holders of delete:calendar delete rules" on public.weekly_rules for delete to authenticated
  using ((select private.has_permission('delete:calendar')));
create policy "people see who is in their rules, holders of read:calendar all" on public.weekly_rule_resources for select to authenticated
  using ((select private.has_permission('read:calendar')) or rule_id = any(array(select private.own_rule_ids())));
create policy "holders of create or update:calendar add to rules" on public.weekly_rule_resources for insert to authenticated
  with check ((select private.has_permission('create:calendar')) or (select private.has_permission('update:calendar')));
create policy "holders of update:calendar take out of rules" on public.weekly_rule_resources for delete to authenticated
  using ((select private.has_permission('update:calendar')));
create policy "people see exceptions to their rules or that they made" on public.weekly_rule_exceptions for select to authenticated
  using ((select private.has_permission('read:calendar')) or rule_id = any(array(select private.own_rule_ids()))
    or created_by = (select private.caller_id()));
create policy "holders of update:calendar make exceptions" on public.weekly_rule_exceptions for insert to authenticated
  with check (kind <> 'taken_over' and (select private.has_permission('update:calendar')));
create policy "holders of update:calendar change exceptions" on public.weekly_rule_exceptions for update to authenticated
  using ((select private.has_permission('update:calendar')))
  with check (kind <> 'taken_over' and (select private.has_permission('update:calendar')));
create policy "holders of update:calendar take exceptions back" on public.weekly_rule_exceptions for delete to authenticated
  using ((select private.has_permission('update:calendar')));

grant select on public.meetings, public.meeting_participants to authenticated, service_role;
grant insert (
  id, title, kind, date, start_time, end_time, ends_on, time_zone, status, course, section, external_ref, capacity, enrolled,
  rule_id, occurs_on, notes
) on public.meetings to authenticated;
grant update (
  title, kind, date, start_time, end_time, ends_on, time_zone, status, course, section, external_ref, capacity, enrolled,
  rule_id, occurs_on, notes, version
) on public.meetings to authenticated;
grant insert (meeting_id, resource_id) on public.meeting_participants to authenticated;
grant delete on public.meetings, public.meeting_participants to authenticated;
grant insert, update, delete on public.meetings, public.meeting_participants to service_role;
create policy "people see meetings they are in or made, calendar readers all" on public.meetings for select to authenticated
  using ((select private.has_permission('read:calendar')) or id = any(array(select private.own_meeting_ids()))
    or created_by = (select private.caller_id()));
create policy "holders of create:calendar make meetings" on public.meetings for insert to authenticated
  with check ((select private.has_permission('create:calendar')));
create policy "holders of update:calendar change meetings" on public.meetings for update to authenticated
  using ((select private.has_permission('update:calendar')));
create policy "holders of delete:calendar delete meetings" on public.meetings for delete to authenticated
  using ((select private.has_permission('delete:calendar')));
create policy "people see who is in their meetings, holders of read:calendar all" on public.meeting_participants for select to authenticated
  using ((select private.has_permission('read:calendar')) or meeting_id = any(array(select private.own_meeting_ids())));
create policy "holders of create or update:calendar add participants" on public.meeting_participants for insert to authenticated
  with check ((select private.has_permission('create:calendar')) or (select private.has_permission('update:calendar')));
create policy "holders of update:calendar take participants out" on public.meeting_participants for delete to authenticated
  using ((select private.has_permission('update:calendar')));

grant select on public.skipped_occurrences to authenticated, service_role;

-- anon asks nobody's time: what the public may know of free places comes with the modules that sell them.
grant execute on function public.find_conflicts(uuid[], timestamptz, timestamptz, uuid),
  public.find_weekly_conflicts(uuid[], integer, time, time, text, date, date, integer),
  public.calendar(timestamptz, timestamptz, uuid[], text[]), public.find_resources(text, text[], integer),
  public.schedule_meeting(text, date, time, time, uuid[], text, date, text, text, uuid, date, text),
  public.create_weekly_rule(text, uuid[], integer, time, time, text, date, date, text, text),
  public.extend_horizon(uuid[], timestamptz, text),
  public.grant_override(jsonb, text, timestamptz, text), public.revoke_override(uuid, text),
  public.cancel_occurrence(uuid, date, text, text), public.move_occurrence(uuid, date, date, time, time, text, text),
  public.restore_occurrence(uuid, date, text)
  to authenticated, service_role;
grant execute on function private.conflicts(uuid[], timestamptz, timestamptz, uuid),
  private.weekly_conflicts(uuid[], public.weekly_rules, integer),
  private.calendar_rows(timestamptz, timestamptz, uuid[], text[]),
  private.extend_horizon_of(uuid[], timestamptz),
  private.grant_override_to(jsonb, text, timestamptz), private.revoke_override_by_id(uuid),
  private.check_span(timestamptz, timestamptz, interval, text, text, uuid[]),
  private.require_resources(uuid[]), private.require_rule(uuid), private.happening_exists(text, uuid),
  private.take_over_for(uuid, uuid, date, uuid[]), private.occurrence_errors(uuid, date, text), private.meeting_errors(date, time, time, date, text, text)
  to authenticated, service_role;

-- Availability: hours, time off, cover and closures.
--
-- Time off is written through request_time_off, decide_time_off and cancel_time_off, because a decision has to say
-- what becomes of what the person is needed for; cover requests come with it, and only their status is patched.
alter table public.availability_rules enable row level security;
alter table public.time_off enable row level security;
alter table public.cover_requests enable row level security;
alter table public.closures enable row level security;

grant select on public.availability_rules to authenticated, service_role;
grant insert (resource_id, weekday, start_time, end_time, time_zone, effective) on public.availability_rules to authenticated, service_role;
grant update (weekday, start_time, end_time, time_zone, effective, version) on public.availability_rules to authenticated, service_role;
grant delete on public.availability_rules to authenticated, service_role;
create policy "signed-in people see who works when" on public.availability_rules for select to authenticated
  using (true);
create policy "people state their own hours, holders of manage:availability all" on public.availability_rules for insert to authenticated
  with check (resource_id = (select private.current_profile_id()) or (select private.has_permission('manage:availability')));
create policy "people change their own hours, holders of manage:availability all" on public.availability_rules for update to authenticated
  using (resource_id = (select private.current_profile_id()) or (select private.has_permission('manage:availability')));
create policy "people delete their own hours, holders of manage:availability all" on public.availability_rules for delete to authenticated
  using (resource_id = (select private.current_profile_id()) or (select private.has_permission('manage:availability')));

grant select on public.time_off, public.cover_requests to authenticated, service_role;
grant insert, update, delete on public.time_off to service_role;
grant update (status, version) on public.cover_requests to authenticated, service_role;
create policy "people see their own time off, holders of decide:time_off all" on public.time_off for select to authenticated
  using (resource_id = (select private.current_profile_id()) or (select private.has_permission('decide:time_off')));
create policy "people see cover sought for them, holders of decide:time_off all" on public.cover_requests for select to authenticated
  using (resource_id = (select private.current_profile_id()) or (select private.has_permission('decide:time_off')));
create policy "holders of decide:time_off settle cover requests" on public.cover_requests for update to authenticated
  using ((select private.has_permission('decide:time_off')));

grant select on public.closures to anon, authenticated, service_role;
grant insert (name, starts_on, ends_on, location_id) on public.closures to authenticated, service_role;
grant update (name, starts_on, ends_on, location_id, version) on public.closures to authenticated, service_role;
grant delete on public.closures to authenticated, service_role;
create policy "anyone sees closures" on public.closures for select to anon, authenticated
  using (true);
create policy "holders of manage:closures add closures" on public.closures for insert to authenticated
  with check ((select private.has_permission('manage:closures')));
create policy "holders of manage:closures change closures" on public.closures for update to authenticated
  using ((select private.has_permission('manage:closures')));
create policy "holders of manage:closures delete closures" on public.closures for delete to authenticated
  using ((select private.has_permission('manage:closures')));

grant execute on function
  public.free_slots(uuid[], timestamptz, timestamptz, interval, interval, boolean, integer),
  public.busy_times(uuid[], timestamptz, timestamptz),
  public.set_availability(uuid, jsonb, date, text),
  public.request_time_off(uuid, date, date, time, time, text, text, text),
  public.decide_time_off(uuid, text, text, text, text), public.cancel_time_off(uuid, text, text),
  public.add_closure(text, date, date, uuid, boolean, text)
  to authenticated, service_role;
grant execute on function
  private.slots(uuid[], tstzrange, interval, interval, boolean, text, integer),
  private.busy_ranges(uuid[], tstzrange), private.window_errors(uuid[], timestamptz, timestamptz), private.refuse_too_many(uuid[]),
  private.hours_errors(jsonb), private.replace_availability(uuid, jsonb, date),
  private.time_off_errors(date, date, time, time, text, text), private.add_time_off(uuid, date, date, time, time, text, text),
  private.time_off_answer(uuid), private.set_time_off_status(uuid, text, text, boolean),
  private.closure_errors(text, date, date, text), private.make_closure(text, date, date, uuid, boolean)
  to authenticated, service_role;

-- Importing meetings: the rest of it is called by private.import_rows, as its owner.
grant execute on function public.import_meetings(jsonb, text, text, boolean, text, text) to authenticated, service_role;
grant execute on function private.import_rows(jsonb, jsonb) to authenticated, service_role;

-- sql/20_time/checks/00_ledger_difference.sql

-- What the ledger should say against what it says: the question behind most checks of this module.

create function private.ledger_difference() returns table (
  problem text, resource_id uuid, during tstzrange, source_table text, source_id uuid, occurs_on date, title text
)
language plpgsql stable security definer set search_path = ''
as $$
begin
  return query execute (
    select string_agg(format($sql$
      (
        with wanted as (
          select w.resource_id, w.during,
            case when lower(w.during) < coalesce(least(o.expires_at, o.revoked_at), 'infinity') and o.id is not null
              then o.id else md5(%1$L || w.source_id::text || (w.occurs_on - date '1970-01-01'))::uuid end as share_key,
            w.source_id, w.occurs_on, w.kind, w.title
          from private.%2$I w
          left join public.override_members m on m.source_id = w.source_id and m.source_table = %1$L
          left join public.overrides o on o.id = m.override_id
        ), present as (
          select c.resource_id, c.during, c.share_key, c.source_id, c.occurs_on, c.kind, c.title
          from public.claims c
          where c.source_table = %1$L
        ), missing as (
          select * from wanted except select * from present
        ), unexpected as (
          select * from present except select * from wanted
        )
        select case when s.id is null then 'orphaned' when m.source_id is not null then 'differs' else 'unexpected' end,
          u.resource_id, u.during, %1$L, u.source_id, u.occurs_on, u.title
        from unexpected u
        left join missing m using (resource_id, source_id, occurs_on)
        left join public.%1$I s on s.id = u.source_id
        union all
        select 'missing', m.resource_id, m.during, %1$L, m.source_id, m.occurs_on, m.title
        from missing m
        left join unexpected u using (resource_id, source_id, occurs_on)
        where u.source_id is null
      )
      $sql$, s.source_table, s.source_table || '_claims'), ' union all ')
      || $sql$
      union all
      select 'orphaned', c.resource_id, c.during, c.source_table, c.source_id, c.occurs_on, c.title
      from public.claims c
      where c.source_table not in (select s.source_table from private.claim_sources() s)
      $sql$
    from private.claim_sources() s
  );
end;
$$;
comment on function private.ledger_difference() is
  'Every claim that is missing, unexpected, different from what its source says, or orphaned because its source is gone.';

create function private.describe_claim(p_resource_id uuid, p_title text, p_during tstzrange) returns text
language sql stable security definer set search_path = ''
return (
  select format('%s in %s, %s', coalesce(max(r.name), p_resource_id::text), p_title, private.describe_range(p_during))
  from public.resources r
  where r.id = p_resource_id
);
comment on function private.describe_claim(uuid, text, tstzrange) is 'A claim as people read it: who, in what, when.';

create function private.rebuild_ledger(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into private.ledger_rebuilds (source_table, source_ids)
  select d.source_table, array_agg(distinct d.source_id)
  from private.ledger_difference() d
  where p_entity_ids is null or d.source_table || ' ' || d.source_id = any(p_entity_ids)
  group by d.source_table
  order by d.source_table;
  return (select count(*) from unnest(p_entity_ids));
end;
$$;
comment on function private.rebuild_ledger(text[]) is
  'Derives the claims of happenings ("table id") again, or of all that differ when given null; what does not fit stays a finding.';

-- sql/20_time/checks/claims_differ.sql

create function private.check_claims_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select d.source_table, d.source_table || ' ' || d.source_id,
    'Claimed otherwise than it is planned: ' || private.describe_claim(d.resource_id, d.title, d.during),
    jsonb_build_object('resource_id', d.resource_id, 'occurs_on', d.occurs_on, 'starts_at', lower(d.during), 'ends_at', upper(d.during))
  from private.ledger_difference() d
  where d.problem in ('differs', 'unexpected') and d.source_table <> 'weekly_rules';
end;
comment on function private.check_claims_differ() is 'Finds claims whose time, key or title is not what their source says.';

create function private.fix_claims_differ(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.rebuild_ledger(p_entity_ids);
comment on function private.fix_claims_differ(text[]) is 'Derives the claims of these happenings from their rows again.';

-- sql/20_time/checks/claims_missing.sql

create function private.check_claims_missing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select d.source_table, d.source_table || ' ' || d.source_id,
    'Not claimed: ' || private.describe_claim(d.resource_id, d.title, d.during),
    jsonb_build_object('resource_id', d.resource_id, 'occurs_on', d.occurs_on, 'starts_at', lower(d.during), 'ends_at', upper(d.during))
  from private.ledger_difference() d
  where d.problem = 'missing' and d.source_table <> 'weekly_rules';
end;
comment on function private.check_claims_missing() is 'Finds happenings whose time is not claimed.';

create function private.fix_claims_missing(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.rebuild_ledger(p_entity_ids);
comment on function private.fix_claims_missing(text[]) is 'Derives the claims of these happenings from their rows again.';

-- sql/20_time/checks/claims_orphaned.sql

create function private.check_claims_orphaned() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select d.source_table, d.source_table || ' ' || d.source_id,
    'Claimed for something that is gone: ' || private.describe_claim(d.resource_id, d.title, d.during),
    jsonb_build_object('resource_id', d.resource_id, 'occurs_on', d.occurs_on, 'starts_at', lower(d.during), 'ends_at', upper(d.during))
  from private.ledger_difference() d
  where d.problem = 'orphaned';
end;
comment on function private.check_claims_orphaned() is 'Finds claims whose source row is gone.';

create function private.fix_claims_orphaned(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.rebuild_ledger(p_entity_ids);
comment on function private.fix_claims_orphaned(text[]) is 'Derives the claims of these happenings from their rows again.';

-- sql/20_time/checks/horizons_late.sql

create function private.check_horizons_late() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'resources', r.id::text,
    case when h.claimed_until is null then format('%s has no horizon, so nothing can be booked for it', r.name)
      else format('%s is claimed until %s only', r.name, h.claimed_until) end,
    jsonb_build_object('claimed_until', h.claimed_until)
  from public.resources r
  left join public.resource_horizons h on h.resource_id = r.id
  where h.claimed_until is null
    or h.claimed_until < private.now() + make_interval(days => private.setting_integer('ledger_horizon_days')) - interval '3 days';
end;
comment on function private.check_horizons_late() is 'Finds resources whose weekly rules are not claimed as far ahead as the settings want: the daily job is late.';

create function private.fix_horizons_late(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_target timestamptz := private.now() + make_interval(days => private.setting_integer('ledger_horizon_days'));
  v_fixed integer;
begin
  perform private.lock_resources(p_entity_ids::uuid[]);
  insert into public.resource_horizons (resource_id, claimed_until)
  select r.id, private.now()
  from public.resources r
  where r.id = any(p_entity_ids::uuid[])
  on conflict do nothing;
  update public.resource_horizons h
  set claimed_until = v_target
  where h.resource_id = any(p_entity_ids::uuid[]) and h.claimed_until < v_target;
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_horizons_late(text[]) is 'Moves these resources'' horizons on to where the settings want them.';

-- sql/20_time/checks/ledger_guards_missing.sql

create function private.check_ledger_guards_missing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'pg_constraint', 'nobody_is_in_two_places',
    'The constraint that keeps everybody in one place is missing, not valid, or not enforced by its index', '{}'::jsonb
  where not exists (
    select
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_index i on i.indexrelid = c.conindid
    where c.conname = 'nobody_is_in_two_places' and c.conrelid = 'public.claims'::regclass and c.contype = 'x'
      and c.convalidated and not c.condeferrable and i.indisvalid and i.indisready
  )
  union all
  select 'pg_trigger', s.source_table || ' ' || e.event,
    format('Claims do not follow %s: its trigger for %s is missing or disabled', s.source_table, e.event),
    jsonb_build_object('table', s.source_table, 'event', e.event)
  from private.claim_sources() s
  cross join (values ('insert', 4), ('update', 16), ('delete', 8), ('truncate', 32)) as e(event, bit)
  where not exists (
    select
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = to_regclass('public.' || quote_ident(s.source_table)) and t.tgenabled in ('O', 'A')
      and t.tgtype & e.bit <> 0 and p.proname in ('follow_source', 'follow_weekly_rule', 'refuse_truncate')
  )
  union all
  select 'pg_trigger', t.tgrelid::regclass || ' ' || t.tgname,
    format('The trigger %s on %s is disabled', t.tgname, t.tgrelid::regclass),
    jsonb_build_object('table', t.tgrelid::regclass::text, 'trigger', t.tgname)
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('public', 'private') and not t.tgisinternal and t.tgenabled not in ('O', 'A');
end;
comment on function private.check_ledger_guards_missing() is
  'Finds what should keep the promise and does not: the exclusion constraint, the triggers that derive claims, any disabled trigger.';

-- sql/20_time/checks/meeting_instants_differ.sql

create function private.check_meeting_instants_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'meetings', m.id::text,
    format('%s is kept as %s, which is not what its local date and times say', m.title, private.describe_range(tstzrange(m.starts_at, m.ends_at), m.time_zone)),
    jsonb_build_object('date', m.date, 'start_time', m.start_time, 'end_time', m.end_time, 'time_zone', m.time_zone,
      'starts_at', m.starts_at, 'ends_at', m.ends_at)
  from public.meetings m
  where (m.starts_at, m.ends_at) is distinct from (
    private.local_to_instant(m.date, m.start_time, m.time_zone),
    private.local_end_to_instant(coalesce(m.ends_on, m.date), m.end_time, m.time_zone)
  );
end;
comment on function private.check_meeting_instants_differ() is
  'Finds meetings whose instants are not those of their wall-clock time: written around the triggers, or before the time zone database changed.';

create function private.fix_meeting_instants_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.meetings m set date = m.date where m.id = any(p_entity_ids::uuid[]);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_meeting_instants_differ(text[]) is 'Works the instants of these meetings out again, and moves their claims.';

-- sql/20_time/checks/overdue_cover_requests.sql

create function private.check_overdue_cover_requests() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'cover_requests', q.id::text,
    format('Nobody said whether %s was covered on %s', r.name, q.occurs_on),
    jsonb_build_object('time_off_id', q.time_off_id, 'resource_id', q.resource_id, 'source_table', q.source_table,
      'source_id', q.source_id, 'occurs_on', q.occurs_on)
  from public.cover_requests q
  join public.resources r on r.id = q.resource_id
  where q.status = 'open' and q.occurs_on < private.today();
end;
comment on function private.check_overdue_cover_requests() is 'Cover requests still open for dates that have passed.';

-- sql/20_time/checks/overrides_without_use.sql

create function private.check_overrides_without_use() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'overrides', o.id::text,
    format('The override granted %s (%s) has %s member(s) left that exist, so it allows nothing', o.granted_at::date, o.reason, count(*) filter (where e.is_there)),
    jsonb_build_object('granted_by', o.granted_by)
  from public.overrides o
  left join public.override_members m on m.override_id = o.id
  -- A group that lost its last member is joined with nobody, and nobody's table cannot be asked.
  cross join lateral (
    select case when m.source_id is not null then private.happening_exists(m.source_table, m.source_id) end as is_there
  ) e
  group by o.id
  having count(*) filter (where e.is_there) < 2;
end;
comment on function private.check_overrides_without_use() is 'Finds override groups with fewer than two happenings left.';

-- sql/20_time/checks/people_and_resources_differ.sql

create function private.check_people_and_resources_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'user_profiles', p.id::text, format('%s works here and is no resource, so nothing keeps them in one place', p.full_name), '{}'::jsonb
  from public.user_profiles p
  where not exists (select from public.resources r where r.profile_id = p.id)
    and exists (select from public.user_roles u where u.user_id = p.user_id and u.role_name <> 'member')
  union all
  select 'locations', l.id::text, format('%s is no resource, so it can be booked twice', l.name), '{}'::jsonb
  from public.locations l
  where not exists (select from public.resources r where r.location_id = l.id)
  union all
  select 'resources', r.id::text, format('%s stands for a %s that is gone', r.name, case r.kind when 'person' then 'profile' else 'location' end), '{}'::jsonb
  from public.resources r
  where r.kind = 'person' and not exists (select from public.user_profiles p where p.id = r.profile_id)
    or r.kind = 'place' and not exists (select from public.locations l where l.id = r.location_id);
end;
comment on function private.check_people_and_resources_differ() is
  'Finds people who work and places without a resource, and resources without their person or place.';

create function private.fix_people_and_resources_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  perform private.ensure_people(array(
    select p.id from public.user_profiles p where p.id = any(p_entity_ids::uuid[])
  ));
  update public.locations l set name = l.name where l.id = any(p_entity_ids::uuid[]);
  select count(*) into v_fixed from public.resources r where coalesce(r.profile_id, r.location_id) = any(p_entity_ids::uuid[]);
  return v_fixed;
end;
$$;
comment on function private.fix_people_and_resources_differ(text[]) is
  'Makes the missing resources; a resource whose person or place is gone is left for a person to decide.';

-- sql/20_time/checks/resources_overlapping.sql

create function private.check_resources_overlapping() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'resources', a.resource_id::text,
    format('%s is in two places: %s and %s, %s', r.name, a.title, b.title, private.describe_range(a.during * b.during)),
    jsonb_build_object(
      'starts_at', lower(a.during * b.during), 'ends_at', upper(a.during * b.during),
      'happenings', jsonb_build_array(
        jsonb_build_object('source_table', a.source_table, 'source_id', a.source_id, 'occurs_on', a.occurs_on, 'title', a.title),
        jsonb_build_object('source_table', b.source_table, 'source_id', b.source_id, 'occurs_on', b.occurs_on, 'title', b.title)
      )
    )
  from public.claims a
  join public.claims b on b.resource_id = a.resource_id and b.during && a.during and b.share_key <> a.share_key
    and (a.source_table, a.source_id, a.occurs_on) < (b.source_table, b.source_id, b.occurs_on)
  join public.resources r on r.id = a.resource_id;
end;
comment on function private.check_resources_overlapping() is
  'Finds who or what is in two places, which is possible only where a constraint was dropped or data restored around it. A person decides which of the two moves.';

-- sql/20_time/checks/rule_dates_differ.sql

create function private.check_rule_dates_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select d.source_table, d.source_table || ' ' || d.source_id,
    case d.problem when 'missing' then 'Promised by a weekly rule and not claimed: ' else 'Claimed otherwise than the weekly rule says: ' end || private.describe_claim(d.resource_id, d.title, d.during),
    jsonb_build_object('resource_id', d.resource_id, 'occurs_on', d.occurs_on, 'starts_at', lower(d.during), 'ends_at', upper(d.during))
  from private.ledger_difference() d
  where d.problem <> 'orphaned' and d.source_table = 'weekly_rules';
end;
comment on function private.check_rule_dates_differ() is 'Finds dates a weekly rule promises and the ledger lacks, or the reverse.';

create function private.fix_rule_dates_differ(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.rebuild_ledger(p_entity_ids);
comment on function private.fix_rule_dates_differ(text[]) is 'Derives the claims of these happenings from their rows again.';

-- sql/20_time/checks/rules_that_meet.sql

create function private.check_rules_that_meet() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'weekly_rules', m.rule_id::text,
    format('%s will be in two places: %s and %s, %s', m.resource_name, r.title, m.with_title, private.describe_range(m.with_during)),
    jsonb_build_object('resource_id', m.resource_id, 'with_rule_id', m.with_id, 'starts_at', lower(m.with_during), 'ends_at', upper(m.with_during))
  from private.rules_that_meet(array(select w.id from public.weekly_rules w)) m
  join public.weekly_rules r on r.id = m.rule_id
  where m.rule_id < m.with_id;
end;
comment on function private.check_rules_that_meet() is
  'Finds weekly rules of one resource that meet beyond the horizon, as a changed time zone database or a restore may bring about. A person decides which of the two changes.';

-- sql/20_time/checks/taken_over_by_nothing.sql

create function private.check_taken_over_by_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'weekly_rule_exceptions', e.rule_id || ' ' || e.occurs_on,
    format('%s on %s was taken over by something that is gone, so it does not take place', r.title, e.occurs_on),
    jsonb_build_object('rule_id', e.rule_id, 'occurs_on', e.occurs_on, 'taken_by_table', e.taken_by_table, 'taken_by_id', e.taken_by_id)
  from public.weekly_rule_exceptions e
  join public.weekly_rules r on r.id = e.rule_id
  where e.kind = 'taken_over' and not private.happening_exists(e.taken_by_table, e.taken_by_id);
end;
comment on function private.check_taken_over_by_nothing() is
  'Finds promised dates of weekly rules whose stand-in was deleted. A person decides: restore_occurrence() puts the date back, cancel_occurrence() says it is meant.';

-- sql/20_time/checks/work_during_closures.sql

create function private.check_work_during_closures() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select u.source_table, concat_ws(' ', u.source_table, u.source_id, u.occurs_on, u.resource_id, c.id),
    format('Although closed for %s: %s', c.name, private.describe_claim(u.resource_id, u.title, u.during)),
    jsonb_build_object('resource_id', u.resource_id, 'occurs_on', u.occurs_on, 'starts_at', lower(u.during), 'ends_at', upper(u.during),
      'closure_id', c.id)
  from public.closures c
  left join public.resources p on p.location_id = c.location_id
  join public.claims u on u.during && c.during and (c.location_id is null or u.resource_id = p.id)
  where upper(c.during) > private.now() and upper(u.during) > private.now()
    and private.setting_text('availability_policy') <> 'ignore';
end;
comment on function private.check_work_during_closures() is 'Coming uses during closures of the place or of everything.';

-- sql/20_time/checks/work_during_time_off.sql

create function private.check_work_during_time_off() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select c.source_table, concat_ws(' ', c.source_table, c.source_id, c.occurs_on, c.resource_id, t.id),
    'During time off: ' || private.describe_claim(c.resource_id, c.title, c.during),
    jsonb_build_object('resource_id', c.resource_id, 'occurs_on', c.occurs_on, 'starts_at', lower(c.during), 'ends_at', upper(c.during),
      'time_off_id', t.id)
  from public.time_off t
  join public.claims c on c.resource_id = t.resource_id and c.during && t.during
  where t.status = 'approved' and upper(t.during) > private.now() and upper(c.during) > private.now()
    and private.setting_text('availability_policy') <> 'ignore'
    and not exists (
      select from public.cover_requests q
      where q.time_off_id = t.id and q.source_table = c.source_table and q.source_id = c.source_id and q.occurs_on = c.occurs_on
    );
end;
comment on function private.check_work_during_time_off() is
  'Coming uses of people during approved time off, other than those that were kept when it was approved.';

-- sql/20_time/checks/work_outside_stated_hours.sql

create function private.check_work_outside_stated_hours() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  with coming as (
    select r.id, c.source_table, c.source_id, c.occurs_on, c.title, c.during
    from public.resources r
    join public.claims c on c.resource_id = r.id and c.during && tstzrange(private.now(), null)
    where exists (select from public.availability_rules a where a.resource_id = r.id)
      and private.setting_text('availability_policy') <> 'ignore'
  ),
  hours as (
    select h.resource_id, h.stated, h.hours
    from private.hours_of(
      array(select distinct c.id from coming c), (select range_merge(range_agg(c.during)) from coming c)
    ) h
  )
  select c.source_table, concat_ws(' ', c.source_table, c.source_id, c.occurs_on, c.id),
    'Outside the hours stated: ' || private.describe_claim(c.id, c.title, c.during),
    jsonb_build_object('resource_id', c.id, 'occurs_on', c.occurs_on, 'starts_at', lower(c.during), 'ends_at', upper(c.during),
      'outside', (
        select jsonb_agg(jsonb_build_object('starts_at', lower(o.outside), 'ends_at', upper(o.outside)))
        from unnest(tstzmultirange(c.during) * h.stated - h.hours) as o(outside)
      ))
  from coming c
  join hours h on h.resource_id = c.id
  where not h.hours @> c.during and not isempty(tstzmultirange(c.during) * h.stated - h.hours);
end;
comment on function private.check_work_outside_stated_hours() is 'Coming uses of people and places outside the hours they stated.';

-- sql/20_time/reference.sql

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

-- sql/30_catalog/tables.sql

-- 30_catalog: what the organisation offers.
--
-- `class_types` are what is taught, `packages` what customers buy (so many classes, to be taken within so many days),
-- `courses` the one catalogue of everything with a beginning and an end: tutoring, training, academic courses. What a
-- course requires stands in `course_prerequisites`: any one course of a group is enough, and every group has to be met.
--
-- The life of an entry: somebody who holds `manage:catalog` writes it; it is offered for as long as it is active; then
-- it is switched off, not deleted, because bookings, purchases and certificates refer to it. The public sees what is
-- active, people who signed in see the rest as well, since what they bought may no longer be sold.
--
-- Promises: durations lie within the settings when they are written; prices are exact and never negative; a course
-- never requires itself, not over any number of others, and not when two people each add one half of the circle.
--
-- Lock order: whoever changes prerequisites first takes the one lock for all of them, see rules/20_prerequisites.sql.

create table public.class_types (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  description text,
  difficulty_level text not null default 'beginner',
  duration_minutes integer not null default private.setting_integer('class_minutes_default'),
  max_participants integer not null default 10,
  is_active boolean not null default true,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  constraint description_is_short check (length(description) <= 1000),
  constraint difficulty_level_is_known check (difficulty_level in ('beginner', 'intermediate', 'advanced')),
  constraint duration_is_part_of_a_day check (duration_minutes between 1 and 1440),
  constraint somebody_can_take_part check (max_participants between 1 and 10000)
);
create unique index class_types_one_name on public.class_types (lower(name));
create index class_types_created_by on public.class_types (created_by);
comment on table public.class_types is 'What is taught in classes: yoga for beginners, salsa, pottery.';
comment on column public.class_types.difficulty_level is 'beginner, intermediate or advanced.';
comment on column public.class_types.duration_minutes is
  'How long such a class usually lasts; within the settings class_minutes_min and class_minutes_max when it is written.';
comment on column public.class_types.max_participants is 'How many can take part in one class.';
comment on column public.class_types.is_active is 'False for what is no longer offered.';

create table public.packages (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  description text,
  price numeric(12,2) not null default 0,
  class_count integer not null,
  validity_days integer not null default 30,
  duration text,
  course_type text not null default 'regular',
  type text,
  is_active boolean not null default true,
  late_cancel_hours integer not null default 24,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  -- NaN counts as larger than any number, so the upper bound keeps it out.
  constraint price_is_an_amount check (price between 0 and 9999999999.99),
  constraint class_count_is_sensible check (class_count between 1 and 1000),
  constraint validity_is_at_most_ten_years check (validity_days between 1 and 3660),
  constraint course_type_is_known check (course_type in ('regular', 'crash')),
  constraint late_cancel_is_within_a_month check (late_cancel_hours between 0 and 744),
  constraint texts_are_short check (length(description) <= 1000 and length(duration) <= 100 and length(type) <= 100)
);
create index packages_name on public.packages (name);
create index packages_created_by on public.packages (created_by);
comment on table public.packages is 'What customers buy: so many classes, to be taken within so many days.';
comment on column public.packages.price is 'What it costs, in the organisation''s currency.';
comment on column public.packages.class_count is 'How many classes it is good for.';
comment on column public.packages.validity_days is 'For how many days after the purchase.';
comment on column public.packages.duration is 'How long that is in words, such as "3 months"; shown, never computed with.';
comment on column public.packages.course_type is 'regular, or crash for classes day after day.';
comment on column public.packages.type is 'The organisation''s own word for the kind of package.';
comment on column public.packages.is_active is 'False for what is no longer sold.';
comment on column public.packages.late_cancel_hours is
  'Cancelling fewer hours than this before a class starts costs the credit; 0 always gives it back until then.';

create table public.courses (
  id uuid primary key default gen_random_uuid(),
  code text not null,
  title text not null,
  description text,
  subject text,
  kind text not null default 'training',
  duration_minutes integer,
  default_capacity integer,
  credits numeric(5,2),
  price numeric(12,2) not null default 0,
  certificate_validity_days integer,
  is_active boolean not null default true,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint code_is_given check (code is not distinct from private.clean_text(code) and length(code) <= 50),
  constraint title_is_given check (title is not distinct from private.clean_text(title) and length(title) <= 200),
  constraint kind_is_known check (kind in ('tutoring', 'training', 'academic')),
  constraint duration_is_at_most_31_days check (duration_minutes between 1 and 44640),
  constraint capacity_is_sensible check (default_capacity between 1 and 10000),
  constraint credits_are_not_negative check (credits between 0 and 999.99),
  constraint price_is_an_amount check (price between 0 and 9999999999.99),
  constraint certificates_are_valid_for_a_while check (certificate_validity_days between 1 and 36600),
  constraint texts_are_short check (length(description) <= 1000 and length(subject) <= 200)
);
create unique index courses_one_code on public.courses (lower(code));
create index courses_created_by on public.courses (created_by);
comment on table public.courses is 'Everything offered with a beginning and an end: tutoring, training and academic courses.';
comment on column public.courses.code is 'The organisation''s own short name for it, such as MATH 101; unique whatever the case.';
comment on column public.courses.kind is 'tutoring, training or academic.';
comment on column public.courses.duration_minutes is 'How long one session of it takes; null when that differs.';
comment on column public.courses.default_capacity is 'How many can take part unless its session says otherwise; null when nobody decided.';
comment on column public.courses.credits is 'Academic credits; null where there are none.';
comment on column public.courses.price is 'What taking part costs, in the organisation''s currency.';
comment on column public.courses.certificate_validity_days is 'For how many days its certificate is valid; null is for good.';
comment on column public.courses.is_active is 'False for what is no longer offered.';

create table public.course_prerequisites (
  course_id uuid not null references public.courses (id) on delete cascade,
  "group" smallint not null default 1,
  required_course_id uuid not null references public.courses (id) on delete restrict,
  primary key (course_id, "group", required_course_id),
  constraint course_does_not_require_itself check (course_id <> required_course_id),
  constraint group_is_counted_from_one check ("group" between 1 and 100)
);
create index course_prerequisites_required_course on public.course_prerequisites (required_course_id);
comment on table public.course_prerequisites is 'What has to be passed before a course: any one course of each group, and all groups.';
comment on column public.course_prerequisites.course_id is 'The course that requires something.';
comment on column public.course_prerequisites."group" is 'Rows of one course with the same number are alternatives: one of them is enough.';
comment on column public.course_prerequisites.required_course_id is 'What has been passed by whoever takes the course.';

-- sql/30_catalog/rules/10_entries.sql

-- What is offered: texts are tidied, and everything that makes no sense is named at once.

create function private.check_class_type() returns trigger
language plpgsql set search_path = ''
as $$
declare
  v_min constant integer := private.setting_integer('class_minutes_min');
  v_max constant integer := private.setting_integer('class_minutes_max');
  -- What was written under other settings stays as it is until somebody changes it.
  v_is_new_duration constant boolean := tg_op = 'INSERT' or new.duration_minutes is distinct from old.duration_minutes;
begin
  new.name := private.clean_text(new.name);
  new.description := private.clean_text(new.description);
  perform private.fail_input(
    private.input_error(new.name is null, 'name', 'Say what it is called')
    || private.input_error(length(new.name) > 200, 'name', 'A name has at most 200 characters')
    || private.input_error(length(new.description) > 1000, 'description', 'A description has at most 1000 characters')
    || private.input_error(coalesce(new.difficulty_level, '') not in ('beginner', 'intermediate', 'advanced'), 'difficulty_level',
      'A difficulty level is beginner, intermediate or advanced')
    || private.input_error(new.duration_minutes is null or v_is_new_duration and new.duration_minutes not between v_min and v_max,
      'duration_minutes', format('A class lasts between %s and %s minutes', v_min, v_max))
    || private.input_error(coalesce(new.max_participants, 0) not between 1 and 10000, 'max_participants',
      'Between 1 and 10000 people can take part')
  );
  return new;
end;
$$;
comment on function private.check_class_type() is
  'Row trigger: tidies texts and refuses what makes no sense, every field at once; a new duration lies within the settings.';

create trigger t10_keep_version before update on public.class_types
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.class_types
  for each row execute function private.check_class_type();

create function private.check_package() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.name := private.clean_text(new.name);
  new.description := private.clean_text(new.description);
  new.duration := private.clean_text(new.duration);
  new.type := private.clean_text(new.type);
  perform private.fail_input(
    private.input_error(new.name is null, 'name', 'Say what it is called')
    || private.input_error(length(new.name) > 200, 'name', 'A name has at most 200 characters')
    || private.input_error(length(new.description) > 1000, 'description', 'A description has at most 1000 characters')
    || private.input_error(length(new.duration) > 100, 'duration', 'A duration in words has at most 100 characters')
    || private.input_error(length(new.type) > 100, 'type', 'A type has at most 100 characters')
    || private.input_error(coalesce(not new.price between 0 and 9999999999.99, true), 'price', 'A price is not negative')
    || private.input_error(coalesce(new.class_count, 0) not between 1 and 1000, 'class_count', 'A package has 1 to 1000 classes')
    || private.input_error(coalesce(new.validity_days, 0) not between 1 and 3660, 'validity_days', 'A package is valid for 1 to 3660 days')
    || private.input_error(coalesce(new.course_type, '') not in ('regular', 'crash'), 'course_type', 'A course type is regular or crash')
    || private.input_error(coalesce(new.late_cancel_hours, -1) not between 0 and 744, 'late_cancel_hours',
      'Cancelling is late at most 744 hours before the start')
  );
  return new;
end;
$$;
comment on function private.check_package() is 'Row trigger: tidies texts and refuses what makes no sense, every field at once.';

create trigger t10_keep_version before update on public.packages
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.packages
  for each row execute function private.check_package();

create function private.check_course() returns trigger
language plpgsql set search_path = ''
as $$
begin
  new.code := private.clean_text(new.code);
  new.title := private.clean_text(new.title);
  new.description := private.clean_text(new.description);
  new.subject := private.clean_text(new.subject);
  perform private.fail_input(
    private.input_error(new.code is null, 'code', 'A course needs a code')
    || private.input_error(length(new.code) > 50, 'code', 'A code has at most 50 characters')
    || private.input_error(new.title is null, 'title', 'Say what it is called')
    || private.input_error(length(new.title) > 200, 'title', 'A title has at most 200 characters')
    || private.input_error(length(new.description) > 1000, 'description', 'A description has at most 1000 characters')
    || private.input_error(length(new.subject) > 200, 'subject', 'A subject has at most 200 characters')
    || private.input_error(coalesce(new.kind, '') not in ('tutoring', 'training', 'academic'), 'kind',
      'A kind is tutoring, training or academic')
    || private.input_error(new.duration_minutes not between 1 and 44640, 'duration_minutes', 'A session lasts between a minute and 31 days')
    || private.input_error(new.default_capacity not between 1 and 10000, 'default_capacity', 'Between 1 and 10000 people can take part')
    || private.input_error(not new.credits between 0 and 999.99, 'credits', 'Credits are not negative')
    || private.input_error(coalesce(not new.price between 0 and 9999999999.99, true), 'price', 'A price is not negative')
    || private.input_error(new.certificate_validity_days not between 1 and 36600, 'certificate_validity_days',
      'A certificate is valid for 1 to 36600 days, or for good')
  );
  return new;
end;
$$;
comment on function private.check_course() is 'Row trigger: tidies texts and refuses what makes no sense, every field at once.';

create trigger t10_keep_version before update on public.courses
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.courses
  for each row execute function private.check_course();

-- sql/30_catalog/rules/20_prerequisites.sql

-- No course requires itself, over however many others.

-- Two statements that each add one half of a circle have no row in common that either could lock: all of them queue
-- for one lock instead. Requirements change rarely. It is taken before any row is touched, and what is there is read in
-- a later statement.
create function private.lock_prerequisites() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('course_prerequisites', 0));
  return null;
end;
$$;
comment on function private.lock_prerequisites() is 'Statement trigger: one transaction at a time changes what courses require.';

create function private.required_by(p_course_ids uuid[]) returns table (course_id uuid, required_course_id uuid)
language sql stable security definer set search_path = ''
begin atomic
  -- Pairs, not paths: however many ways lead from one course to another, it is reached once.
  with recursive reached as (
    select p.course_id, p.required_course_id
    from public.course_prerequisites p
    where p.course_id = any(p_course_ids)
    union
    select r.course_id, p.required_course_id
    from reached r
    join public.course_prerequisites p on p.course_id = r.required_course_id
  )
  select r.course_id, r.required_course_id from reached r;
end;
comment on function private.required_by(uuid[]) is 'Everything these courses require, directly or over others.';

create function private.refuse_circle() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_course public.courses;
  v_others text[];
begin
  select c.* into v_course
  from private.required_by(array(select distinct n.course_id from new_rows n)) r
  join public.courses c on c.id = r.course_id
  where r.required_course_id = r.course_id
  order by c.code
  limit 1;
  if not found then
    return null;
  end if;
  select array_agg(o.code order by o.code) into v_others
  from private.required_by(array[v_course.id]) r
  join public.courses o on o.id = r.required_course_id and o.id <> v_course.id
  where exists (select from private.required_by(array[o.id]) b where b.required_course_id = v_course.id);
  perform private.fail('invalid_input',
    format('%s would require itself, by way of %s', v_course.code, array_to_string(v_others, ', ')), 'required_course_id',
    jsonb_build_object('course_id', v_course.id, 'by_way_of', to_jsonb(v_others), 'errors', jsonb_build_array(jsonb_build_object(
      'field', 'required_course_id', 'message', 'A course cannot require itself, not over others either'))));
  return null;
end;
$$;
comment on function private.refuse_circle() is 'Statement trigger: refuses requirements by which a course would require itself.';

create trigger t00_read_committed before insert or update or delete on public.course_prerequisites
  for each statement execute function private.refuse_other_isolation();
create trigger t10_one_at_a_time before insert or update on public.course_prerequisites
  for each statement execute function private.lock_prerequisites();
create trigger t50_no_circle_insert after insert on public.course_prerequisites
  referencing new table as new_rows for each statement execute function private.refuse_circle();
create trigger t50_no_circle_update after update on public.course_prerequisites
  referencing new table as new_rows for each statement execute function private.refuse_circle();

-- sql/30_catalog/policies.sql

-- Who may see and change what is offered. The public sees what is active, whoever signed in everything, holders of
-- manage:catalog change it.

alter table public.class_types enable row level security;
alter table public.packages enable row level security;
alter table public.courses enable row level security;
alter table public.course_prerequisites enable row level security;

grant select on public.class_types, public.packages, public.courses, public.course_prerequisites to anon, authenticated, service_role;
grant insert, update, delete on public.class_types, public.packages, public.courses, public.course_prerequisites to service_role;

grant insert (name, description, difficulty_level, duration_minutes, max_participants, is_active) on public.class_types to authenticated;
grant update (name, description, difficulty_level, duration_minutes, max_participants, is_active, version) on public.class_types to authenticated;
grant delete on public.class_types to authenticated;
create policy "anyone sees class types that are offered" on public.class_types for select to anon
  using (is_active);
create policy "signed-in people see all class types" on public.class_types for select to authenticated
  using (true);
create policy "holders of manage:catalog add class types" on public.class_types for insert to authenticated
  with check ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog change class types" on public.class_types for update to authenticated
  using ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog delete class types" on public.class_types for delete to authenticated
  using ((select private.has_permission('manage:catalog')));

grant insert (name, description, price, class_count, validity_days, duration, course_type, type, is_active, late_cancel_hours)
  on public.packages to authenticated;
grant update (name, description, price, class_count, validity_days, duration, course_type, type, is_active, late_cancel_hours, version)
  on public.packages to authenticated;
grant delete on public.packages to authenticated;
create policy "anyone sees packages that are sold" on public.packages for select to anon
  using (is_active);
create policy "signed-in people see all packages" on public.packages for select to authenticated
  using (true);
create policy "holders of manage:catalog add packages" on public.packages for insert to authenticated
  with check ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog change packages" on public.packages for update to authenticated
  using ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog delete packages" on public.packages for delete to authenticated
  using ((select private.has_permission('manage:catalog')));

grant insert (
  code, title, description, subject, kind, duration_minutes, default_capacity, credits, price, certificate_validity_days, is_active
) on public.courses to authenticated;
grant update (
  code, title, description, subject, kind, duration_minutes, default_capacity, credits, price, certificate_validity_days, is_active,
  version
) on public.courses to authenticated;
grant delete on public.courses to authenticated;
create policy "anyone sees courses that are offered" on public.courses for select to anon
  using (is_active);
create policy "signed-in people see all courses" on public.courses for select to authenticated
  using (true);
create policy "holders of manage:catalog add courses" on public.courses for insert to authenticated
  with check ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog change courses" on public.courses for update to authenticated
  using ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog delete courses" on public.courses for delete to authenticated
  using ((select private.has_permission('manage:catalog')));

-- A requirement is added or taken back; there is nothing in it to change.
grant insert (course_id, "group", required_course_id) on public.course_prerequisites to authenticated;
grant delete on public.course_prerequisites to authenticated;
create policy "anyone sees what the offered courses require" on public.course_prerequisites for select to anon
  using (course_id = any(array(select c.id from public.courses c)));
create policy "signed-in people see what all courses require" on public.course_prerequisites for select to authenticated
  using (true);
create policy "holders of manage:catalog add requirements" on public.course_prerequisites for insert to authenticated
  with check ((select private.has_permission('manage:catalog')));
create policy "holders of manage:catalog take requirements back" on public.course_prerequisites for delete to authenticated
  using ((select private.has_permission('manage:catalog')));

-- sql/30_catalog/checks/prerequisites_in_a_circle.sql

create function private.check_prerequisites_in_a_circle() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'courses', c.id::text, format('Nobody can take %s: in the end it requires itself', c.code), jsonb_build_object('code', c.code)
  from private.required_by(array(select distinct p.course_id from public.course_prerequisites p)) r
  join public.courses c on c.id = r.course_id
  where r.required_course_id = r.course_id;
end;
comment on function private.check_prerequisites_in_a_circle() is
  'Finds courses that require themselves, as rows written around the triggers may. A person decides which requirement goes.';

-- sql/30_catalog/reference.sql

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

-- sql/35_payments/tables.sql

-- 35_payments: the money people paid, what it was for, and the credits they bought with it.
--
-- `payments` and `refunds` are the books: what was received and what was given back, each with lines that say for which
-- rows of which tables (`payment_items`, `refund_items`). They are only ever added to, by anybody. A report of a
-- payment that failed is on record too, and counts nothing. Nobody stores what is still owed: every table that costs
-- people something has a view private.<table>_dues, and outstanding_amounts() compares the two.
--
-- `package_purchases` are lots of credits with a last day, `credit_entries` their ledger: granted, used, returned,
-- forfeited, paused, resumed, refunded. Every entry names the balance after it and refers to the entry before it by
-- number and balance, so that two entries cannot both follow the same one, and no balance is below zero. The purchase's
-- status and last day follow from its entries.
--
-- The life of a purchase: active, perhaps paused (its last day moves on by as long as it lasts) and active again, used
-- up or expired by itself, or refunded, which is the end: what is left of it is gone, and the part of the price that
-- is given back is no longer due.
--
-- Promises: a provider's reference is counted once, however often and however concurrently it is reported; the lines of
-- a payment never exceed it, its refunds never exceed it nor any of its lines; a credit is used once, within its lot's
-- dates, never while the lot is paused, and never below zero.
--
-- Lock order: people whose credits change, by id, then their purchases by id; the paid rows by table and id, then
-- payments by id. Nobody holds both kinds. Rules are written for READ COMMITTED.

create table public.payments (
  id uuid primary key default gen_random_uuid(),
  payer_id uuid not null references public.user_profiles (id) on delete restrict,
  amount numeric(12,2) not null,
  currency text not null default private.setting_text('currency'),
  method text not null,
  provider text,
  provider_reference text,
  received_at timestamptz not null default private.now(),
  status text not null default 'succeeded',
  note text,
  recorded_by uuid,
  created_at timestamptz not null default private.now(),
  constraint provider_reference_is_counted_once unique (provider, provider_reference),
  -- NaN counts as larger than any number, so the upper bound keeps it out.
  constraint amount_is_above_zero check (amount > 0 and amount <= 9999999999.99),
  constraint currency_is_iso_4217 check (currency ~ '^[A-Z]{3}$'),
  constraint method_is_known check (method in ('cash', 'card', 'bank_transfer', 'upi', 'wallet', 'cheque', 'other')),
  constraint provider_is_snake_case check (provider ~ '^[a-z]+(_[a-z0-9]+)*$' and length(provider) <= 100),
  constraint provider_comes_with_its_reference check ((provider is null) = (provider_reference is null)),
  constraint reference_is_given check (
    provider_reference is null
    or (provider_reference is not distinct from private.clean_text(provider_reference) and length(provider_reference) <= 200)
  ),
  constraint received_at_is_between_1970_and_2200 check (
    received_at >= timestamptz '1970-01-01 00:00+00' and received_at < timestamptz '2200-01-01 00:00+00'
  ),
  constraint status_is_known check (status in ('succeeded', 'failed')),
  constraint note_is_short check (length(note) <= 1000)
);
create index payments_payer on public.payments (payer_id, received_at);
create index payments_received_at on public.payments (received_at);
comment on table public.payments is 'Money that was received, and reports of payments that failed. Only ever added to, through record_payment.';
comment on column public.payments.payer_id is 'Who paid; what for, and for whom, is said by the items.';
comment on column public.payments.amount is 'In the currency of the row, above zero.';
comment on column public.payments.currency is 'ISO 4217; always the organisation''s.';
comment on column public.payments.method is 'cash, card, bank_transfer, upi, wallet, cheque or other.';
comment on column public.payments.provider is 'Through whom it came, such as stripe or razorpay; null for what was handed over.';
comment on column public.payments.provider_reference is 'What the provider calls this one attempt to pay. It counts once, however often it is reported.';
comment on column public.payments.received_at is 'When the money was received, or the attempt failed.';
comment on column public.payments.status is 'succeeded, or failed: on record, and counting nothing.';
-- No foreign key: the books do not change when a login goes.
comment on column public.payments.recorded_by is 'The user who recorded it; null when a server did.';

create table public.payment_items (
  payment_id uuid not null references public.payments (id) on delete restrict,
  source_table text not null,
  source_id uuid not null,
  amount numeric(12,2) not null,
  created_at timestamptz not null default private.now(),
  primary key (payment_id, source_table, source_id),
  constraint amount_is_above_zero check (amount > 0 and amount <= 9999999999.99)
);
create index payment_items_source on public.payment_items (source_id, source_table);
comment on table public.payment_items is 'What a payment pays for, as links to rows of other tables. Only ever added to, through record_payment and allocate_payment.';
comment on column public.payment_items.source_table is 'The table in public, one that people owe for, such as package_purchases.';
comment on column public.payment_items.source_id is 'The id of the row there.';
comment on column public.payment_items.amount is 'How much of the payment is for it. What no item names is an advance.';

create table public.refunds (
  id uuid primary key default gen_random_uuid(),
  payment_id uuid not null references public.payments (id) on delete restrict,
  amount numeric(12,2) not null,
  reason text not null,
  provider text,
  provider_reference text,
  refunded_at timestamptz not null default private.now(),
  recorded_by uuid,
  created_at timestamptz not null default private.now(),
  constraint refund_is_of_one_payment unique (id, payment_id),
  constraint refund_reference_is_counted_once unique (provider, provider_reference),
  constraint amount_is_above_zero check (amount > 0 and amount <= 9999999999.99),
  constraint reason_is_given check (reason is not distinct from private.clean_text(reason) and length(reason) <= 1000),
  constraint provider_is_snake_case check (provider ~ '^[a-z]+(_[a-z0-9]+)*$' and length(provider) <= 100),
  constraint provider_comes_with_its_reference check ((provider is null) = (provider_reference is null)),
  constraint reference_is_given check (
    provider_reference is null
    or (provider_reference is not distinct from private.clean_text(provider_reference) and length(provider_reference) <= 200)
  ),
  constraint refunded_at_is_between_1970_and_2200 check (
    refunded_at >= timestamptz '1970-01-01 00:00+00' and refunded_at < timestamptz '2200-01-01 00:00+00'
  )
);
create index refunds_payment on public.refunds (payment_id);
create index refunds_refunded_at on public.refunds (refunded_at);
comment on table public.refunds is 'Money that was given back, of one payment each. Only ever added to, through refund_payment.';
comment on column public.refunds.amount is 'In the payment''s currency; all refunds of a payment never exceed it.';
comment on column public.refunds.provider_reference is 'What the provider calls this refund. It counts once, however often it is reported.';
comment on column public.refunds.recorded_by is 'The user who recorded it; null when a server did.';

create table public.refund_items (
  refund_id uuid not null,
  payment_id uuid not null,
  source_table text not null,
  source_id uuid not null,
  amount numeric(12,2) not null,
  created_at timestamptz not null default private.now(),
  primary key (refund_id, source_table, source_id),
  constraint item_belongs_to_a_refund foreign key (refund_id, payment_id)
    references public.refunds (id, payment_id) on delete restrict,
  constraint item_was_paid_for foreign key (payment_id, source_table, source_id)
    references public.payment_items (payment_id, source_table, source_id) on delete restrict,
  constraint amount_is_above_zero check (amount > 0 and amount <= 9999999999.99)
);
create index refund_items_refund on public.refund_items (refund_id, payment_id);
create index refund_items_payment_item on public.refund_items (payment_id, source_table, source_id);
create index refund_items_source on public.refund_items (source_id, source_table);
comment on table public.refund_items is 'Which lines of the payment a refund gives back. Only ever added to.';
comment on column public.refund_items.payment_id is 'The refund''s payment, which has a line for the same row.';
comment on column public.refund_items.amount is 'How much of that line is given back. What no item names is taken off the payment''s advance.';

create table public.package_purchases (
  id uuid primary key default gen_random_uuid(),
  profile_id uuid not null references public.user_profiles (id) on delete restrict,
  package_id uuid not null references public.packages (id) on delete restrict,
  credits integer not null,
  price numeric(12,2) not null,
  validity_days integer not null,
  late_cancel_hours integer not null,
  purchased_on date not null default private.today(),
  expires_on date not null,
  status text not null default 'active',
  paused_on date,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint credits_are_sensible check (credits between 1 and 1000),
  constraint price_is_an_amount check (price between 0 and 9999999999.99),
  constraint validity_is_at_most_ten_years check (validity_days between 1 and 3660),
  constraint late_cancel_is_within_a_month check (late_cancel_hours between 0 and 744),
  constraint purchased_on_is_between_1970_and_2200 check (purchased_on >= date '1970-01-01' and purchased_on < date '2200-01-01'),
  constraint expires_on_is_not_too_early check (expires_on >= purchased_on + validity_days and isfinite(expires_on)),
  constraint status_is_known check (status in ('active', 'paused', 'refunded')),
  constraint paused_since_a_day check ((status = 'paused') = (paused_on is not null))
);
create index package_purchases_profile on public.package_purchases (profile_id, package_id, expires_on);
create index package_purchases_package on public.package_purchases (package_id);
create index package_purchases_created_by on public.package_purchases (created_by);
comment on table public.package_purchases is 'Packages people bought: lots of credits, each with a last day. Written through purchase_package, and by its credit_entries.';
comment on column public.package_purchases.profile_id is 'Who bought it, and uses its credits.';
comment on column public.package_purchases.credits is 'How many classes it was good for, as the package said then.';
comment on column public.package_purchases.price is 'What it cost, as the package said then.';
comment on column public.package_purchases.validity_days is 'For how many days it was good, as the package said then.';
comment on column public.package_purchases.late_cancel_hours is
  'Cancelling fewer hours than this before a class starts costs the credit, as the package said then.';
comment on column public.package_purchases.purchased_on is 'The first day a credit can be used for.';
comment on column public.package_purchases.expires_on is 'The last day a credit can be used for: validity_days after the purchase, and as long again as it was paused.';
comment on column public.package_purchases.status is 'active, paused or refunded, as its entries say. Whether it has expired or is used up is a question of the day, see package_balances.';
comment on column public.package_purchases.paused_on is 'Since when it is paused; null when it is not.';

create table public.credit_entries (
  purchase_id uuid not null references public.package_purchases (id) on delete restrict,
  entry_no integer not null,
  kind text not null,
  change integer not null,
  balance_after integer not null,
  occurs_on date not null default private.today(),
  source_table text,
  source_id uuid,
  use_no integer,
  used_entry_no integer,
  extends_days integer,
  amount numeric(12,2),
  reason text,
  recorded_by uuid,
  created_at timestamptz not null default private.now(),
  previous_no integer generated always as (case when entry_no > 1 then entry_no - 1 end) stored,
  balance_before integer generated always as (case when entry_no > 1 then balance_after - change end) stored,
  primary key (purchase_id, entry_no),
  -- What the next entry refers to: it can follow only the balance that is there, and only one entry can.
  constraint entry_has_one_balance unique (purchase_id, entry_no, balance_after),
  constraint entry_follows_the_one_before foreign key (purchase_id, previous_no, balance_before)
    references public.credit_entries (purchase_id, entry_no, balance_after),
  constraint balance_is_not_below_zero check (balance_after >= 0),
  constraint kind_is_known check (
    kind in ('granted', 'used', 'returned', 'forfeited', 'paused', 'resumed', 'refunded')
  ),
  constraint first_entry_grants check (
    entry_no >= 1 and (entry_no = 1) = (kind = 'granted') and (entry_no > 1 or balance_after = change)
  ),
  constraint change_fits_kind check (
    case kind when 'granted' then change > 0 when 'used' then change = -1 when 'returned' then change = 1
      when 'refunded' then change <= 0 and balance_after = 0 else change = 0 end
  ),
  constraint use_says_what_for check (
    (kind in ('used', 'returned', 'forfeited')) = (source_table is not null)
    and (source_table is null) = (source_id is null) and (kind = 'used') = (use_no is not null) and use_no >= 1
  ),
  constraint return_says_of_which_use check (
    (kind in ('returned', 'forfeited')) = (used_entry_no is not null) and used_entry_no < entry_no
  ),
  constraint a_use_ends_once unique (purchase_id, used_entry_no),
  constraint return_is_of_an_entry foreign key (purchase_id, used_entry_no)
    references public.credit_entries (purchase_id, entry_no),
  constraint resuming_extends check ((kind = 'resumed') = (extends_days is not null) and extends_days >= 0),
  constraint refund_says_how_much check (
    (kind = 'refunded') = (amount is not null) and amount between 0 and 9999999999.99
  ),
  constraint reason_is_given_where_needed check (
    (reason is not null or kind not in ('paused', 'refunded')) and length(reason) <= 1000
  )
);
create unique index credit_entries_one_credit_a_source on public.credit_entries (source_id, source_table, use_no) where kind = 'used';
create index credit_entries_previous on public.credit_entries (purchase_id, previous_no, balance_before);
comment on table public.credit_entries is
  'The ledger of each purchase: what happened to its credits, with the balance after it. Only ever added to; numbers and balances are filled in.';
comment on column public.credit_entries.entry_no is 'Counts the entries of a purchase, from 1.';
comment on column public.credit_entries.kind is
  'granted with the purchase; used for something; returned, or forfeited because that was cancelled too late; paused, resumed; refunded, which ends it.';
comment on column public.credit_entries.change is 'Credits more or fewer.';
comment on column public.credit_entries.balance_after is 'Credits left after this entry; never below zero.';
comment on column public.credit_entries.occurs_on is 'The day it is about: of the class a credit is (or was) used for, or the day a pause begins or ends.';
comment on column public.credit_entries.source_table is 'The table in public whose row uses, or used, the credit.';
comment on column public.credit_entries.source_id is 'The id of that row.';
comment on column public.credit_entries.use_no is
  'How many credits that row has used, this one included. All before were returned: a forfeited credit stays used for it.';
comment on column public.credit_entries.used_entry_no is 'The use that was returned or forfeited.';
comment on column public.credit_entries.extends_days is 'For how many days it was paused: its last day moves on by as many.';
comment on column public.credit_entries.amount is 'How much of the price is given back, for a refund.';
comment on column public.credit_entries.recorded_by is 'The user who caused it; null when a server did.';
comment on column public.credit_entries.previous_no is 'The entry before it.';
comment on column public.credit_entries.balance_before is 'What that entry left.';

-- sql/35_payments/rules/10_payments.sql

-- The books: only ever added to, and never more given back than came in.
--
-- Whatever adds to a payment (lines, refunds, lines of refunds) locks it first and sums up in a later statement, so
-- that of two at once the second sees the first.

create function private.amount_errors(p_amount numeric, p_field text) returns jsonb
language sql immutable set search_path = ''
return private.input_error(p_amount is null, p_field, 'Say how much')
  || private.input_error(p_amount <= 0, p_field, 'An amount is above zero')
  || private.input_error(p_amount > 9999999999.99, p_field, 'An amount is at most 9999999999.99')
  || private.input_error(p_amount < 'infinity' and p_amount <> round(p_amount, 2), p_field, 'An amount has at most two decimals');
comment on function private.amount_errors(numeric, text) is 'What is wrong with an amount of money, for private.fail_input.';

create function private.reference_errors(p_provider text, p_provider_reference text, p_prefix text default '') returns jsonb
language sql immutable set search_path = ''
return private.input_error((p_provider is null) <> (p_provider_reference is null), p_prefix || 'provider_reference',
    'A provider and its reference go together')
  || private.input_error(p_provider !~ '^[a-z]+(_[a-z0-9]+)*$' or length(p_provider) > 100, p_prefix || 'provider',
    'A provider is a word in lower case, such as stripe')
  || private.input_error(length(p_provider_reference) > 200, p_prefix || 'provider_reference', 'A reference has at most 200 characters');
comment on function private.reference_errors(text, text, text) is 'What is wrong with a provider''s reference; the fields'' names get the prefix.';

create function private.moment_errors(p_at timestamptz, p_field text) returns jsonb
language sql stable set search_path = ''
return private.input_error(
  p_at < timestamptz '1970-01-01 00:00+00' or p_at > private.now() + interval '1 day', p_field, 'Money moves between 1970 and today');
comment on function private.moment_errors(timestamptz, text) is
  'What is wrong with when money moved; a day ahead is allowed, since other clocks are not ours.';

-- The setting is locked against changes until the payment is there, see private.keep_currency.
create function private.check_payment() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_currency text;
begin
  perform private.require_read_committed();
  select coalesce(s.value, s.default_value) #>> '{}' into v_currency from public.settings s where s.key = 'currency' for share;
  new.currency := coalesce(new.currency, v_currency);
  new.received_at := coalesce(new.received_at, private.now());
  new.provider_reference := private.clean_text(new.provider_reference);
  new.note := private.clean_text(new.note);
  if private.caller_id() is not null then
    new.recorded_by := private.caller_id();
    new.created_at := private.now();
  end if;
  perform private.fail_input(
    private.amount_errors(new.amount, 'amount')
    || private.input_error(new.currency <> v_currency, 'currency', format('The organisation''s currency is %s', v_currency))
    || private.input_error(coalesce(new.method, '') not in ('cash', 'card', 'bank_transfer', 'upi', 'wallet', 'cheque', 'other'), 'method',
      'A method is cash, card, bank_transfer, upi, wallet, cheque or other')
    || private.input_error(coalesce(new.status, '') not in ('succeeded', 'failed'), 'status', 'A status is succeeded or failed')
    || private.reference_errors(new.provider, new.provider_reference)
    || private.moment_errors(new.received_at, 'received_at')
    || private.input_error(length(new.note) > 1000, 'note', 'A note has at most 1000 characters')
  );
  return new;
end;
$$;
comment on function private.check_payment() is
  'Row trigger: a payment is in the organisation''s currency, signed by whoever records it; what makes no sense is named at once.';

create function private.keep_currency() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if (tg_op = 'DELETE' or new.key <> old.key or coalesce(new.value, new.default_value) <> coalesce(old.value, old.default_value))
    and exists (select from public.payments) then
    perform private.fail('illegal_transition', 'The currency cannot change any more: there are payments in it', 'value',
      jsonb_build_object('setting', 'currency', 'from', coalesce(old.value, old.default_value), 'to', coalesce(new.value, new.default_value)));
  end if;
  return coalesce(new, old);
end;
$$;
comment on function private.keep_currency() is 'Row trigger on settings: the currency stays once something was paid in it.';

create trigger t30_keep_currency before update or delete on public.settings
  for each row when (old.key = 'currency') execute function private.keep_currency();

create function private.check_payment_item() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_totals record;
begin
  perform private.require_read_committed();
  perform private.require_paid_row(new.source_table, new.source_id);
  perform from public.payments p where p.id = new.payment_id for no key update;
  select t.* into v_totals from private.payment_totals t where t.payment_id = new.payment_id;
  perform private.fail_input(private.amount_errors(new.amount, 'amount'));
  -- What was given back off no line of it cannot pay for anything any more.
  if new.amount > v_totals.advance_left then
    perform private.fail('limit_exceeded', format('Only %s of this payment is left to pay for something', v_totals.advance_left), 'amount',
      jsonb_build_object('payment_id', new.payment_id, 'limit', v_totals.advance_left));
  end if;
  return new;
end;
$$;
comment on function private.check_payment_item() is
  'Row trigger: a line pays for a row that is there, and all lines of a payment together are at most the payment.';

create function private.check_refund() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment public.payments;
  v_totals record;
begin
  perform private.require_read_committed();
  new.reason := private.clean_text(new.reason);
  new.provider_reference := private.clean_text(new.provider_reference);
  new.refunded_at := coalesce(new.refunded_at, private.now());
  if private.caller_id() is not null then
    new.recorded_by := private.caller_id();
    new.created_at := private.now();
  end if;
  perform private.fail_input(
    private.amount_errors(new.amount, 'amount')
    || private.input_error(new.reason is null, 'reason', 'Say why')
    || private.input_error(length(new.reason) > 1000, 'reason', 'A reason has at most 1000 characters')
    || private.reference_errors(new.provider, new.provider_reference)
    || private.moment_errors(new.refunded_at, 'refunded_at')
  );
  select p.* into v_payment from public.payments p where p.id = new.payment_id for no key update;
  if v_payment.status = 'failed' then
    perform private.fail('illegal_transition', 'This payment failed: there is nothing to give back', 'payment_id',
      jsonb_build_object('payment_id', new.payment_id, 'status', v_payment.status));
  end if;
  select t.* into v_totals from private.payment_totals t where t.payment_id = new.payment_id;
  if new.amount > v_totals.amount_left then
    perform private.fail('limit_exceeded', format('Only %s of this payment is left to give back', v_totals.amount_left), 'amount',
      jsonb_build_object('payment_id', new.payment_id, 'limit', v_totals.amount_left));
  end if;
  return new;
end;
$$;
comment on function private.check_refund() is 'Row trigger: refunds of a payment that succeeded, together at most the payment.';

create function private.check_refund_item() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_refund public.refunds;
  v_line_left numeric;
  v_refund_left numeric;
begin
  perform private.require_read_committed();
  select r.* into v_refund from public.refunds r where r.id = new.refund_id;
  new.payment_id := coalesce(new.payment_id, v_refund.payment_id);
  perform from public.payments p where p.id = new.payment_id for no key update;
  perform private.fail_input(private.amount_errors(new.amount, 'amount'));
  select i.amount - coalesce(sum(r.amount), 0) into v_line_left
  from public.payment_items i
  left join public.refund_items r on (r.payment_id, r.source_table, r.source_id) = (i.payment_id, i.source_table, i.source_id)
  where i.payment_id = new.payment_id and i.source_table = new.source_table and i.source_id = new.source_id
  group by i.amount;
  v_refund_left := v_refund.amount - coalesce((select sum(r.amount) from public.refund_items r where r.refund_id = new.refund_id), 0);
  if new.amount > least(v_line_left, v_refund_left) then
    perform private.fail('limit_exceeded',
      format(case when v_line_left <= v_refund_left then 'Only %s of what was paid for this is left to give back'
        else 'Only %s of this refund is left to give back for something' end, least(v_line_left, v_refund_left)), 'amount',
      jsonb_build_object('payment_id', new.payment_id, 'source_table', new.source_table, 'source_id', new.source_id,
        'limit', least(v_line_left, v_refund_left)));
  end if;
  return new;
end;
$$;
comment on function private.check_refund_item() is
  'Row trigger: what is given back for something is at most what was paid for it, and the lines of a refund are at most the refund.';

-- At the end of the transaction, because a refund is written before its lines.
create function private.check_refund_is_placed() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_advance_left numeric := (select t.advance_left from private.payment_totals t where t.payment_id = new.payment_id);
begin
  if v_advance_left < 0 then
    perform private.fail('invalid_input', format('%s of the refund is of money that paid for something: say for what', -v_advance_left), 'items',
      jsonb_build_object('payment_id', new.payment_id, 'refund_id', new.id),
      'Add refund_items in the same transaction, or call refund_payment().');
  end if;
  return null;
end;
$$;
comment on function private.check_refund_is_placed() is
  'Constraint trigger: what no line of a refund names was not paid for anything, or else something would stay paid with money given back.';

create trigger t10_only_added_to before update or delete or truncate on public.payments
  for each statement execute function private.refuse_statement('payments is only ever added to: record a refund');
create trigger t10_only_added_to before update or delete or truncate on public.payment_items
  for each statement execute function private.refuse_statement('payment_items is only ever added to: record a refund');
create trigger t10_only_added_to before update or delete or truncate on public.refunds
  for each statement execute function private.refuse_statement('refunds is only ever added to');
create trigger t10_only_added_to before update or delete or truncate on public.refund_items
  for each statement execute function private.refuse_statement('refund_items is only ever added to');

create trigger t20_check before insert on public.payments
  for each row execute function private.check_payment();
create trigger t20_check before insert on public.payment_items
  for each row execute function private.check_payment_item();
create trigger t20_check before insert on public.refunds
  for each row execute function private.check_refund();
create trigger t20_check before insert on public.refund_items
  for each row execute function private.check_refund_item();
create constraint trigger t60_refund_is_placed after insert on public.refunds
  deferrable initially deferred for each row execute function private.check_refund_is_placed();

-- sql/35_payments/rules/20_dues.sql

-- What people owe is worked out, never stored.
--
-- A table whose rows people owe money for has a uuid `id` and a view private.<table>_dues (source_id, profile_id,
-- amount, title): what each row costs whom. `select private.attach_dues('public.x')` keeps what was paid for from being
-- deleted. From then on payments can name its rows, and outstanding_amounts() covers them. A row that costs nothing any
-- more is left out of the view, or is in it with what it still costs.

create function private.dues_sources() returns table (source_table text)
language sql stable set search_path = ''
begin atomic
  select left(v.relname, -length('_dues'))
  from pg_catalog.pg_class v
  join pg_catalog.pg_namespace n on n.oid = v.relnamespace and n.nspname = 'private'
  join pg_catalog.pg_class t on t.relname = left(v.relname, -length('_dues')) and t.relkind in ('r', 'p')
  join pg_catalog.pg_namespace p on p.oid = t.relnamespace and p.nspname = 'public'
  where v.relkind = 'v' and v.relname like '%\_dues';
end;
comment on function private.dues_sources() is 'The tables whose rows people owe for: those with a view private.<table>_dues.';

-- Locked against being deleted until the line is there; whoever deletes it sees the line afterwards.
create function private.require_paid_row(p_source_table text, p_source_id uuid) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_is_there boolean;
begin
  if not exists (select from private.dues_sources() s where s.source_table = p_source_table) then
    perform private.fail('invalid_input', format('Nobody owes anything for %s', coalesce(p_source_table, 'nothing')), 'source_table',
      jsonb_build_object('source_table', p_source_table,
        'allowed', (select jsonb_agg(s.source_table order by s.source_table) from private.dues_sources() s)));
  end if;
  execute format('select true from public.%I s where s.id = $1 for key share', p_source_table) into v_is_there using p_source_id;
  if v_is_there is null then
    perform private.fail('not_found', format('There is no such row in %s', p_source_table), 'source_id',
      jsonb_build_object('source_table', p_source_table, 'source_id', p_source_id));
  end if;
end;
$$;
comment on function private.require_paid_row(text, uuid) is 'Raises not_found, or invalid_input for a table nobody owes for; keeps the row there until the transaction ends.';

create function private.keep_what_is_paid() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and new.id = old.id then
    return new;
  end if;
  if exists (
    select
    from public.payment_items i
    join public.payments p on p.id = i.payment_id and p.status = 'succeeded'
    where i.source_id = old.id and i.source_table = tg_table_name
  ) then
    perform private.fail('illegal_transition', 'Somebody paid for this: it can be cancelled, not deleted', 'id',
      jsonb_build_object('table', tg_table_name, 'id', old.id));
  end if;
  return coalesce(new, old);
end;
$$;
comment on function private.keep_what_is_paid() is 'Row trigger of every table people owe for: what was paid for is not deleted, and keeps its id.';

create function private.attach_dues(p_table regclass) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  execute format('create trigger t30_keep_what_is_paid before delete or update of id on %s
    for each row execute function private.keep_what_is_paid()', p_table);
  -- Where something else needs the rows as well, it refuses the truncate already.
  if not exists (
    select from pg_catalog.pg_trigger t where t.tgrelid = p_table and not t.tgisinternal and t.tgtype & 32 <> 0
  ) then
    execute format('create trigger t00_no_truncate before truncate on %s
      for each statement execute function private.refuse_statement(%L)', p_table, 'What people owe and paid for cannot be truncated');
  end if;
end;
$$;
comment on function private.attach_dues(regclass) is
  'Makes a table one whose rows are paid for; its view private.<table>_dues (source_id, profile_id, amount, title) says what each costs whom.';

-- sql/35_payments/rules/30_purchases.sql

-- Buying a package: its terms are frozen on the purchase, and its credits are granted.

-- The package is locked against changes until the purchase is there, so that the terms are all of one moment.
create function private.freeze_package() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_package public.packages;
begin
  select k.* into v_package from public.packages k where k.id = new.package_id for share;
  if not found then
    perform private.fail('not_found', 'There is no such package', 'package_id', jsonb_build_object('package_id', new.package_id));
  end if;
  if not v_package.is_active then
    perform private.fail('illegal_transition', format('%s is no longer sold', v_package.name), 'package_id',
      jsonb_build_object('package_id', new.package_id));
  end if;
  new.credits := coalesce(new.credits, v_package.class_count);
  new.price := coalesce(new.price, v_package.price);
  new.validity_days := coalesce(new.validity_days, v_package.validity_days);
  new.late_cancel_hours := coalesce(new.late_cancel_hours, v_package.late_cancel_hours);
  new.purchased_on := coalesce(new.purchased_on, private.today());
  perform private.fail_input(
    private.input_error(new.purchased_on < date '1970-01-01' or new.purchased_on >= date '2200-01-01', 'purchased_on', 'A date lies between 1970 and 2199')
    || private.input_error(new.credits not between 1 and 1000, 'credits', 'A package has 1 to 1000 classes')
    || private.input_error(not new.price between 0 and 9999999999.99, 'price', 'A price is not negative')
    || private.input_error(new.validity_days not between 1 and 3660, 'validity_days', 'A package is valid for 1 to 3660 days')
    || private.input_error(new.late_cancel_hours not between 0 and 744, 'late_cancel_hours',
      'Cancelling is late at most 744 hours before the start')
  );
  new.expires_on := new.purchased_on + new.validity_days;
  new.status := 'active';
  new.paused_on := null;
  return new;
end;
$$;
comment on function private.freeze_package() is
  'Row trigger: a purchase starts with what its package says now, unless it says otherwise itself (an import), and is active.';

create function private.grant_credits() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into public.credit_entries (purchase_id, kind, occurs_on) values (new.id, 'granted', new.purchased_on);
  return null;
end;
$$;
comment on function private.grant_credits() is 'Row trigger: the first entry of a purchase grants its credits.';

create trigger t05_only_entries_change_it before update on public.package_purchases
  for each statement execute function private.refuse_direct_write(
    'A purchase follows its entries: call pause_package(), resume_package() or refund_package().');
create trigger t10_keep_version before update on public.package_purchases
  for each row execute function private.keep_version();
create trigger t20_freeze before insert on public.package_purchases
  for each row execute function private.freeze_package();
create trigger t40_never_deleted before delete on public.package_purchases
  for each row execute function private.refuse_statement('A purchase is refunded, not deleted: its credits stay on record');
create trigger t50_grant after insert on public.package_purchases
  for each row execute function private.grant_credits();

select private.attach_dues('public.package_purchases');

-- sql/35_payments/rules/40_credits.sql

-- The ledger of credits. Whoever writes an entry says of which purchase, what kind, and for what; numbers and balances
-- are filled in here, under the purchase's lock. The table's keys say the same declaratively: an entry refers to the
-- balance before it, which only one entry can follow.

-- Somebody may have many lots, and a transaction that gives back a credit of one may use one of another next. Were lots
-- all that is locked, two such transactions would wait for each other; so whoever changes a person's credits locks the
-- person first, and then the lots. It is no lock on the profile's row, which others take before they ask for credits.
create function private.lock_credits_of(p_profile_id uuid) returns void
language sql volatile set search_path = ''
begin atomic
  select pg_advisory_xact_lock(hashtextextended('credits of ' || p_profile_id, 0));
end;
comment on function private.lock_credits_of(uuid) is 'Keeps others from changing this person''s credits until the transaction ends.';

create function private.credit_in_use(p_source_table text, p_source_id uuid) returns public.credit_entries
language sql stable security definer set search_path = ''
return (
  select u
  from public.credit_entries u
  where u.source_id = p_source_id and u.source_table = p_source_table and u.kind = 'used'
    and not exists (
      select from public.credit_entries r
      where r.purchase_id = u.purchase_id and r.used_entry_no = u.entry_no and r.kind = 'returned'
    )
  order by u.use_no desc
  limit 1
);
comment on function private.credit_in_use(text, uuid) is 'The use of a credit for this that was not returned, or null.';

create function private.is_credit_forfeited(p_use public.credit_entries) returns boolean
language sql stable security definer set search_path = ''
return exists (
  select from public.credit_entries f
  where f.purchase_id = p_use.purchase_id and f.used_entry_no = p_use.entry_no and f.kind = 'forfeited'
);
comment on function private.is_credit_forfeited(public.credit_entries) is 'Whether this use of a credit was forfeited by cancelling late.';

create function private.is_paused_on(p_purchase_id uuid, p_date date) returns boolean
language sql stable security definer set search_path = ''
return exists (
  select from public.credit_entries r
  where r.purchase_id = p_purchase_id and r.kind = 'resumed' and p_date >= r.occurs_on - r.extends_days and p_date < r.occurs_on
);
comment on function private.is_paused_on(uuid, date) is 'Whether a date lies in a pause of this purchase that is over.';

create function private.refuse_entry(p_purchase public.package_purchases, p_kind text, p_state text) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.fail('illegal_transition',
    case p_state when 'active' then 'This package is not paused' else format('This package is %s', p_state) end, 'purchase_id',
    jsonb_build_object('purchase_id', p_purchase.id, 'from', p_state, 'entry', p_kind));
end;
$$;
comment on function private.refuse_entry(public.package_purchases, text, text) is 'Says that a purchase in this state takes no such entry.';

create function private.check_credit_use(p_entry public.credit_entries, p_purchase public.package_purchases) returns integer
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_in_use public.credit_entries := private.credit_in_use(p_entry.source_table, p_entry.source_id);
begin
  if v_in_use.purchase_id is not null then
    perform private.fail('duplicate', 'A credit is used for this already', 'source_id',
      jsonb_build_object('source_table', p_entry.source_table, 'source_id', p_entry.source_id, 'purchase_id', v_in_use.purchase_id));
  end if;
  if p_entry.occurs_on not between p_purchase.purchased_on and p_purchase.expires_on then
    perform private.fail('limit_exceeded',
      format('This package is good from %s to %s', p_purchase.purchased_on, p_purchase.expires_on), 'occurs_on',
      jsonb_build_object('purchase_id', p_purchase.id, 'occurs_on', p_entry.occurs_on, 'limit', p_purchase.expires_on));
  end if;
  if private.is_paused_on(p_purchase.id, p_entry.occurs_on) then
    perform private.fail('limit_exceeded', format('This package was paused on %s', p_entry.occurs_on), 'occurs_on',
      jsonb_build_object('purchase_id', p_purchase.id, 'occurs_on', p_entry.occurs_on));
  end if;
  if p_entry.balance_after < 0 then
    perform private.fail('limit_exceeded', 'No credits left', 'purchase_id', jsonb_build_object('purchase_id', p_purchase.id, 'limit', 0));
  end if;
  return 1 + (
    select count(*) from public.credit_entries u
    where u.source_id = p_entry.source_id and u.source_table = p_entry.source_table and u.kind = 'used'
  );
end;
$$;
comment on function private.check_credit_use(public.credit_entries, public.package_purchases) is
  'Refuses the use of a credit that is not there, out of its dates, or for what has one already; gives the number of the use.';

-- What state the lot is in is read from its entries and not from the purchase, which follows only at the end of the
-- statement: several rows of one statement are seen one after the other.
create function private.check_credit_entry() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase public.package_purchases;
  v_last public.credit_entries;
  v_turn public.credit_entries;
  v_state text;
begin
  perform private.require_read_committed();
  -- What a purchase that nobody else sees yet is granted needs no lock.
  if new.kind <> 'granted' then
    perform private.lock_credits_of(p.profile_id) from public.package_purchases p where p.id = new.purchase_id;
  end if;
  select p.* into v_purchase from public.package_purchases p where p.id = new.purchase_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such purchase', 'purchase_id', jsonb_build_object('purchase_id', new.purchase_id));
  end if;
  select e.* into v_last from public.credit_entries e where e.purchase_id = new.purchase_id order by e.entry_no desc limit 1;
  select e.* into v_turn from public.credit_entries e
  where e.purchase_id = new.purchase_id and e.kind in ('paused', 'resumed', 'refunded')
  order by e.entry_no desc
  limit 1;
  v_state := case v_turn.kind when 'paused' then 'paused' when 'refunded' then 'refunded' else 'active' end;

  new.entry_no := coalesce(v_last.entry_no, 0) + 1;
  new.occurs_on := coalesce(new.occurs_on, private.today());
  new.reason := private.clean_text(new.reason);
  new.use_no := null;
  new.used_entry_no := null;
  new.extends_days := null;
  new.change := case new.kind when 'granted' then v_purchase.credits when 'used' then -1 when 'returned' then 1
    when 'refunded' then -v_last.balance_after else 0 end;
  new.balance_after := coalesce(v_last.balance_after, 0) + new.change;
  if private.caller_id() is not null then
    new.recorded_by := private.caller_id();
    new.created_at := private.now();
  end if;

  if new.kind = 'granted' then
    if v_last.entry_no is not null then
      perform private.fail('illegal_transition', 'The credits of this package were granted already', 'purchase_id',
        jsonb_build_object('purchase_id', v_purchase.id, 'entry', new.kind));
    end if;
  elsif new.kind = 'used' then
    if v_state <> 'active' then
      perform private.refuse_entry(v_purchase, new.kind, v_state);
    end if;
    new.use_no := private.check_credit_use(new, v_purchase);
  elsif new.kind in ('returned', 'forfeited') then
    if new.kind = 'returned' and v_state = 'refunded' then
      perform private.refuse_entry(v_purchase, new.kind, v_state);
    end if;
    select u.entry_no, u.occurs_on into new.used_entry_no, new.occurs_on
    from private.credit_in_use(new.source_table, new.source_id) u
    where u.purchase_id = new.purchase_id and not private.is_credit_forfeited(u);
    if not found then
      perform private.fail('illegal_transition', 'No credit of this package is in use for this', 'source_id',
        jsonb_build_object('purchase_id', new.purchase_id, 'source_table', new.source_table, 'source_id', new.source_id));
    end if;
  elsif new.kind = 'paused' then
    if v_state <> 'active' then
      perform private.refuse_entry(v_purchase, new.kind, v_state);
    end if;
    if new.occurs_on > v_purchase.expires_on then
      perform private.fail('illegal_transition', format('This package expired after %s', v_purchase.expires_on), 'purchase_id',
        jsonb_build_object('purchase_id', v_purchase.id, 'from', 'expired', 'entry', new.kind));
    end if;
    perform private.fail_input(private.input_error(
      new.occurs_on not between greatest(v_purchase.purchased_on, v_turn.occurs_on) and private.today(), 'occurs_on',
      format('A pause begins on a day from %s up to today', greatest(v_purchase.purchased_on, v_turn.occurs_on))));
  elsif new.kind = 'resumed' then
    if v_state <> 'paused' then
      perform private.refuse_entry(v_purchase, new.kind, v_state);
    end if;
    perform private.fail_input(private.input_error(
      new.occurs_on not between v_turn.occurs_on and private.today(), 'occurs_on',
      format('The pause ends between %s and %s', v_turn.occurs_on, private.today())));
    new.extends_days := new.occurs_on - v_turn.occurs_on;
  elsif new.kind = 'refunded' then
    if v_state = 'refunded' then
      perform private.refuse_entry(v_purchase, new.kind, v_state);
    end if;
    perform private.fail_input(private.input_error(coalesce(not new.amount between 0 and v_purchase.price, true), 'amount',
      format('Between 0 and %s can be given back', v_purchase.price)));
  end if;
  return new;
end;
$$;
comment on function private.check_credit_entry() is
  'Row trigger: numbers an entry and works out its balance under the purchase''s lock; refuses what this purchase cannot take now.';

create function private.follow_credit_entry() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.package_purchases p
  set status = case new.kind when 'paused' then 'paused' when 'resumed' then 'active' else 'refunded' end,
    paused_on = case new.kind when 'paused' then new.occurs_on end,
    expires_on = p.expires_on + coalesce(new.extends_days, 0)
  where p.id = new.purchase_id;
  return null;
end;
$$;
comment on function private.follow_credit_entry() is 'Row trigger: pausing, resuming and refunding change the purchase.';

create trigger t10_only_added_to before delete or truncate on public.credit_entries
  for each statement execute function private.refuse_statement('credit_entries is only ever added to');
create trigger t10_never_changed before update on public.credit_entries
  for each statement execute function private.refuse_direct_write('Entries stay as they are: add one that puts it right.');
create trigger t20_check before insert on public.credit_entries
  for each row execute function private.check_credit_entry();
create trigger t50_follow after insert on public.credit_entries
  for each row when (new.kind in ('paused', 'resumed', 'refunded')) execute function private.follow_credit_entry();

-- sql/35_payments/rules/50_using_credits.sql

-- For the modules whose rows use credits: their triggers call these two, after all rows of the statement are written
-- (and so locked), in the order of the people whose credits change. Then no two statements wait for each other.

create function private.use_credit(
  p_profile_id uuid, p_package_id uuid, p_used_on date, p_source_table text, p_source_id uuid
) returns public.credit_entries
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_entry public.credit_entries;
  v_purchase public.package_purchases;
begin
  perform private.lock_credits_of(p_profile_id);
  v_entry := private.credit_in_use(p_source_table, p_source_id);
  if v_entry.purchase_id is not null then
    select p.* into v_purchase from public.package_purchases p where p.id = v_entry.purchase_id;
    if v_purchase.profile_id is distinct from p_profile_id or v_purchase.package_id <> coalesce(p_package_id, v_purchase.package_id) then
      perform private.fail('duplicate', 'A credit of another package is used for this already', 'source_id',
        jsonb_build_object('source_table', p_source_table, 'source_id', p_source_id, 'purchase_id', v_purchase.id));
    end if;
    -- What is forfeited stays as it is: the row has had its credit.
    if v_entry.occurs_on = p_used_on or private.is_credit_forfeited(v_entry) then
      return v_entry;
    end if;
    -- It is about another day now, for which that lot may not be good.
    insert into public.credit_entries (purchase_id, kind, source_table, source_id)
    values (v_entry.purchase_id, 'returned', p_source_table, p_source_id);
  end if;
  -- All lots that might do, in one order; which of them does is read in the next statement.
  perform from public.package_purchases p
  where p.profile_id = p_profile_id and (p_package_id is null or p.package_id = p_package_id) and p.status = 'active'
  order by p.id
  for no key update;
  select p.* into v_purchase
  from public.package_purchases p
  cross join lateral (
    select e.balance_after from public.credit_entries e where e.purchase_id = p.id order by e.entry_no desc limit 1
  ) b
  where p.profile_id = p_profile_id and (p_package_id is null or p.package_id = p_package_id) and p.status = 'active'
    and p_used_on between p.purchased_on and p.expires_on and not private.is_paused_on(p.id, p_used_on) and b.balance_after > 0
  order by p.expires_on, p.purchased_on, p.id
  limit 1;
  if not found then
    perform private.fail('limit_exceeded', 'No credits left', 'package_id',
      jsonb_build_object('profile_id', p_profile_id, 'package_id', p_package_id, 'used_on', p_used_on, 'limit', 0),
      'Sell a package, resume a paused one, or choose a day on which one is valid.');
  end if;
  insert into public.credit_entries (purchase_id, kind, occurs_on, source_table, source_id)
  values (v_purchase.id, 'used', p_used_on, p_source_table, p_source_id)
  returning * into v_entry;
  return v_entry;
end;
$$;
comment on function private.use_credit(uuid, uuid, date, text, uuid) is
  'Uses a credit of this person for a row of another table, on that day: of the lot that expires first, of this package or (null) of any. A row that has a credit for that day keeps it; one that moved to another day gets its credit back and uses one that is good then; a forfeited credit stays the row''s. Raises limit_exceeded when none is left, duplicate when the row has a credit of somebody else or of another package, illegal_transition when it moves and its package was refunded.';

create function private.return_credit(p_source_table text, p_source_id uuid, p_starts_at timestamptz) returns public.credit_entries
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_entry public.credit_entries := private.credit_in_use(p_source_table, p_source_id);
  v_purchase public.package_purchases;
  v_is_late boolean;
begin
  if v_entry.purchase_id is null then
    return null;
  end if;
  perform private.lock_credits_of(p.profile_id) from public.package_purchases p where p.id = v_entry.purchase_id;
  -- Again, now that nobody else can have returned it meanwhile.
  v_entry := private.credit_in_use(p_source_table, p_source_id);
  if v_entry.purchase_id is null or private.is_credit_forfeited(v_entry) then
    return null;
  end if;
  select p.* into v_purchase from public.package_purchases p where p.id = v_entry.purchase_id for no key update;
  v_is_late := coalesce(private.now() > p_starts_at - make_interval(hours => v_purchase.late_cancel_hours), false);
  insert into public.credit_entries (purchase_id, kind, source_table, source_id)
  values (v_purchase.id, case when v_is_late or v_purchase.status = 'refunded' then 'forfeited' else 'returned' end, p_source_table, p_source_id)
  returning * into v_entry;
  return v_entry;
end;
$$;
comment on function private.return_credit(text, uuid, timestamptz) is
  'Gives the credit back that a row uses: returned, or forfeited when what starts at p_starts_at (null: no time was set) was cancelled too late by the package''s rule, or the package was refunded meanwhile. Gives the entry, or null when no credit is in use or it is forfeited already.';

-- sql/35_payments/rules/60_rebuilds.sql

-- Repairs go through a table of their own, so that entries and purchases are still changed by triggers only, and each
-- repair is on record.

create table private.credit_rebuilds (
  id bigint generated always as identity primary key,
  purchase_ids uuid[] not null,
  rebuilt_by text not null default private.calling(),
  rebuilt_at timestamptz not null default private.now()
);
comment on table private.credit_rebuilds is 'Every time balances of packages were worked out again: of which, by whom, when.';
comment on column private.credit_rebuilds.purchase_ids is 'The purchases whose balances, status and last day were worked out again.';

create function private.rebuild_credits() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_credits_of(p.profile_id)
  from (select distinct p.profile_id from public.package_purchases p where p.id = any(new.purchase_ids) order by 1) p;
  perform from public.package_purchases p where p.id = any(new.purchase_ids) order by p.id for no key update;
  -- What happened is true, what it added up to is worked out; where that cannot be, a person has to look.
  with sums as (
    select s.purchase_id, s.entry_no, s.balance_after
    from private.credit_sums s
    where s.purchase_id = any(new.purchase_ids) and s.is_sound
  )
  update public.credit_entries e
  set balance_after = s.balance_after
  from sums s
  where s.purchase_id = e.purchase_id and s.entry_no = e.entry_no and s.balance_after <> e.balance_after;
  update public.package_purchases p
  set status = s.status, paused_on = s.paused_on, expires_on = s.expires_on
  from private.purchase_states s
  where s.purchase_id = p.id and p.id = any(new.purchase_ids)
    and (p.status, p.paused_on, p.expires_on) is distinct from (s.status, s.paused_on, s.expires_on);
  return null;
end;
$$;
comment on function private.rebuild_credits() is
  'Row trigger on credit_rebuilds: works out the balances, status and last day of the named purchases again, as far as their entries make sense.';

create trigger t50_rebuild after insert on private.credit_rebuilds
  for each row execute function private.rebuild_credits();

-- sql/35_payments/views.sql

-- What each payment still has, what purchases cost, and what is left of them.

create view private.payment_totals as
select p.id as payment_id, p.payer_id, p.status, p.amount, p.amount - t.refunded as amount_left,
  (p.amount - t.in_items) - (t.refunded - t.refunded_in_items) as advance_left
from public.payments p
cross join lateral (
  select
    coalesce((select sum(i.amount) from public.payment_items i where i.payment_id = p.id), 0) as in_items,
    coalesce((select sum(r.amount) from public.refunds r where r.payment_id = p.id), 0) as refunded,
    coalesce((select sum(r.amount) from public.refund_items r where r.payment_id = p.id), 0) as refunded_in_items
) t;
comment on view private.payment_totals is 'What of each payment is left to give back, and what of it neither pays for something nor was given back.';
comment on column private.payment_totals.amount_left is 'The payment less its refunds.';
comment on column private.payment_totals.advance_left is 'What no line names, less what was given back of that.';

create view private.package_purchases_dues as
select p.id as source_id, p.profile_id, p.price - coalesce(r.amount, 0) as amount, k.name as title
from public.package_purchases p
join public.packages k on k.id = p.package_id
left join public.credit_entries r on r.purchase_id = p.id and r.kind = 'refunded';
comment on view private.package_purchases_dues is 'What package purchases cost: their price, less what of it is given back.';

create view public.package_balances with (security_invoker = true) as
select p.id as purchase_id, p.profile_id, p.package_id, k.name as package_name, p.status, p.purchased_on, p.expires_on,
  p.paused_on, p.credits, b.credits_used, b.credits_forfeited, b.credits_left,
  p.status = 'active' and private.today() between p.purchased_on and p.expires_on and b.credits_left > 0 as is_usable
from public.package_purchases p
join public.packages k on k.id = p.package_id
cross join lateral (
  select
    (count(*) filter (where e.kind = 'used') - count(*) filter (where e.kind = 'returned'))::integer as credits_used,
    (count(*) filter (where e.kind = 'forfeited'))::integer as credits_forfeited,
    coalesce((array_agg(e.balance_after order by e.entry_no desc))[1], 0) as credits_left
  from public.credit_entries e
  where e.purchase_id = p.id
) b;
comment on view public.package_balances is 'What is left of each package somebody bought. One''s own; all with read:payments.';
comment on column public.package_balances.credits_used is 'Credits used and not returned, those forfeited by cancelling late included.';
comment on column public.package_balances.credits_forfeited is 'How many of them were forfeited.';
comment on column public.package_balances.credits_left is 'The balance after its last entry; 0 once it is refunded.';
comment on column public.package_balances.is_usable is 'Whether a credit can be used for a class today.';

-- Money that counts, as lines with a sign: what was paid for something and what of it was given back.
create view private.paid_lines as
select p.payer_id, i.payment_id, i.source_table, i.source_id, i.amount
from public.payment_items i
join public.payments p on p.id = i.payment_id and p.status = 'succeeded'
union all
select p.payer_id, r.payment_id, r.source_table, r.source_id, -r.amount
from public.refund_items r
join public.payments p on p.id = r.payment_id and p.status = 'succeeded';
comment on view private.paid_lines is 'What was paid for each row, and what of it was given back, below zero.';

-- What the ledger adds up to, from what happened alone; read by diagnosis and repair.
create view private.credit_sums as
select w.purchase_id, w.entry_no, w.balance_after,
  -- No entry is missing, none goes below zero, and a refund leaves nothing.
  bool_and(w.entry_no = w.position and w.balance_after >= 0 and (w.kind <> 'refunded' or w.balance_after = 0))
    over (partition by w.purchase_id) as is_sound
from (
  select e.purchase_id, e.entry_no, e.kind,
    (sum(e.change) over (partition by e.purchase_id order by e.entry_no))::integer as balance_after,
    row_number() over (partition by e.purchase_id order by e.entry_no) as position
  from public.credit_entries e
) w;
comment on view private.credit_sums is 'The balance after each entry as the changes add up, and whether the entries of its purchase make sense at all.';

create view private.purchase_states as
select p.id as purchase_id,
  case t.kind when 'paused' then 'paused' when 'refunded' then 'refunded' else 'active' end as status,
  case when t.kind = 'paused' then t.occurs_on end as paused_on,
  p.purchased_on + p.validity_days + (
    select coalesce(sum(e.extends_days), 0)::integer from public.credit_entries e where e.purchase_id = p.id
  ) as expires_on
from public.package_purchases p
left join lateral (
  select e.kind, e.occurs_on
  from public.credit_entries e
  where e.purchase_id = p.id and e.kind in ('paused', 'resumed', 'refunded')
  order by e.entry_no desc
  limit 1
) t on true;
comment on view private.purchase_states is 'Status and last day of each purchase as its entries say.';

-- sql/35_payments/rpc/allocate_payment.sql

create function private.add_payment_items(p_payment_id uuid, p_items jsonb) returns setof public.payment_items
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment public.payments;
  v_paid record;
begin
  perform private.require_permission('record:payment');
  -- The rows first: whoever records a payment or pays for them later locks in this order.
  perform private.require_paid_row(i.source_table, i.source_id) from private.items_of(p_items) i;
  select p.* into v_payment from public.payments p where p.id = p_payment_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such payment', 'p_payment_id', jsonb_build_object('payment_id', p_payment_id));
  end if;
  if v_payment.status = 'failed' then
    perform private.fail('illegal_transition', 'This payment failed: it pays for nothing', 'p_payment_id',
      jsonb_build_object('payment_id', p_payment_id, 'status', v_payment.status));
  end if;
  select l.source_table, l.source_id into v_paid
  from public.payment_items l
  join private.items_of(p_items) i on i.source_table = l.source_table and i.source_id = l.source_id
  where l.payment_id = p_payment_id
  limit 1;
  if found then
    perform private.fail('duplicate', 'This payment pays for that already', 'p_items',
      jsonb_build_object('payment_id', p_payment_id, 'source_table', v_paid.source_table, 'source_id', v_paid.source_id));
  end if;
  return query
    insert into public.payment_items (payment_id, source_table, source_id, amount)
    select p_payment_id, i.source_table, i.source_id, i.amount from private.items_of(p_items) i
    returning *;
end;
$$;
comment on function private.add_payment_items(uuid, jsonb) is 'Adds lines to a payment, for a holder of record:payment.';

create function public.allocate_payment(p_payment_id uuid, p_items jsonb, p_idempotency_key text default null)
returns setof public.payment_items
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('payment_id', p_payment_id, 'items', p_items);
  v_answer jsonb;
begin
  perform private.require_permission('record:payment');
  v_answer := private.answered_before('allocate_payment', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_payment_id is null, 'p_payment_id', 'Say which payment')
      || private.input_error(p_items is null or p_items = '[]', 'p_items', 'Say what it pays for')
      || private.items_errors(p_items, 'p_items')
    );
    v_answer := (select jsonb_agg(to_jsonb(i)) from private.add_payment_items(p_payment_id, p_items) i);
    perform private.remember_answer('allocate_payment', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.payment_items, v_answer);
end;
$$;
comment on function public.allocate_payment(uuid, jsonb, text) is
  'Says what an advance pays for: adds lines to a payment, up to what its other lines and refunds left of it. p_items as in record_payment. Needs record:payment. Returns the new lines. Raises limit_exceeded beyond what is left, duplicate for a row this payment pays for already, illegal_transition for a payment that failed, not_found for an unknown payment or row, invalid_input.';

-- sql/35_payments/rpc/outstanding_amounts.sql

-- One pass over what is owed, one over what was paid for rows that cost nothing any more, one over advances; which tables
-- there are is only known when it is asked.
create function private.outstanding(p_profile_ids uuid[]) returns table (
  profile_id uuid, source_table text, source_id uuid, title text, amount_due numeric, amount_paid numeric, amount_outstanding numeric
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sources constant text[] := array(select s.source_table from private.dues_sources() s order by 1);
begin
  return query execute
    (
      select string_agg(format($sql$
        select d.profile_id, %1$L::text, d.source_id, d.title, d.amount::numeric, t.paid, d.amount - t.paid
        from private.%2$I d
        cross join lateral (
          select coalesce(sum(l.amount), 0) as paid from private.paid_lines l where l.source_id = d.source_id and l.source_table = %1$L
        ) t
        where ($1 is null or d.profile_id = any($1)) and d.amount <> t.paid
        $sql$, s.name, s.name || '_dues'), ' union all ')
      from unnest(v_sources) as s(name)
    )
    || ' union all '
    || format($sql$
      select l.payer_id, l.source_table, l.source_id, null, 0, sum(l.amount), -sum(l.amount)
      from private.paid_lines l
      where ($1 is null or l.payer_id = any($1)) and not case l.source_table %s else false end
      group by l.payer_id, l.source_table, l.source_id
      having sum(l.amount) <> 0
      $sql$,
      (
        select string_agg(format('when %L then exists (select from private.%I d where d.source_id = l.source_id)', s.name, s.name || '_dues'), ' ')
        from unnest(v_sources) as s(name)
      ))
    || $sql$
      union all
      select t.payer_id, 'payments', t.payment_id, null, 0, t.advance_left, -t.advance_left
      from private.payment_totals t
      where ($1 is null or t.payer_id = any($1)) and t.status = 'succeeded' and t.advance_left <> 0
      $sql$
    using p_profile_ids;
end;
$$;
comment on function private.outstanding(uuid[]) is 'What these people (null: all) owe, row by row; negative where they paid too much, or paid an advance.';

create function private.outstanding_for_caller(p_profile_ids uuid[]) returns table (
  profile_id uuid, source_table text, source_id uuid, title text, amount_due numeric, amount_paid numeric, amount_outstanding numeric
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_self constant uuid[] := array_remove(array[private.current_profile_id()], null);
begin
  if not private.has_permission('read:payments') then
    if not p_profile_ids <@ v_self then
      perform private.require_permission('read:payments');
    end if;
    p_profile_ids := coalesce(p_profile_ids, v_self);
  end if;
  return query select o.* from private.outstanding(p_profile_ids) o;
end;
$$;
comment on function private.outstanding_for_caller(uuid[]) is 'What public.outstanding_amounts does, with the rights to do it.';

create function public.outstanding_amounts(p_profile_ids uuid[] default null) returns table (
  profile_id uuid, source_table text, source_id uuid, title text, amount_due numeric, amount_paid numeric, amount_outstanding numeric
)
language sql stable set search_path = ''
begin atomic
  select o.profile_id, o.source_table, o.source_id, o.title, o.amount_due, o.amount_paid, o.amount_outstanding
  from private.outstanding_for_caller(p_profile_ids) o
  order by o.profile_id, o.source_table, o.title, o.source_id;
end;
comment on function public.outstanding_amounts(uuid[]) is
  'What is still owed, worked out now: one row for each thing that was not paid exactly, with what it costs, what was paid for it less refunds, and the difference; negative where there is something to give back. What a payment pays for nothing in particular is an advance, a row of the source_table payments; so the differences of a person add up to what they owe in all. One''s own; with read:payments everyone''s, or that of p_profile_ids. Raises forbidden for other people''s without read:payments.';

-- sql/35_payments/rpc/pause_package.sql

create function private.add_purchase_entry(p_purchase_id uuid, p_kind text, p_reason text, p_amount numeric) returns public.package_purchases
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase public.package_purchases;
  v_left integer;
begin
  perform private.require_permission(case p_kind when 'refunded' then 'refund:payment' else 'record:payment' end);
  perform private.lock_credits_of(p.profile_id) from public.package_purchases p where p.id = p_purchase_id;
  select p.* into v_purchase from public.package_purchases p where p.id = p_purchase_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such purchase', 'p_purchase_id', jsonb_build_object('purchase_id', p_purchase_id));
  end if;
  if p_kind = 'refunded' and p_amount is null then
    select e.balance_after into v_left from public.credit_entries e where e.purchase_id = p_purchase_id order by e.entry_no desc limit 1;
    p_amount := round(v_purchase.price * v_left / v_purchase.credits, 2);
  end if;
  insert into public.credit_entries (purchase_id, kind, reason, amount) values (p_purchase_id, p_kind, p_reason, p_amount);
  select p.* into v_purchase from public.package_purchases p where p.id = p_purchase_id;
  return v_purchase;
end;
$$;
comment on function private.add_purchase_entry(uuid, text, text, numeric) is
  'Pauses, resumes or refunds a purchase today, for a holder of record:payment or (refunds) refund:payment; gives it as it is then.';

create function private.purchase_change_errors(p_purchase_id uuid, p_reason text, p_needs_reason boolean) returns jsonb
language sql immutable set search_path = ''
return private.input_error(p_purchase_id is null, 'p_purchase_id', 'Say which purchase')
  || private.input_error(p_needs_reason and private.clean_text(p_reason) is null, 'p_reason', 'Say why')
  || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters');
comment on function private.purchase_change_errors(uuid, text, boolean) is 'What is wrong with saying which purchase changes, and why.';

create function public.pause_package(p_purchase_id uuid, p_reason text, p_idempotency_key text default null)
returns setof public.package_purchases
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('purchase_id', p_purchase_id, 'reason', p_reason);
  v_answer jsonb;
begin
  perform private.require_permission('record:payment');
  v_answer := private.answered_before('pause_package', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(private.purchase_change_errors(p_purchase_id, p_reason, true));
    v_answer := to_jsonb(private.add_purchase_entry(p_purchase_id, 'paused', p_reason, null));
    perform private.remember_answer('pause_package', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.package_purchases, v_answer);
end;
$$;
comment on function public.pause_package(uuid, text, text) is
  'Pauses a package somebody bought, from today until resume_package(): its credits cannot be used, and its last day moves on by as long. Needs record:payment and a reason. Returns the purchase. Raises illegal_transition when it is paused, refunded or expired, invalid_input before its first day, not_found.';

-- sql/35_payments/rpc/purchase_package.sql

create function private.add_purchase(p_profile_id uuid, p_package_id uuid, p_purchased_on date) returns public.package_purchases
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase public.package_purchases;
begin
  perform private.require_permission('record:payment');
  if not exists (select from public.user_profiles p where p.id = p_profile_id) then
    perform private.fail('not_found', 'There is no such person', 'p_profile_id', jsonb_build_object('profile_id', p_profile_id));
  end if;
  insert into public.package_purchases (profile_id, package_id, purchased_on) values (p_profile_id, p_package_id, p_purchased_on)
  returning * into v_purchase;
  return v_purchase;
end;
$$;
comment on function private.add_purchase(uuid, uuid, date) is 'Sells a package, for a holder of record:payment.';

create function public.purchase_package(
  p_profile_id uuid, p_package_id uuid, p_purchased_on date default null, p_idempotency_key text default null
) returns setof public.package_purchases
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('profile_id', p_profile_id, 'package_id', p_package_id, 'purchased_on', p_purchased_on);
  v_answer jsonb;
  v_purchase public.package_purchases;
begin
  perform private.require_permission('record:payment');
  v_answer := private.answered_before('purchase_package', p_idempotency_key, v_request);
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.package_purchases, v_answer);
    return;
  end if;
  perform private.fail_input(
    private.input_error(p_profile_id is null, 'p_profile_id', 'Say who buys it')
    || private.input_error(p_package_id is null, 'p_package_id', 'Say which package')
    || private.input_error(p_purchased_on < date '1970-01-01' or p_purchased_on >= date '2200-01-01', 'p_purchased_on',
      'A date lies between 1970 and 2199')
  );
  v_purchase := private.add_purchase(p_profile_id, p_package_id, p_purchased_on);
  perform private.remember_answer('purchase_package', p_idempotency_key, v_request, to_jsonb(v_purchase));
  return next v_purchase;
end;
$$;
comment on function public.purchase_package(uuid, uuid, date, text) is
  'Sells a package to a person: its price is due from then on, and its credits can be used from p_purchased_on (today by default) for as many days as it is valid. Price, credits, validity and the rule for late cancelling stay as they are now, whatever becomes of the package. Needs record:payment. Returns the purchase. Raises illegal_transition for a package that is no longer sold, not_found, invalid_input.';

-- sql/35_payments/rpc/record_payment.sql

create function private.items_errors(p_items jsonb, p_field text) returns jsonb
language plpgsql immutable set search_path = ''
as $$
begin
  if p_items is null then
    return '[]';
  end if;
  if jsonb_typeof(p_items) <> 'array' or jsonb_array_length(p_items) > 100 then
    return private.input_error(true, p_field, 'Items are a list of at most 100 {"source_table", "source_id", "amount"}');
  end if;
  return coalesce((
    select jsonb_agg(jsonb_build_object('field', format('%s[%s]', p_field, i.position - 1), 'message', i.message) order by i.position)
    from (
      select e.position, case
        when jsonb_typeof(e.item) <> 'object' or e.item ->> 'source_table' is null
          or coalesce(e.item ->> 'source_id', '') !~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
          then 'An item is {"source_table": a table, "source_id": an id in it, "amount": how much}'
        when coalesce(e.item ->> 'amount', '') !~ '^[0-9]{1,10}([.][0-9]{1,2})?$' or (e.item ->> 'amount') ~ '^[0.]*$'
          then 'An amount is above zero and has at most two decimals'
        when count(*) over (partition by e.item ->> 'source_table', lower(e.item ->> 'source_id')) > 1
          then 'Each row is named once'
      end as message
      from jsonb_array_elements(p_items) with ordinality as e(item, position)
    ) i
    where i.message is not null
  ), '[]');
end;
$$;
comment on function private.items_errors(jsonb, text) is
  'What is wrong with the lines of a payment or refund, each with its place in the list.';

create function private.items_of(p_items jsonb) returns table (source_table text, source_id uuid, amount numeric)
language sql immutable set search_path = ''
begin atomic
  select i.source_table, i.source_id, i.amount
  from jsonb_to_recordset(coalesce(p_items, '[]')) as i(source_table text, source_id uuid, amount numeric)
  order by i.source_table, i.source_id;
end;
comment on function private.items_of(jsonb) is 'Lines that private.items_errors found nothing wrong with, in the order in which their rows are locked.';

create function private.refuse_report(p_what text, p_id uuid, p_differs text[]) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.fail('duplicate', format('The provider''s reference was reported before, with another %s', array_to_string(p_differs, ', ')),
    'p_provider_reference', jsonb_build_object(p_what, p_id, 'differs', to_jsonb(p_differs)),
    'Each attempt to pay, and each refund, has a reference of its own.');
end;
$$;
comment on function private.refuse_report(text, uuid, text[]) is 'Raises duplicate for a second report that says something else.';

create function private.add_payment(
  p_payer_id uuid, p_amount numeric, p_method text, p_items jsonb, p_provider text, p_provider_reference text,
  p_received_at timestamptz, p_status text, p_currency text, p_note text
) returns public.payments
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment public.payments;
  v_differs text[];
begin
  perform private.require_permission('record:payment');
  if not exists (select from public.user_profiles p where p.id = p_payer_id) then
    perform private.fail('not_found', 'There is no such person', 'p_payer_id', jsonb_build_object('profile_id', p_payer_id));
  end if;
  insert into public.payments (payer_id, amount, currency, method, provider, provider_reference, received_at, status, note)
  values (p_payer_id, p_amount, p_currency, p_method, p_provider, p_provider_reference, p_received_at, p_status, p_note)
  on conflict (provider, provider_reference) do nothing
  returning * into v_payment;
  if found then
    insert into public.payment_items (payment_id, source_table, source_id, amount)
    select v_payment.id, i.source_table, i.source_id, i.amount from private.items_of(p_items) i;
    return v_payment;
  end if;
  -- Reported before, or by somebody else this moment, for whose end the insert has waited.
  select p.* into v_payment from public.payments p
  where p.provider = p_provider and p.provider_reference = private.clean_text(p_provider_reference);
  v_differs := array_remove(array[
    case when v_payment.payer_id <> p_payer_id then 'payer' end,
    case when v_payment.amount <> p_amount then 'amount' end,
    case when v_payment.currency <> p_currency then 'currency' end,
    case when v_payment.method <> p_method then 'method' end,
    case when v_payment.status <> p_status then 'status' end,
    case when v_payment.received_at <> p_received_at then 'time' end,
    case when exists (
      select i.source_table, i.source_id, i.amount from private.items_of(p_items) i
      except
      select i.source_table, i.source_id, i.amount from public.payment_items i where i.payment_id = v_payment.id
    ) then 'list of items' end
  ], null);
  if v_differs <> '{}' then
    perform private.refuse_report('payment_id', v_payment.id, v_differs);
  end if;
  return v_payment;
end;
$$;
comment on function private.add_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text, text, text) is
  'Records a payment for a holder of record:payment, or finds the one its provider''s reference names.';

create function public.record_payment(
  p_payer_id uuid,
  p_amount numeric,
  p_method text,
  p_items jsonb default null,
  p_provider text default null,
  p_provider_reference text default null,
  p_received_at timestamptz default null,
  p_status text default 'succeeded',
  p_currency text default null,
  p_note text default null,
  p_idempotency_key text default null
) returns setof public.payments
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'payer_id', p_payer_id, 'amount', p_amount, 'method', p_method, 'items', p_items, 'provider', p_provider,
    'provider_reference', p_provider_reference, 'received_at', p_received_at at time zone 'UTC', 'status', p_status,
    'currency', p_currency, 'note', p_note);
  v_answer jsonb;
  v_errors jsonb;
  v_payment public.payments;
begin
  perform private.require_permission('record:payment');
  v_answer := private.answered_before('record_payment', p_idempotency_key, v_request);
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.payments, v_answer);
    return;
  end if;
  v_errors := private.input_error(p_payer_id is null, 'p_payer_id', 'Say who paid')
    || private.amount_errors(p_amount, 'p_amount')
    || private.input_error(coalesce(p_method, '') not in ('cash', 'card', 'bank_transfer', 'upi', 'wallet', 'cheque', 'other'), 'p_method',
      'A method is cash, card, bank_transfer, upi, wallet, cheque or other')
    || private.input_error(coalesce(p_status, '') not in ('succeeded', 'failed'), 'p_status', 'A status is succeeded or failed')
    || private.reference_errors(private.clean_text(p_provider), private.clean_text(p_provider_reference), 'p_')
    || private.moment_errors(p_received_at, 'p_received_at')
    || private.input_error(p_currency <> private.setting_text('currency'), 'p_currency',
      format('The organisation''s currency is %s', private.setting_text('currency')))
    || private.input_error(length(p_note) > 1000, 'p_note', 'A note has at most 1000 characters')
    || private.items_errors(p_items, 'p_items');
  if v_errors = '[]' then
    v_errors := private.input_error((select sum(i.amount) from private.items_of(p_items) i) > p_amount, 'p_items',
      'The items together are at most the amount');
  end if;
  perform private.fail_input(v_errors);
  v_payment := private.add_payment(p_payer_id, p_amount, p_method, p_items, private.clean_text(p_provider),
    private.clean_text(p_provider_reference), p_received_at, p_status, p_currency, p_note);
  perform private.remember_answer('record_payment', p_idempotency_key, v_request, to_jsonb(v_payment));
  return next v_payment;
end;
$$;
comment on function public.record_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text, text, text, text) is
  'Records money received from p_payer_id (a profile''s id), or a report that a payment failed. p_items says what for: [{"source_table": "package_purchases", "source_id": "…", "amount": 80.00}, …]; what no item names is an advance. p_provider and p_provider_reference, the provider''s own name for this attempt, are counted once: the same report again gets the payment that is there. Needs record:payment. Returns the payment. Raises duplicate when the reference was reported with something else, not_found for an unknown person or row, invalid_input.';

-- sql/35_payments/rpc/refund_package.sql

create function public.refund_package(
  p_purchase_id uuid, p_reason text, p_amount numeric default null, p_idempotency_key text default null
) returns setof public.package_purchases
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('purchase_id', p_purchase_id, 'reason', p_reason, 'amount', p_amount);
  v_answer jsonb;
begin
  perform private.require_permission('refund:payment');
  v_answer := private.answered_before('refund_package', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(
      private.purchase_change_errors(p_purchase_id, p_reason, true)
      || case when p_amount = 0 or p_amount is null then '[]' else private.amount_errors(p_amount, 'p_amount') end
    );
    v_answer := to_jsonb(private.add_purchase_entry(p_purchase_id, 'refunded', p_reason, p_amount));
    perform private.remember_answer('refund_package', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.package_purchases, v_answer);
end;
$$;
comment on function public.refund_package(uuid, text, numeric, text) is
  'Ends a package somebody bought: the credits left are gone, and p_amount of its price (by default the share of the credits left) is no longer due. Money that was paid already is then shown by outstanding_amounts() as below zero, and given back with refund_payment(). Needs refund:payment and a reason. Returns the purchase. Raises illegal_transition when it was refunded before, invalid_input when more than the price is given back, not_found.';

-- sql/35_payments/rpc/refund_payment.sql

-- What money is given back of need not be said where there is no choice: everything that is left, or a payment of which
-- only one line, or only an advance, is left.
create function private.refund_lines(p_payment_id uuid, p_amount numeric, p_items jsonb) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_totals record;
  v_unknown record;
  v_lines jsonb;
  v_of_lines numeric;
begin
  select t.* into v_totals from private.payment_totals t where t.payment_id = p_payment_id;
  if p_amount > v_totals.amount_left then
    perform private.fail('limit_exceeded', format('Only %s of this payment is left to give back', v_totals.amount_left), 'p_amount',
      jsonb_build_object('payment_id', p_payment_id, 'limit', v_totals.amount_left));
  end if;
  if jsonb_array_length(p_items) > 0 then
    select i.* into v_unknown from private.items_of(p_items) i
    where not exists (
      select from public.payment_items l
      where l.payment_id = p_payment_id and l.source_table = i.source_table and l.source_id = i.source_id
    );
    if found then
      perform private.fail('not_found', 'This payment did not pay for that', 'p_items',
        jsonb_build_object('payment_id', p_payment_id, 'source_table', v_unknown.source_table, 'source_id', v_unknown.source_id));
    end if;
    v_of_lines := (select sum(i.amount) from private.items_of(p_items) i);
    perform private.fail_input(
      private.input_error(v_of_lines > p_amount, 'p_items', 'The items together are at most the amount')
      || private.input_error(p_amount - v_of_lines > v_totals.advance_left, 'p_items',
        format('%s of the amount is of nothing the items name', p_amount - v_of_lines))
    );
    return p_items;
  end if;
  select jsonb_agg(l.line) into v_lines
  from (
    select jsonb_build_object('source_table', i.source_table, 'source_id', i.source_id, 'amount', i.amount - coalesce(sum(r.amount), 0)) as line
    from public.payment_items i
    left join public.refund_items r on (r.payment_id, r.source_table, r.source_id) = (i.payment_id, i.source_table, i.source_id)
    where i.payment_id = p_payment_id
    group by i.source_table, i.source_id, i.amount
    having i.amount > coalesce(sum(r.amount), 0)
  ) l;
  if v_lines is null or p_amount = v_totals.amount_left then
    return coalesce(v_lines, '[]');
  end if;
  if jsonb_array_length(v_lines) > 1 or v_totals.advance_left > 0 then
    perform private.fail('invalid_input', 'This payment paid for several things: say what is given back of which', 'p_items',
      jsonb_build_object('payment_id', p_payment_id, 'left', v_lines, 'advance_left', v_totals.advance_left, 'errors',
        jsonb_build_array(jsonb_build_object('field', 'p_items', 'message', 'Say what is given back of which'))));
  end if;
  return jsonb_set(v_lines, '{0,amount}', to_jsonb(p_amount));
end;
$$;
comment on function private.refund_lines(uuid, numeric, jsonb) is
  'The lines of a refund: those given, once they fit the payment, or the only ones possible. The payment is locked.';

create function private.add_refund(
  p_payment_id uuid, p_amount numeric, p_reason text, p_items jsonb, p_provider text, p_provider_reference text, p_refunded_at timestamptz
) returns public.refunds
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_refund public.refunds;
  v_status text;
  v_amount numeric := coalesce(p_amount, (select sum(i.amount) from private.items_of(p_items) i));
  v_lines jsonb;
  v_differs text[];
begin
  perform private.require_permission('refund:payment');
  select p.status into v_status from public.payments p where p.id = p_payment_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such payment', 'p_payment_id', jsonb_build_object('payment_id', p_payment_id));
  end if;
  if v_status = 'failed' then
    perform private.fail('illegal_transition', 'This payment failed: there is nothing to give back', 'p_payment_id',
      jsonb_build_object('payment_id', p_payment_id, 'status', v_status));
  end if;
  -- Before anything is summed up, since the refund that was reported before is part of the sums.
  select r.* into v_refund from public.refunds r where r.provider = p_provider and r.provider_reference = p_provider_reference;
  if found then
    v_differs := array_remove(array[
      case when v_refund.payment_id <> p_payment_id then 'payment' end,
      case when v_refund.amount <> v_amount then 'amount' end,
      case when v_refund.refunded_at <> p_refunded_at then 'time' end,
      case when exists (
        select i.source_table, i.source_id, i.amount from private.items_of(p_items) i
        except
        select i.source_table, i.source_id, i.amount from public.refund_items i where i.refund_id = v_refund.id
      ) then 'list of items' end
    ], null);
    if v_differs <> '{}' then
      perform private.refuse_report('refund_id', v_refund.id, v_differs);
    end if;
    return v_refund;
  end if;
  if v_amount is null then
    v_amount := (select nullif(t.amount_left, 0) from private.payment_totals t where t.payment_id = p_payment_id);
    if v_amount is null then
      perform private.fail('limit_exceeded', 'Nothing of this payment is left to give back', 'p_amount',
        jsonb_build_object('payment_id', p_payment_id, 'limit', 0));
    end if;
  end if;
  v_lines := private.refund_lines(p_payment_id, v_amount, p_items);
  insert into public.refunds (payment_id, amount, reason, provider, provider_reference, refunded_at)
  values (p_payment_id, v_amount, p_reason, p_provider, p_provider_reference, p_refunded_at)
  on conflict (provider, provider_reference) do nothing
  returning * into v_refund;
  if not found then
    -- A refund of another payment, reported this moment: those of one payment queue for its lock.
    perform private.refuse_report('payment_id', p_payment_id, array['payment']);
  end if;
  insert into public.refund_items (refund_id, payment_id, source_table, source_id, amount)
  select v_refund.id, p_payment_id, l.source_table, l.source_id, l.amount from private.items_of(v_lines) l;
  return v_refund;
end;
$$;
comment on function private.add_refund(uuid, numeric, text, jsonb, text, text, timestamptz) is
  'Records a refund for a holder of refund:payment, or finds the one its provider''s reference names.';

create function public.refund_payment(
  p_payment_id uuid,
  p_amount numeric default null,
  p_reason text default null,
  p_items jsonb default null,
  p_provider text default null,
  p_provider_reference text default null,
  p_refunded_at timestamptz default null,
  p_idempotency_key text default null
) returns setof public.refunds
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'payment_id', p_payment_id, 'amount', p_amount, 'reason', p_reason, 'items', p_items, 'provider', p_provider,
    'provider_reference', p_provider_reference, 'refunded_at', p_refunded_at at time zone 'UTC');
  v_answer jsonb;
  v_refund public.refunds;
begin
  perform private.require_permission('refund:payment');
  v_answer := private.answered_before('refund_payment', p_idempotency_key, v_request);
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.refunds, v_answer);
    return;
  end if;
  perform private.fail_input(
    private.input_error(p_payment_id is null, 'p_payment_id', 'Say which payment')
    || case when p_amount is null then '[]' else private.amount_errors(p_amount, 'p_amount') end
    || private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why')
    || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters')
    || private.reference_errors(private.clean_text(p_provider), private.clean_text(p_provider_reference), 'p_')
    || private.moment_errors(p_refunded_at, 'p_refunded_at')
    || private.items_errors(p_items, 'p_items')
  );
  v_refund := private.add_refund(p_payment_id, p_amount, p_reason, p_items, private.clean_text(p_provider),
    private.clean_text(p_provider_reference), p_refunded_at);
  perform private.remember_answer('refund_payment', p_idempotency_key, v_request, to_jsonb(v_refund));
  return next v_refund;
end;
$$;
comment on function public.refund_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text) is
  'Records money given back of a payment: p_amount, by default what p_items sum up to, or all that is left. p_items says what it was paid for, as in record_payment; needed only when there is a choice. A provider''s reference for the refund is counted once: the same report again gets the refund that is there. Needs refund:payment and a reason. Returns the refund. Raises limit_exceeded beyond what is left of the payment or of a line, duplicate when the reference was reported with something else, illegal_transition for a payment that failed, not_found, invalid_input.';

-- sql/35_payments/rpc/resume_package.sql

create function public.resume_package(p_purchase_id uuid, p_reason text default null, p_idempotency_key text default null)
returns setof public.package_purchases
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('purchase_id', p_purchase_id, 'reason', p_reason);
  v_answer jsonb;
begin
  perform private.require_permission('record:payment');
  v_answer := private.answered_before('resume_package', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(private.purchase_change_errors(p_purchase_id, p_reason, false));
    v_answer := to_jsonb(private.add_purchase_entry(p_purchase_id, 'resumed', p_reason, null));
    perform private.remember_answer('resume_package', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.package_purchases, v_answer);
end;
$$;
comment on function public.resume_package(uuid, text, text) is
  'Ends the pause of a package today: its credits can be used again, and its last day moves on by the days it was paused. Needs record:payment. Returns the purchase. Raises illegal_transition when it is not paused, not_found, invalid_input.';

-- sql/35_payments/policies.sql

-- Who may see and write what of money and credits.
--
-- Nobody is granted to write these tables, not even service_role: payments and refunds are recorded, packages sold,
-- paused and refunded through functions, which ask for what a bare row would leave out, and answer a repeated report
-- with the first answer. Credits are used and returned by the triggers of the modules that book.

alter table public.payments enable row level security;
alter table public.payment_items enable row level security;
alter table public.refunds enable row level security;
alter table public.refund_items enable row level security;
alter table public.package_purchases enable row level security;
alter table public.credit_entries enable row level security;

-- Definers, because a policy that asked the tables themselves would ask their policies in turn.
create function private.own_payment_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select p.id from public.payments p where p.payer_id = private.current_profile_id();
end;
comment on function private.own_payment_ids() is 'The payments the caller made.';

create function private.own_purchase_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select p.id from public.package_purchases p where p.profile_id = private.current_profile_id();
end;
comment on function private.own_purchase_ids() is 'The packages the caller bought.';

grant execute on function private.own_payment_ids(), private.own_purchase_ids() to authenticated;

grant select on public.payments, public.payment_items, public.refunds, public.refund_items, public.package_purchases,
  public.credit_entries, public.package_balances
  to authenticated, service_role;
create policy "people see what they paid, holders of read:payments all" on public.payments for select to authenticated
  using (payer_id = (select private.current_profile_id()) or (select private.has_permission('read:payments')));
create policy "people see what they paid for, holders of read:payments all" on public.payment_items for select to authenticated
  using ((select private.has_permission('read:payments')) or payment_id = any(array(select private.own_payment_ids())));
create policy "people see refunds of their payments, holders of read:payments all" on public.refunds for select to authenticated
  using ((select private.has_permission('read:payments')) or payment_id = any(array(select private.own_payment_ids())));
create policy "people see what was refunded to them, holders of read:payments all" on public.refund_items for select to authenticated
  using ((select private.has_permission('read:payments')) or payment_id = any(array(select private.own_payment_ids())));
create policy "people see packages they bought, holders of read:payments all" on public.package_purchases for select to authenticated
  using (profile_id = (select private.current_profile_id()) or (select private.has_permission('read:payments')));
create policy "people see their credits, holders of read:payments all" on public.credit_entries for select to authenticated
  using ((select private.has_permission('read:payments')) or purchase_id = any(array(select private.own_purchase_ids())));

-- anon pays through servers, which record it.
grant execute on function public.outstanding_amounts(uuid[]),
  public.record_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text, text, text, text),
  public.allocate_payment(uuid, jsonb, text),
  public.refund_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text),
  public.purchase_package(uuid, uuid, date, text), public.pause_package(uuid, text, text),
  public.resume_package(uuid, text, text), public.refund_package(uuid, text, numeric, text)
  to authenticated, service_role;
-- Each checks the permission first.
grant execute on function private.outstanding_for_caller(uuid[]),
  private.add_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text, text, text),
  private.add_payment_items(uuid, jsonb),
  private.add_refund(uuid, numeric, text, jsonb, text, text, timestamptz),
  private.add_purchase(uuid, uuid, date), private.add_purchase_entry(uuid, text, text, numeric)
  to authenticated, service_role;
grant execute on function private.amount_errors(numeric, text), private.reference_errors(text, text, text),
  private.moment_errors(timestamptz, text), private.items_errors(jsonb, text), private.items_of(jsonb),
  private.purchase_change_errors(uuid, text, boolean)
  to authenticated, service_role;

-- sql/35_payments/checks/credits_used_wrongly.sql

create function private.check_credits_used_wrongly() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'credit_entries', e.purchase_id || ' ' || e.entry_no,
    case
      when e.occurs_on not between p.purchased_on and p.expires_on
        then format('A credit was used for %s, and the package is good from %s to %s', e.occurs_on, p.purchased_on, p.expires_on)
      when private.is_paused_on(p.id, e.occurs_on) then format('A credit was used for %s, during a pause', e.occurs_on)
      else format('A second credit was used for %s %s', e.source_table, e.source_id)
    end,
    jsonb_build_object('profile_id', p.profile_id, 'source_table', e.source_table, 'source_id', e.source_id)
  from public.credit_entries e
  join public.package_purchases p on p.id = e.purchase_id
  where e.kind = 'used' and not exists (
      select from public.credit_entries r where r.purchase_id = e.purchase_id and r.used_entry_no = e.entry_no and r.kind = 'returned'
    ) and (
      e.occurs_on not between p.purchased_on and p.expires_on
      -- A pause takes nothing back that was booked before it.
      or exists (
        select from public.credit_entries r
        where r.purchase_id = e.purchase_id and r.kind = 'resumed' and r.entry_no < e.entry_no
          and e.occurs_on >= r.occurs_on - r.extends_days and e.occurs_on < r.occurs_on
      )
      or exists (
        select from public.credit_entries o
        where o.source_id = e.source_id and o.source_table = e.source_table and o.kind = 'used' and o.use_no < e.use_no
          and not exists (
            select from public.credit_entries r where r.purchase_id = o.purchase_id and r.used_entry_no = o.entry_no and r.kind = 'returned'
          )
      )
    );
end;
comment on function private.check_credits_used_wrongly() is
  'Finds credits used outside their package''s dates, during a pause, or twice for one thing. A person decides what becomes of them.';

-- sql/35_payments/checks/package_credits_differ.sql

create function private.check_package_credits_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  with balances as (
    select p.id as purchase_id,
      count(e.entry_no) = 0 or not bool_and(s.is_sound) as is_broken,
      count(*) filter (where e.balance_after <> s.balance_after) as wrong_balances,
      coalesce(max(e.change) filter (where e.kind = 'granted'), 0) as granted
    from public.package_purchases p
    left join public.credit_entries e on e.purchase_id = p.id
    left join private.credit_sums s on s.purchase_id = e.purchase_id and s.entry_no = e.entry_no
    group by p.id
  )
  select 'package_purchases', p.id::text,
    format('The %s of %s: %s', k.name, u.full_name, array_to_string(array_remove(array[
      case when b.is_broken then 'its entries make no sense, so that one may be missing' end,
      case when b.wrong_balances > 0 then format('%s balance(s) are not what the entries add up to', b.wrong_balances) end,
      case when b.granted <> p.credits then format('%s credits were granted instead of %s', b.granted, p.credits) end,
      case when (p.status, p.paused_on) is distinct from (s.status, s.paused_on) then format('it is %s, and %s by its entries', p.status, s.status) end,
      case when p.expires_on <> s.expires_on then format('it expires on %s, and on %s by its entries', p.expires_on, s.expires_on) end
    ], null), '; ')),
    jsonb_build_object('profile_id', p.profile_id, 'package_id', p.package_id, 'is_broken', b.is_broken)
  from public.package_purchases p
  join public.packages k on k.id = p.package_id
  join public.user_profiles u on u.id = p.profile_id
  join balances b on b.purchase_id = p.id
  join private.purchase_states s on s.purchase_id = p.id
  where b.is_broken or b.wrong_balances > 0 or b.granted <> p.credits
    or (p.status, p.paused_on, p.expires_on) is distinct from (s.status, s.paused_on, s.expires_on);
end;
comment on function private.check_package_credits_differ() is
  'Finds packages people bought whose balances, status or last day are not what their entries add up to.';

create function private.fix_package_credits_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into private.credit_rebuilds (purchase_ids) values (p_entity_ids::uuid[]);
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.fix_package_credits_differ(text[]) is
  'Works balances, status and last day out again; where an entry is missing, a person has to decide.';

-- sql/35_payments/checks/payment_items_over_amount.sql

create function private.check_payment_items_over_amount() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'payments', t.payment_id::text,
    format('A payment of %s pays for things by %s too much, what was given back counted in', t.amount, -t.advance_left),
    jsonb_build_object('amount', t.amount, 'too_much', -t.advance_left)
  from private.payment_totals t
  where t.advance_left < 0
  union all
  select 'payment_items', concat_ws(' ', i.payment_id, i.source_table, i.source_id),
    format('%s was paid for %s %s, and %s was given back of it', i.amount, i.source_table, i.source_id, sum(r.amount)),
    jsonb_build_object('amount', i.amount, 'refunded', sum(r.amount))
  from public.payment_items i
  join public.refund_items r on (r.payment_id, r.source_table, r.source_id) = (i.payment_id, i.source_table, i.source_id)
  group by i.payment_id, i.source_table, i.source_id, i.amount
  having sum(r.amount) > i.amount
  union all
  select 'refunds', f.id::text, format('A refund of %s has lines of %s', f.amount, sum(r.amount)),
    jsonb_build_object('amount', f.amount, 'in_items', sum(r.amount))
  from public.refunds f
  join public.refund_items r on r.refund_id = f.id
  group by f.id, f.amount
  having sum(r.amount) > f.amount;
end;
comment on function private.check_payment_items_over_amount() is
  'Finds payments and refunds whose lines are more than the whole. The books are never changed: a person decides what to add.';

-- sql/35_payments/checks/payments_for_nothing.sql

create function private.check_payments_for_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'payment_items', i.source_table || ' ' || i.source_id,
    format('%s was paid for a row of %s that is gone', sum(i.amount), i.source_table),
    jsonb_build_object('payment_ids', jsonb_agg(distinct i.payment_id), 'amount', sum(i.amount))
  from private.paid_lines i
  group by i.source_table, i.source_id
  having sum(i.amount) <> 0 and not private.happening_exists(i.source_table, i.source_id);
end;
comment on function private.check_payments_for_nothing() is
  'Finds money that was paid for rows that are gone, as a restore or a dropped trigger may leave it. A person decides whether it is given back.';

-- sql/35_payments/checks/payments_over_refunded.sql

create function private.check_payments_over_refunded() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'payments', t.payment_id::text,
    format('%s was given back of a payment of %s%s', t.amount - t.amount_left, t.amount, case t.status when 'failed' then ' that failed' else '' end),
    jsonb_build_object('amount', t.amount, 'refunded', t.amount - t.amount_left, 'status', t.status)
  from private.payment_totals t
  where t.amount_left < 0 or t.status = 'failed' and t.amount_left < t.amount;
end;
comment on function private.check_payments_over_refunded() is
  'Finds payments of which more was given back than came in, or that failed. The money has moved: a person decides.';

-- sql/35_payments/reference.sql

-- Rows this module ships.

with matrix (name, manager, instructor, staff, description) as (
  values
    ('read:payments',  true, false, true,  'See everyone''s payments, refunds, packages bought and amounts outstanding.'),
    ('record:payment', true, false, true,  'Record payments; sell, pause and resume packages.'),
    ('refund:payment', true, false, false, 'Give money back, and end packages that were bought.')
),
registered as (
  insert into public.permissions (name, module, description)
  select m.name, '35_payments', m.description from matrix m
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
  ('package_credits_differ', '35_payments', 'integrity', 'error',
    'Packages whose balances, status or last day are not what their entries add up to.', 'Works them out again, where no entry is missing.'),
  ('credits_used_wrongly', '35_payments', 'integrity', 'error',
    'Credits used outside their package''s dates, during a pause, or twice for one thing.', null),
  ('payments_over_refunded', '35_payments', 'integrity', 'critical', 'Payments of which more was given back than came in.', null),
  ('payment_items_over_amount', '35_payments', 'integrity', 'critical', 'Payments and refunds whose lines are more than the whole.', null),
  ('payments_for_nothing', '35_payments', 'integrity', 'error', 'Payments for rows that are gone.', null)
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;

-- Where this module keeps what belongs to a person.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.payments', 'payer_id', 'profile_id', '35_payments', '{id,amount,currency,method,provider,received_at,status,note}', 'keep', '{}',
    'The books stay whole, as the law asks; they name an id, and what was noted at the till.'),
  ('public.payments', 'recorded_by', 'user_id', '35_payments', '{id,created_at}', 'keep', '{}', 'Who recorded a payment stays known; it names an id only.'),
  ('public.refunds', 'recorded_by', 'user_id', '35_payments', '{id,created_at}', 'keep', '{}', 'Who gave money back stays known; it names an id only.'),
  ('public.package_purchases', 'profile_id', 'profile_id', '35_payments', '{id,package_id,credits,price,purchased_on,expires_on,status}', 'keep', '{}',
    'What was sold belongs to the books; it names an id only.'),
  ('public.package_purchases', 'created_by', 'user_id', '35_payments', '{id,created_at}', 'keep', '{}', 'The sale is the organisation''s.'),
  ('public.credit_entries', 'recorded_by', 'user_id', '35_payments', '{purchase_id,entry_no,kind,created_at}', 'keep', '{}',
    'What became of credits stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;

-- sql/40_studio/tables/10_bookings.sql

-- 40_studio: bookings, class schedules, class assignments and instructors' pay.
--
-- A customer's booking asks for classes; a class schedule is a weekly template; an assignment is one class that an
-- instructor is to teach, for pay, on a date, with the bookings it serves.
--
-- The life of a booking: pending; confirmed for as long as a class that is not cancelled serves it; completed or
-- cancelled, which are ends. Nobody sets confirmed or pending: it follows from the links in assignment_bookings, whoever
-- writes those.
--
-- The life of a class: scheduled; completed once it has begun, or cancelled. Beside it runs the instructor's answer
-- (pending, accepted or rejected; a rejected class is given to somebody else) and the pay (pending, paid or cancelled).
--
-- Promises: a class takes its instructor and its room in the ledger of 20_time, unless it is cancelled; a rejected one
-- frees the instructor. A class made from a schedule takes over that date of it. A class never serves more bookings than
-- its schedule or class type has room for. The amount paid for a class changes in open pay periods only.
--
-- Lock order: exceptions to weekly rules, class assignments and class schedules, resources, claims (as in 20_time); then
-- class types, bookings by their code, and at last packages bought.

create table public.bookings (
  id uuid primary key default gen_random_uuid(),
  booking_id text not null,
  user_id uuid references auth.users (id) on delete set null default private.caller_id(),
  profile_id uuid references public.user_profiles (id) on delete restrict,
  class_name text,
  instructor text,
  class_date date,
  class_time time,
  preferred_days text[] not null default '{}',
  preferred_times text[] not null default '{}',
  timezone text not null default 'Asia/Kolkata',
  first_name text,
  last_name text,
  email text,
  phone text,
  status text not null default 'pending',
  booking_type text not null default 'individual',
  class_package_id uuid references public.packages (id) on delete restrict,
  uses_credits boolean not null default false,
  notes text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint bookings_one_booking_id unique (booking_id),
  constraint booking_id_is_a_code check (booking_id ~ '^[A-Z0-9]{1,10}-[0-9]{8}-[0-9A-Z]{4,12}$'),
  constraint status_is_known check (status in ('pending', 'confirmed', 'completed', 'cancelled')),
  constraint booking_type_is_known check (booking_type in ('individual', 'corporate', 'private_group', 'public_group')),
  constraint timezone_exists check (private.is_time_zone(timezone)),
  constraint email_is_an_address check (private.is_email(email)),
  constraint class_date_is_between_1970_and_2200 check (class_date between date '1970-01-01' and date '2199-12-31'),
  constraint preferences_are_few check (
    cardinality(preferred_days) <= 20 and cardinality(preferred_times) <= 20
    and length(array_to_string(preferred_days, '')) <= 1000 and length(array_to_string(preferred_times, '')) <= 1000
  ),
  constraint texts_are_short check (
    length(class_name) <= 200 and length(instructor) <= 200 and length(first_name) <= 200 and length(last_name) <= 200
    and length(phone) <= 50 and length(notes) <= 1000
  ),
  constraint credits_belong_to_somebody check (not uses_credits or profile_id is not null)
);
create index bookings_user on public.bookings (user_id);
create index bookings_profile on public.bookings (profile_id);
create index bookings_class_package on public.bookings (class_package_id);
create index bookings_status_date on public.bookings (status, class_date);
create index bookings_created_at on public.bookings (created_at);
create index bookings_created_by on public.bookings (created_by);
comment on table public.bookings is 'What customers ask for: classes of a kind, at times that suit them.';
comment on column public.bookings.booking_id is
  'The code customers are told, such as YOG-20260131-0417: the prefix is a setting, the date the organisation''s on the day of booking. Given by the database.';
comment on column public.bookings.user_id is 'The login the booking belongs to; follows from profile_id where only that is given.';
comment on column public.bookings.profile_id is 'The customer, where they are known as a person; follows from user_id.';
comment on column public.bookings.class_name is 'What was asked for, in the customer''s words.';
comment on column public.bookings.instructor is 'Whom they would like, in their words.';
comment on column public.bookings.class_date is 'The day they would like, in their time zone.';
comment on column public.bookings.class_time is 'The time they would like, in their time zone.';
comment on column public.bookings.timezone is 'The IANA zone in which the customer means date and times.';
comment on column public.bookings.status is
  'pending, confirmed while a class that is not cancelled serves it, completed or cancelled. confirmed and pending follow from the classes.';
comment on column public.bookings.booking_type is 'individual, corporate, private_group or public_group.';
comment on column public.bookings.class_package_id is 'The package it asks for.';
comment on column public.bookings.uses_credits is
  'Whether each class that serves it uses a credit of what the customer bought (of class_package_id, or of any package where that is null).';

-- One counter for all days: drawing from it waits for nobody. A day can hold 36^4 codes before one is drawn twice.
create sequence private.booking_numbers;
comment on sequence private.booking_numbers is 'Where the last part of booking codes comes from.';

-- sql/40_studio/tables/20_schedules.sql

-- Weekly templates. Each is the weekly rule with its id in 20_time, which follows it and cannot be written otherwise.

create table public.class_schedules (
  id uuid primary key default gen_random_uuid(),
  class_type_id uuid not null references public.class_types (id) on delete restrict,
  day_of_week smallint not null,
  start_time time not null,
  end_time time not null,
  time_zone text not null,
  instructor_id uuid references public.user_profiles (id) on delete restrict,
  location_id uuid references public.locations (id) on delete restrict,
  duration_minutes integer not null,
  max_participants integer,
  is_active boolean not null default true,
  effective_from date not null default private.today(),
  effective_until date,
  notes text,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint day_of_week_is_sunday_0_to_saturday_6 check (day_of_week between 0 and 6),
  constraint start_is_before_end check (start_time < end_time),
  constraint duration_is_from_start_to_end check (duration_minutes * interval '1 minute' = end_time - start_time),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint somebody_can_take_part check (max_participants between 1 and 10000),
  constraint effective_ends_after_it_begins check (effective_from <= effective_until),
  constraint effective_is_between_1970_and_2200 check (effective_from >= date '1970-01-01' and effective_until <= date '2199-12-31'),
  constraint notes_are_short check (length(notes) <= 1000)
);
create index class_schedules_class_type on public.class_schedules (class_type_id);
create index class_schedules_instructor on public.class_schedules (instructor_id, day_of_week, start_time);
create index class_schedules_location on public.class_schedules (location_id);
create index class_schedules_created_by on public.class_schedules (created_by);
comment on table public.class_schedules is
  'Weekly templates of classes. While active it takes its instructor and room every week, in the ledger; dates are taken over by class_assignments.';
comment on column public.class_schedules.day_of_week is '0 Sunday to 6 Saturday.';
comment on column public.class_schedules.start_time is 'Wall-clock time in time_zone.';
comment on column public.class_schedules.end_time is 'On the same day, 24:00 is midnight; start_time and duration_minutes give it where it is missing.';
comment on column public.class_schedules.time_zone is 'IANA zone; the location''s, else the organisation''s, where none is given.';
comment on column public.class_schedules.instructor_id is 'Who teaches it; null while nobody was found.';
comment on column public.class_schedules.location_id is 'The room it takes; null where it needs none.';
comment on column public.class_schedules.duration_minutes is 'From start to end; within the settings class_minutes_min and class_minutes_max when it is written.';
comment on column public.class_schedules.max_participants is 'How many can take part in each of its classes; null is as the class type says.';
comment on column public.class_schedules.is_active is 'An inactive template takes no time and is not planned from.';
comment on column public.class_schedules.effective_from is 'The first date it holds for.';
comment on column public.class_schedules.effective_until is 'The last date it holds for; null is without end.';

-- sql/40_studio/tables/30_pay.sql

-- What instructors are paid, and the periods it is paid in.

create table public.instructor_rates (
  id uuid primary key default gen_random_uuid(),
  instructor_id uuid not null references public.user_profiles (id) on delete restrict,
  class_type_id uuid references public.class_types (id) on delete restrict,
  payment_type text not null default 'per_class',
  rate numeric(12,2) not null,
  effective_from date not null default private.today(),
  effective_until date,
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint payment_type_is_known check (
    payment_type in ('per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class')
  ),
  constraint rate_is_above_zero check (rate > 0 and rate <= 9999999999.99),
  constraint effective_ends_after_it_begins check (effective_from <= effective_until),
  constraint effective_is_between_1970_and_2200 check (effective_from >= date '1970-01-01' and effective_until <= date '2199-12-31'),
  constraint one_rate_at_a_time exclude using gist (
    instructor_id with =, coalesce(class_type_id, '00000000-0000-0000-0000-000000000000') with =, payment_type with =,
    daterange(effective_from, effective_until, '[]') with &&
  )
);
create index instructor_rates_class_type on public.instructor_rates (class_type_id);
create index instructor_rates_created_by on public.instructor_rates (created_by);
comment on table public.instructor_rates is 'What each instructor is paid from when until when, for one class type or for all that have no rate of their own.';
comment on column public.instructor_rates.class_type_id is 'The class type it is for; null is for all others.';
comment on column public.instructor_rates.payment_type is 'What the rate buys: per_class, monthly, per_member, total_duration, per_class_total or per_student_per_class; see calculate_payment().';
comment on column public.instructor_rates.rate is 'In the organisation''s currency.';
comment on column public.instructor_rates.effective_until is 'The last date it is in force; null is without end.';

create table public.pay_periods (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  starts_on date not null,
  ends_on date not null,
  status text not null default 'open',
  version integer not null default 1,
  created_by uuid references auth.users (id) on delete set null default private.caller_id(),
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint pay_periods_one_name unique (name),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  constraint status_is_known check (status in ('open', 'closed')),
  constraint ends_after_it_starts check (starts_on <= ends_on),
  constraint is_between_1970_and_2200 check (starts_on >= date '1970-01-01' and ends_on <= date '2199-12-31'),
  constraint periods_do_not_overlap exclude using gist (daterange(starts_on, ends_on, '[]') with &&)
);
create index pay_periods_created_by on public.pay_periods (created_by);
comment on table public.pay_periods is 'Stretches of days instructors are paid for together; once closed, nothing that is paid for in them changes.';
comment on column public.pay_periods.ends_on is 'The last day of it.';
comment on column public.pay_periods.status is 'open or closed; follows from pay_period_events.';

create table public.pay_period_events (
  pay_period_id uuid not null references public.pay_periods (id) on delete restrict,
  event_no integer not null,
  kind text not null,
  reason text,
  recorded_by uuid,
  created_at timestamptz not null default private.now(),
  primary key (pay_period_id, event_no),
  constraint kind_is_known check (kind in ('closed', 'reopened')),
  constraint closing_and_reopening_take_turns check (event_no > 0 and (event_no % 2 = 1) = (kind = 'closed')),
  constraint reopening_says_why check (
    reason is not distinct from private.clean_text(reason) and length(coalesce(reason, '')) <= 1000 and (kind = 'closed' or reason is not null)
  )
);
comment on table public.pay_period_events is 'Who closed and reopened pay periods, when and why. Only ever added to.';
comment on column public.pay_period_events.event_no is 'Counts within the period; odd ones close it, even ones reopen it.';
comment on column public.pay_period_events.recorded_by is 'The login; null when a server did it.';

-- sql/40_studio/tables/40_assignments.sql

-- Classes that instructors are to teach, and the bookings they serve.

create table public.class_assignments (
  id uuid primary key default gen_random_uuid(),
  class_type_id uuid references public.class_types (id) on delete restrict,
  package_id uuid references public.packages (id) on delete restrict,
  instructor_id uuid not null references public.user_profiles (id) on delete restrict,
  location_id uuid references public.locations (id) on delete restrict,
  date date not null,
  start_time time,
  end_time time,
  time_zone text not null,
  starts_at timestamptz,
  ends_at timestamptz,
  payment_amount numeric(12,2) not null,
  payment_type text not null default 'per_class',
  schedule_type text not null default 'adhoc',
  booking_type text not null default 'individual',
  class_status text not null default 'scheduled',
  payment_status text not null default 'pending',
  instructor_status text not null default 'pending',
  instructor_response_at timestamptz,
  notes text,
  assigned_by uuid references auth.users (id) on delete set null default private.caller_id(),
  assigned_at timestamptz not null default private.now(),
  schedule_id uuid references public.class_schedules (id) on delete set null,
  occurs_on date,
  plan_id uuid,
  rate numeric(12,2),
  rate_id uuid references public.instructor_rates (id) on delete restrict,
  version integer not null default 1,
  created_at timestamptz not null default private.now(),
  updated_at timestamptz not null default private.now(),
  constraint times_go_together check ((start_time is null) = (end_time is null)),
  constraint start_is_before_end check (start_time < end_time),
  constraint instants_follow_the_times check (
    (start_time is null) = (starts_at is null) and (start_time is null) = (ends_at is null) and coalesce(starts_at < ends_at, true)
  ),
  constraint date_is_between_1970_and_2200 check (date between date '1970-01-01' and date '2199-12-31'),
  constraint time_zone_exists check (private.is_time_zone(time_zone)),
  constraint payment_amount_is_an_amount check (payment_amount between 0 and 9999999999.99),
  constraint rate_is_above_zero check (rate > 0 and rate <= 9999999999.99),
  constraint payment_type_is_known check (
    payment_type in ('per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class')
  ),
  constraint schedule_type_is_known check (schedule_type in ('adhoc', 'weekly', 'monthly', 'crash', 'package')),
  constraint booking_type_is_known check (booking_type in ('individual', 'corporate', 'private_group', 'public_group')),
  constraint class_status_is_known check (class_status in ('scheduled', 'completed', 'cancelled')),
  constraint payment_status_is_known check (payment_status in ('pending', 'paid', 'cancelled')),
  constraint instructor_status_is_known check (instructor_status in ('pending', 'accepted', 'rejected')),
  constraint schedule_says_which_date check (schedule_id is null or occurs_on is not null),
  constraint notes_are_short check (length(notes) <= 1000)
);
-- The order frontends list in, and what a window of days is read with.
create index class_assignments_date on public.class_assignments (date, start_time);
create index class_assignments_instructor on public.class_assignments (instructor_id, date, start_time);
create index class_assignments_class_type on public.class_assignments (class_type_id);
create index class_assignments_package on public.class_assignments (package_id);
create index class_assignments_location on public.class_assignments (location_id);
create index class_assignments_assigned_by on public.class_assignments (assigned_by);
create index class_assignments_rate on public.class_assignments (rate_id);
create index class_assignments_plan on public.class_assignments (plan_id) where plan_id is not null;
create index class_assignments_schedule on public.class_assignments (schedule_id, occurs_on);
comment on table public.class_assignments is 'Classes that instructors are to teach, each with its pay. Its instructor and room are taken in the ledger.';
comment on column public.class_assignments.class_type_id is 'What is taught; null where only a package says.';
comment on column public.class_assignments.package_id is 'The package it is part of, if it is.';
comment on column public.class_assignments.instructor_id is 'Who teaches it, and is paid.';
comment on column public.class_assignments.location_id is 'The room it takes; null where it needs none.';
comment on column public.class_assignments.date is 'The local date in time_zone.';
comment on column public.class_assignments.start_time is 'Wall-clock time in time_zone; null together with end_time where the time is not arranged, which takes nobody''s time.';
comment on column public.class_assignments.end_time is 'On the same day; 24:00 is midnight.';
comment on column public.class_assignments.time_zone is 'IANA zone; the schedule''s, else the location''s, else the organisation''s, where none is given.';
comment on column public.class_assignments.starts_at is 'When it starts, worked out from date, start_time and time_zone.';
comment on column public.class_assignments.ends_at is 'When it ends, worked out likewise.';
comment on column public.class_assignments.payment_amount is 'What the instructor is paid for this class, in the organisation''s currency; left out, it follows from the instructor''s rate, or is 0.';
comment on column public.class_assignments.payment_type is 'How the amount was agreed; see calculate_payment().';
comment on column public.class_assignments.schedule_type is 'How it came about: adhoc, weekly, monthly, crash or package.';
comment on column public.class_assignments.booking_type is 'individual, corporate, private_group or public_group.';
comment on column public.class_assignments.class_status is 'scheduled, completed or cancelled.';
comment on column public.class_assignments.payment_status is 'pending, paid or cancelled.';
comment on column public.class_assignments.instructor_status is 'pending, accepted or rejected; pending again once somebody else is asked.';
comment on column public.class_assignments.instructor_response_at is 'When the instructor accepted or rejected.';
comment on column public.class_assignments.assigned_by is 'The login that assigned it; null when a server did.';
comment on column public.class_assignments.schedule_id is 'The template it came from; it takes over the date occurs_on of it.';
comment on column public.class_assignments.occurs_on is 'The date of the template it stands for; stays when the class is moved.';
comment on column public.class_assignments.plan_id is 'Classes planned together, over which a total was split.';
comment on column public.class_assignments.rate is 'The rate the amount was worked out from, frozen; null where only an amount was agreed.';
comment on column public.class_assignments.rate_id is 'The instructor''s own rate it was taken from; null where one was given.';

create table public.assignment_bookings (
  assignment_id uuid not null references public.class_assignments (id) on delete cascade,
  booking_id text not null references public.bookings (booking_id) on delete restrict,
  id uuid not null default gen_random_uuid(),
  created_at timestamptz not null default private.now(),
  primary key (assignment_id, booking_id),
  constraint assignment_bookings_one_id unique (id)
);
create index assignment_bookings_booking on public.assignment_bookings (booking_id);
comment on table public.assignment_bookings is 'Which bookings a class serves.';
comment on column public.assignment_bookings.booking_id is 'The booking''s code.';
comment on column public.assignment_bookings.id is 'What a credit is used for.';

create table public.class_assignments_archive (
  like public.class_assignments including defaults including comments,
  booking_ids text[] not null default '{}',
  archived_by uuid default private.caller_id(),
  archived_at timestamptz not null default private.now(),
  primary key (id)
);
create index class_assignments_archive_date on public.class_assignments_archive (date, start_time);
create index class_assignments_archive_instructor on public.class_assignments_archive (instructor_id, date);
create index class_assignments_archive_bookings on public.class_assignments_archive using gin (booking_ids);
comment on table public.class_assignments_archive is 'Classes of long ago, as they were when they were moved here, with the bookings they served.';
comment on column public.class_assignments_archive.booking_ids is 'The codes of the bookings it served.';
comment on column public.class_assignments_archive.archived_by is 'The login that moved it here; null when a server did.';

-- sql/40_studio/tables/50_calculations.sql

-- How amounts came about.

create table public.payment_calculations (
  id bigint generated always as identity primary key,
  assignment_id uuid not null,
  method text not null,
  original_amount numeric(12,2) not null,
  calculated_amount numeric(12,2) not null,
  difference numeric(13,2) generated always as (calculated_amount - original_amount) stored,
  inputs jsonb not null,
  calculated_by uuid,
  calculated_at timestamptz not null default private.now(),
  constraint method_is_known check (
    method in ('per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class')
  ),
  constraint inputs_are_an_object check (jsonb_typeof(inputs) = 'object')
);
create index payment_calculations_assignment on public.payment_calculations (assignment_id, id);
comment on table public.payment_calculations is 'Every calculation that set a class''s amount: from what, by whom, when. Only ever added to; kept when the class is gone.';
comment on column public.payment_calculations.assignment_id is 'The class; no foreign key, so that it stays known.';
comment on column public.payment_calculations.method is 'The payment type it was worked out by.';
comment on column public.payment_calculations.original_amount is 'What the class was paid before.';
comment on column public.payment_calculations.calculated_amount is 'What the calculation says, this class''s part of it.';
comment on column public.payment_calculations.difference is 'Calculated less original.';
comment on column public.payment_calculations.inputs is 'rate, class_count, student_count, minutes, months, total, and position in the split.';
comment on column public.payment_calculations.calculated_by is 'The login; null when a server did it.';

-- sql/40_studio/tables/60_feeds.sql

-- Calendar feeds: secret addresses at which a calendar program finds what is planned, until they are revoked.

create table public.calendar_feeds (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  resource_id uuid references public.resources (id) on delete cascade,
  token_hash text not null,
  created_by uuid references auth.users (id) on delete cascade default private.caller_id(),
  created_at timestamptz not null default private.now(),
  revoked_at timestamptz,
  constraint calendar_feeds_one_token unique (token_hash),
  constraint name_is_given check (name is not distinct from private.clean_text(name) and length(name) <= 200),
  constraint token_hash_is_sha256 check (token_hash ~ '^[0-9a-f]{64}$')
);
create index calendar_feeds_resource on public.calendar_feeds (resource_id);
create index calendar_feeds_created_by on public.calendar_feeds (created_by);
comment on table public.calendar_feeds is
  'Calendars at secret addresses. Whoever has the address reads it, as long as it is not revoked and its maker may still see what it shows.';
comment on column public.calendar_feeds.name is 'What a calendar program calls it.';
comment on column public.calendar_feeds.resource_id is 'Whose or what room''s calendar it is; null is everything.';
comment on column public.calendar_feeds.token_hash is 'SHA-256 of the secret part of the address, in hexadecimal; the secret itself is kept nowhere.';
comment on column public.calendar_feeds.created_by is 'The login that made it, and whose rights it has; null when a server did.';
comment on column public.calendar_feeds.revoked_at is 'When it was revoked, for good.';

-- sql/40_studio/rules/05_reading.sql

-- What functions are handed as JSON: every field of every row is looked at before anything is written.

create function private.is_uuid(p_text text) returns boolean
language sql immutable set search_path = ''
return p_text ~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';
comment on function private.is_uuid(text) is 'Whether text is an id; null for null.';

-- Kinds: uuid, date, time, amount, count, text, words (a list of texts).
create function private.json_value_error(p_kind text, p_value jsonb) returns text
language sql immutable set search_path = ''
return case
    when p_value is null or p_value = 'null' then null
    when p_kind = 'words' then case
      when jsonb_typeof(p_value) <> 'array' or jsonb_path_exists(p_value, '$[*] ? (@.type() != "string")') then 'This is a list of texts' end
    when p_kind in ('amount', 'count') and jsonb_typeof(p_value) not in ('number', 'string')
      or p_kind not in ('amount', 'count') and jsonb_typeof(p_value) <> 'string' then
      case p_kind when 'uuid' then 'This is an id' when 'date' then 'A date is written 2026-01-31' when 'time' then 'A time is written 09:30'
        when 'text' then 'This is a text' else 'This is a number' end
    when p_kind = 'uuid' and not private.is_uuid(p_value #>> '{}') then 'This is an id'
    when p_kind = 'date' and private.text_to_date(p_value #>> '{}') is null then 'A date is written 2026-01-31, and lies between 1970 and 2199'
    when p_kind = 'time' and private.text_to_time(p_value #>> '{}') is null then 'A time is written 09:30'
    when p_kind = 'amount' and (p_value #>> '{}') !~ '^[0-9]{1,10}([.][0-9]{1,2})?$' then 'An amount is not below zero and has at most two decimals'
    when p_kind = 'count' and (p_value #>> '{}') !~ '^[0-9]{1,6}$' then 'This is a whole number'
  end;
comment on function private.json_value_error(text, jsonb) is 'What is wrong with one value, or null.';

create function private.json_object_errors(p_object jsonb, p_fields jsonb, p_prefix text default '') returns jsonb
language sql immutable set search_path = ''
return case
    when jsonb_typeof(p_object) is distinct from 'object' then private.input_error(true, rtrim(p_prefix, '.'), 'This is an object')
    else coalesce((
      select jsonb_agg(jsonb_build_object('field', p_prefix || f.key, 'message', f.message) order by f.key)
      from (
        select e.key, case when p_fields ? e.key then private.json_value_error(p_fields ->> e.key, e.value) else 'There is no such field' end as message
        from jsonb_each(p_object) e
      ) f
      where f.message is not null
    ), '[]')
  end;
comment on function private.json_object_errors(jsonb, jsonb, text) is
  'What is wrong with an object whose fields, by name, have these kinds: one error a field; unknown fields are errors.';

create function private.json_list_errors(p_list jsonb, p_fields jsonb, p_field text) returns jsonb
language plpgsql immutable set search_path = ''
as $$
begin
  if jsonb_typeof(p_list) is distinct from 'array' then
    return private.input_error(true, p_field, 'This is a list of objects');
  end if;
  return coalesce((
    select jsonb_agg(w.error order by i.position)
    from jsonb_array_elements(p_list) with ordinality as i(item, position)
    cross join lateral jsonb_array_elements(
      private.json_object_errors(i.item, p_fields, format('%s[%s].', p_field, i.position - 1))
    ) as w(error)
  ), '[]');
end;
$$;
comment on function private.json_list_errors(jsonb, jsonb, text) is 'What is wrong with a list of such objects, each field with its place, such as p_rows[3].date.';

create function private.within(p_errors jsonb, p_prefix text) returns jsonb
language sql immutable set search_path = ''
return coalesce((
  select jsonb_agg(jsonb_set(e.error, '{field}', to_jsonb(p_prefix || coalesce(e.error ->> 'field', ''))) order by e.n)
  from jsonb_array_elements(p_errors) with ordinality as e(error, n)
), '[]');
comment on function private.within(jsonb, text) is 'Errors with a prefix before the name of each field.';

-- sql/40_studio/rules/10_bookings.sql

-- Bookings by themselves: their code, whom they belong to, and how their status moves. What confirms them is in
-- 50_serving.sql.

-- Drawing a number waits for nobody and never gives one twice within 36^4, so codes of one day differ however many
-- arrive at once. Multiplying by a number without a factor in common with 36^4 visits every code once a round, and
-- keeps a code from telling how many bookings there were.
create function private.booking_code(p_prefix text, p_day date, p_number bigint) returns text
language sql immutable strict set search_path = ''
return p_prefix || '-' || to_char(p_day, 'YYYYMMDD') || '-' || (
  select string_agg(substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ', 1 + (p_number % 1679616 * 1000003 % 1679616 / d.place % 36)::integer, 1), '' order by d.place desc)
  from unnest(array[46656, 1296, 36, 1]) as d(place)
);
comment on function private.booking_code(text, date, bigint) is 'The code of the n-th booking drawn, for a day: PREFIX-YYYYMMDD-XXXX.';

-- Else every booking would be refused from then on.
create function private.check_booking_prefix() returns trigger
language plpgsql set search_path = ''
as $$
begin
  perform private.fail_input(private.input_error(
    coalesce(new.value, new.default_value) #>> '{}' !~ '^[A-Z0-9]{1,10}$', 'value', 'A prefix is 1 to 10 capital letters and digits'));
  return new;
end;
$$;
comment on function private.check_booking_prefix() is 'Row trigger on settings: codes of bookings can begin with the prefix.';

create trigger t30_check_booking_prefix before insert or update on public.settings
  for each row when (new.key = 'booking_prefix') execute function private.check_booking_prefix();

create function private.clean_booking(p_row public.bookings) returns public.bookings
language plpgsql immutable set search_path = ''
as $$
begin
  p_row.class_name := private.clean_text(p_row.class_name);
  p_row.instructor := private.clean_text(p_row.instructor);
  p_row.first_name := private.clean_text(p_row.first_name);
  p_row.last_name := private.clean_text(p_row.last_name);
  p_row.email := lower(private.clean_text(p_row.email));
  p_row.phone := private.clean_text(p_row.phone);
  p_row.notes := private.clean_text(p_row.notes);
  p_row.preferred_days := array(select t.t from (select private.clean_text(u.t) as t, u.n from unnest(p_row.preferred_days) with ordinality as u(t, n)) t where t.t is not null order by t.n);
  p_row.preferred_times := array(select t.t from (select private.clean_text(u.t) as t, u.n from unnest(p_row.preferred_times) with ordinality as u(t, n)) t where t.t is not null order by t.n);
  return p_row;
end;
$$;
comment on function private.clean_booking(public.bookings) is 'A booking with its texts cleaned.';

create function private.booking_errors(p_row public.bookings) returns jsonb
language sql stable set search_path = ''
return private.input_error(length(p_row.class_name) > 200, 'class_name', 'A class name has at most 200 characters')
  || private.input_error(length(p_row.instructor) > 200, 'instructor', 'An instructor''s name has at most 200 characters')
  || private.input_error(length(p_row.first_name) > 200, 'first_name', 'A name has at most 200 characters')
  || private.input_error(length(p_row.last_name) > 200, 'last_name', 'A name has at most 200 characters')
  || private.input_error(not private.is_email(p_row.email), 'email', 'That is no email address')
  || private.input_error(length(p_row.phone) > 50, 'phone', 'A phone number has at most 50 characters')
  || private.input_error(length(p_row.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
  || private.input_error(not private.is_time_zone(p_row.timezone), 'timezone', 'A time zone is an IANA name, such as Asia/Kolkata')
  || private.input_error(p_row.class_date not between date '1970-01-01' and date '2199-12-31', 'class_date', 'A date lies between 1970 and 2199')
  || private.input_error(cardinality(p_row.preferred_days) > 20 or length(array_to_string(p_row.preferred_days, '')) > 1000,
    'preferred_days', 'At most 20 days, of 1000 characters together')
  || private.input_error(cardinality(p_row.preferred_times) > 20 or length(array_to_string(p_row.preferred_times, '')) > 1000,
    'preferred_times', 'At most 20 times, of 1000 characters together')
  || private.input_error(coalesce(p_row.status, '') not in ('pending', 'confirmed', 'completed', 'cancelled'), 'status',
    'A booking is pending, confirmed, completed or cancelled')
  || private.input_error(coalesce(p_row.booking_type, '') not in ('individual', 'corporate', 'private_group', 'public_group'), 'booking_type',
    'A booking is individual, corporate, private_group or public_group')
  || private.input_error(p_row.uses_credits and p_row.profile_id is null, 'uses_credits', 'Credits belong to a person: say whose');
comment on function private.booking_errors(public.bookings) is 'What is wrong with a booking by itself, every field at once; its texts have been cleaned.';

create function private.check_booking() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_errors jsonb := '[]';
begin
  if tg_op = 'UPDATE' and new.booking_id is distinct from old.booking_id then
    perform private.fail('invalid_input', 'A booking keeps its code', 'booking_id', jsonb_build_object('booking_id', old.booking_id));
  end if;
  new := private.clean_booking(new);
  -- The person and their login go together. Only the one that is new decides.
  if tg_op = 'INSERT' or (new.user_id, new.profile_id) is distinct from (old.user_id, old.profile_id) then
    if new.profile_id is not null and (tg_op = 'INSERT' or new.profile_id is distinct from old.profile_id) then
      if tg_op = 'INSERT' and new.user_id is not distinct from private.caller_id()
        or tg_op = 'UPDATE' and new.user_id is not distinct from old.user_id then
        new.user_id := (select p.user_id from public.user_profiles p where p.id = new.profile_id);
      end if;
      v_errors := v_errors || private.input_error(
        new.user_id is distinct from (select p.user_id from public.user_profiles p where p.id = new.profile_id),
        'user_id', 'The login and the profile belong to different people');
    elsif new.user_id is not null then
      new.profile_id := coalesce((select p.id from public.user_profiles p where p.user_id = new.user_id), new.profile_id);
    end if;
  end if;
  perform private.fail_input(private.booking_errors(new) || v_errors);
  -- Whoever links classes has locked the booking, and read this after that.
  if tg_op = 'UPDATE' and (old.uses_credits or new.uses_credits)
    and (new.uses_credits, new.profile_id, new.class_package_id) is distinct from (old.uses_credits, old.profile_id, old.class_package_id)
    and exists (
      select from public.assignment_bookings l
      join public.class_assignments a on a.id = l.assignment_id and a.class_status <> 'cancelled'
      where l.booking_id = new.booking_id
    ) then
    perform private.fail('illegal_transition', 'Classes serve this booking already: whose credits it uses, and of which package, stays', 'uses_credits',
      jsonb_build_object('booking_id', new.booking_id), 'Take it off its classes first, or book anew.');
  end if;
  if tg_op = 'INSERT' then
    -- Whoever books gets a code; a server that brings bookings along brings their codes.
    if new.booking_id is null or not private.is_trusted() then
      loop
        new.booking_id := private.booking_code(private.setting_text('booking_prefix'), private.today(), nextval('private.booking_numbers'));
        exit when not exists (select from public.bookings b where b.booking_id = new.booking_id);
      end loop;
    end if;
  end if;
  return new;
end;
$$;
comment on function private.check_booking() is
  'Row trigger: cleans texts, names every bad field, gives a code, and keeps the person and their login together.';

-- confirmed and pending follow from the classes. Only the trigger that works them out, which runs inside another, sets
-- them; everybody else may end a booking.
create function private.check_booking_status() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_from text := case tg_op when 'UPDATE' then old.status end;
begin
  if tg_op = 'INSERT' and (new.status = 'pending' or new.status <> 'confirmed' and private.has_permission('update:booking')) then
    return new;
  end if;
  if tg_op = 'UPDATE' then
    if new.status = old.status then
      return new;
    end if;
    if old.status in ('pending', 'confirmed') then
      if new.status = 'cancelled' or new.status = 'completed' and private.has_permission('update:booking') and old.status = 'confirmed' then
        return new;
      end if;
      if new.status in ('pending', 'confirmed') and (new.status = 'confirmed') = private.is_served(new.booking_id) then
        return new;
      end if;
    end if;
  end if;
  perform private.fail('illegal_transition',
    case when new.status in ('pending', 'confirmed') and coalesce(v_from, 'pending') in ('pending', 'confirmed')
      then 'A booking is confirmed by a class that serves it, and pending again without one'
      else format('A booking cannot go from %s to %s', coalesce(v_from, 'nothing'), new.status) end,
    'status', jsonb_build_object('booking_id', new.booking_id, 'from', v_from, 'to', new.status),
    case when new.status = 'confirmed' then 'Link it to a class in assignment_bookings.' end);
  return new;
end;
$$;
comment on function private.check_booking_status() is
  'Row trigger: pending and confirmed are what the classes say; only completed and cancelled are set, and are ends.';

create function private.is_served(p_booking_id text) returns boolean
language sql stable security definer set search_path = ''
begin atomic
  select exists (
    select
    from public.assignment_bookings l
    join public.class_assignments a on a.id = l.assignment_id and a.class_status <> 'cancelled'
    where l.booking_id = p_booking_id
  ) or exists (
    select from public.class_assignments_archive a where a.booking_ids @> array[p_booking_id] and a.class_status <> 'cancelled'
  );
end;
comment on function private.is_served(text) is 'Whether a class that is not cancelled serves this booking.';

create trigger t10_keep_version before update on public.bookings
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.bookings
  for each row execute function private.check_booking();
create trigger t25_check_status before insert or update of status on public.bookings
  for each row execute function private.check_booking_status();

-- sql/40_studio/rules/20_schedules.sql

-- Class schedules: what they take is a weekly rule of 20_time with their id, which follows them.

create function private.complete_schedule(p_new public.class_schedules, p_old public.class_schedules) returns public.class_schedules
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_minutes integer;
begin
  p_new.notes := private.clean_text(p_new.notes);
  p_new.time_zone := coalesce(p_new.time_zone, private.resource_time_zone(p_new.location_id));
  -- Start and duration are as good as start and end. Where both are there, a changed duration moves the end.
  if p_new.end_time is null or p_old.id is not null and p_new.duration_minutes is distinct from p_old.duration_minutes
    and (p_new.start_time, p_new.end_time) is not distinct from (p_old.start_time, p_old.end_time) then
    if p_new.duration_minutes is null and p_new.end_time is null then
      p_new.duration_minutes := (select t.duration_minutes from public.class_types t where t.id = p_new.class_type_id);
    end if;
    if p_new.duration_minutes between 1 and 1440 and p_new.start_time is not null
      and extract(epoch from p_new.start_time) / 60 + p_new.duration_minutes <= 1440 then
      p_new.end_time := case when extract(epoch from p_new.start_time) / 60 + p_new.duration_minutes = 1440 then time '24:00'
        else p_new.start_time + make_interval(mins => p_new.duration_minutes) end;
    end if;
  end if;
  v_minutes := extract(epoch from p_new.end_time - p_new.start_time) / 60;
  if p_old.id is not null and p_new.duration_minutes is not distinct from p_old.duration_minutes then
    p_new.duration_minutes := v_minutes;
  end if;
  p_new.duration_minutes := coalesce(p_new.duration_minutes, v_minutes);
  return p_new;
end;
$$;
comment on function private.complete_schedule(public.class_schedules, public.class_schedules) is
  'A schedule with what was left out worked out (end or duration, time zone); against what it was before.';

create function private.schedule_errors(p_new public.class_schedules, p_old public.class_schedules) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_min constant integer := private.setting_integer('class_minutes_min');
  v_max constant integer := private.setting_integer('class_minutes_max');
  v_minutes constant integer := extract(epoch from p_new.end_time - p_new.start_time) / 60;
begin
  return private.input_error(coalesce(p_new.day_of_week, -1) not between 0 and 6, 'day_of_week', 'A day is 0 (Sunday) to 6 (Saturday)')
    || private.input_error(p_new.start_time is null, 'start_time', 'Say when it starts')
    || private.input_error(p_new.start_time is not null and p_new.end_time is null, 'end_time', 'Say when it ends, on the same day, or how long it takes')
    || private.input_error(p_new.end_time <= p_new.start_time, 'end_time', 'The end must be after the start')
    || private.input_error(p_new.end_time > p_new.start_time and p_new.duration_minutes <> v_minutes, 'duration_minutes',
      format('From start to end it is %s minutes', v_minutes))
    || private.input_error(p_new.end_time > p_new.start_time and v_minutes not between v_min and v_max
        and (p_old.id is null or (p_new.start_time, p_new.end_time) is distinct from (p_old.start_time, p_old.end_time)),
      'duration_minutes', format('A class takes %s to %s minutes', v_min, v_max))
    || private.input_error(p_new.end_time > p_new.start_time and mod(extract(epoch from p_new.end_time - p_new.start_time), 60) <> 0, 'end_time', 'A class takes whole minutes')
    || private.input_error(not private.is_time_zone(p_new.time_zone), 'time_zone', 'A time zone is an IANA name, such as Europe/Paris')
    || private.input_error(p_new.max_participants not between 1 and 10000, 'max_participants', 'Between 1 and 10000 can take part')
    || private.input_error(p_new.effective_from is null, 'effective_from', 'Say from when')
    || private.input_error(p_new.effective_from not between date '1970-01-01' and date '2199-12-31', 'effective_from', 'A date lies between 1970 and 2199')
    || private.input_error(p_new.effective_until not between date '1970-01-01' and date '2199-12-31', 'effective_until', 'A date lies between 1970 and 2199')
    || private.input_error(p_new.effective_until < p_new.effective_from, 'effective_until', 'The last day must not be before the first')
    || private.input_error(length(p_new.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
    || private.input_error(
      p_new.is_active and p_new.instructor_id is not null
        and (p_old.id is null or (p_new.instructor_id, p_new.is_active) is distinct from (p_old.instructor_id, p_old.is_active))
        and exists (select from public.user_profiles p where p.id = p_new.instructor_id and not p.is_active),
      'instructor_id', 'This instructor has left');
end;
$$;
comment on function private.schedule_errors(public.class_schedules, public.class_schedules) is
  'What is wrong with a schedule by itself, every field at once; against what it was before, so that old rows may stay as they are.';

create function private.check_schedule() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  new := private.complete_schedule(new, case tg_op when 'UPDATE' then old end);
  perform private.fail_input(private.schedule_errors(new, case tg_op when 'UPDATE' then old end));
  return new;
end;
$$;
comment on function private.check_schedule() is
  'Row trigger: works out what was left out (end or duration, time zone), and names every bad field.';

create trigger t10_keep_version before update on public.class_schedules
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.class_schedules
  for each row execute function private.check_schedule();

-- What each schedule promises, in the words of 20_time.
create view private.class_schedule_rules as
select s.id, t.name as title, 'class_schedule' as kind, s.day_of_week as weekday, s.start_time, s.end_time, s.time_zone,
  daterange(s.effective_from, s.effective_until, '[]') as effective, 'class_schedules' as source_table
from public.class_schedules s
join public.class_types t on t.id = s.class_type_id;
comment on view private.class_schedule_rules is 'The weekly rule each class schedule is.';

create view private.class_schedule_resources as
select s.id as rule_id, u.resource_id
from public.class_schedules s
cross join lateral (select s.instructor_id as resource_id union select s.location_id) u
where s.is_active and u.resource_id is not null;
comment on view private.class_schedule_resources is 'Who and what each active class schedule takes.';

-- Exceptions, then rules, then resources are locked before anything changes; what a schedule no longer takes goes before
-- what it takes anew comes.
create function private.sync_schedules(p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_read_committed();
  perform private.ensure_people(array(select s.instructor_id from public.class_schedules s where s.id = any(p_ids) and s.is_active));
  perform private.lock_rules(p_ids, array(select w.resource_id from private.class_schedule_resources w where w.rule_id = any(p_ids)));
  if exists (select from public.weekly_rules r where r.id = any(p_ids) and r.source_table is distinct from 'class_schedules') then
    perform private.fail('duplicate', 'There is a weekly rule with this id', 'id', jsonb_build_object('ids', to_jsonb(p_ids)));
  end if;
  delete from public.weekly_rules r
  where r.id = any(p_ids) and r.source_table = 'class_schedules'
    and not exists (select from public.class_schedules s where s.id = r.id);
  delete from public.weekly_rule_resources r
  where r.rule_id = any(p_ids)
    and not exists (select from private.class_schedule_resources w where w.rule_id = r.rule_id and w.resource_id = r.resource_id);
  insert into public.weekly_rules as r (id, title, kind, weekday, start_time, end_time, time_zone, effective, source_table, source_id)
  select w.id, w.title, w.kind, w.weekday, w.start_time, w.end_time, w.time_zone, w.effective, w.source_table, w.id
  from private.class_schedule_rules w
  where w.id = any(p_ids)
  order by w.id
  on conflict (id) do update
  set title = excluded.title, weekday = excluded.weekday, start_time = excluded.start_time, end_time = excluded.end_time,
    time_zone = excluded.time_zone, effective = excluded.effective
  where (r.title, r.weekday, r.start_time, r.end_time, r.time_zone, r.effective)
    is distinct from (excluded.title, excluded.weekday, excluded.start_time, excluded.end_time, excluded.time_zone, excluded.effective);
  insert into public.weekly_rule_resources (rule_id, resource_id)
  select w.rule_id, w.resource_id
  from private.class_schedule_resources w
  where w.rule_id = any(p_ids)
    and not exists (select from public.weekly_rule_resources r where r.rule_id = w.rule_id and r.resource_id = w.resource_id)
  order by w.rule_id, w.resource_id;
end;
$$;
comment on function private.sync_schedules(uuid[]) is 'Makes the weekly rules of these class schedules what the schedules say.';

create function private.follow_schedules() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  execute case tg_op
      when 'INSERT' then 'select array_agg(n.id order by n.id) from new_rows n'
      when 'DELETE' then 'select array_agg(o.id order by o.id) from old_rows o'
      else 'select array_agg(u.id order by u.id) from (select n.id from new_rows n union select o.id from old_rows o) u'
    end into v_ids;
  if v_ids is not null then
    perform private.sync_schedules(v_ids);
  end if;
  return null;
end;
$$;
comment on function private.follow_schedules() is 'Statement trigger on class_schedules: their weekly rules follow.';

create trigger t00_read_committed before insert or update or delete on public.class_schedules
  for each statement execute function private.refuse_other_isolation();
create trigger t00_no_truncate before truncate on public.class_schedules
  for each statement execute function private.refuse_truncate();
create trigger t50_follow_insert after insert on public.class_schedules
  referencing new table as new_rows for each statement execute function private.follow_schedules();
create trigger t50_follow_update after update on public.class_schedules
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_schedules();
create trigger t50_follow_delete after delete on public.class_schedules
  referencing old table as old_rows for each statement execute function private.follow_schedules();

-- A class type's name is what its classes are called in the ledger.
create function private.rename_schedules() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.sync_schedules(array(select s.id from public.class_schedules s where s.class_type_id = new.id order by s.id));
  return null;
end;
$$;
comment on function private.rename_schedules() is 'Row trigger on class_types: weekly rules of its schedules carry its name.';

create trigger t60_rename_schedules after update of name on public.class_types
  for each row when (old.name is distinct from new.name) execute function private.rename_schedules();

-- Whoever changes such a rule itself is sent to the schedule. Sync writes what the schedule says, so it passes.
create function private.keep_schedule_rule() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if (case tg_op
      when 'DELETE' then exists (select from public.class_schedules s where s.id = old.id)
      else not exists (
        select from private.class_schedule_rules w
        where (w.id, w.title, w.kind, w.weekday, w.start_time, w.end_time, w.time_zone, w.effective, w.source_table, w.id)
          = (new.id, new.title, new.kind, new.weekday, new.start_time, new.end_time, new.time_zone, new.effective, new.source_table, new.source_id)
      )
    end) then
    perform private.fail('forbidden', 'This weekly rule follows a class schedule', 'source_table',
      jsonb_build_object('source_table', 'class_schedules', 'source_id', coalesce(new.id, old.id)), 'Change the class schedule.');
  end if;
  return null;
end;
$$;
comment on function private.keep_schedule_rule() is 'Row trigger on weekly_rules: the rule of a class schedule says what the schedule says.';

create trigger t70_keep_schedule_rule_new after insert or update on public.weekly_rules
  for each row when (new.source_table = 'class_schedules') execute function private.keep_schedule_rule();
create trigger t70_keep_schedule_rule_old after update or delete on public.weekly_rules
  for each row when (old.source_table = 'class_schedules') execute function private.keep_schedule_rule();

create function private.keep_schedule_resource() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[] := array_remove(array[case when tg_op <> 'INSERT' then old.rule_id end, case when tg_op <> 'DELETE' then new.rule_id end], null);
begin
  if exists (select from public.weekly_rules r where r.id = any(v_ids) and r.source_table = 'class_schedules')
    and (
      tg_op <> 'INSERT' and exists (
        select from private.class_schedule_resources w where w.rule_id = old.rule_id and w.resource_id = old.resource_id
      )
      or tg_op <> 'DELETE' and not exists (
        select from private.class_schedule_resources w where w.rule_id = new.rule_id and w.resource_id = new.resource_id
      )
    ) then
    perform private.fail('forbidden', 'This weekly rule follows a class schedule', 'rule_id',
      jsonb_build_object('source_table', 'class_schedules', 'source_id', v_ids[1]), 'Change the class schedule.');
  end if;
  return null;
end;
$$;
comment on function private.keep_schedule_resource() is 'Row trigger on weekly_rule_resources: a class schedule''s rule takes what the schedule takes.';

create trigger t70_keep_schedule_resource after insert or update or delete on public.weekly_rule_resources
  for each row execute function private.keep_schedule_resource();

-- sql/40_studio/rules/30_assignments.sql

-- Class assignments by themselves: what is left out is filled in, local times become instants, and what makes no sense
-- is refused, every field at once.

create function private.assignment_errors(p_new public.class_assignments, p_old public.class_assignments) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_min constant integer := private.setting_integer('class_minutes_min');
  v_max constant integer := private.setting_integer('class_minutes_max');
  v_minutes constant numeric := extract(epoch from p_new.end_time - p_new.start_time) / 60;
  v_is_dated constant boolean := coalesce(p_new.date between date '1970-01-01' and date '2199-12-31', false);
  v_is_zoned constant boolean := coalesce(private.is_time_zone(p_new.time_zone), false);
  v_errors jsonb;
begin
  v_errors := private.input_error(p_new.date is null, 'date', 'Say on which day')
    || private.input_error(p_new.date is not null and not v_is_dated, 'date', 'A date lies between 1970 and 2199')
    || private.input_error(p_new.instructor_id is null, 'instructor_id', 'Say who teaches it')
    || private.input_error(p_new.start_time is null and p_new.end_time is not null, 'start_time', 'Start and end go together')
    || private.input_error(p_new.end_time is null and p_new.start_time is not null, 'end_time', 'Start and end go together')
    || private.input_error(p_new.end_time <= p_new.start_time, 'end_time', 'The end must be after the start')
    || private.input_error(v_minutes > 0 and v_minutes not between v_min and v_max
        and (p_new.start_time, p_new.end_time) is distinct from (p_old.start_time, p_old.end_time),
      'end_time', format('A class takes %s to %s minutes', v_min, v_max))
    || private.input_error(not v_is_zoned, 'time_zone', 'A time zone is an IANA name, such as Europe/Paris')
    || private.input_error(coalesce(p_new.payment_amount = 'NaN' or p_new.payment_amount not between 0 and 9999999999.99, false),
      'payment_amount', 'An amount is not below zero')
    || private.input_error(p_new.rate = 'NaN' or p_new.rate not between 0.01 and 9999999999.99, 'rate', 'A rate is above zero')
    || private.input_error(coalesce(p_new.payment_type, '') not in (
        'per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class'), 'payment_type',
      'A payment type is per_class, monthly, per_member, total_duration, per_class_total or per_student_per_class')
    || private.input_error(coalesce(p_new.schedule_type, '') not in ('adhoc', 'weekly', 'monthly', 'crash', 'package'), 'schedule_type',
      'A schedule type is adhoc, weekly, monthly, crash or package')
    || private.input_error(coalesce(p_new.booking_type, '') not in ('individual', 'corporate', 'private_group', 'public_group'), 'booking_type',
      'A booking type is individual, corporate, private_group or public_group')
    || private.input_error(coalesce(p_new.class_status, '') not in ('scheduled', 'completed', 'cancelled'), 'class_status',
      'A class is scheduled, completed or cancelled')
    || private.input_error(coalesce(p_new.payment_status, '') not in ('pending', 'paid', 'cancelled'), 'payment_status',
      'Pay is pending, paid or cancelled')
    || private.input_error(coalesce(p_new.instructor_status, '') not in ('pending', 'accepted', 'rejected'), 'instructor_status',
      'An instructor''s answer is pending, accepted or rejected')
    || private.input_error(length(p_new.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
    || private.input_error(p_new.schedule_id is not null and p_new.occurs_on is null, 'occurs_on', 'Say which date of the schedule it stands for');
  if v_is_dated and v_is_zoned and p_new.start_time < p_new.end_time then
    v_errors := v_errors
      || private.input_error(private.local_to_instant(p_new.date, p_new.start_time, p_new.time_zone) is null, 'start_time',
        private.describe_skipped(p_new.date, p_new.start_time, p_new.time_zone))
      || private.input_error(private.local_end_to_instant(p_new.date, p_new.end_time, p_new.time_zone) is null, 'end_time',
        private.describe_skipped(p_new.date, p_new.end_time, p_new.time_zone));
  end if;
  return v_errors
    || private.input_error(v_is_dated and p_new.class_status = 'scheduled'
        and p_new.date > private.today() + private.setting_integer('days_ahead') and p_new.date is distinct from p_old.date,
      'date', format('Classes are planned at most %s days ahead', private.setting_integer('days_ahead')))
    || private.input_error(p_new.instructor_id <> all(array_remove(array[p_old.instructor_id], null))
        and not exists (select from public.user_profiles p where p.id = p_new.instructor_id),
      'instructor_id', 'There is no such instructor')
    || private.input_error(p_new.class_status = 'scheduled' and p_new.instructor_id is distinct from p_old.instructor_id
        and exists (select from public.user_profiles p where p.id = p_new.instructor_id and not p.is_active),
      'instructor_id', 'This instructor has left');
end;
$$;
comment on function private.assignment_errors(public.class_assignments, public.class_assignments) is
  'What is wrong with a class, every field at once; against what it was before, so that old rows may stay as they are.';

-- True for what is clearly right; whatever else is looked at field by field, to say what is wrong with it.
create function private.is_plain_assignment(p_new public.class_assignments, p_old public.class_assignments) returns boolean
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_is_as_long constant boolean := p_new.end_time - p_new.start_time is not distinct from p_old.end_time - p_old.start_time;
begin
  return coalesce(
    p_new.date between date '1970-01-01' and date '2199-12-31'
    and (p_new.start_time is null and p_new.end_time is null or p_new.start_time < p_new.end_time)
    and (v_is_as_long or extract(epoch from p_new.end_time - p_new.start_time) / 60
      between private.setting_integer('class_minutes_min') and private.setting_integer('class_minutes_max'))
    and (p_new.time_zone = p_old.time_zone or private.is_time_zone(p_new.time_zone))
    and (p_new.payment_amount is null or p_new.payment_amount between 0 and 9999999999.99)
    and (p_new.rate is null or p_new.rate between 0.01 and 9999999999.99)
    and p_new.payment_type in ('per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class')
    and p_new.schedule_type in ('adhoc', 'weekly', 'monthly', 'crash', 'package')
    and p_new.booking_type in ('individual', 'corporate', 'private_group', 'public_group')
    and p_new.class_status in ('scheduled', 'completed', 'cancelled') and p_new.payment_status in ('pending', 'paid', 'cancelled')
    and p_new.instructor_status in ('pending', 'accepted', 'rejected')
    and (p_new.notes is null or length(p_new.notes) <= 1000)
    and (p_new.schedule_id is null or p_new.occurs_on is not null)
    and (p_new.date is not distinct from p_old.date or p_new.class_status <> 'scheduled'
      or p_new.date <= private.today() + private.setting_integer('days_ahead'))
    and (p_new.instructor_id is not distinct from p_old.instructor_id or p_new.class_status <> 'scheduled'
      or exists (select from public.user_profiles p where p.id = p_new.instructor_id and p.is_active)),
    false);
end;
$$;
comment on function private.is_plain_assignment(public.class_assignments, public.class_assignments) is
  'Whether private.assignment_errors would find nothing wrong, but for times the clock skips; quickly.';

create function private.check_assignment() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  new.notes := private.clean_text(new.notes);
  new.schedule_type := case new.schedule_type when 'crash_course' then 'crash' else new.schedule_type end;
  if new.schedule_id is not null and new.occurs_on is null then
    new.occurs_on := new.date;
  end if;
  if new.time_zone is null then
    new.time_zone := coalesce(
      (select s.time_zone from public.class_schedules s where s.id = new.schedule_id), private.resource_time_zone(new.location_id));
  end if;
  -- Whoever is signed in assigns in their own name.
  if tg_op = 'INSERT' and private.caller_id() is not null then
    new.assigned_by := private.caller_id();
    new.assigned_at := private.now();
  end if;
  -- Bulk changes come through here: what did not change was looked at before.
  if tg_op = 'INSERT' or row(new.date, new.start_time, new.end_time, new.time_zone, new.instructor_id, new.payment_amount, new.rate,
      new.payment_type, new.schedule_type, new.booking_type, new.class_status, new.payment_status, new.instructor_status, new.notes,
      new.schedule_id, new.occurs_on, new.starts_at, new.ends_at)
    is distinct from row(old.date, old.start_time, old.end_time, old.time_zone, old.instructor_id, old.payment_amount, old.rate,
      old.payment_type, old.schedule_type, old.booking_type, old.class_status, old.payment_status, old.instructor_status, old.notes,
      old.schedule_id, old.occurs_on, old.starts_at, old.ends_at) then
    if not private.is_plain_assignment(new, case tg_op when 'UPDATE' then old end) then
      perform private.fail_input(private.assignment_errors(new, case tg_op when 'UPDATE' then old end));
  -- Of two at once the index refuses the second.
  if new.schedule_id is not null and new.class_status <> 'cancelled'
    and (tg_op = 'INSERT' or (new.schedule_id, new.occurs_on) is distinct from (old.schedule_id, old.occurs_on))
    and exists (
      select from public.class_assignments a
      where a.schedule_id = new.schedule_id and a.occurs_on = new.occurs_on and a.class_status <> 'cancelled' and a.id <> new.id
    ) then
    perform private.fail('time_conflict', format('%s of this schedule is already assigned', new.occurs_on), 'occurs_on',
      jsonb_build_object('schedule_id', new.schedule_id, 'occurs_on', new.occurs_on));
  end if;
    end if;
    new.starts_at := private.local_to_instant(new.date, new.start_time, new.time_zone);
    new.ends_at := private.local_end_to_instant(new.date, new.end_time, new.time_zone);
    if new.starts_at is null <> (new.start_time is null) or new.ends_at is null <> (new.end_time is null) then
      perform private.fail_input(private.assignment_errors(new, null));
    end if;
  end if;
  return new;
end;
$$;
comment on function private.check_assignment() is
  'Row trigger: fills in time zone and the schedule''s date, works out starts_at and ends_at, and names every bad field.';

create trigger t10_keep_version before update on public.class_assignments
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.class_assignments
  for each row execute function private.check_assignment();

-- sql/40_studio/rules/35_assignment_moves.sql

-- How a class moves through its three statuses, and who may move it.
--
-- class_status: scheduled → completed (once it has begun) or cancelled. instructor_status: pending → accepted or
-- rejected, by the instructor or for them; pending again when somebody else is asked. payment_status: pending → paid or
-- cancelled, by holders of manage:pay. A cancelled class is not paid for unless it was already.

-- Asked by the trigger, and by who wants to know before trying.
create function private.illegal_move(p_old public.class_assignments, p_new public.class_assignments, p_pays boolean)
returns table (field text, from_status text, to_status text, message text)
language sql immutable set search_path = ''
begin atomic
  select m.field, m.from_status, m.to_status, m.message
  from (
    values
      ('class_status', p_old.class_status, p_new.class_status, format('A class that is %s does not become %s', p_old.class_status, p_new.class_status),
        p_new.class_status <> p_old.class_status and p_old.class_status <> 'scheduled'),
      ('class_status', p_old.class_status, p_new.class_status, 'A class that its instructor rejected is not completed: give it to somebody else',
        p_old.class_status = 'scheduled' and p_new.class_status = 'completed' and p_new.instructor_status = 'rejected'
          and p_new.instructor_id = p_old.instructor_id),
      ('instructor_id', p_old.class_status, p_new.class_status, format('Nobody else teaches a class that is %s', p_old.class_status),
        p_new.instructor_id <> p_old.instructor_id and p_old.class_status <> 'scheduled' and not p_pays),
      ('instructor_status', p_old.instructor_status, p_new.instructor_status,
        format('An answer that is %s does not become %s', p_old.instructor_status, p_new.instructor_status),
        p_new.instructor_status <> p_old.instructor_status and p_new.instructor_id = p_old.instructor_id
          and (p_old.instructor_status <> 'pending' or p_old.class_status <> 'scheduled')),
      ('payment_status', p_old.payment_status, p_new.payment_status,
        format('Pay that is %s does not become %s', p_old.payment_status, p_new.payment_status),
        p_new.payment_status <> p_old.payment_status and p_old.payment_status <> 'pending'),
      ('payment_status', p_old.payment_status, p_new.payment_status, 'A cancelled class is not paid for',
        p_new.payment_status <> p_old.payment_status and p_new.payment_status = 'paid' and p_new.class_status = 'cancelled'),
      ('date', p_old.class_status, p_new.class_status, format('A class that is %s stays when and where it was', p_old.class_status),
        p_old.class_status <> 'scheduled' and not p_pays
          and (p_new.date, p_new.start_time, p_new.end_time, p_new.time_zone, p_new.location_id)
            is distinct from (p_old.date, p_old.start_time, p_old.end_time, p_old.time_zone, p_old.location_id))
  ) as m(field, from_status, to_status, message, applies)
  where m.applies
  limit 1;
end;
comment on function private.illegal_move(public.class_assignments, public.class_assignments, boolean) is
  'The first thing about a change that no class can do, if there is one; p_pays is whether the caller holds manage:pay, who may correct what is over.';

create function private.move_assignment() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_problem record;
begin
  if tg_op = 'INSERT' then
    -- What a server or a holder of bulk:assignment brings along may be anywhere on its way; others begin at the beginning.
    if new.instructor_status <> 'pending' and not private.has_permission('bulk:assignment') then
      perform private.fail('illegal_transition', 'A class begins with the instructor''s answer pending', 'instructor_status',
        jsonb_build_object('id', new.id, 'to', new.instructor_status));
    end if;
    if new.payment_status <> 'pending' then
      perform private.require_permission('manage:pay');
    end if;
  else
    if old.class_status <> 'scheduled' or (new.class_status, new.instructor_status, new.payment_status)
      is distinct from (old.class_status, old.instructor_status, old.payment_status) then
      select m.* into v_problem
      from private.illegal_move(old, new, old.class_status <> 'scheduled' and private.has_permission('manage:pay')) m;
      if found then
        perform private.fail('illegal_transition', v_problem.message, v_problem.field,
          jsonb_build_object('id', new.id, 'from', v_problem.from_status, 'to', v_problem.to_status));
      end if;
    end if;
    if new.instructor_id <> old.instructor_id then
      -- Who turns out to have taught a class is not asked whether they will.
      new.instructor_status := case old.class_status when 'completed' then 'accepted' else 'pending' end;
      new.instructor_response_at := null;
    elsif new.instructor_status <> old.instructor_status then
      new.instructor_response_at := private.now();
    else
      new.instructor_response_at := old.instructor_response_at;
    end if;
    if old.class_status = 'scheduled' and new.class_status = 'cancelled' and old.payment_status = 'pending' then
      new.payment_status := 'cancelled';
    end if;
  end if;
  if new.class_status = 'completed' and (tg_op = 'INSERT' or old.class_status <> 'completed')
    and coalesce(new.starts_at > private.now(), new.date > private.today()) then
    perform private.fail('illegal_transition', 'This class has not begun yet', 'class_status',
      jsonb_build_object('id', new.id, 'from', case tg_op when 'UPDATE' then old.class_status end, 'to', 'completed'));
  end if;
  return new;
end;
$$;
comment on function private.move_assignment() is
  'Row trigger: statuses move forward only; asking somebody else begins their answer anew.';

-- Who teaches a class answers for it, says that it is over, and keeps notes; nothing else. Asked once a statement, since
-- asking takes longer than writing a row.
create function private.guard_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if not private.has_permission('manage:pay') and exists (
    select from new_rows n
    join old_rows o on o.id = n.id and o.payment_status <> n.payment_status
    where not (n.payment_status = 'cancelled' and n.class_status = 'cancelled' and o.class_status = 'scheduled')
  ) then
    perform private.require_permission('manage:pay');
  end if;
  if not private.has_permission('update:assignment') and exists (
    select from new_rows n
    join old_rows o on o.id = n.id
    where n.class_status = 'cancelled' and o.class_status <> 'cancelled'
      or row(n.instructor_id, n.class_type_id, n.package_id, n.location_id, n.date, n.start_time, n.end_time, n.time_zone, n.payment_amount,
          n.payment_type, n.schedule_type, n.booking_type, n.schedule_id, n.occurs_on, n.plan_id, n.rate, n.rate_id)
        is distinct from row(o.instructor_id, o.class_type_id, o.package_id, o.location_id, o.date, o.start_time, o.end_time, o.time_zone, o.payment_amount,
          o.payment_type, o.schedule_type, o.booking_type, o.schedule_id, o.occurs_on, o.plan_id, o.rate, o.rate_id)
  ) then
    perform private.require_permission('update:assignment');
  end if;
  return null;
end;
$$;
comment on function private.guard_assignments() is 'Statement trigger: pay is settled by holders of manage:pay; instructors change nothing but their answer, that a class is over, and notes.';

create trigger t20_guard after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.guard_assignments();
create trigger t25_move before insert or update on public.class_assignments
  for each row execute function private.move_assignment();

-- sql/40_studio/rules/40_taking_over.sql

-- Classes in the ledger: they take their instructor and their room, and the dates of the schedules they were made from.
-- The triggers' names say in which order they run: dates are taken over before claims are derived, and given back after.

create view private.class_assignments_claims as
select a.id as source_id, u.resource_id, tstzrange(a.starts_at, a.ends_at) as during, a.date as occurs_on,
  'class_assignment' as kind, coalesce(t.name, p.name, 'Class') as title
from public.class_assignments a
left join public.class_types t on t.id = a.class_type_id
left join public.packages p on p.id = a.package_id
cross join lateral (
  select a.instructor_id as resource_id where a.instructor_status <> 'rejected'
  union
  select a.location_id where a.location_id is not null
) u
where a.starts_at is not null and a.class_status <> 'cancelled';
comment on view private.class_assignments_claims is
  'What classes take: the room unless they are cancelled, the instructor unless cancelled or rejected; nothing without times.';

create function private.prepare_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.ensure_people(array(
    select distinct n.instructor_id from new_rows n
    where not exists (select from public.resources r where r.id = n.instructor_id)
    order by n.instructor_id
  ));
  return null;
end;
$$;
comment on function private.prepare_assignments() is 'Statement trigger: who is to teach a class can be planned with from then on.';

create trigger t30_prepare_insert after insert on public.class_assignments
  referencing new table as new_rows for each statement execute function private.prepare_assignments();
create trigger t30_prepare_update after update on public.class_assignments
  referencing new table as new_rows for each statement execute function private.prepare_assignments();

-- Classes that leave dates they took over: the dates, then their rules, then everybody the rules and the classes take are
-- locked, before any claim goes.
create function private.lock_taken_dates(p_ids uuid[], p_all_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_rule_ids uuid[];
begin
  select array_agg(distinct t.rule_id) into v_rule_ids
  from (
    select e.rule_id
    from public.weekly_rule_exceptions e
    where e.taken_by_id = any(p_ids) and e.taken_by_table = 'class_assignments'
    order by e.rule_id, e.occurs_on
    for update
  ) t;
  if v_rule_ids is not null then
    perform private.lock_rules(v_rule_ids, private.resources_of_assignments(p_all_ids));
  end if;
end;
$$;
comment on function private.lock_taken_dates(uuid[], uuid[]) is
  'Locks what these classes are about to leave, and whatever else the classes of the same statement take, in the order everybody locks it in.';

create function private.resources_of_assignments(p_ids uuid[]) returns uuid[]
language sql stable security definer set search_path = ''
return array(
  select c.resource_id from public.claims c where c.source_id = any(p_ids) and c.source_table = 'class_assignments'
  union select a.instructor_id from public.class_assignments a where a.id = any(p_ids)
  union select a.location_id from public.class_assignments a where a.id = any(p_ids) and a.location_id is not null
);
comment on function private.resources_of_assignments(uuid[]) is 'Whom and what these classes take, or are about to.';

-- The rows are read again by id, since a later trigger may have changed them. All resources the statement's classes will
-- claim are locked together with those of the schedules.
create function private.take_over_for_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_taken_ids uuid[];
  v_cancelled_ids uuid[];
  v_left_ids uuid[];
  v_all_ids uuid[];
begin
  if tg_op = 'DELETE' then
    select array_agg(o.id) filter (where o.schedule_id is not null and o.class_status <> 'cancelled'), array_agg(o.id)
    into v_left_ids, v_all_ids
    from old_rows o;
  elsif tg_op = 'INSERT' then
    select array_agg(n.id) filter (where n.schedule_id is not null and n.class_status <> 'cancelled'), array_agg(n.id)
    into v_taken_ids, v_all_ids
    from new_rows n;
  else
    select
      array_agg(n.id) filter (where n.class_status <> 'cancelled' and n.schedule_id is not null
        and (n.schedule_id, n.occurs_on) is distinct from (o.schedule_id, o.occurs_on)),
      array_agg(n.id) filter (where n.class_status = 'cancelled' and o.class_status <> 'cancelled' and o.schedule_id is not null),
      array_agg(n.id) filter (where o.schedule_id is not null and o.class_status <> 'cancelled'
        and (n.class_status = 'cancelled' or (n.schedule_id, n.occurs_on) is distinct from (o.schedule_id, o.occurs_on))),
      array_agg(n.id)
    into v_taken_ids, v_cancelled_ids, v_left_ids, v_all_ids
    from new_rows n
    join old_rows o on o.id = n.id;
  end if;
  if v_left_ids is not null then
    perform private.lock_taken_dates(v_left_ids, v_all_ids);
  end if;
  if v_cancelled_ids is not null then
    perform private.cancel_taken_dates(v_cancelled_ids);
  end if;
  if v_taken_ids is not null then
    perform private.take_over('class_assignments', t.ids, t.schedule_ids, t.dates, t.resource_ids, true)
    from (
      select array_agg(a.id order by a.id) as ids, array_agg(a.schedule_id order by a.id) as schedule_ids,
        array_agg(a.occurs_on order by a.id) as dates, private.resources_of_assignments(v_all_ids) as resource_ids
      from public.class_assignments a
      where a.id = any(v_taken_ids)
    ) t;
  end if;
  return null;
end;
$$;
comment on function private.take_over_for_assignments() is
  'Statement trigger: classes made from a schedule take those dates of it over; a cancelled class leaves its date cancelled; what a class leaves is locked.';

-- The date of a class that was called off does not come back by itself; another class may take it.
create function private.cancel_taken_dates(p_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  update public.weekly_rule_exceptions e
  set kind = 'cancelled', taken_by_table = null, taken_by_id = null
  from (
    select x.rule_id, x.occurs_on
    from public.weekly_rule_exceptions x
    where x.taken_by_id = any(p_ids) and x.taken_by_table = 'class_assignments'
    order by x.rule_id, x.occurs_on
    for update
  ) t
  where e.rule_id = t.rule_id and e.occurs_on = t.occurs_on;
end;
comment on function private.cancel_taken_dates(uuid[]) is 'Leaves the dates these classes took over cancelled.';

create trigger t40_take_over_insert after insert on public.class_assignments
  referencing new table as new_rows for each statement execute function private.take_over_for_assignments();
create trigger t40_take_over_update after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.take_over_for_assignments();

create trigger t40_leave_delete after delete on public.class_assignments
  referencing old table as old_rows for each statement execute function private.take_over_for_assignments();

select private.attach_claims('public.class_assignments');

-- No promised class is ever missing: a date to come that its class leaves, or that loses its class, is the schedule's
-- again. One that is past, nobody promises any more.
create function private.give_back_for_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_schedule_ids uuid[];
  v_dates date[];
  v_past_ids uuid[];
begin
  if tg_op = 'DELETE' then
    -- A class that moves to the archive was held, perhaps before the date it stood for.
    select array_agg(o.id) filter (where not o.is_over), array_agg(o.schedule_id) filter (where not o.is_over),
      array_agg(o.occurs_on) filter (where not o.is_over), array_agg(o.id) filter (where o.is_over)
    into v_ids, v_schedule_ids, v_dates, v_past_ids
    from (
      select d.id, d.schedule_id, d.occurs_on,
        d.occurs_on < private.today() or exists (select from public.class_assignments_archive r where r.id = d.id) as is_over
      from old_rows d
      where d.schedule_id is not null and d.class_status <> 'cancelled'
    ) o;
  else
    select array_agg(o.id), array_agg(o.schedule_id), array_agg(o.occurs_on) into v_ids, v_schedule_ids, v_dates
    from old_rows o
    left join new_rows n on n.id = o.id and n.schedule_id = o.schedule_id and n.occurs_on = o.occurs_on
    where o.schedule_id is not null and o.class_status <> 'cancelled' and n.id is null;
  end if;
  if v_past_ids is not null then
    perform private.cancel_taken_dates(v_past_ids);
  end if;
  if v_ids is not null then
    perform private.give_back('class_assignments', v_ids, v_schedule_ids, v_dates);
  end if;
  return null;
end;
$$;
comment on function private.give_back_for_assignments() is
  'Statement trigger: a date its class no longer stands for goes back to the schedule; raises time_conflict when somebody it needs is taken meanwhile.';

create trigger t60_give_back_update after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.give_back_for_assignments();
create trigger t60_give_back_delete after delete on public.class_assignments
  referencing old table as old_rows for each statement execute function private.give_back_for_assignments();

-- A class type's or package's name is what its classes are called in the ledger.
create function private.rename_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  execute format('select array_agg(a.id order by a.id) from public.class_assignments a where a.%I = $1 and a.class_status <> ''cancelled''', tg_argv[0])
    into v_ids using new.id;
  if v_ids is not null then
    perform private.lock_sources('class_assignments', v_ids);
    perform private.derive_claims('class_assignments', v_ids);
  end if;
  return null;
end;
$$;
comment on function private.rename_assignments() is 'Row trigger on class_types and packages: its classes carry the name in the ledger. The argument is the column that refers to it.';

create trigger t60_rename_assignments after update of name on public.class_types
  for each row when (old.name is distinct from new.name) execute function private.rename_assignments('class_type_id');
create trigger t60_rename_assignments after update of name on public.packages
  for each row when (old.name is distinct from new.name) execute function private.rename_assignments('package_id');

-- sql/40_studio/rules/45_clashes.sql

-- What stands in the way of classes, all of it at once, before they are written. Two who ask at the same time may both be
-- told that nothing does: then the ledger decides.

create type private.assignment_clash as (
  row_number integer,
  resource_id uuid,
  resource_name text,
  conflict_type text,
  source_table text,
  source_id uuid,
  with_row_number integer,
  starts_at timestamptz,
  ends_at timestamptz,
  message text
);
comment on type private.assignment_clash is 'What is in the way of one class of a list: which class, of whom, what, when, and a sentence.';

create function private.conflict_type(p_resource_kind text, p_source_table text, p_kind text) returns text
language sql immutable set search_path = ''
return case
    when p_source_table = 'class_assignments' then case p_resource_kind when 'place' then 'location_assignment' else 'instructor_assignment' end
    when p_kind = 'class_schedule' then case p_resource_kind when 'place' then 'location_schedule' else 'instructor_schedule' end
    else p_kind
  end;
comment on function private.conflict_type(text, text, text) is
  'instructor_assignment, instructor_schedule, location_assignment, location_schedule, or the ledger''s own kind, such as meeting.';

create function private.assignment_clashes(p_rows public.class_assignments[]) returns setof private.assignment_clash
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sees_all constant boolean := private.has_permission('read:calendar');
  v_self constant uuid := private.current_profile_id();
begin
  return query
    with wanted as materialized (
      select g.n, r.id, r.schedule_id, r.occurs_on, u.resource_id, tstzrange(r.starts_at, r.ends_at) as during,
        coalesce(t.name, p.name, 'Class') as title
      from generate_subscripts(p_rows, 1) as g(n)
      cross join lateral unnest(array[p_rows[g.n]]) as r
      left join public.class_types t on t.id = r.class_type_id
      left join public.packages p on p.id = r.package_id
      cross join lateral (
        select r.instructor_id as resource_id where r.instructor_status is distinct from 'rejected'
        union select r.location_id where r.location_id is not null
      ) u
      where r.starts_at is not null and r.class_status is distinct from 'cancelled'
    ), found as (
      -- What is there already, but for what these classes leave or take over themselves.
      select w.n, w.resource_id, c.source_table, c.source_id, null::integer as with_n, c.kind, c.title, c.during
      from wanted w
      join public.claims c on c.resource_id = w.resource_id and c.during && w.during
      where not exists (select from wanted o where c.source_table = 'class_assignments' and o.id = c.source_id)
        and not exists (
          select from wanted o where c.source_table = 'weekly_rules' and o.schedule_id = c.source_id and o.occurs_on = c.occurs_on
        )
      union all
      select a.n, a.resource_id, 'class_assignments', null, b.n, 'class_assignment', b.title, b.during
      from wanted a
      join wanted b on b.resource_id = a.resource_id and b.during && a.during and b.n <> a.n
    ), dated as (
      select g.n, r.id, r.schedule_id, r.occurs_on
      from generate_subscripts(p_rows, 1) as g(n)
      cross join lateral unnest(array[p_rows[g.n]]) as r
      where r.schedule_id is not null and r.occurs_on is not null and r.class_status is distinct from 'cancelled'
    ), dates as (
      -- A date of a schedule is taken once, whatever the time.
      select d.n, d.occurs_on, e.taken_by_table, e.taken_by_id, e.kind, null::integer as with_n
      from dated d
      join public.weekly_rule_exceptions e on e.rule_id = d.schedule_id and e.occurs_on = d.occurs_on
      where e.kind <> 'cancelled' and e.taken_by_id is distinct from d.id
      union all
      select a.n, a.occurs_on, 'class_assignments', null, 'taken_over', b.n
      from dated a
      join dated b on b.schedule_id = a.schedule_id and b.occurs_on = a.occurs_on and b.n <> a.n
    )
    select f.n, f.resource_id, s.name,
      case when t.is_told then private.conflict_type(s.kind, f.source_table, f.kind) else 'busy' end,
      case when t.is_told then f.source_table end, case when t.is_told then f.source_id end, f.with_n,
      lower(f.during), upper(f.during),
      case when f.with_n is not null then format('%s would be in two classes of this list, %s', s.name, private.describe_range(f.during))
        else format('%s is already %s, %s', s.name, case when t.is_told then 'in ' || f.title else 'taken' end, private.describe_range(f.during)) end
    from found f
    join public.resources s on s.id = f.resource_id
    cross join lateral (select v_sees_all or f.resource_id = v_self as is_told) t
    union all
    select d.n, null, null, 'schedule_date', d.taken_by_table, d.taken_by_id, d.with_n, null, null,
      case when d.with_n is not null then format('%s of this schedule would be assigned twice in this list', d.occurs_on)
        else format('%s of this schedule is already %s', d.occurs_on, case d.kind when 'taken_over' then 'assigned' else d.kind end) end
    from dates d
    order by 1, 8, 3;
end;
$$;
comment on function private.assignment_clashes(public.class_assignments[]) is
  'Everything in the way of these classes (row_number counts them from 1), in the ledger and among themselves; what stands there is named as far as the caller may read it.';

create function private.refuse_clashes(p_clashes private.assignment_clash[], p_temp_ids text[] default '{}') returns void
language plpgsql stable set search_path = ''
as $$
begin
  if cardinality(p_clashes) > 0 then
    perform private.fail('time_conflict',
      p_clashes[1].message || case when cardinality(p_clashes) > 1 then format(' (and %s more)', cardinality(p_clashes) - 1) else '' end,
      p_details => jsonb_build_object('count', cardinality(p_clashes), 'conflicts', (
        select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
          'row', c.row_number - 1, 'assignment_temp_id', p_temp_ids[c.row_number], 'resource_id', c.resource_id, 'resource_name', c.resource_name,
          'conflict_type', c.conflict_type, 'with_row', c.with_row_number - 1, 'with_assignment_temp_id', p_temp_ids[c.with_row_number],
          'conflicts_with', jsonb_build_object('source_table', c.source_table, 'source_id', c.source_id, 'starts_at', c.starts_at, 'ends_at', c.ends_at),
          'message', c.message)) order by c.row_number, c.starts_at)
        from unnest(p_clashes) c
      )),
      p_hint => 'Choose another time, or somebody or somewhere else; suggest_instructors() says who is free.');
  end if;
end;
$$;
comment on function private.refuse_clashes(private.assignment_clash[], text[]) is 'Raises time_conflict naming every one of these clashes, with the caller''s own ids for the rows.';

-- sql/40_studio/rules/46_drafts.sql

-- Classes as somebody asks for them, before they are written.

-- What an asked-for class may say, and of which kind each value is.
create function private.draft_fields() returns jsonb
language sql immutable set search_path = ''
return '{"assignment_temp_id": "text", "class_type_id": "uuid", "package_id": "uuid", "instructor_id": "uuid", "location_id": "uuid",
  "date": "date", "start_time": "time", "end_time": "time", "time_zone": "text", "payment_amount": "amount", "payment_type": "text",
  "rate": "amount", "student_count": "count", "schedule_type": "text", "booking_type": "text", "notes": "text", "schedule_id": "uuid",
  "occurs_on": "date", "plan_id": "uuid"}'::jsonb;
comment on function private.draft_fields() is 'The fields of a class that create_assignments takes.';

-- A class made from a schedule is as the schedule says where nothing else is said.
create function private.read_draft(p_item jsonb) returns public.class_assignments
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row public.class_assignments := jsonb_populate_record(null::public.class_assignments, p_item - array['assignment_temp_id', 'student_count']);
  v_schedule public.class_schedules;
begin
  select s.* into v_schedule from public.class_schedules s where s.id = v_row.schedule_id;
  v_row.id := gen_random_uuid();
  v_row.class_type_id := case when p_item ? 'class_type_id' then v_row.class_type_id else v_schedule.class_type_id end;
  v_row.instructor_id := coalesce(v_row.instructor_id, v_schedule.instructor_id);
  v_row.location_id := case when p_item ? 'location_id' then v_row.location_id else v_schedule.location_id end;
  if not p_item ? 'start_time' and not p_item ? 'end_time' then
    v_row.start_time := v_schedule.start_time;
    v_row.end_time := v_schedule.end_time;
  end if;
  v_row.date := coalesce(v_row.date, v_row.occurs_on);
  v_row.occurs_on := case when v_row.schedule_id is not null then coalesce(v_row.occurs_on, v_row.date) end;
  v_row.time_zone := coalesce(private.clean_text(v_row.time_zone), v_schedule.time_zone, private.resource_time_zone(v_row.location_id));
  v_row.notes := private.clean_text(v_row.notes);
  v_row.payment_type := coalesce(v_row.payment_type, 'per_class');
  v_row.schedule_type := coalesce(case v_row.schedule_type when 'crash_course' then 'crash' else v_row.schedule_type end,
    case when v_row.schedule_id is null then 'adhoc' else 'weekly' end);
  v_row.booking_type := coalesce(v_row.booking_type, 'individual');
  v_row.class_status := 'scheduled';
  v_row.payment_status := 'pending';
  v_row.instructor_status := 'pending';
  if private.is_time_zone(v_row.time_zone) and v_row.date between date '1970-01-01' and date '2199-12-31' and v_row.start_time < v_row.end_time then
    v_row.starts_at := private.local_to_instant(v_row.date, v_row.start_time, v_row.time_zone);
    v_row.ends_at := private.local_end_to_instant(v_row.date, v_row.end_time, v_row.time_zone);
  end if;
  return v_row;
end;
$$;
comment on function private.read_draft(jsonb) is 'The class an object asks for, whose fields private.json_list_errors found nothing wrong with; a new id, and what was left out filled in.';

create function private.draft_errors(p_row public.class_assignments) returns jsonb
language sql stable security definer set search_path = ''
return private.assignment_errors(p_row, null)
  || private.input_error(p_row.class_type_id is not null and not exists (select from public.class_types t where t.id = p_row.class_type_id), 'class_type_id', 'There is no such class type')
  || private.input_error(p_row.package_id is not null and not exists (select from public.packages p where p.id = p_row.package_id), 'package_id', 'There is no such package')
  || private.input_error(p_row.location_id is not null and not exists (select from public.locations l where l.id = p_row.location_id), 'location_id', 'There is no such location')
  || private.input_error(not exists (
    select from public.class_schedules s
    where s.id = p_row.schedule_id and p_row.occurs_on <@ daterange(s.effective_from, s.effective_until, '[]')
      and extract(dow from p_row.occurs_on) = s.day_of_week
  ) and exists (select from public.class_schedules s where s.id = p_row.schedule_id), 'occurs_on', 'The schedule does not have this date')
  || private.input_error(p_row.schedule_id is not null and not exists (select from public.class_schedules s where s.id = p_row.schedule_id), 'schedule_id', 'There is no such schedule');
comment on function private.draft_errors(public.class_assignments) is 'What is wrong with an asked-for class, and with what it refers to.';

-- sql/40_studio/rules/47_changing_many.sql

-- Changing many classes in one call.

create function private.refuse_bulk(p_ids uuid[], p_field text) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if cardinality(p_ids) > private.setting_integer('bulk_limit') then
    perform private.fail('limit_exceeded', format('At most %s rows at once', private.setting_integer('bulk_limit')), p_field,
      jsonb_build_object('limit', private.setting_integer('bulk_limit')));
  end if;
end;
$$;
comment on function private.refuse_bulk(uuid[], text) is 'Raises limit_exceeded for more rows than one call may change.';

create function private.lock_assignments(p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('update:assignment');
  perform private.lock_sources('class_assignments', p_ids);
end;
$$;
comment on function private.lock_assignments(uuid[]) is 'Locks classes in the order everybody locks them in, for a holder of update:assignment.';

create function private.missing_assignments(p_ids uuid[]) returns uuid[]
language sql stable security definer set search_path = ''
return array(select u.id from unnest(p_ids) as u(id) where not exists (select from public.class_assignments a where a.id = u.id));
comment on function private.missing_assignments(uuid[]) is 'Which of these ids are no classes.';

create function private.refuse_missing(p_ids uuid[], p_field text) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_missing constant uuid[] := private.missing_assignments(p_ids);
begin
  if v_missing <> '{}' then
    perform private.fail('not_found', 'There is no such class', p_field, jsonb_build_object('missing', to_jsonb(v_missing)));
  end if;
end;
$$;
comment on function private.refuse_missing(uuid[], text) is 'Raises not_found naming the ids that are no classes.';

-- What would be in the way if these classes were changed so.
create function private.changed_clashes(p_ids uuid[], p_changes jsonb, p_days integer default 0) returns setof private.assignment_clash
language sql stable security definer set search_path = ''
begin atomic
  select c.*
  from private.assignment_clashes((
    select array_agg(t order by t.id)
    from public.class_assignments a
    cross join lateral jsonb_populate_record(a, p_changes || jsonb_build_object(
      'date', coalesce((p_changes ->> 'date')::date, a.date + p_days),
      'instructor_status', case when (p_changes ->> 'instructor_id')::uuid <> a.instructor_id then 'pending' else a.instructor_status end)) m
    cross join lateral (
      -- Where that is no zone, something else will say so.
      select private.local_to_instant(m.date, m.start_time, z.name) as starts_at, private.local_end_to_instant(m.date, m.end_time, z.name) as ends_at
      from (select case when private.is_time_zone(m.time_zone) then m.time_zone end as name) z
    ) w
    cross join lateral jsonb_populate_record(m, jsonb_build_object(
      'starts_at', case when w.starts_at < w.ends_at then w.starts_at end, 'ends_at', w.ends_at)) t
    where a.id = any(p_ids)
  )) c;
end;
comment on function private.changed_clashes(uuid[], jsonb, integer) is
  'What would be in the way of these classes (counted in the order of their ids) with these changes, so many days later.';

create function private.refuse_changed_clashes(p_ids uuid[], p_changes jsonb, p_days integer default 0) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.refuse_clashes(array(select c from private.changed_clashes(p_ids, p_changes, p_days) c),
    array(select distinct u.id::text from unnest(p_ids) as u(id) order by 1));
end;
$$;
comment on function private.refuse_changed_clashes(uuid[], jsonb, integer) is 'Raises time_conflict naming every clash these changes would bring; rows are named by their ids.';

-- sql/40_studio/rules/48_series.sql

-- Editing a class that repeats: this one, from here on, or all of it. What somebody changed by hand on a single class stays
-- as they left it, field by field; what follows its template goes along.

-- A series goes on under a schedule of its own where dates before it stay as they were, or where it changes its weekday,
-- so that every date belongs to the schedule that says so.
create function private.continue_schedule(p_schedule public.class_schedules, p_from date, p_shift integer, p_changes jsonb) returns uuid
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_next public.class_schedules;
begin
  if p_from > p_schedule.effective_from then
    update public.class_schedules s set effective_until = p_from - 1 where s.id = p_schedule.id;
  else
    update public.class_schedules s set is_active = false where s.id = p_schedule.id;
  end if;
  v_next := jsonb_populate_record(p_schedule, p_changes || '{"duration_minutes": null}');
  -- Not active yet: it takes no time until its classes have taken their dates over.
  insert into public.class_schedules (class_type_id, day_of_week, start_time, end_time, time_zone, instructor_id, location_id, max_participants,
    is_active, effective_from, effective_until, notes)
  values (v_next.class_type_id, v_next.day_of_week, v_next.start_time, v_next.end_time, v_next.time_zone, v_next.instructor_id, v_next.location_id,
    v_next.max_participants, false, greatest(p_from, p_schedule.effective_from) + p_shift, p_schedule.effective_until + p_shift, v_next.notes)
  returning * into v_next;
  insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, moved_to_date, moved_start_time, moved_end_time, reason)
  select v_next.id, e.occurs_on + p_shift, e.kind, e.moved_to_date, e.moved_start_time, e.moved_end_time, e.reason
  from public.weekly_rule_exceptions e
  where e.rule_id = p_schedule.id and e.occurs_on >= p_from and e.kind in ('cancelled', 'moved')
    and extract(dow from e.occurs_on) = p_schedule.day_of_week
    and e.occurs_on + p_shift <@ daterange(v_next.effective_from, v_next.effective_until, '[]')
  order by e.occurs_on;
  return v_next.id;
end;
$$;
comment on function private.continue_schedule(public.class_schedules, date, integer, jsonb) is
  'Ends a schedule before a date and makes the one that goes on from there, so many days later in the week, with these changes; not active yet. Its called-off and moved dates come along.';

-- Dates, classes, the rule, and everybody they take now or will take: all there is to lock, in the order everybody locks
-- it in, before anything changes.
create function private.lock_series(p_schedule_id uuid, p_from date, p_ids uuid[], p_changes jsonb) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform from public.weekly_rule_exceptions e
  where e.rule_id = p_schedule_id and e.occurs_on >= p_from
  order by e.rule_id, e.occurs_on
  for update;
  perform private.lock_sources('class_assignments', p_ids);
  perform private.lock_rules(array_remove(array[p_schedule_id], null), private.resources_of_assignments(p_ids)
    || array_remove(array[(p_changes ->> 'instructor_id')::uuid, (p_changes ->> 'location_id')::uuid], null));
end;
$$;
comment on function private.lock_series(uuid, date, uuid[], jsonb) is 'Locks a series from a date on, with what changes in it.';

-- p_template is what the classes were like; p_changes what of it changes.
create function private.change_series(
  p_ids uuid[], p_template public.class_assignments, p_changes jsonb, p_shift integer, p_schedule_id uuid
) returns setof public.class_assignments
language sql volatile security definer set search_path = ''
begin atomic
  update public.class_assignments a
  set schedule_id = coalesce(p_schedule_id, a.schedule_id),
    occurs_on = a.occurs_on + p_shift,
    date = case when f.follows_time then a.date + p_shift else a.date end,
    start_time = case when f.follows_time and p_changes ? 'start_time' then (p_changes ->> 'start_time')::time else a.start_time end,
    end_time = case when f.follows_time and p_changes ? 'end_time' then (p_changes ->> 'end_time')::time else a.end_time end,
    instructor_id = case when p_changes ? 'instructor_id' and a.instructor_id = p_template.instructor_id
      then coalesce((p_changes ->> 'instructor_id')::uuid, a.instructor_id) else a.instructor_id end,
    location_id = case when p_changes ? 'location_id' and a.location_id is not distinct from p_template.location_id
      then (p_changes ->> 'location_id')::uuid else a.location_id end,
    class_type_id = case when p_changes ? 'class_type_id' and a.class_type_id is not distinct from p_template.class_type_id
      then (p_changes ->> 'class_type_id')::uuid else a.class_type_id end,
    notes = case when p_changes ? 'notes' and a.notes is not distinct from p_template.notes then p_changes ->> 'notes' else a.notes end
  from (
    select c.id, (c.start_time, c.end_time) is not distinct from (p_template.start_time, p_template.end_time)
      and c.date = coalesce(c.occurs_on, c.date) and extract(dow from c.date) = extract(dow from p_template.date) as follows_time
    from public.class_assignments c
    where c.id = any(p_ids)
    order by c.id
  ) f
  where a.id = f.id
  returning a.*;
end;
comment on function private.change_series(uuid[], public.class_assignments, jsonb, integer, uuid) is
  'Changes classes in one statement where they are still like the template; the others keep what was changed by hand.';

create function private.edit_series(
  p_scope text, p_changes jsonb, p_assignment_id uuid, p_schedule_id uuid, p_occurs_on date
) returns table (schedule_id uuid, assignment_ids uuid[], kept jsonb)
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
  v_class public.class_assignments;
  v_schedule public.class_schedules;
  v_template public.class_assignments;
  v_from date;
  v_shift integer := 0;
  v_next_id uuid;
  v_ids uuid[];
  v_changed public.class_assignments[];
begin
  perform private.require_permission('update:assignment');
  select a.* into v_class from public.class_assignments a
  where a.id = p_assignment_id or p_assignment_id is null and a.schedule_id = p_schedule_id and a.occurs_on = p_occurs_on and a.class_status <> 'cancelled';
  if p_assignment_id is not null and not found then
    perform private.fail('not_found', 'There is no such class', 'p_assignment_id', jsonb_build_object('id', p_assignment_id));
  end if;
  select s.* into v_schedule from public.class_schedules s where s.id = coalesce(v_class.schedule_id, p_schedule_id);
  if p_schedule_id is not null and not found then
    perform private.fail('not_found', 'There is no such schedule', 'p_schedule_id', jsonb_build_object('schedule_id', p_schedule_id));
  end if;
  if v_schedule.id is null and v_class.plan_id is null and p_scope <> 'this' then
    perform private.fail('invalid_input', 'This class does not repeat', 'p_scope');
  end if;
  if v_schedule.id is not null and p_scope <> 'this' then
    perform private.require_permission('manage:schedules');
  end if;
  v_from := case p_scope when 'all' then private.today() else coalesce(v_class.occurs_on, v_class.date, p_occurs_on) end;
  if p_changes ? 'day_of_week' then
    v_shift := (p_changes ->> 'day_of_week')::integer - extract(dow from coalesce(v_class.occurs_on, v_class.date, p_occurs_on))::integer;
  end if;
  -- How its classes were, as far as they follow something.
  v_template := v_class;
  if v_schedule.id is not null then
    v_template.start_time := v_schedule.start_time;
    v_template.end_time := v_schedule.end_time;
    v_template.instructor_id := v_schedule.instructor_id;
    v_template.location_id := v_schedule.location_id;
    v_template.class_type_id := v_schedule.class_type_id;
    v_template.notes := v_schedule.notes;
    v_template.date := coalesce(v_class.occurs_on, p_occurs_on);
  end if;

  if p_scope = 'this' then
    if v_class.id is null then
      v_class := private.read_draft(jsonb_build_object('schedule_id', p_schedule_id, 'occurs_on', p_occurs_on));
      perform private.fail_input(private.draft_errors(v_class));
      -- Written as the changed class it is meant to be, so that it claims only that.
      v_class := jsonb_populate_record(v_class, p_changes - array['day_of_week', 'max_participants']);
      insert into public.class_assignments (id, class_type_id, instructor_id, location_id, date, start_time, end_time, time_zone, schedule_type, notes, schedule_id, occurs_on)
      values (v_class.id, v_class.class_type_id, v_class.instructor_id, v_class.location_id, v_class.date + v_shift, v_class.start_time, v_class.end_time,
        v_class.time_zone, 'weekly', v_class.notes, v_class.schedule_id, v_class.occurs_on);
    else
      perform private.apply_changes(array[v_class.id], (p_changes - array['day_of_week', 'max_participants'])
        || case when v_shift <> 0 then jsonb_build_object('date', v_class.date + v_shift) else '{}' end);
    end if;
    return query select v_schedule.id, array[v_class.id], '[]'::jsonb;
    return;
  end if;

  if v_from < private.today() then
    perform private.fail('illegal_transition', 'This class is past: change the series from a class to come', 'p_scope', jsonb_build_object('from', v_from));
  end if;
  if v_schedule.id is not null then
    perform from public.class_schedules s where s.id = v_schedule.id for no key update;
    select s.* into v_schedule from public.class_schedules s where s.id = v_schedule.id;
    v_from := greatest(v_from, v_schedule.effective_from);
    if v_from + v_shift < private.today() and v_shift < 0 then
      v_from := v_from + 7;
    end if;
    v_ids := array(
      select a.id from public.class_assignments a
      where a.schedule_id = v_schedule.id and a.occurs_on >= v_from and a.class_status = 'scheduled'
      order by a.id
    );
  else
    v_ids := array(
      select a.id from public.class_assignments a
      where a.plan_id = v_class.plan_id and a.date >= v_from and a.class_status = 'scheduled'
      order by a.id
    );
  end if;
  perform private.lock_series(v_schedule.id, v_from, v_ids, p_changes);
  if v_schedule.id is not null then
    if v_from > v_schedule.effective_from or v_shift <> 0 then
      v_next_id := private.continue_schedule(v_schedule, v_from, v_shift, p_changes);
    else
      update public.class_schedules s
      set (class_type_id, start_time, end_time, instructor_id, location_id, max_participants, notes)
        = (select c.class_type_id, c.start_time, c.end_time, c.instructor_id, c.location_id, c.max_participants, c.notes
          from jsonb_populate_record(v_schedule, p_changes) c)
      where s.id = v_schedule.id;
    end if;
  end if;
  v_changed := array(select c from private.change_series(v_ids, v_template, p_changes, v_shift, v_next_id) c);
  if v_next_id is not null then
    update public.class_schedules s set is_active = v_schedule.is_active where s.id = v_next_id and v_schedule.is_active;
  end if;
  return query
    select coalesce(v_next_id, v_schedule.id), v_ids, coalesce((
      select jsonb_agg(jsonb_build_object('id', c.id, 'date', c.date, 'field', k.key) order by c.date, k.key)
      from unnest(v_changed) c
      cross join lateral jsonb_object_keys(p_changes - array['day_of_week', 'max_participants']) as k(key)
      where to_jsonb(c) ->> k.key is distinct from (to_jsonb(jsonb_populate_record(c, p_changes - array['day_of_week', 'max_participants'])) ->> k.key)
    ), '[]');
end;
$$;
comment on function private.edit_series(text, jsonb, uuid, uuid, date) is 'What public.edit_repeating_class does, for a holder of update:assignment, and of manage:schedules for more than one class.';

-- sql/40_studio/rules/50_serving.sql

-- What links between classes and bookings bring about: room for so many, and the bookings' status.
--
-- Whoever changes links or classes locks the classes, then the bookings, each in order, and reads in a later statement: of
-- two who act on one booking at once, the second sees what the first did.

create function private.max_participants(p_assignment_id uuid) returns integer
language sql stable security definer set search_path = ''
return (
  select coalesce(s.max_participants, t.max_participants)
  from public.class_assignments a
  left join public.class_schedules s on s.id = a.schedule_id
  left join public.class_types t on t.id = coalesce(a.class_type_id, s.class_type_id)
  where a.id = p_assignment_id
);
comment on function private.max_participants(uuid) is 'How many bookings a class can serve: as its schedule says, else its class type; null where neither does.';

create view private.participant_counts as
select a.id as assignment_id, count(*)::integer as participants
from public.class_assignments a
join public.assignment_bookings l on l.assignment_id = a.id
join public.bookings b on b.booking_id = l.booking_id and b.status <> 'cancelled'
where a.class_status <> 'cancelled'
group by a.id;
comment on view private.participant_counts is 'How many bookings each class serves, those that were cancelled left out.';

create function private.refuse_overfull(p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_full record;
begin
  select a.id, a.date, c.participants, private.max_participants(a.id) as room into v_full
  from public.class_assignments a
  join private.participant_counts c on c.assignment_id = a.id
  where a.id = any(p_ids) and c.participants > private.max_participants(a.id)
  order by a.date, a.id
  limit 1;
  if found then
    perform private.fail('seats_full', format('The class on %s has room for %s', v_full.date, v_full.room), 'booking_id',
      jsonb_build_object('assignment_id', v_full.id, 'limit', v_full.room, 'asked', v_full.participants));
  end if;
end;
$$;
comment on function private.refuse_overfull(uuid[]) is
  'Raises seats_full when one of these classes, which the caller has locked, serves more bookings than it has room for.';

create function private.confirm_bookings(p_booking_ids text[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform from public.bookings b where b.booking_id = any(p_booking_ids) order by b.booking_id for no key update;
  update public.bookings b
  set status = w.status
  from (
    select u.booking_id, case when private.is_served(u.booking_id) then 'confirmed' else 'pending' end as status
    from unnest(p_booking_ids) as u(booking_id)
  ) w
  where b.booking_id = w.booking_id and b.status in ('pending', 'confirmed') and b.status <> w.status;
end;
$$;
comment on function private.confirm_bookings(text[]) is 'Makes these bookings confirmed or pending, as the classes say; ended ones stay.';

-- An import brings classes and bookings that ended elsewhere, with the links they had there. It says so here, before it
-- writes them, and takes it back; nobody else can.
create table private.brought_links (
  assignment_id uuid not null,
  booking_id text not null,
  primary key (assignment_id, booking_id)
);
comment on table private.brought_links is 'Links to ended bookings that the import under way brings along; empty but for then.';

create function private.follow_links() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_new public.assignment_bookings[];
  v_booking_ids text[];
  v_ended text;
begin
  if tg_op = 'TRUNCATE' then
    perform private.fail('forbidden', 'assignment_bookings cannot be truncated: bookings depend on it',
      p_hint => 'Delete the rows: the bookings follow.');
  end if;
  execute case tg_op
      when 'INSERT' then 'select array_agg(n), array_agg(distinct n.booking_id) from new_rows n'
      when 'DELETE' then 'select null, array_agg(distinct o.booking_id) from old_rows o'
      else 'select (select array_agg(n) from new_rows n),
        (select array_agg(u.booking_id) from (select booking_id from new_rows union select booking_id from old_rows) u)'
    end into v_new, v_booking_ids;
  if v_booking_ids is null then
    return null;
  end if;
  if v_new is not null then
    perform private.lock_sources('class_assignments', array(select n.assignment_id from unnest(v_new) n));
    perform private.refuse_overfull(array(select n.assignment_id from unnest(v_new) n));
  end if;
  perform private.confirm_bookings(v_booking_ids);
  if tg_op <> 'DELETE' then
    select b.booking_id into v_ended
    from public.bookings b
    where b.status in ('completed', 'cancelled') and b.booking_id in (
      select n.booking_id from unnest(v_new) n
      where not exists (select from private.brought_links l where l.assignment_id = n.assignment_id and l.booking_id = n.booking_id)
    )
    order by b.booking_id
    limit 1;
    if found then
      perform private.fail('illegal_transition', format('Booking %s has ended: no class can serve it', v_ended), 'booking_id',
        jsonb_build_object('booking_id', v_ended));
    end if;
  end if;
  return null;
end;
$$;
comment on function private.follow_links() is
  'Statement trigger on assignment_bookings: refuses more than a class has room for and ended bookings, and makes the bookings follow.';

create trigger t00_read_committed before insert or update or delete on public.assignment_bookings
  for each statement execute function private.refuse_other_isolation();
create trigger t00_no_truncate before truncate on public.assignment_bookings
  for each statement execute function private.follow_links();
create trigger t50_follow_insert after insert on public.assignment_bookings
  referencing new table as new_rows for each statement execute function private.follow_links();
create trigger t50_follow_update after update on public.assignment_bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_links();
create trigger t50_follow_delete after delete on public.assignment_bookings
  referencing old table as old_rows for each statement execute function private.follow_links();

-- A class that is cancelled serves nobody any more; one that gets another type or schedule may have less room.
create function private.follow_served_class() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_booking_ids text[];
begin
  select array_agg(n.id) filter (where (n.class_type_id, n.schedule_id) is distinct from (o.class_type_id, o.schedule_id)
      and n.class_status = 'scheduled' and n.date >= private.today()),
    array_agg(l.booking_id) filter (where n.class_status = 'cancelled' and o.class_status <> 'cancelled')
  into v_ids, v_booking_ids
  from new_rows n
  join old_rows o on o.id = n.id
  left join public.assignment_bookings l on l.assignment_id = n.id
  where (n.class_type_id, n.schedule_id) is distinct from (o.class_type_id, o.schedule_id)
    or n.class_status = 'cancelled' and o.class_status <> 'cancelled';
  if v_ids is not null then
    perform private.refuse_overfull(v_ids);
  end if;
  if v_booking_ids is not null then
    perform private.confirm_bookings(array_remove(v_booking_ids, null));
  end if;
  return null;
end;
$$;
comment on function private.follow_served_class() is 'Statement trigger on class_assignments: bookings of cancelled classes follow, and a coming class is not moved to where it has less room than it needs.';

create trigger t70_follow_served after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_served_class();

-- Less room is refused while coming classes need more. Whoever links a booking holds the lock on the class, and whoever
-- writes a class one on its class type and schedule (their foreign keys take it), which the strongest lock waits for; what
-- they did is seen by the statement after the locks. Before the row changes, since resources are locked later.
create function private.keep_room() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_full record;
begin
  if tg_table_name = 'class_schedules' then
    perform from public.class_schedules s where s.id = new.id for update;
  else
    perform from public.class_types t where t.id = new.id for update;
  end if;
  v_ids := array(
    select a.id
    from public.class_assignments a
    left join public.class_schedules s on s.id = a.schedule_id
    where (case tg_table_name when 'class_schedules' then s.id = new.id
        else coalesce(a.class_type_id, s.class_type_id) = new.id and s.max_participants is null end)
      and a.class_status = 'scheduled' and a.date >= private.today()
  );
  perform private.lock_sources('class_assignments', v_ids);
  select a.id, a.date, c.participants, m.room into v_full
  from public.class_assignments a
  join private.participant_counts c on c.assignment_id = a.id
  cross join lateral (
    select case tg_table_name
      when 'class_types' then new.max_participants
      else coalesce(new.max_participants, (
        select t.max_participants from public.class_types t
        where t.id = coalesce(a.class_type_id, (to_jsonb(new) ->> 'class_type_id')::uuid)
      ))
    end as room
  ) m
  where a.id = any(v_ids) and c.participants > m.room
  order by c.participants desc, a.date
  limit 1;
  if found then
    perform private.fail('seats_full', format('%s take part on %s', v_full.participants, v_full.date), 'max_participants',
      jsonb_build_object('assignment_id', v_full.id, 'asked', v_full.participants, 'limit', v_full.room));
  end if;
  return new;
end;
$$;
comment on function private.keep_room() is 'Row trigger on class_types and class_schedules: room for fewer than take part in a coming class is refused.';

create trigger t30_keep_room before update of max_participants on public.class_types
  for each row when (new.max_participants < old.max_participants) execute function private.keep_room();
create trigger t30_keep_room before update of max_participants, class_type_id on public.class_schedules
  for each row when ((new.max_participants, new.class_type_id) is distinct from (old.max_participants, old.class_type_id))
  execute function private.keep_room();

-- sql/40_studio/rules/55_credits.sql

-- Bookings that use credits: each class that serves one uses one, of what the customer bought, on the class's day. It
-- comes back when the class is called off, or when the customer cancels in time. Purchases are locked last, in the order
-- of their owners.

create function private.return_link_credits(p_link_ids uuid[], p_by_customer boolean) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.return_credit('assignment_bookings', u.source_id, u.starts_at)
  from (
    select e.source_id, case when p_by_customer then a.starts_at end as starts_at
    from public.credit_entries e
    join public.package_purchases p on p.id = e.purchase_id
    left join public.assignment_bookings l on l.id = e.source_id
    left join public.class_assignments a on a.id = l.assignment_id
    where e.source_id = any(p_link_ids) and e.source_table = 'assignment_bookings' and e.kind = 'used'
    order by p.profile_id, e.source_id
    offset 0
  ) u;
end;
$$;
comment on function private.return_link_credits(uuid[], boolean) is
  'Gives back the credits these links use: all of them, or, where the customer cancelled, those whose class is far enough ahead.';

create function private.use_link_credits() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.use_credit(b.profile_id, b.class_package_id, b.date, 'assignment_bookings', b.link_id)
  from (
    select b.profile_id, b.class_package_id, a.date, n.id as link_id
    from new_rows n
    join public.bookings b on b.booking_id = n.booking_id and b.uses_credits and b.status <> 'cancelled'
    join public.class_assignments a on a.id = n.assignment_id and a.class_status <> 'cancelled'
    order by b.profile_id, n.id
    offset 0
  ) b;
  return null;
end;
$$;
comment on function private.use_link_credits() is 'Statement trigger on assignment_bookings: a booking that uses credits uses one for each class.';

-- Whoever takes a booking off a class that stands cancels for the customer; a class that goes takes its links along, and
-- costs nobody a credit. One that moves to the archive keeps what it used.
create function private.return_credits_of_links() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if tg_op = 'DELETE' then
    perform private.return_credit('assignment_bookings', u.id, u.starts_at)
    from (
      select o.id, case when a.class_status <> 'cancelled' then a.starts_at end as starts_at
      from old_rows o
      join public.bookings b on b.booking_id = o.booking_id
      left join public.class_assignments a on a.id = o.assignment_id
      where not exists (select from public.class_assignments_archive r where r.id = o.assignment_id)
      order by b.profile_id, o.id
      offset 0
    ) u;
  else
    perform private.return_credit('assignment_bookings', u.id, u.starts_at)
    from (
      select o.id, case when a.class_status <> 'cancelled' then a.starts_at end as starts_at
      from old_rows o
      join public.bookings b on b.booking_id = o.booking_id
      left join public.class_assignments a on a.id = o.assignment_id
      where not exists (
        select from new_rows n where n.id = o.id and n.assignment_id = o.assignment_id and n.booking_id = o.booking_id
      )
      order by b.profile_id, o.id
      offset 0
    ) u;
  end if;
  return null;
end;
$$;
comment on function private.return_credits_of_links() is
  'Statement trigger on assignment_bookings: the credit comes back, unless the class stands and the customer is late; archiving keeps it used.';

create trigger t60_return_credits_update after update on public.assignment_bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.return_credits_of_links();
create trigger t60_return_credits_delete after delete on public.assignment_bookings
  referencing old table as old_rows for each statement execute function private.return_credits_of_links();
create trigger t65_use_credits_insert after insert on public.assignment_bookings
  referencing new table as new_rows for each statement execute function private.use_link_credits();
create trigger t65_use_credits_update after update on public.assignment_bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.use_link_credits();

create function private.follow_class_with_credits() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.return_link_credits(array(
    select l.id
    from new_rows n
    join old_rows o on o.id = n.id and o.class_status <> 'cancelled'
    join public.assignment_bookings l on l.assignment_id = n.id
    where n.class_status = 'cancelled'
  ), false);
  perform private.use_credit(u.profile_id, u.class_package_id, u.date, 'assignment_bookings', u.id)
  from (
    select b.profile_id, b.class_package_id, n.date, l.id
    from new_rows n
    join old_rows o on o.id = n.id and o.date <> n.date
    join public.assignment_bookings l on l.assignment_id = n.id
    join public.bookings b on b.booking_id = l.booking_id and b.uses_credits and b.status <> 'cancelled'
    where n.class_status <> 'cancelled'
    order by b.profile_id, l.id
    offset 0
  ) u;
  return null;
end;
$$;
comment on function private.follow_class_with_credits() is
  'Statement trigger on class_assignments: a class that is called off costs nobody a credit; one that moves to another day uses one that is good then.';

create trigger t80_follow_with_credits after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_class_with_credits();

create function private.return_credits_of_booking() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.return_link_credits(array(
    select l.id
    from public.assignment_bookings l
    join public.class_assignments a on a.id = l.assignment_id and a.class_status = 'scheduled'
    where l.booking_id = new.booking_id
  ), true);
  return null;
end;
$$;
comment on function private.return_credits_of_booking() is 'Row trigger on bookings: cancelling in time gives back the credits of classes to come.';

create trigger t60_return_credits after update of status on public.bookings
  for each row when (new.status = 'cancelled' and old.status <> 'cancelled') execute function private.return_credits_of_booking();

-- sql/40_studio/rules/60_calculation.sql

-- What a rate buys: the one place that turns rates into amounts. Exact decimals throughout.

create function private.payment_errors(
  p_payment_type text, p_rate numeric, p_class_count integer, p_student_count integer, p_minutes integer, p_months integer
) returns jsonb
language sql immutable parallel safe set search_path = ''
return private.input_error(
    coalesce(p_payment_type, '') not in ('per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class'),
    'p_payment_type', 'A payment type is per_class, monthly, per_member, total_duration, per_class_total or per_student_per_class')
  || private.input_error(p_rate is null, 'p_rate', 'Say at which rate')
  || private.input_error(p_rate <= 0, 'p_rate', 'A rate is above zero')
  -- NaN and Infinity are above everything.
  || private.input_error(p_rate > 9999999999.99, 'p_rate', 'A rate is at most 9999999999.99')
  || private.input_error(coalesce(p_class_count, 0) not between 1 and 1000, 'p_class_count', 'A plan has 1 to 1000 classes')
  || private.input_error(
    p_payment_type in ('per_member', 'per_student_per_class') and coalesce(p_student_count, 0) not between 1 and 10000,
    'p_student_count', 'Say how many take part: 1 to 10000')
  || private.input_error(p_minutes < 0, 'p_minutes', 'A plan does not last less than no time')
  || private.input_error(p_payment_type = 'monthly' and p_months not between 1 and 120, 'p_months', 'A plan lasts 1 to 120 months');
comment on function private.payment_errors(text, numeric, integer, integer, integer, integer) is
  'What is wrong with asking for a payment, for private.fail_input; what the payment type does not need may be anything.';

create function private.split_amount(p_total numeric, p_parts integer) returns numeric[]
language sql immutable strict parallel safe set search_path = ''
return array(
  select round((div(p_total * 100, p_parts) + (n.position <= mod(p_total * 100, p_parts))::integer) / 100, 2)
  from generate_series(1, p_parts) as n(position)
  order by n.position
);
comment on function private.split_amount(numeric, integer) is
  'An amount in whole cents in so many parts that add up to it and differ by a cent at most; the first ones get the cents that are left over.';

create function private.class_amounts(
  p_payment_type text, p_rate numeric, p_class_count integer, p_student_count integer, p_minutes integer, p_months integer
) returns numeric[]
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
  v_amounts numeric[];
begin
  perform private.fail_input(private.payment_errors(p_payment_type, p_rate, p_class_count, p_student_count, p_minutes, p_months));
  v_amounts := case p_payment_type
    when 'per_class' then array_fill(round(p_rate, 2), array[p_class_count])
    when 'per_student_per_class' then array_fill(round(p_rate * p_student_count, 2), array[p_class_count])
    else private.split_amount(round(p_rate * case p_payment_type
        when 'per_class_total' then p_class_count
        when 'monthly' then coalesce(p_months, 1)
        when 'per_member' then p_student_count
        when 'total_duration' then 1
      end, 2), p_class_count)
  end;
  perform private.fail_input(private.input_error(v_amounts[1] > 9999999999.99, 'p_rate', 'A class costs at most 9999999999.99'));
  return v_amounts;
end;
$$;
comment on function private.class_amounts(text, numeric, integer, integer, integer, integer) is
  'What each class of a plan is paid, in their order; see public.calculate_payment().';

-- A month's rate is split over the classes of that month, whatever the other months hold.
create function private.plan_amounts(
  p_payment_type text,
  p_rate numeric,
  p_dates date[],
  p_student_count integer default null,
  p_minutes integer default null,
  p_months integer default null
) returns numeric[]
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
  perform private.fail_input(
    private.payment_errors(p_payment_type, p_rate, cardinality(p_dates), p_student_count, p_minutes, p_months)
    || private.input_error(array_position(p_dates, null) is not null, 'p_dates', 'Each class has a date'));
  return (
    with dated as (
      select d.n, d.date, case when p_payment_type = 'monthly' and p_months is null then date_trunc('month', d.date::timestamp) end as month
      from unnest(p_dates) with ordinality as d(date, n)
    ),
    classes as (
      select d.n, d.month, row_number() over (partition by d.month order by d.date, d.n) as position from dated d
    ),
    parts as (
      select c.month, private.class_amounts(p_payment_type, p_rate, count(*)::integer, p_student_count, p_minutes, p_months) as amounts
      from classes c
      group by c.month
    )
    select array_agg(p.amounts[c.position] order by c.n)
    from classes c
    join parts p on p.month is not distinct from c.month
  );
end;
$$;
comment on function private.plan_amounts(text, numeric, date[], integer, integer, integer) is
  'What each class of a plan on these dates is paid, in the order of the dates given. Cents left over go to the earlier dates. A monthly rate is paid for each calendar month that has classes, split over those; or, where p_months says how many months were agreed, for so many, split over all.';

-- sql/40_studio/rules/65_rates.sql

-- Instructors' rates, and how the rate in force on the day is frozen on a class.

create function private.check_rate() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_other public.instructor_rates;
begin
  -- Before anything is said of other rates: policies are asked after this.
  if tg_op = 'INSERT' then
    perform private.require_permission('manage:pay');
  end if;
  perform private.fail_input(
    private.input_error(new.instructor_id is null, 'instructor_id', 'Say whose rate it is')
    || private.input_error(coalesce(new.payment_type, '') not in (
        'per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class'), 'payment_type',
      'A payment type is per_class, monthly, per_member, total_duration, per_class_total or per_student_per_class')
    || private.input_error(new.rate is null, 'rate', 'Say how much')
    || private.input_error(new.rate <= 0, 'rate', 'A rate is above zero')
    || private.input_error(new.rate = 'NaN', 'rate', 'A rate is a number')
    || private.input_error(new.effective_from is null, 'effective_from', 'Say from when')
    || private.input_error(new.effective_from not between date '1970-01-01' and date '2199-12-31', 'effective_from', 'A date lies between 1970 and 2199')
    || private.input_error(new.effective_until not between date '1970-01-01' and date '2199-12-31', 'effective_until', 'A date lies between 1970 and 2199')
    || private.input_error(new.effective_until < new.effective_from, 'effective_until', 'The last day must not be before the first')
  );
  -- Of two at once the exclusion constraint refuses the second.
  select r.* into v_other from public.instructor_rates r
  where r.instructor_id = new.instructor_id and r.payment_type = new.payment_type and r.id <> new.id
    and r.class_type_id is not distinct from new.class_type_id
    and daterange(r.effective_from, r.effective_until, '[]') && daterange(new.effective_from, new.effective_until, '[]')
  order by r.effective_from
  limit 1;
  if found then
    perform private.fail('duplicate', format('There is a rate for this from %s %s', v_other.effective_from, coalesce('to ' || v_other.effective_until, 'on')),
      'effective_from', jsonb_build_object('rate_id', v_other.id, 'effective_from', v_other.effective_from, 'effective_until', v_other.effective_until),
      'Let the other one end the day before: set its effective_until.');
  end if;
  return new;
end;
$$;
comment on function private.check_rate() is
  'Row trigger: names every bad field of a rate, and the one that is in force already.';

create trigger t10_keep_version before update on public.instructor_rates
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.instructor_rates
  for each row execute function private.check_rate();

create function private.rate_for(p_instructor_id uuid, p_class_type_id uuid, p_payment_type text, p_on date)
returns public.instructor_rates
language sql stable security definer set search_path = ''
begin atomic
  select r.*
  from public.instructor_rates r
  where r.instructor_id = p_instructor_id and r.payment_type = p_payment_type
    and (r.class_type_id = p_class_type_id or r.class_type_id is null)
    and daterange(r.effective_from, r.effective_until, '[]') @> p_on
  order by r.class_type_id nulls last
  limit 1;
end;
comment on function private.rate_for(uuid, uuid, text, date) is
  'The rate of an instructor in force on a day: the one for the class type before the one for all; null where there is none.';

-- Fires after the triggers that fill in and check a class, and before what keeps closed periods, which has to see the
-- amount it comes to. Only types that pay class by class have an amount without knowing the whole plan.
create function private.freeze_rate() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_pays_by_class constant boolean := new.payment_type in ('per_class', 'per_class_total');
  v_follows boolean := false;
  v_rate public.instructor_rates;
begin
  if tg_op = 'UPDATE' and new.rate_id = old.rate_id then
    v_follows := new.payment_amount = old.payment_amount
      and (new.instructor_id, new.date, new.class_type_id, new.payment_type)
        is distinct from (old.instructor_id, old.date, old.class_type_id, old.payment_type);
    -- Another amount was agreed on, which no rate explains any more.
    if new.payment_amount <> old.payment_amount then
      new.rate_id := null;
      new.rate := nullif(new.rate, old.rate);
    end if;
  elsif new.rate_id is not null and new.payment_amount is not null then
    perform private.fail_input(private.input_error(
      not exists (select from public.instructor_rates r where r.id = new.rate_id and r.instructor_id = new.instructor_id),
      'rate_id', 'This is no rate of the instructor''s'));
  end if;
  if new.payment_amount is not null and not v_follows then
    return new;
  end if;
  if new.payment_amount is null and v_pays_by_class and new.rate is not null and (tg_op = 'INSERT' or new.rate is distinct from old.rate) then
    new.rate_id := null;
    new.payment_amount := new.rate;
    return new;
  end if;
  if v_pays_by_class then
    v_rate := private.rate_for(new.instructor_id, new.class_type_id, new.payment_type, new.date);
  end if;
  new.rate_id := v_rate.id;
  new.rate := coalesce(v_rate.rate, new.rate);
  new.payment_amount := coalesce(v_rate.rate, new.payment_amount, 0);
  return new;
end;
$$;
comment on function private.freeze_rate() is
  'Row trigger: an amount left out is what the instructor''s rate says on that day, frozen; a frozen one is taken anew when somebody else teaches, or another class or day.';

create trigger t27_freeze_rate before insert or update on public.class_assignments
  for each row execute function private.freeze_rate();

-- After the row is there, since not every row that was tried gets there. What classes of a plan are paid at a rate that
-- was given is written down by set_assignment_pay(), which knows the whole plan.
create function private.keep_rate_calculation() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into public.payment_calculations (assignment_id, method, original_amount, calculated_amount, inputs, calculated_by)
  values (new.id, new.payment_type, case tg_op when 'UPDATE' then old.payment_amount else 0 end, new.payment_amount,
    jsonb_build_object('rate', new.rate, 'rate_id', new.rate_id, 'class_count', 1, 'minutes',
      coalesce(round(extract(epoch from new.ends_at - new.starts_at) / 60), 0), 'total', new.payment_amount, 'position', 1),
    private.caller_id());
  return null;
end;
$$;
comment on function private.keep_rate_calculation() is 'Row trigger: writes down each amount that came from a rate for one class.';

create trigger t60_keep_calculation after insert on public.class_assignments
  for each row when (
    new.payment_type in ('per_class', 'per_class_total') and new.rate = new.payment_amount
    and (new.rate_id is not null or new.plan_id is null)
  )
  execute function private.keep_rate_calculation();
create trigger t60_keep_calculation_anew after update on public.class_assignments
  for each row when (
    new.payment_type in ('per_class', 'per_class_total') and new.rate = new.payment_amount
    and (new.rate_id is not null or new.plan_id is null)
    and (new.payment_type, new.rate, new.rate_id, new.plan_id, new.payment_amount)
      is distinct from (old.payment_type, old.rate, old.rate_id, old.plan_id, old.payment_amount)
  )
  execute function private.keep_rate_calculation();

create trigger t10_only_added_to before update or delete or truncate on public.payment_calculations
  for each statement execute function private.refuse_statement('payment_calculations is only ever added to');

-- sql/40_studio/rules/70_pay_periods.sql

-- Pay periods: closed and reopened by events, and nothing that is paid for changes while closed.
--
-- Closing waits for everybody who is writing classes, and whoever writes after it asks for the period's status in a
-- statement of their own, which sees it closed. Everybody who closes locks the classes first, then the period.

create function private.check_pay_period() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_other public.pay_periods;
  v_kind text := (select e.kind from public.pay_period_events e where e.pay_period_id = new.id order by e.event_no desc limit 1);
begin
  -- Before anything is said of other periods: policies are asked after this.
  if tg_op = 'INSERT' then
    perform private.require_permission('manage:pay');
  end if;
  new.name := private.clean_text(new.name);
  perform private.fail_input(
    private.input_error(new.name is null, 'name', 'Say what it is called')
    || private.input_error(length(new.name) > 200, 'name', 'A name has at most 200 characters')
    || private.input_error(new.starts_on is null, 'starts_on', 'Say on which day it starts')
    || private.input_error(new.ends_on is null, 'ends_on', 'Say on which day it ends')
    || private.input_error(new.starts_on not between date '1970-01-01' and date '2199-12-31', 'starts_on', 'A date lies between 1970 and 2199')
    || private.input_error(new.ends_on not between date '1970-01-01' and date '2199-12-31', 'ends_on', 'A date lies between 1970 and 2199')
    || private.input_error(new.ends_on < new.starts_on, 'ends_on', 'The last day must not be before the first')
  );
  if (new.status = 'closed') is distinct from coalesce(v_kind = 'closed', false) then
    perform private.fail('illegal_transition', format('The status of %s follows from what was recorded of it', new.name), 'status',
      jsonb_build_object('pay_period_id', new.id, 'to', new.status), 'Call close_pay_period or reopen_pay_period.');
  end if;
  if tg_op = 'UPDATE' and old.status = 'closed' and (new.id, new.name, new.starts_on, new.ends_on) is distinct from (old.id, old.name, old.starts_on, old.ends_on) then
    perform private.fail('illegal_transition', format('The pay period %s is closed: its name and days stay', old.name), 'status',
      jsonb_build_object('pay_period_id', old.id), 'Reopen it with reopen_pay_period, which asks for a reason.');
  end if;
  -- Of two at once the constraints refuse the second.
  select p.* into v_other from public.pay_periods p
  where p.id <> new.id and (p.name = new.name or daterange(p.starts_on, p.ends_on, '[]') && daterange(new.starts_on, new.ends_on, '[]'))
  order by p.name = new.name desc, p.starts_on
  limit 1;
  if found then
    perform private.fail('duplicate', case when v_other.name = new.name then format('There is a pay period called %s', v_other.name)
        else format('%s already covers %s to %s', v_other.name, v_other.starts_on, v_other.ends_on) end,
      case when v_other.name = new.name then 'name' else 'starts_on' end,
      jsonb_build_object('pay_period_id', v_other.id, 'starts_on', v_other.starts_on, 'ends_on', v_other.ends_on));
  end if;
  return new;
end;
$$;
comment on function private.check_pay_period() is
  'Row trigger: names every bad field; the status is what the events say, and a closed period keeps its name and days.';

create function private.keep_recorded_period() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if exists (select from public.pay_period_events e where e.pay_period_id = old.id) then
    perform private.fail('illegal_transition', format('The pay period %s was closed before: it stays', old.name), 'id',
      jsonb_build_object('pay_period_id', old.id));
  end if;
  return old;
end;
$$;
comment on function private.keep_recorded_period() is 'Row trigger: a period that was ever closed is not deleted.';

create trigger t10_keep_version before update on public.pay_periods
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.pay_periods
  for each row execute function private.check_pay_period();
create trigger t20_keep_recorded before delete on public.pay_periods
  for each row execute function private.keep_recorded_period();

create function private.check_pay_period_event() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_period public.pay_periods;
  v_scheduled integer;
begin
  perform private.require_permission('manage:pay');
  perform private.require_read_committed();
  new.reason := private.clean_text(new.reason);
  if private.caller_id() is not null then
    new.recorded_by := private.caller_id();
    new.created_at := private.now();
  end if;
  perform private.fail_input(
    private.input_error(coalesce(new.kind, '') not in ('closed', 'reopened'), 'kind', 'A pay period is closed or reopened')
    || private.input_error(new.kind = 'reopened' and new.reason is null, 'reason', 'Say why')
    || private.input_error(length(new.reason) > 1000, 'reason', 'A reason has at most 1000 characters')
  );
  if new.kind = 'closed' then
    -- Lets readers go on, and waits for whoever wrote a class and has not ended. In the order in which classes are moved
    -- to the archive.
    lock table public.class_assignments_archive, public.class_assignments in share row exclusive mode;
  end if;
  select p.* into v_period from public.pay_periods p where p.id = new.pay_period_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such pay period', 'pay_period_id', jsonb_build_object('pay_period_id', new.pay_period_id));
  end if;
  if (v_period.status = 'closed') = (new.kind = 'closed') then
    perform private.fail('illegal_transition', format('The pay period %s is %s already', v_period.name, v_period.status), 'kind',
      jsonb_build_object('pay_period_id', v_period.id, 'from', v_period.status, 'to', case new.kind when 'closed' then 'closed' else 'open' end));
  end if;
  if new.kind = 'closed' then
    select count(*) into v_scheduled from public.class_assignments a
    where a.date between v_period.starts_on and v_period.ends_on and a.class_status = 'scheduled';
    if v_scheduled > 0 then
      perform private.fail('illegal_transition',
        format('%s of the classes in %s %s still scheduled', v_scheduled, v_period.name, case v_scheduled when 1 then 'is' else 'are' end), 'kind',
        jsonb_build_object('pay_period_id', v_period.id, 'scheduled', v_scheduled), 'Complete, move or cancel them first.');
    end if;
  end if;
  new.event_no := 1 + coalesce((select max(e.event_no) from public.pay_period_events e where e.pay_period_id = v_period.id), 0);
  return new;
end;
$$;
comment on function private.check_pay_period_event() is
  'Row trigger: holders of manage:pay close what is open, once nothing in it is still scheduled, and reopen what is closed, with a reason.';

create function private.follow_pay_period_event() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.pay_periods p set status = case new.kind when 'closed' then 'closed' else 'open' end where p.id = new.pay_period_id;
  return null;
end;
$$;
comment on function private.follow_pay_period_event() is 'Row trigger: a period is what its last event says.';

create trigger t10_only_added_to before update or delete or truncate on public.pay_period_events
  for each statement execute function private.refuse_statement('pay_period_events is only ever added to');
create trigger t20_check before insert on public.pay_period_events
  for each row execute function private.check_pay_period_event();
create trigger t50_follow after insert on public.pay_period_events
  for each row execute function private.follow_pay_period_event();

create function private.pay_facts(p_row jsonb) returns jsonb
language sql immutable strict set search_path = ''
return (
  select jsonb_object_agg(f.name, p_row -> f.name)
  from unnest(array[
    'id', 'instructor_id', 'date', 'start_time', 'end_time', 'payment_amount', 'payment_type', 'payment_status', 'class_status', 'rate', 'rate_id'
  ]) as f(name)
);
comment on function private.pay_facts(jsonb) is 'Of a class, what it is paid for by.';

-- After the row is written, so that it sees what other triggers made of it. Volatile, so that it sees a period closed
-- while the statement waited. A class that stands in both tables alike is being moved from one to the other.
create function private.keep_closed_periods() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_period public.pay_periods;
  v_facts jsonb;
  v_twin jsonb;
begin
  perform private.require_read_committed();
  select p.* into v_period from public.pay_periods p
  where p.status = 'closed'
    and (tg_op <> 'INSERT' and old.date between p.starts_on and p.ends_on or tg_op <> 'DELETE' and new.date between p.starts_on and p.ends_on)
  limit 1;
  if not found then
    return null;
  end if;
  if tg_op <> 'UPDATE' then
    v_facts := private.pay_facts(case tg_op when 'INSERT' then to_jsonb(new) else to_jsonb(old) end);
    if tg_table_name = 'class_assignments' then
      v_twin := (select private.pay_facts(to_jsonb(a)) from public.class_assignments_archive a where a.id = (v_facts ->> 'id')::uuid);
    else
      v_twin := (select private.pay_facts(to_jsonb(a)) from public.class_assignments a where a.id = (v_facts ->> 'id')::uuid);
    end if;
    if v_twin = v_facts then
      return null;
    end if;
  end if;
  perform private.fail('illegal_transition',
    format('The pay period %s is closed: its classes are neither added, removed nor changed', v_period.name),
    'date', jsonb_build_object('id', case tg_op when 'INSERT' then new.id else old.id end, 'pay_period_id', v_period.id,
      'pay_period', v_period.name),
    'Reopen it with reopen_pay_period, which asks for a reason.');
  return null;
end;
$$;
comment on function private.keep_closed_periods() is
  'Row trigger: in a closed pay period no class comes, goes, or changes who, when, its status or its pay; notes may.';

-- Everything else is refused in the archive whatever the period.
create trigger t30_keep_closed_periods after insert or delete on public.class_assignments
  for each row execute function private.keep_closed_periods();
create trigger t30_keep_closed_periods after insert on public.class_assignments_archive
  for each row execute function private.keep_closed_periods();
create trigger t30_keep_closed_periods_on_update after update on public.class_assignments
  for each row when (
    (old.id, old.instructor_id, old.date, old.start_time, old.end_time, old.payment_amount, old.payment_type, old.payment_status,
      old.class_status, old.rate, old.rate_id)
    is distinct from
    (new.id, new.instructor_id, new.date, new.start_time, new.end_time, new.payment_amount, new.payment_type, new.payment_status,
      new.class_status, new.rate, new.rate_id)
  )
  execute function private.keep_closed_periods();

-- sql/40_studio/rules/75_numbers.sql

-- What pay and analytics ask in common.

-- Whose numbers the caller gets: null is everybody's.
create function private.numbers_of(p_instructor_ids uuid[]) returns uuid[]
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_self constant uuid := private.current_profile_id();
begin
  if private.has_permission('read:analytics') then
    return p_instructor_ids;
  end if;
  perform private.require_permission('read:own_analytics');
  return case when p_instructor_ids is null or v_self = any(p_instructor_ids) then array_remove(array[v_self], null) else '{}' end;
end;
$$;
comment on function private.numbers_of(uuid[]) is
  'Of the instructors asked for (null: all) those whose numbers the caller gets: with read:analytics all of them, with read:own_analytics themselves. Raises forbidden without either.';

create function private.days_errors(p_from date, p_to date, p_from_field text, p_to_field text) returns jsonb
language sql immutable set search_path = ''
return private.input_error(p_from is null, p_from_field, 'Say from which day')
  || private.input_error(p_to is null, p_to_field, 'Say to which day')
  || private.input_error(p_to < p_from, p_to_field, 'The last day must not be before the first')
  || private.input_error(not isfinite(p_from), p_from_field, 'Say from which day')
  || private.input_error(not isfinite(p_to), p_to_field, 'Say to which day');
comment on function private.days_errors(date, date, text, text) is 'What is wrong with a stretch of days.';

-- sql/40_studio/rules/80_archive.sql

-- The archive: what is long over is moved out of the way, with its links, its pay and what its bookings became.

-- A row is there once. Whoever moves it deletes the live one in the same transaction, and the triggers that see it go
-- find it in the archive already.
create function private.keep_archived_apart() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if exists (select from public.class_assignments_archive r where r.id = new.id) then
    perform private.fail('duplicate', 'This class is in the archive', 'id', jsonb_build_object('id', new.id));
  end if;
  return new;
end;
$$;
comment on function private.keep_archived_apart() is 'Row trigger on class_assignments: what was archived does not come again.';

create trigger t21_keep_archived_apart before insert or update of id on public.class_assignments
  for each row execute function private.keep_archived_apart();

create function private.archive_classes(p_ids uuid[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  perform from public.class_assignments a where a.id = any(p_ids) order by a.id for update;
  insert into public.class_assignments_archive
  select a.*, array(select l.booking_id from public.assignment_bookings l where l.assignment_id = a.id order by l.booking_id),
    private.caller_id(), private.now()
  from public.class_assignments a
  where a.id = any(p_ids)
  order by a.id;
  delete from public.class_assignments a where a.id = any(p_ids);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.archive_classes(uuid[]) is 'Moves these classes into the archive.';

create trigger t10_only_added_to before update or delete or truncate on public.class_assignments_archive
  for each statement execute function private.refuse_direct_write('Classes in the archive stay as they were.');

-- sql/40_studio/rules/85_feeds.sql

-- Calendar feeds: whose they are, who may read them, and that a revoked one stays revoked.

create function private.feed_token_hash(p_token text) returns text
language sql immutable set search_path = ''
return encode(sha256(convert_to(p_token, 'UTF8')), 'hex');
comment on function private.feed_token_hash(text) is 'What is kept of the secret of a feed.';

-- 244 random bits, from the generator that every Postgres has without an extension.
create function private.new_feed_token() returns text
language sql volatile set search_path = ''
return replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
comment on function private.new_feed_token() is 'A secret for the address of a feed.';

create function private.keep_feed() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
  if (new.id, new.resource_id, new.created_by, new.created_at) is distinct from (old.id, old.resource_id, old.created_by, old.created_at) then
    perform private.fail('illegal_transition', 'A feed stays what it was made for', 'resource_id',
      p_hint => 'Make another feed, and revoke this one.');
  end if;
  if old.revoked_at is not null and (new.token_hash, new.revoked_at) is distinct from (old.token_hash, old.revoked_at) then
    perform private.fail('illegal_transition', 'This feed was revoked', 'revoked_at', p_hint => 'Make another feed.');
  end if;
  return new;
end;
$$;
comment on function private.keep_feed() is
  'Row trigger: a feed shows what it was made for, in its maker''s name; once revoked it never gets an address again.';

create trigger t20_keep_feed before update on public.calendar_feeds
  for each row execute function private.keep_feed();

-- Like has_permission, for somebody who is not calling: a feed is read by a program that signs in as nobody. Roles that
-- only a token claims are unknown here.
create function private.login_may_read_calendar(p_user_id uuid) returns boolean
language sql stable security definer set search_path = ''
return coalesce(
    (
      select u.is_granted
      from public.user_permissions u
      where u.user_id = p_user_id and u.permission = 'read:calendar' and (u.expires_at is null or u.expires_at > private.now())
    ),
    exists (
      select
      from public.user_roles r
      join public.role_permissions g on g.role_name = r.role_name and g.permission = 'read:calendar' and g.is_granted
      where r.user_id = p_user_id
    )
  );
comment on function private.login_may_read_calendar(uuid) is 'Whether a login holds read:calendar, by role or by a grant of its own.';

-- Asked at every reading, so that an address ends with the rights of whoever made it, whoever wrote the row.
create function private.feed_is_open(p_feed public.calendar_feeds) returns boolean
language sql stable security definer set search_path = ''
return p_feed.revoked_at is null
  and (
    p_feed.created_by is null
    or not private.is_deactivated(p_feed.created_by)
      and (
        exists (select from public.user_profiles p where p.user_id = p_feed.created_by and p.id = p_feed.resource_id)
        or private.login_may_read_calendar(p_feed.created_by)
      )
  );
comment on function private.feed_is_open(public.calendar_feeds) is
  'Whether a feed is answered: not revoked, and its maker is active and may see what it shows: their own calendar, or everyone''s with read:calendar.';

-- sql/40_studio/rules/86_feed_events.sql

-- What a calendar feed shows, in the words of iCalendar. Recurring happenings stay recurring: one event with its rule, the
-- dates it leaves out, and the dates that are different. Whatever the clock does to a date is worked out here, with the
-- same functions and the same zone data as the ledger, so that no reader has to agree with Postgres about it.

-- Day by day first, since no zone changes its offset twice in a day, then to the minute.
create function private.clock_changes(p_time_zone text, p_from date, p_until date)
returns table (changes_at timestamptz, offset_before interval, offset_after interval)
language sql stable set search_path = ''
begin atomic
  with days as (
    select d.at, (d.at at time zone p_time_zone) - (d.at at time zone 'UTC') as shift
    from generate_series(p_from::timestamp at time zone 'UTC', p_until::timestamp at time zone 'UTC', interval '24 hours') as d(at)
  ), spans as materialized (
    select w.at, w.shift, w.next_shift
    from (select d.at, d.shift, lead(d.shift) over (order by d.at) as next_shift from days d) w
    where w.shift <> w.next_shift
  )
  select (
      select min(m.at)
      from generate_series(s.at, s.at + interval '24 hours', interval '1 minute') as m(at)
      where (m.at at time zone p_time_zone) - (m.at at time zone 'UTC') = s.next_shift
    ), s.shift, s.next_shift
  from spans s
  order by 1;
end;
comment on function private.clock_changes(text, date, date) is 'When the clocks of a zone change between two dates, from which offset to UTC to which.';

-- Wall-clock times are written without a zone, and instants as the clock in UTC shows them, since that is how both become
-- JSON whatever the session's time zone is.
create type private.feed_event as (
  uid text, sequence integer, status text, summary text, category text, location text, description text,
  created_at timestamp, changed_at timestamp,
  time_zone text, starts timestamp, ends timestamp, on_date date,
  replaces timestamp, lasts integer, until timestamp, leaves_out timestamp[]
);
comment on type private.feed_event is
  'An event of a calendar feed: from starts to ends by the clock of its zone (instead of the date of a recurring one that starts at replaces), or on_date, or every week from starts on, lasting so many seconds, until an instant, without those starts.';

-- A date of a rule is left out when it was cancelled or taken over, or when the clock skips it; it is different when it
-- was moved, or when the clock changes during it or at its end, since what recurs has one length in iCalendar and readers
-- do not agree whether that is counted by the clock. Of a moved date that the clock skips, or that is older than the
-- window, there is nothing to replace: it stands for itself.
create function private.feed_rule_events(p_resource_id uuid, p_from date, p_until date) returns setof private.feed_event
language sql stable security definer set search_path = ''
begin atomic
  with rules as materialized (
    select r.id, r.title, r.kind, r.weekday, r.start_time, r.end_time, r.time_zone, r.effective,
      r.version - 1 + coalesce(s.version - 1, 0) as sequence,
      case when s.id is not null and s.instructor_id is null then 'TENTATIVE' else 'CONFIRMED' end as status,
      p.full_name as description,
      date_trunc('second', r.created_at at time zone 'UTC') as created_at,
      date_trunc('second', greatest(r.updated_at, s.updated_at) at time zone 'UTC') as changed_at
    from public.weekly_rules r
    left join public.class_schedules s on s.id = r.id and r.source_table = 'class_schedules'
    left join public.user_profiles p on p.id = s.instructor_id
    where r.effective && daterange(p_from, p_until)
      and case
        when p_resource_id is null then s.is_active or exists (select from public.weekly_rule_resources w where w.rule_id = r.id)
        else exists (select from public.weekly_rule_resources w where w.rule_id = r.id and w.resource_id = p_resource_id)
      end
  ), places as materialized (
    select w.rule_id, string_agg(concat_ws(', ', l.name, l.address), '; ' order by l.name) as location
    from public.weekly_rule_resources w
    join public.locations l on l.id = w.resource_id
    where w.rule_id in (select r.id from rules r)
    group by w.rule_id
  ), odd_days as materialized (
    select distinct z.time_zone, (u.at at time zone z.time_zone)::date as day
    from (select distinct r.time_zone from rules r) z
    cross join lateral private.clock_changes(z.time_zone, p_from - 2, p_until) c
    cross join lateral (values (c.changes_at), (c.changes_at - interval '1 microsecond')) as u(at)
  ), odd_dates as materialized (
    select r.id, d.day, private.local_to_instant(d.day, r.start_time, r.time_zone) as starts_at,
      private.local_end_to_instant(d.day, r.end_time, r.time_zone) as ends_at
    from rules r
    join odd_days d on d.time_zone = r.time_zone and d.day <@ r.effective and extract(dow from d.day) = r.weekday
  ), exceptions as materialized (
    select r.id, e.occurs_on as day, date_trunc('second', e.created_at at time zone 'UTC') as changed_at,
      o.id is not null and o.starts_at is null as is_skipped,
      case when e.kind = 'moved' then private.local_to_instant(e.moved_to_date, e.moved_start_time, r.time_zone) end as starts_at,
      case when e.kind = 'moved' then private.local_end_to_instant(e.moved_to_date, e.moved_end_time, r.time_zone) end as ends_at
    from rules r
    join public.weekly_rule_exceptions e on e.rule_id = r.id
      and e.occurs_on <@ r.effective and extract(dow from e.occurs_on) = r.weekday
      and (e.occurs_on >= p_from or e.moved_to_date >= p_from)
    left join odd_dates o on o.id = r.id and o.day = e.occurs_on
  ), odd_regular_dates as materialized (
    select o.* from odd_dates o where not exists (select from exceptions e where e.id = o.id and e.day = o.day)
  ), different as materialized (
    select e.id, e.day, e.starts_at, e.ends_at, e.changed_at, e.day < p_from or e.is_skipped as stands_alone
    from exceptions e
    where e.starts_at is not null and e.ends_at is not null
    union all
    select o.id, o.day, o.starts_at, o.ends_at, null, false
    from odd_regular_dates o
    join rules r on r.id = o.id
    where o.day >= p_from
      and (o.ends_at - o.starts_at <> r.end_time - r.start_time or o.ends_at at time zone r.time_zone <> o.day + r.end_time)
  ), left_out as materialized (
    select e.id, e.day from exceptions e where e.starts_at is null or e.ends_at is null or e.is_skipped
    union all
    select o.id, o.day from odd_regular_dates o where o.starts_at is null or o.ends_at is null
  ), begun as materialized (
    select d.id, min(d.day) as day
    from (
      select r.id, g.day::date as day
      from rules r
      cross join lateral (select greatest(lower(r.effective), p_from) as first) f
      cross join lateral generate_series(
        f.first + ((r.weekday - extract(dow from f.first)::integer + 7) % 7), least(upper(r.effective), p_until)::timestamp - interval '1 day',
        interval '7 days'
      ) as g(day)
      except
      select l.id, l.day from left_out l
    ) d
    group by d.id
  ), changed as materialized (
    select e.id, max(e.changed_at) as at from exceptions e group by e.id
  ), starts_left_out as materialized (
    select r.id, array_agg(l.day + r.start_time order by l.day) as starts
    from left_out l
    join rules r on r.id = l.id
    join begun b on b.id = l.id and l.day > b.day
    group by r.id
  )
  select format('weekly_rules-%s@classbase', r.id), r.sequence, r.status, r.title, r.kind, p.location, r.description,
    r.created_at, greatest(r.changed_at, c.at), r.time_zone, b.day + r.start_time, null::timestamp, null::date, null::timestamp,
    extract(epoch from r.end_time - r.start_time)::integer,
    (upper(r.effective)::timestamp at time zone r.time_zone) at time zone 'UTC' - interval '1 second', o.starts
  from rules r
  join begun b on b.id = r.id
  left join places p on p.rule_id = r.id
  left join changed c on c.id = r.id
  left join starts_left_out o on o.id = r.id
  union all
  select format(case when d.stands_alone then 'weekly_rules-%s-%s@classbase' else 'weekly_rules-%s@classbase' end, r.id, d.day),
    r.sequence, r.status, r.title, r.kind, p.location, r.description, r.created_at, greatest(r.changed_at, d.changed_at),
    r.time_zone, d.starts_at at time zone r.time_zone, d.ends_at at time zone r.time_zone, null,
    case when not d.stands_alone then d.day + r.start_time end, null, null, null
  from different d
  join rules r on r.id = d.id
  left join places p on p.rule_id = r.id;
end;
comment on function private.feed_rule_events(uuid, date, date) is
  'The weekly rules a resource takes part in (null: all that happen) between two dates: each as one event that recurs, and its dates that are different.';

-- Cancelled classes stay, so that a calendar that shows them already learns of it. Notes and pay are nobody else's.
create function private.feed_assignment_events(p_resource_id uuid, p_from date) returns setof private.feed_event
language sql stable security definer set search_path = ''
begin atomic
  select format('class_assignments-%s@classbase', a.id), a.version - 1,
    case
      when a.class_status = 'cancelled' then 'CANCELLED'
      when a.class_status = 'completed' or a.instructor_status = 'accepted' then 'CONFIRMED'
      else 'TENTATIVE'
    end,
    coalesce(t.name, p.name, 'Class'), 'class_assignment', nullif(concat_ws(', ', l.name, l.address), ''), i.full_name,
    date_trunc('second', a.created_at at time zone 'UTC'), date_trunc('second', a.updated_at at time zone 'UTC'),
    case when a.starts_at is not null then a.time_zone end, a.starts_at at time zone a.time_zone, a.ends_at at time zone a.time_zone,
    case when a.starts_at is null then a.date end, null::timestamp, null::integer, null::timestamp, null::timestamp[]
  from public.class_assignments a
  left join public.class_types t on t.id = a.class_type_id
  left join public.packages p on p.id = a.package_id
  left join public.locations l on l.id = a.location_id
  left join public.user_profiles i on i.id = a.instructor_id and a.instructor_status <> 'rejected'
  where a.date >= p_from
    and (p_resource_id is null or a.location_id = p_resource_id
      or a.instructor_id = p_resource_id and a.instructor_status <> 'rejected');
end;
comment on function private.feed_assignment_events(uuid, date) is
  'Classes as events of a feed: those of a resource (null: all) since a date; without times they are on a day.';

create function private.feed_meeting_events(p_resource_id uuid, p_from date) returns setof private.feed_event
language sql stable security definer set search_path = ''
begin atomic
  select format('meetings-%s@classbase', m.id), m.version - 1, case m.status when 'cancelled' then 'CANCELLED' else 'CONFIRMED' end,
    m.title, m.kind, p.location, null, date_trunc('second', m.created_at at time zone 'UTC'),
    date_trunc('second', m.updated_at at time zone 'UTC'), m.time_zone, m.starts_at at time zone m.time_zone,
    m.ends_at at time zone m.time_zone, null::date, null::timestamp, null::integer, null::timestamp, null::timestamp[]
  from public.meetings m
  left join lateral (
    select string_agg(concat_ws(', ', l.name, l.address), '; ' order by l.name) as location
    from public.meeting_participants w
    join public.locations l on l.id = w.resource_id
    where w.meeting_id = m.id
  ) p on true
  where m.starts_at >= p_from::timestamp at time zone 'UTC'
    and (p_resource_id is null
      or exists (select from public.meeting_participants w where w.meeting_id = m.id and w.resource_id = p_resource_id));
end;
comment on function private.feed_meeting_events(uuid, date) is 'Meetings as events of a feed: those of a resource (null: all) since a date.';

create function private.feed_zone(p_time_zone text, p_from date, p_until date) returns jsonb
language sql stable set search_path = ''
begin atomic
  select jsonb_build_object(
    'name', p_time_zone,
    'offset', extract(epoch from (p_from::timestamp at time zone 'UTC' at time zone p_time_zone) - p_from::timestamp)::integer,
    'changes', coalesce(jsonb_agg(jsonb_build_object(
      'at', c.changes_at at time zone 'UTC' + c.offset_before,
      'from', extract(epoch from c.offset_before)::integer, 'to', extract(epoch from c.offset_after)::integer) order by c.changes_at), '[]'))
  from private.clock_changes(p_time_zone, p_from, p_until) c;
end;
comment on function private.feed_zone(text, date, date) is
  'What the clocks of a zone do between two dates: the offset from UTC in seconds on the first, and each change by the clock before it.';

-- sql/40_studio/rules/90_import_reading.sql

-- Importing bookings, schedules and classes, first part: from text to values, with every fault of every row told.
--
-- A file has many rows but few different names, dates and times, so each different text is looked at once and joined back.

create type private.import_item as (row_number integer, line integer, id uuid, fate text, fields jsonb);
comment on type private.import_item is
  'One row of a file, its values by the columns of the table. fate: bad, present (there is one of this id already), left_out, or new.';

-- Lists are written with semicolons between; as JSON where an item has one itself.
create function private.text_to_list(p_text text) returns jsonb
language plpgsql immutable set search_path = ''
as $$
begin
  if p_text ~ '^\[\s*("([^"\\\x01-\x1f]|\\["\\/bfnrt])*"\s*(,\s*"([^"\\\x01-\x1f]|\\["\\/bfnrt])*"\s*)*)?\]$' then
    return p_text::jsonb;
  end if;
  return coalesce((
    select jsonb_agg(btrim(u.item) order by u.n) from unnest(string_to_array(p_text, ';')) with ordinality as u(item, n) where u.item ~ '\S'
  ), '[]');
end;
$$;
comment on function private.text_to_list(text) is 'The items of a list written in one cell: a; b; c, or a JSON array.';

create function private.list_to_text(p_list text[]) returns text
language sql immutable set search_path = ''
return case
    when exists (select from unnest(p_list) as u(item) where u.item ~ '[;\[]|^\s|\s$') then to_jsonb(p_list)::text
    else nullif(array_to_string(p_list, '; '), '')
  end;
comment on function private.list_to_text(text[]) is 'A list in one cell, as private.text_to_list reads it; null for an empty one.';

create function private.text_to_instant(p_text text) returns timestamptz
language sql immutable set search_path = ''
return case
    when p_text ~ '^\d{4}-\d\d-\d\d[T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)$'
      and private.text_to_date(left(p_text, 10)) is not null then p_text::timestamptz
  end;
comment on function private.text_to_instant(text) is 'The instant of text like 2026-01-31T09:30:00Z, with its offset; null for anything else.';

-- What a cell says, by its kind; null when it says nothing of that kind. Names are looked up elsewhere.
create function private.cell_value(p_kind text, p_text text) returns jsonb
language sql immutable set search_path = ''
return case p_kind
    when 'text' then to_jsonb(p_text)
    when 'word' then to_jsonb(lower(p_text))
    when 'code' then case when p_text ~ '^[A-Z0-9]{1,10}-[0-9]{8}-[0-9A-Z]{4,12}$' then to_jsonb(p_text) end
    when 'uuid' then case when private.is_uuid(p_text) then to_jsonb(lower(p_text)) end
    when 'date' then to_jsonb(private.text_to_date(p_text))
    when 'time' then to_jsonb(private.text_to_time(p_text))
    when 'instant' then to_jsonb(private.text_to_instant(p_text))
    when 'amount' then case when p_text ~ '^[0-9]{1,10}([.][0-9]{1,2})?$' then to_jsonb(p_text::numeric) end
    when 'count' then case when p_text ~ '^[0-9]{1,6}$' then to_jsonb(p_text::integer) end
    when 'boolean' then case
      when lower(p_text) in ('true', 't', 'yes', 'y', '1') then to_jsonb(true) when lower(p_text) in ('false', 'f', 'no', 'n', '0') then to_jsonb(false) end
    when 'weekday' then to_jsonb(coalesce(
      case when p_text ~ '^[0-6]$' then p_text::integer end,
      array_position(array['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
        case when lower(p_text) ~ '^(sun(day)?|mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?)$' then left(lower(p_text), 3) end) - 1))
    when 'list' then private.text_to_list(p_text)
  end;
comment on function private.cell_value(text, text) is 'The value of one cell of a kind, null where it is none.';

create function private.cell_hint(p_kind text) returns text
language sql immutable set search_path = ''
return case p_kind
    when 'code' then 'A booking''s code is written YOG-20260131-0417'
    when 'uuid' then 'This is an id, or empty'
    when 'date' then 'A date is written 2026-01-31, and lies between 1970 and 2199'
    when 'time' then 'A time is written 09:30'
    when 'instant' then 'An instant is written 2026-01-31T09:30:00Z'
    when 'amount' then 'An amount is not below zero and has at most two decimals'
    when 'count' then 'This is a whole number'
    when 'boolean' then 'This is yes or no'
    when 'weekday' then 'A weekday is 0 (Sunday) to 6 (Saturday), or its English name'
    when 'person' then 'Nobody has this name, email address or id'
    when 'class_type' then 'There is no class type of this name or id'
    when 'package' then 'There is no package of this name or id'
    when 'location' then 'There is no location of this name or id'
    when 'login' then 'There is no login of this id'
    when 'rate' then 'There is no rate of this id'
    when 'schedule' then 'There is no class schedule of this id'
  end;
comment on function private.cell_hint(text) is 'What to say of a cell that is not of its kind.';

-- Everything a name of a file can mean. An id is meant before a name that looks like one.
create function private.import_names(p_kinds text[]) returns table (kind text, key text, name text, id uuid, standing integer)
language sql stable security definer set search_path = ''
begin atomic
  with named as (
    select 'person' as kind, p.id, p.full_name as name, p.is_active from public.user_profiles p
    union all select 'person', p.id, p.email, p.is_active from public.user_profiles p where p.email is not null
    union all select 'class_type', t.id, t.name, t.is_active from public.class_types t
    union all select 'package', p.id, p.name, p.is_active from public.packages p
    union all select 'location', l.id, l.name, l.is_active from public.locations l
  )
  select n.kind, lower(private.clean_text(n.name)), n.name, n.id, n.is_active::integer
  from named n
  where n.kind = any(p_kinds) and n.name is not null
  union all
  select i.kind, i.id::text, null, i.id, 4
  from (
    select 'person' as kind, p.id from public.user_profiles p
    union all select 'class_type', t.id from public.class_types t
    union all select 'package', p.id from public.packages p
    union all select 'location', l.id from public.locations l
    union all select 'schedule', s.id from public.class_schedules s
    union all select 'rate', r.id from public.instructor_rates r
    union all select 'login', u.id from auth.users u
  ) i
  where i.kind = any(p_kinds);
end;
comment on function private.import_names(text[]) is
  'What names, email addresses and ids of these kinds stand for; standing says which is meant first where several are called alike.';

-- p_columns says of each column its kind and, where that differs, the column of the table it is for: person:instructor_id.
create function private.read_cells(
  p_kind text, p_rows jsonb, p_columns jsonb, p_server_only text[], out p_items private.import_item[], out p_faults private.import_fault[]
)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
declare
  v_is_trusted constant boolean := private.is_trusted();
  v_kinds text[] := array(select distinct split_part(c.value, ':', 1) from jsonb_each_text(p_columns) c);
begin
  with lines as materialized (
    select r.n::integer as row_number, case when r.item ->> 'line' ~ '^[0-9]{1,9}$' then (r.item ->> 'line')::integer else r.n::integer + 1 end as line, r.item
    from jsonb_array_elements(p_rows) with ordinality as r(item, n)
  ), columns as materialized (
    select c.key as name, split_part(c.value, ':', 1) as kind, coalesce(nullif(split_part(c.value, ':', 2), ''), c.key) as field, c.n
    from jsonb_each_text(p_columns) with ordinality as c(key, value, n)
  ), cells as materialized (
    select l.row_number, l.line, c.name, c.kind, c.field, c.n, private.clean_text(t.value) as text
    from lines l
    cross join lateral jsonb_each_text(l.item) as t(key, value)
    join columns c on c.name = t.key
  ), texts as materialized (
    select distinct c.kind, c.text from cells c where c.text is not null
  ), known as materialized (
    select t.kind, t.text, k.id, count(*) over best as candidates,
      row_number() over (partition by t.kind, t.text order by k.standing + 2 * (k.name is not distinct from t.text)::integer desc, k.id) as position
    from texts t
    join (select distinct i.kind, i.key, i.name, i.id, i.standing from private.import_names(v_kinds) i) k on k.kind = t.kind and k.key = lower(t.text)
    window best as (partition by t.kind, t.text, k.standing + 2 * (k.name is not distinct from t.text)::integer)
  ), meanings as materialized (
    select t.kind, t.text, coalesce(to_jsonb(k.id), private.cell_value(t.kind, t.text)) as value,
      case when k.candidates > 1 then format('%s are called so: nobody knows which is meant. Give the id', k.candidates)
        when k.id is null and private.cell_value(t.kind, t.text) is null then private.cell_hint(t.kind) end as reason
    from texts t
    left join known k on k.kind = t.kind and k.text = t.text and k.position = 1
  ), judged as materialized (
    select c.row_number, c.line, c.name, c.field, c.n, c.text, m.value,
      case when c.text is not null and c.name = any(p_server_only) and not v_is_trusted then 'Only a server brings this along: leave it empty'
        else m.reason end as reason
    from cells c
    left join meanings m on m.kind = c.kind and m.text = c.text
  ), objects as materialized (
    select j.row_number, jsonb_object_agg(j.field, j.value) as fields, bool_or(j.reason is not null) as is_bad
    from judged j
    group by j.row_number
  ), numbered as materialized (
    select l.row_number, l.line, coalesce(o.fields, '{}') as fields, coalesce(o.is_bad, false) as is_bad,
      row_number() over (partition by o.fields order by l.row_number) as copy
    from lines l
    left join objects o on o.row_number = l.row_number
  )
  select
    (
      -- The same row imported again gets the id it had, and is found by it.
      select array_agg(row(n.row_number, n.line,
          case when n.is_bad then null when n.fields ->> 'id' is not null then (n.fields ->> 'id')::uuid
            else md5(format('%s/%s/%s', p_kind, jsonb_strip_nulls(n.fields), n.copy))::uuid end,
          case when n.is_bad then 'bad' else 'new' end, n.fields)::private.import_item order by n.row_number)
      from numbered n
    ),
    (
      select coalesce(array_agg(row(j.row_number, j.line, j.name, 'invalid_input', j.reason, left(j.text, 200))::private.import_fault order by j.row_number, j.n), '{}')
      from judged j
      where j.reason is not null
    )
  into p_items, p_faults;
end;
$$;
comment on function private.read_cells(text, jsonb, jsonb, text[]) is
  'Reads rows of text by the kinds of their columns: an item a row, and a fault for every cell that says nothing of its kind.';

-- What the rules say of a row is told of the column it was read from.
create function private.faults_of_errors(p_item private.import_item, p_errors jsonb, p_columns jsonb) returns setof private.import_fault
language sql immutable set search_path = ''
begin atomic
  select row(p_item.row_number, p_item.line, coalesce(c.key, e.error ->> 'field'), coalesce(e.error ->> 'code', 'invalid_input'), e.error ->> 'message',
    left(p_item.fields ->> (e.error ->> 'field'), 200))::private.import_fault
  from jsonb_array_elements(p_errors) with ordinality as e(error, n)
  left join lateral (
    select k.key from jsonb_each_text(p_columns) as k(key, value) where split_part(k.value, ':', 2) = e.error ->> 'field'
  ) c on true
  order by e.n;
end;
comment on function private.faults_of_errors(private.import_item, jsonb, jsonb) is 'Errors of the fields of one row, as faults of the columns of a file.';

create function private.faults_of_repeats(p_items private.import_item[], p_field text) returns private.import_fault[]
language sql immutable set search_path = ''
return array(
  select row(r.row_number, r.line, p_field, 'duplicate', format('Line %s has it already', r.first_line), left(r.value, 200))::private.import_fault
  from (
    select i.row_number, i.line, i.fields ->> p_field as value, first_value(i.line) over same as first_line, row_number() over same as copy
    from unnest(p_items) i
    where i.fate <> 'bad' and i.fields ->> p_field is not null
    window same as (partition by i.fields ->> p_field order by i.row_number)
  ) r
  where r.copy > 1
  order by r.row_number
);
comment on function private.faults_of_repeats(private.import_item[], text) is 'The rows whose id, or code, an earlier row has.';

create function private.with_fate(p_items private.import_item[], p_fate text, p_row_numbers integer[]) returns private.import_item[]
language sql immutable set search_path = ''
return array(
  select row(i.row_number, i.line, i.id, case when i.row_number = any(p_row_numbers) and i.fate = 'new' then p_fate else i.fate end, i.fields)::private.import_item
  from unnest(p_items) i
  order by i.row_number
);
comment on function private.with_fate(private.import_item[], text, integer[]) is 'Rows, of which these that were new now have this fate.';

-- sql/40_studio/rules/91_import_report.sql

-- Importing bookings, schedules and classes, second part: what comes before the rows are looked at, and what is said after.

create function private.check_import(p_rows jsonb, p_columns jsonb, p_on_conflict text, p_dry_run boolean) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_limit constant integer := private.setting_integer('import_rows_limit');
  v_count constant integer := case when jsonb_typeof(p_rows) = 'array' then jsonb_array_length(p_rows) end;
  v_columns constant text[] := array(select c.name from jsonb_object_keys(p_columns) as c(name)) || 'line'::text;
  v_stray record;
begin
  if v_count > v_limit then
    perform private.fail('limit_exceeded', format('One import may bring %s rows, not %s', v_limit, v_count), 'p_rows',
      jsonb_build_object('limit', v_limit, 'rows', v_count), 'Import it in parts, or raise the setting import_rows_limit.');
  end if;
  perform private.fail_input(
    private.input_error(v_count is null, 'p_rows', 'Rows are a list of objects')
    || private.input_error(v_count = 0, 'p_rows', 'There are no rows')
    || private.input_error(coalesce(p_on_conflict, '') not in ('refuse', 'skip'), 'p_on_conflict', 'It is refuse or skip')
    || private.input_error(p_dry_run is null, 'p_dry_run', 'It is true or false')
  );
  select r.position, r.item into v_stray
  from jsonb_array_elements(p_rows) with ordinality as r(item, position)
  where case when jsonb_typeof(r.item) = 'object' then r.item - v_columns <> '{}' else true end
  limit 1;
  if found then
    perform private.fail('invalid_input', format('Row %s is not an object of %s', v_stray.position, array_to_string(v_columns, ', ')), 'p_rows',
      jsonb_build_object('row', v_stray.position, 'columns', to_jsonb(v_columns)));
  end if;
end;
$$;
comment on function private.check_import(jsonb, jsonb, text, boolean) is 'Refuses what is no list of rows with these columns, or too long.';

-- Of rows in each other's way the earlier one stays. Only rows that clash are gone through, one after another, because
-- each decides about those after it.
create function private.rows_to_leave_out(p_rows integer[], p_with_rows integer[]) returns integer[]
language plpgsql immutable set search_path = ''
as $$
declare
  v_out integer[] := array(select distinct u.n from unnest(p_rows, p_with_rows) as u(n, with_n) where u.with_n is null);
  v_pair record;
begin
  for v_pair in
    select u.n, array_agg(u.with_n) as earlier
    from unnest(p_rows, p_with_rows) as u(n, with_n)
    where u.with_n < u.n
    group by u.n
    order by u.n
  loop
    if v_pair.n <> all(v_out) and not v_pair.earlier <@ v_out then
      v_out := v_out || v_pair.n;
    end if;
  end loop;
  return v_out;
end;
$$;
comment on function private.rows_to_leave_out(integer[], integer[]) is
  'Of rows that clash (with another row, or, where that is null, with what is there) those that give way.';

-- p_clashes are objects with the row each is about, and what it clashes with.
create function private.import_items_report(
  p_request jsonb, p_items private.import_item[], p_faults private.import_fault[], p_clashes jsonb
) returns jsonb
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan
as $$
declare
  v_faults integer := coalesce(cardinality(p_faults), 0);
  v_refused boolean := v_faults > 0 or p_request ->> 'on_conflict' = 'refuse' and p_clashes <> '[]';
  v_limit integer := case when (p_request ->> 'dry_run')::boolean then 10000 else 1000 end;
begin
  return p_request || jsonb_build_object(
    'rows', cardinality(p_items),
    'imported', case when v_refused then 0 else (select count(*) from unnest(p_items) i where i.fate = 'new') end,
    'present', (select count(*) from unnest(p_items) i where i.fate = 'present'),
    'left_out', coalesce((
      select jsonb_agg(f.clash order by f.row_number)
      from (
        select distinct on (i.row_number) i.row_number, c.clash
        from unnest(p_items) i
        join jsonb_array_elements(p_clashes) with ordinality as c(clash, n) on (c.clash ->> 'row')::integer = i.row_number
        where i.fate = 'left_out'
        order by i.row_number, c.clash ->> 'with_line' is not null, c.n
      ) f
    ), '[]'),
    'clashes', coalesce((
      select jsonb_agg(c.clash order by c.n) from jsonb_array_elements(p_clashes) with ordinality as c(clash, n) where c.n <= v_limit
    ), '[]'),
    'clashes_total', jsonb_array_length(p_clashes),
    'refused', v_refused,
    'errors', private.describe_import_faults(p_faults, v_limit),
    'errors_total', v_faults);
end;
$$;
comment on function private.import_items_report(jsonb, private.import_item[], private.import_fault[], jsonb) is
  'The report of an import, or of what one would do.';

create function private.refuse_items(p_report jsonb) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_first jsonb := p_report -> 'errors' -> 0;
  v_more integer := (p_report ->> 'errors_total')::integer - 1;
begin
  if v_first is not null then
    perform private.fail('invalid_input',
      format('Nothing was imported. Line %s, %s: %s%s', v_first ->> 'line', v_first ->> 'column', v_first ->> 'reason',
        case when v_more > 0 then format(' (and %s more)', v_more) else '' end),
      v_first ->> 'column',
      jsonb_build_object(
        'errors', (
          select jsonb_agg(e || jsonb_build_object('field', e ->> 'column',
            'message', format('Line %s, %s: %s', e ->> 'line', e ->> 'column', e ->> 'reason')))
          from jsonb_array_elements(p_report -> 'errors') e
        ),
        'count', v_more + 1, 'report', p_report),
      'Mend the file and import it again.');
  end if;
  v_first := p_report -> 'clashes' -> 0;
  v_more := (p_report ->> 'clashes_total')::integer - 1;
  perform private.fail('time_conflict',
    format('Nothing was imported. Line %s: %s%s', v_first ->> 'line', v_first ->> 'message',
      case when v_more > 0 then format(' (and %s more)', v_more) else '' end),
    p_details => jsonb_build_object('conflicts', p_report -> 'clashes', 'count', v_more + 1, 'report', p_report),
    p_hint => 'Mend the file, or import what fits (p_on_conflict skip).');
end;
$$;
comment on function private.refuse_items(jsonb) is 'Raises what stands in an import''s way, bad rows first; details carry the report.';

create function private.start_import(p_kind text, p_request jsonb) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.require_read_committed();
  -- One import of a kind at a time, so that two that bring the same rows do not bring them twice. Taken before anything
  -- else is locked.
  if not (p_request ->> 'dry_run')::boolean then
    perform pg_advisory_xact_lock(hashtextextended('import_' || p_kind, 0));
  end if;
end;
$$;
comment on function private.start_import(text, jsonb) is 'Makes other imports of the same kind wait, unless this is a dry run.';

-- sql/40_studio/rules/92_import_bookings.sql

-- Importing bookings. Their links come with the classes that serve them, which then confirm them.

create function private.booking_columns() returns jsonb
language sql immutable set search_path = ''
return '{"id": "uuid", "booking_id": "code", "customer": "person:profile_id", "class_name": "text", "instructor": "text", "class_date": "date",
  "class_time": "time", "preferred_days": "list", "preferred_times": "list", "timezone": "text", "first_name": "text", "last_name": "text",
  "email": "text", "phone": "text", "status": "word", "booking_type": "word", "package": "package:class_package_id", "uses_credits": "boolean",
  "notes": "text", "created_by": "login", "created_at": "instant"}'::jsonb;
comment on function private.booking_columns() is 'The columns of a file of bookings, each with its kind.';

create function private.read_bookings(p_items private.import_item[]) returns setof public.bookings
language sql stable security definer set search_path = ''
begin atomic
  select b.*
  from unnest(p_items) i
  cross join lateral private.clean_booking(jsonb_populate_record(null::public.bookings,
    '{"preferred_days": [], "preferred_times": [], "timezone": "Asia/Kolkata", "status": "pending", "booking_type": "individual", "uses_credits": false}'
    || jsonb_strip_nulls(i.fields)
    || jsonb_build_object('id', i.id, 'user_id', (select p.user_id from public.user_profiles p where p.id = (i.fields ->> 'profile_id')::uuid)))) b
  where i.fate = 'new'
  order by i.row_number;
end;
comment on function private.read_bookings(private.import_item[]) is 'The bookings these rows ask for, in their order.';

create function private.import_booking_rows(p_rows jsonb, p_request jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set work_mem = '64MB' set jit = off
as $$
declare
  v_items private.import_item[];
  v_faults private.import_fault[];
  v_ends constant boolean := private.has_permission('update:booking');
  v_report jsonb;
begin
  perform private.require_permission('create:booking');
  perform private.require_permission('bulk:assignment');
  perform private.start_import('bookings', p_request);
  select r.p_items, r.p_faults into v_items, v_faults
  from private.read_cells('booking', p_rows, private.booking_columns(), array['booking_id', 'created_by', 'created_at']) r;
  v_faults := v_faults || private.faults_of_repeats(v_items, 'id') || private.faults_of_repeats(v_items, 'booking_id');
  v_items := private.with_fate(v_items, 'present', array(
    select i.row_number
    from unnest(v_items) i
    join public.bookings b on b.id = i.id or b.booking_id = i.fields ->> 'booking_id'
  ));
  v_faults := v_faults || array(
    select f
    from unnest(v_items) i
    join private.read_bookings(v_items) b on b.id = i.id
    cross join lateral private.faults_of_errors(i,
      private.booking_errors(b)
      || private.input_error(b.status in ('completed', 'cancelled') and not v_ends, 'status', 'Whoever may update:booking ends bookings'),
      private.booking_columns()) f
  );
  v_report := private.import_items_report(p_request, v_items, v_faults, '[]');
  if (p_request ->> 'dry_run')::boolean then
    return v_report;
  end if;
  if (v_report ->> 'refused')::boolean then
    perform private.refuse_items(v_report);
  end if;
  -- The classes that serve a booking confirm it, when they come.
  insert into public.bookings (id, booking_id, user_id, profile_id, class_name, instructor, class_date, class_time, preferred_days, preferred_times,
    timezone, first_name, last_name, email, phone, status, booking_type, class_package_id, uses_credits, notes, created_by, created_at)
  select b.id, b.booking_id, b.user_id, b.profile_id, b.class_name, b.instructor, b.class_date, b.class_time, b.preferred_days, b.preferred_times,
    b.timezone, b.first_name, b.last_name, b.email, b.phone, case b.status when 'confirmed' then 'pending' else b.status end, b.booking_type,
    b.class_package_id, b.uses_credits, b.notes, coalesce(b.created_by, private.caller_id()), coalesce(b.created_at, private.now())
  from private.read_bookings(v_items) b;
  return v_report;
end;
$$;
comment on function private.import_booking_rows(jsonb, jsonb) is
  'Imports bookings, or says what importing them would do, for a holder of create:booking and bulk:assignment.';

-- sql/40_studio/rules/93_import_schedules.sql

-- Importing class schedules, with the dates they are called off and moved on.

create function private.schedule_columns() returns jsonb
language sql immutable set search_path = ''
return '{"id": "uuid", "class_type": "class_type:class_type_id", "day_of_week": "weekday", "start_time": "time", "end_time": "time",
  "duration_minutes": "count", "time_zone": "text", "instructor": "person:instructor_id", "location": "location:location_id",
  "max_participants": "count", "is_active": "boolean", "effective_from": "date", "effective_until": "date", "notes": "text",
  "called_off": "list", "moved": "list", "created_by": "login", "created_at": "instant"}'::jsonb;
comment on function private.schedule_columns() is 'The columns of a file of class schedules, each with its kind.';

create function private.read_schedules(p_items private.import_item[]) returns setof public.class_schedules
language sql stable security definer set search_path = ''
begin atomic
  select s.*
  from unnest(p_items) i
  cross join lateral private.complete_schedule(jsonb_populate_record(null::public.class_schedules,
    jsonb_build_object('is_active', true, 'effective_from', private.today())
    || jsonb_strip_nulls(i.fields - array['called_off', 'moved']) || jsonb_build_object('id', i.id)), null) s
  where i.fate = 'new'
  order by i.row_number;
end;
comment on function private.read_schedules(private.import_item[]) is 'The schedules these rows ask for, in their order.';

-- A called-off date is written 2026-11-30, a moved one 2026-11-30 > 2026-12-01 10:00-11:00; what follows is why.
create function private.read_schedule_dates(p_items private.import_item[]) returns table (
  row_number integer, column_name text, text text, rule_id uuid, occurs_on date, moved_to_date date, moved_start_time time, moved_end_time time, reason text
)
language sql immutable set search_path = ''
begin atomic
  select i.row_number, c.name, t.text, i.id, private.text_to_date(left(t.text, 10)), private.text_to_date(m.parts[1]), private.text_to_time(m.parts[2]),
    private.text_to_time(m.parts[3]), case c.name when 'moved' then private.clean_text(m.parts[4]) else private.clean_text(substr(t.text, 11)) end
  from unnest(p_items) i
  cross join lateral (values ('called_off'), ('moved')) as c(name)
  cross join lateral jsonb_array_elements_text(coalesce(nullif(i.fields -> c.name, 'null'), '[]')) as t(text)
  left join lateral regexp_match(t.text, '^\S{10} *> *(\S{10}) +(\d\d?:\d\d(?::\d\d)?) *- *(\d\d?:\d\d(?::\d\d)?)(.*)$') as m(parts) on c.name = 'moved'
  where i.fate = 'new';
end;
comment on function private.read_schedule_dates(private.import_item[]) is 'The dates on which schedules of a file are called off or moved; null where they cannot be read.';

create function private.faults_of_schedules(p_items private.import_item[]) returns private.import_fault[]
language sql stable security definer set search_path = ''
return array(
  select f
  from unnest(p_items) i
  join private.read_schedules(p_items) s on s.id = i.id
  cross join lateral private.faults_of_errors(i,
    private.schedule_errors(s, null)
    || private.input_error(s.class_type_id is null, 'class_type_id', 'Say which class type it is'),
    private.schedule_columns()) f
) || array(
  select row(i.row_number, i.line, d.column_name, 'invalid_input', w.reason, d.text)::private.import_fault
  from private.read_schedule_dates(p_items) d
  join unnest(p_items) i on i.row_number = d.row_number
  join private.read_schedules(p_items) s on s.id = i.id
  cross join lateral (
    values
      (d.occurs_on is null or length(d.text) > 10 and substr(d.text, 11, 1) <> ' ', 'A date is written 2026-01-31'),
      (d.column_name = 'moved' and not coalesce(d.moved_start_time < d.moved_end_time and d.moved_to_date is not null, false),
        'A moved date is written 2026-01-31 > 2026-02-01 10:00-11:00'),
      (extract(dow from d.occurs_on) <> s.day_of_week or not d.occurs_on <@ daterange(s.effective_from, s.effective_until, '[]'),
        'The schedule does not have this date'),
      (length(d.reason) > 1000, 'A reason has at most 1000 characters'),
      (private.is_time_zone(s.time_zone) and (private.local_to_instant(d.moved_to_date, d.moved_start_time, s.time_zone) is null
        or private.local_end_to_instant(d.moved_to_date, d.moved_end_time, s.time_zone) is null) and d.moved_to_date is not null, 'The clock skips this time')
  ) as w(applies, reason)
  where w.applies and (s.effective_from <= s.effective_until or s.effective_until is null)
);
comment on function private.faults_of_schedules(private.import_item[]) is 'What is wrong with the schedules of a file, and with the dates they are called off and moved on.';

-- Against what is there, and against the other rows. Dates that are called off or moved are in nobody's way where they were.
create function private.clashes_of_schedules(p_items private.import_item[]) returns jsonb
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan
as $$
begin
  return coalesce((
    with rules as materialized (
      select i.row_number, i.line, t.name as title, s.time_zone, r as rule, u.resource_id
      from unnest(p_items) i
      join private.read_schedules(p_items) s on s.id = i.id and s.is_active
      join public.class_types t on t.id = s.class_type_id
      cross join lateral (select s.instructor_id as resource_id union select s.location_id) u
      cross join lateral jsonb_populate_record(null::public.weekly_rules, jsonb_build_object('id', s.id, 'weekday', s.day_of_week,
        'start_time', s.start_time, 'end_time', s.end_time, 'time_zone', s.time_zone, 'effective', daterange(s.effective_from, s.effective_until, '[]'))) r
      where u.resource_id is not null
    ), left_dates as materialized (
      select d.rule_id, d.occurs_on from private.read_schedule_dates(p_items) d
    ), found as (
      select distinct on (r.row_number, c.resource_id, c.source_table, c.source_id)
        r.row_number, r.line, r.title, c.resource_name, c.conflict_type, c.source_table, c.source_id, null::integer as with_row, null::integer as with_line,
        c.starts_at, c.ends_at, c.message
      from rules r
      cross join lateral private.weekly_conflicts(array[r.resource_id], r.rule, 1000) c
      where not exists (
        select from left_dates d
        where d.rule_id = (r.rule).id
          and tstzrange(private.local_to_instant(d.occurs_on, (r.rule).start_time, r.time_zone), private.local_end_to_instant(d.occurs_on, (r.rule).end_time, r.time_zone))
            && tstzrange(c.starts_at, c.ends_at)
      )
      order by r.row_number, c.resource_id, c.source_table, c.source_id, c.starts_at
    ), among as (
      select distinct on (a.row_number, b.row_number, a.resource_id)
        a.row_number, a.line, a.title, s.name as resource_name, case s.kind when 'place' then 'location_schedule' else 'instructor_schedule' end as conflict_type,
        null::text as source_table, null::uuid as source_id, b.row_number as with_row, b.line as with_line, lower(m.during) as starts_at, upper(m.during) as ends_at,
        format('%s is needed by line %s (%s) at the same time, first %s', s.name, b.line, b.title, private.describe_range(m.during)) as message
      from rules a
      join rules b on b.resource_id = a.resource_id and b.row_number <> a.row_number
        and (a.time_zone <> b.time_zone or (a.rule).weekday = (b.rule).weekday and (a.rule).start_time < (b.rule).end_time and (b.rule).start_time < (a.rule).end_time)
      cross join lateral (
        select m.during
        from private.rule_meets(a.rule, b.rule, private.now()) m
        where not exists (select from left_dates d where (d.rule_id, d.occurs_on) in (((a.rule).id, m.occurs_on), ((b.rule).id, m.other_occurs_on)))
        order by m.during
        limit 1
      ) m
      cross join lateral (
        select p.full_name as name, 'person' as kind from public.user_profiles p where p.id = a.resource_id
        union all select l.name, 'place' from public.locations l where l.id = a.resource_id
      ) s
    )
    select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('row', f.row_number, 'line', f.line, 'title', f.title, 'resource', f.resource_name,
      'conflict_type', f.conflict_type, 'source_table', f.source_table, 'source_id', f.source_id, 'with_row', f.with_row, 'with_line', f.with_line,
      'starts_at', f.starts_at, 'ends_at', f.ends_at, 'message', f.message)) order by f.row_number, f.with_row nulls first, f.starts_at)
    from (select * from found union all select * from among) f
  ), '[]');
end;
$$;
comment on function private.clashes_of_schedules(private.import_item[]) is
  'What the active schedules of a file run into: what is there, and each other; for each the first time.';

create function private.import_schedule_rows(p_rows jsonb, p_request jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set work_mem = '64MB' set jit = off
as $$
declare
  v_items private.import_item[];
  v_faults private.import_fault[];
  v_clashes jsonb := '[]';
  v_report jsonb;
begin
  perform private.require_permission('manage:schedules');
  perform private.start_import('schedules', p_request);
  select r.p_items, r.p_faults into v_items, v_faults
  from private.read_cells('schedule', p_rows, private.schedule_columns(), array['created_by', 'created_at']) r;
  v_faults := v_faults || private.faults_of_repeats(v_items, 'id');
  v_items := private.with_fate(v_items, 'present', array(select i.row_number from unnest(v_items) i join public.class_schedules s on s.id = i.id));
  v_faults := v_faults || private.faults_of_schedules(v_items);
  -- Rows that make no sense cannot be compared.
  if cardinality(v_faults) = 0 then
    v_clashes := private.clashes_of_schedules(v_items);
  end if;
  if p_request ->> 'on_conflict' = 'skip' then
    v_items := private.with_fate(v_items, 'left_out', (
      select private.rows_to_leave_out(array_agg((c ->> 'row')::integer), array_agg((c ->> 'with_row')::integer)) from jsonb_array_elements(v_clashes) c
    ));
  end if;
  v_report := private.import_items_report(p_request, v_items, v_faults, v_clashes);
  if (p_request ->> 'dry_run')::boolean then
    return v_report;
  end if;
  if (v_report ->> 'refused')::boolean then
    perform private.refuse_items(v_report);
  end if;
  -- Not active yet: they take no time until their dates are called off and moved.
  insert into public.class_schedules (id, class_type_id, day_of_week, start_time, end_time, time_zone, instructor_id, location_id, duration_minutes,
    max_participants, is_active, effective_from, effective_until, notes, created_by, created_at)
  select s.id, s.class_type_id, s.day_of_week, s.start_time, s.end_time, s.time_zone, s.instructor_id, s.location_id, s.duration_minutes,
    s.max_participants, false, s.effective_from, s.effective_until, s.notes, coalesce(s.created_by, private.caller_id()), coalesce(s.created_at, private.now())
  from private.read_schedules(v_items) s;
  insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, moved_to_date, moved_start_time, moved_end_time, reason)
  select d.rule_id, d.occurs_on, case d.column_name when 'moved' then 'moved' else 'cancelled' end, d.moved_to_date, d.moved_start_time, d.moved_end_time, d.reason
  from private.read_schedule_dates(v_items) d
  order by d.rule_id, d.occurs_on
  on conflict do nothing;
  update public.class_schedules s set is_active = true
  where s.id in (select r.id from private.read_schedules(v_items) r where r.is_active);
  return v_report;
end;
$$;
comment on function private.import_schedule_rows(jsonb, jsonb) is
  'Imports class schedules, or says what importing them would do, for a holder of manage:schedules.';

-- sql/40_studio/rules/94_import_assignments.sql

-- Importing classes: those to come and those that are over, with their pay, their answers and the bookings they serve.

create function private.assignment_columns() returns jsonb
language sql immutable set search_path = ''
return '{"id": "uuid", "date": "date", "start_time": "time", "end_time": "time", "time_zone": "text", "instructor": "person:instructor_id",
  "class_type": "class_type:class_type_id", "package": "package:package_id", "location": "location:location_id", "payment_amount": "amount",
  "payment_type": "word", "rate": "amount", "rate_id": "rate", "schedule_type": "word", "booking_type": "word", "class_status": "word",
  "payment_status": "word", "instructor_status": "word", "instructor_response_at": "instant", "notes": "text", "schedule_id": "schedule",
  "occurs_on": "date", "plan_id": "uuid", "booking_ids": "list", "assigned_by": "login", "assigned_at": "instant", "created_at": "instant",
  "archived_by": "login", "archived_at": "instant"}'::jsonb;
comment on function private.assignment_columns() is 'The columns of a file of classes, each with its kind.';

create type private.import_class as (
  row_number integer, line integer, class public.class_assignments, booking_ids text[], archived_at timestamptz, archived_by uuid
);
comment on type private.import_class is 'The class one row of a file asks for, the bookings it serves, and since when it is in the archive, if it is.';

-- What a file has no column for, a schedule fills in; an empty cell of a column it has says that there is none.
create function private.read_class(p_item private.import_item) returns private.import_class
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_class public.class_assignments := private.read_draft(p_item.fields - array['booking_ids', 'archived_by', 'archived_at']);
  v_archived_at constant timestamptz := (p_item.fields ->> 'archived_at')::timestamptz;
begin
  v_class := jsonb_populate_record(v_class, (
    select coalesce(jsonb_object_agg(f.key, f.value), '{}')
    from jsonb_each(jsonb_strip_nulls(p_item.fields)) as f(key, value)
    where f.key in ('class_status', 'payment_status', 'instructor_status', 'occurs_on')
  ));
  v_class.id := p_item.id;
  v_class.version := 1;
  v_class.assigned_by := coalesce(v_class.assigned_by, private.caller_id());
  v_class.assigned_at := coalesce(v_class.assigned_at, private.now());
  v_class.created_at := coalesce(v_class.created_at, private.now());
  v_class.updated_at := private.now();
  if v_archived_at is not null then
    v_class.payment_amount := coalesce(v_class.payment_amount, 0);
  end if;
  return row(p_item.row_number, p_item.line, v_class,
    array(select distinct b.code from jsonb_array_elements_text(coalesce(nullif(p_item.fields -> 'booking_ids', 'null'), '[]')) as b(code) order by 1),
    v_archived_at, (p_item.fields ->> 'archived_by')::uuid);
end;
$$;
comment on function private.read_class(private.import_item) is 'The class one row of a file asks for.';

create function private.class_errors(p_class private.import_class) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_class constant public.class_assignments := p_class.class;
  v_stands constant boolean := v_class.class_status is distinct from 'cancelled' and p_class.archived_at is null;
  v_errors jsonb;
begin
  -- A date that was called off, or is long over, need not be the schedule's any more.
  v_errors := coalesce((
    select jsonb_agg(e.error) from jsonb_array_elements(private.draft_errors(v_class)) as e(error) where v_stands or e.error ->> 'field' <> 'occurs_on'
  ), '[]');
  return v_errors
    || private.input_error(v_class.class_status = 'completed' and coalesce(v_class.starts_at > private.now(), v_class.date > private.today()),
      'class_status', 'This class has not begun yet')
    || private.input_error(v_class.payment_status <> 'pending' and not private.has_permission('manage:pay'), 'payment_status',
      'Whoever may manage:pay says what is paid')
    || private.input_error(v_class.rate_id is not null
        and not exists (select from public.instructor_rates r where r.id = v_class.rate_id and r.instructor_id = v_class.instructor_id),
      'rate_id', 'This is no rate of the instructor''s')
    || coalesce((
      select private.input_error(true, 'date', format('The pay period %s is closed', p.name))
      from public.pay_periods p
      where p.status = 'closed' and v_class.date between p.starts_on and p.ends_on
    ), '[]');
end;
$$;
comment on function private.class_errors(private.import_class) is 'What is wrong with a class of a file, every field at once.';

create function private.faults_of_links(p_classes private.import_class[]) returns private.import_fault[]
language sql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan
begin atomic
  with links as materialized (
    select c.row_number, c.line, u.code, b.status, (c.class).class_status as class_status, c.archived_at,
      coalesce(s.max_participants, t.max_participants) as room
    from unnest(p_classes) c
    left join public.class_schedules s on s.id = (c.class).schedule_id
    left join public.class_types t on t.id = coalesce((c.class).class_type_id, s.class_type_id)
    cross join lateral unnest(c.booking_ids) as u(code)
    left join public.bookings b on b.booking_id = u.code
  ), faults as (
    select l.row_number, l.line, 'invalid_input' as code, 'There is no booking of this code' as reason, l.code as value
    from links l
    where l.status is null
    union all
    select l.row_number, l.line, 'seats_full', format('The class has room for %s, not for %s', l.room, count(*)), null
    from links l
    where l.status <> 'cancelled' and l.class_status <> 'cancelled' and l.archived_at is null
    group by l.row_number, l.line, l.room
    having count(*) > l.room
  )
  select coalesce(array_agg(row(f.row_number, f.line, 'booking_ids', f.code, f.reason, left(f.value, 200))::private.import_fault order by f.row_number, f.value), '{}')
  from faults f;
end;
comment on function private.faults_of_links(private.import_class[]) is 'Classes of a file that serve bookings nobody knows, or more than they have room for.';

create function private.clashes_of_classes(p_classes private.import_class[]) returns jsonb
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan
as $$
begin
  return coalesce((
    with dates as (
      -- A date of a schedule is taken once, whether or not it has times.
      select x.row_number, min(y.row_number) as with_row
      from unnest(p_classes) x
      join unnest(p_classes) y on (y.class).schedule_id = (x.class).schedule_id and (y.class).occurs_on = (x.class).occurs_on and y.row_number <> x.row_number
      where (x.class).class_status <> 'cancelled' and (y.class).class_status <> 'cancelled'
      group by x.row_number
    ), found as (
      select p_classes[c.row_number].row_number, c.resource_name, c.conflict_type, c.source_table, c.source_id,
        p_classes[c.with_row_number].row_number as with_row, c.starts_at, c.ends_at, c.message
      from private.assignment_clashes(array(select u.class from unnest(p_classes) u order by u.row_number)) c
      union all
      select d.row_number, null, 'schedule_date', null, null, d.with_row, null, null, 'Another row has the same date of this schedule'
      from dates d
    )
    select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('row', f.row_number, 'line', c.line, 'title', coalesce(t.name, p.name, 'Class'), 'date', (c.class).date,
      'resource', f.resource_name, 'conflict_type', f.conflict_type, 'source_table', f.source_table, 'source_id', f.source_id, 'with_row', f.with_row,
      'with_line', w.line, 'starts_at', f.starts_at, 'ends_at', f.ends_at,
      'message', f.message || coalesce(format(' (line %s)', w.line), ''))) order by f.row_number, f.with_row nulls first, f.starts_at)
    from found f
    join unnest(p_classes) c on c.row_number = f.row_number
    left join unnest(p_classes) w on w.row_number = f.with_row
    left join public.class_types t on t.id = (c.class).class_type_id
    left join public.packages p on p.id = (c.class).package_id
  ), '[]');
end;
$$;
comment on function private.clashes_of_classes(private.import_class[]) is 'What the classes of a file, in their order, run into: what is there, and each other.';

create function private.write_classes(p_classes private.import_class[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into public.class_assignments (id, class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, time_zone, payment_amount,
    payment_type, schedule_type, booking_type, class_status, payment_status, instructor_status, instructor_response_at, notes, assigned_by, assigned_at,
    schedule_id, occurs_on, plan_id, rate, rate_id, created_at)
  select a.id, a.class_type_id, a.package_id, a.instructor_id, a.location_id, a.date, a.start_time, a.end_time, a.time_zone, a.payment_amount,
    a.payment_type, a.schedule_type, a.booking_type, a.class_status, a.payment_status, a.instructor_status, a.instructor_response_at, a.notes, a.assigned_by,
    a.assigned_at, a.schedule_id, a.occurs_on, a.plan_id, a.rate, a.rate_id, a.created_at
  from (select (c.class).* from unnest(p_classes) c where c.archived_at is null) a;
  -- Links that a booking had before it ended come along; ended it stays.
  insert into private.brought_links (assignment_id, booking_id)
  select (c.class).id, b.booking_id
  from unnest(p_classes) c
  join public.bookings b on b.booking_id = any(c.booking_ids) and b.status in ('completed', 'cancelled')
  where c.archived_at is null;
  insert into public.assignment_bookings (assignment_id, booking_id)
  select (c.class).id, u.code
  from unnest(p_classes) c
  cross join lateral unnest(c.booking_ids) as u(code)
  where c.archived_at is null;
  delete from private.brought_links l where l.assignment_id in (select (c.class).id from unnest(p_classes) c);
  insert into public.class_assignments_archive
  select (c.class).*, c.booking_ids, c.archived_by, c.archived_at
  from unnest(p_classes) c
  where c.archived_at is not null;
  perform private.confirm_bookings(array(select u.code from unnest(p_classes) c cross join lateral unnest(c.booking_ids) as u(code) where c.archived_at is not null));
end;
$$;
comment on function private.write_classes(private.import_class[]) is 'Writes classes of a file with their links, those of the archive into the archive.';

create function private.import_assignment_rows(p_rows jsonb, p_request jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set work_mem = '64MB' set jit = off
as $$
declare
  v_items private.import_item[];
  v_faults private.import_fault[];
  v_classes private.import_class[];
  v_clashes jsonb := '[]';
  v_report jsonb;
begin
  perform private.require_permission('bulk:assignment');
  perform private.require_permission('create:assignment');
  perform private.start_import('assignments', p_request);
  select r.p_items, r.p_faults into v_items, v_faults
  from private.read_cells('assignment', p_rows, private.assignment_columns(),
    array['instructor_response_at', 'assigned_by', 'assigned_at', 'created_at', 'archived_by', 'archived_at']) r;
  v_faults := v_faults || private.faults_of_repeats(v_items, 'id');
  v_items := private.with_fate(v_items, 'present', array(
    select i.row_number from unnest(v_items) i
    where exists (select from public.class_assignments a where a.id = i.id) or exists (select from public.class_assignments_archive a where a.id = i.id)
  ));
  v_classes := array(select private.read_class(i) from unnest(v_items) i where i.fate = 'new' order by i.row_number);
  v_faults := v_faults || array(
    select f
    from unnest(v_classes) c
    join unnest(v_items) i on i.row_number = c.row_number
    cross join lateral private.faults_of_errors(i, private.class_errors(c), private.assignment_columns()) f
  ) || private.faults_of_links(v_classes);
  -- Rows that make no sense cannot be compared.
  if cardinality(v_faults) = 0 then
    v_clashes := private.clashes_of_classes(array(select c from unnest(v_classes) c where c.archived_at is null order by c.row_number));
  end if;
  if p_request ->> 'on_conflict' = 'skip' then
    v_items := private.with_fate(v_items, 'left_out', (
      select private.rows_to_leave_out(array_agg((c ->> 'row')::integer), array_agg((c ->> 'with_row')::integer)) from jsonb_array_elements(v_clashes) c
    ));
    v_classes := array(
      select c from unnest(v_classes) c join unnest(v_items) i on i.row_number = c.row_number and i.fate = 'new' order by c.row_number
    );
  end if;
  v_report := private.import_items_report(p_request, v_items, v_faults, v_clashes);
  if (p_request ->> 'dry_run')::boolean then
    return v_report;
  end if;
  if (v_report ->> 'refused')::boolean then
    perform private.refuse_items(v_report);
  end if;
  perform private.write_classes(v_classes);
  return v_report;
end;
$$;
comment on function private.import_assignment_rows(jsonb, jsonb) is
  'Imports classes, or says what importing them would do, for a holder of bulk:assignment and create:assignment.';

-- sql/40_studio/rules/95_export.sql

-- Exporting what the imports read: the same columns, all text, and names wherever a name means one thing only.

create view private.export_names with (security_invoker = true) as
select n.kind, n.id, case when count(*) over (partition by n.kind, lower(n.name)) = 1 and n.name = private.clean_text(n.name)
    and not private.is_uuid(n.name) and n.name not like '%@%' then n.name else n.id::text end as name
from (
  select 'person' as kind, d.id, d.full_name as name from private.directory d
  union all select 'class_type', t.id, t.name from public.class_types t
  union all select 'package', p.id, p.name from public.packages p
  union all select 'location', l.id, l.name from public.locations l
) n
where n.name is not null;
comment on view private.export_names is 'What to call people, class types, packages and locations in a file: by name where that means one of them only, else by id.';

create function private.instant_to_text(p_instant timestamptz) returns text
language sql immutable set search_path = ''
return to_char(p_instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
comment on function private.instant_to_text(timestamptz) is 'An instant as imports read it, in UTC.';

create function private.check_page(p_limit integer) returns void
language sql stable set search_path = ''
return private.fail_input(private.input_error(coalesce(p_limit, 0) not between 1 and 5000, 'p_limit', 'Ask for 1 to 5000 rows'));
comment on function private.check_page(integer) is 'Refuses a page that is none, or too long.';

-- sql/40_studio/views.sql

-- What frontends list, and what those see who may not read the tables themselves.

create view public.assignment_details with (security_invoker = true) as
select a.id, a.class_type_id, a.package_id, a.instructor_id, a.location_id, a.date, a.start_time, a.end_time, a.time_zone,
  a.starts_at, a.ends_at, a.payment_amount, a.payment_type, a.schedule_type, a.booking_type, a.class_status, a.payment_status,
  a.instructor_status, a.instructor_response_at, a.notes, a.assigned_by, a.assigned_at, a.schedule_id, a.occurs_on, a.plan_id,
  a.rate, a.rate_id, a.version, a.created_at, a.updated_at,
  t.name as class_type_name, t.difficulty_level, p.name as package_name, p.class_count, p.validity_days,
  i.full_name as instructor_name, i.email as instructor_email, l.name as location_name, b.booking_count, b.booking_ids
from public.class_assignments a
left join public.class_types t on t.id = a.class_type_id
left join public.packages p on p.id = a.package_id
left join public.locations l on l.id = a.location_id
left join private.directory i on i.id = a.instructor_id
cross join lateral (
  select count(*)::integer as booking_count, coalesce(array_agg(x.booking_id order by x.booking_id), '{}') as booking_ids
  from public.assignment_bookings x
  where x.assignment_id = a.id
) b;
comment on view public.assignment_details is 'Classes with the names of everything they refer to, and the bookings they serve. Rows as in class_assignments.';
comment on column public.assignment_details.class_count is 'How many classes the package is good for.';
comment on column public.assignment_details.validity_days is 'For how many days the package is valid.';
comment on column public.assignment_details.instructor_email is 'In full for oneself and for holders of read:contact, masked for others.';
comment on column public.assignment_details.booking_count is 'How many bookings the class serves.';
comment on column public.assignment_details.booking_ids is 'Their codes.';

-- Definers' views, since customers may not read classes (they say what instructors are paid), nor instructors bookings
-- (they say how to reach customers). Each hands out only rows that are the caller's own business.
create view private.customer_classes as
select a.id as assignment_id, b.booking_id, a.date, a.start_time, a.end_time, a.time_zone, a.starts_at, a.ends_at, a.class_status,
  t.name as class_type_name, t.difficulty_level, p.name as package_name, i.full_name as instructor_name, l.name as location_name, l.address as location_address
from public.bookings b
join public.assignment_bookings x on x.booking_id = b.booking_id
join public.class_assignments a on a.id = x.assignment_id
left join public.class_types t on t.id = a.class_type_id
left join public.packages p on p.id = a.package_id
left join public.locations l on l.id = a.location_id
left join public.user_profiles i on i.id = a.instructor_id
where b.profile_id = (select private.current_profile_id()) or b.user_id = (select private.caller_id()) or (select private.is_trusted());
comment on view private.customer_classes is 'The classes that serve the caller''s bookings, all for servers; read through public.my_classes.';

create view public.my_classes with (security_invoker = true) as
select c.assignment_id, c.booking_id, c.date, c.start_time, c.end_time, c.time_zone, c.starts_at, c.ends_at, c.class_status,
  c.class_type_name, c.difficulty_level, c.package_name, c.instructor_name, c.location_name, c.location_address
from private.customer_classes c;
comment on view public.my_classes is 'The classes that serve the caller''s own bookings: when, what, with whom and where. Without pay.';
comment on column public.my_classes.booking_id is 'The code of the caller''s booking.';

create view private.class_rosters as
select a.id as assignment_id, b.booking_id, b.first_name, b.last_name, b.status, b.booking_type
from public.class_assignments a
join public.assignment_bookings x on x.assignment_id = a.id
join public.bookings b on b.booking_id = x.booking_id
where a.instructor_id = (select private.current_profile_id()) or (select private.has_permission('read:booking'));
comment on view private.class_rosters is 'Who takes part in the caller''s classes; read through public.class_participants.';

create view public.class_participants with (security_invoker = true) as
select r.assignment_id, r.booking_id, r.first_name, r.last_name, r.status, r.booking_type
from private.class_rosters r;
comment on view public.class_participants is 'Who takes part in the classes one teaches, by name; in all classes for holders of read:booking.';

-- sql/40_studio/views/30_pay.sql

-- Classes wherever they are kept; one that stands in both places counts once.
create view private.paid_classes as
select a.id, a.instructor_id, a.date, a.starts_at, a.ends_at, a.schedule_type, a.class_status, a.instructor_status, a.payment_status, a.payment_amount
from public.class_assignments a
union all
select a.id, a.instructor_id, a.date, a.starts_at, a.ends_at, a.schedule_type, a.class_status, a.instructor_status, a.payment_status, a.payment_amount
from public.class_assignments_archive a
where not exists (select from public.class_assignments l where l.id = a.id);
comment on view private.paid_classes is 'All classes, archived ones included, as far as pay and numbers go.';

-- sql/40_studio/rpc/archive_assignments.sql

create function private.archive_before(p_before date, p_limit integer) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('bulk:assignment');
  return private.archive_classes(array(
    select a.id from public.class_assignments a
    where a.date < p_before and a.class_status <> 'scheduled'
    order by a.date, a.id
    limit p_limit
    -- Whoever moves others at the same moment has theirs; whoever changes one keeps it until the next call.
    for no key update skip locked
  ));
end;
$$;
comment on function private.archive_before(date, integer) is 'Archives classes that are over and older, for a holder of bulk:assignment.';

create function public.archive_assignments(p_before date, p_limit integer default 1000, p_idempotency_key text default null) returns integer
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('before', p_before, 'limit', p_limit);
  v_answer jsonb := private.answered_before('archive_assignments', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.require_permission('bulk:assignment');
    perform private.fail_input(
      private.input_error(p_before is null, 'p_before', 'Say before which day')
      || private.input_error(p_before > private.today(), 'p_before', 'Only what is past is archived')
      || private.input_error(coalesce(p_limit, 0) not between 1 and 5000, 'p_limit', 'Between 1 and 5000 at once'));
    v_answer := to_jsonb(private.archive_before(p_before, p_limit));
    perform private.remember_answer('archive_assignments', p_idempotency_key, v_request, v_answer);
  end if;
  return v_answer::integer;
end;
$$;
comment on function public.archive_assignments(date, integer, text) is
  'Moves completed and cancelled classes of days before p_before into class_assignments_archive, at most p_limit of them, the oldest first; links, pay and bookings stay as they are. Call it again until it answers 0. Needs bulk:assignment. Returns how many were moved. Raises invalid_input.';

-- sql/40_studio/rpc/assignment_analytics.sql

-- The rows are read once and summed up by everything at once; what is asked for are sums over those few sums. A set of
-- one document, because Postgres reads in parallel only for RETURN QUERY; with room for hashing, because it takes each
-- day for a group of its own and would sort the rows; and planned for the days asked for, since a plan for any days is
-- one for few rows.
create function private.assignment_analytics_for_caller(p_from date, p_to date, p_instructor_ids uuid[], p_types text[]) returns setof jsonb
language plpgsql stable security definer set search_path = '' set work_mem = '32MB' set plan_cache_mode = force_custom_plan
as $$
declare
  v_ids constant uuid[] := private.numbers_of(p_instructor_ids);
  v_types constant text[] := array_replace(p_types, 'crash_course', 'crash');
  v_today constant date := private.today();
  v_months date[];
begin
  perform private.fail_input(
    private.days_errors(p_from, p_to, 'date_start', 'date_end')
    || private.input_error(not v_types <@ array['adhoc', 'weekly', 'monthly', 'crash', 'package'], 'assignment_types',
      'A type is adhoc, weekly, monthly, crash or package'));
  -- Looking a date up among these is cheaper than truncating each.
  v_months := array(select m::date from generate_series(date_trunc('month', p_from::timestamp), p_to::timestamp, interval '1 month') as m order by m);
  return query
    with cells as (
      select c.instructor_id, c.schedule_type, width_bucket(c.date, v_months) as month, count(*) as classes,
        sum(c.payment_amount) filter (where c.class_status <> 'cancelled') as revenue,
        count(*) filter (where c.class_status = 'completed') as completed,
        count(*) filter (where c.class_status = 'completed' or c.class_status = 'scheduled' and c.date <= v_today) as come
      from private.paid_classes c
      where c.date between p_from and p_to and (v_ids is null or c.instructor_id = any(v_ids))
        and (v_types is null or c.schedule_type = any(v_types))
      group by 1, 2, 3
    ),
    sums as (
      select grouping(c.schedule_type, c.instructor_id, c.month) as kind, c.schedule_type, c.instructor_id, c.month,
        coalesce(sum(c.classes), 0) as classes, coalesce(sum(c.revenue), 0.00) as revenue,
        round(sum(c.completed) / nullif(sum(c.come), 0), 4) as completion_rate
      from cells c
      group by grouping sets ((), (c.schedule_type), (c.instructor_id), (c.month))
    )
    select jsonb_build_object(
      'total_revenue', (array_agg(s.revenue) filter (where s.kind = 7))[1],
      'total_assignments', (array_agg(s.classes) filter (where s.kind = 7))[1],
      'assignment_distribution', coalesce(jsonb_agg(
        jsonb_build_object('type', s.schedule_type, 'count', s.classes, 'revenue', s.revenue) order by s.classes desc, s.schedule_type
      ) filter (where s.kind = 3), '[]'),
      'instructor_stats', coalesce(jsonb_agg(
        jsonb_build_object('instructor_id', s.instructor_id, 'instructor_name', p.full_name, 'assignment_count', s.classes,
          'total_revenue', s.revenue, 'completion_rate', s.completion_rate) order by s.revenue desc, p.full_name, s.instructor_id
      ) filter (where s.kind = 5), '[]'),
      'monthly_trends', coalesce(jsonb_agg(
        jsonb_build_object('month', to_char(v_months[s.month]::timestamp, 'YYYY-MM'), 'revenue', s.revenue, 'assignment_count', s.classes) order by s.month
      ) filter (where s.kind = 6), '[]'))
    from sums s
    left join public.user_profiles p on p.id = s.instructor_id;
end;
$$;
comment on function private.assignment_analytics_for_caller(date, date, uuid[], text[]) is
  'What public.assignment_analytics does, with the rights to do it.';

create function public.assignment_analytics(
  date_start date,
  date_end date,
  instructor_ids uuid[] default null,
  assignment_types text[] default null
) returns jsonb
language sql stable set search_path = ''
return (select a.document from private.assignment_analytics_for_caller(date_start, date_end, instructor_ids, assignment_types) as a(document));
comment on function public.assignment_analytics(date, date, uuid[], text[]) is
  'The numbers of the classes from date_start to date_end (both included; archived classes too), of these instructors and schedule types (null: all): {total_revenue, total_assignments, assignment_distribution: [{type, count, revenue}], instructor_stats: [{instructor_id, instructor_name, assignment_count, total_revenue, completion_rate}], monthly_trends: [{month: "2026-01", revenue, assignment_count}]}. Revenue is what classes are paid; cancelled ones are counted but have none. completion_rate is completed divided by those not cancelled whose date has come, from 0 to 1, null where none has. With read:analytics everybody''s; with read:own_analytics one''s own, others asked for are left out. Raises forbidden without either, invalid_input.';

-- sql/40_studio/rpc/assignment_conflict_check.sql

create function private.check_assignment_conflict(
  p_instructor_id uuid, p_date date, p_start_time time, p_end_time time, p_exclude_assignment_id uuid
) returns setof private.assignment_clash
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_row public.class_assignments;
  v_errors jsonb;
begin
  if private.caller_id() is null and not private.is_trusted() then
    perform private.fail('forbidden', 'Sign in to see who is free');
  end if;
  select a.* into v_row from public.class_assignments a where a.id = p_exclude_assignment_id;
  v_row.instructor_id := p_instructor_id;
  v_row.location_id := null;
  v_row.date := p_date;
  v_row.start_time := p_start_time;
  v_row.end_time := p_end_time;
  v_row.time_zone := coalesce(v_row.time_zone, private.setting_text('organisation_time_zone'));
  v_row.class_status := 'scheduled';
  v_row.instructor_status := 'pending';
  v_errors := private.within(private.input_error(p_instructor_id is null, 'instructor_id', 'Say who teaches it')
    || private.meeting_errors(p_date, p_start_time, p_end_time, p_date, v_row.time_zone), 'p_');
  perform private.fail_input(v_errors);
  if not exists (select from public.user_profiles p where p.id = p_instructor_id) then
    perform private.fail('not_found', 'There is no such instructor', 'p_instructor_id', jsonb_build_object('profile_id', p_instructor_id));
  end if;
  v_row.starts_at := private.local_to_instant(p_date, p_start_time, v_row.time_zone);
  v_row.ends_at := private.local_end_to_instant(p_date, p_end_time, v_row.time_zone);
  return query select c.* from private.assignment_clashes(array[v_row]) c;
end;
$$;
comment on function private.check_assignment_conflict(uuid, date, time, time, uuid) is 'The clashes assignment_conflict_check tells of.';

create function public.assignment_conflict_check(
  p_instructor_id uuid, p_date date, p_start_time time, p_end_time time, p_exclude_assignment_id uuid default null
) returns table (has_conflict boolean, conflicting_assignment_id uuid, conflict_type text, conflict_message text)
language plpgsql stable set search_path = ''
as $$
begin
  return query
    select true, case when c.source_table = 'class_assignments' then c.source_id end, c.conflict_type, c.message
    from private.check_assignment_conflict(p_instructor_id, p_date, p_start_time, p_end_time, p_exclude_assignment_id) c;
  if not found then
    return query select false, null::uuid, null::text, null::text;
  end if;
end;
$$;
comment on function public.assignment_conflict_check(uuid, date, time, time, uuid) is
  'Whether an instructor is taken on a date between two wall-clock times (the organisation''s zone, or that of the class left out): a row for each clash, or one row saying false. conflict_type is instructor_assignment, instructor_schedule, the ledger''s other kinds such as meeting, or busy where the caller may not read that calendar. p_exclude_assignment_id leaves out the class being moved and the date of a schedule it stands for. Raises invalid_input, not_found.';

-- sql/40_studio/rpc/bulk_assignment_operations.sql

-- What each id would run into, before anything is done: the first reason, in words.
create function private.bulk_problems(p_operation text, p_ids uuid[], p_changes jsonb, p_days integer) returns table (id uuid, code text, message text)
language plpgsql stable security definer set search_path = ''
as $$
#variable_conflict use_column
declare
  v_bulk constant boolean := private.has_permission('bulk:assignment');
  v_creates constant boolean := private.has_permission('create:assignment');
  v_pays constant boolean := private.has_permission('manage:pay');
  v_caller constant uuid := private.caller_id();
  v_now constant timestamptz := private.now();
  v_today constant date := private.today();
begin
  return query
    with asked as materialized (
      select distinct u.id from unnest(p_ids) as u(id)
    ), rows as materialized (
      select k.id as asked_id, a as before, case when p_operation = 'delete' then a else
        jsonb_populate_record(a, p_changes || case when p_days <> 0 then jsonb_build_object('date', a.date + p_days) else '{}' end) end as after
      from asked k
      left join public.class_assignments a on a.id = k.id
    ), clashes as materialized (
      select (array(select a.id from asked k join public.class_assignments a on a.id = k.id order by a.id))[c.row_number] as asked_id,
        (array_agg(c.message order by c.starts_at))[1] as message
      from private.changed_clashes(p_ids, p_changes, p_days) c
      where p_operation in ('reassign', 'reschedule')
      group by 1
    )
    select r.asked_id, p.code, p.message
    from rows r
    left join clashes c on c.asked_id = r.asked_id
    left join lateral private.illegal_move(r.before, r.after, v_pays) m on (r.before).id is not null and p_operation <> 'delete'
    left join lateral (
      select string_agg(x.error ->> 'message', '; ' order by x.n) as messages
      from jsonb_array_elements(private.assignment_errors(r.after, r.before)) with ordinality as x(error, n)
    ) e on (r.before).id is not null and p_operation <> 'delete'
    cross join lateral (
      select case
          when (r.before).id is null then 'not_found'
          when not v_bulk and not (v_creates and (r.before).assigned_by is not distinct from v_caller) then 'forbidden'
          when m.message is not null then 'illegal_transition'
          when p_operation = 'update_status' and (r.after).class_status = 'completed' and (r.before).class_status <> 'completed'
            and coalesce((r.before).starts_at > v_now, (r.before).date > v_today) then 'illegal_transition'
          when w.name is not null then 'illegal_transition'
          when e.messages is not null then 'invalid_input'
          when c.message is not null then 'time_conflict'
        end as code,
        case
          when (r.before).id is null then 'There is no such class'
          when not v_bulk and not (v_creates and (r.before).assigned_by is not distinct from v_caller) then 'Somebody else assigned this class'
          when m.message is not null then m.message
          when p_operation = 'update_status' and (r.after).class_status = 'completed' and (r.before).class_status <> 'completed'
            and coalesce((r.before).starts_at > v_now, (r.before).date > v_today) then 'This class has not begun yet'
          when w.name is not null then format('The pay period %s is closed', w.name)
          when e.messages is not null then e.messages
          else c.message
        end as message
      from (select 1) one
      left join public.pay_periods w on w.status = 'closed'
        and ((r.before).date between w.starts_on and w.ends_on or (r.after).date between w.starts_on and w.ends_on)
      limit 1
    ) p
    where p.code is not null
    order by r.asked_id;
end;
$$;
comment on function private.bulk_problems(text, uuid[], jsonb, integer) is
  'Why these classes cannot be changed so, each with the first reason; those that can are not in it.';

create function private.bulk_reasons(p_operation text, p_ids uuid[], p_changes jsonb, p_days integer) returns jsonb
language sql stable security definer set search_path = ''
return coalesce((
  select jsonb_agg(jsonb_build_object('id', p.id, 'code', p.code, 'message', p.message) order by p.id)
  from private.bulk_problems(p_operation, p_ids, p_changes, p_days) p
), '[]');
comment on function private.bulk_reasons(text, uuid[], jsonb, integer) is 'The same as a list for the caller.';

create function private.change_many(p_operation text, p_ids uuid[], p_changes jsonb, p_days integer) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  -- Whoever holds bulk:assignment may; others change what they assigned, which is asked under the lock.
  -- Deleting takes the stronger lock, which would otherwise be asked for while somebody who links a booking waits for the
  -- weaker one.
  if p_operation = 'delete' then
    perform from public.class_assignments a where a.id = any(p_ids) order by a.id for update;
  else
    perform from public.class_assignments a where a.id = any(p_ids) order by a.id for no key update;
  end if;
  if not private.has_permission('bulk:assignment') then
    perform private.require_permission('create:assignment');
    if exists (select from public.class_assignments a where a.id = any(p_ids) and a.assigned_by is distinct from private.caller_id()) then
      perform private.require_permission('bulk:assignment');
    end if;
  end if;
  if p_operation = 'delete' then
    delete from public.class_assignments a where a.id = any(p_ids);
  else
    perform private.apply_changes(p_ids, p_changes, null, p_days);
  end if;
  get diagnostics v_count = row_count;
  if v_count < (select count(distinct u.id) from unnest(p_ids) as u(id)) then
    perform private.refuse_missing(p_ids, 'assignment_ids');
  end if;
  return v_count;
end;
$$;
comment on function private.change_many(text, uuid[], jsonb, integer) is
  'Deletes or changes these classes in one statement, for a holder of bulk:assignment or whoever assigned them all.';

-- What is done of it when not everything can be. A class that stays because of one thing may be in the way of another that
-- was to take its place, so it is asked again without it. What asking does not find out, such as a customer whose credits
-- are used up, trying one by one does.
create function private.change_what_can_be(p_operation text, p_ids uuid[], p_changes jsonb, p_days integer) returns jsonb
language plpgsql volatile set search_path = ''
as $$
declare
  v_ids uuid[] := p_ids;
  v_id uuid;
  v_found jsonb;
  v_not_done jsonb := '[]';
  v_error jsonb;
  v_affected integer := 0;
begin
  loop
    v_found := private.bulk_reasons(p_operation, v_ids, p_changes, p_days);
    exit when v_found = '[]';
    v_not_done := v_not_done || v_found;
    v_ids := array(
      select u.id from unnest(v_ids) as u(id) where u.id not in (select (n.item ->> 'id')::uuid from jsonb_array_elements(v_found) as n(item))
    );
  end loop;
  begin
    if v_ids <> '{}' then
      v_affected := private.change_many(p_operation, v_ids, p_changes, p_days);
    end if;
  exception when sqlstate 'PGRST' then
    foreach v_id in array v_ids loop
      begin
        v_affected := v_affected + private.change_many(p_operation, array[v_id], p_changes, p_days);
      exception when sqlstate 'PGRST' then
        v_error := sqlerrm;
        v_not_done := v_not_done || jsonb_build_object('id', v_id, 'code', v_error -> 'code', 'message', v_error -> 'message');
      end;
    end loop;
  end;
  return jsonb_build_object('affected_count', v_affected, 'not_done', v_not_done);
end;
$$;
comment on function private.change_what_can_be(text, uuid[], jsonb, integer) is
  'Changes those of these classes that can be changed so; how many were, and for each other one the reason.';

create function public.bulk_assignment_operations(
  operation_type text, assignment_ids uuid[], update_data jsonb default '{}', p_partial boolean default false, p_idempotency_key text default null
) returns table (success boolean, affected_count integer, error_message text, not_done jsonb)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request jsonb := jsonb_build_object('operation_type', operation_type, 'assignment_ids', assignment_ids, 'update_data', update_data, 'partial', p_partial);
  v_answer jsonb := private.answered_before('bulk_assignment_operations', p_idempotency_key, v_request);
  v_operation constant text := operation_type;
  v_ids uuid[] := assignment_ids;
  v_fields constant jsonb := case operation_type
      when 'delete' then '{}'
      when 'update_status' then '{"class_status": "text", "payment_status": "text", "instructor_status": "text"}'
      when 'reassign' then '{"instructor_id": "uuid"}'
      when 'reschedule' then '{"date": "date", "start_time": "time", "end_time": "time", "time_zone": "text", "location_id": "uuid", "days": "text"}'
    end;
  v_changes jsonb := coalesce(update_data, '{}');
  v_days integer := 0;
  v_not_done jsonb := '[]';
  v_affected integer := 0;
  v_done jsonb;
begin
  if v_answer is null then
    if not private.has_permission('bulk:assignment') then
      perform private.require_permission('create:assignment');
    end if;
    perform private.refuse_bulk(v_ids, 'assignment_ids');
    if v_operation = 'reschedule' and v_changes ->> 'days' ~ '^-?[0-9]{1,3}$' then
      v_days := (v_changes ->> 'days')::integer;
      v_changes := v_changes - 'days';
    end if;
    perform private.fail_input(
      private.input_error(v_fields is null, 'operation_type', 'An operation is delete, update_status, reassign or reschedule')
      || private.input_error(coalesce(cardinality(v_ids), 0) = 0, 'assignment_ids', 'Say which classes')
      || private.input_error(array_position(v_ids, null) is not null, 'assignment_ids', 'A class is missing its id')
      || private.input_error(v_operation <> 'delete' and v_fields is not null and v_changes = '{}' and v_days = 0, 'update_data', 'Say what changes')
      || private.input_error(v_changes ? 'days', 'update_data.days', 'Days are a whole number, such as 7 or -1')
      || private.input_error(v_changes ? 'date' and v_days <> 0, 'update_data.days', 'Give a date or a number of days')
      || private.input_error(jsonb_path_exists(v_changes, '$.* ? (@ == null)') and v_operation in ('update_status', 'reassign'), 'update_data', 'Nothing here can be empty')
      || private.input_error(v_operation = 'reschedule' and v_changes -> 'date' = 'null', 'update_data.date', 'A class has a date')
      || private.input_error(v_operation = 'reschedule' and v_changes -> 'time_zone' = 'null', 'update_data.time_zone', 'A class has a time zone')
      || private.input_error(v_changes ->> 'class_status' not in ('scheduled', 'completed', 'cancelled'), 'update_data.class_status',
        'A class is scheduled, completed or cancelled')
      || private.input_error(v_changes ->> 'payment_status' not in ('pending', 'paid', 'cancelled'), 'update_data.payment_status',
        'Pay is pending, paid or cancelled')
      || private.input_error(v_changes ->> 'instructor_status' not in ('pending', 'accepted', 'rejected'), 'update_data.instructor_status',
        'An instructor''s answer is pending, accepted or rejected')
      || case when v_fields is null then '[]' else private.json_object_errors(v_changes, v_fields, 'update_data.') end
    );
    -- Mostly nothing is in the way, and asking first would take longer than trying.
    begin
      v_affected := private.change_many(v_operation, v_ids, v_changes, v_days);
    exception when sqlstate 'PGRST' then
      if p_partial then
        v_done := private.change_what_can_be(v_operation, array(select distinct u.id from unnest(v_ids) as u(id) order by u.id), v_changes, v_days);
        v_affected := (v_done ->> 'affected_count')::integer;
        v_not_done := v_done -> 'not_done';
      else
        v_not_done := private.bulk_reasons(v_operation, v_ids, v_changes, v_days);
        if v_not_done = '[]' then
          raise;
        end if;
      end if;
    end;
    v_answer := jsonb_build_object('success', v_not_done = '[]', 'affected_count', v_affected,
      'error_message', (v_not_done -> 0 ->> 'message') || case when jsonb_array_length(v_not_done) > 1
        then format(' (and %s more)', jsonb_array_length(v_not_done) - 1) else '' end,
      'not_done', v_not_done);
    perform private.remember_answer('bulk_assignment_operations', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select (v_answer ->> 'success')::boolean, (v_answer ->> 'affected_count')::integer, v_answer ->> 'error_message', v_answer -> 'not_done';
end;
$$;
comment on function public.bulk_assignment_operations(text, uuid[], jsonb, boolean, text) is
  'Does one thing to many classes. operation_type: delete; update_status (update_data: class_status, payment_status, instructor_status); reassign (instructor_id); reschedule (date, or days to move each by, start_time, end_time, time_zone, location_id). For holders of bulk:assignment; others on classes they assigned. All or none, unless p_partial: then what can be done is. Returns one row: success when all was done, affected_count, error_message (the first reason), not_done with id, code and message for every id that was not done. Raises invalid_input, limit_exceeded over bulk_limit; and, as any change, what somebody else''s change at the same moment brings.';

-- sql/40_studio/rpc/calculate_payment.sql

create function public.calculate_payment(
  p_payment_type text,
  p_rate numeric,
  p_class_count integer default 1,
  p_student_count integer default null,
  p_minutes integer default null,
  p_months integer default null
) returns table (total_amount numeric, class_amounts numeric[])
language sql immutable parallel safe set search_path = ''
begin atomic
  select (select sum(u.amount) from unnest(a.amounts) as u(amount)), a.amounts
  from (select private.class_amounts(p_payment_type, p_rate, p_class_count, p_student_count, p_minutes, p_months) as amounts) a;
end;
comment on function public.calculate_payment(text, numeric, integer, integer, integer, integer) is
  'What a rate buys for p_class_count classes: the total, and each class''s part of it, in exact decimals, rounded half up to the cent. Parts add up to the total and differ by a cent at most; the earlier classes get the cents left over. By p_payment_type: per_class, a class (50.00, 3 classes: 50.00 each, 150.00); per_class_total, a class too, quoted for the whole plan and split (16.665, 2 classes: 33.33 as 16.67 and 16.66); total_duration, the whole plan whatever its number of classes (100.00, 3 classes: 33.34, 33.33, 33.33); monthly, a calendar month, of which p_months (1 by default) are split (100.00, 2 months, 8 classes: 25.00 each, 200.00); per_member, one participant for the whole plan, times p_student_count (40.00, 5 participants, 3 classes: 200.00 as 66.67, 66.67, 66.66); per_student_per_class, one student in one class (10.00, 4 students, 2 classes: 40.00 each, 80.00). What a type does not need is ignored; p_minutes, how long the plan lasts, changes no amount. Pure: reads and writes nothing. Raises invalid_input naming every field: an unknown type, a rate or needed student count not above zero, fewer than 1 or more than 1000 classes.';

-- sql/40_studio/rpc/calendar_feed.sql

-- The window begins with a month, so that a calendar program that asks every hour finds the same answer for weeks; it
-- ends where no horizon of the ledger can lie.
create function private.feed_document(p_token text) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_from constant date := date_trunc('month', (private.today() - 90)::timestamp)::date;
  v_until constant date := (v_from + interval '3 years')::date;
  v_limit constant integer := private.setting_integer('calendar_feed_events');
  v_zone constant text := private.setting_text('organisation_time_zone');
  v_feed public.calendar_feeds;
  v_events jsonb;
begin
  select f.* into v_feed from public.calendar_feeds f where f.token_hash = private.feed_token_hash(p_token);
  if not found or not private.feed_is_open(v_feed) then
    perform private.fail('not_found', 'There is no such calendar', 'p_token', p_hint => 'It may have been revoked: make another feed.');
  end if;
  select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(e)) order by e.uid, e.replaces nulls first), '[]') into v_events
  from (
    select * from private.feed_rule_events(v_feed.resource_id, v_from, v_until)
    union all
    select * from private.feed_assignment_events(v_feed.resource_id, v_from)
    union all
    select * from private.feed_meeting_events(v_feed.resource_id, v_from)
    limit v_limit + 1
  ) e;
  if jsonb_array_length(v_events) > v_limit then
    perform private.fail('limit_exceeded', format('A calendar holds at most %s events', v_limit), 'p_token',
      jsonb_build_object('limit', v_limit), 'Make feeds for single rooms or people.');
  end if;
  return jsonb_build_object(
    'name', v_feed.name, 'time_zone', v_zone, 'events', v_events,
    'zones', (
      select jsonb_agg(private.feed_zone(z.name, (v_from - interval '1 year')::date, v_until) order by z.name)
      from (
        select v_zone as name
        union
        select e ->> 'time_zone' from jsonb_array_elements(v_events) e where e ? 'time_zone'
      ) z
    )
  );
end;
$$;
comment on function private.feed_document(text) is 'What public.calendar_feed answers.';

create function public.calendar_feed(p_token text) returns jsonb
language sql stable set search_path = ''
return private.feed_document(p_token);
comment on function public.calendar_feed(text) is
  'What the calendar with this secret shows, for the Edge Function calendar-feed to write as iCalendar: name, the organisation''s time_zone, zones (their offsets and changes) and events (classes, weekly rules, meetings; from the first of the month 90 days ago on; no customers, notes or pay). Anybody may ask: the secret is the permission. Raises not_found when it is unknown or revoked, or its maker may no longer see what it shows; limit_exceeded when it holds too much.';

-- sql/40_studio/rpc/close_pay_period.sql

-- Both functions: a period is found by its name, and an event recorded of it.
create function private.record_pay_period_event(p_name text, p_kind text, p_reason text) returns public.pay_periods
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_period public.pay_periods;
begin
  perform private.require_permission('manage:pay');
  select p.* into v_period from public.pay_periods p where p.name = private.clean_text(p_name);
  if not found then
    perform private.fail('not_found', 'There is no such pay period', 'p_name', jsonb_build_object('name', private.clean_text(p_name)));
  end if;
  insert into public.pay_period_events (pay_period_id, kind, reason) values (v_period.id, p_kind, p_reason);
  select p.* into v_period from public.pay_periods p where p.id = v_period.id;
  return v_period;
end;
$$;
comment on function private.record_pay_period_event(text, text, text) is
  'Closes or reopens the pay period of that name, for a holder of manage:pay; gives it as it is then.';

create function public.close_pay_period(p_name text, p_idempotency_key text default null) returns setof public.pay_periods
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('name', p_name);
  v_answer jsonb;
begin
  perform private.require_permission('manage:pay');
  v_answer := private.answered_before('close_pay_period', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(private.input_error(private.clean_text(p_name) is null, 'p_name', 'Say which pay period'));
    v_answer := to_jsonb(private.record_pay_period_event(p_name, 'closed', null));
    perform private.remember_answer('close_pay_period', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.pay_periods, v_answer);
end;
$$;
comment on function public.close_pay_period(text, text) is
  'Closes the pay period of that name: from then on no class in it comes, goes, or changes who teaches it, when, its status or its pay, whoever tries. Waits for whoever is writing classes at that moment. Needs manage:pay. Returns the period. Raises illegal_transition when it is closed already, or while a class in it is still scheduled; not_found.';

-- sql/40_studio/rpc/create_assignments.sql

create function private.association_errors(p_associations jsonb, p_temp_ids text[]) returns jsonb
language sql stable security definer set search_path = ''
return coalesce((
  select jsonb_agg(jsonb_build_object('field', format('p_booking_associations[%s].%s', i.position - 1, w.field), 'message', w.message) order by i.position)
  from jsonb_array_elements(p_associations) with ordinality as i(item, position)
  cross join lateral (
    values
      ((i.item ->> 'assignment_temp_id' is null) = (i.item ->> 'assignment_id' is null), 'assignment_temp_id',
        'Name a class of this list by assignment_temp_id, or one that is there by assignment_id'),
      (i.item ->> 'assignment_temp_id' is not null and i.item ->> 'assignment_temp_id' <> all(p_temp_ids), 'assignment_temp_id', 'No class of this list has this assignment_temp_id'),
      (i.item ->> 'assignment_id' is not null
        and not exists (select from public.class_assignments a where a.id = (i.item ->> 'assignment_id')::uuid), 'assignment_id', 'There is no such class'),
      (i.item ->> 'booking_id' is null, 'booking_id', 'Say which booking, by its code'),
      (i.item ->> 'booking_id' is not null
        and not exists (select from public.bookings b where b.booking_id = i.item ->> 'booking_id'), 'booking_id', 'There is no booking of this code'),
      (exists (select from public.bookings b where b.booking_id = i.item ->> 'booking_id' and b.status in ('completed', 'cancelled')),
        'booking_id', 'This booking has ended')
  ) as w(applies, field, message)
  where w.applies
), '[]');
comment on function private.association_errors(jsonb, text[]) is 'What is wrong with links between classes of a list, or that are there, and bookings.';

create function private.drafts_of(p_assignments jsonb) returns public.class_assignments[]
language sql volatile security definer set search_path = ''
begin atomic
  select array_agg(private.read_draft(i.item) order by i.position) from jsonb_array_elements(p_assignments) with ordinality as i(item, position);
end;
comment on function private.drafts_of(jsonb) is 'The classes a list asks for, in its order.';

create function private.drafts_errors(p_rows public.class_assignments[], p_field text) returns jsonb
language sql stable security definer set search_path = ''
begin atomic
  select coalesce(jsonb_agg(e.error order by g.n), '[]')
  from generate_subscripts(p_rows, 1) as g(n)
  cross join lateral jsonb_array_elements(private.within(private.draft_errors(p_rows[g.n]), format('%s[%s].', p_field, g.n - 1))) as e(error);
end;
comment on function private.drafts_errors(public.class_assignments[], text) is 'What is wrong with the classes of a list, each field with its place.';

create function public.create_assignments(
  p_assignments jsonb, p_booking_associations jsonb default '[]', p_idempotency_key text default null
) returns table (
  assignment_temp_id text, assignment_id uuid, instructor_id uuid, date date, start_time time, end_time time, payment_amount numeric,
  booking_ids text[]
)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request jsonb := jsonb_build_object('assignments', p_assignments, 'booking_associations', p_booking_associations);
  v_answer jsonb := private.answered_before('create_assignments', p_idempotency_key, v_request);
  v_limit constant integer := private.setting_integer('bulk_limit');
  v_associations constant jsonb := coalesce(p_booking_associations, '[]');
  v_rows public.class_assignments[];
  v_temp_ids text[];
  v_group record;
begin
  if v_answer is null then
    perform private.require_permission('create:assignment');
    if jsonb_typeof(p_assignments) = 'array' and jsonb_array_length(p_assignments) > v_limit
      or jsonb_typeof(v_associations) = 'array' and jsonb_array_length(v_associations) > 10 * v_limit then
      perform private.fail('limit_exceeded', format('At most %s classes at once, and ten bookings for each', v_limit), 'p_assignments',
        jsonb_build_object('limit', v_limit));
    end if;
    perform private.fail_input(
      private.json_list_errors(p_assignments, private.draft_fields(), 'p_assignments')
      || private.input_error(p_assignments = '[]', 'p_assignments', 'Name at least one class')
      || private.json_list_errors(v_associations, '{"assignment_temp_id": "text", "assignment_id": "uuid", "booking_id": "text"}', 'p_booking_associations')
    );
    v_temp_ids := array(select i.item ->> 'assignment_temp_id' from jsonb_array_elements(p_assignments) with ordinality as i(item, n) order by i.n);
    v_rows := private.drafts_of(p_assignments);
    perform private.fail_input(
      private.drafts_errors(v_rows, 'p_assignments')
      || coalesce((
        select jsonb_agg(jsonb_build_object('field', format('p_assignments[%s].assignment_temp_id', t.n - 1), 'message', 'Another class has this assignment_temp_id'))
        from unnest(v_temp_ids) with ordinality as t(id, n)
        where t.id is not null and array_position(v_temp_ids, t.id) < t.n
      ), '[]')
      || private.association_errors(v_associations, array_remove(v_temp_ids, null))
    );
    perform private.refuse_clashes(array(select c from private.assignment_clashes(v_rows) c), v_temp_ids);
    insert into public.class_assignments (id, class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, time_zone,
      payment_amount, payment_type, schedule_type, booking_type, notes, schedule_id, occurs_on, plan_id, rate)
    select r.id, r.class_type_id, r.package_id, r.instructor_id, r.location_id, r.date, r.start_time, r.end_time, r.time_zone,
      case when r.payment_amount is null and r.rate is not null then 0 else r.payment_amount end, r.payment_type, r.schedule_type, r.booking_type,
      r.notes, r.schedule_id, r.occurs_on, r.plan_id, r.rate
    from unnest(v_rows) r;
    insert into public.assignment_bookings (assignment_id, booking_id)
    select distinct coalesce((i.item ->> 'assignment_id')::uuid, (v_rows[array_position(v_temp_ids, i.item ->> 'assignment_temp_id')]).id), i.item ->> 'booking_id'
    from jsonb_array_elements(v_associations) as i(item)
    on conflict do nothing;
    -- A rate without an amount is worked out, over the classes that go together.
    for v_group in
      select array_agg((v_rows[g.n]).id order by g.n) as ids, (v_rows[g.n]).payment_type as payment_type, (v_rows[g.n]).rate as rate,
        coalesce((p_assignments -> (g.n - 1) ->> 'student_count')::integer, nullif(max(b.students), 0)) as student_count
      from generate_subscripts(v_rows, 1) as g(n)
      cross join lateral (
        select count(*)::integer as students from public.assignment_bookings l where l.assignment_id = (v_rows[g.n]).id
      ) b
      where (v_rows[g.n]).rate is not null and (v_rows[g.n]).payment_amount is null
      group by (v_rows[g.n]).plan_id, (v_rows[g.n]).payment_type, (v_rows[g.n]).rate, (v_rows[g.n]).instructor_id,
        (p_assignments -> (g.n - 1) ->> 'student_count')::integer
      order by 1
    loop
      perform public.set_assignment_pay(v_group.ids, v_group.payment_type, v_group.rate, v_group.student_count);
    end loop;
    v_answer := (
      select jsonb_agg(jsonb_build_object('assignment_temp_id', v_temp_ids[g.n], 'assignment_id', a.id, 'instructor_id', a.instructor_id, 'date', a.date,
        'start_time', a.start_time, 'end_time', a.end_time, 'payment_amount', a.payment_amount,
        'booking_ids', array(select l.booking_id from public.assignment_bookings l where l.assignment_id = a.id order by 1)) order by g.n)
      from generate_subscripts(v_rows, 1) as g(n)
      join public.class_assignments a on a.id = (v_rows[g.n]).id
    );
    perform private.remember_answer('create_assignments', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select r.assignment_temp_id, r.assignment_id, r.instructor_id, r.date, r.start_time, r.end_time, r.payment_amount, r.booking_ids
    from jsonb_to_recordset(v_answer) as r(assignment_temp_id text, assignment_id uuid, instructor_id uuid, date date, start_time time, end_time time,
      payment_amount numeric, booking_ids text[]);
end;
$$;
comment on function public.create_assignments(jsonb, jsonb, text) is
  'Writes classes, and which bookings they serve, all or none. p_assignments: objects with instructor_id, date, start_time and end_time (wall-clock in time_zone, the location''s or organisation''s by default; both left out: to be arranged), class_type_id, package_id, location_id, payment_amount or rate with payment_type, student_count, schedule_type, booking_type, notes, plan_id, and schedule_id with occurs_on to take a date of a schedule over, which fills in what is left out. assignment_temp_id is the caller''s own name for a class; p_booking_associations ({"assignment_temp_id" or "assignment_id", "booking_id"}) refers to it. A rate without an amount is worked out over the classes of one plan_id; neither: the instructor''s own rate. Needs create:assignment. Returns a row for each class, in the order asked. Raises time_conflict listing every clash of every row, invalid_input naming every field, seats_full, limit_exceeded over bulk_limit rows.';

-- sql/40_studio/rpc/create_calendar_feed.sql

create function private.add_calendar_feed(p_name text, p_resource_id uuid, p_token text) returns uuid
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
begin
  if p_resource_id is null or p_resource_id is distinct from private.current_profile_id()
    or private.is_deactivated(private.caller_id()) then
    perform private.require_permission('read:calendar');
  end if;
  if p_resource_id is not null then
    perform private.require_resources(array[p_resource_id]);
  end if;
  insert into public.calendar_feeds (name, resource_id, token_hash)
  values (private.clean_text(p_name), p_resource_id, private.feed_token_hash(p_token))
  returning id into v_id;
  return v_id;
end;
$$;
comment on function private.add_calendar_feed(text, uuid, text) is 'Makes a feed of the caller''s own calendar, or of anything for a holder of read:calendar.';

create function private.renew_calendar_feed(p_id uuid, p_token text) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.calendar_feeds f set token_hash = private.feed_token_hash(p_token)
  where f.id = p_id and f.created_by is not distinct from private.caller_id() and (f.created_by is not null or private.is_trusted());
  if not found then
    perform private.fail('not_found', 'There is no such feed any more', 'p_idempotency_key', p_hint => 'Make another feed, with a new key.');
  end if;
end;
$$;
comment on function private.renew_calendar_feed(uuid, text) is 'Gives a feed of the caller''s a new secret; the old one is worth nothing from then on.';

-- The secret is told once and kept nowhere, so a repeated call cannot be told the first one again: it gets a new one
-- for the same feed, and only that is good from then on.
create function public.create_calendar_feed(
  p_name text,
  p_resource_id uuid default null,
  p_idempotency_key text default null
) returns table (feed_id uuid, token text, path text)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('name', p_name, 'resource_id', p_resource_id);
  v_answer jsonb := private.answered_before('create_calendar_feed', p_idempotency_key, v_request);
  v_token text := private.new_feed_token();
  v_id uuid;
begin
  if v_answer is not null then
    v_id := (v_answer ->> 'feed_id')::uuid;
    perform private.renew_calendar_feed(v_id, v_token);
  else
    perform private.fail_input(
      private.input_error(private.clean_text(p_name) is null, 'p_name', 'Say what it is called')
      || private.input_error(length(p_name) > 200, 'p_name', 'A name has at most 200 characters')
    );
    v_id := private.add_calendar_feed(p_name, p_resource_id, v_token);
    perform private.remember_answer('create_calendar_feed', p_idempotency_key, v_request, jsonb_build_object('feed_id', v_id));
  end if;
  return query select v_id, v_token, format('/functions/v1/calendar-feed/%s.ics', v_token);
end;
$$;
comment on function public.create_calendar_feed(text, uuid, text) is
  'Makes a calendar that programs subscribe to at a secret address: of one''s own calendar, or with read:calendar of any person, room or, without p_resource_id, everything. Returns the feed, its secret and its path below the project''s address; they are told this once. The same call with the same key gets a new secret for the same feed, and the earlier one ends. Raises forbidden, not_found, invalid_input.';

-- sql/40_studio/rpc/edit_repeating_class.sql

create function public.edit_repeating_class(
  p_scope text,
  p_changes jsonb,
  p_assignment_id uuid default null,
  p_schedule_id uuid default null,
  p_occurs_on date default null,
  p_idempotency_key text default null
) returns table (schedule_id uuid, assignment_ids uuid[], kept jsonb)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request jsonb := jsonb_build_object('scope', p_scope, 'changes', p_changes, 'assignment_id', p_assignment_id, 'schedule_id', p_schedule_id,
    'occurs_on', p_occurs_on);
  v_answer jsonb := private.answered_before('edit_repeating_class', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.require_permission('update:assignment');
    perform private.fail_input(
      private.input_error(coalesce(p_scope, '') not in ('this', 'following', 'all'), 'p_scope', 'A scope is this, following or all')
      || private.input_error(p_changes = '{}', 'p_changes', 'Say what changes')
      || private.json_object_errors(p_changes, '{"day_of_week": "count", "start_time": "time", "end_time": "time", "instructor_id": "uuid",
        "location_id": "uuid", "class_type_id": "uuid", "max_participants": "count", "notes": "text"}', 'p_changes.')
      || private.input_error(p_changes ->> 'day_of_week' !~ '^[0-6]$', 'p_changes.day_of_week', 'A day is 0 (Sunday) to 6 (Saturday)')
      || private.input_error(p_assignment_id is null and (p_schedule_id is null or p_occurs_on is null), 'p_assignment_id',
        'Name a class, or a schedule and one of its dates')
      || private.input_error(p_assignment_id is not null and (p_schedule_id is not null or p_occurs_on is not null), 'p_schedule_id',
        'Name a class, or a schedule and one of its dates, not both')
    );
    select to_jsonb(e) into v_answer from private.edit_series(p_scope, p_changes, p_assignment_id, p_schedule_id, p_occurs_on) e;
    perform private.remember_answer('edit_repeating_class', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select r.schedule_id, r.assignment_ids, r.kept from jsonb_to_record(v_answer) as r(schedule_id uuid, assignment_ids uuid[], kept jsonb);
end;
$$;
comment on function public.edit_repeating_class(text, jsonb, uuid, uuid, date, text) is
  'Changes a class that repeats. Name it by p_assignment_id, or by p_schedule_id and the date p_occurs_on of it. p_scope: this (that date only; a date without a class gets one), following (that date and all after it), all (today and after; what is past stays). p_changes: day_of_week, start_time, end_time, instructor_id, location_id, class_type_id, max_participants, notes. Classes changed by hand keep what was changed, field by field; kept lists them. A schedule with dates before the change ends there, and a new one goes on: schedule_id is that one. Classes made as one plan without a schedule change together likewise. Needs update:assignment, and manage:schedules for more than one class of a schedule. Returns the schedule, the classes concerned and what was kept. Raises time_conflict, invalid_input, not_found, illegal_transition.';

-- sql/40_studio/rpc/export_assignments.sql

create function public.export_assignments(
  p_from date default null, p_to date default null, p_after uuid default null, p_limit integer default 1000
) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  perform private.check_page(p_limit);
  return (
    select coalesce(jsonb_agg(to_jsonb(r) order by r.id), '[]')
    from (
      select a.id, a.date, a.start_time, a.end_time, a.time_zone, coalesce(i.name, a.instructor_id::text) as instructor,
        coalesce(t.name, a.class_type_id::text) as class_type, coalesce(p.name, a.package_id::text) as package, coalesce(l.name, a.location_id::text) as location,
        a.payment_amount, a.payment_type, a.rate, a.rate_id, a.schedule_type, a.booking_type, a.class_status, a.payment_status, a.instructor_status,
        private.instant_to_text(a.instructor_response_at) as instructor_response_at, a.notes, a.schedule_id, a.occurs_on, a.plan_id,
        private.list_to_text(a.booking_ids) as booking_ids, a.assigned_by, private.instant_to_text(a.assigned_at) as assigned_at,
        private.instant_to_text(a.created_at) as created_at, a.archived_by, private.instant_to_text(a.archived_at) as archived_at
      from (
        select c.*, array(select x.booking_id from public.assignment_bookings x where x.assignment_id = c.id order by x.booking_id) as booking_ids,
          null::uuid as archived_by, null::timestamptz as archived_at
        from public.class_assignments c
        union all
        select c.* from public.class_assignments_archive c
      ) a
      left join private.export_names t on t.kind = 'class_type' and t.id = a.class_type_id
      left join private.export_names p on p.kind = 'package' and p.id = a.package_id
      left join private.export_names i on i.kind = 'person' and i.id = a.instructor_id
      left join private.export_names l on l.kind = 'location' and l.id = a.location_id
      where (p_after is null or a.id > p_after) and (p_from is null or a.date >= p_from) and (p_to is null or a.date <= p_to)
      order by a.id
      limit p_limit
    ) r
  );
end;
$$;
comment on function public.export_assignments(date, date, uuid, integer) is
  'The classes the caller may see, those of the archive too, as import_assignments reads them: the first p_limit (1 to 5000) in the order of their ids after p_after, of the days from p_from to p_to, or of all. Raises invalid_input.';

-- sql/40_studio/rpc/export_bookings.sql

create function public.export_bookings(p_after uuid default null, p_limit integer default 1000) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  perform private.check_page(p_limit);
  return (
    select coalesce(jsonb_agg(to_jsonb(r) order by r.id), '[]')
    from (
      select b.id, b.booking_id, coalesce(c.name, b.profile_id::text) as customer, b.class_name, b.instructor, b.class_date, b.class_time,
        private.list_to_text(b.preferred_days) as preferred_days, private.list_to_text(b.preferred_times) as preferred_times, b.timezone, b.first_name,
        b.last_name, b.email, b.phone, b.status, b.booking_type, coalesce(p.name, b.class_package_id::text) as package, b.uses_credits, b.notes, b.created_by,
        private.instant_to_text(b.created_at) as created_at
      from public.bookings b
      left join private.export_names c on c.kind = 'person' and c.id = b.profile_id
      left join private.export_names p on p.kind = 'package' and p.id = b.class_package_id
      where p_after is null or b.id > p_after
      order by b.id
      limit p_limit
    ) r
  );
end;
$$;
comment on function public.export_bookings(uuid, integer) is
  'The bookings the caller may see, as import_bookings reads them: the first p_limit (1 to 5000) in the order of their ids after p_after. Raises invalid_input.';

-- sql/40_studio/rpc/export_schedules.sql

create function public.export_schedules(p_after uuid default null, p_limit integer default 1000) returns jsonb
language plpgsql stable set search_path = ''
as $$
begin
  perform private.check_page(p_limit);
  return (
    select coalesce(jsonb_agg(to_jsonb(r) order by r.id), '[]')
    from (
      select s.id, coalesce(t.name, s.class_type_id::text) as class_type, s.day_of_week, s.start_time, s.end_time, s.duration_minutes, s.time_zone,
        coalesce(i.name, s.instructor_id::text) as instructor, coalesce(l.name, s.location_id::text) as location, s.max_participants, s.is_active,
        s.effective_from, s.effective_until, s.notes, private.list_to_text(e.called_off) as called_off, private.list_to_text(e.moved) as moved, s.created_by,
        private.instant_to_text(s.created_at) as created_at
      from public.class_schedules s
      left join private.export_names t on t.kind = 'class_type' and t.id = s.class_type_id
      left join private.export_names i on i.kind = 'person' and i.id = s.instructor_id
      left join private.export_names l on l.kind = 'location' and l.id = s.location_id
      cross join lateral (
        select
          array_agg(x.occurs_on::text || coalesce(' ' || x.reason, '') order by x.occurs_on) filter (where x.kind = 'cancelled') as called_off,
          array_agg(format('%s > %s %s-%s%s', x.occurs_on, x.moved_to_date, x.moved_start_time, x.moved_end_time, coalesce(' ' || x.reason, ''))
            order by x.occurs_on) filter (where x.kind = 'moved') as moved
        from public.weekly_rule_exceptions x
        where x.rule_id = s.id and extract(dow from x.occurs_on) = s.day_of_week
          and x.occurs_on <@ daterange(s.effective_from, s.effective_until, '[]')
      ) e
      where p_after is null or s.id > p_after
      order by s.id
      limit p_limit
    ) r
  );
end;
$$;
comment on function public.export_schedules(uuid, integer) is
  'The class schedules, as import_schedules reads them, with the dates they are called off and moved on: the first p_limit (1 to 5000) in the order of their ids after p_after. Dates that have classes of their own come with those. Raises invalid_input.';

-- sql/40_studio/rpc/import_assignments.sql

-- A hosted project gives its roles seconds, and a whole season takes longer: PostgREST reads the limit from here.
create function public.import_assignments(
  p_rows jsonb,
  p_dry_run boolean default false,
  p_on_conflict text default 'refuse',
  p_idempotency_key text default null
) returns jsonb
language plpgsql volatile set search_path = '' set statement_timeout = '2min'
as $$
declare
  v_request jsonb := jsonb_build_object('on_conflict', p_on_conflict, 'dry_run', p_dry_run);
  v_answer jsonb;
begin
  perform private.check_import(p_rows, private.assignment_columns(), p_on_conflict, p_dry_run);
  if p_dry_run then
    return private.import_assignment_rows(p_rows, v_request);
  end if;
  v_answer := private.answered_before('import_assignments', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows));
  if v_answer is null then
    v_answer := private.import_assignment_rows(p_rows, v_request);
    perform private.remember_answer('import_assignments', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows), v_answer);
  end if;
  return v_answer;
end;
$$;
comment on function public.import_assignments(jsonb, boolean, text, text) is
  'Imports classes, all or none, those that are over as well: p_rows is [{"date", "start_time", "end_time", "time_zone", "instructor", "class_type", "package", "location", "payment_amount", "payment_type", "rate", "schedule_type", "booking_type", "class_status", "payment_status", "instructor_status", "notes", "schedule_id", "occurs_on", "plan_id", "booking_ids", "id", "rate_id", "instructor_response_at", "assigned_by", "assigned_at", "created_at", "archived_by", "archived_at", "line"}, …], all text. Names or ids for instructor, class_type, package and location; booking_ids are codes with semicolons between. With a schedule_id a column that is missing is as the schedule says. What runs into something is refused as a whole (p_on_conflict refuse), or left out in the order of the rows (skip). instructor_response_at and what follows it is for servers. Needs bulk:assignment and create:assignment, and manage:pay for pay that is not pending. Rows of an id that is there already are left as they are (present), so that a file can be imported again. p_dry_run changes nothing. Returns the report: rows, imported, present, left_out, clashes, refused, errors. Raises invalid_input naming line, column and reason of every bad cell, limit_exceeded, time_conflict; details carry the report.';

-- sql/40_studio/rpc/import_bookings.sql

-- A hosted project gives its roles seconds, and a whole season takes longer: PostgREST reads the limit from here.
create function public.import_bookings(
  p_rows jsonb,
  p_dry_run boolean default false,
  p_idempotency_key text default null
) returns jsonb
language plpgsql volatile set search_path = '' set statement_timeout = '2min'
as $$
declare
  v_request jsonb := jsonb_build_object('on_conflict', 'refuse', 'dry_run', p_dry_run);
  v_answer jsonb;
begin
  perform private.check_import(p_rows, private.booking_columns(), 'refuse', p_dry_run);
  if p_dry_run then
    return private.import_booking_rows(p_rows, v_request);
  end if;
  v_answer := private.answered_before('import_bookings', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows));
  if v_answer is null then
    v_answer := private.import_booking_rows(p_rows, v_request);
    perform private.remember_answer('import_bookings', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows), v_answer);
  end if;
  return v_answer;
end;
$$;
comment on function public.import_bookings(jsonb, boolean, text) is
  'Imports bookings, all or none: p_rows is [{"booking_id", "customer", "class_name", "instructor", "class_date", "class_time", "preferred_days", "preferred_times", "timezone", "first_name", "last_name", "email", "phone", "status", "booking_type", "package", "uses_credits", "notes", "id", "created_by", "created_at", "line"}, …], all text, none of them required. customer and package are names or ids, a customer also an email address; lists have semicolons between. confirmed is what the classes make of a booking, when they are imported with their booking_ids. booking_id, created_by and created_at are for servers. Needs create:booking and bulk:assignment, and update:booking for ended ones. Rows of an id that is there already are left as they are (present), so that a file can be imported again. p_dry_run changes nothing. Returns the report: rows, imported, present, left_out, clashes, refused, errors. Raises invalid_input naming line, column and reason of every bad cell, limit_exceeded; details carry the report.';

-- sql/40_studio/rpc/import_schedules.sql

-- A hosted project gives its roles seconds, and a whole season takes longer: PostgREST reads the limit from here.
create function public.import_schedules(
  p_rows jsonb,
  p_dry_run boolean default false,
  p_on_conflict text default 'refuse',
  p_idempotency_key text default null
) returns jsonb
language plpgsql volatile set search_path = '' set statement_timeout = '2min'
as $$
declare
  v_request jsonb := jsonb_build_object('on_conflict', p_on_conflict, 'dry_run', p_dry_run);
  v_answer jsonb;
begin
  perform private.check_import(p_rows, private.schedule_columns(), p_on_conflict, p_dry_run);
  if p_dry_run then
    return private.import_schedule_rows(p_rows, v_request);
  end if;
  v_answer := private.answered_before('import_schedules', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows));
  if v_answer is null then
    v_answer := private.import_schedule_rows(p_rows, v_request);
    perform private.remember_answer('import_schedules', p_idempotency_key, v_request || jsonb_build_object('rows', p_rows), v_answer);
  end if;
  return v_answer;
end;
$$;
comment on function public.import_schedules(jsonb, boolean, text, text) is
  'Imports class schedules, all or none: p_rows is [{"class_type", "day_of_week", "start_time", "end_time", "duration_minutes", "time_zone", "instructor", "location", "max_participants", "is_active", "effective_from", "effective_until", "notes", "called_off", "moved", "id", "created_by", "created_at", "line"}, …], all text. class_type, instructor and location are names or ids; day_of_week is 0 (Sunday) to 6, or a name; called_off are dates with semicolons between, moved are 2026-01-31 > 2026-02-01 10:00-11:00. What runs into something is refused as a whole (p_on_conflict refuse), or left out in the order of the rows (skip). created_by and created_at are for servers. Needs manage:schedules. Rows of an id that is there already are left as they are (present), so that a file can be imported again. p_dry_run changes nothing. Returns the report: rows, imported, present, left_out, clashes, refused, errors. Raises invalid_input naming line, column and reason of every bad cell, limit_exceeded, time_conflict; details carry the report.';

-- sql/40_studio/rpc/instructor_pay.sql

-- Planned for the days asked for, since a plan for any days is one for few rows.
create function private.instructor_pay_for_caller(p_from date, p_to date, p_instructor_ids uuid[]) returns table (
  instructor_id uuid, instructor_name text, class_count integer, minutes integer,
  amount_due numeric, amount_paid numeric, amount_open numeric, amount_planned numeric
)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan
as $$
declare
  v_ids constant uuid[] := private.numbers_of(p_instructor_ids);
begin
  perform private.fail_input(private.days_errors(p_from, p_to, 'p_from', 'p_to'));
  return query
    with classes as (
      select c.*, c.class_status = 'completed' and c.payment_status <> 'cancelled' as is_due,
        c.class_status = 'scheduled' and c.instructor_status <> 'rejected' and c.payment_status <> 'cancelled' as is_planned
      from private.paid_classes c
      where c.date between p_from and p_to and (v_ids is null or c.instructor_id = any(v_ids))
    ),
    sums as (
      select c.instructor_id, count(*) filter (where c.is_due) as classes,
        sum(c.ends_at - c.starts_at) filter (where c.is_due) as taught,
        coalesce(sum(c.payment_amount) filter (where c.is_due), 0.00) as due,
        coalesce(sum(c.payment_amount) filter (where c.is_due and c.payment_status = 'paid'), 0.00) as paid,
        coalesce(sum(c.payment_amount) filter (where c.is_planned), 0.00) as planned
      from classes c
      where c.is_due or c.is_planned
      group by c.instructor_id
    )
    select s.instructor_id, p.full_name, s.classes::integer, coalesce(round(extract(epoch from s.taught) / 60), 0)::integer, s.due, s.paid, s.due - s.paid, s.planned
    from sums s
    join public.user_profiles p on p.id = s.instructor_id
    order by p.full_name, s.instructor_id;
end;
$$;
comment on function private.instructor_pay_for_caller(date, date, uuid[]) is 'What public.instructor_pay does, with the rights to do it.';

create function public.instructor_pay(p_from date, p_to date, p_instructor_ids uuid[] default null) returns table (
  instructor_id uuid, instructor_name text, class_count integer, minutes integer,
  amount_due numeric, amount_paid numeric, amount_open numeric, amount_planned numeric
)
language sql stable set search_path = ''
begin atomic
  select p.instructor_id, p.instructor_name, p.class_count, p.minutes, p.amount_due, p.amount_paid, p.amount_open, p.amount_planned
  from private.instructor_pay_for_caller(p_from, p_to, p_instructor_ids) p;
end;
comment on function public.instructor_pay(date, date, uuid[]) is
  'The pay run: for each instructor with classes from p_from to p_to (both included; archived classes too), how many they completed, minutes from start to end, what is due for them, paid and still open, and what is planned beside, for classes still scheduled and not rejected. A class whose pay was cancelled is not due. With read:analytics everybody''s, or that of p_instructor_ids; with read:own_analytics one''s own, others asked for are left out. Ordered by name. Raises forbidden without either, invalid_input.';

-- sql/40_studio/rpc/plan_assignments.sql

-- Which dates a plan falls on. Closed days and dates of the schedule that are taken or called off are told, and do not
-- count; so are times the clock skips.
create function private.plan_dates(
  p_plan text, p_weekdays integer[], p_from date, p_until date, p_count integer, p_start_time time, p_end_time time, p_time_zone text,
  p_location_id uuid, p_schedule_id uuid
) returns table (date date, skipped_because text)
language sql stable security definer set search_path = ''
begin atomic
  with days as (
    select d.day::date as date
    from generate_series(p_from::timestamp, p_until::timestamp, interval '1 day') as d(day)
    where p_plan = 'crash' and cardinality(p_weekdays) = 0 or extract(dow from d.day)::integer = any(p_weekdays)
  ), judged as (
    select d.date, coalesce(
      (
        select format('Closed: %s', c.name)
        from public.closures c
        where (c.location_id is null or c.location_id = p_location_id)
          and case when p_start_time is null then d.date between c.starts_on and c.ends_on
            else c.during && tstzrange(private.local_to_instant(d.date, p_start_time, p_time_zone), private.local_end_to_instant(d.date, p_end_time, p_time_zone)) end
        order by c.starts_on, c.name
        limit 1
      ),
      (
        select case e.kind when 'cancelled' then 'The schedule''s class is cancelled' when 'moved' then 'The schedule''s class was moved'
          else 'Already assigned' end
        from public.weekly_rule_exceptions e
        where e.rule_id = p_schedule_id and e.occurs_on = d.date
      ),
      case
        when private.local_to_instant(d.date, p_start_time, p_time_zone) is null and p_start_time is not null
          then private.describe_skipped(d.date, p_start_time, p_time_zone)
        when private.local_end_to_instant(d.date, p_end_time, p_time_zone) is null and p_end_time is not null
          then private.describe_skipped(d.date, p_end_time, p_time_zone)
      end
    ) as skipped_because
    from days d
  ), counted as (
    select j.date, j.skipped_because, count(*) filter (where j.skipped_because is null) over (order by j.date) as number
    from judged j
  )
  select c.date, c.skipped_because
  from counted c
  where p_count is null or c.number <= p_count and (c.skipped_because is null or c.number < p_count)
  order by c.date;
end;
comment on function private.plan_dates(text, integer[], date, date, integer, time, time, text, uuid, uuid) is
  'The dates of a plan from p_from to p_until, until p_count of them are good, each with why it is left out, if it is.';

create function private.make_plan(
  p_plan text, p_template public.class_assignments, p_weekdays integer[], p_from date, p_until date, p_count integer, p_rate numeric,
  p_student_count integer
) returns table (
  date date, start_time time, end_time time, status text, reason text, conflicts jsonb, payment_amount numeric, assignment jsonb
)
language plpgsql stable security definer set search_path = ''
as $$
#variable_conflict use_column
declare
  v_dates date[];
  v_reasons text[];
  v_rows public.class_assignments[] := '{}';
  v_row public.class_assignments;
  v_good date[];
  v_amounts numeric[];
begin
  perform private.require_permission('create:assignment');
  select array_agg(d.date order by d.date), array_agg(d.skipped_because order by d.date) into v_dates, v_reasons
  from private.plan_dates(p_plan, p_weekdays, p_from, p_until, p_count, p_template.start_time, p_template.end_time, p_template.time_zone,
    p_template.location_id, p_template.schedule_id) d;
  -- Rows for dates left out have no times and stand for no date, so nothing is in their way.
  for i in 1..coalesce(cardinality(v_dates), 0) loop
    v_row := p_template;
    v_row.id := gen_random_uuid();
    v_row.date := v_dates[i];
    if v_reasons[i] is null then
      v_row.occurs_on := case when p_template.schedule_id is not null then v_dates[i] end;
      v_row.starts_at := private.local_to_instant(v_row.date, v_row.start_time, v_row.time_zone);
      v_row.ends_at := private.local_end_to_instant(v_row.date, v_row.end_time, v_row.time_zone);
    end if;
    v_rows := v_rows || v_row;
  end loop;
  v_good := array(select u.date from unnest(v_dates, v_reasons) as u(date, reason) where u.reason is null order by u.date);
  if cardinality(v_good) > 0 then
    v_amounts := case when p_rate is not null then private.plan_amounts(p_template.payment_type, p_rate, v_good, p_student_count)
      else array(
        select case when p_template.payment_type in ('per_class', 'per_class_total')
          then (private.rate_for(p_template.instructor_id, p_template.class_type_id, p_template.payment_type, g.date)).rate end
        from unnest(v_good) with ordinality as g(date, n)
        order by g.n
      ) end;
  end if;
  return query
    with clashes as (
      select c.row_number,
        jsonb_agg(jsonb_strip_nulls(jsonb_build_object('resource_id', c.resource_id, 'resource_name', c.resource_name, 'conflict_type', c.conflict_type,
          'source_table', c.source_table, 'source_id', c.source_id, 'starts_at', c.starts_at, 'ends_at', c.ends_at, 'message', c.message))) as conflicts,
        (array_agg(c.message order by c.starts_at))[1] as message
      from private.assignment_clashes(v_rows) c
      group by c.row_number
    ), absences as (
      select g.n, jsonb_agg(jsonb_build_object('resource_id', r.id, 'resource_name', r.name, 'conflict_type', 'time_off',
        'starts_at', lower(t.during), 'ends_at', upper(t.during), 'message', format('%s has time off, %s', r.name, private.describe_range(t.during)))) as conflicts
      from generate_subscripts(v_rows, 1) as g(n)
      join public.resources r on r.id = (v_rows[g.n]).instructor_id
      join public.time_off t on t.resource_id = r.id and t.status = 'approved' and t.during && tstzrange((v_rows[g.n]).starts_at, (v_rows[g.n]).ends_at)
      where (v_rows[g.n]).starts_at is not null
      group by g.n
    )
    select (v_rows[g.n]).date, (v_rows[g.n]).start_time, (v_rows[g.n]).end_time,
      case when v_reasons[g.n] is not null then 'skipped' when b.messages is not null then 'refused'
        when c.row_number is not null or o.n is not null then 'conflict' else 'planned' end,
      coalesce(v_reasons[g.n], b.messages, c.message, o.conflicts -> 0 ->> 'message'),
      coalesce(c.conflicts, '[]') || coalesce(o.conflicts, '[]'),
      case when v_reasons[g.n] is null then coalesce(v_amounts[array_position(v_good, (v_rows[g.n]).date)], 0) end,
      case when v_reasons[g.n] is null then jsonb_strip_nulls(jsonb_build_object(
        'assignment_temp_id', to_char((v_rows[g.n]).date, 'YYYY-MM-DD'), 'class_type_id', (v_rows[g.n]).class_type_id, 'package_id', (v_rows[g.n]).package_id,
        'instructor_id', (v_rows[g.n]).instructor_id, 'location_id', (v_rows[g.n]).location_id, 'date', (v_rows[g.n]).date,
        'start_time', (v_rows[g.n]).start_time, 'end_time', (v_rows[g.n]).end_time, 'time_zone', (v_rows[g.n]).time_zone,
        'payment_type', (v_rows[g.n]).payment_type, 'rate', p_rate, 'student_count', p_student_count, 'schedule_type', (v_rows[g.n]).schedule_type,
        'booking_type', (v_rows[g.n]).booking_type, 'schedule_id', (v_rows[g.n]).schedule_id, 'occurs_on', (v_rows[g.n]).occurs_on,
        'plan_id', (v_rows[g.n]).plan_id)) end
    from generate_subscripts(v_rows, 1) as g(n)
    left join clashes c on c.row_number = g.n
    left join absences o on o.n = g.n
    left join lateral (
      select string_agg(e.error ->> 'message', '; ') as messages
      from jsonb_array_elements(private.draft_errors(v_rows[g.n])) as e(error)
      where v_reasons[g.n] is null
    ) b on true
    order by g.n;
end;
$$;
comment on function private.make_plan(text, public.class_assignments, integer[], date, date, integer, numeric, integer) is
  'The dates of a plan made from a template, for a holder of create:assignment: what public.plan_assignments returns.';

create function private.plan_template(
  p_plan text, p_schedule_id uuid, p_instructor_id uuid, p_class_type_id uuid, p_package_id uuid, p_location_id uuid, p_start_time time,
  p_end_time time, p_time_zone text, p_payment_type text, p_booking_type text
) returns public.class_assignments
language sql volatile security definer set search_path = ''
return private.read_draft(jsonb_strip_nulls(jsonb_build_object(
  'schedule_id', p_schedule_id, 'instructor_id', p_instructor_id, 'class_type_id', p_class_type_id, 'package_id', p_package_id,
  'location_id', p_location_id, 'start_time', p_start_time, 'end_time', p_end_time, 'time_zone', p_time_zone, 'payment_type', p_payment_type,
  'schedule_type', p_plan, 'booking_type', p_booking_type, 'plan_id', gen_random_uuid())));
comment on function private.plan_template(text, uuid, uuid, uuid, uuid, uuid, time, time, text, text, text) is
  'The class every date of a plan has, its date left out; a schedule fills in what is not said.';

create function public.plan_assignments(
  p_plan text,
  p_instructor_id uuid default null,
  p_class_type_id uuid default null,
  p_package_id uuid default null,
  p_schedule_id uuid default null,
  p_weekdays integer[] default null,
  p_start_time time default null,
  p_end_time time default null,
  p_from date default null,
  p_until date default null,
  p_count integer default null,
  p_location_id uuid default null,
  p_time_zone text default null,
  p_payment_type text default 'per_class',
  p_rate numeric default null,
  p_student_count integer default null,
  p_booking_type text default 'individual'
) returns table (
  date date, start_time time, end_time time, status text, reason text, conflicts jsonb, payment_amount numeric, assignment jsonb
)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_plan constant text := case p_plan when 'crash_course' then 'crash' else p_plan end;
  v_from date := coalesce(p_from, private.today());
  v_until date := p_until;
  v_count integer := p_count;
  v_weekdays integer[] := coalesce(p_weekdays, '{}');
  v_schedule record;
  v_package record;
  v_template public.class_assignments;
begin
  perform private.require_permission('create:assignment');
  if p_schedule_id is not null then
    select s.day_of_week, s.effective_from, s.effective_until into v_schedule from public.class_schedules s where s.id = p_schedule_id;
    if not found then
      perform private.fail('not_found', 'There is no such schedule', 'p_schedule_id', jsonb_build_object('schedule_id', p_schedule_id));
    end if;
    v_weekdays := array[v_schedule.day_of_week];
    v_from := greatest(v_from, v_schedule.effective_from);
  end if;
  if v_plan = 'package' then
    select p.class_count, p.validity_days into v_package from public.packages p where p.id = p_package_id;
    if not found and p_package_id is not null then
      perform private.fail('not_found', 'There is no such package', 'p_package_id', jsonb_build_object('package_id', p_package_id));
    end if;
    v_count := coalesce(v_count, v_package.class_count);
    v_until := least(v_until, v_from + v_package.validity_days);
  elsif v_plan = 'monthly' then
    v_until := coalesce(v_until, (date_trunc('month', v_from::timestamp) + interval '1 month' - interval '1 day')::date);
  elsif v_plan = 'weekly' then
    v_until := coalesce(v_until, v_from + case when p_count is null then 27 else 7 * least(p_count, 366) + 60 end);
  elsif v_plan = 'crash' then
    v_until := coalesce(v_until, v_from + least(p_count, 365) + 60);
  end if;
  if p_schedule_id is not null then
    v_until := least(v_until, v_schedule.effective_until);
  end if;
  perform private.fail_input(
    private.input_error(coalesce(v_plan, '') not in ('weekly', 'monthly', 'crash', 'package'), 'p_plan', 'A plan is weekly, monthly, crash or package')
    || private.input_error(v_plan = 'package' and p_package_id is null, 'p_package_id', 'Say which package')
    || private.input_error(v_plan = 'crash' and p_count is null, 'p_count', 'Say how many classes')
    || private.input_error(p_count not between 1 and 366, 'p_count', 'A plan has 1 to 366 classes')
    || private.input_error(v_plan in ('weekly', 'monthly', 'package') and cardinality(v_weekdays) = 0, 'p_weekdays', 'Say on which weekdays, or name a schedule')
    || private.input_error(exists (select from unnest(v_weekdays) as w(day) where w.day is null or w.day not between 0 and 6), 'p_weekdays',
      'A weekday is 0 (Sunday) to 6 (Saturday)')
    || private.input_error(v_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
    || private.input_error(v_until not between date '1970-01-01' and date '2199-12-31', 'p_until', 'A date lies between 1970 and 2199')
    || private.input_error(v_until < v_from and p_until is not null, 'p_until', 'The last day must not be before the first')
    || private.input_error(isfinite(v_from) and isfinite(v_until) and v_until - v_from > 800, 'p_until', 'A plan covers at most 800 days')
    || private.input_error(p_end_time <= p_start_time, 'p_end_time', 'The end must be after the start')
    || private.input_error((p_start_time is null) <> (p_end_time is null), 'p_end_time', 'Start and end go together')
    || private.input_error(p_time_zone is not null and not private.is_time_zone(p_time_zone), 'p_time_zone', 'That is no IANA time zone')
    || private.input_error(p_rate is not null and (p_rate = 'NaN' or p_rate <= 0), 'p_rate', 'A rate is above zero')
    || private.input_error(p_rate between 0 and 9999999999.99 and p_rate <> round(p_rate, 2), 'p_rate', 'A rate has at most two decimals')
    || private.input_error(p_rate > 9999999999.99 and p_rate <> 'NaN', 'p_rate', 'A rate is at most 9999999999.99')
    || private.input_error(p_student_count < 1, 'p_student_count', 'At least one takes part')
  );
  v_template := private.plan_template(v_plan, p_schedule_id, p_instructor_id, p_class_type_id, p_package_id, p_location_id, p_start_time, p_end_time,
    p_time_zone, p_payment_type, p_booking_type);
  return query
    select m.* from private.make_plan(v_plan, v_template, v_weekdays, v_from, v_until, v_count, p_rate, p_student_count) m;
end;
$$;
comment on function public.plan_assignments(
  text, uuid, uuid, uuid, uuid, integer[], time, time, date, date, integer, uuid, text, text, numeric, integer, text
) is
  'A dry run: the dates a plan would fall on, with what is in the way and what each class is paid; nothing is written. p_plan: weekly (p_schedule_id or p_weekdays, p_from to p_until, four weeks by default), monthly (p_weekdays within the calendar month of p_from, or to p_until), crash (every day, or p_weekdays, until there are p_count), package (p_weekdays, its class_count classes within validity_days of p_from). A schedule fills in times, instructor and room. Times are wall-clock in p_time_zone, the schedule''s, location''s or organisation''s by default. status is planned, conflict (conflicts say with what, time off included), skipped (closed, called off, assigned already or skipped by the clock; not counted), or refused (what create_assignments would not take, such as a date too far ahead). assignment is what create_assignments takes, with one plan_id. p_rate is for p_payment_type, see calculate_payment(); without it the instructor''s own. Needs create:assignment. Raises invalid_input, not_found.';

-- sql/40_studio/rpc/reassign.sql

create function public.reassign(
  p_ids uuid[], p_instructor_id uuid, p_idempotency_key text default null
) returns setof public.class_assignments
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('ids', p_ids, 'instructor_id', p_instructor_id);
  v_answer jsonb := private.answered_before('reassign', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.require_permission('update:assignment');
    perform private.fail_input(
      private.input_error(coalesce(cardinality(p_ids), 0) = 0, 'p_ids', 'Say which classes')
      || private.input_error(p_instructor_id is null, 'p_instructor_id', 'Say who teaches them instead'));
    perform private.refuse_bulk(p_ids, 'p_ids');
    perform private.lock_assignments(p_ids);
    perform private.refuse_missing(p_ids, 'p_ids');
    perform private.refuse_changed_clashes(p_ids, jsonb_build_object('instructor_id', p_instructor_id));
    select coalesce(jsonb_agg(to_jsonb(c)), '[]') into v_answer
    from private.apply_changes(p_ids, jsonb_build_object('instructor_id', p_instructor_id)) c;
    perform private.remember_answer('reassign', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.class_assignments, v_answer);
end;
$$;
comment on function public.reassign(uuid[], uuid, text) is
  'Asks somebody else to teach these classes, all or none: their answer is pending again, and where pay came from the instructor''s own rate it is the new one''s. Needs update:assignment. Returns the classes. Raises time_conflict listing every clash, not_found, illegal_transition for classes that are over, limit_exceeded over bulk_limit.';

-- sql/40_studio/rpc/reopen_pay_period.sql

create function public.reopen_pay_period(p_name text, p_reason text, p_idempotency_key text default null) returns setof public.pay_periods
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('name', p_name, 'reason', p_reason);
  v_answer jsonb;
begin
  perform private.require_permission('manage:pay');
  v_answer := private.answered_before('reopen_pay_period', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(
      private.input_error(private.clean_text(p_name) is null, 'p_name', 'Say which pay period')
      || private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why')
      || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters'));
    v_answer := to_jsonb(private.record_pay_period_event(p_name, 'reopened', p_reason));
    perform private.remember_answer('reopen_pay_period', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.pay_periods, v_answer);
end;
$$;
comment on function public.reopen_pay_period(text, text, text) is
  'Reopens the closed pay period of that name, for a reason that is kept with who did it and when. Needs manage:pay. Returns the period. Raises illegal_transition when it is open, not_found, invalid_input without a reason.';

-- sql/40_studio/rpc/respond_to_assignment.sql

create function public.respond_to_assignment(
  p_id uuid, p_response text, p_note text default null, p_idempotency_key text default null
) returns setof public.class_assignments
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'response', p_response, 'note', p_note);
  v_answer jsonb := private.answered_before('respond_to_assignment', p_idempotency_key, v_request);
  v_row public.class_assignments;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.class_assignments, v_answer);
    return;
  end if;
  perform private.fail_input(
    private.input_error(p_id is null, 'p_id', 'Say which class')
    || private.input_error(coalesce(p_response, '') not in ('accepted', 'rejected'), 'p_response', 'A response is accepted or rejected')
    || private.input_error(length(p_note) > 1000, 'p_note', 'A note has at most 1000 characters')
  );
  update public.class_assignments a
  set instructor_status = p_response, notes = coalesce(private.clean_text(p_note), a.notes)
  where a.id = p_id
  returning * into v_row;
  if not found then
    if exists (select from public.class_assignments a where a.id = p_id) then
      perform private.require_permission('update:assignment');
    end if;
    perform private.fail('not_found', 'There is no such class', 'p_id', jsonb_build_object('id', p_id));
  end if;
  perform private.remember_answer('respond_to_assignment', p_idempotency_key, v_request, to_jsonb(v_row));
  return next v_row;
end;
$$;
comment on function public.respond_to_assignment(uuid, text, text, text) is
  'The instructor''s answer: accepted, or rejected, which frees their time and waits for reassign(). p_note replaces the notes. For the class''s own instructor (update:own_assignment), or on their behalf (update:assignment). Returns the class. Raises illegal_transition for a class answered before or over, forbidden, not_found, invalid_input.';

-- sql/40_studio/rpc/revoke_calendar_feed.sql

create function private.end_calendar_feed(p_id uuid) returns timestamptz
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_revoked_at timestamptz;
begin
  update public.calendar_feeds f set revoked_at = coalesce(f.revoked_at, private.now())
  where f.id = p_id and (f.created_by = private.caller_id() or private.has_permission('read:calendar'))
  returning f.revoked_at into v_revoked_at;
  if not found then
    perform private.fail('not_found', 'There is no such feed', 'p_id', jsonb_build_object('id', p_id));
  end if;
  return v_revoked_at;
end;
$$;
comment on function private.end_calendar_feed(uuid) is 'Revokes a feed of the caller''s own, or any for a holder of read:calendar.';

create function public.revoke_calendar_feed(p_id uuid, p_idempotency_key text default null)
returns table (feed_id uuid, revoked_at timestamptz)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id);
  v_answer jsonb := private.answered_before('revoke_calendar_feed', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := jsonb_build_object('revoked_at', private.end_calendar_feed(p_id));
    perform private.remember_answer('revoke_calendar_feed', p_idempotency_key, v_request, v_answer);
  end if;
  return query select p_id, (v_answer ->> 'revoked_at')::timestamptz;
end;
$$;
comment on function public.revoke_calendar_feed(uuid, text) is
  'Ends the address of a feed for good: one''s own, or anybody''s with read:calendar. Returns since when; a feed that was revoked before keeps its time. Raises not_found.';

-- sql/40_studio/rpc/set_assignment_pay.sql

create function private.set_pay(
  p_assignment_ids uuid[], p_payment_type text, p_rate numeric, p_student_count integer, p_months integer
) returns setof public.class_assignments
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_dates date[];
  v_originals numeric[];
  v_plan_id uuid;
  v_minutes integer;
  v_amounts numeric[];
  v_missing uuid[];
  v_ended uuid[];
begin
  perform private.require_permission('update:assignment');
  perform from public.class_assignments a where a.id = any(p_assignment_ids) order by a.id for no key update;
  select array_agg(a.id order by a.date, a.start_time, a.id), array_agg(a.date order by a.date, a.start_time, a.id),
    array_agg(a.payment_amount order by a.date, a.start_time, a.id),
    case when count(distinct a.plan_id) = 1 and count(a.plan_id) = count(*) then (array_agg(a.plan_id))[1] else gen_random_uuid() end,
    coalesce(sum(extract(epoch from a.ends_at - a.starts_at) / 60), 0),
    array_agg(a.id order by a.date, a.start_time, a.id) filter (where a.class_status = 'cancelled' or a.payment_status <> 'pending')
  into v_ids, v_dates, v_originals, v_plan_id, v_minutes, v_ended
  from public.class_assignments a
  where a.id = any(p_assignment_ids);
  v_missing := array(select u.id from unnest(p_assignment_ids) as u(id) where u.id <> all(coalesce(v_ids, '{}')));
  if v_missing <> '{}' then
    perform private.fail('not_found', format('%s of these classes do not exist', cardinality(v_missing)), 'p_assignment_ids',
      jsonb_build_object('missing', to_jsonb(v_missing)));
  end if;
  if v_ended <> '{}' then
    perform private.fail('illegal_transition', format('%s of these classes are cancelled, or their pay is settled', cardinality(v_ended)),
      'p_assignment_ids', jsonb_build_object('ids', to_jsonb(v_ended)));
  end if;
  v_amounts := private.plan_amounts(p_payment_type, p_rate, v_dates, p_student_count, v_minutes, p_months);
  update public.class_assignments a
  set payment_type = p_payment_type, payment_amount = u.amount, rate = p_rate, rate_id = null,
    -- Classes that are paid for one by one need no plan.
    plan_id = case when p_payment_type in ('per_class', 'per_student_per_class') then a.plan_id else v_plan_id end
  from unnest(v_ids, v_amounts) as u(id, amount)
  where a.id = u.id;
  insert into public.payment_calculations (assignment_id, method, original_amount, calculated_amount, inputs, calculated_by)
  select u.id, p_payment_type, u.original, u.amount,
    jsonb_build_object('rate', p_rate, 'class_count', cardinality(v_ids), 'student_count', p_student_count, 'minutes', v_minutes,
      'months', p_months, 'total', sum(u.amount) over (), 'position', u.position),
    private.caller_id()
  from unnest(v_ids, v_originals, v_amounts) with ordinality as u(id, original, amount, position)
  join public.class_assignments a on a.id = u.id
  -- A trigger has written these down, as it does whoever sets the rate of one class.
  where p_payment_type <> 'per_class' or a.plan_id is not null
  order by u.position;
  return query select a.* from public.class_assignments a where a.id = any(v_ids) order by a.date, a.start_time, a.id;
end;
$$;
comment on function private.set_pay(uuid[], text, numeric, integer, integer) is
  'What public.set_assignment_pay does, for a holder of update:assignment.';

create function public.set_assignment_pay(
  p_assignment_ids uuid[],
  p_payment_type text,
  p_rate numeric,
  p_student_count integer default null,
  p_months integer default null,
  p_idempotency_key text default null
) returns setof public.class_assignments
language plpgsql volatile set search_path = ''
as $$
declare
  v_limit constant integer := private.setting_integer('bulk_limit');
  v_ids constant uuid[] := array(select distinct u.id from unnest(p_assignment_ids) as u(id) where u.id is not null);
  v_request jsonb := jsonb_build_object('assignment_ids', p_assignment_ids, 'payment_type', p_payment_type, 'rate', p_rate,
    'student_count', p_student_count, 'months', p_months);
  v_answer jsonb;
begin
  perform private.require_permission('update:assignment');
  v_answer := private.answered_before('set_assignment_pay', p_idempotency_key, v_request);
  if v_answer is null then
    if cardinality(v_ids) > v_limit then
      perform private.fail('limit_exceeded', format('At most %s classes are paid for in one call', v_limit), 'p_assignment_ids',
        jsonb_build_object('limit', v_limit, 'asked', cardinality(v_ids)));
    end if;
    perform private.fail_input(
      private.input_error(v_ids = '{}', 'p_assignment_ids', 'Say which classes')
      || private.payment_errors(p_payment_type, p_rate, greatest(cardinality(v_ids), 1), p_student_count, null, p_months)
      || private.input_error(p_rate between 0 and 9999999999.99 and p_rate <> round(p_rate, 2), 'p_rate', 'A rate has at most two decimals'));
    v_answer := coalesce((select jsonb_agg(to_jsonb(s)) from private.set_pay(v_ids, p_payment_type, p_rate, p_student_count, p_months) s), '[]');
    perform private.remember_answer('set_assignment_pay', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.class_assignments, v_answer);
end;
$$;
comment on function public.set_assignment_pay(uuid[], text, numeric, integer, integer, text) is
  'Agrees on what these classes are paid, as one plan: calculate_payment() over them in the order of their dates. A monthly rate is paid for each calendar month that has classes, split over those; or for p_months months, split over all, where that is given. Writes amount, rate and payment type, a plan_id for all where they had none in common and are paid for together, and a row of payment_calculations for each. Needs update:assignment. Returns the classes. Raises invalid_input naming every field, not_found, limit_exceeded beyond the setting bulk_limit, illegal_transition for cancelled classes, settled pay and closed pay periods.';

-- sql/40_studio/rpc/studio_conflicts.sql

-- The ledger keeps two classes from taking one person or room. This is about what it cannot know: absences and closed
-- days that came later, overlaps that somebody allowed, classes nobody will teach.
create function private.conflicts_of_studio(p_from date, p_to date) returns table (
  conflict_type text, date date, start_time time, end_time time, title text, resource_name text, message text, source_table text, source_id uuid
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_zone constant text := private.setting_text('organisation_time_zone');
  v_during constant tstzrange := tstzrange(p_from::timestamp at time zone v_zone, (p_to + 1)::timestamp at time zone v_zone);
begin
  perform private.require_permission('read:assignment');
  perform private.require_permission('read:calendar');
  return query
    with uses as materialized (
      select c.resource_id, r.name as resource_name, r.location_id, c.source_table, c.source_id, c.occurs_on, c.title, c.during, c.share_key
      from public.claims c
      join public.resources r on r.id = c.resource_id
      where c.during && v_during and c.kind in ('class_assignment', 'class_schedule')
    ), found as (
      select 'time_off' as conflict_type, u.during, u.title, u.resource_name, format('%s has time off then', u.resource_name) as message, u.source_table, u.source_id
      from uses u
      join public.time_off t on t.resource_id = u.resource_id and t.status = 'approved' and t.during && u.during
      union all
      select distinct 'closure', u.during, u.title, u.resource_name, format('Closed then: %s', c.name), u.source_table, u.source_id
      from uses u
      join public.closures c on c.during && u.during and (c.location_id is null or c.location_id = u.location_id)
      union all
      select 'allowed_overlap', u.during, u.title, u.resource_name, format('%s is in %s at the same time, which an override allows', u.resource_name, o.title),
        u.source_table, u.source_id
      from uses u
      join public.claims o on o.resource_id = u.resource_id and o.during && u.during and o.share_key = u.share_key and o.source_id <> u.source_id
    ), classes as (
      select a.*, coalesce(t.name, p.name, 'Class') as title, i.full_name, i.is_active
      from public.class_assignments a
      join public.user_profiles i on i.id = a.instructor_id
      left join public.class_types t on t.id = a.class_type_id
      left join public.packages p on p.id = a.package_id
      where a.date between p_from and p_to and a.class_status = 'scheduled'
    ), told as (
      select f.conflict_type, (lower(f.during) at time zone v_zone)::date as date, (lower(f.during) at time zone v_zone)::time as start_time,
        (upper(f.during) at time zone v_zone)::time as end_time, f.title, f.resource_name, f.message, f.source_table, f.source_id
      from found f
      union all
      select 'rejected', c.date, c.start_time, c.end_time, c.title, c.full_name, format('%s will not teach it: ask somebody else', c.full_name), 'class_assignments', c.id
      from classes c
      where c.instructor_status = 'rejected' and c.date >= private.today()
      union all
      select 'instructor_left', c.date, c.start_time, c.end_time, c.title, c.full_name, format('%s has left: ask somebody else', c.full_name), 'class_assignments', c.id
      from classes c
      where not c.is_active and c.date >= private.today()
      union all
      select 'over_full', c.date, c.start_time, c.end_time, c.title, c.full_name,
        format('%s take part, and there is room for %s', n.participants, private.max_participants(c.id)), 'class_assignments', c.id
      from classes c
      join private.participant_counts n on n.assignment_id = c.id
      where n.participants > private.max_participants(c.id)
      union all
      select case when s.instructor_id is null then 'no_instructor' else 'instructor_left' end, d.day, s.start_time, s.end_time, t.name, i.full_name,
        case when s.instructor_id is null then 'Nobody teaches this schedule' else format('%s, who teaches this schedule, has left', i.full_name) end,
        'class_schedules', s.id
      from public.class_schedules s
      join public.class_types t on t.id = s.class_type_id
      left join public.user_profiles i on i.id = s.instructor_id
      cross join lateral (
        select min(g.day)::date as day
        from generate_series(greatest(p_from, s.effective_from)::timestamp, least(p_to, greatest(p_from, s.effective_from) + 6)::timestamp, interval '1 day') as g(day)
        where extract(dow from g.day) = s.day_of_week and g.day::date <@ daterange(s.effective_from, s.effective_until, '[]')
      ) d
      where s.is_active and (s.instructor_id is null or not i.is_active) and d.day is not null
      union all
      select 'schedules_meet', (lower(m.during) at time zone v_zone)::date, (lower(m.during) at time zone v_zone)::time, (upper(m.during) at time zone v_zone)::time,
        r.title, m.resource_name, format('%s will be in %s at the same time', m.resource_name, m.with_title), 'class_schedules', m.rule_id
      from private.rules_that_meet(array(select s.id from public.class_schedules s where s.is_active)) m
      join public.weekly_rules r on r.id = m.rule_id
    )
    select t.conflict_type, t.date, t.start_time, t.end_time, t.title, t.resource_name, t.message, t.source_table, t.source_id
    from told t
    order by t.date, t.start_time nulls first, t.title, t.conflict_type, t.source_id;
end;
$$;
comment on function private.conflicts_of_studio(date, date) is 'What public.studio_conflicts returns, for a holder of read:assignment and read:calendar.';

create function public.studio_conflicts(p_from date default null, p_to date default null) returns table (
  conflict_type text, date date, start_time time, end_time time, title text, resource_name text, message text, source_table text, source_id uuid
)
language plpgsql stable set search_path = ''
as $$
#variable_conflict use_column
declare
  v_from constant date := coalesce(p_from, private.today());
  v_to constant date := coalesce(p_to, v_from + 27);
begin
  perform private.fail_input(
    private.input_error(v_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
    || private.input_error(v_to not between date '1970-01-01' and date '2199-12-31', 'p_to', 'A date lies between 1970 and 2199')
    || private.input_error(v_to < v_from, 'p_to', 'The last day must not be before the first')
    || private.input_error(isfinite(v_from) and isfinite(v_to) and v_to - v_from > 400, 'p_to', 'At most 400 days at once'));
  return query select c.* from private.conflicts_of_studio(v_from, v_to) c;
end;
$$;
comment on function public.studio_conflicts(date, date) is
  'What somebody at the desk has to settle from p_from (today) to p_to (four weeks), both included: time_off and closure (classes on days that were given off or closed later), rejected (nobody will teach it), instructor_left, no_instructor (a schedule nobody teaches; its first date), over_full, allowed_overlap (an override lets it), schedules_meet (beyond the horizon). Times are the organisation''s for what is in the ledger, else the class''s own. Needs read:assignment and read:calendar. Raises forbidden, invalid_input.';

-- sql/40_studio/rpc/suggest_instructors.sql

create function private.candidates(p_assignment_id uuid) returns table (
  instructor_id uuid, instructor_name text, times_taught integer, minutes_that_month integer, is_within_hours boolean, rate numeric
)
language plpgsql stable security definer set search_path = ''
as $$
#variable_conflict use_column
declare
  v_class public.class_assignments;
begin
  if not private.has_permission('update:assignment') then
    perform private.require_permission('create:assignment');
  end if;
  select a.* into v_class from public.class_assignments a where a.id = p_assignment_id;
  if not found then
    perform private.fail('not_found', 'There is no such class', 'p_assignment_id', jsonb_build_object('id', p_assignment_id));
  end if;
  return query
    with teachers as (
      -- Who teaches: holds the role, or has taught.
      select r.id, r.name
      from public.resources r
      join public.user_profiles p on p.id = r.profile_id and p.is_active
      where r.is_active and r.id <> v_class.instructor_id
        and (
          exists (select from public.user_roles u where u.user_id = p.user_id and u.role_name = 'instructor')
          or exists (select from public.class_assignments a where a.instructor_id = r.id)
        )
    ), free as (
      select t.id, t.name
      from teachers t
      where v_class.starts_at is null or not exists (
        select from public.claims c
        where c.resource_id = t.id and c.during && tstzrange(v_class.starts_at, v_class.ends_at)
      ) and not exists (
        select from public.time_off o
        where o.resource_id = t.id and o.status = 'approved' and o.during && tstzrange(v_class.starts_at, v_class.ends_at)
      )
    )
    select f.id, f.name, w.times_taught, w.minutes_that_month,
      case when v_class.starts_at is not null then (
        select h.hours @> tstzrange(v_class.starts_at, v_class.ends_at)
        from private.hours_of(array[f.id], tstzrange(v_class.starts_at - interval '1 day', v_class.ends_at + interval '1 day')) h
      ) end,
      (private.rate_for(f.id, v_class.class_type_id, v_class.payment_type, v_class.date)).rate
    from free f
    cross join lateral (
      select
        (count(*) filter (where a.class_type_id = v_class.class_type_id and a.class_status = 'completed'))::integer as times_taught,
        coalesce(sum(extract(epoch from a.ends_at - a.starts_at) / 60) filter (
          where date_trunc('month', a.date::timestamp) = date_trunc('month', v_class.date::timestamp) and a.class_status <> 'cancelled' and a.instructor_status <> 'rejected'
        ), 0)::integer as minutes_that_month
      from public.class_assignments a
      where a.instructor_id = f.id
    ) w
    order by w.times_taught > 0 desc, w.minutes_that_month, w.times_taught desc, f.name, f.id;
end;
$$;
comment on function private.candidates(uuid) is 'The instructors public.suggest_instructors suggests.';

create function public.suggest_instructors(p_assignment_id uuid) returns table (
  instructor_id uuid, instructor_name text, times_taught integer, minutes_that_month integer, is_within_hours boolean, rate numeric
)
language sql stable set search_path = ''
begin atomic
  select c.instructor_id, c.instructor_name, c.times_taught, c.minutes_that_month, c.is_within_hours, c.rate
  from private.candidates(p_assignment_id) c;
end;
comment on function public.suggest_instructors(uuid) is
  'Who could teach a class instead: every other active instructor who is free then and not on time off. First those who have taught this class type (times_taught: how often), of them first who teaches least that month (minutes_that_month). is_within_hours says whether it lies in the hours they stated, null when they stated none; rate what they are paid by the class''s payment type, null where none is agreed. Needs update:assignment or create:assignment. Raises not_found.';

-- sql/40_studio/rpc/update_assignment.sql

-- What may be changed of a class that is there.
create function private.change_fields() returns jsonb
language sql immutable set search_path = ''
return '{"class_type_id": "uuid", "package_id": "uuid", "instructor_id": "uuid", "location_id": "uuid", "date": "date", "start_time": "time",
  "end_time": "time", "time_zone": "text", "payment_amount": "amount", "payment_type": "text", "rate": "amount", "schedule_type": "text",
  "booking_type": "text", "class_status": "text", "payment_status": "text", "instructor_status": "text", "notes": "text",
  "schedule_id": "uuid", "occurs_on": "date", "plan_id": "uuid"}'::jsonb;
comment on function private.change_fields() is 'The fields of a class that may be changed, and of which kind each value is.';

-- Row level security and the triggers decide, as for any other update.
create function private.apply_changes(
  p_ids uuid[], p_changes jsonb, p_version integer default null, p_days integer default 0
) returns setof public.class_assignments
language sql volatile set search_path = ''
begin atomic
  update public.class_assignments a
  set (class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, time_zone, payment_amount, payment_type, schedule_type,
      booking_type, class_status, payment_status, instructor_status, notes, schedule_id, occurs_on, plan_id, rate)
    = (
      select c.class_type_id, c.package_id, c.instructor_id, c.location_id, c.date + p_days, c.start_time, c.end_time, c.time_zone, c.payment_amount,
        c.payment_type, c.schedule_type, c.booking_type, c.class_status, c.payment_status, c.instructor_status, c.notes, c.schedule_id, c.occurs_on,
        c.plan_id, c.rate
      from jsonb_populate_record(a, p_changes) c
    ),
    version = coalesce(p_version, a.version)
  where a.id = any(p_ids)
  returning a.*;
end;
comment on function private.apply_changes(uuid[], jsonb, integer, integer) is
  'Changes classes the caller may change, in one statement, and moves them by so many days; the fields were looked at by private.json_object_errors.';

create function public.update_assignment(
  p_id uuid, p_expected_version integer, p_changes jsonb, p_idempotency_key text default null
) returns setof public.class_assignments
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'expected_version', p_expected_version, 'changes', p_changes);
  v_answer jsonb := private.answered_before('update_assignment', p_idempotency_key, v_request);
  v_row public.class_assignments;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.class_assignments, v_answer);
    return;
  end if;
  perform private.fail_input(
    private.input_error(p_id is null, 'p_id', 'Say which class')
    || private.input_error(p_expected_version is null, 'p_expected_version', 'Say which version you read')
    || private.input_error(p_changes = '{}', 'p_changes', 'Say what changes')
    || private.json_object_errors(p_changes, private.change_fields(), 'p_changes.')
  );
  select * into v_row from private.apply_changes(array[p_id], p_changes, p_expected_version);
  if not found then
    if exists (select from public.class_assignments a where a.id = p_id) then
      perform private.require_permission('update:assignment');
    end if;
    perform private.fail('not_found', 'There is no such class', 'p_id', jsonb_build_object('id', p_id));
  end if;
  perform private.remember_answer('update_assignment', p_idempotency_key, v_request, to_jsonb(v_row));
  return next v_row;
end;
$$;
comment on function public.update_assignment(uuid, integer, jsonb, text) is
  'Changes one class, as it was at p_expected_version. p_changes holds the columns that change, such as {"date": "2026-03-02", "start_time": "18:00", "end_time": "19:00"}; null empties one. Needs update:assignment, or update:own_assignment for what its instructor may say. Returns the class. Raises stale_version with the class as it is now, time_conflict, illegal_transition, invalid_input naming every field, not_found.';

-- sql/40_studio/policies/10_studio.sql

-- Who may see and write bookings, schedules, classes and the links between them. What a row may become is for the
-- triggers to say; here it is whose rows are whose.

alter table public.bookings enable row level security;
alter table public.class_schedules enable row level security;
alter table public.class_assignments enable row level security;
alter table public.assignment_bookings enable row level security;
alter table public.class_assignments_archive enable row level security;

-- Bookings: a customer's own; everyone's with the permission. The code is the database's to give.
grant select, delete on public.bookings to authenticated, service_role;
grant insert (user_id, profile_id, class_name, instructor, class_date, class_time, preferred_days, preferred_times, timezone, first_name,
  last_name, email, phone, status, booking_type, class_package_id, uses_credits, notes) on public.bookings to authenticated;
grant update (user_id, profile_id, class_name, instructor, class_date, class_time, preferred_days, preferred_times, timezone, first_name,
  last_name, email, phone, status, booking_type, class_package_id, uses_credits, notes, version) on public.bookings to authenticated;
grant insert, update on public.bookings to service_role;
create policy "people see their own bookings, holders of read:booking all" on public.bookings for select to authenticated
  using (profile_id = (select private.current_profile_id()) or user_id = (select private.caller_id()) or (select private.has_permission('read:booking')));
create policy "people book for themselves, holders of create:booking for all" on public.bookings for insert to authenticated
  with check (user_id = (select private.caller_id()) or (select private.has_permission('create:booking')));
create policy "people change their own bookings, holders of update:booking all" on public.bookings for update to authenticated
  using (profile_id = (select private.current_profile_id()) or user_id = (select private.caller_id()) or (select private.has_permission('update:booking')))
  with check (profile_id = (select private.current_profile_id()) or user_id = (select private.caller_id()) or (select private.has_permission('update:booking')));
create policy "holders of delete:booking delete bookings" on public.bookings for delete to authenticated
  using ((select private.has_permission('delete:booking')));

-- The week of classes is public knowledge among those who signed in; anybody else asks the website.
grant select, delete on public.class_schedules to authenticated, service_role;
grant insert (class_type_id, day_of_week, start_time, end_time, time_zone, instructor_id, location_id, duration_minutes, max_participants,
  is_active, effective_from, effective_until, notes) on public.class_schedules to authenticated;
grant update (class_type_id, day_of_week, start_time, end_time, time_zone, instructor_id, location_id, duration_minutes, max_participants,
  is_active, effective_from, effective_until, notes, version) on public.class_schedules to authenticated;
grant insert, update on public.class_schedules to service_role;
create policy "signed-in people see schedules" on public.class_schedules for select to authenticated using (true);
create policy "holders of manage:schedules add schedules" on public.class_schedules for insert to authenticated
  with check ((select private.has_permission('manage:schedules')));
create policy "holders of manage:schedules change schedules" on public.class_schedules for update to authenticated
  using ((select private.has_permission('manage:schedules')));
create policy "holders of manage:schedules delete schedules" on public.class_schedules for delete to authenticated
  using ((select private.has_permission('manage:schedules')));

-- Classes: those one teaches; all for who may read everyone's calendar as well. Customers read my_classes. Which columns
-- an instructor may change is for a trigger to say, since a grant cannot tell whose row it is.
grant select, delete on public.class_assignments to authenticated, service_role;
grant insert (id, class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, time_zone, payment_amount, payment_type,
  schedule_type, booking_type, class_status, payment_status, instructor_status, notes, schedule_id, occurs_on, plan_id, rate)
  on public.class_assignments to authenticated;
grant update (class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, time_zone, payment_amount, payment_type,
  schedule_type, booking_type, class_status, payment_status, instructor_status, notes, schedule_id, occurs_on, plan_id, rate, version)
  on public.class_assignments to authenticated;
grant insert, update on public.class_assignments to service_role;
create policy "instructors see what they teach, planners everything" on public.class_assignments for select to authenticated
  using (
    (select private.has_permission('read:assignment'))
    and (instructor_id = (select private.current_profile_id()) or (select private.has_permission('read:calendar')))
  );
create policy "holders of create:assignment assign classes" on public.class_assignments for insert to authenticated
  with check ((select private.has_permission('create:assignment')));
create policy "instructors change what they teach, planners everything" on public.class_assignments for update to authenticated
  using (
    (select private.has_permission('update:assignment'))
    or instructor_id = (select private.current_profile_id()) and (select private.has_permission('update:own_assignment'))
  )
  with check (
    (select private.has_permission('update:assignment'))
    or instructor_id = (select private.current_profile_id()) and (select private.has_permission('update:own_assignment'))
  );
create policy "holders of delete:assignment delete classes" on public.class_assignments for delete to authenticated
  using ((select private.has_permission('delete:assignment')));

-- Links: with the class, or with one's own booking. Definers, because a policy that asked the tables themselves would
-- ask their policies in turn.
create function private.own_assignment_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select a.id from public.class_assignments a where a.instructor_id = private.current_profile_id();
end;
comment on function private.own_assignment_ids() is 'The classes the caller teaches.';

create function private.own_booking_ids() returns setof text
language sql stable security definer set search_path = ''
begin atomic
  select b.booking_id from public.bookings b where b.profile_id = private.current_profile_id() or b.user_id = private.caller_id();
end;
comment on function private.own_booking_ids() is 'The codes of the caller''s own bookings.';

grant execute on function private.own_assignment_ids(), private.own_booking_ids() to authenticated;

grant select on public.assignment_bookings to authenticated, service_role;
grant insert (assignment_id, booking_id), delete on public.assignment_bookings to authenticated;
grant insert, update, delete on public.assignment_bookings to service_role;
create policy "links are seen with the class or one's own booking" on public.assignment_bookings for select to authenticated
  using (
    (select private.has_permission('read:assignment')) and (select private.has_permission('read:calendar'))
    or assignment_id = any(array(select private.own_assignment_ids()))
    or booking_id = any(array(select private.own_booking_ids()))
  );
create policy "holders of update:assignment link bookings" on public.assignment_bookings for insert to authenticated
  with check ((select private.has_permission('update:assignment')));
create policy "holders of update:assignment unlink bookings" on public.assignment_bookings for delete to authenticated
  using ((select private.has_permission('update:assignment')));

-- Written by archive_assignments() only.
grant select on public.class_assignments_archive to authenticated, service_role;
create policy "instructors see what they taught, planners everything" on public.class_assignments_archive for select to authenticated
  using (
    (select private.has_permission('read:assignment'))
    and (instructor_id = (select private.current_profile_id()) or (select private.has_permission('read:calendar')))
  );

grant select on public.assignment_details, public.my_classes, private.customer_classes, public.class_participants, private.class_rosters
  to authenticated, service_role;

grant execute on function
  public.assignment_conflict_check(uuid, date, time, time, uuid), public.create_assignments(jsonb, jsonb, text),
  public.plan_assignments(text, uuid, uuid, uuid, uuid, integer[], time, time, date, date, integer, uuid, text, text, numeric, integer, text),
  public.update_assignment(uuid, integer, jsonb, text), public.respond_to_assignment(uuid, text, text, text),
  public.suggest_instructors(uuid), public.reassign(uuid[], uuid, text),
  public.bulk_assignment_operations(text, uuid[], jsonb, boolean, text), public.archive_assignments(date, integer, text),
  public.edit_repeating_class(text, jsonb, uuid, uuid, date, text)
  to authenticated, service_role;
grant execute on function
  private.json_value_error(text, jsonb), private.json_object_errors(jsonb, jsonb, text), private.json_list_errors(jsonb, jsonb, text),
  private.text_to_date(text), private.text_to_time(text),
  private.within(jsonb, text), private.is_uuid(text), private.draft_fields(), private.change_fields(),
  private.check_assignment_conflict(uuid, date, time, time, uuid), private.assignment_clashes(public.class_assignments[]),
  private.refuse_clashes(private.assignment_clash[], text[]), private.drafts_of(jsonb), private.drafts_errors(public.class_assignments[], text),
  private.association_errors(jsonb, text[]), private.plan_template(text, uuid, uuid, uuid, uuid, uuid, time, time, text, text, text),
  private.make_plan(text, public.class_assignments, integer[], date, date, integer, numeric, integer),
  private.apply_changes(uuid[], jsonb, integer, integer), private.candidates(uuid), private.refuse_bulk(uuid[], text), private.refuse_missing(uuid[], text),
  private.missing_assignments(uuid[]), private.lock_assignments(uuid[]), private.changed_clashes(uuid[], jsonb, integer), private.refuse_changed_clashes(uuid[], jsonb, integer),
  private.bulk_reasons(text, uuid[], jsonb, integer), private.change_many(text, uuid[], jsonb, integer),
  private.change_what_can_be(text, uuid[], jsonb, integer), private.archive_before(date, integer),
  private.edit_series(text, jsonb, uuid, uuid, date)
  to authenticated, service_role;

-- sql/40_studio/policies/30_pay.sql

-- Who may see and write rates, pay periods and calculations. Instructors see what concerns themselves; holders of
-- manage:pay everything. payment_calculations are written by nobody but the triggers and functions that calculate.

alter table public.instructor_rates enable row level security;
alter table public.pay_periods enable row level security;
alter table public.pay_period_events enable row level security;
alter table public.payment_calculations enable row level security;

grant select on public.instructor_rates, public.pay_periods, public.pay_period_events, public.payment_calculations
  to authenticated, service_role;
grant insert, update, delete on public.instructor_rates, public.pay_periods to service_role;
grant insert on public.pay_period_events to service_role;

grant insert (instructor_id, class_type_id, payment_type, rate, effective_from, effective_until) on public.instructor_rates to authenticated;
-- Whose rate it is and for what stays: classes refer to it.
grant update (rate, effective_from, effective_until, version) on public.instructor_rates to authenticated;
grant delete on public.instructor_rates to authenticated;
create policy "instructors see their rates, holders of manage:pay all" on public.instructor_rates for select to authenticated
  using (instructor_id = (select private.current_profile_id()) or (select private.has_permission('manage:pay')));
create policy "holders of manage:pay add rates" on public.instructor_rates for insert to authenticated
  with check ((select private.has_permission('manage:pay')));
create policy "holders of manage:pay change rates" on public.instructor_rates for update to authenticated
  using ((select private.has_permission('manage:pay')));
create policy "holders of manage:pay delete rates" on public.instructor_rates for delete to authenticated
  using ((select private.has_permission('manage:pay')));

-- Whoever plans and teaches is told why a class cannot change any more.
grant insert (name, starts_on, ends_on) on public.pay_periods to authenticated;
grant update (name, starts_on, ends_on, version) on public.pay_periods to authenticated;
grant delete on public.pay_periods to authenticated;
create policy "holders of read:assignment or manage:pay see pay periods" on public.pay_periods for select to authenticated
  using ((select private.has_permission('read:assignment')) or (select private.has_permission('manage:pay')));
create policy "holders of manage:pay add pay periods" on public.pay_periods for insert to authenticated
  with check ((select private.has_permission('manage:pay')));
create policy "holders of manage:pay change pay periods" on public.pay_periods for update to authenticated
  using ((select private.has_permission('manage:pay')));
create policy "holders of manage:pay delete pay periods" on public.pay_periods for delete to authenticated
  using ((select private.has_permission('manage:pay')));

grant insert (pay_period_id, kind, reason) on public.pay_period_events to authenticated;
create policy "holders of manage:pay see what became of pay periods" on public.pay_period_events for select to authenticated
  using ((select private.has_permission('manage:pay')));
create policy "holders of manage:pay close and reopen pay periods" on public.pay_period_events for insert to authenticated
  with check ((select private.has_permission('manage:pay')));

-- A definer, because a policy that asked the classes themselves would ask their policies in turn.
create function private.own_paid_classes() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select c.id from private.paid_classes c where c.instructor_id = private.current_profile_id();
end;
comment on function private.own_paid_classes() is 'The classes the caller teaches and taught, archived ones included.';
create policy "instructors see how their pay came about, holders of manage:pay all" on public.payment_calculations for select to authenticated
  using ((select private.has_permission('manage:pay')) or assignment_id = any(array(select private.own_paid_classes())));

grant execute on function public.calculate_payment(text, numeric, integer, integer, integer, integer),
  public.set_assignment_pay(uuid[], text, numeric, integer, integer, text), public.close_pay_period(text, text),
  public.reopen_pay_period(text, text, text), public.instructor_pay(date, date, uuid[]),
  public.assignment_analytics(date, date, uuid[], text[])
  to authenticated, service_role;
-- Each checks the permission first.
grant execute on function private.set_pay(uuid[], text, numeric, integer, integer),
  private.record_pay_period_event(text, text, text), private.instructor_pay_for_caller(date, date, uuid[]),
  private.assignment_analytics_for_caller(date, date, uuid[], text[])
  to authenticated, service_role;
grant execute on function private.class_amounts(text, numeric, integer, integer, integer, integer),
  private.payment_errors(text, numeric, integer, integer, integer, integer), private.split_amount(numeric, integer),
  private.own_paid_classes()
  to authenticated, service_role;

-- sql/40_studio/policies/40_feeds.sql

-- Feeds are made and revoked through their functions, since only they know the secret. What is kept of it is shown to
-- nobody.

alter table public.calendar_feeds enable row level security;

grant select (id, name, resource_id, created_by, created_at, revoked_at) on public.calendar_feeds to authenticated, service_role;
create policy "people see the feeds they made, holders of read:calendar all" on public.calendar_feeds for select to authenticated
  using (created_by = (select private.caller_id()) or (select private.has_permission('read:calendar')));

grant execute on function public.create_calendar_feed(text, uuid, text), public.revoke_calendar_feed(uuid, text) to authenticated, service_role;
-- Each checks who asks first.
grant execute on function private.new_feed_token(), private.add_calendar_feed(text, uuid, text), private.renew_calendar_feed(uuid, text),
  private.end_calendar_feed(uuid)
  to authenticated, service_role;
-- The secret is the permission, so the Edge Function asks as nobody.
grant execute on function public.calendar_feed(text), private.feed_document(text) to anon, authenticated, service_role;

-- sql/40_studio/policies/40_import.sql

-- Imports, exports, and what the desk settles. What writes checks the permission first.

grant execute on function public.import_bookings(jsonb, boolean, text), public.import_schedules(jsonb, boolean, text, text),
  public.import_assignments(jsonb, boolean, text, text)
  to authenticated, service_role;
grant execute on function private.check_import(jsonb, jsonb, text, boolean), private.booking_columns(), private.schedule_columns(),
  private.assignment_columns(), private.import_booking_rows(jsonb, jsonb), private.import_schedule_rows(jsonb, jsonb),
  private.import_assignment_rows(jsonb, jsonb)
  to authenticated, service_role;

-- Exports ask the tables themselves, which say whose rows the caller sees.
grant select on private.export_names to authenticated, service_role;
grant execute on function public.export_bookings(uuid, integer), public.export_schedules(uuid, integer),
  public.export_assignments(date, date, uuid, integer)
  to authenticated, service_role;
grant execute on function private.list_to_text(text[]), private.instant_to_text(timestamptz), private.check_page(integer)
  to authenticated, service_role;
grant execute on function public.studio_conflicts(date, date), private.conflicts_of_studio(date, date)
  to authenticated, service_role;

-- sql/40_studio/checks/10_served_bookings.sql

-- What the checks about bookings compare with, for all of them at once; private.is_served() says it of one.

create view private.served_bookings as
select l.booking_id
from public.assignment_bookings l
join public.class_assignments a on a.id = l.assignment_id
where a.class_status <> 'cancelled'
union
select b.booking_id
from public.class_assignments_archive a
cross join lateral unnest(a.booking_ids) as b(booking_id)
where a.class_status <> 'cancelled';
comment on view private.served_bookings is 'The codes of bookings that a class which is not cancelled serves or served.';

create function private.settle_bookings(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.confirm_bookings(array(select b.booking_id from public.bookings b where b.id = any(p_entity_ids::uuid[]) order by b.booking_id));
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.settle_bookings(text[]) is 'Makes these bookings confirmed or pending, as their classes say.';

-- sql/40_studio/checks/20_taken_dates.sql

-- Dates of schedules against the classes that stand for them. Repairs go through a table of their own, so that
-- exceptions are still given away by triggers only, and each repair is on record.

create view private.taken_date_faults as
select e.rule_id, e.occurs_on, e.taken_by_id as assignment_id, true as is_taken
from public.weekly_rule_exceptions e
join public.class_assignments a on a.id = e.taken_by_id
where e.taken_by_table = 'class_assignments' and e.kind = 'taken_over'
  and (a.class_status = 'cancelled' or (a.schedule_id, a.occurs_on) is distinct from (e.rule_id, e.occurs_on))
union all
select a.schedule_id, a.occurs_on, a.id, false
from public.class_assignments a
left join public.weekly_rule_exceptions e on e.rule_id = a.schedule_id and e.occurs_on = a.occurs_on
where a.schedule_id is not null and a.class_status <> 'cancelled'
  and (e.taken_by_table, e.taken_by_id) is distinct from ('class_assignments', a.id);
comment on view private.taken_date_faults is
  'Dates of schedules that a class took over without standing for them (is_taken), and those a class stands for without having taken them over.';

create table private.taken_date_rebuilds (
  id bigint generated always as identity primary key,
  rule_ids uuid[] not null,
  dates date[] not null,
  rebuilt_by text not null default private.calling(),
  rebuilt_at timestamptz not null default private.now()
);
comment on table private.taken_date_rebuilds is 'Every time it was worked out again which class stands for a date of a schedule: which dates, by whom, when.';
comment on column private.taken_date_rebuilds.dates is 'The dates, in the order of rule_ids.';

-- A date nobody stands for is the schedule's again, unless it is over, was called off, or somebody else stands for it.
create function private.rebuild_taken_dates() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform from public.weekly_rule_exceptions e
  where (e.rule_id, e.occurs_on) in (select u.rule_id, u.occurs_on from unnest(new.rule_ids, new.dates) as u(rule_id, occurs_on))
  order by e.rule_id, e.occurs_on
  for update;
  update public.weekly_rule_exceptions e
  set kind = 'cancelled', taken_by_table = null, taken_by_id = null
  from private.taken_date_faults f
  where f.is_taken and f.rule_id = e.rule_id and f.occurs_on = e.occurs_on
    and (e.rule_id, e.occurs_on) in (select u.rule_id, u.occurs_on from unnest(new.rule_ids, new.dates) as u(rule_id, occurs_on))
    and (
      e.occurs_on < private.today()
      or exists (select from public.class_assignments a where a.id = e.taken_by_id and a.class_status = 'cancelled')
      or exists (
        select from public.class_assignments a where a.schedule_id = e.rule_id and a.occurs_on = e.occurs_on and a.class_status <> 'cancelled'
      )
    );
  delete from public.weekly_rule_exceptions e
  using private.taken_date_faults f
  where f.is_taken and f.rule_id = e.rule_id and f.occurs_on = e.occurs_on
    and (e.rule_id, e.occurs_on) in (select u.rule_id, u.occurs_on from unnest(new.rule_ids, new.dates) as u(rule_id, occurs_on));
  perform private.take_over('class_assignments', t.ids, t.schedule_ids, t.dates, t.resource_ids, true)
  from (
    select array_agg(a.id order by a.id) as ids, array_agg(a.schedule_id order by a.id) as schedule_ids,
      array_agg(a.occurs_on order by a.id) as dates, array_agg(a.instructor_id) || array_remove(array_agg(a.location_id), null) as resource_ids
    from private.taken_date_faults f
    join public.class_assignments a on a.id = f.assignment_id
    where not f.is_taken
      and (f.rule_id, f.occurs_on) in (select u.rule_id, u.occurs_on from unnest(new.rule_ids, new.dates) as u(rule_id, occurs_on))
  ) t
  where t.ids is not null;
  return null;
end;
$$;
comment on function private.rebuild_taken_dates() is
  'Row trigger on taken_date_rebuilds: makes these dates of schedules what the classes that stand for them say; raises time_conflict where somebody has the time.';

create trigger t50_rebuild after insert on private.taken_date_rebuilds
  for each row execute function private.rebuild_taken_dates();

create function private.settle_taken_dates(p_entity_ids text[], p_are_taken boolean) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fault record;
begin
  begin
    insert into private.taken_date_rebuilds (rule_ids, dates)
    select array_agg(f.rule_id), array_agg(f.occurs_on)
    from private.taken_date_faults f
    where f.is_taken = p_are_taken and f.assignment_id = any(p_entity_ids::uuid[])
    having count(*) > 0;
  exception when sqlstate 'PGRST' then
    -- Somebody has the time of one of them meanwhile: that one stays a finding.
    for v_fault in
      select f.rule_id, f.occurs_on from private.taken_date_faults f
      where f.is_taken = p_are_taken and f.assignment_id = any(p_entity_ids::uuid[])
    loop
      begin
        insert into private.taken_date_rebuilds (rule_ids, dates) values (array[v_fault.rule_id], array[v_fault.occurs_on]);
      exception when sqlstate 'PGRST' then
        continue;
      end;
    end loop;
  end;
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.settle_taken_dates(text[], boolean) is 'Works out again which class stands for these dates of schedules, where nobody else has the time.';

-- sql/40_studio/checks/amounts_differ.sql

create view private.amount_differences as
select a.id as assignment_id, a.instructor_id, a.date, a.payment_status, a.payment_amount, c.id as calculation_id, c.calculated_amount,
  exists (
    select from public.pay_periods p where p.status = 'closed' and a.date between p.starts_on and p.ends_on
  ) as is_closed
from public.class_assignments a
cross join lateral (
  select c.id, c.calculated_amount from public.payment_calculations c where c.assignment_id = a.id order by c.id desc limit 1
) c
where abs(a.payment_amount - c.calculated_amount) > 0.01 and a.class_status <> 'cancelled';
comment on view private.amount_differences is 'Classes, not cancelled, whose amount is not what was last calculated.';

create function private.check_amounts_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', d.assignment_id::text,
    format('The class of %s on %s is paid %s, and %s was calculated', p.full_name, d.date, d.payment_amount, d.calculated_amount),
    jsonb_build_object('instructor_id', d.instructor_id, 'calculation_id', d.calculation_id, 'payment_amount', d.payment_amount,
      'calculated_amount', d.calculated_amount, 'is_closed', d.is_closed, 'payment_status', d.payment_status)
  from private.amount_differences d
  join public.user_profiles p on p.id = d.instructor_id;
end;
comment on function private.check_amounts_differ() is 'Finds classes whose amount differs from its last calculation by more than a cent.';

create function private.fix_amounts_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  update public.class_assignments a set payment_amount = d.calculated_amount
  from private.amount_differences d
  where d.assignment_id = a.id and not d.is_closed and d.payment_status = 'pending' and a.id = any(p_entity_ids::uuid[]);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.fix_amounts_differ(text[]) is
  'Sets amounts to what was calculated, where the pay period is open and the pay pending; for the others a person decides.';

-- sql/40_studio/checks/bookings_confirmed_by_nothing.sql

create function private.check_bookings_confirmed_by_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'bookings', b.id::text, format('Booking %s is confirmed, and no class serves it', b.booking_id), jsonb_build_object('booking_id', b.booking_id)
  from public.bookings b
  where b.status = 'confirmed' and not exists (select from private.served_bookings s where s.booking_id = b.booking_id);
end;
comment on function private.check_bookings_confirmed_by_nothing() is 'Finds confirmed bookings that no class serves which is not cancelled.';

create function private.fix_bookings_confirmed_by_nothing(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.settle_bookings(p_entity_ids);
comment on function private.fix_bookings_confirmed_by_nothing(text[]) is 'Makes them pending again, so that they show as waiting for a class.';

-- sql/40_studio/checks/bookings_pending_but_served.sql

create function private.check_bookings_pending_but_served() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'bookings', b.id::text, format('Booking %s is pending, and a class serves it', b.booking_id), jsonb_build_object('booking_id', b.booking_id)
  from public.bookings b
  where b.status = 'pending' and exists (select from private.served_bookings s where s.booking_id = b.booking_id);
end;
comment on function private.check_bookings_pending_but_served() is 'Finds pending bookings that a class serves.';

create function private.fix_bookings_pending_but_served(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.settle_bookings(p_entity_ids);
comment on function private.fix_bookings_pending_but_served(text[]) is 'Confirms them.';

-- sql/40_studio/checks/class_instants_differ.sql

create function private.check_class_instants_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', a.id::text,
    format('The class of %s on %s is kept as %s, which is not what its local date and times say', p.full_name, a.date,
      private.describe_range(tstzrange(a.starts_at, a.ends_at), a.time_zone)),
    jsonb_build_object('date', a.date, 'start_time', a.start_time, 'end_time', a.end_time, 'time_zone', a.time_zone,
      'starts_at', a.starts_at, 'ends_at', a.ends_at)
  from public.class_assignments a
  join public.user_profiles p on p.id = a.instructor_id
  where a.start_time is not null and (a.starts_at, a.ends_at) is distinct from (
    private.local_to_instant(a.date, a.start_time, a.time_zone), private.local_end_to_instant(a.date, a.end_time, a.time_zone)
  );
end;
comment on function private.check_class_instants_differ() is
  'Finds classes whose instants are not those of their wall-clock time: written around the triggers, or before the time zone database changed.';

create function private.fix_class_instants_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
begin
  begin
    update public.class_assignments a
    set starts_at = private.local_to_instant(a.date, a.start_time, a.time_zone), ends_at = private.local_end_to_instant(a.date, a.end_time, a.time_zone)
    where a.id = any(p_entity_ids::uuid[]);
  exception when sqlstate 'PGRST' then
    -- The time of one of them does not exist, or is somebody else's: that one stays a finding.
    foreach v_id in array p_entity_ids::uuid[] loop
      begin
        update public.class_assignments a
        set starts_at = private.local_to_instant(a.date, a.start_time, a.time_zone), ends_at = private.local_end_to_instant(a.date, a.end_time, a.time_zone)
        where a.id = v_id;
      exception when sqlstate 'PGRST' then
        continue;
      end;
    end loop;
  end;
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.fix_class_instants_differ(text[]) is 'Works the instants of these classes out again, and moves their claims, where nobody else has the time.';

-- sql/40_studio/checks/classes_archived_and_live.sql

-- Moving a class to the archive copies it and deletes it. Where the two differ in what is paid for, or the live one
-- serves somebody the copy does not, nobody can tell from here which of them is right.
create view private.classes_archived_and_live as
select a.id, a.instructor_id, a.date,
  private.pay_facts(to_jsonb(a)) = private.pay_facts(to_jsonb(r)) and not exists (
    select from public.assignment_bookings l where l.assignment_id = a.id and l.booking_id <> all(r.booking_ids)
  ) as is_alike
from public.class_assignments a
join public.class_assignments_archive r on r.id = a.id;
comment on view private.classes_archived_and_live is 'Classes that are in the archive and among the live ones, and whether they are the same in what matters.';

create function private.check_classes_archived_and_live() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', d.id::text,
    format('The class of %s on %s is in the archive and still live%s', p.full_name, d.date, case when d.is_alike then '' else ', and the two differ' end),
    jsonb_build_object('instructor_id', d.instructor_id, 'is_alike', d.is_alike)
  from private.classes_archived_and_live d
  join public.user_profiles p on p.id = d.instructor_id;
end;
comment on function private.check_classes_archived_and_live() is 'Finds classes that were moved to the archive and are still there.';

create function private.fix_classes_archived_and_live(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  delete from public.class_assignments a
  using private.classes_archived_and_live d
  where d.id = a.id and d.is_alike and a.id = any(p_entity_ids::uuid[]);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_classes_archived_and_live(text[]) is
  'Finishes the move of those that are alike in both places; where they differ, a person decides which is right.';

-- sql/40_studio/checks/classes_overfull.sql

-- Of classes that are over, nobody takes anybody out any more; and later they may have been given less room.
create function private.check_classes_overfull() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', a.id::text,
    format('The class on %s has room for %s, and %s take part', a.date, coalesce(s.max_participants, t.max_participants), c.participants),
    jsonb_build_object('instructor_id', a.instructor_id, 'limit', coalesce(s.max_participants, t.max_participants), 'participants', c.participants)
  from public.class_assignments a
  join private.participant_counts c on c.assignment_id = a.id
  left join public.class_schedules s on s.id = a.schedule_id
  left join public.class_types t on t.id = coalesce(a.class_type_id, s.class_type_id)
  where a.class_status = 'scheduled' and a.date >= private.today() and c.participants > coalesce(s.max_participants, t.max_participants);
end;
comment on function private.check_classes_overfull() is
  'Finds classes to come that serve more bookings than they have room for. A person decides who comes another day, or makes room.';

-- sql/40_studio/checks/classes_overlapping.sql

-- From the classes themselves, so that it finds what the ledger was never told. Whoever begins before somebody who began
-- earlier has ended is looked at more closely: that is one pass in order of time, and few are left after it.
create function private.check_classes_overlapping() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  with taken as (
    select c.resource_id, c.source_id, c.during, c.title, c.occurs_on,
      max(upper(c.during)) over (
        partition by c.resource_id order by lower(c.during), c.source_id rows between unbounded preceding and 1 preceding
      ) > lower(c.during) as begins_too_early
    from private.class_assignments_claims c
  ),
  pairs as (
    select l.resource_id, e.source_id as first_id, l.source_id as second_id, e.title, e.occurs_on, e.during as first_during, l.during as second_during
    from taken l
    join taken e on e.resource_id = l.resource_id and e.source_id <> l.source_id and e.during && l.during
      and (lower(e.during), e.source_id) < (lower(l.during), l.source_id)
    where l.begins_too_early
  )
  select 'class_assignments', p.second_id::text,
    format('%s is in two classes at once, %s', r.name, private.describe_range(p.first_during * p.second_during)),
    jsonb_build_object('resource_id', p.resource_id, 'with_id', p.first_id,
      'starts_at', lower(p.first_during * p.second_during), 'ends_at', upper(p.first_during * p.second_during))
  from pairs p
  join public.resources r on r.id = p.resource_id
  where not exists (
    select
    from public.override_members m
    join public.override_members o on o.override_id = m.override_id and o.source_id = p.second_id and o.source_table = 'class_assignments'
    join public.overrides g on g.id = m.override_id
    where m.source_id = p.first_id and m.source_table = 'class_assignments'
      and lower(p.first_during * p.second_during) < coalesce(least(g.expires_at, g.revoked_at), 'infinity')
  );
end;
comment on function private.check_classes_overlapping() is
  'Finds classes that take one instructor or one room at once, as a restore or a dropped constraint may leave them. A person decides which of the two moves.';

-- sql/40_studio/checks/classes_past_but_scheduled.sql

-- That somebody taught follows from their having said they would, as the daily job assumes as well. Where nobody
-- answered, or somebody declined and nobody else was asked, only a person can know.
create function private.check_classes_past_but_scheduled() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', a.id::text,
    format('The class of %s on %s is over and still scheduled%s', p.full_name, a.date,
      case a.instructor_status when 'accepted' then '' when 'rejected' then '; it was declined' else '; they never answered' end),
    jsonb_build_object('instructor_id', a.instructor_id, 'date', a.date, 'instructor_status', a.instructor_status)
  from public.class_assignments a
  join public.user_profiles p on p.id = a.instructor_id
  where a.class_status = 'scheduled' and a.date < private.today() and coalesce(a.ends_at < private.now(), true);
end;
comment on function private.check_classes_past_but_scheduled() is 'Finds classes of days that are over which are neither completed nor cancelled.';

create function private.fix_classes_past_but_scheduled(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.class_assignments a set class_status = 'completed'
  where a.id = any(p_entity_ids::uuid[]) and a.class_status = 'scheduled' and a.instructor_status = 'accepted'
    and not exists (select from public.pay_periods p where p.status = 'closed' and a.date between p.starts_on and p.ends_on);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_classes_past_but_scheduled(text[]) is
  'Completes those their instructor accepted, outside closed pay periods; about the others a person decides.';

-- sql/40_studio/checks/credits_used_for_nothing.sql

-- A class that went to the archive keeps the credits it used, and its links are gone: there, the person and the day say
-- whether there was something to use a credit for.
create function private.check_credits_used_for_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'assignment_bookings', e.source_id::text,
    format('A credit of %s was used for %s, and %s', u.full_name, e.occurs_on,
      case when l.id is null then 'no class serves them then' else 'the class was cancelled' end),
    jsonb_build_object('purchase_id', e.purchase_id, 'entry_no', e.entry_no, 'profile_id', p.profile_id)
  from public.credit_entries e
  join public.package_purchases p on p.id = e.purchase_id
  join public.user_profiles u on u.id = p.profile_id
  left join public.assignment_bookings l on l.id = e.source_id
  left join public.class_assignments a on a.id = l.assignment_id
  where e.source_table = 'assignment_bookings' and e.kind = 'used'
    and not exists (
      select from public.credit_entries r
      where r.purchase_id = e.purchase_id and r.used_entry_no = e.entry_no and r.kind in ('returned', 'forfeited')
    )
    and case when l.id is not null then a.class_status = 'cancelled' else (p.profile_id, e.occurs_on) not in (
      select b.profile_id, r.date
      from public.class_assignments_archive r
      cross join lateral unnest(r.booking_ids) as i(booking_id)
      join public.bookings b on b.booking_id = i.booking_id
      where r.class_status <> 'cancelled' and b.profile_id is not null
    ) end;
end;
comment on function private.check_credits_used_for_nothing() is 'Finds credits used for a class that is cancelled or no longer serves the customer.';

create function private.fix_credits_used_for_nothing(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.return_credit('assignment_bookings', u.source_id, null)
  from (
    select distinct p.profile_id, e.source_id
    from public.credit_entries e
    join public.package_purchases p on p.id = e.purchase_id
    where e.source_id = any(p_entity_ids::uuid[]) and e.source_table = 'assignment_bookings' and e.kind = 'used'
    order by p.profile_id, e.source_id
    offset 0
  ) u;
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.fix_credits_used_for_nothing(text[]) is 'Gives these credits back.';

-- sql/40_studio/checks/dates_not_taken_over.sql

create function private.check_dates_not_taken_over() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', f.assignment_id::text,
    format('The class on %s stands for %s of its schedule and did not take it over, so that it is promised twice', a.date, f.occurs_on),
    jsonb_build_object('schedule_id', f.rule_id, 'occurs_on', f.occurs_on)
  from private.taken_date_faults f
  join public.class_assignments a on a.id = f.assignment_id
  where not f.is_taken;
end;
comment on function private.check_dates_not_taken_over() is 'Finds classes made from a schedule whose date is still the schedule''s, or another''s.';

create function private.fix_dates_not_taken_over(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.settle_taken_dates(p_entity_ids, false);
comment on function private.fix_dates_not_taken_over(text[]) is 'Takes these dates over for their classes, where no other class has them.';

-- sql/40_studio/checks/dates_taken_for_nothing.sql

create function private.check_dates_taken_for_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', f.assignment_id::text,
    format('%s on %s does not take place for a class that %s', r.title, f.occurs_on,
      case a.class_status when 'cancelled' then 'was cancelled' else 'stands for another date' end),
    jsonb_build_object('schedule_id', f.rule_id, 'occurs_on', f.occurs_on)
  from private.taken_date_faults f
  join public.weekly_rules r on r.id = f.rule_id
  join public.class_assignments a on a.id = f.assignment_id
  where f.is_taken;
end;
comment on function private.check_dates_taken_for_nothing() is 'Finds dates of schedules that a class took over which is cancelled or stands for another date.';

create function private.fix_dates_taken_for_nothing(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.settle_taken_dates(p_entity_ids, true);
comment on function private.fix_dates_taken_for_nothing(text[]) is
  'Gives these dates back to their schedules; leaves them cancelled where they are over or their class was called off.';

-- sql/40_studio/checks/links_to_nothing.sql

create function private.check_links_to_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'assignment_bookings', l.id::text,
    case when a.id is null then format('Booking %s is linked to a class that is gone', l.booking_id)
      else format('The class on %s is linked to a booking %s that there is not', a.date, l.booking_id) end,
    jsonb_build_object('assignment_id', l.assignment_id, 'booking_id', l.booking_id)
  from public.assignment_bookings l
  left join public.class_assignments a on a.id = l.assignment_id
  left join public.bookings b on b.booking_id = l.booking_id
  where a.id is null or b.id is null;
end;
comment on function private.check_links_to_nothing() is
  'Finds links to bookings or classes that are gone, which is possible only where keys were not enforced, as in a restore.';

create function private.fix_links_to_nothing(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  delete from public.assignment_bookings l where l.id = any(p_entity_ids::uuid[]);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_links_to_nothing(text[]) is
  'Removes these links. Undoing it puts them back only once what they refer to is there again.';

-- sql/40_studio/checks/links_without_credit.sql

create view private.links_without_credit as
select l.id as link_id, l.assignment_id, l.booking_id, b.profile_id, b.class_package_id, a.date
from public.assignment_bookings l
join public.bookings b on b.booking_id = l.booking_id and b.uses_credits and b.status <> 'cancelled'
join public.class_assignments a on a.id = l.assignment_id and a.class_status <> 'cancelled'
where not exists (
  select from public.credit_entries u
  where u.source_id = l.id and u.source_table = 'assignment_bookings' and u.kind = 'used'
    and not exists (
      select from public.credit_entries r where r.purchase_id = u.purchase_id and r.used_entry_no = u.entry_no and r.kind = 'returned'
    )
);
comment on view private.links_without_credit is 'Classes that serve a booking which uses credits, without using one.';

create function private.check_links_without_credit() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'assignment_bookings', d.link_id::text, format('The class on %s serves booking %s and uses no credit of it', d.date, d.booking_id),
    jsonb_build_object('assignment_id', d.assignment_id, 'booking_id', d.booking_id, 'profile_id', d.profile_id)
  from private.links_without_credit d;
end;
comment on function private.check_links_without_credit() is 'Finds classes that serve a booking which uses credits, without using one.';

create function private.fix_links_without_credit(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_link record;
  v_fixed integer := 0;
begin
  for v_link in
    select d.* from private.links_without_credit d where d.link_id = any(p_entity_ids::uuid[]) order by d.profile_id, d.date, d.link_id
  loop
    begin
      perform private.use_credit(v_link.profile_id, v_link.class_package_id, v_link.date, 'assignment_bookings', v_link.link_id);
      v_fixed := v_fixed + 1;
    exception when sqlstate 'PGRST' then
      -- They have none that is good on the day: that one stays a finding.
      continue;
    end;
  end loop;
  return v_fixed;
end;
$$;
comment on function private.fix_links_without_credit(text[]) is
  'Uses a credit as linking would have, where the customer has one that is good on the day; about the others a person decides.';

-- sql/40_studio/checks/paid_but_cancelled.sql

create function private.check_paid_but_cancelled() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', a.id::text, format('%s was paid %s for the class on %s, which was cancelled', p.full_name, a.payment_amount, a.date),
    jsonb_build_object('instructor_id', a.instructor_id, 'payment_amount', a.payment_amount)
  from public.class_assignments a
  join public.user_profiles p on p.id = a.instructor_id
  where a.class_status = 'cancelled' and a.payment_status = 'paid';
end;
comment on function private.check_paid_but_cancelled() is 'Finds classes that were paid for and then cancelled. A person decides whether money comes back.';

-- sql/40_studio/checks/pay_periods_differ.sql

create function private.check_pay_periods_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'pay_periods', p.id::text, format('%s is %s, and was last %s', p.name, p.status, coalesce(e.kind, 'opened')),
    jsonb_build_object('event_no', e.event_no)
  from public.pay_periods p
  left join lateral (
    select e.event_no, e.kind from public.pay_period_events e where e.pay_period_id = p.id order by e.event_no desc limit 1
  ) e on true
  where (p.status = 'closed') is distinct from coalesce(e.kind = 'closed', false);
end;
comment on function private.check_pay_periods_differ() is 'Finds pay periods whose status is not what was last recorded of them.';

create function private.fix_pay_periods_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  update public.pay_periods p set status = case p.status when 'closed' then 'open' else 'closed' end
  where p.id = any(p_entity_ids::uuid[]) and p.id::text in (select f.entity_id from private.check_pay_periods_differ() f);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.fix_pay_periods_differ(text[]) is 'Takes the status from the last event.';

-- sql/40_studio/checks/schedules_differ.sql

create function private.check_schedules_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_schedules', d.id::text,
    case when bool_or(d.what = 'gone') then 'A weekly rule stands for a class schedule that is gone'
      else format('%s promises otherwise than its weekly rule: %s', max(t.name), string_agg(distinct d.what, ' and ')) end,
    jsonb_build_object('weekly_rule_id', d.id)
  from (
    select coalesce(w.id, r.id) as id, case when w.id is null then 'gone' when r.id is null then 'there is none' else 'its day or times' end as what
    from private.class_schedule_rules w
    full join (select * from public.weekly_rules x where x.source_table = 'class_schedules') r on r.id = w.id
    where (w.title, w.kind, w.weekday, w.start_time, w.end_time, w.time_zone, w.effective, w.id)
      is distinct from (r.title, r.kind, r.weekday, r.start_time, r.end_time, r.time_zone, r.effective, r.source_id)
    union all
    select coalesce(w.rule_id, r.rule_id), 'whom it takes'
    from private.class_schedule_resources w
    full join (
      select p.rule_id, p.resource_id
      from public.weekly_rule_resources p
      join public.weekly_rules x on x.id = p.rule_id and x.source_table = 'class_schedules'
    ) r on r.rule_id = w.rule_id and r.resource_id = w.resource_id
    where w.rule_id is null or r.rule_id is null
  ) d
  left join public.class_schedules s on s.id = d.id
  left join public.class_types t on t.id = s.class_type_id
  group by d.id;
end;
comment on function private.check_schedules_differ() is 'Finds class schedules whose weekly rule is not what they say, so that the ledger promises something else.';

create function private.fix_schedules_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
begin
  begin
    perform private.sync_schedules(p_entity_ids::uuid[]);
  exception when sqlstate 'PGRST' then
    -- Somebody has the time of one of them meanwhile: that one stays a finding.
    foreach v_id in array p_entity_ids::uuid[] loop
      begin
        perform private.sync_schedules(array[v_id]);
      exception when sqlstate 'PGRST' then
        continue;
      end;
    end loop;
  end;
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.fix_schedules_differ(text[]) is 'Makes the weekly rules what the schedules say, where nobody else has the time.';

-- sql/40_studio/checks/schedules_of_people_who_left.sql

create function private.check_schedules_of_people_who_left() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_schedules', s.id::text,
    format('%s on %ss at %s is planned with %s, who left', t.name, (array['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'])[s.day_of_week + 1],
      to_char(s.start_time, 'HH24:MI'), p.full_name),
    jsonb_build_object('instructor_id', s.instructor_id, 'class_type_id', s.class_type_id)
  from public.class_schedules s
  join public.class_types t on t.id = s.class_type_id
  join public.user_profiles p on p.id = s.instructor_id
  where s.is_active and not p.is_active and coalesce(s.effective_until >= private.today(), true);
end;
comment on function private.check_schedules_of_people_who_left() is 'Finds weekly templates in force whose instructor is no longer active.';

create function private.fix_schedules_of_people_who_left(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.class_schedules s set instructor_id = null where s.id = any(p_entity_ids::uuid[]);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_schedules_of_people_who_left(text[]) is
  'Takes the instructor off, so that the template keeps its room and shows as needing somebody.';

-- sql/40_studio/reference/10_studio.sql

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

-- sql/40_studio/reference/20_checks.sql

-- The checks of bookings, schedules and classes; those of pay are with pay.

insert into public.integrity_checks (name, module, category, severity, description, fix_description) values
  ('bookings_confirmed_by_nothing', '40_studio', 'integrity', 'error', 'Confirmed bookings that no class serves.', 'Makes them pending again.'),
  ('bookings_pending_but_served', '40_studio', 'integrity', 'error', 'Pending bookings that a class serves.', 'Confirms them.'),
  ('links_to_nothing', '40_studio', 'integrity', 'error', 'Classes linked to bookings that there are not, or the reverse.', 'Removes the links.'),
  ('classes_past_but_scheduled', '40_studio', 'integrity', 'warning', 'Classes of past days that are still scheduled.',
    'Completes those their instructor accepted, outside closed pay periods.'),
  ('schedules_of_people_who_left', '40_studio', 'integrity', 'warning', 'Weekly templates whose instructor left.',
    'Takes the instructor off, so that they show as needing somebody.'),
  ('schedules_differ', '40_studio', 'integrity', 'critical', 'Class schedules whose weekly rule in the ledger is not what they say.',
    'Makes the weekly rules what the schedules say, where nobody else has the time.'),
  ('classes_overlapping', '40_studio', 'integrity', 'critical', 'Classes that take one instructor or one room at once.', null),
  ('classes_overfull', '40_studio', 'integrity', 'error', 'Classes to come that serve more bookings than they have room for.', null),
  ('classes_archived_and_live', '40_studio', 'integrity', 'error', 'Classes that were archived and are still live.',
    'Finishes the move, where the two are alike.'),
  ('class_instants_differ', '40_studio', 'integrity', 'error', 'Classes whose instants are not those of their wall-clock time.',
    'Works them out again, where nobody else has the time.'),
  ('dates_taken_for_nothing', '40_studio', 'integrity', 'error', 'Dates of schedules taken over by a class that does not stand for them.',
    'Gives them back to the schedule; those that are over or were called off stay cancelled.'),
  ('dates_not_taken_over', '40_studio', 'integrity', 'critical', 'Classes made from a schedule that did not take its date over.',
    'Takes the dates over, where no other class has them.'),
  ('links_without_credit', '40_studio', 'integrity', 'warning', 'Classes that serve a booking which uses credits, without using one.',
    'Uses a credit, where the customer has one that is good on the day.'),
  ('credits_used_for_nothing', '40_studio', 'integrity', 'error', 'Credits used for classes that are cancelled or no longer serve the customer.',
    'Gives them back.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;

-- sql/40_studio/reference/30_pay.sql

-- Rows of pay that this module ships.

with matrix (name, manager, instructor, staff, description) as (
  values ('manage:pay', true, false, false, 'Set rates, close and reopen pay periods, mark classes as paid.')
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

insert into public.integrity_checks (name, module, category, severity, description, fix_description) values
  ('amounts_differ', '40_studio', 'integrity', 'warning', 'Classes whose amount differs from its last calculation by more than a cent.',
    'Sets the amount to what was calculated, where the pay period is open and the pay pending.'),
  ('paid_but_cancelled', '40_studio', 'integrity', 'info', 'Classes that were paid for and then cancelled.', null),
  ('pay_periods_differ', '40_studio', 'integrity', 'error', 'Pay periods that are not what was last recorded of them.',
    'Takes the status from the last event.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;

-- Where pay keeps what belongs to a person.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.instructor_rates', 'instructor_id', 'profile_id', '40_studio',
    '{id,class_type_id,payment_type,rate,effective_from,effective_until}', 'keep', '{}', 'What was agreed belongs to the books; it names an id only.'),
  ('public.instructor_rates', 'created_by', 'user_id', '40_studio', '{id,created_at}', 'keep', '{}', 'The rate is the organisation''s.'),
  ('public.pay_periods', 'created_by', 'user_id', '40_studio', '{id,name,created_at}', 'keep', '{}', 'The pay period is the organisation''s.'),
  ('public.pay_period_events', 'recorded_by', 'user_id', '40_studio', '{pay_period_id,event_no,kind,created_at}', 'keep', '{}',
    'Who closed and reopened a pay period stays known; it names an id only.'),
  ('public.payment_calculations', 'calculated_by', 'user_id', '40_studio', '{id,assignment_id,calculated_at}', 'keep', '{}',
    'Who worked out an amount stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;

-- sql/40_studio/reference/40_feeds.sql

-- Rows of calendar feeds that this module ships.

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('calendar_feed_events', '40_studio', 'integer', '20000', 100, 100000, false, 'How many events a calendar feed holds at most.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

-- The address of somebody who is erased ends, whoever made it.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.calendar_feeds', 'created_by', 'user_id', '40_studio', '{id,name,created_at,revoked_at}', 'delete', '{}', null),
  ('public.calendar_feeds', 'resource_id', 'profile_id', '40_studio', '{id,name,created_at,revoked_at}', 'delete', '{}', null)
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;

-- sql/90_operations/tables.sql

-- 90_operations: know, mend, undo.
--
-- Modules register checks (public.integrity_checks) with a function private.check_<name>() that finds, and where the
-- repair is clear private.fix_<name>(text[]) that mends. Every repair is a row of fix_runs. Whatever it changes, itself
-- or through triggers, is kept in fix_changes as it was before and after, and undo_fix() puts it back.
--
-- Promises: no repair changes or deletes a row of public whose image is not kept; an undo puts back exactly what its
-- repair changed, all or nothing, and only while these rows still are as the repair left them. Constraints hold for an
-- undo as for everybody.

create table public.fix_runs (
  id bigint generated always as identity primary key,
  check_name text not null,
  faults integer not null,
  fixed integer not null default 0,
  remaining integer not null default 0,
  changed_rows integer not null default 0,
  undoes bigint references public.fix_runs (id) on delete restrict,
  applied_by uuid default private.caller_id(),
  applied_at timestamptz not null default private.now(),
  forgotten_at timestamptz,
  constraint fix_runs_undone_once unique (undoes),
  constraint counts_are_not_below_zero check (faults >= 0 and fixed >= 0 and remaining >= 0 and changed_rows >= 0)
);
comment on table public.fix_runs is 'Every time a check''s repair ran, and every time that was undone. Written by apply_fixes and undo_fix only.';
comment on column public.fix_runs.check_name is 'The check whose findings it mended.';
comment on column public.fix_runs.faults is 'How many entities were at fault.';
comment on column public.fix_runs.fixed is 'How many of them no longer were, afterwards.';
comment on column public.fix_runs.remaining is 'How many still were: for these a person has to decide.';
comment on column public.fix_runs.changed_rows is 'How many rows it changed, those that followed through triggers included.';
comment on column public.fix_runs.undoes is 'The run this one undid; null for a repair.';
comment on column public.fix_runs.applied_by is 'The login; null when a server did it.';
comment on column public.fix_runs.forgotten_at is 'When its images were deleted, so that it cannot be undone any more; null while they are kept.';

create table private.fix_changes (
  id bigint generated always as identity primary key,
  fix_id bigint not null references public.fix_runs (id) on delete cascade,
  table_name text not null,
  row_key jsonb not null,
  before jsonb,
  after jsonb
);
create index fix_changes_fix on private.fix_changes (fix_id, table_name);
comment on table private.fix_changes is 'Every row a repair changed, as it was before and after. Deleted when somebody who is in it is erased.';
comment on column private.fix_changes.table_name is 'The table in public.';
comment on column private.fix_changes.row_key is 'The row''s primary key, by column.';
comment on column private.fix_changes.before is 'The row before the repair; null when there was none.';
comment on column private.fix_changes.after is 'The row after the repair; null when it is gone.';

create table private.open_fixes (
  fix_id bigint primary key references public.fix_runs (id) on delete cascade,
  transaction_id xid8 not null default pg_current_xact_id()
);
comment on table private.open_fixes is 'The repair a transaction is at, while it is at it. Without a row here no setting makes a trigger keep images.';

-- sql/90_operations/rules/10_images.sql

-- Images of rows that repairs change.
--
-- Every table of public has a row trigger for it, which costs other writers a look at a setting. The setting is only a
-- hint: a transaction keeps images when private.open_fixes says that it is at a repair, and that is written by
-- apply_fixes and undo_fix only. Whoever sets the setting, or takes it away, changes nothing about anybody's rows.

create function private.keep_image() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_named constant text := current_setting('classbase.fix', true);
  v_fix_id bigint := (
    select f.fix_id from private.open_fixes f
    where f.fix_id = case when v_named ~ '^[0-9]{1,18}$' then v_named::bigint end and f.transaction_id = pg_current_xact_id()
  );
  v_old jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  v_new jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  v_old_key jsonb;
  v_new_key jsonb;
begin
  if v_fix_id is null then
    return null;
  end if;
  v_old_key := (select jsonb_object_agg(c, v_old -> c) from unnest(tg_argv) c where v_old is not null);
  v_new_key := (select jsonb_object_agg(c, v_new -> c) from unnest(tg_argv) c where v_new is not null);
  -- A row that gets another key is one row gone and another one come.
  if v_old_key <> v_new_key then
    insert into private.fix_changes (fix_id, table_name, row_key, before) values (v_fix_id, tg_table_name, v_old_key, v_old);
    v_old := null;
  end if;
  insert into private.fix_changes (fix_id, table_name, row_key, before, after)
  values (v_fix_id, tg_table_name, coalesce(v_new_key, v_old_key), v_old, v_new);
  return null;
end;
$$;
comment on function private.keep_image() is
  'Row trigger of every table in public: while a repair runs, keeps the row as it was and as it is. Its arguments are the primary key''s columns.';

create function private.key_columns(p_table regclass) returns text[]
language sql stable set search_path = ''
begin atomic
  select array_agg(a.attname::text order by u.position)
  from pg_catalog.pg_constraint k
  cross join lateral unnest(k.conkey) with ordinality as u(attnum, position)
  join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
  where k.conrelid = p_table and k.contype = 'p';
end;
comment on function private.key_columns(regclass) is 'The columns of a table''s primary key.';

create function private.tables_without_images() returns setof regclass
language sql stable set search_path = ''
begin atomic
  select c.oid::regclass
  from pg_catalog.pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    and c.oid <> 'public.fix_runs'::regclass
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
    and not exists (
      select
      from pg_catalog.pg_trigger t
      where t.tgrelid = c.oid and t.tgfoid = 'private.keep_image()'::regprocedure and t.tgtype & 29 = 29 and t.tgenabled in ('O', 'A')
    )
  order by c.relname;
end;
comment on function private.tables_without_images() is 'Tables in public whose changes by a repair would leave no image.';

create function private.attach_images() returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_table regclass;
begin
  for v_table in select t.t from private.tables_without_images() as t(t) loop
    execute format('create or replace trigger t99_keep_image after insert or update or delete on %s
      for each row when (current_setting(''classbase.fix'', true) <> '''') execute function private.keep_image(%s)',
      v_table, (select string_agg(quote_literal(c), ', ') from unnest(private.key_columns(v_table)) c));
  end loop;
end;
$$;
comment on function private.attach_images() is 'Makes every table in public keep images while a repair runs; a module that comes later calls it again.';

select private.attach_images();

-- What was changed several times was changed once, from what it was first to what it was last: of the images of a row,
-- what it was first is one time more a before than an after. Nothing depends on the order in which triggers fired.
create function private.close_fix(p_fix_id bigint) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  perform set_config('classbase.fix', '', true);
  delete from private.open_fixes f where f.fix_id = p_fix_id;
  with kept as (
    delete from private.fix_changes c where c.fix_id = p_fix_id
    returning c.table_name, c.row_key, c.before, c.after
  ),
  ends as (
    select i.table_name, i.row_key, i.image, sum(i.times) as times
    from (
      select k.table_name, k.row_key, k.before as image, 1 as times from kept k
      union all
      select k.table_name, k.row_key, k.after, -1 from kept k
    ) i
    group by i.table_name, i.row_key, i.image
    having sum(i.times) <> 0
  )
  insert into private.fix_changes (fix_id, table_name, row_key, before, after)
  select p_fix_id, e.table_name, e.row_key, (array_agg(e.image) filter (where e.times > 0))[1], (array_agg(e.image) filter (where e.times < 0))[1]
  from ends e
  group by e.table_name, e.row_key
  order by e.table_name, e.row_key;
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.close_fix(bigint) is 'Ends the keeping of images for a repair; returns how many rows it changed.';

create function private.open_fix(p_check_name text, p_faults integer, p_undoes bigint default null) returns bigint
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fix_id bigint;
begin
  insert into public.fix_runs (check_name, faults, undoes) values (p_check_name, p_faults, p_undoes) returning id into v_fix_id;
  insert into private.open_fixes (fix_id) values (v_fix_id);
  perform set_config('classbase.fix', v_fix_id::text, true);
  return v_fix_id;
end;
$$;
comment on function private.open_fix(text, integer, bigint) is 'Begins a repair, or an undo: from now on this transaction keeps images.';

-- Images of people who are erased are erased with them.
create function private.forget_images() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_forgotten bigint[];
begin
  select array_agg(distinct c.fix_id) into v_forgotten
  from private.fix_changes c
  where strpos(concat(c.row_key, c.before, c.after), new.id::text) > 0;
  delete from private.fix_changes c where c.fix_id = any(v_forgotten);
  update public.fix_runs r set forgotten_at = private.now() where r.id = any(v_forgotten);
  return null;
end;
$$;
comment on function private.forget_images() is
  'Row trigger on user_profiles: when somebody is erased, the images of repairs that name them go; these cannot be undone any more.';

create trigger t60_forget_images after update of erased_at on public.user_profiles
  for each row when (new.erased_at is not null and old.erased_at is null) execute function private.forget_images();

-- sql/90_operations/rpc/apply_fixes.sql

create function private.mend_faults(p_checks text[], p_modules text[], p_dry_run boolean) returns table (
  check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint
)
-- How a row is written as JSON depends on the session.
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
as $$
declare
  v_check public.integrity_checks;
  v_ids text[];
  v_changed integer;
begin
  perform private.require_permission('apply:fixes');
  for v_check in
    select c.* from private.chosen_checks(p_checks, p_modules) c where c.fix_description is not null
  loop
    execute format('select array_agg(distinct f.entity_id) from private.%I() f', 'check_' || v_check.name) into v_ids;
    continue when v_ids is null;
    check_name := v_check.name;
    description := v_check.fix_description;
    faults := cardinality(v_ids);
    remaining := faults;
    fix_id := null;
    if not p_dry_run then
      fix_id := private.open_fix(v_check.name, faults);
      execute format('select private.%I($1)', 'fix_' || v_check.name) using v_ids;
      execute format('select count(distinct f.entity_id) from private.%I() f where f.entity_id = any($1)', 'check_' || v_check.name)
      into remaining using v_ids;
      v_changed := private.close_fix(fix_id);
      update public.fix_runs r set fixed = mend_faults.faults - mend_faults.remaining, remaining = mend_faults.remaining, changed_rows = v_changed
      where r.id = mend_faults.fix_id;
      if v_changed = 0 then
        fix_id := null;
      end if;
    end if;
    fixed := faults - remaining;
    return next;
  end loop;
end;
$$;
comment on function private.mend_faults(text[], text[], boolean) is 'Runs the repairs of checks that find something, for a holder of apply:fixes, keeps images of every row that changes, and checks again.';

create function public.apply_fixes(
  p_checks text[] default null,
  p_modules text[] default null,
  p_dry_run boolean default false,
  p_idempotency_key text default null
) returns table (check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('checks', p_checks, 'modules', p_modules, 'dry_run', p_dry_run);
  v_answer jsonb := private.answered_before('apply_fixes', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := (select coalesce(jsonb_agg(to_jsonb(m)), '[]') from private.mend_faults(p_checks, p_modules, p_dry_run) m);
    perform private.remember_answer('apply_fixes', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.check_name, a.faults, a.fixed, a.remaining, a.description, a.fix_id
    from jsonb_to_recordset(v_answer)
      as a(check_name text, faults integer, fixed integer, remaining integer, description text, fix_id bigint);
end;
$$;
comment on function public.apply_fixes(text[], text[], boolean, text) is
  'Mends what the checks of these names and modules (all by default) find and can mend, in one transaction, and checks again: one row a check with how many rows were at fault, were fixed and remain, and the fix_id undo_fix() takes (null where no row changed). p_dry_run only says what would be done. Needs apply:fixes. Raises not_found for an unknown check or module.';

-- sql/90_operations/rpc/run_diagnostics.sql

-- 90_operations: know and mend. Modules register checks (public.integrity_checks) with a function
-- private.check_<name>() that finds, and where the repair is clear private.fix_<name>(text[]) that mends; the functions
-- here run them.

create function private.chosen_checks(p_checks text[], p_modules text[]) returns setof public.integrity_checks
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_unknown text := (
    select string_agg(u.name, ', ') from unnest(p_checks) as u(name)
    where not exists (select from public.integrity_checks c where c.name = u.name)
  );
begin
  if v_unknown is not null then
    perform private.fail('not_found', format('There is no check called %s', v_unknown), 'p_checks');
  end if;
  v_unknown := (
    select string_agg(u.name, ', ') from unnest(p_modules) as u(name)
    where not exists (select from public.integrity_checks c where c.module = u.name or substr(c.module, 4) = u.name)
  );
  if v_unknown is not null then
    perform private.fail('not_found', format('No module called %s has checks', v_unknown), 'p_modules');
  end if;
  return query
    select c.*
    from public.integrity_checks c
    where (c.is_active or c.name = any(p_checks))
      and (p_checks is null or c.name = any(p_checks))
      and (p_modules is null or c.module = any(p_modules) or substr(c.module, 4) = any(p_modules))
    order by array_position(array['critical', 'error', 'warning', 'info'], c.severity), c.module, c.name;
end;
$$;
comment on function private.chosen_checks(text[], text[]) is 'The checks of these names and modules (with or without their number), or all that are active.';

create function private.find_faults(p_checks text[], p_modules text[]) returns table (
  check_name text, module text, category text, severity text, entity text, entity_id text, message text, detail jsonb, can_be_fixed boolean
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_check public.integrity_checks;
begin
  perform private.require_permission('read:diagnostics');
  for v_check in select c.* from private.chosen_checks(p_checks, p_modules) c loop
    return query execute format(
      'select $1, $2, $3, $4, f.entity, f.entity_id, f.message, f.detail, $5 from private.%I() f order by f.entity, f.entity_id, f.message',
      'check_' || v_check.name)
    using v_check.name, v_check.module, v_check.category, v_check.severity, v_check.fix_description is not null;
  end loop;
end;
$$;
comment on function private.find_faults(text[], text[]) is 'Runs checks for a holder of read:diagnostics.';

create function public.run_diagnostics(p_checks text[] default null, p_modules text[] default null) returns table (
  check_name text, module text, category text, severity text, entity text, entity_id text, message text, detail jsonb, can_be_fixed boolean
)
language sql stable set search_path = ''
begin atomic
  select * from private.find_faults(p_checks, p_modules);
end;
comment on function public.run_diagnostics(text[], text[]) is
  'Runs the integrity checks of these names and modules (all by default) and returns one row a finding, gravest first; no rows is good news. Needs read:diagnostics. Raises not_found for an unknown check or module.';

-- sql/90_operations/rpc/undo_fix.sql

-- Undoing a repair puts rows back that no rule would let anybody write: that is what was found wrong with them. So the
-- tables' own triggers are switched off for the rows to be put back, in this transaction only, and nobody else writes
-- these tables meanwhile. What constraints refuse is refused here as well. Images are kept of the undo too, and it is
-- held against the repair: what came out otherwise, such as rows that went with one that was removed, is refused.

-- Whoever waits for a table while holding another may meet somebody who does it the other way round. So nobody waits
-- longer than it takes to be called a deadlock, and gives back what they hold before asking again.
create function private.lock_tables(p_tables regclass[]) returns void
language plpgsql volatile security definer set search_path = '' set lock_timeout = '500ms'
as $$
begin
  for attempt in 1..8 loop
    begin
      execute 'lock table ' || (select string_agg(t::text, ', ' order by t::text) from unnest(p_tables) t) || ' in share row exclusive mode';
      return;
    exception when lock_not_available then
      null;
    end;
  end loop;
  perform private.fail('in_progress', 'Others are writing these tables without a pause', p_details => jsonb_build_object('tables', p_tables),
    p_hint => 'Try again in a moment.');
end;
$$;
comment on function private.lock_tables(regclass[]) is 'Keeps everybody else from writing these tables until the transaction ends.';

create function private.key_matches(p_table regclass, p_row text, p_other text) returns text
language sql stable set search_path = ''
return (select string_agg(format('%s.%I = %s.%I', p_row, c, p_other, c), ' and ') from unnest(private.key_columns(p_table)) c);
comment on function private.key_matches(regclass, text, text) is 'The SQL condition that two rows of a table have the same key.';

create function private.column_list(p_table regclass, p_pattern text, p_changeable boolean) returns text
language sql stable set search_path = ''
begin atomic
  select string_agg(format(p_pattern, a.attname), ', ' order by a.attnum)
  from pg_catalog.pg_attribute a
  where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    and (not p_changeable or a.attidentity <> 'a' and a.attname <> all(private.key_columns(p_table)));
end;
comment on function private.column_list(regclass, text, boolean) is
  'The columns of a table that are not generated, each written as the pattern says; without the key where only those that change are wanted.';

create function private.moved_on(p_fix_id bigint, p_table regclass) returns setof jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  return query execute format($sql$
    select jsonb_build_object('table', c.table_name, 'key', c.row_key)
    from private.fix_changes c
    cross join lateral jsonb_populate_record(null::%1$s, c.row_key) k
    left join %1$s t on %2$s
    where c.fix_id = $1 and c.table_name = (select r.relname from pg_catalog.pg_class r where r.oid = $2) and to_jsonb(t) is distinct from c.after
    order by c.id
  $sql$, p_table, private.key_matches(p_table, 't', 'k')) using p_fix_id, p_table;
end;
$$;
comment on function private.moved_on(bigint, regclass) is 'The rows of a table that are not as this repair left them.';

create function private.remove_added(p_fix_id bigint, p_table regclass) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  execute format($sql$
    delete from %1$s t using private.fix_changes c
    cross join lateral jsonb_populate_record(null::%1$s, c.row_key) k
    where c.fix_id = $1 and c.table_name = (select r.relname from pg_catalog.pg_class r where r.oid = $2) and c.before is null and %2$s
  $sql$, p_table, private.key_matches(p_table, 't', 'k')) using p_fix_id, p_table;
end;
$$;
comment on function private.remove_added(bigint, regclass) is 'Removes the rows of a table that this repair added.';

create function private.put_back(p_fix_id bigint, p_table regclass) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  -- A table that is nothing but a key has nothing to change.
  if private.column_list(p_table, '%I', true) is not null then
    execute format($sql$
      update %1$s t set (%3$s) = row(%4$s)
      from private.fix_changes c
      cross join lateral jsonb_populate_record(null::%1$s, c.before) k
      where c.fix_id = $1 and c.table_name = (select r.relname from pg_catalog.pg_class r where r.oid = $2)
        and c.before is not null and c.after is not null and %2$s
    $sql$, p_table, private.key_matches(p_table, 't', 'k'), private.column_list(p_table, '%I', true), private.column_list(p_table, 'k.%I', true))
    using p_fix_id, p_table;
  end if;
  execute format($sql$
    insert into %1$s (%2$s) overriding system value
    select %3$s
    from private.fix_changes c
    cross join lateral jsonb_populate_record(null::%1$s, c.before) k
    where c.fix_id = $1 and c.table_name = (select r.relname from pg_catalog.pg_class r where r.oid = $2) and c.after is null
    order by c.id
  $sql$, p_table, private.column_list(p_table, '%I', false), private.column_list(p_table, 'k.%I', false)) using p_fix_id, p_table;
end;
$$;
comment on function private.put_back(bigint, regclass) is 'Writes the rows of a table that this repair changed or removed as they were before it.';

-- What refers comes after what it refers to.
create function private.in_order_of_reference(p_tables regclass[]) returns regclass[]
language sql stable set search_path = ''
begin atomic
  with recursive referring as (
    select distinct k.conrelid::regclass as child, k.confrelid::regclass as parent
    from pg_catalog.pg_constraint k
    where k.contype = 'f' and k.conrelid <> k.confrelid and k.conrelid = any(p_tables) and k.confrelid = any(p_tables)
  ),
  ranked as (
    select t.t, 0 as rank from unnest(p_tables) as t(t)
    union
    select f.child, r.rank + 1 from ranked r join referring f on f.parent = r.t where r.rank < cardinality(p_tables)
  )
  select array_agg(o.t order by o.rank, o.t::text) from (select r.t, max(r.rank) as rank from ranked r group by r.t) o;
end;
comment on function private.in_order_of_reference(regclass[]) is 'These tables, those that are referred to first.';

create function private.take_back(p_fix_id bigint, p_dry_run boolean)
returns table (undo_id bigint, table_name text, put_back integer, changed_back integer, removed integer)
-- How a row is written as JSON depends on the session.
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
as $$
declare
  v_fix public.fix_runs;
  v_undone_by public.fix_runs;
  v_tables regclass[];
  v_moved jsonb;
  v_triggers record;
  v_constraint text;
  v_refused_by text;
begin
  perform private.require_permission('apply:fixes');
  perform private.require_read_committed();
  select r.* into v_fix from public.fix_runs r where r.id = p_fix_id for no key update;
  if not found then
    perform private.fail('not_found', format('There is no fix %s', coalesce(p_fix_id::text, '')), 'p_fix_id', jsonb_build_object('fix_id', p_fix_id));
  end if;
  select r.* into v_undone_by from public.fix_runs r where r.undoes = v_fix.id;
  if v_undone_by.id is not null or v_fix.undoes is not null or v_fix.forgotten_at is not null then
    perform private.fail('illegal_transition',
      case when v_undone_by.id is not null then format('Fix %s was undone before', v_fix.id)
        when v_fix.undoes is not null then format('%s is an undo itself', v_fix.id)
        else format('Fix %s cannot be undone any more: somebody it concerned was erased, and its images with them', v_fix.id) end,
      'p_fix_id', jsonb_build_object('fix_id', v_fix.id, 'check_name', v_fix.check_name, 'undone_at', v_undone_by.applied_at),
      case when v_fix.forgotten_at is null then format('apply_fixes() mends %s again.', v_fix.check_name) end);
  end if;
  v_tables := private.in_order_of_reference(array(select distinct format('public.%I', c.table_name)::regclass from private.fix_changes c where c.fix_id = v_fix.id));
  if v_tables is null then
    perform private.fail('illegal_transition', format('Fix %s changed nothing that could be put back', v_fix.id), 'p_fix_id',
      jsonb_build_object('fix_id', v_fix.id, 'check_name', v_fix.check_name));
  end if;
  if not p_dry_run then
    perform private.lock_tables(v_tables);
  end if;
  select jsonb_agg(m.m) into v_moved from unnest(v_tables) t cross join lateral private.moved_on(v_fix.id, t) as m(m);
  if v_moved is not null then
    perform private.refuse_undo(v_fix, format('%s row(s) moved on since', jsonb_array_length(v_moved)), v_moved);
  end if;
  if not p_dry_run then
    undo_id := private.open_fix(v_fix.check_name, v_fix.faults, v_fix.id);
    for v_triggers in
      select string_agg(format('alter table %s disable trigger %I', t.tgrelid::regclass, t.tgname), '; ') as off,
        string_agg(format('alter table %s enable %s trigger %I', t.tgrelid::regclass, case t.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end, t.tgname), '; ') as on
      from pg_catalog.pg_trigger t
      where t.tgrelid = any(v_tables) and not t.tgisinternal and t.tgenabled <> 'D'
        and t.tgfoid <> 'private.keep_image()'::regprocedure
    loop
      execute coalesce(v_triggers.off, '');
      begin
        perform private.remove_added(v_fix.id, t.t) from (select * from unnest(v_tables) with ordinality as u(t, position) order by u.position desc offset 0) t;
        perform private.put_back(v_fix.id, t.t) from (select * from unnest(v_tables) with ordinality as u(t, position) order by u.position offset 0) t;
      exception when integrity_constraint_violation then
        get stacked diagnostics v_constraint = constraint_name, v_refused_by = table_name;
      end;
      execute coalesce(v_triggers.on, '');
    end loop;
    if v_constraint is not null then
      perform private.fail('illegal_transition',
        format('Fix %s cannot be undone: %s on %s refuses what was there before', v_fix.id, v_constraint, v_refused_by), 'p_fix_id',
        jsonb_build_object('fix_id', v_fix.id, 'check_name', v_fix.check_name, 'constraint', v_constraint, 'table', v_refused_by));
    end if;
    perform private.close_fix(undo_id);
    select jsonb_agg(jsonb_build_object('table', coalesce(f.table_name, u.table_name), 'key', coalesce(f.row_key, u.row_key))) into v_moved
    from (select c.* from private.fix_changes c where c.fix_id = v_fix.id) f
    full join (select c.* from private.fix_changes c where c.fix_id = undo_id) u on u.table_name = f.table_name and u.row_key = f.row_key
    where (f.before, f.after) is distinct from (u.after, u.before);
    if v_moved is not null then
      perform private.refuse_undo(v_fix, format('%s other row(s) depend on what it did', jsonb_array_length(v_moved)), v_moved);
    end if;
    update public.fix_runs r set remaining = v_fix.faults, changed_rows = (select count(*) from private.fix_changes c where c.fix_id = undo_id)
    where r.id = undo_id;
  end if;
  return query
    select undo_id, c.table_name, (count(*) filter (where c.after is null))::integer,
      (count(*) filter (where c.before is not null and c.after is not null))::integer, (count(*) filter (where c.before is null))::integer
    from private.fix_changes c
    where c.fix_id = v_fix.id
    group by c.table_name
    order by c.table_name;
end;
$$;
comment on function private.take_back(bigint, boolean) is 'Undoes a repair for a holder of apply:fixes.';

create function private.refuse_undo(p_fix public.fix_runs, p_why text, p_rows jsonb) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.fail('illegal_transition', format('Fix %s cannot be undone: %s', p_fix.id, p_why), 'p_fix_id',
    jsonb_build_object('fix_id', p_fix.id, 'check_name', p_fix.check_name, 'count', jsonb_array_length(p_rows),
      'rows', jsonb_path_query_array(p_rows, '$[0 to 99]')),
    'The rows are named in details; later fixes that changed them too are undone first.');
end;
$$;
comment on function private.refuse_undo(public.fix_runs, text, jsonb) is 'Raises illegal_transition, naming the rows (the first hundred) that stand in the way.';

create function public.undo_fix(p_fix_id bigint, p_dry_run boolean default false, p_idempotency_key text default null)
returns table (undo_id bigint, table_name text, put_back integer, changed_back integer, removed integer)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('fix_id', p_fix_id, 'dry_run', p_dry_run);
  v_answer jsonb := private.answered_before('undo_fix', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from private.take_back(p_fix_id, coalesce(p_dry_run, false)) t);
    perform private.remember_answer('undo_fix', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.undo_id, a.table_name, a.put_back, a.changed_back, a.removed
    from jsonb_to_recordset(v_answer) as a(undo_id bigint, table_name text, put_back integer, changed_back integer, removed integer);
end;
$$;
comment on function public.undo_fix(bigint, boolean, text) is
  'Puts every row a fix changed back as it was before, those that followed through triggers included, all or nothing: one row a table with how many rows were put back, changed back and removed. p_dry_run only says what would be done. The undo is a run of its own in fix_runs; what it brings back is found by diagnosis again. Needs apply:fixes. Raises not_found; illegal_transition when rows moved on since or others depend on them (details name them), a constraint refuses what was there, it was undone before, or its images are gone; in_progress while others keep writing the tables.';

-- sql/90_operations/policies.sql

alter table public.fix_runs enable row level security;

-- The images are for undo_fix() only: they hold what their rows hold, of everybody.
grant select on public.fix_runs to authenticated, service_role;
create policy "holders of read:diagnostics see what was repaired" on public.fix_runs for select to authenticated
  using ((select private.has_permission('read:diagnostics')));

grant execute on function public.run_diagnostics(text[], text[]), public.apply_fixes(text[], text[], boolean, text),
  public.undo_fix(bigint, boolean, text) to authenticated, service_role;
grant execute on function private.find_faults(text[], text[]), private.mend_faults(text[], text[], boolean), private.take_back(bigint, boolean)
  to authenticated, service_role;

-- sql/90_operations/checks/tables_without_images.sql

create function private.check_tables_without_images() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_class', t.t::text, format('Repairs that change %s could not be undone: its trigger for images is missing or disabled', t.t), '{}'::jsonb
  from private.tables_without_images() as t(t);
end;
comment on function private.check_tables_without_images() is 'Tables in public whose changes by a repair leave no image.';

-- sql/90_operations/reference.sql

-- Rows this module ships. admin holds every permission; nobody else repairs.
insert into public.permissions (name, module, description) values
  ('apply:fixes', '90_operations', 'Repair what diagnosis found.')
on conflict (name) do update set module = excluded.module, description = excluded.description
where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description);

insert into public.integrity_checks (name, module, category, severity, description) values
  ('tables_without_images', '90_operations', 'schema', 'error', 'Tables whose changes by a repair leave no image, so that it could not be undone.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity, description = excluded.description;

-- Where this module keeps what belongs to a person. Images go when somebody is erased: see private.forget_images().
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.fix_runs', 'applied_by', 'user_id', '90_operations', '{id,check_name,applied_at}', 'keep', '{}',
    'Who repaired what stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
