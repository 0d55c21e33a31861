-- Availability: the hours people work and places are open, turned into instants; and what is said to claims that
-- do not respect them.

-- A local day begins when the day before ends, also where the clock skips midnight.
create function private.day_start(p_date date, p_time_zone text) returns timestamptz
language sql stable strict set search_path = ''
return private.local_end_to_instant(p_date, time '00:00', p_time_zone);
comment on function private.day_start(date, text) is 'The instant a date begins in a zone.';

create function private.resource_time_zone(p_resource_id uuid) returns text
language sql stable security definer set search_path = ''
return coalesce(
  (
    select coalesce(p.time_zone, l.time_zone)
    from public.resources r
    left join public.user_profiles p on p.id = r.profile_id
    left join public.locations l on l.id = r.location_id
    where r.id = p_resource_id
  ),
  private.setting_text('organisation_time_zone')
);
comment on function private.resource_time_zone(uuid) is 'The IANA zone a person or place reads the clock in; by default the organisation''s.';

create function private.set_default_zone() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  new.time_zone := coalesce(new.time_zone, private.resource_time_zone(new.resource_id));
  return new;
end;
$$;
comment on function private.set_default_zone() is 'Row trigger: a row that names no time zone gets its resource''s.';

create trigger t10_keep_version before update on public.availability_rules
  for each row execute function private.keep_version();
create trigger t20_set_default_zone before insert or update of time_zone, resource_id on public.availability_rules
  for each row execute function private.set_default_zone();

-- Many people keep the same hours, so each wall-clock time is turned into an instant once. A date on which one of
-- the two times is skipped by the clock is skipped.
create function private.hours_of(p_resource_ids uuid[], p_window tstzrange)
returns table (resource_id uuid, stated tstzmultirange, hours tstzmultirange)
language sql stable set search_path = ''
begin atomic
  with occurrences as (
    select r.resource_id, d.day::date as day, r.start_time, r.end_time, r.time_zone
    from public.availability_rules r
    cross join lateral (
      select greatest(lower(r.effective), (lower(p_window) at time zone r.time_zone)::date - 1) as first
    ) f
    cross join lateral generate_series(
      f.first + ((r.weekday - extract(dow from f.first)::integer + 7) % 7),
      least(upper(r.effective) - 1, (upper(p_window) at time zone r.time_zone)::date + 1)::timestamp,
      interval '7 days'
    ) as d(day)
    where r.resource_id = any(p_resource_ids)
  ),
  starts as materialized (
    select s.day, s.start_time, s.time_zone, private.local_to_instant(s.day, s.start_time, s.time_zone) as at
    from (select distinct o.day, o.start_time, o.time_zone from occurrences o) s
  ),
  ends as materialized (
    select e.day, e.end_time, e.time_zone, private.local_end_to_instant(e.day, e.end_time, e.time_zone) as at
    from (select distinct o.day, o.end_time, o.time_zone from occurrences o) e
  ),
  worked as (
    select o.resource_id, range_agg(tstzrange(s.at, e.at)) as hours
    from occurrences o
    join starts s on s.day = o.day and s.start_time = o.start_time and s.time_zone = o.time_zone
    join ends e on e.day = o.day and e.end_time = o.end_time and e.time_zone = o.time_zone
    where s.at < e.at
    group by o.resource_id
  ),
  stated as (
    select r.resource_id,
      range_agg(tstzrange(private.day_start(lower(r.effective), r.time_zone), private.day_start(upper(r.effective), r.time_zone))) as stated
    from (
      select distinct a.resource_id, a.effective, a.time_zone
      from public.availability_rules a
      where a.resource_id = any(p_resource_ids)
    ) r
    group by r.resource_id
  )
  select s.resource_id, s.stated, coalesce(w.hours, '{}')
  from stated s
  left join worked w on w.resource_id = s.resource_id;
end;
comment on function private.hours_of(uuid[], tstzrange) is
  'For resources that stated hours: during which time they did so at all, and their hours in a window; both reach beyond the window.';

-- Everything that keeps a resource from being asked for, whatever hours it stated.
create function private.busy_ranges(p_resource_ids uuid[], p_window tstzrange) returns table (resource_id uuid, during tstzrange)
language sql stable security definer set search_path = ''
begin atomic
  select c.resource_id, c.during
  from public.claims c
  where c.resource_id = any(p_resource_ids) and c.during && p_window
  union all
  select t.resource_id, t.during
  from public.time_off t
  where t.resource_id = any(p_resource_ids) and t.during && p_window and t.status = 'approved'
  union all
  select r.id, c.during
  from public.closures c
  join public.resources r on c.location_id is null or r.location_id = c.location_id
  where r.id = any(p_resource_ids) and c.during && p_window;
end;
comment on function private.busy_ranges(uuid[], tstzrange) is
  'When resources are taken, on approved time off, or closed (everything, or the place itself); neither clipped nor merged.';

create function private.window_errors(p_resource_ids uuid[], p_from timestamptz, p_to timestamptz) returns jsonb
language sql stable set search_path = ''
return private.input_error(coalesce(cardinality(p_resource_ids), 0) = 0, 'p_resource_ids', 'Name at least one resource')
  || private.input_error(array_position(p_resource_ids, null) is not null, 'p_resource_ids', 'A resource is missing its id')
  || private.input_error(p_from is null, 'p_from', 'Say from when')
  || private.input_error(p_to is null, 'p_to', 'Say until when')
  || private.input_error(p_from not between timestamptz '1970-01-01 00:00+00' and timestamptz '2200-01-01 00:00+00', 'p_from', 'A date lies between 1970 and 2199')
  || private.input_error(p_to not between timestamptz '1970-01-01 00:00+00' and timestamptz '2200-01-01 00:00+00', 'p_to', 'A date lies between 1970 and 2199')
  || private.input_error(p_to <= p_from, 'p_to', 'The end must be after the start')
  || private.input_error(isfinite(p_from) and isfinite(p_to) and p_to - p_from > interval '366 days', 'p_to', 'At most a year at once');
comment on function private.window_errors(uuid[], timestamptz, timestamptz) is
  'What is wrong with asking for these resources between two instants, as private.fail_input takes it.';

create function private.refuse_too_many(p_resource_ids uuid[]) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if cardinality(p_resource_ids) > 100 then
    perform private.fail('limit_exceeded', 'Ask for at most 100 resources at once', 'p_resource_ids', jsonb_build_object('limit', 100));
  end if;
end;
$$;
comment on function private.refuse_too_many(uuid[]) is 'Raises limit_exceeded for more resources than may be asked for at once.';

-- Called after claims were made, with their resources locked where the answer matters. What was stated in vague terms
-- to a manager is told in bare times to everybody else.
create function private.refuse_unavailable(p_claims public.claims[]) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_decides boolean;
  v_self uuid;
  v_message text;
  v_conflicts jsonb;
  v_count integer;
begin
  if private.setting_text('availability_policy') <> 'refuse' then
    return;
  end if;
  v_decides := private.has_permission('decide:time_off');
  v_self := private.current_profile_id();
  with wanted as materialized (
    select n.resource_id, r.name, r.kind, r.location_id, n.source_table, n.source_id, n.during
    from unnest(p_claims) n
    join public.resources r on r.id = n.resource_id
  ),
  hours as (
    select h.resource_id, h.stated, h.hours
    from private.hours_of(
      array(select distinct w.resource_id from wanted w),
      (select range_merge(range_agg(w.during)) from wanted w)
    ) h
  ),
  reasons as (
    select w.resource_id, w.name, w.source_table, w.source_id, w.during,
      'time_off' as kind, 'time_off' as with_table, t.id as with_id, t.reason as title, t.during as with_during,
      format('%s is off', w.name) as sentence, v_decides or w.resource_id = v_self as is_told
    from wanted w
    join public.time_off t on t.resource_id = w.resource_id and t.during && w.during and t.status = 'approved'
    union all
    select w.resource_id, w.name, w.source_table, w.source_id, w.during,
      'closure', 'closures', c.id, c.name, c.during,
      format('%s is closed for %s', case when c.location_id is null then 'Everything' else w.name end, c.name), true
    from wanted w
    join public.closures c on (c.location_id is null or c.location_id = w.location_id) and c.during && w.during
    union all
    select w.resource_id, w.name, w.source_table, w.source_id, w.during,
      'outside_availability', 'availability_rules', null, null, o.outside,
      format(case w.kind when 'person' then '%s does not work' else '%s is not open' end, w.name), true
    from wanted w
    join hours h on h.resource_id = w.resource_id
    cross join lateral unnest(tstzmultirange(w.during) * h.stated - h.hours) as o(outside)
  ),
  numbered as (
    select r.*, row_number() over (order by lower(r.during), r.name, r.kind, lower(r.with_during)) as position,
      count(*) over () as total
    from reasons r
  )
  select max(n.total),
    max(case when n.position = 1 then
      n.sentence || ', ' || private.describe_range(n.with_during)
      || case when n.total > 1 then format(' (and %s more)', n.total - 1) else '' end
    end),
    jsonb_agg(
      jsonb_build_object(
        'resource_id', n.resource_id, 'resource_name', n.name, 'source_table', n.source_table, 'source_id', n.source_id,
        'starts_at', lower(n.during), 'ends_at', upper(n.during), 'conflicts_with',
        jsonb_build_object('starts_at', lower(n.with_during), 'ends_at', upper(n.with_during), 'kind', n.kind)
        || case when n.is_told then jsonb_build_object(
          'source_table', n.with_table, 'source_id', n.with_id, 'title', n.title
        ) else '{}' end
      ) order by n.position
    ) filter (where n.position <= 100)
  into v_count, v_message, v_conflicts
  from numbered n;
  if v_count > 0 then
    perform private.fail('time_conflict', v_message, p_details => jsonb_build_object('conflicts', v_conflicts, 'count', v_count),
      p_hint => 'Choose another time; free_slots() says when all are free. The setting availability_policy decides whether this is refused.');
  end if;
end;
$$;
comment on function private.refuse_unavailable(public.claims[]) is
  'Where the setting availability_policy is "refuse": raises time_conflict for claims in approved time off, in a closure or outside stated hours.';
