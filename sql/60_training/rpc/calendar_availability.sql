-- A definer, so that whoever is not signed in needs no right to the seats; it shows what is offered to everybody.
create function private.available_sessions(p_from date, p_to date, p_course_id uuid, p_location_id uuid) returns table (
  session_id uuid, course_id uuid, course_code text, course_title text, location_id uuid, location_name text, instructor_id uuid, session_date date,
  start_time time, end_time time, time_zone text, starts_at timestamptz, ends_at timestamptz, status text, price numeric, max_capacity integer,
  seats_left integer, is_bookable boolean
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_now constant timestamptz := private.now();
begin
  perform private.fail_input(
    private.input_error(p_from is null, 'p_from', 'Say from which day')
    || private.input_error(p_to is null, 'p_to', 'Say through which day')
    || private.input_error(not isfinite(p_from), 'p_from', 'This is no day')
    || private.input_error(not isfinite(p_to), 'p_to', 'This is no day')
    || private.input_error(p_to < p_from, 'p_to', 'The last day is not before the first')
    || private.input_error(case when isfinite(p_from) and isfinite(p_to) then p_to - p_from > 366 end, 'p_to', 'At most a year at once'));
  return query
    select s.id, s.course_id, c.code, c.title, s.location_id, l.name, s.instructor_id, s.session_date, s.start_time, s.end_time, s.time_zone,
      s.starts_at, s.ends_at, s.status, s.price, s.max_capacity, f.seats, s.status in ('tentative', 'scheduled') and s.starts_at > v_now and f.seats > 0
    from public.course_sessions s
    join public.courses c on c.id = s.course_id and c.is_active
    left join public.locations l on l.id = s.location_id
    cross join lateral (
      select count(*)::integer as seats from public.session_seats q
      where q.session_id = s.id and q.booking_id is null and (q.held_until is null or q.held_until <= v_now)
    ) f
    where s.session_date between p_from and p_to and s.status in ('tentative', 'scheduled', 'in_progress')
      and (p_course_id is null or s.course_id = p_course_id) and (p_location_id is null or s.location_id = p_location_id)
    order by s.starts_at, c.code, s.id;
end;
$$;
comment on function private.available_sessions(date, date, uuid, uuid) is 'Sessions to come or in progress with their free seats, for anybody.';

create function public.calendar_availability(p_from date, p_to date, p_course_id uuid default null, p_location_id uuid default null) returns table (
  session_id uuid, course_id uuid, course_code text, course_title text, location_id uuid, location_name text, instructor_id uuid, session_date date,
  start_time time, end_time time, time_zone text, starts_at timestamptz, ends_at timestamptz, status text, price numeric, max_capacity integer,
  seats_left integer, is_bookable boolean
)
language sql stable set search_path = ''
begin atomic
  select * from private.available_sessions(p_from, p_to, p_course_id, p_location_id);
end;
comment on function public.calendar_availability(date, date, uuid, uuid) is
  'The sessions of offered courses on the local days p_from through p_to, of one course or at one place where that is said, with the seats left; full ones too, with 0. For anyone, even without signing in. Raises invalid_input, also over more than a year.';
