create function private.check_bookings_of_cancelled_sessions() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'session_bookings', b.id::text, format('The session of %s %s is cancelled, and a booking of it is not', s.session_date, left(s.start_time::text, 5)),
    jsonb_build_object('session_id', s.id, 'status', b.status)
  from public.session_bookings b
  join public.course_sessions s on s.id = b.session_id
  where s.status = 'cancelled' and b.status = 'confirmed';
end;
comment on function private.check_bookings_of_cancelled_sessions() is 'Finds confirmed bookings of cancelled sessions.';

create function private.fix_bookings_of_cancelled_sessions(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.session_bookings b
  set status = 'cancelled', cancellation_reason = s.cancellation_reason
  from public.course_sessions s
  where s.id = b.session_id and s.status = 'cancelled' and b.status = 'confirmed' and b.id = any(p_entity_ids::uuid[]);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_bookings_of_cancelled_sessions(text[]) is 'Cancels them, for the session''s reason.';
