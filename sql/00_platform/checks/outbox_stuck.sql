-- A provider that is down is no fault of ours as long as messages wait; that they wait for long somebody has to know.
create function private.check_outbox_stuck() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'outbox_providers', w.provider,
    format('%s message(s) wait for %s since %s%s', w.waiting, w.provider, to_char(w.since at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'),
      case when p.state is null then ', of which no breaker is known' when p.state <> 'closed' then ': the provider fails' else ': nothing dispatches them' end),
    jsonb_build_object('waiting', w.waiting, 'since', w.since, 'state', p.state, 'retry_at', p.retry_at, 'failures', p.failures)
  from (
    select o.provider, o.channel, count(*) as waiting, min(coalesce(o.leased_until, o.next_attempt_at)) as since
    from public.outbox o
    where o.status in ('queued', 'sending')
      and coalesce(o.leased_until, o.next_attempt_at) < private.now() - make_interval(mins => private.setting_integer('outbox_stuck_minutes'))
    group by o.provider, o.channel
  ) w
  left join public.outbox_providers p on p.name = w.provider
  where private.channel_is_on(w.channel);
end;
comment on function private.check_outbox_stuck() is 'Finds providers whose messages are due for longer than outbox_stuck_minutes.';
