create function public.book_session(p_session_id uuid, p_attendees jsonb default null, p_idempotency_key text default null)
returns setof public.session_bookings
language plpgsql volatile set search_path = ''
as $$
declare
  v_attendees constant jsonb := coalesce(p_attendees, '[{}]');
  v_booking public.session_bookings;
  v_request jsonb;
  v_answer jsonb;
begin
  if p_idempotency_key is null then
    v_booking := private.book_one(p_session_id, v_attendees);
    if v_booking.id is not null then
      return next v_booking;
      return;
    end if;
    return query select * from private.book_attendees(p_session_id, v_attendees);
    return;
  end if;
  v_request := jsonb_build_object('session_id', p_session_id, 'attendees', v_attendees);
  v_answer := private.answered_before('book_session', p_idempotency_key, v_request);
  if v_answer is null then
    v_answer := (select jsonb_agg(to_jsonb(b)) from private.book_attendees(p_session_id, v_attendees) b);
    perform private.remember_answer('book_session', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.session_bookings, v_answer);
end;
$$;
comment on function public.book_session(uuid, jsonb, text) is
  'Books a session for one or several, all or none. p_attendees: a list of objects with profile_id or user_id of a person, or name and email of a guest, seats (1) and notes; left out, or an empty object, it is the caller. For other people than oneself and one''s guests it needs create:session_booking. Seats the caller holds are used first. Returns the bookings. Raises seats_full, illegal_transition for a session that was cancelled, is over or has begun, duplicate for who has booked already or takes a course again that nobody takes twice, invalid_input for who lacks a required course, limit_exceeded over session_group_limit seats, not_found, in_progress.';
