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

-- Wall-clock times are written without a zone, and instants as the clock in UTC shows them, since that is how both become
-- JSON whatever the session's time zone is.
create type private.feed_event as (
  uid text, sequence integer, status text, summary text, category text, location text, description text,
  created_at timestamp, changed_at timestamp,
  time_zone text, starts timestamp, ends timestamp, on_date date,
  replaces timestamp, lasts integer, until timestamp, leaves_out timestamp[]
);
comment on type private.feed_event is
  'An event of a calendar feed: from starts to ends by the clock of its zone (instead of the date of a recurring one that starts at replaces), or on_date, or every week from starts on, lasting so many seconds, until an instant, without those starts.';

-- A date of a rule is left out when it was cancelled or taken over, or when the clock skips it; it is different when it
-- was moved, or when the clock changes during it or at its end, since what recurs has one length in iCalendar and readers
-- do not agree whether that is counted by the clock. Of a moved date that the clock skips, or that is older than the
-- window, there is nothing to replace: it stands for itself.
create function private.feed_rule_events(p_resource_id uuid, p_from date, p_until date) returns setof private.feed_event
language sql stable security definer set search_path = ''
begin atomic
  with rules as materialized (
    select r.id, r.title, r.kind, r.weekday, r.start_time, r.end_time, r.time_zone, r.effective,
      r.version - 1 + coalesce(s.version - 1, 0) as sequence,
      case when s.id is not null and s.instructor_id is null then 'TENTATIVE' else 'CONFIRMED' end as status,
      p.full_name as description,
      date_trunc('second', r.created_at at time zone 'UTC') as created_at,
      date_trunc('second', greatest(r.updated_at, s.updated_at) at time zone 'UTC') as changed_at
    from public.weekly_rules r
    left join public.class_schedules s on s.id = r.id and r.source_table = 'class_schedules'
    left join public.user_profiles p on p.id = s.instructor_id
    where r.effective && daterange(p_from, p_until)
      and case
        when p_resource_id is null then s.is_active or exists (select from public.weekly_rule_resources w where w.rule_id = r.id)
        else exists (select from public.weekly_rule_resources w where w.rule_id = r.id and w.resource_id = p_resource_id)
      end
  ), places as materialized (
    select w.rule_id, string_agg(concat_ws(', ', l.name, l.address), '; ' order by l.name) as location
    from public.weekly_rule_resources w
    join public.locations l on l.id = w.resource_id
    where w.rule_id in (select r.id from rules r)
    group by w.rule_id
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
    select r.id, e.occurs_on as day, date_trunc('second', e.created_at at time zone 'UTC') as changed_at,
      o.id is not null and o.starts_at is null as is_skipped,
      case when e.kind = 'moved' then private.local_to_instant(e.moved_to_date, e.moved_start_time, r.time_zone) end as starts_at,
      case when e.kind = 'moved' then private.local_end_to_instant(e.moved_to_date, e.moved_end_time, r.time_zone) end as ends_at
    from rules r
    join public.weekly_rule_exceptions e on e.rule_id = r.id
      and e.occurs_on <@ r.effective and extract(dow from e.occurs_on) = r.weekday
      and (e.occurs_on >= p_from or e.moved_to_date >= p_from)
    left join odd_dates o on o.id = r.id and o.day = e.occurs_on
  ), odd_regular_dates as materialized (
    select o.* from odd_dates o where not exists (select from exceptions e where e.id = o.id and e.day = o.day)
  ), different as materialized (
    select e.id, e.day, e.starts_at, e.ends_at, e.changed_at, e.day < p_from or e.is_skipped as stands_alone
    from exceptions e
    where e.starts_at is not null and e.ends_at is not null
    union all
    select o.id, o.day, o.starts_at, o.ends_at, null, false
    from odd_regular_dates o
    join rules r on r.id = o.id
    where o.day >= p_from
      and (o.ends_at - o.starts_at <> r.end_time - r.start_time or o.ends_at at time zone r.time_zone <> o.day + r.end_time)
  ), left_out as materialized (
    select e.id, e.day from exceptions e where e.starts_at is null or e.ends_at is null or e.is_skipped
    union all
    select o.id, o.day from odd_regular_dates o where o.starts_at is null or o.ends_at is null
  ), begun as materialized (
    select d.id, min(d.day) as day
    from (
      select r.id, g.day::date as day
      from rules r
      cross join lateral (select greatest(lower(r.effective), p_from) as first) f
      cross join lateral generate_series(
        f.first + ((r.weekday - extract(dow from f.first)::integer + 7) % 7), least(upper(r.effective), p_until)::timestamp - interval '1 day',
        interval '7 days'
      ) as g(day)
      except
      select l.id, l.day from left_out l
    ) d
    group by d.id
  ), changed as materialized (
    select e.id, max(e.changed_at) as at from exceptions e group by e.id
  ), starts_left_out as materialized (
    select r.id, array_agg(l.day + r.start_time order by l.day) as starts
    from left_out l
    join rules r on r.id = l.id
    join begun b on b.id = l.id and l.day > b.day
    group by r.id
  )
  select format('weekly_rules-%s@classbase', r.id), r.sequence, r.status, r.title, r.kind, p.location, r.description,
    r.created_at, greatest(r.changed_at, c.at), r.time_zone, b.day + r.start_time, null::timestamp, null::date, null::timestamp,
    extract(epoch from r.end_time - r.start_time)::integer,
    (upper(r.effective)::timestamp at time zone r.time_zone) at time zone 'UTC' - interval '1 second', o.starts
  from rules r
  join begun b on b.id = r.id
  left join places p on p.rule_id = r.id
  left join changed c on c.id = r.id
  left join starts_left_out o on o.id = r.id
  union all
  select format(case when d.stands_alone then 'weekly_rules-%s-%s@classbase' else 'weekly_rules-%s@classbase' end, r.id, d.day),
    r.sequence, r.status, r.title, r.kind, p.location, r.description, r.created_at, greatest(r.changed_at, d.changed_at),
    r.time_zone, d.starts_at at time zone r.time_zone, d.ends_at at time zone r.time_zone, null,
    case when not d.stands_alone then d.day + r.start_time end, null, null, null
  from different d
  join rules r on r.id = d.id
  left join places p on p.rule_id = r.id;
end;
comment on function private.feed_rule_events(uuid, date, date) is
  'The weekly rules a resource takes part in (null: all that happen) between two dates: each as one event that recurs, and its dates that are different.';

-- Cancelled classes stay, so that a calendar that shows them already learns of it. Notes and pay are nobody else's.
create function private.feed_assignment_events(p_resource_id uuid, p_from date) returns setof private.feed_event
language sql stable security definer set search_path = ''
begin atomic
  select format('class_assignments-%s@classbase', a.id), a.version - 1,
    case
      when a.class_status = 'cancelled' then 'CANCELLED'
      when a.class_status = 'completed' or a.instructor_status = 'accepted' then 'CONFIRMED'
      else 'TENTATIVE'
    end,
    coalesce(t.name, p.name, 'Class'), 'class_assignment', nullif(concat_ws(', ', l.name, l.address), ''), i.full_name,
    date_trunc('second', a.created_at at time zone 'UTC'), date_trunc('second', a.updated_at at time zone 'UTC'),
    case when a.starts_at is not null then a.time_zone end, a.starts_at at time zone a.time_zone, a.ends_at at time zone a.time_zone,
    case when a.starts_at is null then a.date end, null::timestamp, null::integer, null::timestamp, null::timestamp[]
  from public.class_assignments a
  left join public.class_types t on t.id = a.class_type_id
  left join public.packages p on p.id = a.package_id
  left join public.locations l on l.id = a.location_id
  left join public.user_profiles i on i.id = a.instructor_id and a.instructor_status <> 'rejected'
  where a.date >= p_from
    and (p_resource_id is null or a.location_id = p_resource_id
      or a.instructor_id = p_resource_id and a.instructor_status <> 'rejected');
end;
comment on function private.feed_assignment_events(uuid, date) is
  'Classes as events of a feed: those of a resource (null: all) since a date; without times they are on a day.';

create function private.feed_meeting_events(p_resource_id uuid, p_from date) returns setof private.feed_event
language sql stable security definer set search_path = ''
begin atomic
  select format('meetings-%s@classbase', m.id), m.version - 1, case m.status when 'cancelled' then 'CANCELLED' else 'CONFIRMED' end,
    m.title, m.kind, p.location, null, date_trunc('second', m.created_at at time zone 'UTC'),
    date_trunc('second', m.updated_at at time zone 'UTC'), m.time_zone, m.starts_at at time zone m.time_zone,
    m.ends_at at time zone m.time_zone, null::date, null::timestamp, null::integer, null::timestamp, null::timestamp[]
  from public.meetings m
  left join lateral (
    select string_agg(concat_ws(', ', l.name, l.address), '; ' order by l.name) as location
    from public.meeting_participants w
    join public.locations l on l.id = w.resource_id
    where w.meeting_id = m.id
  ) p on true
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
      'at', c.changes_at at time zone 'UTC' + c.offset_before,
      'from', extract(epoch from c.offset_before)::integer, 'to', extract(epoch from c.offset_after)::integer) order by c.changes_at), '[]'))
  from private.clock_changes(p_time_zone, p_from, p_until) c;
end;
comment on function private.feed_zone(text, date, date) is
  'What the clocks of a zone do between two dates: the offset from UTC in seconds on the first, and each change by the clock before it.';
