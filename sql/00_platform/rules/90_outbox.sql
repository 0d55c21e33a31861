-- What holds for every message, whoever writes it.

alter table public.outbox add constraint recipient_fits_the_channel check (
  case channel
    when 'email' then private.is_email(recipient)
    when 'webhook' then recipient ~ '^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?]\S*)?$' and length(recipient) <= 2000
    else private.is_phone(recipient)
  end
);

create function private.begin_message() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
  if (new.status, new.attempts) <> ('queued', 0)
    or num_nonnulls(new.lease, new.leased_until, new.provider_message_id, new.last_error, new.sent_at, new.failed_at) > 0 then
    perform private.fail('illegal_transition', 'A message begins queued', 'status',
      p_hint => 'Give channel, recipient, subject, body, kind and dedupe_key; the rest follows.');
  end if;
  new.created_at := private.now();
  new.next_attempt_at := coalesce(new.next_attempt_at, new.created_at);
  new.expires_at := coalesce(new.expires_at, new.next_attempt_at + make_interval(hours => private.setting_integer('outbox_hours')));
  -- A line break that somebody typed into a name must not stop what the message tells about.
  new.subject := left(regexp_replace(new.subject, '[[:cntrl:][:space:]]+', ' ', 'g'), 300);
  return new;
end;
$$;
comment on function private.begin_message() is 'Row trigger: a message begins queued, now, with a subject of one line.';

create trigger t10_begin before insert on public.outbox
  for each row execute function private.begin_message();

-- Claiming goes by providers. Usually it is there, and nothing is written.
create function private.know_providers() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into public.outbox_providers (name, channel, changed_at)
  select distinct n.provider, n.channel, private.now() from new_rows n
  where not exists (select from public.outbox_providers p where p.name = n.provider)
  order by 1
  on conflict (name) do nothing;
  return null;
end;
$$;
comment on function private.know_providers() is 'Statement trigger: every message''s provider has a breaker.';

create trigger t20_know_providers after insert on public.outbox
  referencing new table as new_rows for each statement execute function private.know_providers();

-- The states, and the ways between them.
create function private.check_message() returns trigger
language plpgsql volatile set search_path = ''
as $$
declare
  v_claimed constant boolean := new.lease is distinct from old.lease and new.attempts = old.attempts + 1 and new.leased_until > private.now();
  v_kept constant boolean := new.lease is not distinct from old.lease and new.attempts = old.attempts;
  v_allowed boolean;
begin
  if (new.id, new.channel, new.recipient, new.subject, new.body, new.kind, new.dedupe_key, new.created_at)
    is distinct from (old.id, old.channel, old.recipient, old.subject, old.body, old.kind, old.dedupe_key, old.created_at) then
    perform private.fail('illegal_transition', 'What a message says is not changed once it is queued', 'body', jsonb_build_object('id', old.id),
      'Queue another one.');
  end if;
  v_allowed := case old.status || ' ' || new.status
      when 'queued sending' then v_claimed and old.next_attempt_at <= private.now()
      -- Somebody else's turn only once the lease has run out.
      when 'sending sending' then v_kept or v_claimed and old.leased_until <= private.now()
      when 'sending sent' then v_kept
      -- Refused for being too fast: the attempt is given back.
      when 'sending queued' then new.lease is not distinct from old.lease and new.attempts between old.attempts - 1 and old.attempts
      when 'sending failed' then v_kept
      when 'queued queued' then v_kept
      when 'queued failed' then v_kept
      when 'failed queued' then new.attempts = 0
      when 'failed failed' then v_kept
      when 'sent sent' then v_kept
      else false
    end;
  if not v_allowed then
    perform private.fail('illegal_transition', format('A message that is %s cannot become %s like this', old.status, new.status), 'status',
      jsonb_build_object('id', old.id, 'status', old.status, 'leased_until', old.leased_until),
      'Messages are claimed by claim_outbox and reported with the lease it gave.');
  end if;
  return new;
end;
$$;
comment on function private.check_message() is 'Row trigger: a message goes from state to state as messages do, and says what it said.';

create trigger t10_check before update on public.outbox
  for each row execute function private.check_message();
