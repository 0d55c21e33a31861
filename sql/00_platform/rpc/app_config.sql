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
