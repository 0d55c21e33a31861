-- Calling a class off, moving it, making up for it: for those whose class it is, and for those who may change all.

create function private.class_for(p_class_id uuid, p_field text, p_permission text, p_for_student boolean) returns public.classes
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_class public.classes;
begin
  if p_class_id is null then
    perform private.fail_input(private.input_error(true, p_field, 'Say which class'));
  end if;
  perform from public.students s
  where s.id = (select c.student_id from public.classes c where c.id = p_class_id)
  for no key update;
  select c.* into v_class from public.classes c where c.id = p_class_id for no key update;
  if found and (
    private.has_permission(p_permission)
    or v_class.teacher_id = private.current_profile_id() and private.has_permission('update:own_class')
    or p_for_student and exists (
      select from public.students s where s.id = v_class.student_id and s.user_id = private.caller_id() and s.is_active
    )
  ) then
    return v_class;
  end if;
  -- Whoever may see everything is told what they lack; others are not told what there is.
  if v_class.id is not null and private.has_permission('read:calendar') then
    perform private.require_permission(p_permission);
  end if;
  perform private.fail('not_found', 'There is no such class', p_field, jsonb_build_object('id', p_class_id));
  return null;
end;
$$;
comment on function private.class_for(uuid, text, text, boolean) is
  'A class the caller may change, locked: holders of the permission any, teachers their own, and where that is said the student theirs. Raises not_found or forbidden.';

create function private.cancel_one(p_class_id uuid, p_reason text, p_cancelled_by text) returns public.classes
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_class public.classes := private.class_for(p_class_id, 'p_class_id', 'update:class', true);
begin
  perform private.fail_input(
    private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why it is cancelled')
    || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters')
    || private.input_error(p_cancelled_by not in ('student', 'teacher', 'organisation'), 'p_cancelled_by', 'Who cancels is student, teacher or organisation'));
  -- Only who may change all speaks for others.
  if p_cancelled_by is distinct from private.cancelling_party(v_class) and p_cancelled_by is not null then
    perform private.require_permission('update:class');
  end if;
  if v_class.status not in ('scheduled', 'missed') then
    perform private.fail('illegal_transition', format('A class that is %s is not cancelled', v_class.status), 'p_class_id',
      jsonb_build_object('id', v_class.id, 'from', v_class.status, 'to', 'cancelled'));
  end if;
  -- What became of a class that has begun is for those to say who were asked to.
  if v_class.starts_at <= private.now() and private.cancelling_party(v_class) = 'student' and not private.has_permission('update:class') then
    perform private.fail('illegal_transition', 'The class has begun already', 'p_class_id',
      jsonb_build_object('id', v_class.id, 'from', v_class.status, 'to', 'cancelled', 'starts_at', v_class.starts_at));
  end if;
  update public.classes c
  set status = 'cancelled', cancellation_reason = p_reason, cancelled_by = coalesce(p_cancelled_by, private.cancelling_party(v_class))
  where c.id = p_class_id
  returning * into v_class;
  -- Students are not told what the teacher gets, nor what is noted about them.
  if not private.has_permission('update:class') and v_class.teacher_id is distinct from private.current_profile_id() then
    v_class.teacher_pay := null;
    v_class.notes := null;
  end if;
  return v_class;
end;
$$;
comment on function private.cancel_one(uuid, text, text) is 'Cancels a class for those who may, and returns it as far as they may read it.';

-- In the order of whoever records payments and refunds: these first, then what they pay for.
create function private.lock_payments_of(p_class_id uuid) returns void
language sql volatile security definer set search_path = ''
begin atomic
  select p.id
  from public.payments p
  where p.id in (select i.payment_id from public.payment_items i where i.source_table = 'classes' and i.source_id = p_class_id)
  order by p.id
  for no key update;
end;
comment on function private.lock_payments_of(uuid) is 'Locks what was paid for a class, before the class itself.';

-- The new class names the old one. What was paid for a class that costs nothing any more is paid for the new one.
create function private.replace_class(
  p_class public.classes, p_source text, p_date date, p_start_time time, p_end_time time, p_teacher_id uuid
) returns public.classes
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_minutes constant interval := p_class.end_time - p_class.start_time;
  v_end constant time := coalesce(p_end_time, case
    when extract(epoch from p_start_time + v_minutes - time '00:00') > extract(epoch from p_start_time) then p_start_time + v_minutes
    when p_start_time + v_minutes = time '00:00' then time '24:00' end);
  v_teacher constant uuid := coalesce(p_teacher_id, p_class.teacher_id);
  v_new public.classes;
begin
  perform private.fail_input(
    private.input_error(p_date is null, 'p_date', 'Say on which day')
    || private.input_error(p_start_time is null, 'p_start_time', 'Say when it starts')
    || private.input_error(p_start_time is not null and v_end is null, 'p_end_time', 'It ends on the day it starts')
    || private.input_error(v_end <= p_start_time, 'p_end_time', 'The end must be after the start'));
  -- Whoever takes both at once does so in the order everybody does.
  perform private.lock_resources(array_remove(array[p_class.teacher_id, v_teacher], null));
  if p_source = 'rescheduled' then
    update public.classes c set status = 'rescheduled' where c.id = p_class.id;
  end if;
  begin
    insert into public.classes (student_id, course_id, teacher_id, date, start_time, end_time, time_zone, source, rescheduled_from, price, teacher_pay, payment_status)
    values (p_class.student_id, p_class.course_id, v_teacher, p_date, p_start_time, v_end, p_class.time_zone, p_source, p_class.id,
      case when p_source = 'makeup' and p_class.is_charged then 0 else p_class.price end,
      case when v_teacher is not distinct from p_class.teacher_id then p_class.teacher_pay end,
      p_class.payment_status)
    returning * into v_new;
  exception when unique_violation or exclusion_violation then
    perform private.fail('time_conflict', format('The student has another class on %s at %s, or this one was replaced already', p_date, left(p_start_time::text, 5)),
      'p_start_time', (
        select jsonb_build_object('conflicts', jsonb_agg(jsonb_build_object('class_id', c.id, 'starts_at', c.starts_at, 'ends_at', c.ends_at, 'status', c.status)))
        from public.classes c
        where c.student_id = p_class.student_id and c.id <> p_class.id
          and (c.rescheduled_from = p_class.id or c.date = p_date and c.start_time < v_end and p_start_time < c.end_time)
      ), 'Choose another time: offer_makeup() says when both are free.');
  end;
  if (p_source = 'rescheduled' or not p_class.is_charged)
    and exists (select from public.payment_items i where i.source_table = 'classes' and i.source_id = p_class.id) then
    insert into private.payment_moves (source_table, from_id, to_id) values ('classes', p_class.id, v_new.id);
    perform private.settle_classes(array[p_class.id, v_new.id]);
    select c.* into v_new from public.classes c where c.id = v_new.id;
  end if;
  return v_new;
end;
$$;
comment on function private.replace_class(public.classes, text, date, time, time, uuid) is
  'A class in the place of another: one that is moved, or a make-up for one that was cancelled, which costs nothing where the cancelled one was charged.';

-- At the end of the transaction, because the class that was moved is written before the one that stands for it.
create function private.check_replacement() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id constant uuid := case tg_op when 'DELETE' then old.rescheduled_from else new.id end;
begin
  if exists (select from public.classes c where c.id = v_id and c.status = 'rescheduled')
    and not exists (select from public.classes r where r.rescheduled_from = v_id) then
    perform private.fail('illegal_transition', 'No class stands for the one that was moved', 'status', jsonb_build_object('id', v_id),
      'Move a class with reschedule_class(); one that stands for another is cancelled, not deleted.');
  end if;
  return null;
end;
$$;
comment on function private.check_replacement() is 'Constraint trigger on classes: one that was moved has another that stands for it, or a promised class would be missing.';

create constraint trigger t60_is_replaced after insert or update of status on public.classes
  deferrable initially deferred for each row when (new.status = 'rescheduled') execute function private.check_replacement();
create constraint trigger t60_still_replaces after delete on public.classes
  deferrable initially deferred for each row when (old.rescheduled_from is not null) execute function private.check_replacement();

create function private.move_one(p_class_id uuid, p_date date, p_start_time time, p_end_time time, p_teacher_id uuid) returns public.classes
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_class public.classes;
begin
  perform private.lock_payments_of(p_class_id);
  v_class := private.class_for(p_class_id, 'p_class_id', 'update:class', false);
  if v_class.status <> 'scheduled' then
    perform private.fail('illegal_transition', format('A class that is %s is not moved', v_class.status), 'p_class_id',
      jsonb_build_object('id', v_class.id, 'from', v_class.status, 'to', 'rescheduled'));
  end if;
  return private.replace_class(v_class, 'rescheduled', p_date, p_start_time, p_end_time, p_teacher_id);
end;
$$;
comment on function private.move_one(uuid, date, time, time, uuid) is 'Moves a class for those who may.';

create function private.make_up_for(p_class_id uuid, p_date date, p_start_time time, p_end_time time, p_teacher_id uuid) returns public.classes
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_class public.classes;
  v_pause public.student_pauses;
begin
  perform private.lock_payments_of(p_class_id);
  v_class := private.class_for(p_class_id, 'p_class_id', 'create:class', false);
  if v_class.status not in ('cancelled', 'missed') then
    perform private.fail('illegal_transition', format('A class that is %s needs no make-up', v_class.status), 'p_class_id',
      jsonb_build_object('id', v_class.id, 'status', v_class.status));
  end if;
  select p.* into v_pause from public.student_pauses p
  where p.student_id = v_class.student_id and daterange(p.starts_on, p.ends_on, '[]') @> p_date;
  if found then
    perform private.fail('time_conflict', format('The student pauses then: %s', v_pause.reason), 'p_date',
      jsonb_build_object('pause_id', v_pause.id, 'starts_on', v_pause.starts_on, 'ends_on', v_pause.ends_on),
      'Choose another time: offer_makeup() says when both are free.');
  end if;
  return private.replace_class(v_class, 'makeup', p_date, p_start_time, p_end_time, p_teacher_id);
end;
$$;
comment on function private.make_up_for(uuid, date, time, time, uuid) is 'Books a make-up class for those who may.';

-- When the teacher is free, the student has no other class and does not pause.
create function private.makeup_times(p_class_id uuid, p_from timestamptz, p_to timestamptz, p_teacher_id uuid, p_respect_availability boolean, p_limit integer)
returns table (starts_at timestamptz, ends_at timestamptz, date date, start_time time, end_time time, teacher_id uuid)
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_class public.classes := private.class_for(p_class_id, 'p_class_id', 'create:class', true);
  v_teacher constant uuid := coalesce(p_teacher_id, v_class.teacher_id);
  v_minutes constant interval := v_class.end_time - v_class.start_time;
begin
  if v_teacher is null then
    perform private.fail_input(private.input_error(true, 'p_teacher_id', 'The class has no teacher: say who teaches the make-up'));
  end if;
  return query
    select f.starts_at, f.ends_at, l.starts::date, l.starts::time, case l.ends::time when time '00:00' then time '24:00' else l.ends::time end, v_teacher
    from public.free_slots(array[v_teacher], p_from, p_to, v_minutes, interval '15 minutes', p_respect_availability, 5000) f
    cross join lateral (
      select f.starts_at at time zone v_class.time_zone as starts, f.ends_at at time zone v_class.time_zone as ends
    ) l
    where f.starts_at > private.now() and (l.starts::date = l.ends::date or l.ends = l.starts::date + 1)
      -- In the hour that happens twice only the first can be said by date and time.
      and private.local_to_instant(l.starts::date, l.starts::time, v_class.time_zone) = f.starts_at
      and private.local_end_to_instant(l.ends::date, l.ends::time, v_class.time_zone) = f.ends_at
      and not exists (
        select from public.classes c
        where c.student_id = v_class.student_id and (
          c.status in ('scheduled', 'completed', 'missed') and tstzrange(c.starts_at, c.ends_at) && tstzrange(f.starts_at, f.ends_at)
          or c.date = l.starts::date and c.start_time = l.starts::time
        )
      )
      and not exists (
        select from public.student_pauses p
        where p.student_id = v_class.student_id and daterange(p.starts_on, p.ends_on, '[]') @> l.starts::date
      )
    order by f.starts_at
    limit p_limit;
end;
$$;
comment on function private.makeup_times(uuid, timestamptz, timestamptz, uuid, boolean, integer) is 'When a make-up of a class could be, for those whose class it is.';

create function private.record_one(p_class_id uuid, p_status text, p_minutes_late integer, p_note text) returns public.class_attendance
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_class public.classes := private.class_for(p_class_id, 'p_class_id', 'update:class', false);
  v_row public.class_attendance;
begin
  insert into public.class_attendance as a (class_id, status, minutes_late, note)
  values (v_class.id, p_status, p_minutes_late, p_note)
  on conflict (class_id) do update
  set status = excluded.status, minutes_late = excluded.minutes_late, note = excluded.note, recorded_by = private.caller_id(), recorded_at = private.now()
  returning * into v_row;
  return v_row;
end;
$$;
comment on function private.record_one(uuid, text, integer, text) is 'Records attendance for those who may; what was recorded before is replaced.';
