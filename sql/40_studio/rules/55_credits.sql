-- Bookings that use credits: each class that serves one uses one, of what the customer bought, on the class's day. It
-- comes back when the class is called off, or when the customer cancels in time. Purchases are locked last, in the order
-- of their owners.

-- Of a class whose time was never set nobody can cancel late, until its day is over.
create function private.credit_deadline(p_class public.class_assignments) returns timestamptz
language sql stable set search_path = ''
return coalesce(p_class.starts_at, case when p_class.date < private.today() then p_class.date::timestamp at time zone p_class.time_zone end);
comment on function private.credit_deadline(public.class_assignments) is
  'What cancelling late is counted from: the start of a class, or of its day once that is over without a time; null where neither is known.';

create function private.return_link_credits(p_link_ids uuid[], p_by_customer boolean) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.return_credit('assignment_bookings', u.source_id, u.starts_at)
  from (
    select e.source_id, case when p_by_customer then private.credit_deadline(a) end as starts_at
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
    join public.bookings b on b.booking_id = n.booking_id and b.uses_credits and b.status <> 'cancelled'
    join public.class_assignments a on a.id = n.assignment_id and a.class_status <> 'cancelled'
    order by b.profile_id, n.id
    offset 0
  ) b;
  return null;
end;
$$;
comment on function private.use_link_credits() is 'Statement trigger on assignment_bookings: a booking that uses credits uses one for each class.';

-- Whoever takes a booking off a class that stands cancels for the customer; a class that goes takes its links along, and
-- costs nobody a credit. One that moves to the archive keeps what it used.
create function private.return_credits_of_links() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if tg_op = 'DELETE' then
    perform private.return_credit('assignment_bookings', u.id, u.starts_at)
    from (
      select o.id, case when a.class_status <> 'cancelled' then private.credit_deadline(a) end as starts_at
      from old_rows o
      join public.bookings b on b.booking_id = o.booking_id
      left join public.class_assignments a on a.id = o.assignment_id
      where not exists (select from public.class_assignments_archive r where r.id = o.assignment_id)
      order by b.profile_id, o.id
      offset 0
    ) u;
  else
    perform private.return_credit('assignment_bookings', u.id, u.starts_at)
    from (
      select o.id, case when a.class_status <> 'cancelled' then private.credit_deadline(a) end as starts_at
      from old_rows o
      join public.bookings b on b.booking_id = o.booking_id
      left join public.class_assignments a on a.id = o.assignment_id
      where not exists (
        select from new_rows n where n.id = o.id and n.assignment_id = o.assignment_id and n.booking_id = o.booking_id
      )
      order by b.profile_id, o.id
      offset 0
    ) u;
  end if;
  return null;
end;
$$;
comment on function private.return_credits_of_links() is
  'Statement trigger on assignment_bookings: the credit comes back, unless the class stands and the customer is late; archiving keeps it used.';

create trigger t60_return_credits_update after update on public.assignment_bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.return_credits_of_links();
create trigger t60_return_credits_delete after delete on public.assignment_bookings
  referencing old table as old_rows for each statement execute function private.return_credits_of_links();
create trigger t65_use_credits_insert after insert on public.assignment_bookings
  referencing new table as new_rows for each statement execute function private.use_link_credits();
create trigger t65_use_credits_update after update on public.assignment_bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.use_link_credits();

create function private.follow_class_with_credits() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_cancelled_ids uuid[];
  v_is_moved boolean;
begin
  select array_agg(n.id) filter (where n.class_status = 'cancelled' and o.class_status <> 'cancelled'),
    bool_or(n.class_status <> 'cancelled' and n.date <> o.date)
  into v_cancelled_ids, v_is_moved
  from new_rows n
  join old_rows o on o.id = n.id;
  if v_cancelled_ids is not null then
    perform private.return_link_credits(array(select l.id from public.assignment_bookings l where l.assignment_id = any(v_cancelled_ids)), false);
  end if;
  if v_is_moved then
    perform private.use_credit(u.profile_id, u.class_package_id, u.date, 'assignment_bookings', u.id)
    from (
      select b.profile_id, b.class_package_id, n.date, l.id
      from new_rows n
      join old_rows o on o.id = n.id and o.date <> n.date
      join public.assignment_bookings l on l.assignment_id = n.id
      join public.bookings b on b.booking_id = l.booking_id and b.uses_credits and b.status <> 'cancelled'
      where n.class_status <> 'cancelled'
      order by b.profile_id, l.id
      offset 0
    ) u;
  end if;
  return null;
end;
$$;
comment on function private.follow_class_with_credits() is
  'Statement trigger on class_assignments: a class that is called off costs nobody a credit; one that moves to another day uses one that is good then.';

create trigger t80_follow_with_credits after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_class_with_credits();

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
