-- Definer: instructors mark their own sessions without being allowed to write bookings.
create function private.mark_register(p_session_id uuid, p_marks jsonb) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_session public.course_sessions;
begin
  select s.* into v_session from public.course_sessions s where s.id = p_session_id;
  if not found then
    perform private.fail('not_found', 'There is no such session', 'p_session_id', jsonb_build_object('id', p_session_id));
  end if;
  if v_session.instructor_id is null or v_session.instructor_id is distinct from private.current_profile_id()
    or private.is_deactivated(private.caller_id()) then
    perform private.require_permission('mark:attendance');
  end if;
  perform private.fail_input(
    private.json_list_errors(p_marks, '{"booking_id": "uuid", "status": "text", "notes": "text"}', 'p_marks')
    || private.input_error(p_marks = '[]', 'p_marks', 'Mark somebody'));
  perform from public.session_bookings b
  where b.id in (select (m.item ->> 'booking_id')::uuid from jsonb_array_elements(p_marks) as m(item))
  order by b.id
  for no key update;
  perform private.fail_input((
    select jsonb_agg(jsonb_build_object('field', format('p_marks[%s].%s', m.position - 1, w.field), 'message', w.message) order by m.position)
    from jsonb_array_elements(p_marks) with ordinality as m(item, position)
    left join public.session_bookings b on b.id = (m.item ->> 'booking_id')::uuid and b.session_id = p_session_id
    cross join lateral (
      values
        (b.id is null, 'booking_id', 'No booking of this session'),
        (b.status = 'cancelled', 'booking_id', 'This booking was cancelled'),
        ((select count(*) from jsonb_array_elements(p_marks) as o(item) where o.item ->> 'booking_id' = m.item ->> 'booking_id') > 1,
          'booking_id', 'This booking is marked twice'),
        (coalesce(m.item ->> 'status', '') not in ('present', 'absent', 'late', 'excused'), 'status', 'A mark is present, absent, late or excused'),
        (length(m.item ->> 'notes') > 1000, 'notes', 'Notes have at most 1000 characters')
    ) as w(applies, field, message)
    where w.applies
  ));
  insert into public.attendance as a (booking_id, session_id, status, notes)
  select (m.item ->> 'booking_id')::uuid, p_session_id, m.item ->> 'status', private.clean_text(m.item ->> 'notes')
  from jsonb_array_elements(p_marks) as m(item)
  order by 1
  on conflict (booking_id) do update set status = excluded.status, notes = excluded.notes
  where (a.status, a.notes) is distinct from (excluded.status, excluded.notes);
  return (
    select jsonb_agg(jsonb_build_object('booking_id', a.booking_id, 'status', a.status, 'booking_status', b.status, 'marked_at', a.marked_at,
      'version', a.version) order by m.position)
    from jsonb_array_elements(p_marks) with ordinality as m(item, position)
    join public.attendance a on a.booking_id = (m.item ->> 'booking_id')::uuid
    join public.session_bookings b on b.id = a.booking_id
  );
end;
$$;
comment on function private.mark_register(uuid, jsonb) is 'What public.mark_attendance does, for the session''s instructor or a holder of mark:attendance.';

create function public.mark_attendance(p_session_id uuid, p_marks jsonb, p_idempotency_key text default null)
returns table (booking_id uuid, status text, booking_status text, marked_at timestamptz, version integer)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request constant jsonb := jsonb_build_object('session_id', p_session_id, 'marks', p_marks);
  v_limit constant integer := private.setting_integer('bulk_limit');
  v_answer jsonb := private.answered_before('mark_attendance', p_idempotency_key, v_request);
begin
  if v_answer is null then
    if jsonb_typeof(p_marks) = 'array' and jsonb_array_length(p_marks) > v_limit then
      perform private.fail('limit_exceeded', format('At most %s marks at once', v_limit), 'p_marks', jsonb_build_object('limit', v_limit));
    end if;
    v_answer := private.mark_register(p_session_id, p_marks);
    perform private.remember_answer('mark_attendance', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select r.booking_id, r.status, r.booking_status, r.marked_at, r.version
    from jsonb_to_recordset(v_answer) as r(booking_id uuid, status text, booking_status text, marked_at timestamptz, version integer);
end;
$$;
comment on function public.mark_attendance(uuid, jsonb, text) is
  'Marks the register of a session, all of it at once or none. p_marks: objects with booking_id, status (present, absent, late or excused) and notes; a mark that is there is corrected. Bookings of who was present or late become attended, others no_show. From the session''s start, by its instructor or a holder of mark:attendance. Raises illegal_transition before the session begins, and for taking away what a certificate rests on; invalid_input naming every bad mark, such as p_marks[3].status; not_found, forbidden, limit_exceeded over bulk_limit marks.';
