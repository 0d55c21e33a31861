-- Importing meetings, first part: from text to rows, with every fault of every row told.
--
-- A timetable has tens of thousands of rows but few different dates, times, titles and names, so whatever costs
-- something is worked out once for each different text and joined back.
--
-- Rows travel as arrays. Nobody keeps statistics of those, so what joins them plans for the arrays it is given
-- (plan_cache_mode), and never compares all with all where it can hash (enable_nestloop). What writes must not do so: the
-- foreign keys would be planned for every row.

create type private.import_row as (
  row_number integer,
  line integer,
  fate text,
  external_ref text,
  course text,
  section text,
  title text,
  person text,
  place text,
  capacity integer,
  enrolled integer,
  date date,
  start_time time,
  end_time time,
  starts_at timestamptz,
  ends_at timestamptz,
  meeting_id uuid,
  person_id uuid,
  place_id uuid
);
comment on type private.import_row is
  'One row of a timetable. fate: bad, repeated (an earlier row says the same), unchanged (imported before), left_out, or new.';

create type private.import_fault as (row_number integer, line integer, column_name text, code text, reason text, value text);
comment on type private.import_fault is 'What is wrong with one field of one row of a timetable.';

create type private.import_name as (kind text, key text, name text, resource_id uuid, is_new boolean, candidates integer);
comment on type private.import_name is 'A person or place a timetable names, and the resource that is meant; a new one gets its id here.';

create function private.text_to_date(p_text text) returns date
language sql immutable set search_path = ''
return case
    when p_text ~ '^(19[7-9][0-9]|2[01][0-9]{2})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$' then
      case
        when substr(p_text, 9, 2)::integer <= extract(day from
            make_date(substr(p_text, 1, 4)::integer, substr(p_text, 6, 2)::integer, 1) + interval '1 month' - interval '1 day')
          then make_date(substr(p_text, 1, 4)::integer, substr(p_text, 6, 2)::integer, substr(p_text, 9, 2)::integer)
      end
  end;
comment on function private.text_to_date(text) is 'The date of text like 2018-09-04, from 1970 to 2199; null for anything else.';

create function private.text_to_time(p_text text) returns time
language sql immutable set search_path = ''
return case
    when p_text ~ '^([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$' or p_text ~ '^24:00(:00)?$' then p_text::time
  end;
comment on function private.text_to_time(text) is 'The time of text like 09:30, 9:30 or 09:30:00, also 24:00; null for anything else.';

-- The id of a meeting is worked out from what its row says (less capacity and enrolment), so that the same row imported
-- again is found again, also when somebody has moved, renamed or cancelled the meeting meanwhile.
create function private.read_import_rows(
  p_rows jsonb, p_time_zone text, out p_read private.import_row[], out p_faults private.import_fault[]
)
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
declare
  v_mark constant text := chr(31); -- in no cleaned text
  v_key constant text := 'imported meeting' || v_mark || p_time_zone || v_mark;
begin
  with raw as materialized (
    select i.n::integer as row_number, i.item ->> 'line' as line, i.item ->> 'date' as date,
      i.item ->> 'start_time' as start_time, i.item ->> 'end_time' as end_time,
      i.item - array['line', 'date', 'start_time', 'end_time'] as rest
    from jsonb_array_elements(p_rows) with ordinality as i(item, n)
  ), rests as materialized (
    select d.rest, r.crn, r.course, r.section, r.title, r.instructor, r.location, r.capacity, r.enrolled,
      private.clean_text(r.crn) as external_ref,
      private.clean_text(r.course) as clean_course,
      private.clean_text(r.section) as clean_section,
      coalesce(private.clean_name(r.title), private.clean_name(r.course)) as clean_title,
      nullif(private.clean_name(r.instructor), 'BY ARR') as person,
      nullif(private.clean_name(r.location), 'BY ARR') as place,
      case when r.capacity ~ '^\s*[0-9]{1,9}\s*$' then r.capacity::integer end as clean_capacity,
      case when r.enrolled ~ '^\s*[0-9]{1,9}\s*$' then r.enrolled::integer end as clean_enrolled
    from (select distinct raw.rest from raw) d
    cross join lateral jsonb_to_record(d.rest) as r(
      crn text, course text, section text, title text, instructor text, location text, capacity text, enrolled text)
  ), rests_judged as materialized (
    select r.*,
      r.clean_title is null or length(r.clean_title) > 500
        or greatest(length(r.external_ref), length(r.clean_course), length(r.clean_section), length(r.person), length(r.place), 0) > 200
        or (r.clean_capacity is null and coalesce(r.capacity, '') ~ '\S')
        or (r.clean_enrolled is null and coalesce(r.enrolled, '') ~ '\S') as is_bad
    from rests r
  ), dates as materialized (
    select d.text, private.text_to_date(btrim(d.text)) as date from (select distinct raw.date as text from raw) d
  ), times as materialized (
    select t.text, private.text_to_time(btrim(t.text)) as time
    from (select raw.start_time as text from raw union select raw.end_time from raw) t
  ), dated as materialized (
    select raw.row_number, raw.line, raw.date as raw_date, raw.start_time as raw_start_time, raw.end_time as raw_end_time,
      raw.rest, d.date, s.time as start_time, e.time as end_time
    from raw
    left join dates d on d.text = raw.date
    left join times s on s.text = raw.start_time
    left join times e on e.text = raw.end_time
  ), starts as materialized (
    select u.date, u.start_time, private.local_to_instant(u.date, u.start_time, p_time_zone) as starts_at
    from (select distinct d.date, d.start_time from dated d where d.start_time < time '24:00') u
  ), ends as materialized (
    select u.date, u.end_time, private.local_end_to_instant(u.date, u.end_time, p_time_zone) as ends_at
    from (select distinct d.date, d.end_time from dated d) u
  ), judged as materialized (
    select d.*, s.starts_at, e.ends_at, r.crn, r.course, r.section, r.title, r.instructor, r.location, r.capacity, r.enrolled,
      r.external_ref, r.clean_course, r.clean_section, r.clean_title, r.person, r.place, r.clean_capacity, r.clean_enrolled,
      case when d.line ~ '^[0-9]{1,9}$' then d.line::integer else d.row_number + 1 end as clean_line,
      r.is_bad or coalesce(d.start_time >= d.end_time or s.starts_at is null or e.ends_at is null, true) as is_bad
    from dated d
    join rests_judged r on r.rest = d.rest
    left join starts s on s.date = d.date and s.start_time = d.start_time
    left join ends e on e.date = d.date and e.end_time = d.end_time
  )
  select
    (
      select array_agg(
        row(j.row_number, j.clean_line, case when j.is_bad then 'bad' else 'new' end,
          j.external_ref, j.clean_course, j.clean_section, j.clean_title, j.person, j.place, j.clean_capacity, j.clean_enrolled,
          j.date, j.start_time, j.end_time, j.starts_at, j.ends_at,
          case when not j.is_bad then md5(
            v_key || (j.date - date '1970-01-01') || v_mark || j.start_time || v_mark || j.end_time || v_mark || j.clean_title || v_mark
            || coalesce(j.external_ref, '') || v_mark || coalesce(lower(j.person), '') || v_mark || coalesce(lower(j.place), ''))::uuid end,
          null, null)::private.import_row
        order by j.row_number)
      from judged j
    ),
    (
      select array_agg(row(j.row_number, j.clean_line, f.column_name, 'invalid_input', f.reason, left(f.value, 200))::private.import_fault
        order by j.row_number, f.position)
      from judged j
      cross join lateral (
        values
          (1, length(j.external_ref) > 200, 'crn', 'It has at most 200 characters', j.crn),
          (2, length(j.clean_course) > 200, 'course', 'It has at most 200 characters', j.course),
          (3, length(j.clean_section) > 200, 'section', 'It has at most 200 characters', j.section),
          (4, j.clean_title is null, 'title', 'Say what it is called', j.title),
          (4, length(j.clean_title) > 500, 'title', 'A title has at most 500 characters', j.title),
          (5, length(j.person) > 200, 'instructor', 'A name has at most 200 characters', j.instructor),
          (6, length(j.place) > 200, 'location', 'A name has at most 200 characters', j.location),
          (7, j.date is null, 'date', 'A date is written like 2018-09-04, and lies between 1970 and 2199', j.raw_date),
          (8, coalesce(j.start_time >= time '24:00', true), 'start_time', 'A start is written like 09:30, from 00:00 to 23:59', j.raw_start_time),
          (9, j.end_time is null, 'end_time', 'An end is written like 10:45; midnight is 24:00', j.raw_end_time),
          (10, j.start_time < time '24:00' and j.end_time <= j.start_time, 'end_time',
            format('The end must be after the start (%s)', to_char(j.start_time, 'HH24:MI')), j.raw_end_time),
          (11, j.date is not null and j.start_time < time '24:00' and j.starts_at is null, 'start_time',
            format('%s %s does not exist in %s: the clock skips it', btrim(j.raw_date), btrim(j.raw_start_time), p_time_zone), j.raw_start_time),
          (12, j.date is not null and j.end_time > j.start_time and j.ends_at is null, 'end_time',
            format('%s %s does not exist in %s: the clock skips it', btrim(j.raw_date), btrim(j.raw_end_time), p_time_zone), j.raw_end_time),
          (13, j.clean_capacity is null and j.capacity ~ '\S', 'capacity', 'It is a whole number, or empty', j.capacity),
          (14, j.clean_enrolled is null and j.enrolled ~ '\S', 'enrolled', 'It is a whole number, or empty', j.enrolled)
      ) as f(position, is_fault, column_name, reason, value)
      where j.is_bad and f.is_fault
    )
  into p_read, p_faults;
end;
$$;
comment on function private.read_import_rows(jsonb, text) is
  'Reads the rows of a timetable (objects of text, local to the zone); what cannot be read is told for every field.';

-- A name means the resource of its kind that is called so, whatever the case; among several the one spelled exactly
-- so, among those one that is active. More than one after that is a fault, since guessing would book somebody else.
create function private.find_import_names(p_rows private.import_row[]) returns private.import_name[]
language plpgsql volatile set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return (
    with spelled as (
      select n.kind, n.name, min(r.row_number) as first_row
      from unnest(p_rows) r
      cross join lateral (values ('person', r.person), ('place', r.place)) as n(kind, name)
      where n.name is not null and r.fate <> 'bad'
      group by n.kind, n.name
    ), named as (
      select s.kind, lower(s.name) as key, (array_agg(s.name order by s.first_row))[1] as name
      from spelled s
      group by s.kind, lower(s.name)
    ), known as materialized (
      select r.id, r.kind, r.name, r.is_active, lower(regexp_replace(r.name, '\s+', ' ', 'g')) as key
      from public.resources r
    ), matched as (
      select n.kind, n.key, n.name, r.id,
        count(r.id) over fit as candidates,
        row_number() over (partition by n.kind, n.key order by r.name = n.name desc, r.is_active desc, r.id) as position
      from named n
      left join known r on r.kind = n.kind and r.key = n.key
      window fit as (partition by n.kind, n.key, r.name = n.name, r.is_active)
    )
    select coalesce(
      array_agg(
        row(m.kind, m.key, m.name, coalesce(m.id, gen_random_uuid()), m.id is null, m.candidates)::private.import_name
        order by m.kind, m.key),
      '{}')
    from matched m
    where m.position = 1
  );
end;
$$;
comment on function private.find_import_names(private.import_row[]) is
  'The people and places that rows name, each with the resource meant; more than one candidate means nobody knows which.';

create function private.faults_of_names(p_rows private.import_row[], p_names private.import_name[]) returns private.import_fault[]
language plpgsql stable set search_path = '' set plan_cache_mode = force_custom_plan set enable_nestloop = off
as $$
begin
  return array(
    select row(r.row_number, r.line, u.column_name, 'invalid_input',
      format('%s are called so: nobody knows which is meant', n.candidates), u.name)::private.import_fault
    from unnest(p_rows) r
    cross join lateral (values ('person', 'instructor', r.person), ('place', 'location', r.place)) as u(kind, column_name, name)
    join unnest(p_names) n on n.kind = u.kind and n.key = lower(u.name)
    where n.candidates > 1 and r.fate <> 'bad'
    order by r.row_number, u.kind
  );
end;
$$;
comment on function private.faults_of_names(private.import_row[], private.import_name[]) is
  'The rows that name somebody who could be one of several.';
