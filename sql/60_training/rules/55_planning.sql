-- What may be changed of a session, and how.

create function private.session_fields() returns jsonb
language sql immutable set search_path = ''
return '{"course_id": "uuid", "location_id": "uuid", "instructor_id": "uuid", "session_date": "date", "start_time": "time", "end_time": "time",
  "time_zone": "text", "max_capacity": "count", "min_bookings": "count", "decide_by": "instant", "status": "text", "price": "amount",
  "cancellation_reason": "text", "notes": "text"}'::jsonb;
comment on function private.session_fields() is 'The fields of a session that may be changed, and of which kind each value is.';

-- Row level security and the triggers decide, as for any other update.
create function private.change_session(p_id uuid, p_expected_version integer, p_changes jsonb) returns public.course_sessions
language plpgsql volatile set search_path = ''
as $$
declare
  v_session public.course_sessions;
begin
  update public.course_sessions s
  set (course_id, location_id, instructor_id, session_date, start_time, end_time, time_zone, max_capacity, min_bookings, decide_by, status, price,
      cancellation_reason, notes)
    = (
      select c.course_id, c.location_id, c.instructor_id, c.session_date, c.start_time, c.end_time, c.time_zone, c.max_capacity, c.min_bookings,
        c.decide_by, c.status, c.price, c.cancellation_reason, c.notes
      from jsonb_populate_record(s, p_changes) c
    ),
    version = coalesce(p_expected_version, s.version)
  where s.id = p_id
  returning s.* into v_session;
  if not found then
    if exists (select from public.course_sessions s where s.id = p_id) then
      perform private.require_permission('update:session');
    end if;
    perform private.fail('not_found', 'There is no such session', 'p_id', jsonb_build_object('id', p_id));
  end if;
  return v_session;
end;
$$;
comment on function private.change_session(uuid, integer, jsonb) is
  'Changes a session the caller may change; the fields were looked at by private.json_object_errors. Raises not_found, forbidden.';

-- Sessions that have begun or are over, as time goes by. One that is still tentative is for a person to decide about.
create function private.follow_sessions() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_begun integer;
  v_over integer;
begin
  update public.course_sessions s set status = 'completed'
  where s.id in (
    select o.id from public.course_sessions o
    where o.status in ('scheduled', 'in_progress') and o.ends_at <= private.now() order by o.id for no key update skip locked
  );
  get diagnostics v_over = row_count;
  update public.course_sessions s set status = 'in_progress'
  where s.id in (
    select o.id from public.course_sessions o
    where o.status = 'scheduled' and o.starts_at <= private.now() order by o.id for no key update skip locked
  );
  get diagnostics v_begun = row_count;
  return v_begun + v_over;
end;
$$;
comment on function private.follow_sessions() is 'Job: sessions that have begun are in progress, those that are over completed; returns how many changed.';
