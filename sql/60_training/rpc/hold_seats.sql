create function public.hold_seats(
  p_session_id uuid, p_seats integer default 1, p_minutes integer default null, p_idempotency_key text default null
) returns setof public.session_holds
language plpgsql volatile set search_path = ''
as $$
declare
  v_minutes constant integer := coalesce(p_minutes, private.setting_integer('session_hold_minutes'));
  v_request jsonb := jsonb_build_object('session_id', p_session_id, 'seats', p_seats, 'minutes', v_minutes);
  v_answer jsonb := private.answered_before('hold_seats', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_session_id is null, 'p_session_id', 'Say which session')
      || private.input_error(coalesce(p_seats, 0) not between 1 and 1000, 'p_seats', 'At least one seat is held')
      || private.input_error(v_minutes not between 1 and private.setting_integer('session_hold_minutes'), 'p_minutes',
        format('Seats are held for at most %s minutes', private.setting_integer('session_hold_minutes'))));
    v_answer := to_jsonb(private.hold_for_caller(p_session_id, p_seats, v_minutes));
    perform private.remember_answer('hold_seats', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.session_holds, v_answer);
end;
$$;
comment on function public.hold_seats(uuid, integer, integer, text) is
  'Keeps seats of a session for the caller, such as for a checkout: for p_minutes, at most what the setting session_hold_minutes says, in place of what the caller held of it before. Bookings the caller makes use them first; afterwards they are free again by themselves. Returns the hold. Raises seats_full, illegal_transition, limit_exceeded over session_group_limit seats, forbidden for who is not signed in.';
