create function public.transfer_booking(p_booking_id uuid, p_to_session_id uuid, p_idempotency_key text default null)
returns setof public.session_bookings
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('booking_id', p_booking_id, 'to_session_id', p_to_session_id);
  v_answer jsonb := private.answered_before('transfer_booking', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_booking_id is null, 'p_booking_id', 'Say which booking')
      || private.input_error(p_to_session_id is null, 'p_to_session_id', 'Say to which session'));
    v_answer := to_jsonb(private.move_session_booking(p_booking_id, p_to_session_id));
    perform private.remember_answer('transfer_booking', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.session_bookings, v_answer);
end;
$$;
comment on function public.transfer_booking(uuid, uuid, text) is
  'Moves a booking to another session: one''s own or one''s guests'', with update:session_booking anybody''s; before either begins. The seats it has are given up only together with having the others: where these are too few, nothing changes. Returns the booking, with the other session''s price. Raises seats_full, illegal_transition, duplicate, invalid_input for a required course that lacks, not_found, forbidden.';
