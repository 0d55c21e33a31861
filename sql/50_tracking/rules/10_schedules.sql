-- Reading a fixed schedule, in every form it is written in.

create function private.read_weekday(p_value jsonb) returns smallint
language sql immutable set search_path = ''
return case
    when jsonb_typeof(p_value) in ('number', 'string') and p_value #>> '{}' ~ '^[0-6]$' then (p_value #>> '{}')::smallint
    when jsonb_typeof(p_value) = 'string' then (
      select d.no::smallint
      from unnest(array['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']) with ordinality as n(name, no)
      cross join lateral (select n.no - 1 as no) d
      where lower(btrim(p_value #>> '{}')) in (n.name, left(n.name, 3))
    )
  end;
comment on function private.read_weekday(jsonb) is 'The day a schedule names: 0 Sunday to 6 Saturday, as a number or a name (monday, mon); null for anything else.';

-- Each element with its place, [1] in a list, .monday or .monday[1] in an object keyed by day.
create function private.schedule_elements(p_schedule jsonb) returns table (place text, place_no integer, element jsonb)
language sql immutable set search_path = ''
begin atomic
  select l.place, (row_number() over (order by l.first, l.second))::integer, l.element
  from (
    select format('[%s]', e.no - 1) as place, e.no as first, 1::bigint as second, e.element
    from jsonb_array_elements(case jsonb_typeof(p_schedule) when 'array' then p_schedule else '[]' end) with ordinality as e(element, no)
    union all
    select '.' || d.key || case jsonb_typeof(d.value) when 'array' then format('[%s]', e.no - 1) else '' end, d.no, e.no,
      jsonb_build_object('day', d.key)
        || case jsonb_typeof(e.element) when 'object' then e.element - 'day' else jsonb_build_object('start_time', e.element) end
    from jsonb_each(case jsonb_typeof(p_schedule) when 'object' then p_schedule else '{}' end) with ordinality as d(key, value, no)
    cross join lateral jsonb_array_elements(case jsonb_typeof(d.value) when 'array' then d.value else jsonb_build_array(d.value) end)
      with ordinality as e(element, no)
  ) l;
end;
comment on function private.schedule_elements(jsonb) is 'The elements of a schedule, each an object that says its day, with its place and number.';

create type private.schedule_slot as (place text, weekday smallint, start_time time, end_time time, problem text);
comment on type private.schedule_slot is 'One weekly time as a schedule says it, or what is wrong with it.';

-- In plpgsql, element after element: every student that is written or diagnosed is read here, and this is ten times as fast.
create function private.read_schedule(p_schedule jsonb, p_default_minutes integer) returns setof private.schedule_slot
language plpgsql immutable set search_path = ''
as $$
declare
  v_element record;
  v_slot private.schedule_slot;
  v_earlier private.schedule_slot[] := '{}';
  v_minutes_text text;
  v_end_text text;
  v_minutes integer;
  v_start integer;
begin
  for v_element in select e.place, e.element from private.schedule_elements(p_schedule) e order by e.place_no loop
    v_slot := row(v_element.place, null, null, null, null);
    if jsonb_typeof(v_element.element) <> 'object' then
      v_slot.problem := 'This is an object with day, start_time and duration_minutes';
      return next v_slot;
      continue;
    end if;
    v_slot.weekday := private.read_weekday(coalesce(v_element.element -> 'day', v_element.element -> 'dayOfWeek',
      v_element.element -> 'day_of_week', v_element.element -> 'weekday'));
    v_slot.start_time := private.text_to_time(coalesce(v_element.element ->> 'start_time', v_element.element ->> 'time', v_element.element ->> 'startTime'));
    v_minutes_text := coalesce(v_element.element ->> 'duration_minutes', v_element.element ->> 'durationMinutes', v_element.element ->> 'duration');
    v_end_text := coalesce(v_element.element ->> 'end_time', v_element.element ->> 'endTime');
    v_minutes := case
      when v_minutes_text ~ '^[0-9]{1,4}$' then nullif(v_minutes_text::integer, 0)
      when v_minutes_text is null and v_end_text is null then p_default_minutes
    end;
    v_start := extract(epoch from v_slot.start_time) / 60;
    v_slot.end_time := case
      when v_minutes is not null and v_start + v_minutes < 1440 then v_slot.start_time + make_interval(mins => v_minutes)
      when v_start + v_minutes = 1440 and v_slot.start_time = make_time(v_start / 60, v_start % 60, 0) then time '24:00'
      when v_minutes_text is null and v_end_text is not null then private.text_to_time(v_end_text)
    end;
    v_slot.problem := case
      when v_slot.weekday is null then 'A day is sunday to saturday, or 0 (Sunday) to 6'
      when v_slot.start_time is null or v_slot.start_time = '24:00' then 'A start_time is written 17:00'
      when v_minutes_text is not null and coalesce(v_minutes > 1440, true) then 'A duration_minutes is a whole number from 1 to 1440'
      when v_minutes is not null and v_slot.end_time is null then 'It ends on the day it starts'
      when v_slot.end_time is null then 'An end_time is written 18:00'
      when v_slot.end_time <= v_slot.start_time then 'The end must be after the start'
      when exists (
        select from unnest(v_earlier) o
        where o.weekday = v_slot.weekday and o.start_time < v_slot.end_time and v_slot.start_time < o.end_time
      ) then 'Another time of the schedule overlaps it'
    end;
    v_earlier := v_earlier || v_slot;
    return next v_slot;
  end loop;
end;
$$;
comment on function private.read_schedule(jsonb, integer) is
  'The weekly times a fixed schedule says, each with what is wrong with it; durations that are missing are p_default_minutes.';

create function private.schedule_problems(p_schedule jsonb, p_default_minutes integer) returns jsonb
language sql immutable set search_path = ''
return private.input_error(coalesce(jsonb_typeof(p_schedule), 'null') not in ('array', 'object'), 'fixed_schedule',
    'A schedule is a list of objects with day, start_time and duration_minutes')
  || private.input_error(
    case jsonb_typeof(p_schedule) when 'array' then jsonb_array_length(p_schedule) > 100 else length(p_schedule::text) > 20000 end,
    'fixed_schedule', 'A schedule has at most 100 weekly times')
  || coalesce((
    select jsonb_agg(jsonb_build_object('field', 'fixed_schedule' || s.place, 'message', s.problem))
    from private.read_schedule(p_schedule, p_default_minutes) s
    where s.problem is not null and length(p_schedule::text) <= 20000
  ), '[]');
comment on function private.schedule_problems(jsonb, integer) is 'What is wrong with a fixed schedule, as private.fail_input takes it, each element by its place.';

create function private.class_minutes(p_course_id uuid) returns integer
language sql stable security definer set search_path = ''
return coalesce(
  (select least(c.duration_minutes, 1440) from public.courses c where c.id = p_course_id), private.setting_integer('class_minutes_default'));
comment on function private.class_minutes(uuid) is 'How long a class takes when the schedule does not say.';
