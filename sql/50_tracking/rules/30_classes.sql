-- Classes: what is filled in, refused and derived, whoever writes them.

create view private.classes_claims as
select c.id as source_id, c.teacher_id as resource_id, tstzrange(c.starts_at, c.ends_at) as during, c.date as occurs_on, 'class' as kind,
  left(concat(coalesce(k.title, 'Class'), ', ', concat_ws(' ', s.first_name, s.last_name)), 500) as title
from public.classes c
join public.students s on s.id = c.student_id
left join public.courses k on k.id = c.course_id
where c.teacher_id is not null and c.status in ('scheduled', 'completed', 'missed');
comment on view private.classes_claims is 'What classes take: the teacher, unless they are cancelled or were moved.';

create function private.tracked_class_errors(p_new public.classes, p_old public.classes) returns jsonb
language sql stable set search_path = ''
return private.input_error(p_new.student_id is null, 'student_id', 'Say whose class it is')
  || private.input_error(
    p_new.student_id is not null and p_old.id is null and not exists (select from public.students s where s.id = p_new.student_id),
    'student_id', 'There is no such student')
  || private.input_error(p_old.id is not null and p_new.student_id is distinct from p_old.student_id, 'student_id', 'A class stays its student''s')
  || private.input_error(p_new.date is null, 'date', 'Say on which day')
  || private.input_error(p_new.date not between date '1970-01-01' and date '2199-12-31', 'date', 'A date lies between 1970 and 2199')
  || private.input_error(p_new.start_time is null, 'start_time', 'Say when it starts')
  || private.input_error(p_new.end_time is null, 'end_time', 'Say when it ends')
  || private.input_error(p_new.end_time <= p_new.start_time, 'end_time', 'The end must be after the start')
  || private.input_error(not private.is_time_zone(p_new.time_zone), 'time_zone', 'A time zone is an IANA name, such as Europe/Paris')
  || case when private.is_time_zone(p_new.time_zone) and p_new.date between date '1970-01-01' and date '2199-12-31' then
      private.input_error(p_new.start_time is not null and private.local_to_instant(p_new.date, p_new.start_time, p_new.time_zone) is null,
        'start_time', private.describe_skipped(p_new.date, p_new.start_time, p_new.time_zone))
      || private.input_error(p_new.end_time is not null and private.local_end_to_instant(p_new.date, p_new.end_time, p_new.time_zone) is null,
        'end_time', private.describe_skipped(p_new.date, p_new.end_time, p_new.time_zone))
    else '[]' end
  || private.input_error(coalesce(p_new.status, '') not in ('scheduled', 'completed', 'cancelled', 'missed', 'rescheduled'), 'status',
    'A status is scheduled, completed, cancelled, missed or rescheduled')
  || private.input_error(coalesce(p_new.payment_status, '') not in ('pending', 'paid', 'waived'), 'payment_status',
    'A payment status is pending, paid or waived')
  || private.input_error(p_new.status = 'cancelled' and p_new.cancellation_reason is null, 'cancellation_reason', 'Say why it is cancelled')
  || private.input_error(coalesce(p_new.cancelled_by, 'student') not in ('student', 'teacher', 'organisation'), 'cancelled_by',
    'Who cancels is student, teacher or organisation')
  || private.input_error(p_new.price < 0 or p_new.price > 9999999999.99, 'price', 'An amount is not below zero')
  || private.input_error(p_new.teacher_pay < 0 or p_new.teacher_pay > 9999999999.99, 'teacher_pay', 'An amount is not below zero')
  || private.input_error(length(p_new.cancellation_reason) > 1000, 'cancellation_reason', 'A reason has at most 1000 characters')
  || private.input_error(length(p_new.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
  || private.input_error(
    p_new.teacher_id is not null and p_new.teacher_id is distinct from p_old.teacher_id
      and not exists (select from public.user_profiles p where p.id = p_new.teacher_id and p.is_active),
    'teacher_id', 'There is no such teacher, or they left');
comment on function private.tracked_class_errors(public.classes, public.classes) is 'What is wrong with a class, every field at once; against what it was before.';

create function private.teacher_pay_for(p_student_id uuid, p_teacher_id uuid, p_on date) returns numeric
language sql stable security definer set search_path = ''
return coalesce(
  (select s.teacher_pay from public.students s where s.id = p_student_id),
  (select r.rate from private.rate_for(p_teacher_id, null, 'per_class', p_on) r));
comment on function private.teacher_pay_for(uuid, uuid, date) is 'What a teacher gets for a class of a student on a day: what was agreed for the student, else their rate.';

-- Who says that a class is cancelled tells in whose name, unless it goes without saying.
create function private.cancelling_party(p_class public.classes) returns text
language sql stable security definer set search_path = ''
return case
    when exists (select from public.students s where s.id = p_class.student_id and s.user_id = private.caller_id()) then 'student'
    when p_class.teacher_id = private.current_profile_id() then 'teacher'
    else 'organisation'
  end;
comment on function private.cancelling_party(public.classes) is 'In whose name the caller cancels a class.';

create function private.cancellation_terms(p_cancelled_by text, p_starts_at timestamptz, p_at timestamptz) returns public.cancellation_rules
language sql stable security definer set search_path = ''
begin atomic
  select r.*
  from public.cancellation_rules r
  where r.cancelled_by = p_cancelled_by
    and (r.notice_hours = 0 or p_at <= p_starts_at - make_interval(hours => r.notice_hours))
  order by r.notice_hours desc
  limit 1;
end;
comment on function private.cancellation_terms(text, timestamptz, timestamptz) is 'The rule for cancelling a class that starts then, at this instant, in this name.';

create function private.complete_class(p_new public.classes, p_old public.classes) returns public.classes
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_student public.students;
  v_terms public.cancellation_rules;
begin
  p_new.notes := private.clean_text(p_new.notes);
  p_new.cancellation_reason := private.clean_text(p_new.cancellation_reason);
  if p_old.id is null then
    select s.* into v_student from public.students s where s.id = p_new.student_id;
    p_new.course_id := coalesce(p_new.course_id, v_student.course_id);
    p_new.teacher_id := coalesce(p_new.teacher_id, v_student.teacher_id);
    p_new.time_zone := coalesce(p_new.time_zone, v_student.time_zone);
    p_new.price := coalesce(p_new.price, v_student.class_price, (select c.price from public.courses c where c.id = p_new.course_id));
    p_new.end_time := coalesce(p_new.end_time, case
      when extract(epoch from p_new.start_time) / 60 + private.class_minutes(p_new.course_id) < 1440
        then p_new.start_time + make_interval(mins => private.class_minutes(p_new.course_id)) end);
  end if;
  if p_old.id is null or p_new.teacher_id is distinct from p_old.teacher_id and p_new.teacher_pay is not distinct from p_old.teacher_pay then
    p_new.teacher_pay := coalesce(case when p_old.id is null then p_new.teacher_pay end,
      private.teacher_pay_for(p_new.student_id, p_new.teacher_id, p_new.date), p_new.teacher_pay);
  end if;
  p_new.starts_at := private.local_to_instant(p_new.date, p_new.start_time, p_new.time_zone);
  p_new.ends_at := private.local_end_to_instant(p_new.date, p_new.end_time, p_new.time_zone);
  if p_new.status = 'cancelled' and (p_old.status is distinct from 'cancelled' or p_new.cancelled_by is distinct from p_old.cancelled_by) then
    -- Who says only in whose name it was cancelled leaves it cancelled when it was.
    p_new.cancelled_at := case when p_old.id is null then coalesce(p_new.cancelled_at, private.now())
      when p_old.status = 'cancelled' then p_old.cancelled_at else private.now() end;
    p_new.cancelled_by := coalesce(p_new.cancelled_by, private.cancelling_party(p_new));
    v_terms := private.cancellation_terms(p_new.cancelled_by, p_new.starts_at, p_new.cancelled_at);
    p_new.is_charged := coalesce(v_terms.is_charged, false);
    p_new.is_teacher_paid := coalesce(v_terms.is_teacher_paid, false);
  elsif p_new.status <> 'cancelled' then
    p_new.cancelled_at := null;
    p_new.cancelled_by := null;
    p_new.cancellation_reason := null;
    if p_old.status = 'cancelled' then
      p_new.is_charged := true;
      p_new.is_teacher_paid := true;
    end if;
  end if;
  return p_new;
end;
$$;
comment on function private.complete_class(public.classes, public.classes) is
  'A class with what was left out filled in from its student, its instants, and what cancelling it means; against what it was before.';

create function private.check_class() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if tg_op = 'INSERT' then
    -- As generation does: of two at once for one student the second sees what the first did.
    perform from public.students s where s.id = new.student_id for no key update;
  end if;
  if private.is_time_zone(coalesce(new.time_zone, 'UTC')) then
    new := private.complete_class(new, case tg_op when 'UPDATE' then old end);
  end if;
  perform private.fail_input(private.tracked_class_errors(new, case tg_op when 'UPDATE' then old end));
  if new.status in ('completed', 'missed') and new.starts_at > private.now()
    and (tg_op = 'INSERT' or old.status not in ('completed', 'missed') or new.starts_at is distinct from old.starts_at) then
    perform private.fail('illegal_transition', 'A class that has not begun is neither held nor missed', 'status',
      jsonb_build_object('id', new.id, 'from', case tg_op when 'UPDATE' then old.status end, 'to', new.status));
  end if;
  if tg_op = 'UPDATE' then
    if old.status in ('rescheduled', 'cancelled') and new.status <> old.status
      and exists (select from public.classes c where c.rescheduled_from = new.id and c.status <> 'cancelled') then
      perform private.fail('illegal_transition', 'Another class stands for this one: cancel that first', 'status',
        jsonb_build_object('id', new.id, 'from', old.status, 'to', new.status));
    end if;
    if (new.slot_id, new.occurs_on, new.source) is distinct from (old.slot_id, old.occurs_on, old.source) then
      perform private.fail_input(private.input_error(true, 'slot_id', 'What a class was made for stays'));
    end if;
    -- Its instants, worked out again, are nobody's doing.
    if to_jsonb(new) - '{starts_at,ends_at,version,updated_at}'::text[] is distinct from to_jsonb(old) - '{starts_at,ends_at,version,updated_at}'::text[] then
      new.edited_at := private.now();
    end if;
  end if;
  return new;
end;
$$;
comment on function private.check_class() is
  'Row trigger: fills in and works out what follows from the rest, names every bad field, and marks what somebody edited.';

create trigger t10_keep_version before update on public.classes
  for each row execute function private.keep_version();
create trigger t20_check_insert before insert on public.classes
  for each row when (new.source <> 'generated' or new.starts_at is null or new.ends_at is null or new.status <> 'scheduled')
  execute function private.check_class();
create trigger t20_check_update before update on public.classes
  for each row execute function private.check_class();

-- Generation brings thousands of classes at few different times with their instants worked out: each time is worked out
-- once more, not each class. Of nobody else's rows the trigger above leaves anything to find.
create function private.check_instants() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_bad record;
begin
  -- Fenced off, or each class would be asked about before those alike are made one.
  select t.* into v_bad
  from (select distinct n.date, n.start_time, n.end_time, n.time_zone, n.starts_at, n.ends_at from new_rows n where n.source = 'generated' offset 0) t
  where t.starts_at is distinct from private.local_to_instant(t.date, t.start_time, t.time_zone)
    or t.ends_at is distinct from private.local_end_to_instant(t.date, t.end_time, t.time_zone)
  limit 1;
  if found then
    perform private.fail('invalid_input', format('%s %s in %s is another instant', v_bad.date, v_bad.start_time, v_bad.time_zone), 'starts_at',
      to_jsonb(v_bad), 'Leave starts_at and ends_at out: they follow from the date and times.');
  end if;
  return null;
end;
$$;
comment on function private.check_instants() is 'Statement trigger on classes: the instants of generated classes are those of their wall-clock times.';

create trigger t45_check_instants after insert on public.classes
  referencing new table as new_rows for each statement execute function private.check_instants();

-- Asked first, since writing nobody costs as much as writing somebody.
create function private.ensure_teachers(p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[] := array(
    select distinct t.id from unnest(p_ids) as t(id)
    where t.id is not null and not exists (select from public.resources r where r.id = t.id)
  );
begin
  if v_ids <> '{}' then
    perform private.ensure_people(v_ids);
  end if;
end;
$$;
comment on function private.ensure_teachers(uuid[]) is 'Makes the resources of these people where they are missing.';

create function private.prepare_classes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.ensure_teachers(array(select distinct n.teacher_id from new_rows n));
  return null;
end;
$$;
comment on function private.prepare_classes() is 'Statement trigger: who is to teach a class can be planned with from then on.';

create trigger t30_prepare_insert after insert on public.classes
  referencing new table as new_rows for each statement execute function private.prepare_classes();
create trigger t30_prepare_update after update on public.classes
  referencing new table as new_rows for each statement execute function private.prepare_classes();

select private.attach_claims('public.classes');

-- The student's and the course's names are what classes are called in the ledger.
create function private.rename_classes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  execute format('select array_agg(c.id order by c.id) from public.classes c
    where c.%I = $1 and c.status in (''scheduled'', ''completed'', ''missed'') and c.teacher_id is not null', tg_argv[0])
    into v_ids using new.id;
  if v_ids is not null then
    perform private.lock_sources('classes', v_ids);
    perform private.derive_claims('classes', v_ids);
  end if;
  return null;
end;
$$;
comment on function private.rename_classes() is 'Row trigger on students and courses: their classes carry the name in the ledger. The argument is the column that refers to it.';

create trigger t60_rename_classes after update of first_name, last_name on public.students
  for each row when ((old.first_name, old.last_name) is distinct from (new.first_name, new.last_name))
  execute function private.rename_classes('student_id');
create trigger t60_rename_classes after update of title on public.courses
  for each row when (old.title is distinct from new.title) execute function private.rename_classes('course_id');

-- Attendance says what became of the class.
create function private.follow_attendance() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.classes c
  set status = case when new.status in ('present', 'late') then 'completed' else 'missed' end
  where c.id = new.class_id and c.status in ('scheduled', 'completed', 'missed')
    and c.status <> case when new.status in ('present', 'late') then 'completed' else 'missed' end;
  return null;
end;
$$;
comment on function private.follow_attendance() is 'Row trigger on class_attendance: a class somebody attended is completed, another one missed.';

create function private.check_attendance() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_class public.classes;
begin
  new.note := private.clean_text(new.note);
  select c.* into v_class from public.classes c where c.id = new.class_id for no key update;
  perform private.fail_input(
    private.input_error(coalesce(new.status, '') not in ('present', 'late', 'absent', 'excused'), 'status', 'Attendance is present, late, absent or excused')
    || private.input_error(new.minutes_late not between 1 and 1440, 'minutes_late', 'Between 1 and 1440 minutes')
    || private.input_error(new.minutes_late is not null and new.status <> 'late', 'minutes_late', 'Only who is late is so many minutes late')
    || private.input_error(length(new.note) > 1000, 'note', 'A note has at most 1000 characters')
    || private.input_error(tg_op = 'UPDATE' and new.class_id <> old.class_id, 'class_id', 'Attendance stays with its class'));
  if v_class.status in ('cancelled', 'rescheduled') or v_class.starts_at > private.now() then
    perform private.fail('illegal_transition',
      case when v_class.status in ('cancelled', 'rescheduled') then format('Nobody attends a class that is %s', v_class.status)
        else 'The class has not begun' end,
      'class_id', jsonb_build_object('id', v_class.id, 'status', v_class.status, 'starts_at', v_class.starts_at));
  end if;
  return new;
end;
$$;
comment on function private.check_attendance() is 'Row trigger: attendance is recorded of classes that took place, and names every bad field.';

create trigger t10_keep_version before update on public.class_attendance
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.class_attendance
  for each row execute function private.check_attendance();
create trigger t50_follow_attendance after insert or update of status on public.class_attendance
  for each row execute function private.follow_attendance();

create trigger t10_keep_version before update on public.cancellation_rules
  for each row execute function private.keep_version();

-- What a student owes for each class.
create view private.classes_dues as
select c.id as source_id, s.profile_id, c.price as amount,
  format('Class of %s, %s %s', s.first_name, c.date, left(c.start_time::text, 5)) as title
from public.classes c
join public.students s on s.id = c.student_id
where c.price > 0 and s.profile_id is not null and c.payment_status <> 'waived'
  and (c.status in ('completed', 'missed') or c.status = 'cancelled' and c.is_charged or c.status = 'scheduled' and c.payment_status = 'paid');
comment on view private.classes_dues is 'What classes cost: those that were held, missed, or cancelled too late, unless that was waived.';

select private.attach_dues('public.classes');
