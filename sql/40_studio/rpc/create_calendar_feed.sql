create function private.add_calendar_feed(p_name text, p_resource_id uuid, p_token text) returns uuid
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
begin
  if p_resource_id is null or p_resource_id is distinct from private.current_profile_id()
    or private.is_deactivated(private.caller_id()) then
    perform private.require_permission('read:calendar');
  end if;
  if p_resource_id is not null then
    perform private.require_resources(array[p_resource_id]);
  end if;
  insert into public.calendar_feeds (name, resource_id, token_hash)
  values (private.clean_text(p_name), p_resource_id, private.feed_token_hash(p_token))
  returning id into v_id;
  return v_id;
end;
$$;
comment on function private.add_calendar_feed(text, uuid, text) is 'Makes a feed of the caller''s own calendar, or of anything for a holder of read:calendar.';

create function private.renew_calendar_feed(p_id uuid, p_token text) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.calendar_feeds f set token_hash = private.feed_token_hash(p_token)
  where f.id = p_id and f.created_by is not distinct from private.caller_id() and (f.created_by is not null or private.is_trusted());
  if not found then
    perform private.fail('not_found', 'There is no such feed any more', 'p_idempotency_key', p_hint => 'Make another feed, with a new key.');
  end if;
end;
$$;
comment on function private.renew_calendar_feed(uuid, text) is 'Gives a feed of the caller''s a new secret; the old one is worth nothing from then on.';

-- The secret is told once and kept nowhere, so a repeated call cannot be told the first one again: it gets a new one
-- for the same feed, and only that is good from then on.
create function public.create_calendar_feed(
  p_name text,
  p_resource_id uuid default null,
  p_idempotency_key text default null
) returns table (feed_id uuid, token text, path text)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('name', p_name, 'resource_id', p_resource_id);
  v_answer jsonb := private.answered_before('create_calendar_feed', p_idempotency_key, v_request);
  v_token text := private.new_feed_token();
  v_id uuid;
begin
  if v_answer is not null then
    v_id := (v_answer ->> 'feed_id')::uuid;
    perform private.renew_calendar_feed(v_id, v_token);
  else
    perform private.fail_input(
      private.input_error(private.clean_text(p_name) is null, 'p_name', 'Say what it is called')
      || private.input_error(length(p_name) > 200, 'p_name', 'A name has at most 200 characters')
    );
    v_id := private.add_calendar_feed(p_name, p_resource_id, v_token);
    perform private.remember_answer('create_calendar_feed', p_idempotency_key, v_request, jsonb_build_object('feed_id', v_id));
  end if;
  return query select v_id, v_token, format('/functions/v1/calendar-feed/%s.ics', v_token);
end;
$$;
comment on function public.create_calendar_feed(text, uuid, text) is
  'Makes a calendar that programs subscribe to at a secret address: of one''s own calendar, or with read:calendar of any person, room or, without p_resource_id, everything. Returns the feed, its secret and its path below the project''s address; they are told this once. The same call with the same key gets a new secret for the same feed, and the earlier one ends. Raises forbidden, not_found, invalid_input.';
