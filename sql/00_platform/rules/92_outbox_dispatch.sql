-- What gets the dispatcher going, and what becomes of messages nobody will send.

-- A database cannot send, it can only wake who does. Where pg_net is there, and Vault knows dispatch_url and
-- dispatch_secret, it is woken from here; elsewhere by who runs the jobs, or by any cron (docs/messages.md). Losing a call
-- costs nothing: the outbox is the truth, and the next minute calls again.
create function private.wake_dispatcher() returns boolean
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_secrets jsonb;
begin
  if not exists (
    select from pg_catalog.pg_proc f join pg_catalog.pg_namespace n on n.oid = f.pronamespace
    where n.nspname = 'net' and f.proname = 'http_post' and has_schema_privilege(n.oid, 'usage') and has_function_privilege(f.oid, 'execute')
  ) or not exists (
    select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'vault' and c.relname = 'decrypted_secrets' and has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
  ) then
    return false;
  end if;
  -- Neither schema need be there, so both are named at the last moment.
  execute format($sql$select jsonb_object_agg(s.name, s.decrypted_secret) from %I.decrypted_secrets s where s.name in ('dispatch_url', 'dispatch_secret')$sql$, 'vault')
  into v_secrets;
  if not coalesce(v_secrets ?& array['dispatch_url', 'dispatch_secret'], false) then
    return false;
  end if;
  execute format('select %I.http_post(url := $1, headers := $2, timeout_milliseconds := 5000)', 'net')
  using v_secrets ->> 'dispatch_url',
    jsonb_build_object('Content-Type', 'application/json', 'x-dispatch-secret', v_secrets ->> 'dispatch_secret');
  return true;
end;
$$;
comment on function private.wake_dispatcher() is 'Calls the dispatcher through pg_net, where that and Vault''s dispatch_url and dispatch_secret are there; returns whether it did.';

create function private.bury_messages() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_buried integer;
begin
  with dead as (
    select o.id, o.expires_at <= private.now() as is_late
    from public.outbox o
    where o.status in ('queued', 'sending') and coalesce(o.leased_until, o.next_attempt_at) <= private.now()
      and (o.expires_at <= private.now() or o.attempts >= private.setting_integer('outbox_attempts'))
      and private.channel_is_on(o.channel)
    order by o.id
    for update skip locked
  )
  update public.outbox o
  set status = 'failed', failed_at = private.now(), leased_until = null,
    last_error = case
      when not d.is_late then coalesce(case when o.status = 'queued' then o.last_error end, 'Whoever sent it last never said what became of it.')
      else left(concat_ws(' ', 'It was not sent before it was too late.', o.last_error), 1000) end
  from dead d
  where o.id = d.id;
  get diagnostics v_buried = row_count;
  return v_buried;
end;
$$;
comment on function private.bury_messages() is
  'Makes dead letters of messages that are too late, or whose last attempt nobody reported on; those of channels that are switched off just wait.';

create function private.dispatch_outbox() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_waiting integer;
begin
  perform private.bury_messages();
  select count(*) into v_waiting
  from (
    select from public.outbox_providers p
    join public.outbox o on o.provider = p.name
    where coalesce(p.retry_at <= private.now(), true) and private.channel_is_on(p.channel)
      and o.status in ('queued', 'sending') and coalesce(o.leased_until, o.next_attempt_at) <= private.now()
    limit 1000
  ) due;
  if v_waiting > 0 then
    perform private.wake_dispatcher();
  end if;
  return v_waiting;
end;
$$;
comment on function private.dispatch_outbox() is
  'Job: buries what will not be sent and wakes the dispatcher when something is due; returns how many messages are due, counting to 1000.';

-- Dead letters stay until somebody decides. What waited for a channel that is off goes once it is too late.
create function private.forget_old_messages() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_sent integer;
  v_unsent integer;
begin
  delete from public.outbox o
  where o.status = 'sent' and o.sent_at < private.now() - make_interval(days => private.setting_integer('outbox_sent_days'));
  get diagnostics v_sent = row_count;
  delete from public.outbox o
  where o.status = 'queued' and o.expires_at < private.now() and not private.channel_is_on(o.channel);
  get diagnostics v_unsent = row_count;
  return v_sent + v_unsent;
end;
$$;
comment on function private.forget_old_messages() is
  'Job: deletes what was sent outbox_sent_days ago, and what waited too long for a channel that is switched off; returns how many.';
