create function private.search_errors(
  p_from date, p_to date, p_weekdays integer[], p_time_from time, p_time_to time, p_seats_at_least integer, p_price_at_most numeric, p_statuses text[],
  p_text text, p_order text, p_page integer, p_page_size integer
) returns jsonb
language sql immutable set search_path = ''
return private.input_error(p_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
  || private.input_error(p_to not between date '1970-01-01' and date '2199-12-31', 'p_to', 'A date lies between 1970 and 2199')
  || private.input_error(p_to < p_from, 'p_to', 'The last day must not be before the first')
  || private.input_error(array_position(p_weekdays, null) is not null or not p_weekdays <@ array[0, 1, 2, 3, 4, 5, 6], 'p_weekdays', 'A weekday is 0 (Sunday) to 6 (Saturday)')
  || private.input_error(p_time_to <= p_time_from, 'p_time_to', 'The end must be after the start')
  || private.input_error(p_seats_at_least not between 1 and 10000, 'p_seats_at_least', 'Ask for 1 to 10000 seats')
  || private.input_error(not p_price_at_most between 0 and 9999999999.99, 'p_price_at_most', 'A price is not negative')
  || private.input_error(
    array_position(p_statuses, null) is not null or not p_statuses <@ array['tentative', 'scheduled', 'in_progress', 'completed', 'cancelled'], 'p_statuses',
    'A status is tentative, scheduled, in_progress, completed or cancelled')
  || private.input_error(length(p_text) > 200, 'p_text', 'A text to look for has at most 200 characters')
  || private.input_error(coalesce(p_order, '') not in ('date', '-date', 'price', '-price', 'title'), 'p_order', 'The order is date, -date, price, -price or title')
  || private.input_error(coalesce(p_page, 0) not between 1 and 10000, 'p_page', 'Pages are counted from 1')
  || private.input_error(coalesce(p_page_size, 0) not between 1 and 200, 'p_page_size', 'A page has 1 to 200 sessions');
comment on function private.search_errors(date, date, integer[], time, time, integer, numeric, text[], text, text, integer, integer) is
  'What is wrong with a search for sessions, every field at once.';

-- Definer, since how many seats are left is everybody's to know and who has them is not. Planned anew each time: which index
-- serves depends on what is asked. Seats are counted for the page alone, unless they are asked about.
create function private.found_sessions(
  p_course_id uuid, p_location_id uuid, p_instructor_id uuid, p_from date, p_to date, p_weekdays integer[], p_time_from time, p_time_to time,
  p_seats_at_least integer, p_price_at_most numeric, p_statuses text[], p_text text, p_order text, p_page integer, p_page_size integer
) returns table (
  id uuid, course_id uuid, course_code text, course_title text, location_id uuid, location_name text, instructor_id uuid, instructor_name text,
  session_date date, start_time time, end_time time, time_zone text, starts_at timestamptz, ends_at timestamptz, status text, max_capacity integer,
  seats_left integer, price numeric, series_id uuid
)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = 'force_custom_plan'
as $$
#variable_conflict use_column
declare
  -- Whoever may not know who teaches may not find it out by asking either.
  v_is_public constant boolean := private.caller_id() is null and not private.is_trusted();
  v_from constant date := coalesce(p_from, private.today());
  v_statuses constant text[] := coalesce(p_statuses, '{tentative,scheduled,in_progress}');
  v_pattern constant text := '%' || regexp_replace(private.clean_text(p_text), '([\\%_])', '\\\1', 'g') || '%';
  v_courses uuid[] := array(select c.id from public.courses c where c.is_active or not v_is_public);
  v_named uuid[] := array(
    select c.id from public.courses c where v_pattern is not null and (c.title ilike v_pattern or c.code ilike v_pattern or c.subject ilike v_pattern)
  );
  v_places uuid[] := array(select l.id from public.locations l where v_pattern is not null and l.name ilike v_pattern);
begin
  perform private.fail_input(private.search_errors(p_from, p_to, p_weekdays, p_time_from, p_time_to, p_seats_at_least, p_price_at_most, p_statuses,
    p_text, p_order, p_page, p_page_size));
  return query
    with matching as (
      select s.*
      from public.course_sessions s
      where s.session_date >= v_from and (p_to is null or s.session_date <= p_to)
        and (p_course_id is null or s.course_id = p_course_id)
        and (p_location_id is null or s.location_id = p_location_id)
        and (p_instructor_id is null or v_is_public or s.instructor_id = p_instructor_id)
        and (p_weekdays is null or extract(dow from s.session_date)::integer = any(p_weekdays))
        and (p_time_from is null or s.start_time >= p_time_from)
        and (p_time_to is null or s.end_time <= p_time_to)
        and (p_price_at_most is null or s.price <= p_price_at_most)
        and s.status = any(v_statuses)
        and s.course_id = any(v_courses)
        and (v_pattern is null or s.course_id = any(v_named) or s.location_id = any(v_places))
        and (p_seats_at_least is null or p_seats_at_least <= (
          select count(*) from public.session_seats k
          where k.session_id = s.id and k.booking_id is null and coalesce(k.held_until <= private.now(), true)
        ))
    ),
    page as (
      select m.*, c.code, c.title
      from matching m
      join public.courses c on c.id = m.course_id
      order by
        case when p_order = 'title' then lower(c.title) end, case when p_order = 'price' then m.price end, case when p_order = '-price' then -m.price end,
        case when p_order = '-date' then date '2200-01-01' - m.session_date end, case when p_order = '-date' then time '24:00' - m.start_time end,
        m.session_date, m.start_time, m.id
      limit p_page_size offset (p_page - 1) * p_page_size
    )
    select p.id, p.course_id, p.code, p.title, p.location_id, l.name, case when not v_is_public then p.instructor_id end,
      case when not v_is_public then u.full_name end, p.session_date, p.start_time, p.end_time, p.time_zone, p.starts_at, p.ends_at, p.status,
      p.max_capacity, (
        select count(*)::integer from public.session_seats k
        where k.session_id = p.id and k.booking_id is null and coalesce(k.held_until <= private.now(), true)
      ), p.price, p.series_id
    from page p
    left join public.locations l on l.id = p.location_id
    left join public.user_profiles u on u.id = p.instructor_id
    order by
      case when p_order = 'title' then lower(p.title) end, case when p_order = 'price' then p.price end, case when p_order = '-price' then -p.price end,
      case when p_order = '-date' then date '2200-01-01' - p.session_date end, case when p_order = '-date' then time '24:00' - p.start_time end,
      p.session_date, p.start_time, p.id;
end;
$$;
comment on function private.found_sessions(
  uuid, uuid, uuid, date, date, integer[], time, time, integer, numeric, text[], text, text, integer, integer
) is 'A page of the sessions that match, as far as the caller may know of them; who teaches is not told to strangers.';

create function public.search_sessions(
  p_course_id uuid default null, p_location_id uuid default null, p_instructor_id uuid default null, p_from date default null, p_to date default null,
  p_weekdays integer[] default null, p_time_from time default null, p_time_to time default null, p_seats_at_least integer default null,
  p_price_at_most numeric default null, p_statuses text[] default '{tentative,scheduled,in_progress}', p_text text default null,
  p_order text default 'date', p_page integer default 1, p_page_size integer default 50
) returns table (
  id uuid, course_id uuid, course_code text, course_title text, location_id uuid, location_name text, instructor_id uuid, instructor_name text,
  session_date date, start_time time, end_time time, time_zone text, starts_at timestamptz, ends_at timestamptz, status text, max_capacity integer,
  seats_left integer, price numeric, series_id uuid
)
language sql stable set search_path = ''
begin atomic
  select * from private.found_sessions(p_course_id, p_location_id, p_instructor_id, p_from, p_to, p_weekdays, p_time_from, p_time_to,
    p_seats_at_least, p_price_at_most, p_statuses, p_text, p_order, p_page, p_page_size);
end;
comment on function public.search_sessions(
  uuid, uuid, uuid, date, date, integer[], time, time, integer, numeric, text[], text, text, integer, integer
) is
  'Sessions that match everything asked, a page at a time; for anyone. p_from and p_to are local dates (from today on by default), p_weekdays 0 Sunday to 6 Saturday, p_time_from and p_time_to the earliest start and the latest end by the wall clock, p_text part of a course''s title, code or subject or of a place''s name. p_order: date, -date, price, -price or title. Ask for the next page while one is full. Strangers see the sessions of courses that are offered, without who teaches them. Raises invalid_input naming every bad argument.';
