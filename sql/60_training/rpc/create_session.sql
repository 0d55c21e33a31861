create function public.create_session(
  p_course_id uuid, p_session_date date, p_start_time time, p_end_time time default null, p_location_id uuid default null,
  p_instructor_id uuid default null, p_max_capacity integer default null, p_min_bookings integer default null, p_decide_by timestamptz default null,
  p_price numeric default null, p_time_zone text default null, p_notes text default null, p_idempotency_key text default null
) returns setof public.course_sessions
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('course_id', p_course_id, 'session_date', p_session_date, 'start_time', p_start_time, 'end_time', p_end_time,
    'location_id', p_location_id, 'instructor_id', p_instructor_id, 'max_capacity', p_max_capacity, 'min_bookings', p_min_bookings,
    'decide_by', p_decide_by, 'price', p_price, 'time_zone', p_time_zone, 'notes', p_notes);
  v_answer jsonb := private.answered_before('create_session', p_idempotency_key, v_request);
  v_session public.course_sessions;
begin
  if v_answer is null then
    perform private.require_permission('create:session');
    insert into public.course_sessions (course_id, session_date, start_time, end_time, location_id, instructor_id, max_capacity, min_bookings,
      decide_by, price, time_zone, notes)
    values (p_course_id, p_session_date, p_start_time, p_end_time, p_location_id, p_instructor_id, p_max_capacity, p_min_bookings, p_decide_by,
      p_price, p_time_zone, p_notes)
    returning * into v_session;
    v_answer := to_jsonb(v_session);
    perform private.remember_answer('create_session', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.course_sessions, v_answer);
end;
$$;
comment on function public.create_session(uuid, date, time, time, uuid, uuid, integer, integer, timestamptz, numeric, text, text, text) is
  'Makes a session of a course, and takes its instructor and its place. Date and times are wall-clock in p_time_zone (the location''s, or the organisation''s, by default). What is left out follows from the course: the end, the capacity, the price. With p_min_bookings it is tentative until so many seats are booked; p_decide_by says until when. Needs create:session. Returns the session. Raises time_conflict naming what is in the way, limit_exceeded beyond the horizon, invalid_input naming every field.';
