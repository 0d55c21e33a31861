create function public.update_session(
  p_id uuid, p_expected_version integer, p_changes jsonb, p_idempotency_key text default null
) returns setof public.course_sessions
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'expected_version', p_expected_version, 'changes', p_changes);
  v_answer jsonb := private.answered_before('update_session', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_id is null, 'p_id', 'Say which session')
      || private.input_error(p_expected_version is null, 'p_expected_version', 'Say which version you read')
      || private.input_error(p_changes = '{}', 'p_changes', 'Say what changes')
      || private.input_error(p_changes ->> 'status' = 'cancelled', 'p_changes.status', 'cancel_session() cancels a session, with a reason')
      || private.json_object_errors(p_changes, private.session_fields(), 'p_changes.'));
    v_answer := to_jsonb(private.change_session(p_id, p_expected_version, p_changes));
    perform private.remember_answer('update_session', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.course_sessions, v_answer);
end;
$$;
comment on function public.update_session(uuid, integer, jsonb, text) is
  'Changes a session, as it was at p_expected_version. p_changes holds the columns that change, such as {"max_capacity": 10, "price": 90}; null empties one. A lower capacity takes free seats away. Needs update:session. Returns the session. Raises stale_version with the session as it is now, seats_full where more seats are taken or held than there would be, time_conflict, illegal_transition, invalid_input naming every field, not_found.';
