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
  execute format(
    'select coalesce(jsonb_agg(jsonb_strip_nulls(to_jsonb(e)) order by e.uid, e.replaces nulls first), ''[]'')
    from (select * from private.feed_rule_events($1, $2, $3)%s limit $4) e',
    (
      select string_agg(format(' union all select * from private.%I($1, $2)', 'feed_' || s.name || '_events'), '' order by s.name)
      from private.feed_sources s
    ))
  into v_events
  using v_feed.resource_id, v_from, v_until, v_limit + 1;
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
  'What the calendar with this secret shows, for the Edge Function calendar-feed to write as iCalendar: name, the organisation''s time_zone, zones (their offsets and changes) and events (classes, weekly rules, meetings, and what other modules add; from the first of the month 90 days ago on; no customers, notes or pay). Anybody may ask: the secret is the permission. Raises not_found when it is unknown or revoked, or its maker may no longer see what it shows; limit_exceeded when it holds too much.';
