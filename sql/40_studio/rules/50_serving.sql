-- What links between classes and bookings bring about: room for so many, and the bookings' status.
--
-- Whoever changes links or classes locks the classes, then the bookings, each in order, and reads in a later statement: of
-- two who act on one booking at once, the second sees what the first did.

create function private.max_participants(p_assignment_id uuid) returns integer
language sql stable security definer set search_path = ''
return (
  select coalesce(s.max_participants, t.max_participants)
  from public.class_assignments a
  left join public.class_schedules s on s.id = a.schedule_id
  left join public.class_types t on t.id = coalesce(a.class_type_id, s.class_type_id)
  where a.id = p_assignment_id
);
comment on function private.max_participants(uuid) is 'How many bookings a class can serve: as its schedule says, else its class type; null where neither does.';

create view private.participant_counts as
select a.id as assignment_id, count(*)::integer as participants
from public.class_assignments a
join public.assignment_bookings l on l.assignment_id = a.id
join public.bookings b on b.booking_id = l.booking_id and b.status <> 'cancelled'
where a.class_status <> 'cancelled'
group by a.id;
comment on view private.participant_counts is 'How many bookings each class serves, those that were cancelled left out.';

create function private.refuse_overfull(p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_full record;
begin
  select a.id, a.date, c.participants, private.max_participants(a.id) as room into v_full
  from public.class_assignments a
  join private.participant_counts c on c.assignment_id = a.id
  where a.id = any(p_ids) and c.participants > private.max_participants(a.id)
  order by a.date, a.id
  limit 1;
  if found then
    perform private.fail('seats_full', format('The class on %s has room for %s', v_full.date, v_full.room), 'booking_id',
      jsonb_build_object('assignment_id', v_full.id, 'limit', v_full.room, 'asked', v_full.participants));
  end if;
end;
$$;
comment on function private.refuse_overfull(uuid[]) is
  'Raises seats_full when one of these classes, which the caller has locked, serves more bookings than it has room for.';

create function private.confirm_bookings(p_booking_ids text[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform from public.bookings b where b.booking_id = any(p_booking_ids) order by b.booking_id for no key update;
  update public.bookings b
  set status = w.status
  from (
    select u.booking_id, case when private.is_served(u.booking_id) then 'confirmed' else 'pending' end as status
    from unnest(p_booking_ids) as u(booking_id)
  ) w
  where b.booking_id = w.booking_id and b.status in ('pending', 'confirmed') and b.status <> w.status;
end;
$$;
comment on function private.confirm_bookings(text[]) is 'Makes these bookings confirmed or pending, as the classes say; ended ones stay.';

-- An import brings classes and bookings that ended elsewhere, with the links they had there. It says so here, before it
-- writes them, and takes it back; nobody else can.
create table private.brought_links (
  assignment_id uuid not null,
  booking_id text not null,
  primary key (assignment_id, booking_id)
);
comment on table private.brought_links is 'Links to ended bookings that the import under way brings along; empty but for then.';

create function private.follow_links() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_new public.assignment_bookings[];
  v_booking_ids text[];
  v_ended text;
begin
  if tg_op = 'TRUNCATE' then
    perform private.fail('forbidden', 'assignment_bookings cannot be truncated: bookings depend on it',
      p_hint => 'Delete the rows: the bookings follow.');
  end if;
  execute case tg_op
      when 'INSERT' then 'select array_agg(n), array_agg(distinct n.booking_id) from new_rows n'
      when 'DELETE' then 'select null, array_agg(distinct o.booking_id) from old_rows o'
      else 'select (select array_agg(n) from new_rows n),
        (select array_agg(u.booking_id) from (select booking_id from new_rows union select booking_id from old_rows) u)'
    end into v_new, v_booking_ids;
  if v_booking_ids is null then
    return null;
  end if;
  if v_new is not null then
    perform private.lock_sources('class_assignments', array(select n.assignment_id from unnest(v_new) n));
    perform private.refuse_overfull(array(select n.assignment_id from unnest(v_new) n));
  end if;
  perform private.confirm_bookings(v_booking_ids);
  if tg_op <> 'DELETE' then
    select b.booking_id into v_ended
    from public.bookings b
    where b.status in ('completed', 'cancelled') and b.booking_id in (
      select n.booking_id from unnest(v_new) n
      where not exists (select from private.brought_links l where l.assignment_id = n.assignment_id and l.booking_id = n.booking_id)
    )
    order by b.booking_id
    limit 1;
    if found then
      perform private.fail('illegal_transition', format('Booking %s has ended: no class can serve it', v_ended), 'booking_id',
        jsonb_build_object('booking_id', v_ended));
    end if;
  end if;
  return null;
end;
$$;
comment on function private.follow_links() is
  'Statement trigger on assignment_bookings: refuses more than a class has room for and ended bookings, and makes the bookings follow.';

create trigger t00_read_committed before insert or update or delete on public.assignment_bookings
  for each statement execute function private.refuse_other_isolation();
create trigger t00_no_truncate before truncate on public.assignment_bookings
  for each statement execute function private.follow_links();
create trigger t50_follow_insert after insert on public.assignment_bookings
  referencing new table as new_rows for each statement execute function private.follow_links();
create trigger t50_follow_update after update on public.assignment_bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_links();
create trigger t50_follow_delete after delete on public.assignment_bookings
  referencing old table as old_rows for each statement execute function private.follow_links();

-- A class that is cancelled serves nobody any more; one that gets another type or schedule may have less room, and so may
-- one that is moved out of the past, where room is lowered without asking.
create function private.follow_served_class() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_today constant date := private.today();
  v_ids uuid[];
  v_booking_ids text[];
begin
  select array_agg(n.id) filter (where ((n.class_type_id, n.schedule_id) is distinct from (o.class_type_id, o.schedule_id) or o.date < v_today)
      and n.class_status = 'scheduled' and n.date >= v_today),
    array_agg(l.booking_id) filter (where n.class_status = 'cancelled' and o.class_status <> 'cancelled')
  into v_ids, v_booking_ids
  from new_rows n
  join old_rows o on o.id = n.id
  left join public.assignment_bookings l on l.assignment_id = n.id
  where (n.class_type_id, n.schedule_id) is distinct from (o.class_type_id, o.schedule_id)
    or o.date < v_today and n.date >= v_today
    or n.class_status = 'cancelled' and o.class_status <> 'cancelled';
  if v_ids is not null then
    perform private.refuse_overfull(v_ids);
  end if;
  if v_booking_ids is not null then
    perform private.confirm_bookings(array_remove(v_booking_ids, null));
  end if;
  return null;
end;
$$;
comment on function private.follow_served_class() is 'Statement trigger on class_assignments: bookings of cancelled classes follow, and a coming class is not moved to where it has less room than it needs.';

create trigger t70_follow_served after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_served_class();

-- Less room is refused while coming classes need more. Whoever links a booking holds the lock on the class, and whoever
-- writes a class one on its class type and schedule (their foreign keys take it), which the strongest lock waits for; what
-- they did is seen by the statement after the locks. Before the row changes, since resources are locked later.
create function private.keep_room() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_full record;
begin
  if tg_table_name = 'class_schedules' then
    perform from public.class_schedules s where s.id = new.id for update;
  else
    perform from public.class_types t where t.id = new.id for update;
  end if;
  v_ids := array(
    select a.id
    from public.class_assignments a
    left join public.class_schedules s on s.id = a.schedule_id
    where (case tg_table_name when 'class_schedules' then s.id = new.id
        else coalesce(a.class_type_id, s.class_type_id) = new.id and s.max_participants is null end)
      and a.class_status = 'scheduled' and a.date >= private.today()
  );
  perform private.lock_sources('class_assignments', v_ids);
  select a.id, a.date, c.participants, m.room into v_full
  from public.class_assignments a
  join private.participant_counts c on c.assignment_id = a.id
  cross join lateral (
    select case tg_table_name
      when 'class_types' then new.max_participants
      else coalesce(new.max_participants, (
        select t.max_participants from public.class_types t
        where t.id = coalesce(a.class_type_id, (to_jsonb(new) ->> 'class_type_id')::uuid)
      ))
    end as room
  ) m
  where a.id = any(v_ids) and c.participants > m.room
  order by c.participants desc, a.date
  limit 1;
  if found then
    perform private.fail('seats_full', format('%s take part on %s', v_full.participants, v_full.date), 'max_participants',
      jsonb_build_object('assignment_id', v_full.id, 'asked', v_full.participants, 'limit', v_full.room));
  end if;
  return new;
end;
$$;
comment on function private.keep_room() is 'Row trigger on class_types and class_schedules: room for fewer than take part in a coming class is refused.';

create trigger t30_keep_room before update of max_participants on public.class_types
  for each row when (new.max_participants < old.max_participants) execute function private.keep_room();
create trigger t30_keep_room before update of max_participants, class_type_id on public.class_schedules
  for each row when ((new.max_participants, new.class_type_id) is distinct from (old.max_participants, old.class_type_id))
  execute function private.keep_room();
