-- Raising and resolving alerts. Whoever listens on the channel alerts hears of new ones; what was raised stands in the
-- table whether anybody listened or not.

create function private.raise_alert(p_kind text, p_subject text, p_severity text, p_message text, p_details jsonb default '{}') returns bigint
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_alert public.alerts;
begin
  insert into public.alerts as a (kind, subject, severity, message, details)
  values (p_kind, coalesce(p_subject, ''), p_severity, left(private.clean_text(p_message), 1000), coalesce(p_details, '{}'))
  on conflict (kind, subject) where resolved_at is null do update
  set severity = excluded.severity, message = excluded.message, details = excluded.details, times = a.times + 1, last_raised_at = private.now()
  returning a.* into v_alert;
  if v_alert.times = 1 then
    perform pg_catalog.pg_notify('alerts', v_alert.id::text);
  end if;
  return v_alert.id;
end;
$$;
comment on function private.raise_alert(text, text, text, text, jsonb) is
  'Raises an alert, or counts once more the one that is open for this kind and subject; returns its id. New ones are announced on the channel alerts.';

create function private.clear_alert(p_kind text, p_subject text) returns boolean
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.alerts a set resolved_at = private.now()
  where a.kind = p_kind and a.subject = coalesce(p_subject, '') and a.resolved_at is null;
  return found;
end;
$$;
comment on function private.clear_alert(text, text) is 'Resolves the open alert of a kind and subject, since all is well again; returns whether there was one.';
