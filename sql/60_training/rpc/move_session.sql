create function public.move_session(
  p_id uuid, p_session_date date, p_start_time time default null, p_end_time time default null, p_location_id uuid default null,
  p_instructor_id uuid default null, p_expected_version integer default null, p_idempotency_key text default null
) returns setof public.course_sessions
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'session_date', p_session_date, 'start_time', p_start_time, 'end_time', p_end_time,
    'location_id', p_location_id, 'instructor_id', p_instructor_id, 'expected_version', p_expected_version);
  v_answer jsonb := private.answered_before('move_session', p_idempotency_key, v_request);
  v_old public.course_sessions;
  v_end_time time := p_end_time;
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_id is null, 'p_id', 'Say which session')
      || private.input_error(p_session_date is null and p_start_time is null and p_location_id is null and p_instructor_id is null, 'p_session_date',
        'Say when or where to'));
    select s.* into v_old from public.course_sessions s where s.id = p_id;
    -- It stays as long as it was, unless somebody says otherwise.
    if p_start_time is not null and v_end_time is null and v_old.id is not null then
      if extract(epoch from p_start_time) + extract(epoch from v_old.end_time - v_old.start_time) > 86400 then
        perform private.fail_input(private.input_error(true, 'p_start_time', 'It ends on the day it starts'));
      end if;
      v_end_time := case extract(epoch from p_start_time) + extract(epoch from v_old.end_time - v_old.start_time)
        when 86400 then time '24:00' else p_start_time + (v_old.end_time - v_old.start_time) end;
    end if;
    v_answer := to_jsonb(private.change_session(p_id, p_expected_version, jsonb_strip_nulls(jsonb_build_object(
      'session_date', p_session_date, 'start_time', p_start_time, 'end_time', v_end_time, 'location_id', p_location_id,
      'instructor_id', p_instructor_id))));
    perform private.remember_answer('move_session', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.course_sessions, v_answer);
end;
$$;
comment on function public.move_session(uuid, date, time, time, uuid, uuid, integer, text) is
  'Moves a session to another day, time, place or instructor; what is left out stays, and so does how long it takes. Bookings go along. Needs update:session. Returns the session. Raises time_conflict naming what is in the way, illegal_transition once it has begun, stale_version, invalid_input, not_found.';
