-- Claiming messages and reporting what became of them. Who may is for 10_people to say.

create function private.channel_is_on(p_channel text) returns boolean
language sql stable set search_path = ''
return coalesce(private.setting_boolean('send_' || p_channel), false);
comment on function private.channel_is_on(text) is 'Whether the organisation sends through this channel.';

-- Twice as long each time, at most a given time, and half as much either way: who failed together does not come back together.
create function private.spread_wait(p_first_seconds integer, p_times integer, p_most_seconds integer) returns interval
language sql volatile set search_path = ''
return make_interval(secs => least(p_first_seconds * 2.0 ^ (least(p_times, 30) - 1), p_most_seconds) * (0.5 + random()));
comment on function private.spread_wait(integer, integer, integer) is
  'How long to wait after so many times in a row: the first wait doubled each time, at most the third argument, times 0.5 to 1.5 by chance.';

-- Two claimers never get the same message: what one has locked the other skips, and what it has changed since the other
-- began to look no longer fits. Where a breaker is not closed, one message tries; and of two claimers one gets to say so.
create function private.claim_messages(p_channels text[], p_limit integer, p_lease_seconds integer) returns setof public.outbox
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_attempts constant integer := private.setting_integer('outbox_attempts');
  v_until constant timestamptz := private.now() + make_interval(secs => p_lease_seconds);
  v_left integer := p_limit;
  v_take integer;
  v_taken integer;
  v_provider public.outbox_providers;
begin
  for v_provider in
    select p.* from public.outbox_providers p
    where p.channel in (select c.c from unnest(p_channels) as c(c) where private.channel_is_on(c.c))
      and coalesce(p.retry_at <= private.now(), true)
      and exists (
        select from public.outbox o
        where o.provider = p.name and o.status in ('queued', 'sending') and coalesce(o.leased_until, o.next_attempt_at) <= private.now()
      )
    order by random()
  loop
    exit when v_left <= 0;
    v_take := v_left;
    if v_provider.state <> 'closed' then
      -- Nobody waits: two that hold one breaker each would wait for the other's.
      update public.outbox_providers p set state = 'half_open', retry_at = v_until, changed_at = private.now()
      where p.name in (
        select o.name from public.outbox_providers o
        where o.name = v_provider.name and o.state <> 'closed' and o.retry_at <= private.now()
        for no key update skip locked
      );
      continue when not found;
      v_take := 1;
    end if;
    return query
      with due as (
        select o.id
        from public.outbox o
        where o.provider = v_provider.name and o.status in ('queued', 'sending') and coalesce(o.leased_until, o.next_attempt_at) <= private.now()
          and o.attempts < v_attempts and o.expires_at > private.now()
        order by coalesce(o.leased_until, o.next_attempt_at)
        limit v_take
        for update skip locked
      )
      update public.outbox o
      set status = 'sending', attempts = o.attempts + 1, lease = gen_random_uuid(), leased_until = v_until
      from due d
      where o.id = d.id
      returning o.*;
    get diagnostics v_taken = row_count;
    v_left := v_left - v_taken;
  end loop;
end;
$$;
comment on function private.claim_messages(text[], integer, integer) is
  'Hands out messages of these channels that are due, at most so many, each under a lease of so many seconds.';

-- In most cases there is nothing to write: many report at once, and the row is one.
create function private.provider_answered(p_provider text) returns void
language sql volatile security definer set search_path = ''
begin atomic
  update public.outbox_providers p
  set state = 'closed', failures = 0, openings = 0, retry_at = case when p.state = 'closed' then p.retry_at end, changed_at = private.now()
  where p.name = p_provider and (p.state <> 'closed' or p.failures > 0);
end;
comment on function private.provider_answered(text) is 'A provider works: closes its breaker.';

create function private.provider_failed(p_provider text, p_error text, p_retry_after integer) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_provider public.outbox_providers;
begin
  select p.* into v_provider from public.outbox_providers p where p.name = p_provider for no key update;
  v_provider.failures := v_provider.failures + 1;
  -- Those still on their way when it opened tell nothing new.
  if v_provider.state = 'half_open' or v_provider.state = 'closed' and v_provider.failures >= private.setting_integer('outbox_breaker_failures') then
    v_provider.state := 'open';
    v_provider.openings := v_provider.openings + 1;
    v_provider.retry_at := private.now() + greatest(make_interval(secs => p_retry_after), private.spread_wait(
      private.setting_integer('outbox_breaker_seconds'), v_provider.openings, private.setting_integer('outbox_longest_wait_seconds')));
  end if;
  update public.outbox_providers p
  set state = v_provider.state, failures = v_provider.failures, openings = v_provider.openings, retry_at = v_provider.retry_at,
    last_error = p_error, changed_at = private.now()
  where p.name = p_provider;
end;
$$;
comment on function private.provider_failed(text, text, integer) is
  'Counts a failure of a provider: opens its breaker after outbox_breaker_failures in a row, or when the one that tried failed.';

create function private.refuse_stale_lease(p_id uuid, p_lease uuid) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_message public.outbox;
begin
  select o.* into v_message from public.outbox o where o.id = p_id;
  if not found then
    perform private.fail('not_found', 'There is no such message', 'p_id', jsonb_build_object('id', p_id));
  end if;
  perform private.fail('illegal_transition',
    case when v_message.lease is distinct from p_lease then 'Somebody else holds this message now' else format('This message is %s', v_message.status) end,
    'p_lease', jsonb_build_object('id', p_id, 'status', v_message.status),
    'Who claimed it last reports; the provider knows the message by its id.');
end;
$$;
comment on function private.refuse_stale_lease(uuid, uuid) is 'Says why a report on a message does not count.';

-- Who got no answer reports again; the lease says that it is the same report.
create function private.complete_message(p_id uuid, p_lease uuid, p_provider_message_id text) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_provider text;
begin
  update public.outbox o
  set status = 'sent', sent_at = private.now(), leased_until = null, provider_message_id = left(private.clean_text(p_provider_message_id), 300)
  where o.id = p_id and o.lease = p_lease and o.status = 'sending'
  returning o.provider into v_provider;
  if found then
    perform private.provider_answered(v_provider);
  elsif not exists (select from public.outbox o where o.id = p_id and o.lease = p_lease and o.status = 'sent') then
    perform private.refuse_stale_lease(p_id, p_lease);
  end if;
end;
$$;
comment on function private.complete_message(uuid, uuid, text) is 'A message was sent, says who holds its lease; saying so again changes nothing.';

create function private.fail_message(p_id uuid, p_lease uuid, p_error text, p_reason text, p_retry_after integer) returns public.outbox
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_error constant text := coalesce(left(private.clean_text(p_error), 1000), 'It did not say why.');
  v_message public.outbox;
  v_dead boolean;
begin
  select o.* into v_message from public.outbox o where o.id = p_id and o.lease = p_lease for no key update;
  if v_message.status in ('queued', 'failed') then
    return v_message;
  elsif v_message.status is distinct from 'sending' then
    perform private.refuse_stale_lease(p_id, p_lease);
  end if;
  v_dead := p_reason = 'permanent' or p_reason = 'transient' and v_message.attempts >= private.setting_integer('outbox_attempts');
  update public.outbox o
  set status = case when v_dead then 'failed' else 'queued' end, failed_at = case when v_dead then private.now() end, leased_until = null, last_error = v_error,
    attempts = case when p_reason = 'throttled' then o.attempts - 1 else o.attempts end,
    next_attempt_at = case when v_dead then o.next_attempt_at else private.now() + greatest(make_interval(secs => p_retry_after), private.spread_wait(
      private.setting_integer('outbox_retry_seconds'), o.attempts, private.setting_integer('outbox_longest_wait_seconds'))) end
  where o.id = p_id
  returning o.* into v_message;
  if p_reason = 'permanent' then
    perform private.provider_answered(v_message.provider);
  elsif p_reason = 'transient' then
    perform private.provider_failed(v_message.provider, v_error, p_retry_after);
  else
    -- Whoever was too fast is too fast with the next message as well.
    update public.outbox_providers p
    set retry_at = greatest(p.retry_at, private.now() + make_interval(secs => coalesce(p_retry_after, private.setting_integer('outbox_retry_seconds')))),
      last_error = v_error, changed_at = private.now()
    where p.name = v_message.provider;
  end if;
  return v_message;
end;
$$;
comment on function private.fail_message(uuid, uuid, text, text, integer) is
  'A message was not sent, says who holds its lease: throttled and transient are tried again later, permanent and the last attempt are dead letters; saying so again changes nothing.';

create function private.requeue_messages(p_ids uuid[]) returns uuid[]
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_done uuid[];
begin
  with chosen as (
    select o.id from public.outbox o where o.id = any(p_ids) and o.status = 'failed' order by o.id for no key update
  ),
  done as (
    update public.outbox o
    set status = 'queued', attempts = 0, lease = null, failed_at = null, next_attempt_at = private.now(),
      expires_at = greatest(o.expires_at, private.now() + make_interval(hours => private.setting_integer('outbox_hours')))
    from chosen c
    where o.id = c.id
    returning o.id
  )
  select coalesce(array_agg(d.id order by d.id), '{}') into v_done from done d;
  return v_done;
end;
$$;
comment on function private.requeue_messages(uuid[]) is 'Queues dead letters again, as if they had never been tried; gives the ids of those that were dead.';
