-- What is promised: each weekly time of each student on each of its dates, with the reason where one is left out.
-- Generation and diagnosis both ask here, so that they cannot disagree.

create type private.promised_class as (
  student_id uuid, slot_id uuid, occurs_on date, start_time time, end_time time, time_zone text,
  starts_at timestamptz, ends_at timestamptz, course_id uuid, teacher_id uuid, reason text, detail text
);
comment on type private.promised_class is
  'A date of a student''s schedule. reason is null where a class ought to be, else time_zone (there is no such zone any more), clock, closure, pause or time_off, and detail which one.';

-- Dates are stepped through, never instants; and not for each student, but once for each weekly time, however many share
-- it.
create function private.promised_classes(p_student_ids uuid[], p_since_start boolean, p_through date) returns setof private.promised_class
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_yesterday constant date := private.today() - 1;
begin
  return query
  with slots as materialized (
    select s.id as slot_id, s.student_id, s.weekday, s.start_time, s.end_time, s.time_zone, t.course_id, t.teacher_id, b.first, b.last
    from public.students t
    join public.student_schedule_slots s on s.student_id = t.id
    left join private.student_generation g on g.student_id = t.id
    cross join lateral (
      select
        greatest(lower(s.effective), t.start_date,
          case when not p_since_start and g.generated_through is not null then least(g.generated_through + 1, v_yesterday) end) as first,
        least(upper(s.effective) - 1, t.end_date, t.inactive_since - 1, p_through) as last
    ) b
    where t.id = any(p_student_ids) and not isempty(s.effective) and b.first <= b.last
  ),
  times as materialized (
    select s.weekday, s.start_time, s.end_time, s.time_zone, private.is_time_zone(s.time_zone) as is_known, min(s.first) as first, max(s.last) as last
    from slots s
    group by s.weekday, s.start_time, s.end_time, s.time_zone
  ),
  instants as materialized (
    select t.weekday, t.start_time, t.end_time, t.time_zone, t.is_known, d.occurs_on, i.starts_at, i.ends_at,
      (
        select c.name from public.closures c
        where c.location_id is null and i.starts_at < i.ends_at and c.during && tstzrange(i.starts_at, i.ends_at)
        order by c.name limit 1
      ) as closed_for
    from times t
    cross join lateral (select t.first + (t.weekday - extract(dow from t.first)::integer + 7) % 7 as first) f
    cross join lateral (select f.first + 7 * n.no as occurs_on from generate_series(0, (t.last - f.first) / 7) as n(no)) d
    cross join lateral (
      select case when t.is_known then private.local_to_instant(d.occurs_on, t.start_time, t.time_zone) end as starts_at,
        case when t.is_known then private.local_end_to_instant(d.occurs_on, t.end_time, t.time_zone) end as ends_at
      offset 0
    ) i
    where t.last >= f.first
  ),
  pauses as materialized (
    select p.student_id, range_agg(daterange(p.starts_on, p.ends_on, '[]')) as dates
    from public.student_pauses p
    where p.student_id = any(p_student_ids)
    group by p.student_id
  ),
  absences as materialized (
    select t.resource_id, range_agg(t.during) as during
    from public.time_off t
    where t.status = 'approved' and t.resource_id = any(array(select distinct s.teacher_id from slots s))
    group by t.resource_id
  )
  select s.student_id, s.slot_id, i.occurs_on, s.start_time, s.end_time, s.time_zone, i.starts_at, i.ends_at, s.course_id, s.teacher_id, w.reason,
    case w.reason
      when 'time_zone' then s.time_zone
      when 'clock' then private.describe_skipped(i.occurs_on, s.start_time, s.time_zone)
      when 'closure' then i.closed_for
      when 'pause' then (
        select p.reason from public.student_pauses p
        where p.student_id = s.student_id and daterange(p.starts_on, p.ends_on, '[]') @> i.occurs_on
        limit 1
      )
      when 'time_off' then (select r.name from public.resources r where r.id = s.teacher_id)
    end
  from slots s
  join instants i on (i.weekday, i.start_time, i.end_time, i.time_zone) = (s.weekday, s.start_time, s.end_time, s.time_zone)
    and i.occurs_on between s.first and s.last
  left join pauses p on p.student_id = s.student_id
  left join absences o on o.resource_id = s.teacher_id
  cross join lateral (
    select case
      when not i.is_known then 'time_zone'
      when i.starts_at is null or i.ends_at is null or i.starts_at >= i.ends_at then 'clock'
      when i.closed_for is not null then 'closure'
      when p.dates @> i.occurs_on then 'pause'
      when o.during && tstzrange(i.starts_at, i.ends_at) then 'time_off'
    end as reason
  ) w;
end;
$$;
comment on function private.promised_classes(uuid[], boolean, date) is
  'Every date of these students'' schedules through a date: since each start date, or since where generation stopped (and always from yesterday on).';

create function private.generation_through() returns date
language sql stable set search_path = ''
return private.today() + 7 * private.setting_integer('class_horizon_weeks') - 1;
comment on function private.generation_through() is 'The last date classes are generated for: so many weeks from today.';

-- What nobody has touched: as it was made, still to come, and nothing hangs on it.
create function private.is_untouched(p_class public.classes) returns boolean
language sql stable security definer set search_path = ''
return p_class.source = 'generated' and p_class.status = 'scheduled' and p_class.edited_at is null and p_class.payment_status = 'pending'
  and p_class.starts_at > private.now()
  and not exists (select from public.payment_items i where i.source_id = p_class.id and i.source_table = 'classes')
  and not exists (select from public.class_attendance a where a.class_id = p_class.id)
  and not exists (select from public.classes r where r.rescheduled_from = p_class.id);
comment on function private.is_untouched(public.classes) is 'Whether a class is as generation made it and still to come, so that generation may take it away again.';

create function private.has_ended(p_class public.classes) returns boolean
language sql stable security definer set search_path = ''
return not exists (
  select from public.student_schedule_slots s
  join public.students t on t.id = s.student_id
  where s.id = p_class.slot_id and s.effective @> p_class.occurs_on and coalesce(p_class.occurs_on <= t.end_date, true)
    and coalesce(p_class.occurs_on < t.inactive_since, true)
);
comment on function private.has_ended(public.classes) is 'Whether the weekly time a class was made for no longer holds on its date.';
