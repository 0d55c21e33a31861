-- From what people are told to what leaves the house.

create function private.know_recipient() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  new.profile_id := case new.channel
      when 'email' then (select p.id from public.user_profiles p where p.email = new.recipient order by p.created_at, p.id limit 1)
      when 'webhook' then null
      else (select p.id from public.user_profiles p where p.phone = new.recipient order by p.created_at, p.id limit 1)
    end;
  return new;
end;
$$;
comment on function private.know_recipient() is 'Row trigger: a message to an address of somebody here is that person''s.';

create trigger t20_know_recipient before insert on public.outbox
  for each row when (new.profile_id is null) execute function private.know_recipient();

-- What people typed into a name must not stop what the notification tells about.
create function private.clean_notification() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
  new.title := left(btrim(regexp_replace(new.title, '[[:cntrl:][:space:]]+', ' ', 'g')), 300);
  new.body := left(private.clean_text(new.body), 20000);
  return new;
end;
$$;
comment on function private.clean_notification() is 'Row trigger: titles are one line, and neither title nor body too long.';

create trigger t10_clean before insert on public.notifications
  for each row execute function private.clean_notification();

create function private.notification_keeps_its_words() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.fail('illegal_transition', 'What somebody was told is not told otherwise afterwards', 'body', jsonb_build_object('id', old.id));
  return null;
end;
$$;
comment on function private.notification_keeps_its_words() is 'Row trigger: of a notification only read_at changes.';

create trigger t10_keep_words before update on public.notifications
  for each row when ((old.id, old.recipient_id, old.title, old.body, old.source_table, old.source_id, old.created_at)
    is distinct from (new.id, new.recipient_id, new.title, new.body, new.source_table, new.source_id, new.created_at))
  execute function private.notification_keeps_its_words();

-- Only channels that are on: what nobody sends need not wait. Nobody writes to who left.
create function private.queue_notifications() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_channels constant text[] := array(select c.c from unnest(array['email', 'sms', 'whatsapp']) as c(c) where private.channel_is_on(c.c));
begin
  if v_channels = '{}' then
    return null;
  end if;
  insert into public.outbox (channel, recipient, subject, body, kind, dedupe_key, profile_id)
  select m.channel, m.address, m.title,
    m.body || E'\n\n' || coalesce(private.clean_text(private.setting_text('organisation_name')), '-'), m.kind, m.dedupe_key, m.profile_id
  from (
    select c.c as channel, case c.c when 'email' then p.email else p.phone end as address, n.title, n.body, n.kind,
      format('notification %s %s', n.id, c.c) as dedupe_key, p.id as profile_id
    from new_rows n
    join public.user_profiles p on p.id = n.recipient_id and p.is_active
    join public.notification_kinds k on k.name = n.kind
    cross join unnest(v_channels) as c(c)
    left join public.notification_preferences w on w.profile_id = p.id and w.kind = n.kind and w.channel = c.c
    where coalesce(w.is_wanted, c.c = any(k.default_channels))
  ) m
  where m.address is not null;
  return null;
end;
$$;
comment on function private.queue_notifications() is 'Statement trigger: queues what people are told to the outbox, by their preferences.';

create trigger t50_queue after insert on public.notifications
  referencing new table as new_rows for each statement execute function private.queue_notifications();

create function private.mark_notifications(p_ids uuid[], p_is_read boolean) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_profile_id constant uuid := private.current_profile_id();
  v_marked integer;
begin
  if v_profile_id is null then
    perform private.fail('forbidden', 'Only somebody who is signed in has notifications');
  end if;
  -- Two calls at once lock in one order.
  with chosen as (
    select n.id from public.notifications n
    where n.recipient_id = v_profile_id and (p_ids is null or n.id = any(p_ids)) and (n.read_at is null) = p_is_read
    order by n.id for no key update
  )
  update public.notifications n set read_at = case when p_is_read then private.now() end from chosen c where n.id = c.id;
  get diagnostics v_marked = row_count;
  return v_marked;
end;
$$;
comment on function private.mark_notifications(uuid[], boolean) is 'Marks the caller''s notifications as read or unread: these, or all.';

create function private.change_preferences(p_preferences jsonb) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_profile_id constant uuid := private.current_profile_id();
begin
  if v_profile_id is null then
    perform private.fail('forbidden', 'Only somebody who is signed in has preferences');
  end if;
  if jsonb_typeof(p_preferences) is distinct from 'array' or jsonb_array_length(p_preferences) > 1000 then
    perform private.fail('invalid_input', 'A list of at most 1000 {"kind", "channel", "is_wanted"}', 'p_preferences');
  end if;
  perform private.fail_input((
    select jsonb_agg(jsonb_build_object('field', format('p_preferences[%s]', e.position - 1), 'message', f.fault) order by e.position)
    from jsonb_array_elements(p_preferences) with ordinality as e(value, position)
    cross join lateral (
      select case
          when jsonb_typeof(e.value) <> 'object' then 'Not an object'
          when not exists (select from public.notification_kinds k where k.name = e.value ->> 'kind') then 'There is no such kind'
          when coalesce(e.value ->> 'channel', '') not in ('email', 'sms', 'whatsapp') then 'A channel is email, sms or whatsapp'
          when coalesce(jsonb_typeof(e.value -> 'is_wanted'), '') not in ('boolean', 'null') then 'is_wanted is true, false, or null for the default'
        end as fault
    ) f
    where f.fault is not null
  ));
  -- Of several about the same the last counts.
  with asked as (
    select distinct on (e.value ->> 'kind', e.value ->> 'channel')
      e.value ->> 'kind' as kind, e.value ->> 'channel' as channel, (e.value ->> 'is_wanted')::boolean as is_wanted
    from jsonb_array_elements(p_preferences) with ordinality as e(value, position)
    order by e.value ->> 'kind', e.value ->> 'channel', e.position desc
  ),
  gone as (
    delete from public.notification_preferences n using asked a
    where n.profile_id = v_profile_id and n.kind = a.kind and n.channel = a.channel and a.is_wanted is null
  )
  insert into public.notification_preferences as n (profile_id, kind, channel, is_wanted)
  select v_profile_id, a.kind, a.channel, a.is_wanted from asked a where a.is_wanted is not null
  order by a.kind, a.channel
  on conflict (profile_id, kind, channel) do update set is_wanted = excluded.is_wanted, updated_at = private.now()
  where n.is_wanted <> excluded.is_wanted;
end;
$$;
comment on function private.change_preferences(jsonb) is 'Takes over what the caller wants to hear of, and through what.';

create function private.forget_old_notifications() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  delete from public.notifications n where n.created_at < private.now() - make_interval(days => private.setting_integer('notification_days'));
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.forget_old_notifications() is 'Job: deletes notifications after notification_days; returns how many.';
