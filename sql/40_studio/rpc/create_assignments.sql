create function private.association_errors(p_associations jsonb, p_temp_ids text[]) returns jsonb
language sql stable security definer set search_path = ''
return coalesce((
  select jsonb_agg(jsonb_build_object('field', format('p_booking_associations[%s].%s', i.position - 1, w.field), 'message', w.message) order by i.position)
  from jsonb_array_elements(p_associations) with ordinality as i(item, position)
  cross join lateral (
    values
      ((i.item ->> 'assignment_temp_id' is null) = (i.item ->> 'assignment_id' is null), 'assignment_temp_id',
        'Name a class of this list by assignment_temp_id, or one that is there by assignment_id'),
      (i.item ->> 'assignment_temp_id' is not null and i.item ->> 'assignment_temp_id' <> all(p_temp_ids), 'assignment_temp_id', 'No class of this list has this assignment_temp_id'),
      (i.item ->> 'assignment_id' is not null
        and not exists (select from public.class_assignments a where a.id = (i.item ->> 'assignment_id')::uuid), 'assignment_id', 'There is no such class'),
      (i.item ->> 'booking_id' is null, 'booking_id', 'Say which booking, by its code'),
      (i.item ->> 'booking_id' is not null
        and not exists (select from public.bookings b where b.booking_id = i.item ->> 'booking_id'), 'booking_id', 'There is no booking of this code'),
      (exists (select from public.bookings b where b.booking_id = i.item ->> 'booking_id' and b.status in ('completed', 'cancelled')),
        'booking_id', 'This booking has ended')
  ) as w(applies, field, message)
  where w.applies
), '[]');
comment on function private.association_errors(jsonb, text[]) is 'What is wrong with links between classes of a list, or that are there, and bookings.';

create function private.drafts_of(p_assignments jsonb) returns public.class_assignments[]
language sql volatile security definer set search_path = ''
begin atomic
  select array_agg(private.read_draft(i.item) order by i.position) from jsonb_array_elements(p_assignments) with ordinality as i(item, position);
end;
comment on function private.drafts_of(jsonb) is 'The classes a list asks for, in its order.';

create function private.drafts_errors(p_rows public.class_assignments[], p_field text) returns jsonb
language sql stable security definer set search_path = ''
begin atomic
  select coalesce(jsonb_agg(e.error order by g.n), '[]')
  from generate_subscripts(p_rows, 1) as g(n)
  cross join lateral jsonb_array_elements(private.within(private.draft_errors(p_rows[g.n]), format('%s[%s].', p_field, g.n - 1))) as e(error);
end;
comment on function private.drafts_errors(public.class_assignments[], text) is 'What is wrong with the classes of a list, each field with its place.';

create function public.create_assignments(
  p_assignments jsonb, p_booking_associations jsonb default '[]', p_idempotency_key text default null
) returns table (
  assignment_temp_id text, assignment_id uuid, instructor_id uuid, date date, start_time time, end_time time, payment_amount numeric,
  booking_ids text[]
)
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request jsonb := jsonb_build_object('assignments', p_assignments, 'booking_associations', p_booking_associations);
  v_answer jsonb := private.answered_before('create_assignments', p_idempotency_key, v_request);
  v_limit constant integer := private.setting_integer('bulk_limit');
  v_associations constant jsonb := coalesce(p_booking_associations, '[]');
  v_rows public.class_assignments[];
  v_temp_ids text[];
  v_group record;
begin
  if v_answer is null then
    perform private.require_permission('create:assignment');
    if jsonb_typeof(p_assignments) = 'array' and jsonb_array_length(p_assignments) > v_limit
      or jsonb_typeof(v_associations) = 'array' and jsonb_array_length(v_associations) > 10 * v_limit then
      perform private.fail('limit_exceeded', format('At most %s classes at once, and ten bookings for each', v_limit), 'p_assignments',
        jsonb_build_object('limit', v_limit));
    end if;
    perform private.fail_input(
      private.json_list_errors(p_assignments, private.draft_fields(), 'p_assignments')
      || private.input_error(p_assignments = '[]', 'p_assignments', 'Name at least one class')
      || private.json_list_errors(v_associations, '{"assignment_temp_id": "text", "assignment_id": "uuid", "booking_id": "text"}', 'p_booking_associations')
    );
    v_temp_ids := array(select i.item ->> 'assignment_temp_id' from jsonb_array_elements(p_assignments) with ordinality as i(item, n) order by i.n);
    v_rows := private.drafts_of(p_assignments);
    perform private.fail_input(
      private.drafts_errors(v_rows, 'p_assignments')
      || coalesce((
        select jsonb_agg(jsonb_build_object('field', format('p_assignments[%s].assignment_temp_id', t.n - 1), 'message', 'Another class has this assignment_temp_id'))
        from unnest(v_temp_ids) with ordinality as t(id, n)
        where t.id is not null and array_position(v_temp_ids, t.id) < t.n
      ), '[]')
      || private.association_errors(v_associations, array_remove(v_temp_ids, null))
    );
    perform private.refuse_clashes(array(select c from private.assignment_clashes(v_rows) c), v_temp_ids);
    insert into public.class_assignments (id, class_type_id, package_id, instructor_id, location_id, date, start_time, end_time, time_zone,
      payment_amount, payment_type, schedule_type, booking_type, notes, schedule_id, occurs_on, plan_id, rate)
    select r.id, r.class_type_id, r.package_id, r.instructor_id, r.location_id, r.date, r.start_time, r.end_time, r.time_zone,
      case when r.payment_amount is null and r.rate is not null then 0 else r.payment_amount end, r.payment_type, r.schedule_type, r.booking_type,
      r.notes, r.schedule_id, r.occurs_on, r.plan_id, r.rate
    from unnest(v_rows) r;
    insert into public.assignment_bookings (assignment_id, booking_id)
    select distinct coalesce((i.item ->> 'assignment_id')::uuid, (v_rows[array_position(v_temp_ids, i.item ->> 'assignment_temp_id')]).id), i.item ->> 'booking_id'
    from jsonb_array_elements(v_associations) as i(item)
    on conflict do nothing;
    -- A rate without an amount is worked out, over the classes that go together.
    for v_group in
      select array_agg((v_rows[g.n]).id order by g.n) as ids, (v_rows[g.n]).payment_type as payment_type, (v_rows[g.n]).rate as rate,
        coalesce((p_assignments -> (g.n - 1) ->> 'student_count')::integer, nullif(max(b.students), 0)) as student_count
      from generate_subscripts(v_rows, 1) as g(n)
      cross join lateral (
        select count(*)::integer as students from public.assignment_bookings l where l.assignment_id = (v_rows[g.n]).id
      ) b
      where (v_rows[g.n]).rate is not null and (v_rows[g.n]).payment_amount is null
      group by (v_rows[g.n]).plan_id, (v_rows[g.n]).payment_type, (v_rows[g.n]).rate, (v_rows[g.n]).instructor_id,
        (p_assignments -> (g.n - 1) ->> 'student_count')::integer
      order by 1
    loop
      perform public.set_assignment_pay(v_group.ids, v_group.payment_type, v_group.rate, v_group.student_count);
    end loop;
    v_answer := (
      select jsonb_agg(jsonb_build_object('assignment_temp_id', v_temp_ids[g.n], 'assignment_id', a.id, 'instructor_id', a.instructor_id, 'date', a.date,
        'start_time', a.start_time, 'end_time', a.end_time, 'payment_amount', a.payment_amount,
        'booking_ids', array(select l.booking_id from public.assignment_bookings l where l.assignment_id = a.id order by 1)) order by g.n)
      from generate_subscripts(v_rows, 1) as g(n)
      join public.class_assignments a on a.id = (v_rows[g.n]).id
    );
    perform private.remember_answer('create_assignments', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select r.assignment_temp_id, r.assignment_id, r.instructor_id, r.date, r.start_time, r.end_time, r.payment_amount, r.booking_ids
    from jsonb_to_recordset(v_answer) as r(assignment_temp_id text, assignment_id uuid, instructor_id uuid, date date, start_time time, end_time time,
      payment_amount numeric, booking_ids text[]);
end;
$$;
comment on function public.create_assignments(jsonb, jsonb, text) is
  'Writes classes, and which bookings they serve, all or none. p_assignments: objects with instructor_id, date, start_time and end_time (wall-clock in time_zone, the location''s or organisation''s by default; both left out: to be arranged), class_type_id, package_id, location_id, payment_amount or rate with payment_type, student_count, schedule_type, booking_type, notes, plan_id, and schedule_id with occurs_on to take a date of a schedule over, which fills in what is left out. assignment_temp_id is the caller''s own name for a class; p_booking_associations ({"assignment_temp_id" or "assignment_id", "booking_id"}) refers to it. A rate without an amount is worked out over the classes of one plan_id; neither: the instructor''s own rate. Needs create:assignment. Returns a row for each class, in the order asked. Raises time_conflict listing every clash of every row, invalid_input naming every field, seats_full, limit_exceeded over bulk_limit rows.';
