-- Bookings and their seats: taken when a booking is written, given back before it ends.

-- What has to be true of whoever takes part: the required courses passed, and a course that is not repeatable not taken
-- before. A course whose sessions make up a series is taken once by taking part in all of them.
create function private.courses_passed(p_profile_ids uuid[]) returns table (profile_id uuid, course_id uuid)
language sql stable security definer set search_path = ''
begin atomic
  select distinct b.profile_id, s.course_id
  from public.session_bookings b
  join public.course_sessions s on s.id = b.session_id
  where b.profile_id = any(p_profile_ids) and b.status = 'attended';
end;
comment on function private.courses_passed(uuid[]) is 'Which courses these people have passed: those of which they attended a session.';

create function private.refuse_unqualified(p_booking_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_missing record;
  v_other record;
begin
  -- Of two at once, for two sessions of one course, the second sees what the first did.
  perform pg_advisory_xact_lock(l.key)
  from (
    select distinct hashtextextended(format('course once %s %s', s.course_id, b.profile_id), 0) as key
    from public.session_bookings b
    join public.course_sessions s on s.id = b.session_id
    join public.courses c on c.id = s.course_id and not c.is_repeatable
    where b.id = any(p_booking_ids) and b.profile_id is not null
    order by key
  ) l;
  select b.profile_id, c.id as course_id, c.code, array_agg(r.code order by r.code) as codes into v_missing
  from public.session_bookings b
  join public.course_sessions s on s.id = b.session_id
  join public.courses c on c.id = s.course_id
  join public.course_prerequisites p on p.course_id = c.id
  join public.courses r on r.id = p.required_course_id
  where b.id = any(p_booking_ids)
    and not exists (
      select
      from private.courses_passed(array[b.profile_id]) d
      join public.course_prerequisites o on o.course_id = p.course_id and o."group" = p."group" and o.required_course_id = d.course_id
    )
  group by b.id, b.profile_id, c.id, c.code, p."group"
  order by p."group"
  limit 1;
  if found then
    perform private.fail('invalid_input', format('%s requires %s first', v_missing.code, array_to_string(v_missing.codes, ' or ')), 'profile_id',
      jsonb_build_object('profile_id', v_missing.profile_id, 'course_id', v_missing.course_id, 'requires', to_jsonb(v_missing.codes)));
  end if;
  select b.profile_id, c.id as course_id, c.code, o.id as booking_id into v_other
  from public.session_bookings b
  join public.course_sessions s on s.id = b.session_id
  join public.courses c on c.id = s.course_id and not c.is_repeatable
  join public.course_sessions t on t.course_id = s.course_id and t.id <> s.id and (t.series_id is null or t.series_id is distinct from s.series_id)
  join public.session_bookings o on o.session_id = t.id and o.profile_id = b.profile_id and o.status in ('confirmed', 'attended')
  where b.id = any(p_booking_ids)
  limit 1;
  if found then
    perform private.fail('duplicate', format('%s is taken once only', v_other.code), 'profile_id',
      jsonb_build_object('profile_id', v_other.profile_id, 'course_id', v_other.course_id, 'booking_id', v_other.booking_id));
  end if;
end;
$$;
comment on function private.refuse_unqualified(uuid[]) is
  'Raises invalid_input for bookings of people who lack a required course, duplicate for those who take a course again that nobody takes twice.';

-- Several bookings of one session share out the seats that were found for all of them.
create function private.share_out_seats(p_session_id uuid, p_booking_ids uuid[], p_seats integer[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.session_seats s
  set booking_id = n.booking_id, owner_live = true, held_by = null, held_until = null
  from (
    select b.id as booking_id, p_seats[row_number() over (order by b.id)] as seat_no
    from public.session_bookings b
    cross join lateral generate_series(1, b.seats - (select count(*) from public.session_seats o where o.booking_id = b.id)) g
    where b.id = any(p_booking_ids)
  ) n
  where s.session_id = p_session_id and s.seat_no = n.seat_no;
end;
$$;
comment on function private.share_out_seats(uuid, uuid[], integer[]) is 'Gives bookings of one session the seats they lack, out of these.';

-- What became of the session is read when a seat is owned, in a statement of its own: whoever cancels the session waits
-- for this seat, or was here before.
create function private.settle_session(p_session_id uuid) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_session public.course_sessions;
begin
  select s.* into v_session from public.course_sessions s where s.id = p_session_id;
  if v_session.status <> 'scheduled' or v_session.starts_at <= private.now() then
    perform private.refuse_closed(v_session);
    if private.seats_taken(p_session_id) >= v_session.min_bookings then
      update public.course_sessions s set status = 'scheduled' where s.id = p_session_id;
    end if;
  end if;
end;
$$;
comment on function private.settle_session(uuid) is
  'After seats were taken: raises illegal_transition where the session cannot be booked; with as many as it needs, a tentative one is scheduled.';

-- The seats these bookings of one session lack. This is what everybody waits for when a session sells out, hence as few
-- statements as it takes.
create function private.take_a_seat(p_session_id uuid, p_booking_id uuid, p_login_ids uuid[]) returns boolean
language plpgsql volatile security definer set search_path = '' set plan_cache_mode = force_generic_plan
as $$
declare
  v_now constant timestamptz := private.now();
begin
  -- As private.skip_to_free_seats does it, and for its reasons in a subtransaction.
  begin
    update public.session_seats s
    set booking_id = p_booking_id, owner_live = true, held_by = null, held_until = null
    where s.session_id = p_session_id and s.seat_no = (
      select f.seat_no
      from public.session_seats f
      where f.session_id = p_session_id and f.booking_id is null and (f.held_until is null or f.held_until <= v_now)
        and (
          select o.status <> 'tentative' and c.is_repeatable
            and not exists (select from public.course_prerequisites p where p.course_id = c.id)
            and not exists (
              select from public.session_holds h
              where h.session_id = p_session_id and h.user_id = any(p_login_ids) and h.released_at is null and h.held_until > v_now
            )
          from public.course_sessions o
          join public.courses c on c.id = o.course_id
          where o.id = p_session_id
        )
      order by f.seat_no
      limit 1
      for no key update of f skip locked
    );
    if not found then
      raise sqlstate 'CB001';
    end if;
  exception when sqlstate 'CB001' then
    return false;
  end;
  if not exists (select from public.course_sessions s where s.id = p_session_id and s.status = 'scheduled' and s.starts_at > v_now) then
    perform private.settle_session(p_session_id);
  end if;
  return true;
end;
$$;
comment on function private.take_a_seat(uuid, uuid, uuid[]) is
  'What private.fill_seats does, for a booking that wants one seat like any other: false, with nothing done, where there is more to ask, or no free seat that nobody has locked.';

create function private.fill_seats(p_session_id uuid, p_booking_ids uuid[], p_wanted integer, p_login_ids uuid[], p_waits boolean) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now constant timestamptz := private.now();
  v_before record;
  v_seats integer[];
begin
  -- Reaching the minimum changes the session's row: where that may happen it is locked before the seats.
  select s.status = 'tentative' as queues_first,
    not c.is_repeatable or exists (select from public.course_prerequisites p where p.course_id = c.id) as asks_who,
    array(
      select h.id from public.session_holds h
      where h.session_id = p_session_id and h.user_id = any(p_login_ids) and h.released_at is null and h.held_until > v_now
    ) as hold_ids
  into v_before
  from public.course_sessions s
  join public.courses c on c.id = s.course_id
  where s.id = p_session_id;
  if v_before.asks_who then
    perform private.refuse_unqualified(p_booking_ids);
  end if;
  if p_wanted > 0 then
    v_seats := private.lock_free_seats(p_session_id, p_wanted, v_before.hold_ids, v_before.queues_first, p_waits);
    if cardinality(p_booking_ids) > 1 then
      perform private.share_out_seats(p_session_id, p_booking_ids, v_seats);
    else
      update public.session_seats s
      set booking_id = p_booking_ids[1], owner_live = true, held_by = null, held_until = null
      where s.session_id = p_session_id and s.seat_no = any(v_seats);
    end if;
  end if;
  perform private.settle_session(p_session_id);
end;
$$;
comment on function private.fill_seats(uuid, uuid[], integer, uuid[], boolean) is
  'Gives bookings of one session the seats they lack, or raises seats_full; raises illegal_transition where the session cannot be booked. With as many as it needs, a tentative session is scheduled.';

-- Whoever takes seats of several sessions would wait for the second while holding those of the first.
create function private.queue_for_sessions(p_ids uuid[], p_waits boolean) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if p_waits then
    perform from public.course_sessions s where s.id = any(p_ids) order by s.id for no key update;
  end if;
end;
$$;
comment on function private.queue_for_sessions(uuid[], boolean) is 'Locks several sessions, in the order everybody locks them in, for whoever may wait.';

-- What one person does; nobody is asked who takes a single seat, nor a server.
create function private.refuse_large_group(p_seats integer, p_field text default 'seats') returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_limit constant integer := private.setting_integer('session_group_limit');
begin
  if p_seats > v_limit and private.caller_id() is not null and not private.has_permission('create:session_booking') then
    perform private.fail('limit_exceeded', format('At most %s seats at once', v_limit), p_field, jsonb_build_object('limit', v_limit, 'seats', p_seats));
  end if;
end;
$$;
comment on function private.refuse_large_group(integer, text) is
  'Raises limit_exceeded where the caller takes more seats of a session at once than session_group_limit, without create:session_booking.';

create function private.take_seats() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_only record;
  v_group record;
  v_waits boolean;
begin
  -- Nearly every statement books one seat.
  select n.id, n.session_id, n.seats, array_remove(array[n.booked_by, n.user_id], null) as login_ids, n.is_live and o.id is null as is_one
  into v_only
  from new_rows n
  left join new_rows o on o.id <> n.id
  limit 1;
  if v_only.is_one and v_only.seats = 1 and private.take_a_seat(v_only.session_id, v_only.id, v_only.login_ids) then
    v_waits := set_config('classbase.has_seats', 'yes', true) <> 'yes';
    return null;
  end if;
  v_waits := private.may_wait_for_seats();
  for v_group in
    select n.session_id, array_agg(n.id) as ids, sum(n.seats)::integer as wanted,
      array_remove(array_agg(n.booked_by) || array_agg(n.user_id), null) as login_ids,
      count(*) over () as sessions, row_number() over (order by n.session_id) as position
    from new_rows n
    where n.is_live
    group by n.session_id
    order by n.session_id
  loop
    if v_group.sessions > 1 and v_group.position = 1 then
      perform private.queue_for_sessions(array(select n.session_id from new_rows n), v_waits);
    end if;
    if v_group.wanted > 1 then
      perform private.refuse_large_group(v_group.wanted);
    end if;
    perform private.fill_seats(v_group.session_id, v_group.ids, v_group.wanted, v_group.login_ids, v_waits);
  end loop;
  perform set_config('classbase.has_seats', 'yes', true);
  return null;
end;
$$;
comment on function private.take_seats() is 'Statement trigger: new bookings take their seats, session by session, or the statement fails.';

create function private.take_other_seats() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_group record;
begin
  for v_group in
    select n.session_id, array_agg(n.id) as ids,
      (sum(n.seats) - sum((select count(*) from public.session_seats s where s.booking_id = n.id)))::integer as wanted,
      array_remove(array_agg(n.booked_by) || array_agg(n.user_id), null) as login_ids,
      sum(n.seats) filter (where n.seats > o.seats) as grown
    from new_rows n
    join old_rows o on o.id = n.id
    where n.is_live and (n.session_id, n.seats) <> (o.session_id, o.seats)
    group by n.session_id
    order by n.session_id
  loop
    perform private.refuse_large_group(v_group.grown::integer);
    perform private.fill_seats(v_group.session_id, v_group.ids, v_group.wanted, v_group.login_ids, false);
    perform set_config('classbase.has_seats', 'yes', true);
  end loop;
  return null;
end;
$$;
comment on function private.take_other_seats() is
  'Statement trigger: bookings that were moved to another session, or need more seats, take them, or the statement fails.';

create trigger t50_take_seats_insert after insert on public.session_bookings
  referencing new table as new_rows for each statement execute function private.take_seats();
create trigger t50_take_seats_update after update on public.session_bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.take_other_seats();

-- Before the booking changes, since afterwards the foreign key refuses what it says.
create function private.give_seats_back() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_stays boolean := false;
begin
  if tg_op = 'UPDATE' then
    v_stays := new.status <> 'cancelled' and new.session_id = old.session_id;
  end if;
  update public.session_seats s
  set booking_id = null, owner_live = null
  where s.booking_id = old.id and (
    not v_stays or s.seat_no in (
      select o.seat_no from public.session_seats o where o.booking_id = old.id order by o.seat_no offset new.seats
    )
  );
  return coalesce(new, old);
end;
$$;
comment on function private.give_seats_back() is 'Row trigger: a booking that is cancelled, deleted, moved to another session or needs fewer seats gives back those it has.';

create trigger t40_give_seats_back_update before update on public.session_bookings
  for each row when (old.status <> 'cancelled' and (new.status = 'cancelled' or new.session_id <> old.session_id or new.seats < old.seats))
  execute function private.give_seats_back();
create trigger t40_give_seats_back_delete before delete on public.session_bookings
  for each row when (old.status <> 'cancelled') execute function private.give_seats_back();

-- What no foreign key can say: that a live booking has as many seats as it says. At the end of the transaction, because a
-- booking has to be there before it can own any.
create function private.fail_seat_count(p_booking_id uuid) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_booking record;
begin
  select b.id, b.seats, count(s.booking_id) as owned into v_booking
  from public.session_bookings b
  left join public.session_seats s on s.booking_id = b.id and s.session_id = b.session_id
  where b.id = p_booking_id and b.is_live
  group by b.id;
  if v_booking.owned <> v_booking.seats then
    perform private.fail('seats_full', format('A booking of %s seats has %s', v_booking.seats, v_booking.owned), 'seats',
      jsonb_build_object('booking_id', v_booking.id, 'seats', v_booking.seats, 'owned', v_booking.owned));
  end if;
end;
$$;
comment on function private.fail_seat_count(uuid) is 'Raises seats_full where a live booking owns more or fewer seats than it says.';

create function private.check_booking_seats() returns trigger
language plpgsql stable security definer set search_path = ''
as $$
begin
  -- What nobody changed since is asked in the cheapest way; whatever else is looked at as it is now.
  if (select count(*) from public.session_seats s where s.booking_id = new.id and s.session_id = new.session_id) <> new.seats then
    perform private.fail_seat_count(new.id);
  end if;
  return null;
end;
$$;
comment on function private.check_booking_seats() is 'Constraint trigger on bookings: a live booking owns as many seats as it says.';

create function private.check_lost_seat() returns trigger
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform private.fail_seat_count(old.booking_id);
  return null;
end;
$$;
comment on function private.check_lost_seat() is 'Constraint trigger on seats: whoever gives one up is a booking that has as many as it says.';

create constraint trigger t60_owns_its_seats after insert or update of status, seats, session_id on public.session_bookings
  deferrable initially deferred for each row when (new.is_live) execute function private.check_booking_seats();
create constraint trigger t60_is_not_lost after update of booking_id or delete on public.session_seats
  deferrable initially deferred for each row when (old.booking_id is not null) execute function private.check_lost_seat();

-- Cancelling a session cancels what was booked, once nobody can book any more.
create function private.close_session() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_session_whole(new.id);
  return new;
end;
$$;
comment on function private.close_session() is 'Row trigger: before a session is cancelled, whoever is booking it is waited for, and nobody else begins.';

create trigger t40_close before update on public.course_sessions
  for each row when (new.status = 'cancelled' and old.status <> 'cancelled') execute function private.close_session();

create function private.cancel_bookings() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.session_bookings b
  set status = 'cancelled', cancellation_reason = new.cancellation_reason
  where b.session_id = new.id and b.status = 'confirmed';
  return null;
end;
$$;
comment on function private.cancel_bookings() is 'Row trigger: the bookings of a cancelled session are cancelled, for its reason.';

create trigger t45_cancel_bookings after update on public.course_sessions
  for each row when (new.status = 'cancelled' and old.status <> 'cancelled') execute function private.cancel_bookings();
