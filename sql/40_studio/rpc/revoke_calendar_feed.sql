create function private.end_calendar_feed(p_id uuid) returns timestamptz
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_revoked_at timestamptz;
begin
  update public.calendar_feeds f set revoked_at = coalesce(f.revoked_at, private.now())
  where f.id = p_id and (f.created_by = private.caller_id() or private.has_permission('read:calendar'))
  returning f.revoked_at into v_revoked_at;
  if not found then
    perform private.fail('not_found', 'There is no such feed', 'p_id', jsonb_build_object('id', p_id));
  end if;
  return v_revoked_at;
end;
$$;
comment on function private.end_calendar_feed(uuid) is 'Revokes a feed of the caller''s own, or any for a holder of read:calendar.';

create function public.revoke_calendar_feed(p_id uuid, p_idempotency_key text default null)
returns table (feed_id uuid, revoked_at timestamptz)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id);
  v_answer jsonb := private.answered_before('revoke_calendar_feed', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := jsonb_build_object('revoked_at', private.end_calendar_feed(p_id));
    perform private.remember_answer('revoke_calendar_feed', p_idempotency_key, v_request, v_answer);
  end if;
  return query select p_id, (v_answer ->> 'revoked_at')::timestamptz;
end;
$$;
comment on function public.revoke_calendar_feed(uuid, text) is
  'Ends the address of a feed for good: one''s own, or anybody''s with read:calendar. Returns since when; a feed that was revoked before keeps its time. Raises not_found.';
