-- Seats: making them, finding free ones, and that each has the owner its booking says.

-- What triggers write passes without a call: the condition says at what depth.
create trigger t00_only_triggers_write before insert or update or delete on public.session_seats
  for each statement when (pg_catalog.pg_trigger_depth() = 0) execute function private.refuse_direct_write(
    'Write the booking, the hold or the session''s max_capacity: its seats follow.');
create trigger t01_no_truncate before truncate on public.session_seats
  for each statement execute function private.refuse_direct_write(
    'Write the booking, the hold or the session''s max_capacity: its seats follow.');

create function private.make_seats() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into public.session_seats (session_id, seat_no)
  select s.id, g
  from new_rows n
  join public.course_sessions s on s.id = n.id
  cross join lateral generate_series(1, s.max_capacity) g;
  return null;
end;
$$;
comment on function private.make_seats() is 'Statement trigger: a new session gets its seats.';

create trigger t40_make_seats after insert on public.course_sessions
  referencing new table as new_rows for each statement execute function private.make_seats();

-- The session's row is locked by the update. Whoever takes a seat waits for nobody while holding it, so waiting for
-- the free ones ends; what was taken meanwhile is not among them.
create function private.follow_capacity() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_surplus constant integer := (select count(*) from public.session_seats s where s.session_id = new.id) - new.max_capacity;
  v_free integer[];
begin
  if v_surplus > 0 then
    v_free := array(
      select s.seat_no from public.session_seats s
      where s.session_id = new.id and s.booking_id is null and (s.held_until is null or s.held_until <= private.now())
      order by s.seat_no desc
      limit v_surplus
      for update
    );
    if cardinality(v_free) < v_surplus then
      perform private.fail('seats_full',
        format('%s seats are taken or held: the session cannot have %s', new.max_capacity + v_surplus - cardinality(v_free), new.max_capacity),
        'max_capacity', jsonb_build_object('session_id', new.id, 'taken', new.max_capacity + v_surplus - cardinality(v_free), 'wanted', new.max_capacity));
    end if;
    delete from public.session_seats s where s.session_id = new.id and s.seat_no = any(v_free);
  elsif v_surplus < 0 then
    insert into public.session_seats (session_id, seat_no)
    select new.id, g
    from generate_series(1, 10000) g
    where not exists (select from public.session_seats s where s.session_id = new.id and s.seat_no = g)
    order by g
    limit -v_surplus;
  end if;
  return null;
end;
$$;
comment on function private.follow_capacity() is 'Row trigger: another capacity makes seats, or takes free ones away; too few free ones refuse it.';

create trigger t40_follow_capacity after update on public.course_sessions
  for each row when (new.max_capacity <> old.max_capacity) execute function private.follow_capacity();

create function private.seats_free(p_session_id uuid) returns integer
language sql stable security definer set search_path = ''
return (
  select count(*) from public.session_seats s
  where s.session_id = p_session_id and s.booking_id is null and (s.held_until is null or s.held_until <= private.now())
);
comment on function private.seats_free(uuid) is 'How many seats of a session nobody owns or holds.';

create function private.fail_full(p_session_id uuid, p_wanted integer) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_left constant integer := private.seats_free(p_session_id);
begin
  perform private.fail('seats_full',
    case when v_left = 0 then 'All seats are taken' else format('%s seats are wanted, and %s left', p_wanted, v_left) end, 'session_id',
    jsonb_build_object('session_id', p_session_id, 'wanted', p_wanted, 'seats_left', v_left),
    'calendar_availability() says which sessions have seats left.');
end;
$$;
comment on function private.fail_full(uuid, integer) is 'Raises seats_full, saying how many are left.';

create function private.seats_taken(p_session_id uuid) returns integer
language sql stable security definer set search_path = ''
return (select count(*) from public.session_seats s where s.session_id = p_session_id and s.booking_id is not null);
comment on function private.seats_taken(uuid) is 'How many seats of a session are owned by bookings.';

-- Past the locked ones, and never fewer than asked for: too few are given back, by way of the subtransaction that took them.
-- So is what was locked in vain: a seat that was taken between being found and being locked is not returned, and stays
-- locked nevertheless.
create function private.skip_to_free_seats(p_session_id uuid, p_count integer, p_hold_ids uuid[]) returns integer[]
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now constant timestamptz := private.now();
  v_seats integer[] := '{}';
begin
  begin
    if p_hold_ids <> '{}' then
      v_seats := array(
        select s.seat_no from public.session_seats s
        where s.session_id = p_session_id and s.held_by = any(p_hold_ids) and s.booking_id is null
        order by s.seat_no limit p_count for no key update skip locked
      );
    end if;
    if cardinality(v_seats) < p_count then
      v_seats := v_seats || array(
        select s.seat_no from public.session_seats s
        where s.session_id = p_session_id and s.booking_id is null and (s.held_until is null or s.held_until <= v_now)
          and s.seat_no <> all(v_seats)
        order by s.seat_no limit p_count - cardinality(v_seats) for no key update skip locked
      );
    end if;
    if cardinality(v_seats) < p_count then
      raise sqlstate 'CB001';
    end if;
    return v_seats;
  exception when sqlstate 'CB001' then
    return '{}';
  end;
end;
$$;
comment on function private.skip_to_free_seats(uuid, integer, uuid[]) is
  'Locks so many free seats, those of these holds first, past any that others have locked; or none at all, where there are too few of them.';

-- Who finds too few that way, either because the session is full or because others are mid-way, queues for the session's
-- row and takes seats in order. Whoever may not wait (they have something that others wait for: a seat taken earlier in this
-- transaction, a booking that is being changed) is told to try again, should somebody else be queueing.
create function private.lock_free_seats(p_session_id uuid, p_count integer, p_hold_ids uuid[], p_queues_first boolean, p_waits boolean)
returns integer[]
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now constant timestamptz := private.now();
  v_seats integer[];
begin
  if not p_queues_first then
    v_seats := private.skip_to_free_seats(p_session_id, p_count, p_hold_ids);
    if cardinality(v_seats) = p_count then
      return v_seats;
    end if;
  end if;
  -- Seats that somebody has locked count as free until they commit, so this is full for certain.
  if (
    select count(*) from public.session_seats s
    where s.session_id = p_session_id and s.booking_id is null
      and (s.held_until is null or s.held_until <= v_now or s.held_by = any(p_hold_ids))
  ) < p_count then
    perform private.fail_full(p_session_id, p_count);
  end if;
  if p_waits then
    perform from public.course_sessions s where s.id = p_session_id for no key update;
  else
    perform from public.course_sessions s where s.id = p_session_id for no key update skip locked;
    if not found then
      perform private.fail('in_progress', 'Others are taking the last seats this moment', 'session_id',
        jsonb_build_object('session_id', p_session_id), 'Try again.');
    end if;
  end if;
  v_seats := array(
    select s.seat_no from public.session_seats s
    where s.session_id = p_session_id and s.booking_id is null
      and (s.held_until is null or s.held_until <= v_now or s.held_by = any(p_hold_ids))
    order by (s.held_by = any(p_hold_ids)) is not true, s.seat_no
    limit p_count
    for no key update
  );
  if cardinality(v_seats) < p_count then
    perform private.fail_full(p_session_id, p_count);
  end if;
  return v_seats;
end;
$$;
comment on function private.lock_free_seats(uuid, integer, uuid[], boolean, boolean) is
  'Locks so many free seats of a session, those of these holds first, and returns their numbers. Raises seats_full; in_progress for who may not wait.';

-- A statement that comes later in a transaction that took seats must not wait. A setting says so, since it goes with the
-- transaction, or with the savepoint that took them; whoever sets it themselves is only asked to try again more often.
create function private.may_wait_for_seats() returns boolean
language sql stable set search_path = ''
return coalesce(current_setting('classbase.has_seats', true), '') <> 'yes';
comment on function private.may_wait_for_seats() is 'Whether this transaction took no seats yet, and may therefore wait for a session.';

create function private.refuse_closed(p_session public.course_sessions) returns void
language plpgsql stable security definer set search_path = ''
as $$
begin
  if p_session.id is null then
    perform private.fail('not_found', 'There is no such session', 'session_id');
  end if;
  if p_session.status not in ('tentative', 'scheduled') or p_session.starts_at <= private.now() then
    perform private.fail('illegal_transition',
      case when p_session.status in ('cancelled', 'completed') then format('The session is %s', p_session.status) else 'The session has begun' end,
      'session_id', jsonb_build_object('session_id', p_session.id, 'status', p_session.status, 'starts_at', p_session.starts_at));
  end if;
end;
$$;
comment on function private.refuse_closed(public.course_sessions) is 'Raises illegal_transition for a session that was cancelled, is over or has begun; not_found for none.';

-- Everything that could still take or give back a seat of this session is waited for, and nothing new begins: bookings
-- first, then seats, as whoever cancels a booking has them. Somebody may have booked between the two, and be cancelling
-- again: they would wait for the seat, and this for the booking. So these are looked at without waiting, and if one of
-- them is in use everything is given back and locked anew.
create function private.lock_session_whole(p_session_id uuid) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_known uuid[];
  v_late uuid[];
begin
  for attempt in 1..100 loop
    begin
      v_known := array(
        select b.id from public.session_bookings b where b.session_id = p_session_id and b.is_live order by b.id for no key update
      );
      perform from public.session_seats s where s.session_id = p_session_id order by s.seat_no for no key update;
      v_late := array(select b.id from public.session_bookings b where b.session_id = p_session_id and b.is_live and b.id <> all(v_known));
      if v_late = '{}' or cardinality(v_late) = cardinality(array(
          select b.id from public.session_bookings b where b.id = any(v_late) for no key update skip locked)) then
        return;
      end if;
      raise sqlstate 'CB001';
    exception when sqlstate 'CB001' then
      null;
    end;
  end loop;
  perform private.fail('in_progress', 'The session is being booked this moment', 'id', jsonb_build_object('id', p_session_id), 'Try again.');
end;
$$;
comment on function private.lock_session_whole(uuid) is 'Locks a session''s live bookings and all its seats; its row is locked already.';
