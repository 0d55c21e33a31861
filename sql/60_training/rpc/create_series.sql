create function private.write_series(p_series public.session_series, p_partial boolean) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_series public.session_series := p_series;
  v_made record;
begin
  perform private.require_permission('manage:series');
  insert into public.session_series (id, run_id, course_id, location_id, instructor_id, rrule, first_date, rdates, exdates, start_time, end_time,
    time_zone, max_capacity, min_bookings, price, notes)
  values (p_series.id, p_series.run_id, p_series.course_id, p_series.location_id, p_series.instructor_id, p_series.rrule, p_series.first_date,
    p_series.rdates, p_series.exdates, p_series.start_time, p_series.end_time, p_series.time_zone, p_series.max_capacity, p_series.min_bookings,
    p_series.price, p_series.notes)
  returning * into v_series;
  v_made := private.make_series_sessions(v_series, private.series_through(), p_partial);
  if cardinality(v_made.session_ids) = 0 and not exists (select from unnest(v_made.plan) p where p.status = 'later') then
    perform private.fail('invalid_input', case when cardinality(v_made.plan) = 0 then 'The rule has no dates in the time to come'
      else 'None of its dates can be held: ' || (v_made.plan)[1].reason end, 'p_rrule', jsonb_build_object('left_out', private.left_out((v_made.plan)[:100])));
  end if;
  return jsonb_build_object('series_id', v_series.id, 'session_ids', to_jsonb(v_made.session_ids), 'left_out', private.left_out(v_made.plan));
end;
$$;
comment on function private.write_series(public.session_series, boolean) is 'Writes a series and its sessions, for a holder of manage:series.';

create function public.create_series(
  p_course_id uuid, p_rrule text, p_first_date date, p_start_time time, p_end_time time default null, p_location_id uuid default null,
  p_instructor_id uuid default null, p_time_zone text default null, p_max_capacity integer default null, p_min_bookings integer default null,
  p_price numeric default null, p_rdates date[] default '{}', p_exdates date[] default '{}', p_notes text default null,
  p_partial boolean default false, p_idempotency_key text default null
) returns table (series_id uuid, session_ids uuid[], left_out jsonb)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request constant jsonb := jsonb_build_object('course_id', p_course_id, 'rrule', p_rrule, 'first_date', p_first_date, 'start_time', p_start_time,
    'end_time', p_end_time, 'location_id', p_location_id, 'instructor_id', p_instructor_id, 'time_zone', p_time_zone, 'max_capacity', p_max_capacity,
    'min_bookings', p_min_bookings, 'price', p_price, 'rdates', p_rdates, 'exdates', p_exdates, 'notes', p_notes, 'partial', p_partial);
  v_answer jsonb := private.answered_before('create_series', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.require_permission('manage:series');
    v_answer := private.write_series(
      private.draft_series(p_course_id, p_rrule, p_first_date, p_start_time, p_end_time, p_location_id, p_instructor_id, p_time_zone,
        p_max_capacity, p_min_bookings, p_price, p_rdates, p_exdates, p_notes),
      coalesce(p_partial, false));
    perform private.remember_answer('create_series', p_idempotency_key, v_request, v_answer);
  end if;
  return query select r.series_id, r.session_ids, r.left_out from jsonb_to_record(v_answer) as r(series_id uuid, session_ids uuid[], left_out jsonb);
end;
$$;
comment on function public.create_series(uuid, text, date, time, time, uuid, uuid, text, integer, integer, numeric, date[], date[], text, boolean, text) is
  'Creates a series and its sessions through the setting series_horizon_days; more are made each night. Arguments as in plan_series, which says beforehand what is in the way. All or nothing, or with p_partial all that fit: left_out then says which dates are not held and why (closed days and such are left out either way). Needs manage:series. Raises time_conflict listing every date at fault, invalid_input naming every bad argument, and for a rule without any date to come.';
