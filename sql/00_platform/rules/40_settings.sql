-- Settings: read fast, validated on the way in.

create view private.settings_in_force as
select s.key, coalesce(s.value, s.default_value) as value from public.settings s;
comment on view private.settings_in_force is 'Every setting''s value, or its default: for statements that would otherwise call a function for it.';

create function private.setting(p_key text) returns jsonb
language sql stable security definer set search_path = ''
return (select coalesce(s.value, s.default_value) from public.settings s where s.key = p_key);
comment on function private.setting(text) is 'A setting''s value, or its default; null when there is no such setting.';

create function private.setting_text(p_key text) returns text
language plpgsql stable security definer set search_path = ''
as $$
begin
  return (select coalesce(s.value, s.default_value) #>> '{}' from public.settings s where s.key = p_key);
end;
$$;
comment on function private.setting_text(text) is 'A setting as text.';

create function private.setting_integer(p_key text) returns integer
language plpgsql stable security definer set search_path = ''
as $$
begin
  return (select (coalesce(s.value, s.default_value) #>> '{}')::integer from public.settings s where s.key = p_key);
end;
$$;
comment on function private.setting_integer(text) is 'A setting as a whole number.';

create function private.setting_boolean(p_key text) returns boolean
language plpgsql stable security definer set search_path = ''
as $$
begin
  return (select (coalesce(s.value, s.default_value) #>> '{}')::boolean from public.settings s where s.key = p_key);
end;
$$;
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
