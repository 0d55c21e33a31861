-- Classes follow what they are promised by: students, their pauses, the course's usual length, closures.

create function private.follow_students() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  if tg_op = 'INSERT' then
    select array_agg(n.id order by n.id) into v_ids from new_rows n;
  else
    select array_agg(n.id order by n.id) into v_ids
    from new_rows n
    join old_rows o on o.id = n.id
    where (n.start_date, n.end_date, n.fixed_schedule, n.time_zone, n.course_id, n.teacher_id, n.inactive_since)
      is distinct from (o.start_date, o.end_date, o.fixed_schedule, o.time_zone, o.course_id, o.teacher_id, o.inactive_since);
    -- From before, until later, or with a schedule for the first time: all of it is generated.
    delete from private.student_generation g
    using new_rows n, old_rows o
    where n.id = o.id and g.student_id = n.id
      and (n.start_date < o.start_date or coalesce(n.end_date, 'infinity') > coalesce(o.end_date, 'infinity')
        or not exists (select from public.student_schedule_slots s where s.student_id = n.id));
  end if;
  if v_ids is not null then
    perform private.run_generation(lower(tg_op), v_ids, p_syncs_slots => true);
  end if;
  return null;
end;
$$;
comment on function private.follow_students() is 'Statement trigger on students: their slots and classes follow.';

create trigger t00_read_committed before insert or update or delete on public.students
  for each statement execute function private.refuse_other_isolation();
create trigger t50_follow_insert after insert on public.students
  referencing new table as new_rows for each statement execute function private.follow_students();
create trigger t50_follow_update after update on public.students
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_students();

create function private.follow_pauses() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  execute case tg_op
      when 'INSERT' then 'select array_agg(distinct n.student_id) from new_rows n'
      when 'DELETE' then 'select array_agg(distinct o.student_id) from old_rows o join public.students s on s.id = o.student_id'
      else 'select array_agg(u.student_id) from (select n.student_id from new_rows n union select o.student_id from old_rows o) u'
    end into v_ids;
  if v_ids is not null then
    perform private.run_generation('update', v_ids);
  end if;
  return null;
end;
$$;
comment on function private.follow_pauses() is 'Statement trigger on student_pauses: classes follow.';

create trigger t00_read_committed before insert or update or delete on public.student_pauses
  for each statement execute function private.refuse_other_isolation();
create trigger t50_follow_insert after insert on public.student_pauses
  referencing new table as new_rows for each statement execute function private.follow_pauses();
create trigger t50_follow_update after update on public.student_pauses
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_pauses();
create trigger t50_follow_delete after delete on public.student_pauses
  referencing old table as old_rows for each statement execute function private.follow_pauses();

create function private.follow_course_minutes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[] := (select array_agg(s.id order by s.id) from public.students s where s.course_id = new.id and s.is_active);
begin
  if v_ids is not null then
    perform private.lock_all_students();
    perform private.run_generation('update', v_ids, p_syncs_slots => true);
  end if;
  return null;
end;
$$;
comment on function private.follow_course_minutes() is 'Row trigger on courses: schedules that do not say how long a class takes follow the course.';

create trigger t50_follow_course_minutes after update of duration_minutes on public.courses
  for each row when (old.duration_minutes is distinct from new.duration_minutes) execute function private.follow_course_minutes();

-- Closing a place may lock resources, and students come before these.
create function private.lock_students_first() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_all_students();
  perform from public.students s where s.is_active order by s.id for no key update;
  return null;
end;
$$;
comment on function private.lock_students_first() is 'Statement trigger on closures: students are locked before anything else is.';

create trigger t05_lock_students before insert or update or delete on public.closures
  for each statement execute function private.lock_students_first();

create function private.follow_closures() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_during tstzmultirange;
  v_ids uuid[];
begin
  execute case tg_op
      when 'INSERT' then 'select range_agg(n.during) from new_rows n where n.location_id is null'
      when 'DELETE' then 'select range_agg(o.during) from old_rows o where o.location_id is null'
      else 'select range_agg(u.during) from (select * from new_rows union all select * from old_rows) u where u.location_id is null'
    end into v_during;
  if upper(v_during) > private.now() then
    -- Whoever has a weekly time on one of these days, whether a class is there already or was left out so far.
    select array_agg(distinct t.id) into v_ids
    from public.students t
    join public.student_schedule_slots s on s.student_id = t.id and upper_inf(s.effective)
    where t.is_active and exists (
      select from unnest(v_during) as d(during)
      where upper(d.during) - lower(d.during) >= interval '7 days'
        or s.weekday in (extract(dow from lower(d.during) at time zone s.time_zone), extract(dow from upper(d.during) at time zone s.time_zone))
        or (s.weekday - extract(dow from lower(d.during) at time zone s.time_zone)::integer + 7) % 7
          <= extract(epoch from upper(d.during) - lower(d.during)) / 86400
    );
  end if;
  if v_ids is not null then
    perform private.run_generation('update', v_ids);
  end if;
  return null;
end;
$$;
comment on function private.follow_closures() is 'Statement trigger on closures: untouched classes on closed days go, and those of days that are open again come.';

create trigger t60_follow_insert after insert on public.closures
  referencing new table as new_rows for each statement execute function private.follow_closures();
create trigger t60_follow_update after update on public.closures
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_closures();
create trigger t60_follow_delete after delete on public.closures
  referencing old table as old_rows for each statement execute function private.follow_closures();

create trigger t00_no_truncate before truncate on public.students
  for each statement execute function private.refuse_truncate();
create trigger t00_no_truncate before truncate on public.student_pauses
  for each statement execute function private.refuse_truncate();
