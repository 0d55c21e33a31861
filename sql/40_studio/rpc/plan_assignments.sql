-- Which dates a plan falls on. Closed days and dates of the schedule that are taken or called off are told, and do not
-- count; so are times the clock skips.
create function private.plan_dates(
  p_plan text, p_weekdays integer[], p_from date, p_until date, p_count integer, p_start_time time, p_end_time time, p_time_zone text,
  p_location_id uuid, p_schedule_id uuid
) returns table (date date, skipped_because text)
language sql stable security definer set search_path = ''
begin atomic
  with days as (
    select d.day::date as date
    from generate_series(p_from::timestamp, p_until::timestamp, interval '1 day') as d(day)
    where p_plan = 'crash' and cardinality(p_weekdays) = 0 or extract(dow from d.day)::integer = any(p_weekdays)
  ), judged as (
    select d.date, coalesce(
      (
        select format('Closed: %s', c.name)
        from public.closures c
        where (c.location_id is null or c.location_id = p_location_id)
          and case when p_start_time is null then d.date between c.starts_on and c.ends_on
            else c.during && tstzrange(private.local_to_instant(d.date, p_start_time, p_time_zone), private.local_end_to_instant(d.date, p_end_time, p_time_zone)) end
        order by c.starts_on, c.name
        limit 1
      ),
      (
        select case e.kind when 'cancelled' then 'The schedule''s class is cancelled' when 'moved' then 'The schedule''s class was moved'
          else 'Already assigned' end
        from public.weekly_rule_exceptions e
        where e.rule_id = p_schedule_id and e.occurs_on = d.date
      ),
      case
        when private.local_to_instant(d.date, p_start_time, p_time_zone) is null and p_start_time is not null
          then private.describe_skipped(d.date, p_start_time, p_time_zone)
        when private.local_end_to_instant(d.date, p_end_time, p_time_zone) is null and p_end_time is not null
          then private.describe_skipped(d.date, p_end_time, p_time_zone)
      end
    ) as skipped_because
    from days d
  ), counted as (
    select j.date, j.skipped_because, count(*) filter (where j.skipped_because is null) over (order by j.date) as number
    from judged j
  )
  select c.date, c.skipped_because
  from counted c
  where p_count is null or c.number <= p_count and (c.skipped_because is null or c.number < p_count)
  order by c.date;
end;
comment on function private.plan_dates(text, integer[], date, date, integer, time, time, text, uuid, uuid) is
  'The dates of a plan from p_from to p_until, until p_count of them are good, each with why it is left out, if it is.';

create function private.make_plan(
  p_plan text, p_template public.class_assignments, p_weekdays integer[], p_from date, p_until date, p_count integer, p_rate numeric,
  p_student_count integer
) returns table (
  date date, start_time time, end_time time, status text, reason text, conflicts jsonb, payment_amount numeric, assignment jsonb
)
language plpgsql stable security definer set search_path = ''
as $$
#variable_conflict use_column
declare
  v_dates date[];
  v_reasons text[];
  v_rows public.class_assignments[] := '{}';
  v_row public.class_assignments;
  v_good date[];
  v_amounts numeric[];
begin
  perform private.require_permission('create:assignment');
  select array_agg(d.date order by d.date), array_agg(d.skipped_because order by d.date) into v_dates, v_reasons
  from private.plan_dates(p_plan, p_weekdays, p_from, p_until, p_count, p_template.start_time, p_template.end_time, p_template.time_zone,
    p_template.location_id, p_template.schedule_id) d;
  -- Rows for dates left out have no times and stand for no date, so nothing is in their way.
  for i in 1..coalesce(cardinality(v_dates), 0) loop
    v_row := p_template;
    v_row.id := gen_random_uuid();
    v_row.date := v_dates[i];
    if v_reasons[i] is null then
      v_row.occurs_on := case when p_template.schedule_id is not null then v_dates[i] end;
      v_row.starts_at := private.local_to_instant(v_row.date, v_row.start_time, v_row.time_zone);
      v_row.ends_at := private.local_end_to_instant(v_row.date, v_row.end_time, v_row.time_zone);
    end if;
    v_rows := v_rows || v_row;
  end loop;
  v_good := array(select u.date from unnest(v_dates, v_reasons) as u(date, reason) where u.reason is null order by u.date);
  if cardinality(v_good) > 0 then
    v_amounts := case when p_rate is not null then private.plan_amounts(p_template.payment_type, p_rate, v_good, p_student_count)
      else array(
        select case when p_template.payment_type in ('per_class', 'per_class_total')
          then (private.rate_for(p_template.instructor_id, p_template.class_type_id, p_template.payment_type, g.date)).rate end
        from unnest(v_good) with ordinality as g(date, n)
        order by g.n
      ) end;
  end if;
  return query
    with clashes as (
      select c.row_number,
        jsonb_agg(jsonb_strip_nulls(jsonb_build_object('resource_id', c.resource_id, 'resource_name', c.resource_name, 'conflict_type', c.conflict_type,
          'source_table', c.source_table, 'source_id', c.source_id, 'starts_at', c.starts_at, 'ends_at', c.ends_at, 'message', c.message))) as conflicts,
        (array_agg(c.message order by c.starts_at))[1] as message
      from private.assignment_clashes(v_rows) c
      group by c.row_number
    ), absences as (
      select g.n, jsonb_agg(jsonb_build_object('resource_id', r.id, 'resource_name', r.name, 'conflict_type', 'time_off',
        'starts_at', lower(t.during), 'ends_at', upper(t.during), 'message', format('%s has time off, %s', r.name, private.describe_range(t.during)))) as conflicts
      from generate_subscripts(v_rows, 1) as g(n)
      join public.resources r on r.id = (v_rows[g.n]).instructor_id
      join public.time_off t on t.resource_id = r.id and t.status = 'approved' and t.during && tstzrange((v_rows[g.n]).starts_at, (v_rows[g.n]).ends_at)
      where (v_rows[g.n]).starts_at is not null
      group by g.n
    )
    select (v_rows[g.n]).date, (v_rows[g.n]).start_time, (v_rows[g.n]).end_time,
      case when v_reasons[g.n] is not null then 'skipped' when b.messages is not null then 'refused'
        when c.row_number is not null or o.n is not null then 'conflict' else 'planned' end,
      coalesce(v_reasons[g.n], b.messages, c.message, o.conflicts -> 0 ->> 'message'),
      coalesce(c.conflicts, '[]') || coalesce(o.conflicts, '[]'),
      case when v_reasons[g.n] is null then coalesce(v_amounts[array_position(v_good, (v_rows[g.n]).date)], 0) end,
      case when v_reasons[g.n] is null then jsonb_strip_nulls(jsonb_build_object(
        'assignment_temp_id', to_char((v_rows[g.n]).date, 'YYYY-MM-DD'), 'class_type_id', (v_rows[g.n]).class_type_id, 'package_id', (v_rows[g.n]).package_id,
        'instructor_id', (v_rows[g.n]).instructor_id, 'location_id', (v_rows[g.n]).location_id, 'date', (v_rows[g.n]).date,
        'start_time', (v_rows[g.n]).start_time, 'end_time', (v_rows[g.n]).end_time, 'time_zone', (v_rows[g.n]).time_zone,
        'payment_type', (v_rows[g.n]).payment_type, 'rate', p_rate, 'student_count', p_student_count, 'schedule_type', (v_rows[g.n]).schedule_type,
        'booking_type', (v_rows[g.n]).booking_type, 'schedule_id', (v_rows[g.n]).schedule_id, 'occurs_on', (v_rows[g.n]).occurs_on,
        'plan_id', (v_rows[g.n]).plan_id)) end
    from generate_subscripts(v_rows, 1) as g(n)
    left join clashes c on c.row_number = g.n
    left join absences o on o.n = g.n
    left join lateral (
      select string_agg(e.error ->> 'message', '; ') as messages
      from jsonb_array_elements(private.draft_errors(v_rows[g.n])) as e(error)
      where v_reasons[g.n] is null
    ) b on true
    order by g.n;
end;
$$;
comment on function private.make_plan(text, public.class_assignments, integer[], date, date, integer, numeric, integer) is
  'The dates of a plan made from a template, for a holder of create:assignment: what public.plan_assignments returns.';

create function private.plan_template(
  p_plan text, p_schedule_id uuid, p_instructor_id uuid, p_class_type_id uuid, p_package_id uuid, p_location_id uuid, p_start_time time,
  p_end_time time, p_time_zone text, p_payment_type text, p_booking_type text
) returns public.class_assignments
language sql volatile security definer set search_path = ''
return private.read_draft(jsonb_strip_nulls(jsonb_build_object(
  'schedule_id', p_schedule_id, 'instructor_id', p_instructor_id, 'class_type_id', p_class_type_id, 'package_id', p_package_id,
  'location_id', p_location_id, 'start_time', p_start_time, 'end_time', p_end_time, 'time_zone', p_time_zone, 'payment_type', p_payment_type,
  'schedule_type', p_plan, 'booking_type', p_booking_type, 'plan_id', gen_random_uuid())));
comment on function private.plan_template(text, uuid, uuid, uuid, uuid, uuid, time, time, text, text, text) is
  'The class every date of a plan has, its date left out; a schedule fills in what is not said.';

create function public.plan_assignments(
  p_plan text,
  p_instructor_id uuid default null,
  p_class_type_id uuid default null,
  p_package_id uuid default null,
  p_schedule_id uuid default null,
  p_weekdays integer[] default null,
  p_start_time time default null,
  p_end_time time default null,
  p_from date default null,
  p_until date default null,
  p_count integer default null,
  p_location_id uuid default null,
  p_time_zone text default null,
  p_payment_type text default 'per_class',
  p_rate numeric default null,
  p_student_count integer default null,
  p_booking_type text default 'individual'
) returns table (
  date date, start_time time, end_time time, status text, reason text, conflicts jsonb, payment_amount numeric, assignment jsonb
)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_plan constant text := case p_plan when 'crash_course' then 'crash' else p_plan end;
  v_from date := coalesce(p_from, private.today());
  v_until date := p_until;
  v_count integer := p_count;
  v_weekdays integer[] := coalesce(p_weekdays, '{}');
  v_schedule record;
  v_package record;
  v_template public.class_assignments;
begin
  perform private.require_permission('create:assignment');
  if p_schedule_id is not null then
    select s.day_of_week, s.effective_from, s.effective_until into v_schedule from public.class_schedules s where s.id = p_schedule_id;
    if not found then
      perform private.fail('not_found', 'There is no such schedule', 'p_schedule_id', jsonb_build_object('schedule_id', p_schedule_id));
    end if;
    v_weekdays := array[v_schedule.day_of_week];
    v_from := greatest(v_from, v_schedule.effective_from);
  end if;
  if v_plan = 'package' then
    select p.class_count, p.validity_days into v_package from public.packages p where p.id = p_package_id;
    if not found and p_package_id is not null then
      perform private.fail('not_found', 'There is no such package', 'p_package_id', jsonb_build_object('package_id', p_package_id));
    end if;
    v_count := coalesce(v_count, v_package.class_count);
    v_until := least(v_until, v_from + v_package.validity_days);
  elsif v_plan = 'monthly' then
    v_until := coalesce(v_until, (date_trunc('month', v_from::timestamp) + interval '1 month' - interval '1 day')::date);
  elsif v_plan = 'weekly' then
    v_until := coalesce(v_until, v_from + case when p_count is null then 27 else 7 * least(greatest(p_count, 1), 366) + 60 end);
  elsif v_plan = 'crash' then
    v_until := coalesce(v_until, v_from + least(greatest(p_count, 1), 366) + 60);
  end if;
  if p_schedule_id is not null then
    v_until := least(v_until, v_schedule.effective_until);
  end if;
  perform private.fail_input(
    private.input_error(coalesce(v_plan, '') not in ('weekly', 'monthly', 'crash', 'package'), 'p_plan', 'A plan is weekly, monthly, crash or package')
    || private.input_error(v_plan = 'package' and p_package_id is null, 'p_package_id', 'Say which package')
    || private.input_error(v_plan = 'crash' and p_count is null, 'p_count', 'Say how many classes')
    || private.input_error(p_count not between 1 and 366, 'p_count', 'A plan has 1 to 366 classes')
    || private.input_error(v_plan in ('weekly', 'monthly', 'package') and cardinality(v_weekdays) = 0, 'p_weekdays', 'Say on which weekdays, or name a schedule')
    || private.input_error(exists (select from unnest(v_weekdays) as w(day) where w.day is null or w.day not between 0 and 6), 'p_weekdays',
      'A weekday is 0 (Sunday) to 6 (Saturday)')
    || private.input_error(v_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
    || private.input_error(v_until not between date '1970-01-01' and date '2199-12-31', 'p_until', 'A date lies between 1970 and 2199')
    || private.input_error(v_until < v_from and p_until is not null, 'p_until', 'The last day must not be before the first')
    || private.input_error(isfinite(v_from) and isfinite(v_until) and v_until - v_from > 800, 'p_until', 'A plan covers at most 800 days')
    || private.input_error(p_end_time <= p_start_time, 'p_end_time', 'The end must be after the start')
    || private.input_error((p_start_time is null) <> (p_end_time is null), 'p_end_time', 'Start and end go together')
    || private.input_error(p_time_zone is not null and not private.is_time_zone(p_time_zone), 'p_time_zone', 'That is no IANA time zone')
    || private.input_error(p_rate is not null and (p_rate = 'NaN' or p_rate <= 0), 'p_rate', 'A rate is above zero')
    || private.input_error(p_rate between 0 and 9999999999.99 and p_rate <> round(p_rate, 2), 'p_rate', 'A rate has at most two decimals')
    || private.input_error(p_rate > 9999999999.99 and p_rate <> 'NaN', 'p_rate', 'A rate is at most 9999999999.99')
    || private.input_error(p_student_count < 1, 'p_student_count', 'At least one takes part')
  );
  v_template := private.plan_template(v_plan, p_schedule_id, p_instructor_id, p_class_type_id, p_package_id, p_location_id, p_start_time, p_end_time,
    p_time_zone, p_payment_type, p_booking_type);
  return query
    select m.* from private.make_plan(v_plan, v_template, v_weekdays, v_from, v_until, v_count, p_rate, p_student_count) m;
end;
$$;
comment on function public.plan_assignments(
  text, uuid, uuid, uuid, uuid, integer[], time, time, date, date, integer, uuid, text, text, numeric, integer, text
) is
  'A dry run: the dates a plan would fall on, with what is in the way and what each class is paid; nothing is written. p_plan: weekly (p_schedule_id or p_weekdays, p_from to p_until, four weeks by default), monthly (p_weekdays within the calendar month of p_from, or to p_until), crash (every day, or p_weekdays, until there are p_count), package (p_weekdays, its class_count classes within validity_days of p_from). A schedule fills in times, instructor and room. Times are wall-clock in p_time_zone, the schedule''s, location''s or organisation''s by default. status is planned, conflict (conflicts say with what, time off included), skipped (closed, called off, assigned already or skipped by the clock; not counted), or refused (what create_assignments would not take, such as a date too far ahead). assignment is what create_assignments takes, with one plan_id. p_rate is for p_payment_type, see calculate_payment(); without it the instructor''s own. Needs create:assignment. Raises invalid_input, not_found.';
