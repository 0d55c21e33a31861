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
