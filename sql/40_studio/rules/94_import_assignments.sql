-- Importing classes: those to come and those that are over, with their pay, their answers and the bookings they serve.

create function private.assignment_columns() returns jsonb
language sql immutable set search_path = ''
return '{"id": "uuid", "date": "date", "start_time": "time", "end_time": "time", "time_zone": "text", "instructor": "person:instructor_id",
  "class_type": "class_type:class_type_id", "package": "package:package_id", "location": "location:location_id", "payment_amount": "amount",
  "payment_type": "word", "rate": "amount", "rate_id": "rate", "schedule_type": "word", "booking_type": "word", "class_status": "word",
  "payment_status": "word", "instructor_status": "word", "instructor_response_at": "instant", "notes": "text", "schedule_id": "schedule",
  "occurs_on": "date", "plan_id": "uuid", "booking_ids": "list", "assigned_by": "login", "assigned_at": "instant", "created_at": "instant",
  "archived_by": "login", "archived_at": "instant"}'::jsonb;
comment on function private.assignment_columns() is 'The columns of a file of classes, each with its kind.';

create type private.import_class as (
  row_number integer, line integer, class public.class_assignments, booking_ids text[], archived_at timestamptz, archived_by uuid
);
comment on type private.import_class is 'The class one row of a file asks for, the bookings it serves, and since when it is in the archive, if it is.';

-- What a file has no column for, a schedule fills in; an empty cell of a column it has says that there is none.
create function private.read_class(p_item private.import_item) returns private.import_class
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_class public.class_assignments := private.read_draft(p_item.fields - array['booking_ids', 'archived_by', 'archived_at']);
  v_archived_at constant timestamptz := (p_item.fields ->> 'archived_at')::timestamptz;
begin
  v_class := jsonb_populate_record(v_class, (
    select coalesce(jsonb_object_agg(f.key, f.value), '{}')
    from jsonb_each(jsonb_strip_nulls(p_item.fields)) as f(key, value)
    where f.key in ('class_status', 'payment_status', 'instructor_status', 'occurs_on')
  ));
  v_class.id := p_item.id;
  v_class.version := 1;
  v_class.assigned_by := coalesce(v_class.assigned_by, private.caller_id());
  v_class.assigned_at := coalesce(v_class.assigned_at, private.now());
  v_class.created_at := coalesce(v_class.created_at, private.now());
  v_class.updated_at := private.now();
  if v_archived_at is not null then
    v_class.payment_amount := coalesce(v_class.payment_amount, 0);
  end if;
  return row(p_item.row_number, p_item.line, v_class,
    array(select distinct b.code from jsonb_array_elements_text(coalesce(nullif(p_item.fields -> 'booking_ids', 'null'), '[]')) as b(code) order by 1),
    v_archived_at, (p_item.fields ->> 'archived_by')::uuid);
end;
$$;
comment on function private.read_class(private.import_item) is 'The class one row of a file asks for.';

create function private.class_errors(p_class private.import_class) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_class constant public.class_assignments := p_class.class;
  v_stands constant boolean := v_class.class_status is distinct from 'cancelled' and p_class.archived_at is null;
  v_errors jsonb;
begin
  -- A date that was called off, or is long over, need not be the schedule's any more.
  v_errors := coalesce((
    select jsonb_agg(e.error) from jsonb_array_elements(private.draft_errors(v_class)) as e(error) where v_stands or e.error ->> 'field' <> 'occurs_on'
  ), '[]');
  return v_errors
    || private.input_error(v_class.class_status = 'completed' and coalesce(v_class.starts_at > private.now(), v_class.date > private.today()),
      'class_status', 'This class has not begun yet')
    || private.input_error(v_class.payment_status <> 'pending' and not private.has_permission('manage:pay'), 'payment_status',
      'Whoever may manage:pay says what is paid')
    || private.input_error(v_class.rate_id is not null
        and not exists (select from public.instructor_rates r where r.id = v_class.rate_id and r.instructor_id = v_class.instructor_id),
      'rate_id', 'This is no rate of the instructor''s')
    || coalesce((
      select private.input_error(true, 'date', format('The pay period %s is closed', p.name))
      from public.pay_periods p
      where p.status = 'closed' and v_class.date between p.starts_on and p.ends_on
    ), '[]');
end;
$$;
comment on function private.class_errors(private.import_class) is 'What is wrong with a class of a file, every field at once.';

create function private.faults_of_links(p_classes private.import_class[]) returns private.import_fault[]
language sql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan
begin atomic
  with links as materialized (
    select c.row_number, c.line, u.code, b.status, (c.class).class_status as class_status, c.archived_at,
      coalesce(s.max_participants, t.max_participants) as room
    from unnest(p_classes) c
    left join public.class_schedules s on s.id = (c.class).schedule_id
    left join public.class_types t on t.id = coalesce((c.class).class_type_id, s.class_type_id)
    cross join lateral unnest(c.booking_ids) as u(code)
    left join public.bookings b on b.booking_id = u.code
  ), faults as (
    select l.row_number, l.line, 'invalid_input' as code, 'There is no booking of this code' as reason, l.code as value
    from links l
    where l.status is null
    union all
    select l.row_number, l.line, 'seats_full', format('The class has room for %s, not for %s', l.room, count(*)), null
    from links l
    where l.status <> 'cancelled' and l.class_status <> 'cancelled' and l.archived_at is null
    group by l.row_number, l.line, l.room
    having count(*) > l.room
  )
  select coalesce(array_agg(row(f.row_number, f.line, 'booking_ids', f.code, f.reason, left(f.value, 200))::private.import_fault order by f.row_number, f.value), '{}')
  from faults f;
end;
comment on function private.faults_of_links(private.import_class[]) is 'Classes of a file that serve bookings nobody knows, or more than they have room for.';

create function private.clashes_of_classes(p_classes private.import_class[]) returns jsonb
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan
as $$
begin
  return coalesce((
    with dates as (
      -- A date of a schedule is taken once, whether or not it has times.
      select x.row_number, min(y.row_number) as with_row
      from unnest(p_classes) x
      join unnest(p_classes) y on (y.class).schedule_id = (x.class).schedule_id and (y.class).occurs_on = (x.class).occurs_on and y.row_number <> x.row_number
      where (x.class).class_status <> 'cancelled' and (y.class).class_status <> 'cancelled'
      group by x.row_number
    ), found as (
      select p_classes[c.row_number].row_number, c.resource_name, c.conflict_type, c.source_table, c.source_id,
        p_classes[c.with_row_number].row_number as with_row, c.starts_at, c.ends_at, c.message
      from private.assignment_clashes(array(select u.class from unnest(p_classes) u order by u.row_number)) c
      union all
      select d.row_number, null, 'schedule_date', null, null, d.with_row, null, null, 'Another row has the same date of this schedule'
      from dates d
    )
    select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('row', f.row_number, 'line', c.line, 'title', coalesce(t.name, p.name, 'Class'), 'date', (c.class).date,
      'resource', f.resource_name, 'conflict_type', f.conflict_type, 'source_table', f.source_table, 'source_id', f.source_id, 'with_row', f.with_row,
      'with_line', w.line, 'starts_at', f.starts_at, 'ends_at', f.ends_at,
      'message', f.message || coalesce(format(' (line %s)', w.line), ''))) order by f.row_number, f.with_row nulls first, f.starts_at)
    from found f
    join unnest(p_classes) c on c.row_number = f.row_number
    left join unnest(p_classes) w on w.row_number = f.with_row
    left join public.class_types t on t.id = (c.class).class_type_id
    left join public.packages p on p.id = (c.class).package_id
  ), '[]');
end;
$$;
comment on function private.clashes_of_classes(private.import_class[]) is 'What the classes of a file, in their order, run into: what is there, and each other.';

create function private.write_classes(p_classes private.import_class[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into public.class_assignments (id, class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, time_zone, payment_amount,
    payment_type, schedule_type, booking_type, class_status, payment_status, instructor_status, instructor_response_at, notes, assigned_by, assigned_at,
    schedule_id, occurs_on, plan_id, rate, rate_id, created_at)
  select a.id, a.class_type_id, a.package_id, a.instructor_id, a.location_id, a.date, a.start_time, a.end_time, a.time_zone, a.payment_amount,
    a.payment_type, a.schedule_type, a.booking_type, a.class_status, a.payment_status, a.instructor_status, a.instructor_response_at, a.notes, a.assigned_by,
    a.assigned_at, a.schedule_id, a.occurs_on, a.plan_id, a.rate, a.rate_id, a.created_at
  from (select (c.class).* from unnest(p_classes) c where c.archived_at is null) a;
  -- Links that a booking had before it ended come along; ended it stays.
  insert into private.brought_links (assignment_id, booking_id)
  select (c.class).id, b.booking_id
  from unnest(p_classes) c
  join public.bookings b on b.booking_id = any(c.booking_ids) and b.status in ('completed', 'cancelled')
  where c.archived_at is null;
  insert into public.assignment_bookings (assignment_id, booking_id)
  select (c.class).id, u.code
  from unnest(p_classes) c
  cross join lateral unnest(c.booking_ids) as u(code)
  where c.archived_at is null;
  delete from private.brought_links l where l.assignment_id in (select (c.class).id from unnest(p_classes) c);
  insert into public.class_assignments_archive
  select (c.class).*, c.booking_ids, c.archived_by, c.archived_at
  from unnest(p_classes) c
  where c.archived_at is not null;
  perform private.confirm_bookings(array(select u.code from unnest(p_classes) c cross join lateral unnest(c.booking_ids) as u(code) where c.archived_at is not null));
end;
$$;
comment on function private.write_classes(private.import_class[]) is 'Writes classes of a file with their links, those of the archive into the archive.';

create function private.import_assignment_rows(p_rows jsonb, p_request jsonb) returns jsonb
language plpgsql volatile security definer set search_path = '' set work_mem = '64MB' set jit = off
as $$
declare
  v_items private.import_item[];
  v_faults private.import_fault[];
  v_classes private.import_class[];
  v_clashes jsonb := '[]';
  v_report jsonb;
begin
  perform private.require_permission('bulk:assignment');
  perform private.require_permission('create:assignment');
  perform private.start_import('assignments', p_request);
  select r.p_items, r.p_faults into v_items, v_faults
  from private.read_cells('assignment', p_rows, private.assignment_columns(),
    array['instructor_response_at', 'assigned_by', 'assigned_at', 'created_at', 'archived_by', 'archived_at']) r;
  v_faults := v_faults || private.faults_of_repeats(v_items, 'id');
  v_items := private.with_fate(v_items, 'present', array(
    select i.row_number from unnest(v_items) i
    where exists (select from public.class_assignments a where a.id = i.id) or exists (select from public.class_assignments_archive a where a.id = i.id)
  ));
  v_classes := array(select private.read_class(i) from unnest(v_items) i where i.fate = 'new' order by i.row_number);
  v_faults := v_faults || array(
    select f
    from unnest(v_classes) c
    join unnest(v_items) i on i.row_number = c.row_number
    cross join lateral private.faults_of_errors(i, private.class_errors(c), private.assignment_columns()) f
  ) || private.faults_of_links(v_classes);
  -- Rows that make no sense cannot be compared.
  if cardinality(v_faults) = 0 then
    v_clashes := private.clashes_of_classes(array(select c from unnest(v_classes) c where c.archived_at is null order by c.row_number));
  end if;
  if p_request ->> 'on_conflict' = 'skip' then
    v_items := private.with_fate(v_items, 'left_out', (
      select private.rows_to_leave_out(array_agg((c ->> 'row')::integer), array_agg((c ->> 'with_row')::integer)) from jsonb_array_elements(v_clashes) c
    ));
    v_classes := array(
      select c from unnest(v_classes) c join unnest(v_items) i on i.row_number = c.row_number and i.fate = 'new' order by c.row_number
    );
  end if;
  v_report := private.import_items_report(p_request, v_items, v_faults, v_clashes);
  if (p_request ->> 'dry_run')::boolean then
    return v_report;
  end if;
  if (v_report ->> 'refused')::boolean then
    perform private.refuse_items(v_report);
  end if;
  perform private.write_classes(v_classes);
  return v_report;
end;
$$;
comment on function private.import_assignment_rows(jsonb, jsonb) is
  'Imports classes, or says what importing them would do, for a holder of bulk:assignment and create:assignment.';
