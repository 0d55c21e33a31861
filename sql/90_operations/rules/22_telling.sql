-- Who is told of alerts: whoever holds the role the alert is for, and the addresses of the setting alert_recipients. Those
-- below alert_tell_from are only listed. One that stays open only counts and is told once, unless it gets worse.

create function private.severity_rank(p_severity text) returns integer
language sql immutable set search_path = ''
return array_position(array['critical', 'error', 'warning', 'info'], p_severity);
comment on function private.severity_rank(text) is 'From 1 for critical to 4 for info.';

create function private.addresses_in(p_text text) returns text[]
language sql immutable set search_path = ''
return array(select distinct a.a from unnest(regexp_split_to_array(lower(coalesce(p_text, '')), '[\s,;]+')) as a(a) where a.a <> '' order by a.a);
comment on function private.addresses_in(text) is 'The addresses in a text, between which are commas, semicolons or spaces.';

create function private.check_alert_recipients() returns trigger
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform private.fail_input((
    select jsonb_agg(jsonb_build_object('field', 'value', 'message', format('%s is no email address', a.a)))
    from unnest(private.addresses_in(coalesce(new.value, new.default_value) #>> '{}')) as a(a)
    where not private.is_email(a.a)
  ));
  return new;
end;
$$;
comment on function private.check_alert_recipients() is 'Row trigger on settings: alerts can be sent to these addresses.';

create trigger t30_check_alert_recipients before insert or update on public.settings
  for each row when (new.key = 'alert_recipients') execute function private.check_alert_recipients();

create function private.tell_of_alerts() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_alerts bigint[];
begin
  if tg_op = 'INSERT' then
    v_alerts := array(select n.id from new_rows n);
  else
    v_alerts := array(
      select n.id from new_rows n join old_rows o on o.id = n.id
      where n.resolved_at is null and private.severity_rank(n.severity) < private.severity_rank(o.severity)
    );
  end if;
  v_alerts := array(
    select a.id from public.alerts a
    where a.id = any(v_alerts) and private.severity_rank(a.severity) <= private.severity_rank(private.setting_text('alert_tell_from'))
  );
  if v_alerts = '{}' then
    return null;
  end if;
  perform private.tell_people(array(
    select distinct row(p.id, 'alert', initcap(a.severity) || ': ' || left(a.message, 250), '%s alerts', a.message, a.raised_at, 'alerts', a.id::text)::private.news
    from public.alerts a
    join public.user_roles r on r.role_name = coalesce(a.details ->> 'notify_role', 'admin')
    join public.user_profiles p on p.user_id = r.user_id and p.is_active
    where a.id = any(v_alerts)
  ));
  if private.channel_is_on('email') then
    insert into public.outbox (channel, recipient, subject, body, kind, dedupe_key)
    select 'email', t.address, initcap(a.severity) || ': ' || left(a.message, 250), a.message, 'alert', format('alert %s %s %s', a.id, a.severity, t.address)
    from public.alerts a
    cross join unnest(private.addresses_in(private.setting_text('alert_recipients'))) as t(address)
    where a.id = any(v_alerts)
    order by a.id, t.address
    on conflict (dedupe_key) do nothing;
  end if;
  return null;
end;
$$;
comment on function private.tell_of_alerts() is 'Statement trigger: tells those an alert is for of new alerts, and of those that got worse.';

create trigger t50_tell_insert after insert on public.alerts
  referencing new table as new_rows for each statement execute function private.tell_of_alerts();
create trigger t50_tell_update after update on public.alerts
  referencing old table as old_rows new table as new_rows for each statement execute function private.tell_of_alerts();
