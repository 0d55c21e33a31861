-- Planning and generation: every date a series promises and does not have, with what stands in its way; then those that
-- can be made are made. Both ask the same function, so that a plan cannot say one thing and generation do another.

create type private.planned_session as (
  series_date date, starts_at timestamptz, ends_at timestamptz, status text, reason text, conflicts jsonb
);
comment on type private.planned_session is
  'A date of a series. status: planned; conflict (conflicts say with what); skipped (reason: past, clock or closure); later (beyond the horizon of its people or place).';

-- Closures are not here: they are a reason to leave a date out, not to look for another time.
create function private.session_conflicts(p_resource_ids uuid[], p_during tstzrange, p_ignored uuid[]) returns jsonb
language sql stable security definer set search_path = ''
begin atomic
  select jsonb_agg(
    jsonb_build_object('resource_id', w.resource_id, 'resource_name', r.name, 'kind', case when t.is_told or w.kind = 'outside_availability' then w.kind else 'busy' end,
      'starts_at', lower(w.during), 'ends_at', upper(w.during),
      'message', format(w.sentence, r.name, case when t.is_told then 'in ' || w.title else 'taken' end) || ', ' || private.describe_range(w.during))
    || case when t.is_told and w.source_id is not null then jsonb_build_object('source_table', w.source_table, 'source_id', w.source_id) else '{}' end
    order by lower(w.during), r.name)
  from (
    select c.resource_id, c.kind, c.title, c.during, c.source_table, c.source_id, '%1$s is already %2$s' as sentence
    from public.claims c
    where c.resource_id = any(p_resource_ids) and c.during && p_during
      and not (c.source_table = 'course_sessions' and c.source_id = any(p_ignored))
    union all
    select o.resource_id, 'time_off', null, o.during, 'time_off', o.id, '%1$s is off'
    from public.time_off o
    where o.resource_id = any(p_resource_ids) and o.during && p_during and o.status = 'approved'
    union all
    select h.resource_id, 'outside_availability', null, o.outside, null, null, '%1$s is not available'
    from private.hours_of(p_resource_ids, p_during) h
    cross join lateral unnest(tstzmultirange(p_during) * h.stated - h.hours) as o(outside)
    where private.setting_text('availability_policy') = 'refuse'
  ) w
  join public.resources r on r.id = w.resource_id
  cross join lateral (select private.has_permission('read:calendar') or w.resource_id = private.current_profile_id() as is_told offset 0) t;
end;
comment on function private.session_conflicts(uuid[], tstzrange, uuid[]) is
  'What keeps an instructor and a place from a session at some time, as a list; null when nothing does. Claims of the named sessions do not count.';

-- p_ignored: sessions that are about to be moved or removed; theirs are dates to plan as well.
create function private.plan_series_dates(p_series public.session_series, p_through date, p_ignored uuid[] default '{}')
returns setof private.planned_session
language sql stable security definer set search_path = ''
begin atomic
  with promised as materialized (
    select d.day, private.local_to_instant(d.day, (p_series).start_time, (p_series).time_zone) as starts_at,
      private.local_end_to_instant(d.day, (p_series).end_time, (p_series).time_zone) as ends_at
    from private.series_dates(p_series, p_through) as d(day)
    where (p_series).status = 'active' and not exists (
      select from public.course_sessions s
      where s.series_id = (p_series).id and s.series_date = d.day and s.id <> all(p_ignored)
    )
  ),
  shut as (
    select p.day, min(c.name) as name
    from promised p
    join public.closures c on c.during && tstzrange(p.starts_at, p.ends_at) and (c.location_id is null or c.location_id = (p_series).location_id)
    where p.starts_at < p.ends_at
    group by p.day
  ),
  horizon as materialized (
    select min(h.claimed_until) as claimed_until
    from public.resource_horizons h
    where h.resource_id in ((p_series).instructor_id, (p_series).location_id)
  )
  select p.day, p.starts_at, p.ends_at,
    case
      when w.reason in ('past', 'clock', 'closure') then 'skipped'
      when w.reason = 'horizon' then 'later'
      when c.conflicts is not null then 'conflict'
      else 'planned'
    end,
    case w.reason
      when 'past' then 'It is over'
      when 'clock' then private.describe_skipped(p.day, (p_series).start_time, (p_series).time_zone)
      when 'closure' then format('Closed: %s', s.name)
      when 'horizon' then 'It is too far ahead, and will be made in time'
      else c.conflicts -> 0 ->> 'message'
    end,
    coalesce(c.conflicts, '[]')
  from promised p
  cross join horizon h
  left join shut s on s.day = p.day
  cross join lateral (
    select case
      when p.starts_at is null or p.ends_at is null or p.starts_at >= p.ends_at then 'clock'
      when p.starts_at <= private.now() then 'past'
      when s.name is not null then 'closure'
      when p.ends_at > h.claimed_until then 'horizon'
    end as reason
  ) w
  left join lateral private.session_conflicts(
    array_remove(array[(p_series).instructor_id, (p_series).location_id], null), tstzrange(p.starts_at, p.ends_at), p_ignored
  ) as c(conflicts) on w.reason is null
  order by p.day;
end;
comment on function private.plan_series_dates(public.session_series, date, uuid[]) is
  'The dates a series promises through another and has no session for, in order, with what is in the way of each.';

create function private.refuse_plan(p_plan private.planned_session[]) returns void
language plpgsql stable set search_path = ''
as $$
declare
  v_bad constant private.planned_session[] := array(select p from unnest(p_plan) p where p.status = 'conflict' order by p.series_date);
begin
  if cardinality(v_bad) > 0 then
    perform private.fail('time_conflict',
      v_bad[1].reason || case when cardinality(v_bad) > 1 then format(' (and %s more dates)', cardinality(v_bad) - 1) else '' end,
      p_details => jsonb_build_object('count', cardinality(v_bad), 'conflicts', (
        select jsonb_agg(jsonb_build_object('session_date', b.series_date, 'conflicts', b.conflicts) order by b.series_date) from unnest(v_bad[:100]) b
      )),
      p_hint => 'Choose another time, leave these dates out (p_exdates), or make what fits (p_partial).');
  end if;
end;
$$;
comment on function private.refuse_plan(private.planned_session[]) is 'Raises time_conflict listing every date that something is in the way of.';

create function private.left_out(p_plan private.planned_session[]) returns jsonb
language sql immutable set search_path = ''
return coalesce((
  select jsonb_agg(jsonb_build_object('session_date', p.series_date, 'status', p.status, 'reason', p.reason, 'conflicts', p.conflicts) order by p.series_date)
  from unnest(p_plan) p
  where p.status <> 'planned'
), '[]');
comment on function private.left_out(private.planned_session[]) is 'The dates of a plan that are not made, and why.';

create function private.insert_sessions(p_series public.session_series, p_plan private.planned_session[]) returns uuid[]
language sql volatile security definer set search_path = ''
begin atomic
  with made as (
    insert into public.course_sessions (course_id, location_id, instructor_id, session_date, start_time, end_time, time_zone, max_capacity,
      min_bookings, price, notes, series_id, series_date)
    select (p_series).course_id, (p_series).location_id, (p_series).instructor_id, p.series_date, (p_series).start_time, (p_series).end_time,
      (p_series).time_zone, (p_series).max_capacity, (p_series).min_bookings, (p_series).price, (p_series).notes, (p_series).id, p.series_date
    from unnest(p_plan) p
    where p.status = 'planned'
    order by p.series_date
    returning id, series_date
  )
  select coalesce(array_agg(m.id order by m.series_date), '{}') from made m;
end;
comment on function private.insert_sessions(public.session_series, private.planned_session[]) is 'Makes the sessions a plan can make, and returns their ids in order of date.';

create function private.lock_session_resources(p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_read_committed();
  perform private.lock_resources(array_remove(p_ids, null));
end;
$$;
comment on function private.lock_session_resources(uuid[]) is 'Locks instructors and places, before a plan that is to be carried out looks at their time.';

-- The caller holds the series' row. Single uses of time lock no resource, so one may come between the plan and its
-- execution: then whoever takes what fits plans anew, and whoever wants all is told.
create function private.make_series_sessions(
  p_series public.session_series, p_through date, p_partial boolean, out session_ids uuid[], out plan private.planned_session[]
)
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_session_resources(array[p_series.instructor_id, p_series.location_id]);
  for attempt in 1..5 loop
    begin
      plan := array(select p from private.plan_series_dates(p_series, p_through) p);
      if not p_partial then
        perform private.refuse_plan(plan);
      end if;
      session_ids := private.insert_sessions(p_series, plan);
      return;
    exception when sqlstate 'PGRST' then
      if not p_partial or attempt = 5 or sqlerrm::jsonb ->> 'code' <> 'time_conflict' then
        raise;
      end if;
    end;
  end loop;
end;
$$;
comment on function private.make_series_sessions(public.session_series, date, boolean) is
  'Makes the sessions a series promises and lacks: all of them or none, or all that fit; returns their ids and the whole plan.';

-- One after another, since each sees what the one before took; everything is locked first, in the order everybody locks it in.
create function private.generate_series_sessions() returns text
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_series public.session_series;
  v_made record;
  v_created integer := 0;
  v_left integer := 0;
begin
  perform from public.session_series s where s.status = 'active' order by s.id for no key update;
  perform private.lock_session_resources(array(
    select u.id from public.session_series s cross join lateral (values (s.instructor_id), (s.location_id)) as u(id) where s.status = 'active'
  ));
  for v_series in select s.* from public.session_series s where s.status = 'active' order by s.created_at, s.id loop
    v_made := private.make_series_sessions(v_series, private.series_through(), true);
    v_created := v_created + cardinality(v_made.session_ids);
    v_left := v_left + (select count(*) from unnest(v_made.plan) p where p.status = 'conflict');
  end loop;
  return format('%s sessions made, %s not possible', v_created, v_left);
end;
$$;
comment on function private.generate_series_sessions() is
  'Job: makes the sessions every series promises up to its horizon, as far as they fit, and says how many.';
