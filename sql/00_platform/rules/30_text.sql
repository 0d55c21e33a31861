-- What counts as well-formed text.

create function private.clean_text(p_text text) returns text
language sql immutable set search_path = ''
return nullif(btrim(regexp_replace(p_text, '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]', '', 'g'), E' \t\r\n'), '');
comment on function private.clean_text(text) is 'Trimmed, without control characters (line breaks and tabs within it stay); empty becomes null.';

-- How long the part before the @ may be is asked by itself: counted in the pattern it takes five times as long.
create function private.is_email(p_text text) returns boolean
language plpgsql immutable set search_path = ''
as $$
begin
  return p_text = lower(p_text)
    and length(p_text) <= 254
    and strpos(p_text, '@') <= 65
    and p_text ~ '^[^\s@<>(),;:"\[\]\\]+@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$';
end;
$$;
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
