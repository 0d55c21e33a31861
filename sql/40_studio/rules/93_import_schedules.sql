-- Importing class schedules, with the dates they are called off and moved on.

create function private.schedule_columns() returns jsonb
language sql immutable set search_path = ''
return '{"id": "uuid", "class_type": "class_type:class_type_id", "day_of_week": "weekday", "start_time": "time", "end_time": "time",
  "duration_minutes": "count", "time_zone": "text", "instructor": "person:instructor_id", "location": "location:location_id",
  "max_participants": "count", "is_active": "boolean", "effective_from": "date", "effective_until": "date", "notes": "text",
  "called_off": "list", "moved": "list", "created_by": "login", "created_at": "instant"}'::jsonb;
comment on function private.schedule_columns() is 'The columns of a file of class schedules, each with its kind.';

create function private.read_schedules(p_items private.import_item[]) returns setof public.class_schedules
language sql stable security definer set search_path = ''
begin atomic
  select s.*
  from unnest(p_items) i
  cross join lateral private.complete_schedule(jsonb_populate_record(null::public.class_schedules,
    jsonb_build_object('is_active', true, 'effective_from', private.today())
    || jsonb_strip_nulls(i.fields - array['called_off', 'moved']) || jsonb_build_object('id', i.id)), null) s
  where i.fate = 'new'
  order by i.row_number;
end;
comment on function private.read_schedules(private.import_item[]) is 'The schedules these rows ask for, in their order.';

-- A called-off date is written 2026-11-30, a moved one 2026-11-30 > 2026-12-01 10:00-11:00; what follows is why.
create function private.read_schedule_dates(p_items private.import_item[]) returns table (
  row_number integer, column_name text, text text, rule_id uuid, occurs_on date, moved_to_date date, moved_start_time time, moved_end_time time, reason text
)
language sql immutable set search_path = ''
begin atomic
  select i.row_number, c.name, t.text, i.id, private.text_to_date(left(t.text, 10)), private.text_to_date(m.parts[1]), private.text_to_time(m.parts[2]),
    private.text_to_time(m.parts[3]), case c.name when 'moved' then private.clean_text(m.parts[4]) else private.clean_text(substr(t.text, 11)) end
  from unnest(p_items) i
  cross join lateral (values ('called_off'), ('moved')) as c(name)
  cross join lateral jsonb_array_elements_text(coalesce(nullif(i.fields -> c.name, 'null'), '[]')) as t(text)
  left join lateral regexp_match(t.text, '^\S{10} *> *(\S{10}) +(\d\d?:\d\d(?::\d\d)?) *- *(\d\d?:\d\d(?::\d\d)?)(.*)$') as m(parts) on c.name = 'moved'
  where i.fate = 'new';
end;
comment on function private.read_schedule_dates(private.import_item[]) is 'The dates on which schedules of a file are called off or moved; null where they cannot be read.';

create function private.faults_of_schedules(p_items private.import_item[]) returns private.import_fault[]
language sql stable security definer set search_path = ''
return array(
  select f
  from unnest(p_items) i
  join private.read_schedules(p_items) s on s.id = i.id
  cross join lateral private.faults_of_errors(i,
    private.schedule_errors(s, null), private.schedule_columns()) f
) || array(
  select row(i.row_number, i.line, d.column_name, 'invalid_input', w.reason, d.text)::private.import_fault
  from private.read_schedule_dates(p_items) d
  join unnest(p_items) i on i.row_number = d.row_number
  join private.read_schedules(p_items) s on s.id = i.id
  cross join lateral (
    values
      (d.occurs_on is null or length(d.text) > 10 and substr(d.text, 11, 1) <> ' ', 'A date is written 2026-01-31'),
      (d.column_name = 'moved' and not coalesce(d.moved_start_time < d.moved_end_time and d.moved_to_date is not null, false),
        'A moved date is written 2026-01-31 > 2026-02-01 10:00-11:00'),
      (extract(dow from d.occurs_on) <> s.day_of_week or not d.occurs_on <@ daterange(s.effective_from, s.effective_until, '[]'),
        'The schedule does not have this date'),
      (length(d.reason) > 1000, 'A reason has at most 1000 characters'),
      (private.is_time_zone(s.time_zone) and (private.local_to_instant(d.moved_to_date, d.moved_start_time, s.time_zone) is null
        or private.local_end_to_instant(d.moved_to_date, d.moved_end_time, s.time_zone) is null) and d.moved_to_date is not null, 'The clock skips this time')
  ) as w(applies, reason)
  where w.applies and (s.effective_from <= s.effective_until or s.effective_until is null)
);
comment on function private.faults_of_schedules(private.import_item[]) is 'What is wrong with the schedules of a file, and with the dates they are called off and moved on.';

-- Against what is there, and against the other rows. Dates that are called off or moved are in nobody's way where they were.
create function private.clashes_of_schedules(p_items private.import_item[]) returns jsonb
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan
as $$
begin
  return coalesce((
    with rules as materialized (
      select i.row_number, i.line, t.name as title, s.time_zone, r as rule, u.resource_id
      from unnest(p_items) i
      join private.read_schedules(p_items) s on s.id = i.id and s.is_active
      join public.class_types t on t.id = s.class_type_id
      cross join lateral (select s.instructor_id as resource_id union select s.location_id) u
      cross join lateral jsonb_populate_record(null::public.weekly_rules, jsonb_build_object('id', s.id, 'weekday', s.day_of_week,
        'start_time', s.start_time, 'end_time', s.end_time, 'time_zone', s.time_zone, 'effective', daterange(s.effective_from, s.effective_until, '[]'))) r
      where u.resource_id is not null
    ), left_dates as materialized (
      select d.rule_id, d.occurs_on from private.read_schedule_dates(p_items) d
    ), found as (
      select distinct on (r.row_number, c.resource_id, c.source_table, c.source_id)
        r.row_number, r.line, r.title, c.resource_name, c.conflict_type, c.source_table, c.source_id, null::integer as with_row, null::integer as with_line,
        c.starts_at, c.ends_at, c.message
      from rules r
      cross join lateral private.weekly_conflicts(array[r.resource_id], r.rule, 1000) c
      where not exists (
        select from left_dates d
        where d.rule_id = (r.rule).id
          and tstzrange(private.local_to_instant(d.occurs_on, (r.rule).start_time, r.time_zone), private.local_end_to_instant(d.occurs_on, (r.rule).end_time, r.time_zone))
            && tstzrange(c.starts_at, c.ends_at)
      )
      order by r.row_number, c.resource_id, c.source_table, c.source_id, c.starts_at
    ), among as (
      select distinct on (a.row_number, b.row_number, a.resource_id)
        a.row_number, a.line, a.title, s.name as resource_name, case s.kind when 'place' then 'location_schedule' else 'instructor_schedule' end as conflict_type,
        null::text as source_table, null::uuid as source_id, b.row_number as with_row, b.line as with_line, lower(m.during) as starts_at, upper(m.during) as ends_at,
        format('%s is needed by line %s (%s) at the same time, first %s', s.name, b.line, b.title, private.describe_range(m.during)) as message
      from rules a
      join rules b on b.resource_id = a.resource_id and b.row_number <> a.row_number
        and (a.time_zone <> b.time_zone or (a.rule).weekday = (b.rule).weekday and (a.rule).start_time < (b.rule).end_time and (b.rule).start_time < (a.rule).end_time)
      cross join lateral (
        select m.during
        from private.rule_meets(a.rule, b.rule, private.now()) m
        where not exists (select from left_dates d where (d.rule_id, d.occurs_on) in (((a.rule).id, m.occurs_on), ((b.rule).id, m.other_occurs_on)))
        order by m.during
        limit 1
      ) m
      cross join lateral (
        select p.full_name as name, 'person' as kind from public.user_profiles p where p.id = a.resource_id
        union all select l.name, 'place' from public.locations l where l.id = a.resource_id
      ) s
    )
    select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('row', f.row_number, 'line', f.line, 'title', f.title, 'resource', f.resource_name,
      'conflict_type', f.conflict_type, 'source_table', f.source_table, 'source_id', f.source_id, 'with_row', f.with_row, 'with_line', f.with_line,
      'starts_at', f.starts_at, 'ends_at', f.ends_at, 'message', f.message)) order by f.row_number, f.with_row nulls first, f.starts_at)
    from (select * from found union all select * from among) f
  ), '[]');
end;
$$;
comment on function private.clashes_of_schedules(private.import_item[]) is
  'What the active schedules of a file run into: what is there, and each other; for each the first time.';

create function private.import_schedule_rows(p_rows jsonb, p_request jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set work_mem = '64MB' set jit = off
as $$
declare
  v_items private.import_item[];
  v_faults private.import_fault[];
  v_clashes jsonb := '[]';
  v_report jsonb;
begin
  perform private.require_permission('manage:schedules');
  perform private.start_import('schedules', p_request);
  select r.p_items, r.p_faults into v_items, v_faults
  from private.read_cells('schedule', p_rows, private.schedule_columns(), array['created_by', 'created_at']) r;
  v_faults := v_faults || private.faults_of_repeats(v_items, 'id');
  v_items := private.with_fate(v_items, 'present', array(select i.row_number from unnest(v_items) i join public.class_schedules s on s.id = i.id));
  v_faults := v_faults || private.faults_of_schedules(v_items);
  -- Rows that make no sense cannot be compared.
  if cardinality(v_faults) = 0 then
    v_clashes := private.clashes_of_schedules(v_items);
  end if;
  if p_request ->> 'on_conflict' = 'skip' then
    v_items := private.with_fate(v_items, 'left_out', (
      select private.rows_to_leave_out(array_agg((c ->> 'row')::integer), array_agg((c ->> 'with_row')::integer)) from jsonb_array_elements(v_clashes) c
    ));
  end if;
  v_report := private.import_items_report(p_request, v_items, v_faults, v_clashes);
  if (p_request ->> 'dry_run')::boolean then
    return v_report;
  end if;
  if (v_report ->> 'refused')::boolean then
    perform private.refuse_items(v_report);
  end if;
  -- Not active yet: they take no time until their dates are called off and moved.
  insert into public.class_schedules (id, class_type_id, day_of_week, start_time, end_time, time_zone, instructor_id, location_id, duration_minutes,
    max_participants, is_active, effective_from, effective_until, notes, created_by, created_at)
  select s.id, s.class_type_id, s.day_of_week, s.start_time, s.end_time, s.time_zone, s.instructor_id, s.location_id, s.duration_minutes,
    s.max_participants, false, s.effective_from, s.effective_until, s.notes, coalesce(s.created_by, private.caller_id()), coalesce(s.created_at, private.now())
  from private.read_schedules(v_items) s;
  insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, moved_to_date, moved_start_time, moved_end_time, reason)
  select d.rule_id, d.occurs_on, case d.column_name when 'moved' then 'moved' else 'cancelled' end, d.moved_to_date, d.moved_start_time, d.moved_end_time, d.reason
  from private.read_schedule_dates(v_items) d
  order by d.rule_id, d.occurs_on
  on conflict do nothing;
  update public.class_schedules s set is_active = true
  where s.id in (select r.id from private.read_schedules(v_items) r where r.is_active);
  return v_report;
end;
$$;
comment on function private.import_schedule_rows(jsonb, jsonb) is
  'Imports class schedules, or says what importing them would do, for a holder of manage:schedules.';
