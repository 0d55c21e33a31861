create function public.cancel_booking(p_booking_id uuid, p_reason text default null, p_idempotency_key text default null)
returns setof public.session_bookings
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('booking_id', p_booking_id, 'reason', p_reason);
  v_answer jsonb := private.answered_before('cancel_booking', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(private.input_error(p_booking_id is null, 'p_booking_id', 'Say which booking'));
    v_answer := to_jsonb(private.cancel_session_booking(p_booking_id, p_reason));
    perform private.remember_answer('cancel_booking', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.session_bookings, v_answer);
end;
$$;
comment on function public.cancel_booking(uuid, text, text) is
  'Cancels a booking of a session, which frees its seats: one''s own or one''s guests'', with update:session_booking anybody''s; before the session begins. Returns the booking. Raises illegal_transition, not_found, forbidden.';
