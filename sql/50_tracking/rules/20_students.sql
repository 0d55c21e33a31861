-- Students: what is filled in and refused, and the slots that follow their schedule.

create function private.student_errors(p_new public.students, p_old public.students) returns jsonb
language sql stable set search_path = ''
return private.input_error(p_new.first_name is null, 'first_name', 'Say the first name')
  || private.input_error(length(p_new.first_name) > 100, 'first_name', 'A name has at most 100 characters')
  || private.input_error(length(p_new.last_name) > 100, 'last_name', 'A name has at most 100 characters')
  || private.input_error(not private.is_email(p_new.email), 'email', 'That is no email address')
  || private.input_error(not private.is_phone(p_new.phone), 'phone', 'A phone number starts with + and the country''s code')
  || private.input_error(p_new.start_date is null, 'start_date', 'Say from when')
  || private.input_error(p_new.start_date not between date '1970-01-01' and date '2199-12-31', 'start_date', 'A date lies between 1970 and 2199')
  || private.input_error(p_new.end_date not between date '1970-01-01' and date '2199-12-31', 'end_date', 'A date lies between 1970 and 2199')
  || private.input_error(p_new.end_date < p_new.start_date, 'end_date', 'The last day must not be before the first')
  || private.input_error(not private.is_time_zone(p_new.time_zone), 'time_zone', 'A time zone is an IANA name, such as Europe/Paris')
  || private.input_error(p_new.class_price < 0 or p_new.class_price > 9999999999.99, 'class_price', 'An amount is not below zero')
  || private.input_error(p_new.teacher_pay < 0 or p_new.teacher_pay > 9999999999.99, 'teacher_pay', 'An amount is not below zero')
  || private.input_error(length(p_new.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
  || private.input_error(
    p_new.is_active and p_new.teacher_id is not null and p_new.teacher_id is distinct from p_old.teacher_id
      and not exists (select from public.user_profiles p where p.id = p_new.teacher_id and p.is_active),
    'teacher_id', 'There is no such teacher, or they left')
  || case when p_old.id is null or (p_new.fixed_schedule, p_new.course_id) is distinct from (p_old.fixed_schedule, p_old.course_id)
    then private.schedule_problems(p_new.fixed_schedule, private.class_minutes(p_new.course_id)) else '[]' end;
comment on function private.student_errors(public.students, public.students) is
  'What is wrong with a student, every field and every element of the schedule at once; against what it was before.';

create function private.check_student() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  new.first_name := private.clean_text(new.first_name);
  new.last_name := private.clean_text(new.last_name);
  new.notes := private.clean_text(new.notes);
  new.email := lower(private.clean_text(new.email));
  new.time_zone := coalesce(new.time_zone, private.setting_text('organisation_time_zone'));
  new.fixed_schedule := coalesce(new.fixed_schedule, '[]');
  if new.user_id is not null and new.profile_id is null then
    new.profile_id := (select p.id from public.user_profiles p where p.user_id = new.user_id);
  end if;
  perform private.fail_input(private.student_errors(new, case tg_op when 'UPDATE' then old end));
  new.inactive_since := case
    when new.is_active then null
    when tg_op = 'UPDATE' and not old.is_active then old.inactive_since
    else (private.now() at time zone new.time_zone)::date
  end;
  return new;
end;
$$;
comment on function private.check_student() is 'Row trigger: fills in what was left out, and names every bad field and every bad element of the schedule.';

-- A statement that changes many students locks them in whatever order it meets them, and one that generates for many in
-- the order of their ids: so they do not run at once.
create function private.share_students() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('private.students', 0));
  return null;
end;
$$;
comment on function private.share_students() is 'Statement trigger on students: waits for whoever locks them all.';

create function private.lock_all_students() returns void
language sql volatile security definer set search_path = ''
return pg_advisory_xact_lock(hashtextextended('private.students', 0));
comment on function private.lock_all_students() is 'Waits for everybody who changes students, and keeps others from it, before many of them are locked.';

create trigger t05_share before update or delete on public.students
  for each statement execute function private.share_students();
create trigger t10_keep_version before update on public.students
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.students
  for each row execute function private.check_student();

-- From when a changed weekly time is in force: today, unless today's has begun already.
create function private.change_date(p_weekday smallint, p_start_time time, p_time_zone text) returns date
language sql stable set search_path = ''
return (
  select l.local::date + case when extract(dow from l.local) = p_weekday and l.local::time >= p_start_time then 1 else 0 end
  from (select private.now() at time zone p_time_zone as local) l
);
comment on function private.change_date(smallint, time, text) is 'The first date a change of a weekly time is in force.';

-- What the schedule says no longer ends, what it says anew begins; what stays, stays as it is. The first schedule of a
-- student, and one that replaces a schedule before it began, holds from the start.
create function private.sync_slots(p_student_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  with wanted as materialized (
    select t.id as student_id, w.weekday, w.start_time, w.end_time, t.time_zone
    from public.students t
    cross join lateral private.read_schedule(t.fixed_schedule, private.class_minutes(t.course_id)) w
    where t.id = any(p_student_ids) and w.problem is null
  )
  update public.student_schedule_slots s
  set effective = case when t.start_date >= private.change_date(s.weekday, s.start_time, s.time_zone) then 'empty'
    else s.effective * daterange(null, private.change_date(s.weekday, s.start_time, s.time_zone)) end
  from public.students t
  where t.id = s.student_id and s.student_id = any(p_student_ids) and upper_inf(s.effective)
    and not exists (
      select from wanted w
      where (w.student_id, w.weekday, w.start_time, w.end_time, w.time_zone) = (s.student_id, s.weekday, s.start_time, s.end_time, s.time_zone)
    );
  insert into public.student_schedule_slots (student_id, weekday, start_time, end_time, time_zone, effective)
  select t.id, w.weekday, w.start_time, w.end_time, t.time_zone,
    daterange(greatest(
      case when t.start_date < c.since and exists (select from public.student_schedule_slots s where s.student_id = t.id) then c.since end,
      -- Not before a time that it replaces is over: that one ends on another day where zones differ, or has begun today.
      (
        select max(upper(s.effective)) from public.student_schedule_slots s
        where s.student_id = t.id and s.weekday = w.weekday and s.start_time < w.end_time and w.start_time < s.end_time
      )
    ), null)
  from public.students t
  cross join lateral private.read_schedule(t.fixed_schedule, private.class_minutes(t.course_id)) w
  cross join lateral (select private.change_date(w.weekday, w.start_time, t.time_zone) as since) c
  where t.id = any(p_student_ids) and w.problem is null
    and not exists (
      select from public.student_schedule_slots s
      where (s.student_id, s.weekday, s.start_time, s.end_time, s.time_zone) = (t.id, w.weekday, w.start_time, w.end_time, t.time_zone)
        and upper_inf(s.effective)
    )
  order by t.id, w.weekday, w.start_time;
end;
$$;
comment on function private.sync_slots(uuid[]) is 'Makes the slots of these students what their schedules say, from now on.';

-- Who comes back was away: what was not promised meanwhile is not made up.
create function private.keep_absence() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into public.student_pauses (student_id, starts_on, ends_on, reason)
  select new.id, lower(r.r), upper(r.r) - 1, 'Was not active'
  from unnest(
    datemultirange(daterange(old.inactive_since, greatest(old.inactive_since, (private.now() at time zone new.time_zone)::date)))
    - coalesce((
      select range_agg(daterange(p.starts_on, p.ends_on, '[]')) from public.student_pauses p where p.student_id = new.id
    ), '{}')
  ) as r(r);
  return null;
end;
$$;
comment on function private.keep_absence() is 'Row trigger: who becomes active again has a pause for the days they were not.';

create trigger t40_keep_absence after update of is_active on public.students
  for each row when (new.is_active and not old.is_active) execute function private.keep_absence();

create trigger t00_only_triggers_write before insert or update or delete or truncate on public.student_schedule_slots
  for each statement execute function private.refuse_direct_write('Change students.fixed_schedule: its weekly times follow.');

create trigger t10_keep_version before update on public.student_pauses
  for each row execute function private.keep_version();

create function private.check_pause() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  new.reason := private.clean_text(new.reason);
  perform private.fail_input(
    private.input_error(new.student_id is null, 'student_id', 'Say who pauses')
    || private.input_error(new.starts_on is null, 'starts_on', 'Say from when')
    || private.input_error(new.starts_on not between date '1970-01-01' and date '2199-12-31', 'starts_on', 'A date lies between 1970 and 2199')
    || private.input_error(new.ends_on not between date '1970-01-01' and date '2199-12-31', 'ends_on', 'A date lies between 1970 and 2199')
    || private.input_error(new.ends_on < new.starts_on, 'ends_on', 'The last day must not be before the first')
    || private.input_error(new.reason is null, 'reason', 'Say why')
    || private.input_error(length(new.reason) > 1000, 'reason', 'A reason has at most 1000 characters')
  );
  return new;
end;
$$;
comment on function private.check_pause() is 'Row trigger: names every bad field of a pause.';

create trigger t20_check before insert or update on public.student_pauses
  for each row execute function private.check_pause();
