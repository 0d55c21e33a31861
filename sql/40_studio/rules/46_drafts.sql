-- Classes as somebody asks for them, before they are written.

-- What an asked-for class may say, and of which kind each value is.
create function private.draft_fields() returns jsonb
language sql immutable set search_path = ''
return '{"assignment_temp_id": "text", "class_type_id": "uuid", "package_id": "uuid", "instructor_id": "uuid", "location_id": "uuid",
  "date": "date", "start_time": "time", "end_time": "time", "time_zone": "text", "payment_amount": "amount", "payment_type": "text",
  "rate": "amount", "student_count": "count", "schedule_type": "text", "booking_type": "text", "notes": "text", "schedule_id": "uuid",
  "occurs_on": "date", "plan_id": "uuid"}'::jsonb;
comment on function private.draft_fields() is 'The fields of a class that create_assignments takes.';

-- A class made from a schedule is as the schedule says where nothing else is said.
create function private.read_draft(p_item jsonb) returns public.class_assignments
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row public.class_assignments := jsonb_populate_record(null::public.class_assignments, p_item - array['assignment_temp_id', 'student_count']);
  v_schedule public.class_schedules;
begin
  select s.* into v_schedule from public.class_schedules s where s.id = v_row.schedule_id;
  v_row.id := gen_random_uuid();
  v_row.class_type_id := case when p_item ? 'class_type_id' then v_row.class_type_id else v_schedule.class_type_id end;
  v_row.instructor_id := coalesce(v_row.instructor_id, v_schedule.instructor_id);
  v_row.location_id := case when p_item ? 'location_id' then v_row.location_id else v_schedule.location_id end;
  if not p_item ? 'start_time' and not p_item ? 'end_time' then
    v_row.start_time := v_schedule.start_time;
    v_row.end_time := v_schedule.end_time;
  end if;
  v_row.date := coalesce(v_row.date, v_row.occurs_on);
  v_row.occurs_on := case when v_row.schedule_id is not null then coalesce(v_row.occurs_on, v_row.date) end;
  v_row.time_zone := coalesce(private.clean_text(v_row.time_zone), v_schedule.time_zone, private.resource_time_zone(v_row.location_id));
  v_row.notes := private.clean_text(v_row.notes);
  v_row.payment_type := coalesce(v_row.payment_type, 'per_class');
  v_row.schedule_type := coalesce(case v_row.schedule_type when 'crash_course' then 'crash' else v_row.schedule_type end,
    case when v_row.schedule_id is null then 'adhoc' else 'weekly' end);
  v_row.booking_type := coalesce(v_row.booking_type, 'individual');
  v_row.class_status := 'scheduled';
  v_row.payment_status := 'pending';
  v_row.instructor_status := 'pending';
  if private.is_time_zone(v_row.time_zone) and v_row.date between date '1970-01-01' and date '2199-12-31' and v_row.start_time < v_row.end_time then
    v_row.starts_at := private.local_to_instant(v_row.date, v_row.start_time, v_row.time_zone);
    v_row.ends_at := private.local_end_to_instant(v_row.date, v_row.end_time, v_row.time_zone);
  end if;
  return v_row;
end;
$$;
comment on function private.read_draft(jsonb) is 'The class an object asks for, whose fields private.json_list_errors found nothing wrong with; a new id, and what was left out filled in.';

create function private.unknown_errors(p_class_type_id uuid, p_package_id uuid, p_location_id uuid, p_schedule_id uuid) returns jsonb
language sql stable security definer set search_path = ''
return private.input_error(p_class_type_id is not null and not exists (select from public.class_types t where t.id = p_class_type_id), 'class_type_id', 'There is no such class type')
  || private.input_error(p_package_id is not null and not exists (select from public.packages p where p.id = p_package_id), 'package_id', 'There is no such package')
  || private.input_error(p_location_id is not null and not exists (select from public.locations l where l.id = p_location_id), 'location_id', 'There is no such location')
  || private.input_error(p_schedule_id is not null and not exists (select from public.class_schedules s where s.id = p_schedule_id), 'schedule_id', 'There is no such schedule');
comment on function private.unknown_errors(uuid, uuid, uuid, uuid) is 'Which of the rows a class is to refer to are not there.';

-- Asked once for all classes that change so, and not for each of them.
create function private.unknown_in(p_changes jsonb, p_prefix text) returns jsonb
language sql stable set search_path = ''
return private.within(private.unknown_errors((p_changes ->> 'class_type_id')::uuid, (p_changes ->> 'package_id')::uuid,
  (p_changes ->> 'location_id')::uuid, (p_changes ->> 'schedule_id')::uuid), p_prefix);
comment on function private.unknown_in(jsonb, text) is 'The same of changes, whose fields private.json_object_errors found nothing wrong with.';

create function private.draft_errors(p_row public.class_assignments) returns jsonb
language sql stable security definer set search_path = ''
return private.assignment_errors(p_row, null)
  || private.unknown_errors(p_row.class_type_id, p_row.package_id, p_row.location_id, p_row.schedule_id)
  || private.input_error(not exists (
    select from public.class_schedules s
    where s.id = p_row.schedule_id and p_row.occurs_on <@ daterange(s.effective_from, s.effective_until, '[]')
      and extract(dow from p_row.occurs_on) = s.day_of_week
  ) and exists (select from public.class_schedules s where s.id = p_row.schedule_id), 'occurs_on', 'The schedule does not have this date');
comment on function private.draft_errors(public.class_assignments) is 'What is wrong with an asked-for class, and with what it refers to.';
