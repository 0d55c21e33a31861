-- The ledger keeps two classes from taking one person or room. This is about what it cannot know: absences and closed
-- days that came later, overlaps that somebody allowed, classes nobody will teach.
create function private.conflicts_of_studio(p_from date, p_to date) returns table (
  conflict_type text, date date, start_time time, end_time time, title text, resource_name text, message text, source_table text, source_id uuid
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_zone constant text := private.setting_text('organisation_time_zone');
  v_during constant tstzrange := tstzrange(p_from::timestamp at time zone v_zone, (p_to + 1)::timestamp at time zone v_zone);
begin
  perform private.require_permission('read:assignment');
  perform private.require_permission('read:calendar');
  return query
    with uses as materialized (
      select c.resource_id, r.name as resource_name, r.location_id, c.source_table, c.source_id, c.occurs_on, c.title, c.during, c.share_key
      from public.claims c
      join public.resources r on r.id = c.resource_id
      where c.during && v_during and c.kind in ('class_assignment', 'class_schedule')
    ), found as (
      select 'time_off' as conflict_type, u.during, u.title, u.resource_name, format('%s has time off then', u.resource_name) as message, u.source_table, u.source_id
      from uses u
      join public.time_off t on t.resource_id = u.resource_id and t.status = 'approved' and t.during && u.during
      union all
      select distinct 'closure', u.during, u.title, u.resource_name, format('Closed then: %s', c.name), u.source_table, u.source_id
      from uses u
      join public.closures c on c.during && u.during and (c.location_id is null or c.location_id = u.location_id)
      union all
      select 'allowed_overlap', u.during, u.title, u.resource_name, format('%s is in %s at the same time, which an override allows', u.resource_name, o.title),
        u.source_table, u.source_id
      from uses u
      join public.claims o on o.resource_id = u.resource_id and o.during && u.during and o.share_key = u.share_key and o.source_id <> u.source_id
    ), classes as (
      select a.*, coalesce(t.name, p.name, 'Class') as title, i.full_name, i.is_active
      from public.class_assignments a
      join public.user_profiles i on i.id = a.instructor_id
      left join public.class_types t on t.id = a.class_type_id
      left join public.packages p on p.id = a.package_id
      where a.date between p_from and p_to and a.class_status = 'scheduled'
    ), told as (
      select f.conflict_type, (lower(f.during) at time zone v_zone)::date as date, (lower(f.during) at time zone v_zone)::time as start_time,
        (upper(f.during) at time zone v_zone)::time as end_time, f.title, f.resource_name, f.message, f.source_table, f.source_id
      from found f
      union all
      select 'rejected', c.date, c.start_time, c.end_time, c.title, c.full_name, format('%s will not teach it: ask somebody else', c.full_name), 'class_assignments', c.id
      from classes c
      where c.instructor_status = 'rejected' and c.date >= private.today()
      union all
      select 'instructor_left', c.date, c.start_time, c.end_time, c.title, c.full_name, format('%s has left: ask somebody else', c.full_name), 'class_assignments', c.id
      from classes c
      where not c.is_active and c.date >= private.today()
      union all
      select 'over_full', c.date, c.start_time, c.end_time, c.title, c.full_name,
        format('%s take part, and there is room for %s', n.participants, private.max_participants(c.id)), 'class_assignments', c.id
      from classes c
      join private.participant_counts n on n.assignment_id = c.id
      where n.participants > private.max_participants(c.id)
      union all
      select case when s.instructor_id is null then 'no_instructor' else 'instructor_left' end, d.day, s.start_time, s.end_time, t.name, i.full_name,
        case when s.instructor_id is null then 'Nobody teaches this schedule' else format('%s, who teaches this schedule, has left', i.full_name) end,
        'class_schedules', s.id
      from public.class_schedules s
      join public.class_types t on t.id = s.class_type_id
      left join public.user_profiles i on i.id = s.instructor_id
      cross join lateral (
        select min(g.day)::date as day
        from generate_series(greatest(p_from, s.effective_from)::timestamp, least(p_to, greatest(p_from, s.effective_from) + 6)::timestamp, interval '1 day') as g(day)
        where extract(dow from g.day) = s.day_of_week and g.day::date <@ daterange(s.effective_from, s.effective_until, '[]')
      ) d
      where s.is_active and (s.instructor_id is null or not i.is_active) and d.day is not null
      union all
      select 'schedules_meet', (lower(m.during) at time zone v_zone)::date, (lower(m.during) at time zone v_zone)::time, (upper(m.during) at time zone v_zone)::time,
        r.title, m.resource_name, format('%s will be in %s at the same time', m.resource_name, m.with_title), 'class_schedules', m.rule_id
      from private.rules_that_meet(array(select s.id from public.class_schedules s where s.is_active)) m
      join public.weekly_rules r on r.id = m.rule_id
    )
    select t.conflict_type, t.date, t.start_time, t.end_time, t.title, t.resource_name, t.message, t.source_table, t.source_id
    from told t
    order by t.date, t.start_time nulls first, t.title, t.conflict_type, t.source_id;
end;
$$;
comment on function private.conflicts_of_studio(date, date) is 'What public.studio_conflicts returns, for a holder of read:assignment and read:calendar.';

create function public.studio_conflicts(p_from date default null, p_to date default null) returns table (
  conflict_type text, date date, start_time time, end_time time, title text, resource_name text, message text, source_table text, source_id uuid
)
language plpgsql stable set search_path = ''
as $$
#variable_conflict use_column
declare
  v_from constant date := coalesce(p_from, private.today());
  v_to constant date := coalesce(p_to, v_from + 27);
begin
  perform private.fail_input(
    private.input_error(v_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
    || private.input_error(v_to not between date '1970-01-01' and date '2199-12-31', 'p_to', 'A date lies between 1970 and 2199')
    || private.input_error(v_to < v_from, 'p_to', 'The last day must not be before the first')
    || private.input_error(isfinite(v_from) and isfinite(v_to) and v_to - v_from > 400, 'p_to', 'At most 400 days at once'));
  return query select c.* from private.conflicts_of_studio(v_from, v_to) c;
end;
$$;
comment on function public.studio_conflicts(date, date) is
  'What somebody at the desk has to settle from p_from (today) to p_to (four weeks), both included: time_off and closure (classes on days that were given off or closed later), rejected (nobody will teach it), instructor_left, no_instructor (a schedule nobody teaches; its first date), over_full, allowed_overlap (an override lets it), schedules_meet (beyond the horizon). Times are the organisation''s for what is in the ledger, else the class''s own. Needs read:assignment and read:calendar. Raises forbidden, invalid_input.';
