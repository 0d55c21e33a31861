create function public.cancel_session(p_id uuid, p_reason text, p_idempotency_key text default null) returns setof public.course_sessions
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'reason', p_reason);
  v_answer jsonb := private.answered_before('cancel_session', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_id is null, 'p_id', 'Say which session')
      || private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why it is cancelled')
      || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters'));
    if exists (select from public.course_sessions s where s.id = p_id and s.status = 'cancelled') then
      perform private.require_permission('update:session');
      perform private.fail('illegal_transition', 'The session is cancelled already', 'p_id', jsonb_build_object('id', p_id, 'from', 'cancelled', 'to', 'cancelled'));
    end if;
    v_answer := to_jsonb(private.change_session(p_id, null, jsonb_build_object('status', 'cancelled', 'cancellation_reason', p_reason)));
    perform private.remember_answer('cancel_session', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.course_sessions, v_answer);
end;
$$;
comment on function public.cancel_session(uuid, text, text) is
  'Cancels a session before it begins, and with it every booking of it; whoever is booking it this moment is waited for and cancelled as well. Attendees are told the reason. Needs update:session. Returns the session. Raises illegal_transition, invalid_input, not_found.';
