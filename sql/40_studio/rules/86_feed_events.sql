-- What a calendar feed shows, in the words of iCalendar. Recurring happenings stay recurring: one event with its rule, the
-- dates it leaves out, and the dates that are different. Whatever the clock does to a date is worked out here, with the
-- same functions and the same zone data as the ledger, so that no reader has to agree with Postgres about it.

-- Day by day first, since no zone changes its offset twice in a day, then to the minute.
create function private.clock_changes(p_time_zone text, p_from date, p_until date)
returns table (changes_at timestamptz, offset_before interval, offset_after interval)
language sql stable set search_path = ''
begin atomic
  with days as (
    select d.at, (d.at at time zone p_time_zone) - (d.at at time zone 'UTC') as shift
    from generate_series(p_from::timestamp at time zone 'UTC', p_until::timestamp at time zone 'UTC', interval '24 hours') as d(at)
  ), spans as materialized (
    select w.at, w.shift, w.next_shift
    from (select d.at, d.shift, lead(d.shift) over (order by d.at) as next_shift from days d) w
    where w.shift <> w.next_shift
  )
  select (
      select min(m.at)
      from generate_series(s.at, s.at + interval '24 hours', interval '1 minute') as m(at)
      where (m.at at time zone p_time_zone) - (m.at at time zone 'UTC') = s.next_shift
    ), s.shift, s.next_shift
  from spans s
  order by 1;
end;
comment on function private.clock_changes(text, date, date) is 'When the clocks of a zone change between two dates, from which offset to UTC to which.';

create function private.feed_local(p_wall timestamp) returns text
language sql immutable set search_path = ''
return to_char(p_wall, 'YYYY-MM-DD"T"HH24:MI:SS');
comment on function private.feed_local(timestamp) is 'A wall-clock time as jCal writes it.';

create function private.feed_instant(p_at timestamptz) returns text
language sql immutable set search_path = ''
return to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
comment on function private.feed_instant(timestamptz) is 'An instant as jCal writes it.';

create function private.feed_happening(
  p_uid text, p_sequence integer, p_status text, p_summary text, p_category text, p_location text, p_description text,
  p_created_at timestamptz, p_changed_at timestamptz
) returns jsonb
language sql immutable set search_path = ''
return jsonb_build_object(
  'uid', p_uid || '@classbase', 'sequence', p_sequence, 'status', p_status, 'summary', p_summary, 'category', p_category,
  'location', p_location, 'description', p_description,
  'created_at', private.feed_instant(p_created_at), 'changed_at', private.feed_instant(p_changed_at)
);
comment on function private.feed_happening(text, integer, text, text, text, text, text, timestamptz, timestamptz) is
  'What an event of a feed says besides when it is.';

create function private.feed_span(p_starts_at timestamptz, p_ends_at timestamptz, p_time_zone text) returns jsonb
language sql stable set search_path = ''
return jsonb_build_object(
  'time_zone', p_time_zone, 'starts', private.feed_local(p_starts_at at time zone p_time_zone),
  'ends', private.feed_local(p_ends_at at time zone p_time_zone)
);
comment on function private.feed_span(timestamptz, timestamptz, text) is 'When an event of a feed is, by the clock of its zone.';

create function private.feed_place(p_location_id uuid) returns text
language sql stable security definer set search_path = ''
return (select concat_ws(', ', l.name, l.address) from public.locations l where l.id = p_location_id);
comment on function private.feed_place(uuid) is 'A place as a calendar shows it: name and address.';

-- The rules somebody or something takes part in (null: all that happen), with what a calendar says of them.
create function private.feed_rules(p_resource_id uuid, p_from date, p_until date)
returns table (rule public.weekly_rules, happening jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select r,
    private.feed_happening(
      'weekly_rules-' || r.id, r.version - 1 + coalesce(s.version - 1, 0),
      case when s.id is not null and s.instructor_id is null then 'TENTATIVE' else 'CONFIRMED' end,
      r.title, r.kind,
      (
        select string_agg(private.feed_place(w.resource_id), '; ' order by private.feed_place(w.resource_id))
        from public.weekly_rule_resources w
        where w.rule_id = r.id
      ),
      (select p.full_name from public.user_profiles p where p.id = s.instructor_id),
      r.created_at, greatest(r.updated_at, s.updated_at)
    )
  from public.weekly_rules r
  left join public.class_schedules s on s.id = r.id and r.source_table = 'class_schedules'
  where r.effective && daterange(p_from, p_until)
    and case
      when p_resource_id is null then s.is_active or exists (select from public.weekly_rule_resources w where w.rule_id = r.id)
      else exists (select from public.weekly_rule_resources w where w.rule_id = r.id and w.resource_id = p_resource_id)
    end;
end;
comment on function private.feed_rules(uuid, date, date) is
  'The weekly rules a resource takes part in (null: all that happen) that hold between two dates, and what a calendar says of them.';

-- A date of a rule is left out when it was cancelled or taken over, or when the clock skips it; it is different when it
-- was moved, or when the clock changes during it or at its end, since what recurs has one length in iCalendar and readers
-- do not agree whether that is counted by the clock. Of a moved date that the clock skips, or that is older than the
-- window, there is nothing to replace: it stands for itself.
create function private.feed_rule_events(p_resource_id uuid, p_from date, p_until date) returns setof jsonb
language sql stable security definer set search_path = ''
begin atomic
  with rules as materialized (
    select (f.rule).id, (f.rule).weekday, (f.rule).start_time, (f.rule).end_time, (f.rule).time_zone, (f.rule).effective, f.happening
    from private.feed_rules(p_resource_id, p_from, p_until) f
  ), odd_days as materialized (
    select distinct z.time_zone, (u.at at time zone z.time_zone)::date as day
    from (select distinct r.time_zone from rules r) z
    cross join lateral private.clock_changes(z.time_zone, p_from - 2, p_until) c
    cross join lateral (values (c.changes_at), (c.changes_at - interval '1 microsecond')) as u(at)
  ), odd_dates as materialized (
    select r.id, d.day, private.local_to_instant(d.day, r.start_time, r.time_zone) as starts_at,
      private.local_end_to_instant(d.day, r.end_time, r.time_zone) as ends_at
    from rules r
    join odd_days d on d.time_zone = r.time_zone and d.day <@ r.effective and extract(dow from d.day) = r.weekday
  ), exceptions as materialized (
    select r.id, e.occurs_on as day, e.kind, e.created_at, o.id is not null and o.starts_at is null as is_skipped,
      case when e.kind = 'moved' then private.local_to_instant(e.moved_to_date, e.moved_start_time, r.time_zone) end as starts_at,
      case when e.kind = 'moved' then private.local_end_to_instant(e.moved_to_date, e.moved_end_time, r.time_zone) end as ends_at
    from rules r
    join public.weekly_rule_exceptions e on e.rule_id = r.id
      and e.occurs_on <@ r.effective and extract(dow from e.occurs_on) = r.weekday
      and (e.occurs_on >= p_from or e.moved_to_date >= p_from)
    left join odd_dates o on o.id = r.id and o.day = e.occurs_on
  ), different as materialized (
    select e.id, e.day, e.starts_at, e.ends_at, e.created_at as changed_at, e.day < p_from or e.is_skipped as stands_alone
    from exceptions e
    where e.starts_at is not null and e.ends_at is not null
    union all
    select o.id, o.day, o.starts_at, o.ends_at, null, false
    from odd_dates o
    join rules r on r.id = o.id
    where o.day >= p_from
      and (o.ends_at - o.starts_at <> r.end_time - r.start_time or o.ends_at at time zone r.time_zone <> o.day + r.end_time)
      and not exists (select from exceptions e where e.id = o.id and e.day = o.day)
  ), left_out as materialized (
    select e.id, e.day from exceptions e where e.starts_at is null or e.ends_at is null or e.is_skipped
    union all
    select o.id, o.day
    from odd_dates o
    where (o.starts_at is null or o.ends_at is null)
      and not exists (select from exceptions e where e.id = o.id and e.day = o.day)
  ), begun as materialized (
    select r.id, (
        select min(g.day::date)
        from (select greatest(lower(r.effective), p_from) as first) f
        cross join lateral generate_series(
          f.first + ((r.weekday - extract(dow from f.first)::integer + 7) % 7), least(upper(r.effective), p_until)::timestamp - interval '1 day',
          interval '7 days'
        ) as g(day)
        where not exists (select from left_out l where l.id = r.id and l.day = g.day::date)
      ) as day
    from rules r
  )
  select r.happening || jsonb_build_object(
      'changed_at', greatest(r.happening ->> 'changed_at', private.feed_instant((select max(e.created_at) from exceptions e where e.id = r.id))),
      'time_zone', r.time_zone,
      'starts', private.feed_local(b.day + r.start_time),
      'lasts', extract(epoch from r.end_time - r.start_time)::integer,
      'until', private.feed_instant((upper(r.effective)::timestamp at time zone r.time_zone) - interval '1 second'),
      'except', array(
        select private.feed_local(l.day + r.start_time) from left_out l where l.id = r.id and l.day > b.day order by l.day
      ))
  from rules r
  join begun b on b.id = r.id
  where b.day is not null
  union all
  select r.happening || private.feed_span(d.starts_at, d.ends_at, r.time_zone)
    || case
      when d.stands_alone then jsonb_build_object('uid', format('weekly_rules-%s-%s@classbase', r.id, d.day))
      else jsonb_build_object('replaces', private.feed_local(d.day + r.start_time))
    end
    || case when d.changed_at is null then '{}'
      else jsonb_build_object('changed_at', greatest(r.happening ->> 'changed_at', private.feed_instant(d.changed_at))) end
  from different d
  join rules r on r.id = d.id;
end;
comment on function private.feed_rule_events(uuid, date, date) is
  'Weekly rules as events of a feed: each as one that recurs, and its dates that are different.';

-- Cancelled classes stay, so that a calendar that shows them already learns of it. Notes and pay are nobody else's.
create function private.feed_assignment_events(p_resource_id uuid, p_from date) returns setof jsonb
language sql stable security definer set search_path = ''
begin atomic
  select private.feed_happening(
      'class_assignments-' || a.id, a.version - 1,
      case
        when a.class_status = 'cancelled' then 'CANCELLED'
        when a.class_status = 'completed' or a.instructor_status = 'accepted' then 'CONFIRMED'
        else 'TENTATIVE'
      end,
      coalesce(t.name, p.name, 'Class'), 'class_assignment', private.feed_place(a.location_id),
      (select i.full_name from public.user_profiles i where i.id = a.instructor_id and a.instructor_status <> 'rejected'),
      a.created_at, a.updated_at
    ) || case
      when a.starts_at is null then jsonb_build_object('on', a.date)
      else private.feed_span(a.starts_at, a.ends_at, a.time_zone)
    end
  from public.class_assignments a
  left join public.class_types t on t.id = a.class_type_id
  left join public.packages p on p.id = a.package_id
  where a.date >= p_from
    and (p_resource_id is null or a.location_id = p_resource_id
      or a.instructor_id = p_resource_id and a.instructor_status <> 'rejected');
end;
comment on function private.feed_assignment_events(uuid, date) is
  'Classes as events of a feed: those of a resource (null: all) since a date; without times they are on a day.';

create function private.feed_meeting_events(p_resource_id uuid, p_from date) returns setof jsonb
language sql stable security definer set search_path = ''
begin atomic
  select private.feed_happening(
      'meetings-' || m.id, m.version - 1, case m.status when 'cancelled' then 'CANCELLED' else 'CONFIRMED' end, m.title, m.kind,
      (
        select string_agg(private.feed_place(w.resource_id), '; ' order by private.feed_place(w.resource_id))
        from public.meeting_participants w
        where w.meeting_id = m.id
      ),
      null, m.created_at, m.updated_at
    ) || private.feed_span(m.starts_at, m.ends_at, m.time_zone)
  from public.meetings m
  where m.starts_at >= p_from::timestamp at time zone 'UTC'
    and (p_resource_id is null
      or exists (select from public.meeting_participants w where w.meeting_id = m.id and w.resource_id = p_resource_id));
end;
comment on function private.feed_meeting_events(uuid, date) is 'Meetings as events of a feed: those of a resource (null: all) since a date.';

create function private.feed_zone(p_time_zone text, p_from date, p_until date) returns jsonb
language sql stable set search_path = ''
begin atomic
  select jsonb_build_object(
    'name', p_time_zone,
    'offset', extract(epoch from (p_from::timestamp at time zone 'UTC' at time zone p_time_zone) - p_from::timestamp)::integer,
    'changes', coalesce(jsonb_agg(jsonb_build_object(
      'at', private.feed_local(c.changes_at at time zone 'UTC' + c.offset_before),
      'from', extract(epoch from c.offset_before)::integer, 'to', extract(epoch from c.offset_after)::integer) order by c.changes_at), '[]'))
  from private.clock_changes(p_time_zone, p_from, p_until) c;
end;
comment on function private.feed_zone(text, date, date) is
  'What the clocks of a zone do between two dates: the offset from UTC in seconds on the first, and each change by the clock before it.';
