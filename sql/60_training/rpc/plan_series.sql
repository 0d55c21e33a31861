-- Shared by both: what is asked for, as a series.
create function private.draft_series(
  p_course_id uuid, p_rrule text, p_first_date date, p_start_time time, p_end_time time, p_location_id uuid, p_instructor_id uuid, p_time_zone text,
  p_max_capacity integer, p_min_bookings integer, p_price numeric, p_rdates date[], p_exdates date[], p_notes text
) returns public.session_series
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_series public.session_series;
begin
  v_series.course_id := p_course_id;
  v_series.rrule := p_rrule;
  v_series.first_date := p_first_date;
  v_series.start_time := p_start_time;
  v_series.end_time := p_end_time;
  v_series.location_id := p_location_id;
  v_series.instructor_id := p_instructor_id;
  v_series.time_zone := p_time_zone;
  v_series.max_capacity := p_max_capacity;
  v_series.min_bookings := p_min_bookings;
  v_series.price := p_price;
  v_series.rdates := p_rdates;
  v_series.exdates := p_exdates;
  v_series.notes := p_notes;
  v_series := private.complete_series(v_series);
  perform private.fail_input(private.within(private.series_errors(v_series, null), 'p_'));
  return v_series;
end;
$$;
comment on function private.draft_series(uuid, text, date, time, time, uuid, uuid, text, integer, integer, numeric, date[], date[], text) is
  'A series as it is asked for, with what was left out filled in; raises invalid_input naming every bad argument.';

create function private.plan_draft(p_series public.session_series) returns setof private.planned_session
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform private.require_permission('manage:series');
  return query select p.* from private.plan_series_dates(p_series, private.series_through()) p;
end;
$$;
comment on function private.plan_draft(public.session_series) is 'The plan of a series that is not there, for a holder of manage:series.';

create function public.plan_series(
  p_course_id uuid, p_rrule text, p_first_date date, p_start_time time, p_end_time time default null, p_location_id uuid default null,
  p_instructor_id uuid default null, p_time_zone text default null, p_max_capacity integer default null, p_min_bookings integer default null,
  p_price numeric default null, p_rdates date[] default '{}', p_exdates date[] default '{}', p_notes text default null
) returns table (session_date date, starts_at timestamptz, ends_at timestamptz, status text, reason text, conflicts jsonb)
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.require_permission('manage:series');
  return query
    select p.series_date, p.starts_at, p.ends_at, p.status, p.reason, p.conflicts
    from private.plan_draft(private.draft_series(p_course_id, p_rrule, p_first_date, p_start_time, p_end_time, p_location_id, p_instructor_id,
      p_time_zone, p_max_capacity, p_min_bookings, p_price, p_rdates, p_exdates, p_notes)) p
    order by p.series_date;
end;
$$;
comment on function public.plan_series(uuid, text, date, time, time, uuid, uuid, text, integer, integer, numeric, date[], date[], text) is
  'A dry run of create_series: each date through the setting series_horizon_days, nothing is written. p_rrule is an RFC 5545 rule counted from p_first_date (FREQ DAILY, WEEKLY, MONTHLY or YEARLY with INTERVAL, COUNT or UNTIL, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS, WKST); p_rdates are dates besides it, p_exdates dates left out. Times are wall-clock in p_time_zone, the place''s or organisation''s by default. status is planned, conflict (conflicts say with what: who is taken, off, or, where the setting says so, not available), skipped (reason: over, skipped by the clock, or closed) or later (too far ahead for now). Needs manage:series. Raises invalid_input naming every bad argument, a part of the rule as p_rrule.BYDAY.';
