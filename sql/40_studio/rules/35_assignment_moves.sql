-- How a class moves through its three statuses, and who may move it.
--
-- class_status: scheduled → completed (once it has begun) or cancelled. instructor_status: pending → accepted or
-- rejected, by the instructor or for them; pending again when somebody else is asked. payment_status: pending → paid or
-- cancelled, by holders of manage:pay. A cancelled class is not paid for unless it was already.

-- Asked by the trigger, and by who wants to know before trying.
create function private.illegal_move(p_old public.class_assignments, p_new public.class_assignments, p_pays boolean)
returns table (field text, from_status text, to_status text, message text)
language sql immutable set search_path = ''
begin atomic
  select m.field, m.from_status, m.to_status, m.message
  from (
    values
      ('class_status', p_old.class_status, p_new.class_status, format('A class that is %s does not become %s', p_old.class_status, p_new.class_status),
        p_new.class_status <> p_old.class_status and p_old.class_status <> 'scheduled'),
      ('class_status', p_old.class_status, p_new.class_status, 'A class that its instructor rejected is not completed: give it to somebody else',
        p_old.class_status = 'scheduled' and p_new.class_status = 'completed' and p_new.instructor_status = 'rejected'
          and p_new.instructor_id = p_old.instructor_id),
      ('instructor_id', p_old.class_status, p_new.class_status, format('Nobody else teaches a class that is %s', p_old.class_status),
        p_new.instructor_id <> p_old.instructor_id and p_old.class_status <> 'scheduled' and not p_pays),
      ('instructor_status', p_old.instructor_status, p_new.instructor_status,
        format('An answer that is %s does not become %s', p_old.instructor_status, p_new.instructor_status),
        p_new.instructor_status <> p_old.instructor_status and p_new.instructor_id = p_old.instructor_id
          and (p_old.instructor_status <> 'pending' or p_old.class_status <> 'scheduled')),
      ('payment_status', p_old.payment_status, p_new.payment_status,
        format('Pay that is %s does not become %s', p_old.payment_status, p_new.payment_status),
        p_new.payment_status <> p_old.payment_status and p_old.payment_status <> 'pending'),
      ('payment_status', p_old.payment_status, p_new.payment_status, 'A cancelled class is not paid for',
        p_new.payment_status <> p_old.payment_status and p_new.payment_status = 'paid' and p_new.class_status = 'cancelled'),
      ('date', p_old.class_status, p_new.class_status, format('A class that is %s stays when and where it was', p_old.class_status),
        p_old.class_status <> 'scheduled' and not p_pays
          and (p_new.date, p_new.start_time, p_new.end_time, p_new.time_zone, p_new.location_id)
            is distinct from (p_old.date, p_old.start_time, p_old.end_time, p_old.time_zone, p_old.location_id))
  ) as m(field, from_status, to_status, message, applies)
  where m.applies
  limit 1;
end;
comment on function private.illegal_move(public.class_assignments, public.class_assignments, boolean) is
  'The first thing about a change that no class can do, if there is one; p_pays is whether the caller holds manage:pay, who may correct what is over.';

create function private.move_assignment() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_problem record;
begin
  if tg_op = 'INSERT' then
    -- What a server or a holder of bulk:assignment brings along may be anywhere on its way; others begin at the beginning.
    if new.instructor_status <> 'pending' and not private.has_permission('bulk:assignment') then
      perform private.fail('illegal_transition', 'A class begins with the instructor''s answer pending', 'instructor_status',
        jsonb_build_object('id', new.id, 'to', new.instructor_status));
    end if;
    if new.payment_status <> 'pending' then
      perform private.require_permission('manage:pay');
    end if;
  else
    if old.class_status <> 'scheduled' or (new.class_status, new.instructor_status, new.payment_status)
      is distinct from (old.class_status, old.instructor_status, old.payment_status) then
      select m.* into v_problem
      from private.illegal_move(old, new, old.class_status <> 'scheduled' and private.has_permission('manage:pay')) m;
      if found then
        perform private.fail('illegal_transition', v_problem.message, v_problem.field,
          jsonb_build_object('id', new.id, 'from', v_problem.from_status, 'to', v_problem.to_status));
      end if;
    end if;
    if new.instructor_id <> old.instructor_id then
      -- Who turns out to have taught a class is not asked whether they will.
      new.instructor_status := case old.class_status when 'completed' then 'accepted' else 'pending' end;
      new.instructor_response_at := null;
    elsif new.instructor_status <> old.instructor_status then
      new.instructor_response_at := private.now();
    else
      new.instructor_response_at := old.instructor_response_at;
    end if;
    if old.class_status = 'scheduled' and new.class_status = 'cancelled' and old.payment_status = 'pending' then
      new.payment_status := 'cancelled';
    end if;
  end if;
  if new.class_status = 'completed' and (tg_op = 'INSERT' or old.class_status <> 'completed')
    and coalesce(new.starts_at > private.now(), new.date > private.today()) then
    perform private.fail('illegal_transition', 'This class has not begun yet', 'class_status',
      jsonb_build_object('id', new.id, 'from', case tg_op when 'UPDATE' then old.class_status end, 'to', 'completed'));
  end if;
  return new;
end;
$$;
comment on function private.move_assignment() is
  'Row trigger: statuses move forward only; asking somebody else begins their answer anew.';

-- Who teaches a class answers for it, says that it is over, and keeps notes; nothing else. Asked once a statement, since
-- asking takes longer than writing a row.
create function private.guard_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if not private.has_permission('manage:pay') and exists (
    select from new_rows n
    join old_rows o on o.id = n.id
    where o.payment_status <> n.payment_status
        and not (n.payment_status = 'cancelled' and n.class_status = 'cancelled' and o.class_status = 'scheduled')
      or o.payment_status = 'paid'
        and row(n.instructor_id, n.payment_amount, n.payment_type, n.rate) is distinct from row(o.instructor_id, o.payment_amount, o.payment_type, o.rate)
  ) then
    perform private.require_permission('manage:pay');
  end if;
  if not private.has_permission('update:assignment') and exists (
    select from new_rows n
    join old_rows o on o.id = n.id
    where n.class_status = 'cancelled' and o.class_status <> 'cancelled'
      or row(n.instructor_id, n.class_type_id, n.package_id, n.location_id, n.date, n.start_time, n.end_time, n.time_zone, n.payment_amount,
          n.payment_type, n.schedule_type, n.booking_type, n.schedule_id, n.occurs_on, n.plan_id, n.rate, n.rate_id)
        is distinct from row(o.instructor_id, o.class_type_id, o.package_id, o.location_id, o.date, o.start_time, o.end_time, o.time_zone, o.payment_amount,
          o.payment_type, o.schedule_type, o.booking_type, o.schedule_id, o.occurs_on, o.plan_id, o.rate, o.rate_id)
  ) then
    perform private.require_permission('update:assignment');
  end if;
  return null;
end;
$$;
comment on function private.guard_assignments() is 'Statement trigger: pay is settled, and what was paid corrected, by holders of manage:pay; instructors change nothing but their answer, that a class is over, and notes.';

-- One that moves to the archive is still on record.
create function private.guard_paid_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if not private.has_permission('manage:pay') and exists (
    select from old_rows o
    where o.payment_status = 'paid' and not exists (select from public.class_assignments_archive r where r.id = o.id)
  ) then
    perform private.require_permission('manage:pay');
  end if;
  return null;
end;
$$;
comment on function private.guard_paid_assignments() is 'Statement trigger: a class that was paid for is deleted by holders of manage:pay only.';

create trigger t20_guard_paid after delete on public.class_assignments
  referencing old table as old_rows for each statement execute function private.guard_paid_assignments();
create trigger t20_guard after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.guard_assignments();
create trigger t25_move before insert on public.class_assignments
  for each row execute function private.move_assignment();
-- Bulk changes of anything else need not ask, row by row.
create trigger t25_move_on_update before update on public.class_assignments
  for each row when (
    old.class_status <> 'scheduled' or (new.class_status, new.instructor_status, new.payment_status, new.instructor_id, new.instructor_response_at)
      is distinct from (old.class_status, old.instructor_status, old.payment_status, old.instructor_id, old.instructor_response_at)
  )
  execute function private.move_assignment();
