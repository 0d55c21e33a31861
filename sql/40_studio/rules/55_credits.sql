-- Bookings that use credits: each class that serves one uses one, of what the customer bought, on the class's day. It
-- comes back when the class is called off, or when the customer cancels in time. Purchases are locked last, in the order
-- of their owners.

create function private.return_link_credits(p_link_ids uuid[], p_by_customer boolean) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.return_credit('assignment_bookings', u.source_id, u.starts_at)
  from (
    select e.source_id, case when p_by_customer then a.starts_at end as starts_at
    from public.credit_entries e
    join public.package_purchases p on p.id = e.purchase_id
    left join public.assignment_bookings l on l.id = e.source_id
    left join public.class_assignments a on a.id = l.assignment_id
    where e.source_id = any(p_link_ids) and e.source_table = 'assignment_bookings' and e.kind = 'used'
    order by p.profile_id, e.source_id
    offset 0
  ) u;
end;
$$;
comment on function private.return_link_credits(uuid[], boolean) is
  'Gives back the credits these links use: all of them, or, where the customer cancelled, those whose class is far enough ahead.';

create function private.use_link_credits() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.use_credit(b.profile_id, b.class_package_id, b.date, 'assignment_bookings', b.link_id)
  from (
    select b.profile_id, b.class_package_id, a.date, n.id as link_id
    from new_rows n
    join public.bookings b on b.booking_id = n.booking_id and b.uses_credits
    join public.class_assignments a on a.id = n.assignment_id and a.class_status <> 'cancelled'
    order by b.profile_id, n.id
    offset 0
  ) b;
  return null;
end;
$$;
comment on function private.use_link_credits() is 'Statement trigger on assignment_bookings: a booking that uses credits uses one for each class.';

-- The class is read while it still has its links, so this runs before the rows go. Whoever takes a booking off a class
-- that stands cancels for the customer; a class that goes takes its links along, and nobody pays for it.
create function private.return_credit_of_link() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_class public.class_assignments;
begin
  select a.* into v_class from public.class_assignments a where a.id = old.assignment_id;
  if tg_op = 'UPDATE' and (new.id, new.assignment_id, new.booking_id) = (old.id, old.assignment_id, old.booking_id) then
    return null;
  end if;
  if not exists (select from public.class_assignments_archive r where r.id = old.assignment_id) then
    perform private.return_credit('assignment_bookings', old.id, case when v_class.class_status <> 'cancelled' then v_class.starts_at end);
  end if;
  return null;
end;
$$;
comment on function private.return_credit_of_link() is
  'Row trigger on assignment_bookings: the credit comes back, unless the class stands and the customer is late; archiving keeps it used.';

create trigger t60_return_credit after update or delete on public.assignment_bookings
  for each row execute function private.return_credit_of_link();
create trigger t65_use_credits_insert after insert on public.assignment_bookings
  referencing new table as new_rows for each statement execute function private.use_link_credits();
create trigger t65_use_credits_update after update on public.assignment_bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.use_link_credits();

create function private.return_credits_of_classes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.return_link_credits(array(
    select l.id
    from new_rows n
    join old_rows o on o.id = n.id and o.class_status <> 'cancelled'
    join public.assignment_bookings l on l.assignment_id = n.id
    where n.class_status = 'cancelled'
  ), false);
  return null;
end;
$$;
comment on function private.return_credits_of_classes() is 'Statement trigger on class_assignments: a class that is called off costs nobody a credit.';

create trigger t80_return_credits after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.return_credits_of_classes();

create function private.return_credits_of_booking() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.return_link_credits(array(
    select l.id
    from public.assignment_bookings l
    join public.class_assignments a on a.id = l.assignment_id and a.class_status = 'scheduled'
    where l.booking_id = new.booking_id
  ), true);
  return null;
end;
$$;
comment on function private.return_credits_of_booking() is 'Row trigger on bookings: cancelling in time gives back the credits of classes to come.';

create trigger t60_return_credits after update of status on public.bookings
  for each row when (new.status = 'cancelled' and old.status <> 'cancelled') execute function private.return_credits_of_booking();
