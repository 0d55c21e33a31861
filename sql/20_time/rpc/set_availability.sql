-- What is wrong with a list of hours, entry by entry; then, among those that are well-formed, which overlap.
create function private.hours_errors(p_hours jsonb) returns jsonb
language sql stable set search_path = ''
return case
    when jsonb_typeof(p_hours) is distinct from 'array' then
      private.input_error(true, 'p_hours', 'Hours are a list of {"weekday", "start_time", "end_time"}')
    when jsonb_array_length(p_hours) > 200 then private.input_error(true, 'p_hours', 'At most 200 entries')
    else (
      with entries as (
        select format('p_hours[%s]', e.position - 1) as path, e.position, e.entry,
          coalesce(jsonb_typeof(e.entry -> 'weekday') = 'number' and e.entry ->> 'weekday' ~ '^[0-6]$', false) as has_weekday,
          coalesce(e.entry ->> 'start_time' ~ '^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$', false) as has_start,
          coalesce(e.entry ->> 'end_time' ~ '^(([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?|24:00(:00)?)$', false) as has_end
        from jsonb_array_elements(p_hours) with ordinality as e(entry, position)
      ),
      parsed as (
        select e.*, case when e.has_start then (e.entry ->> 'start_time')::time end as start_time,
          case when e.has_end then (e.entry ->> 'end_time')::time end as end_time
        from entries e
      ),
      errors as (
        select e.position, m.field, m.message
        from parsed e
        cross join lateral (
          values
            (jsonb_typeof(e.entry) <> 'object', e.path, 'An entry is {"weekday": 0 to 6, "start_time": "09:00", "end_time": "17:00"}'),
            (jsonb_typeof(e.entry) = 'object' and not e.has_weekday, e.path || '.weekday', 'A weekday is 0 (Sunday) to 6 (Saturday)'),
            (jsonb_typeof(e.entry) = 'object' and not e.has_start, e.path || '.start_time', 'A time is written 09:00'),
            (jsonb_typeof(e.entry) = 'object' and not e.has_end, e.path || '.end_time', 'A time is written 17:00; 24:00 is midnight'),
            (e.end_time <= e.start_time, e.path || '.end_time', 'The end must be after the start'),
            (
              e.entry ? 'time_zone' and not coalesce(private.is_time_zone(e.entry ->> 'time_zone'), false), e.path || '.time_zone',
              'That is no IANA time zone'
            )
        ) as m(applies, field, message)
        where m.applies
        union all
        select b.position, b.path, format('Overlaps %s', a.path)
        from parsed a
        join parsed b on b.position > a.position and b.entry -> 'weekday' = a.entry -> 'weekday'
          and b.start_time < a.end_time and a.start_time < b.end_time
      )
      select coalesce(jsonb_agg(jsonb_build_object('field', e.field, 'message', e.message) order by e.position, e.field), '[]')
      from errors e
    )
  end;
comment on function private.hours_errors(jsonb) is 'What is wrong with a list of weekly hours, as private.fail_input takes it.';

create function private.replace_availability(p_resource_id uuid, p_hours jsonb, p_from date)
returns setof public.availability_rules
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if p_resource_id is distinct from private.current_profile_id() then
    perform private.require_permission('manage:availability');
  end if;
  perform private.require_resources(array[p_resource_id]);
  -- Two who replace the same hours at once would both keep theirs.
  perform private.lock_resources(array[p_resource_id]);
  delete from public.availability_rules r where r.resource_id = p_resource_id and lower(r.effective) >= p_from;
  update public.availability_rules r set effective = r.effective * daterange(null, p_from)
  where r.resource_id = p_resource_id and r.effective @> p_from;
  return query
    insert into public.availability_rules (resource_id, weekday, start_time, end_time, time_zone, effective)
    select p_resource_id, h.weekday, h.start_time, h.end_time, h.time_zone, daterange(p_from, null)
    from jsonb_to_recordset(p_hours) as h(weekday smallint, start_time time, end_time time, time_zone text)
    order by h.weekday, h.start_time
    returning *;
end;
$$;
comment on function private.replace_availability(uuid, jsonb, date) is
  'Replaces a resource''s hours from a date on, by that person or a holder of manage:availability.';

create function public.set_availability(
  p_resource_id uuid,
  p_hours jsonb,
  p_from date default null,
  p_idempotency_key text default null
) returns setof public.availability_rules
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('resource_id', p_resource_id, 'hours', p_hours, 'from', p_from);
  v_answer jsonb := private.answered_before('set_availability', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_resource_id is null, 'p_resource_id', 'Say whose hours they are')
      || private.input_error(p_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
      || private.hours_errors(p_hours)
    );
    v_answer := (
      select coalesce(jsonb_agg(to_jsonb(r) order by r.weekday, r.start_time), '[]')
      from private.replace_availability(p_resource_id, p_hours, coalesce(p_from, private.today())) r
    );
    perform private.remember_answer('set_availability', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.availability_rules, v_answer);
end;
$$;
comment on function public.set_availability(uuid, jsonb, date, text) is
  'States the weekly hours of a person or place from p_from (today) on, in place of those stated before, which stay known for the dates before. p_hours is [{"weekday": 0 Sunday to 6 Saturday, "start_time": "09:00", "end_time": "17:00", "time_zone": optional}, …], wall-clock times; an empty list states nothing from then on. Your own hours, or anybody''s with manage:availability. Returns the rows made. Raises invalid_input naming every bad entry, forbidden, not_found.';
