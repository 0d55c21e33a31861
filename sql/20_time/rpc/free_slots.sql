-- Sets of instants are multiranges, and what is free is one expression: the window and the horizons, in the hours of
-- all, without what keeps any of them.
--
-- Starts lie on a grid counted from each local midnight, so that they are round times on the wall clock. On a day
-- without a clock change that is plain addition; on the others each grid time is looked up: one the clock skips is no
-- start, and of an hour that happens twice the first counts, as for whatever may be booked there.
create function private.slots(
  p_resource_ids uuid[], p_window tstzrange, p_duration interval, p_step interval, p_respect_availability boolean,
  p_time_zone text, p_limit integer
) returns table (starts_at timestamptz, ends_at timestamptz)
language sql stable security definer set search_path = ''
begin atomic
  with asked as (
    select r.id, r.kind, r.is_active, h.claimed_until
    from public.resources r
    left join public.resource_horizons h on h.resource_id = r.id
    where r.id = any(p_resource_ids)
  ),
  bounds as (
    select tstzmultirange(p_window)
      * case
        when bool_and(a.is_active and a.claimed_until is not null) then tstzmultirange(tstzrange(null, min(a.claimed_until)))
        else '{}'
      end as during
    from asked a
  ),
  -- Nothing stated is unknown: never free for a person, open for a place or a piece of equipment.
  hours as (
    select range_intersect_agg(
      coalesce(h.hours, '{}')
      + case a.kind when 'person' then '{}' else tstzmultirange(tstzrange(null, null)) - coalesce(h.stated, '{}') end
    ) as during
    from asked a
    left join private.hours_of(p_resource_ids, p_window) h on h.resource_id = a.id
    where p_respect_availability
  ),
  free as (
    select f.during
    from bounds b
    cross join hours h
    cross join lateral unnest(
      b.during * coalesce(h.during, tstzmultirange(tstzrange(null, null)))
      - coalesce((select range_agg(y.during) from private.busy_ranges(p_resource_ids, p_window) y), '{}')
    ) as f(during)
    where upper(f.during) - lower(f.during) >= p_duration
  ),
  days as (
    select m.day, m.starts_at, lead(m.starts_at) over (order by m.day) as ends_at
    from (
      select d.day::date as day, private.day_start(d.day::date, p_time_zone) as starts_at
      from generate_series(
        (lower(p_window) at time zone p_time_zone)::date - 1, ((upper(p_window) at time zone p_time_zone)::date + 2)::timestamp,
        interval '1 day'
      ) as d(day)
    ) m
  ),
  grid as (
    select d.day, d.starts_at, d.ends_at, n.number * p_step as since_midnight, f.during
    from days d
    join free f on f.during && tstzrange(d.starts_at, d.ends_at)
    cross join lateral generate_series(0, ceil(86400 / extract(epoch from p_step))::integer - 1) as n(number)
  )
  select s.starts_at, s.starts_at + p_duration
  from grid g
  cross join lateral (
    select case
      when g.ends_at - g.starts_at = interval '24 hours' then g.starts_at + g.since_midnight
      else private.local_to_instant(g.day, time '00:00' + g.since_midnight, p_time_zone)
    end as starts_at
  ) s
  where s.starts_at >= lower(g.during) and s.starts_at + p_duration <= upper(g.during)
  order by s.starts_at
  limit p_limit;
end;
comment on function private.slots(uuid[], tstzrange, interval, interval, boolean, text, integer) is
  'The slots public.free_slots returns; durations and steps are in seconds only, since a day is not always 24 hours.';

create function public.free_slots(
  p_resource_ids uuid[],
  p_from timestamptz,
  p_to timestamptz,
  p_duration interval,
  p_step interval default null,
  p_respect_availability boolean default true,
  p_limit integer default 500
) returns table (starts_at timestamptz, ends_at timestamptz)
language plpgsql stable set search_path = ''
as $$
declare
  v_duration interval;
  v_step interval;
begin
  perform private.refuse_too_many(p_resource_ids);
  if p_limit > 5000 then
    perform private.fail('limit_exceeded', 'Ask for at most 5000 slots at once', 'p_limit', jsonb_build_object('limit', 5000));
  end if;
  perform private.fail_input(
    private.window_errors(p_resource_ids, p_from, p_to)
    || private.input_error(p_duration is null, 'p_duration', 'Say how long it takes')
    || private.input_error(p_duration < interval '1 minute', 'p_duration', 'It takes at least a minute')
    || private.input_error(p_duration > interval '31 days', 'p_duration', 'A single use lasts at most 31 days')
    || private.input_error(p_step < interval '1 minute', 'p_step', 'A step is at least a minute')
    || private.input_error(p_step > interval '1 day', 'p_step', 'A step is at most a day')
    || private.input_error(coalesce(p_limit, 0) < 1, 'p_limit', 'Ask for at least one slot')
  );
  -- An interval in days or months would be added by the caller's time zone.
  v_duration := make_interval(secs => extract(epoch from p_duration)::double precision);
  v_step := make_interval(secs => extract(epoch from least(coalesce(p_step, p_duration), interval '1 day'))::double precision);
  if extract(epoch from p_to - p_from) / extract(epoch from v_step) > 50000 then
    perform private.fail('limit_exceeded', 'That is more than 50000 steps at once', 'p_step', jsonb_build_object('limit', 50000),
      'Ask for a shorter time, or in larger steps.');
  end if;
  perform private.require_resources(p_resource_ids);
  return query
    select s.starts_at, s.ends_at
    from private.slots(
      p_resource_ids, tstzrange(p_from, p_to), v_duration, v_step, coalesce(p_respect_availability, true),
      private.setting_text('organisation_time_zone'), p_limit
    ) s;
end;
$$;
comment on function public.free_slots(uuid[], timestamptz, timestamptz, interval, interval, boolean, integer) is
  'Slots of p_duration (up to 31 days) between p_from and p_to (at most a year, the past included) in which all these resources can be had: not taken, not on approved time off, not closed, not beyond the time they can be booked ahead, active, and in the hours they stated. Who stated no hours offers nothing; a place or a piece of equipment without hours is open. p_respect_availability false ignores hours, nothing else. Starts lie on a grid of p_step (p_duration by default, at most a day) counted from each midnight where the organisation is. In order of time, at most p_limit (5000). For anyone signed in, at most 100 resources. Raises invalid_input naming every bad field, not_found, limit_exceeded.';
