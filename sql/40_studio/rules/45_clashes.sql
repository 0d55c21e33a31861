-- What stands in the way of classes, all of it at once, before they are written. Two who ask at the same time may both be
-- told that nothing does: then the ledger decides.

create type private.assignment_clash as (
  row_number integer,
  resource_id uuid,
  resource_name text,
  conflict_type text,
  source_table text,
  source_id uuid,
  with_row_number integer,
  starts_at timestamptz,
  ends_at timestamptz,
  message text
);
comment on type private.assignment_clash is 'What is in the way of one class of a list: which class, of whom, what, when, and a sentence.';

create function private.conflict_type(p_resource_kind text, p_source_table text, p_kind text) returns text
language sql immutable set search_path = ''
return case
    when p_source_table = 'class_assignments' then case p_resource_kind when 'place' then 'location_assignment' else 'instructor_assignment' end
    when p_kind = 'class_schedule' then case p_resource_kind when 'place' then 'location_schedule' else 'instructor_schedule' end
    else p_kind
  end;
comment on function private.conflict_type(text, text, text) is
  'instructor_assignment, instructor_schedule, location_assignment, location_schedule, or the ledger''s own kind, such as meeting.';

create function private.assignment_clashes(p_rows public.class_assignments[]) returns setof private.assignment_clash
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sees_all constant boolean := private.has_permission('read:calendar');
  v_self constant uuid := private.current_profile_id();
begin
  return query
    with wanted as materialized (
      select g.n, r.id, r.schedule_id, r.occurs_on, u.resource_id, tstzrange(r.starts_at, r.ends_at) as during,
        coalesce(t.name, p.name, 'Class') as title
      from generate_subscripts(p_rows, 1) as g(n)
      cross join lateral unnest(array[p_rows[g.n]]) as r
      left join public.class_types t on t.id = r.class_type_id
      left join public.packages p on p.id = r.package_id
      cross join lateral (
        select r.instructor_id as resource_id where r.instructor_status is distinct from 'rejected'
        union select r.location_id where r.location_id is not null
      ) u
      where r.starts_at is not null and r.class_status is distinct from 'cancelled'
    ), found as (
      -- What is there already, but for what these classes leave or take over themselves.
      select w.n, w.resource_id, c.source_table, c.source_id, null::integer as with_n, c.kind, c.title, c.during
      from wanted w
      join public.claims c on c.resource_id = w.resource_id and c.during && w.during
      where not exists (select from wanted o where c.source_table = 'class_assignments' and o.id = c.source_id)
        and not exists (
          select from wanted o where c.source_table = 'weekly_rules' and o.schedule_id = c.source_id and o.occurs_on = c.occurs_on
        )
      union all
      select a.n, a.resource_id, 'class_assignments', null, b.n, 'class_assignment', b.title, b.during
      from wanted a
      join wanted b on b.resource_id = a.resource_id and b.during && a.during and b.n <> a.n
    ), dated as (
      select g.n, r.id, r.schedule_id, r.occurs_on
      from generate_subscripts(p_rows, 1) as g(n)
      cross join lateral unnest(array[p_rows[g.n]]) as r
      where r.schedule_id is not null and r.occurs_on is not null and r.class_status is distinct from 'cancelled'
    ), dates as (
      -- A date of a schedule is taken once, whatever the time.
      select d.n, d.occurs_on, e.taken_by_table, e.taken_by_id, e.kind, null::integer as with_n
      from dated d
      join public.weekly_rule_exceptions e on e.rule_id = d.schedule_id and e.occurs_on = d.occurs_on
      where e.kind <> 'cancelled' and e.taken_by_id is distinct from d.id
      union all
      select a.n, a.occurs_on, 'class_assignments', null, 'taken_over', b.n
      from dated a
      join dated b on b.schedule_id = a.schedule_id and b.occurs_on = a.occurs_on and b.n <> a.n
    )
    select f.n, f.resource_id, s.name,
      case when t.is_told then private.conflict_type(s.kind, f.source_table, f.kind) else 'busy' end,
      case when t.is_told then f.source_table end, case when t.is_told then f.source_id end, f.with_n,
      lower(f.during), upper(f.during),
      case when f.with_n is not null then format('%s would be in two classes of this list, %s', s.name, private.describe_range(f.during))
        else format('%s is already %s, %s', s.name, case when t.is_told then 'in ' || f.title else 'taken' end, private.describe_range(f.during)) end
    from found f
    join public.resources s on s.id = f.resource_id
    cross join lateral (select v_sees_all or f.resource_id = v_self as is_told) t
    union all
    select d.n, null, null, 'schedule_date', d.taken_by_table, d.taken_by_id, d.with_n, null, null,
      case when d.with_n is not null then format('%s of this schedule would be assigned twice in this list', d.occurs_on)
        else format('%s of this schedule is already %s', d.occurs_on, case d.kind when 'taken_over' then 'assigned' else d.kind end) end
    from dates d
    order by 1, 8, 3;
end;
$$;
comment on function private.assignment_clashes(public.class_assignments[]) is
  'Everything in the way of these classes (row_number counts them from 1), in the ledger and among themselves; what stands there is named as far as the caller may read it.';

create function private.refuse_clashes(p_clashes private.assignment_clash[], p_temp_ids text[] default '{}') returns void
language plpgsql stable set search_path = ''
as $$
begin
  if cardinality(p_clashes) > 0 then
    perform private.fail('time_conflict',
      p_clashes[1].message || case when cardinality(p_clashes) > 1 then format(' (and %s more)', cardinality(p_clashes) - 1) else '' end,
      p_details => jsonb_build_object('count', cardinality(p_clashes), 'conflicts', (
        select jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
          'row', c.row_number - 1, 'assignment_temp_id', p_temp_ids[c.row_number], 'resource_id', c.resource_id, 'resource_name', c.resource_name,
          'conflict_type', c.conflict_type, 'with_row', c.with_row_number - 1, 'with_assignment_temp_id', p_temp_ids[c.with_row_number],
          'conflicts_with', jsonb_build_object('source_table', c.source_table, 'source_id', c.source_id, 'starts_at', c.starts_at, 'ends_at', c.ends_at),
          'message', c.message)) order by c.row_number, c.starts_at)
        from unnest(p_clashes) c
      )),
      p_hint => 'Choose another time, or somebody or somewhere else; suggest_instructors() says who is free.');
  end if;
end;
$$;
comment on function private.refuse_clashes(private.assignment_clash[], text[]) is 'Raises time_conflict naming every one of these clashes, with the caller''s own ids for the rows.';
