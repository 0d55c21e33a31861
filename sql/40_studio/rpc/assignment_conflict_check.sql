create function private.check_assignment_conflict(
  p_instructor_id uuid, p_date date, p_start_time time, p_end_time time, p_exclude_assignment_id uuid
) returns setof private.assignment_clash
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_row public.class_assignments;
  v_errors jsonb;
begin
  if private.caller_id() is null and not private.is_trusted() then
    perform private.fail('forbidden', 'Sign in to see who is free');
  end if;
  select a.* into v_row from public.class_assignments a where a.id = p_exclude_assignment_id;
  v_row.instructor_id := p_instructor_id;
  v_row.location_id := null;
  v_row.date := p_date;
  v_row.start_time := p_start_time;
  v_row.end_time := p_end_time;
  v_row.time_zone := coalesce(v_row.time_zone, private.setting_text('organisation_time_zone'));
  v_row.class_status := 'scheduled';
  v_row.instructor_status := 'pending';
  v_errors := private.within(private.input_error(p_instructor_id is null, 'instructor_id', 'Say who teaches it')
    || private.meeting_errors(p_date, p_start_time, p_end_time, p_date, v_row.time_zone), 'p_');
  perform private.fail_input(v_errors);
  if not exists (select from public.user_profiles p where p.id = p_instructor_id) then
    perform private.fail('not_found', 'There is no such instructor', 'p_instructor_id', jsonb_build_object('profile_id', p_instructor_id));
  end if;
  v_row.starts_at := private.local_to_instant(p_date, p_start_time, v_row.time_zone);
  v_row.ends_at := private.local_end_to_instant(p_date, p_end_time, v_row.time_zone);
  return query select c.* from private.assignment_clashes(array[v_row]) c;
end;
$$;
comment on function private.check_assignment_conflict(uuid, date, time, time, uuid) is 'The clashes assignment_conflict_check tells of.';

create function public.assignment_conflict_check(
  p_instructor_id uuid, p_date date, p_start_time time, p_end_time time, p_exclude_assignment_id uuid default null
) returns table (has_conflict boolean, conflicting_assignment_id uuid, conflict_type text, conflict_message text)
language plpgsql stable set search_path = ''
as $$
begin
  return query
    select true, case when c.source_table = 'class_assignments' then c.source_id end, c.conflict_type, c.message
    from private.check_assignment_conflict(p_instructor_id, p_date, p_start_time, p_end_time, p_exclude_assignment_id) c;
  if not found then
    return query select false, null::uuid, null::text, null::text;
  end if;
end;
$$;
comment on function public.assignment_conflict_check(uuid, date, time, time, uuid) is
  'Whether an instructor is taken on a date between two wall-clock times (the organisation''s zone, or that of the class left out): a row for each clash, or one row saying false. conflict_type is instructor_assignment, instructor_schedule, the ledger''s other kinds such as meeting, or busy where the caller may not read that calendar. p_exclude_assignment_id leaves out the class being moved and the date of a schedule it stands for. Raises invalid_input, not_found.';
