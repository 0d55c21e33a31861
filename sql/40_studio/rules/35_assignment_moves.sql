-- How a class moves through its three statuses, and who may move it.
--
-- class_status: scheduled → completed (once it has begun) or cancelled. instructor_status: pending → accepted or
-- rejected, by the instructor or for them; pending again when somebody else is asked. payment_status: pending → paid or
-- cancelled, by holders of manage:pay. A cancelled class is not paid for unless it was already.

create function private.move_assignment() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_is_new constant boolean := tg_op = 'INSERT';
  v_plans constant boolean := private.has_permission(case tg_op when 'INSERT' then 'create:assignment' else 'update:assignment' end);
  v_pays constant boolean := private.has_permission('manage:pay');
begin
  if v_is_new then
    -- A row brought along by a server, or kept from elsewhere, may be anywhere on its way; others begin at the beginning.
    if not private.has_permission('bulk:assignment') then
      perform private.refuse_move(new.id, 'instructor_status', null, new.instructor_status, new.instructor_status <> 'pending');
    end if;
    perform private.refuse_move(new.id, 'payment_status', null, new.payment_status, new.payment_status <> 'pending' and not v_pays);
  else
    if new.instructor_id <> old.instructor_id then
      perform private.refuse_move(new.id, 'instructor_id', old.class_status, new.class_status, old.class_status <> 'scheduled' and not v_pays);
      new.instructor_status := 'pending';
      new.instructor_response_at := null;
    elsif new.instructor_status <> old.instructor_status then
      perform private.refuse_move(new.id, 'instructor_status', old.instructor_status, new.instructor_status,
        old.instructor_status <> 'pending' or old.class_status <> 'scheduled');
      new.instructor_response_at := private.now();
    else
      new.instructor_response_at := old.instructor_response_at;
    end if;
    perform private.refuse_move(new.id, 'class_status', old.class_status, new.class_status,
      new.class_status <> old.class_status and (old.class_status <> 'scheduled'
        or new.class_status = 'completed' and new.instructor_status = 'rejected'));
    if old.class_status = 'scheduled' and new.class_status = 'cancelled' and old.payment_status = 'pending' then
      new.payment_status := 'cancelled';
    elsif new.payment_status <> old.payment_status then
      perform private.refuse_move(new.id, 'payment_status', old.payment_status, new.payment_status,
        old.payment_status <> 'pending' or new.payment_status = 'paid' and new.class_status = 'cancelled');
      if not v_pays then
        perform private.require_permission('manage:pay');
      end if;
    end if;
    -- What is over stays where it was.
    perform private.refuse_move(new.id, 'date', old.class_status, new.class_status,
      old.class_status <> 'scheduled' and (new.date, new.start_time, new.end_time, new.time_zone, new.location_id)
        is distinct from (old.date, old.start_time, old.end_time, old.time_zone, old.location_id) and not v_pays);
  end if;
  if new.class_status = 'completed' and (v_is_new or old.class_status <> 'completed')
    and coalesce(new.starts_at > private.now(), new.date > private.today()) then
    perform private.fail('illegal_transition', 'This class has not begun yet', 'class_status',
      jsonb_build_object('id', new.id, 'from', case when v_is_new then null else old.class_status end, 'to', 'completed'));
  end if;
  -- Who teaches a class answers for it, says that it is over, and keeps notes; nothing else.
  if not v_is_new and not v_plans then
    if new.instructor_id <> old.instructor_id or new.class_status = 'cancelled' and old.class_status <> 'cancelled'
      or row(new.class_type_id, new.package_id, new.location_id, new.date, new.start_time, new.end_time, new.time_zone, new.payment_amount,
          new.payment_type, new.schedule_type, new.booking_type, new.schedule_id, new.occurs_on, new.plan_id, new.rate, new.rate_id)
        is distinct from row(old.class_type_id, old.package_id, old.location_id, old.date, old.start_time, old.end_time, old.time_zone, old.payment_amount,
          old.payment_type, old.schedule_type, old.booking_type, old.schedule_id, old.occurs_on, old.plan_id, old.rate, old.rate_id) then
      perform private.require_permission('update:assignment');
    end if;
  end if;
  return new;
end;
$$;
comment on function private.move_assignment() is
  'Row trigger: statuses move forward only, each by whom it is for; asking somebody else begins their answer anew.';

create function private.refuse_move(p_id uuid, p_field text, p_from text, p_to text, p_when boolean) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if p_when then
    perform private.fail('illegal_transition',
      case
        when p_from is null then format('A class does not begin as %s', p_to)
        when p_from = p_to then format('A %s class stays as it was', p_from)
        else format('A class that is %s does not become %s', p_from, p_to)
      end,
      p_field, jsonb_build_object('id', p_id, 'from', p_from, 'to', p_to));
  end if;
end;
$$;
comment on function private.refuse_move(uuid, text, text, text, boolean) is 'Raises illegal_transition when told to.';

create trigger t25_move before insert or update on public.class_assignments
  for each row execute function private.move_assignment();
