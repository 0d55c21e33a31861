-- Booking, cancelling and moving for those who may: people for themselves and for guests they name, holders of
-- create:session_booking and update:session_booking for everybody.

-- Guests by name, or oneself, one seat each: what most people ask for, told apart quickly.
create function private.are_plain_attendees(p_attendees jsonb) returns boolean
language plpgsql immutable set search_path = ''
as $$
begin
  return jsonb_typeof(p_attendees) = 'array' and p_attendees <> '[]' and not exists (
    select
    from jsonb_array_elements(p_attendees) as i(item)
    where case jsonb_typeof(i.item) when 'object' then
        i.item - '{name,email,notes}'::text[] <> '{}' or coalesce(jsonb_typeof(i.item -> 'name') <> 'string', false)
        or coalesce(jsonb_typeof(i.item -> 'email') <> 'string', false) or coalesce(jsonb_typeof(i.item -> 'notes') <> 'string', false)
      else true end
  );
end;
$$;
comment on function private.are_plain_attendees(jsonb) is 'Whether a list of attendees is well made and names no person by id: then private.attendee_errors finds nothing, unless nobody is signed in.';

create function private.attendee_errors(p_attendees jsonb) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_errors jsonb := private.json_list_errors(p_attendees,
    '{"profile_id": "uuid", "user_id": "uuid", "name": "text", "email": "text", "seats": "count", "notes": "text"}', 'p_attendees');
begin
  if v_errors <> '[]' then
    return v_errors;
  end if;
  return private.input_error(p_attendees = '[]', 'p_attendees', 'Name at least one who takes part')
    || coalesce((
      select jsonb_agg(e.error order by i.position)
      from jsonb_array_elements(p_attendees) with ordinality as i(item, position)
      cross join lateral jsonb_array_elements(
        private.input_error(i.item ->> 'seats' = '0', format('p_attendees[%s].seats', i.position - 1), 'At least one seat')
        || private.input_error(
          private.caller_id() is null and coalesce(i.item ->> 'profile_id', i.item ->> 'user_id', private.clean_name(i.item ->> 'name')) is null,
          format('p_attendees[%s].name', i.position - 1), 'Say who takes part')
      ) as e(error)
    ), '[]');
end;
$$;
comment on function private.attendee_errors(jsonb) is 'What is wrong with a list of attendees, each field with its place.';

create function private.require_booking_for(p_attendees jsonb) returns void
language plpgsql stable security definer set search_path = ''
as $$
begin
  if private.caller_id() is null and not private.is_trusted() or private.is_deactivated(private.caller_id()) then
    perform private.fail('forbidden', 'Sign in to book');
  end if;
  if exists (
    select from jsonb_array_elements(p_attendees) as i(item)
    where (i.item ->> 'profile_id')::uuid <> coalesce(private.current_profile_id(), '00000000-0000-0000-0000-000000000000')
      or (i.item ->> 'user_id')::uuid <> coalesce(private.caller_id(), '00000000-0000-0000-0000-000000000000')
  ) then
    perform private.require_permission('create:session_booking');
  end if;
end;
$$;
comment on function private.require_booking_for(jsonb) is 'Raises forbidden unless the caller may book for these people: oneself and guests by name, anybody with create:session_booking.';

-- One guest by name, or oneself: what nearly everybody asks for, in as few steps as it takes.
create function private.book_one(p_session_id uuid, p_attendees jsonb) returns public.session_bookings
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_caller_id constant uuid := private.caller_id();
  v_item constant jsonb := case when jsonb_typeof(p_attendees) = 'array' and p_attendees -> 1 is null then p_attendees -> 0 end;
  v_booking public.session_bookings;
begin
  if v_caller_id is null or p_session_id is null
    or (case when jsonb_typeof(v_item) = 'object' then v_item - '{name,email,notes}'::text[] = '{}' end) is not true
    or jsonb_typeof(v_item -> 'name') <> 'string' or jsonb_typeof(v_item -> 'email') <> 'string' or jsonb_typeof(v_item -> 'notes') <> 'string' then
    return null;
  end if;
  insert into public.session_bookings (session_id, attendee_name, attendee_email, notes)
  select p_session_id, v_item ->> 'name', v_item ->> 'email', v_item ->> 'notes'
  where not exists (select from public.user_profiles p where p.user_id = v_caller_id and not p.is_active)
  returning * into v_booking;
  return v_booking;
end;
$$;
comment on function private.book_one(uuid, jsonb) is
  'Books a session for the caller, or for one guest by name, where that is what is asked for and the caller may; null, with nothing done, for everything else.';

-- In one statement, so that all get their seats or nobody does; sorted, so that two groups with the same people in them
-- wait for each other in one order.
create function private.book_attendees(p_session_id uuid, p_attendees jsonb) returns setof public.session_bookings
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_is_plain constant boolean := private.caller_id() is not null and private.are_plain_attendees(p_attendees);
begin
  if p_session_id is null or not v_is_plain then
    perform private.fail_input(private.input_error(p_session_id is null, 'p_session_id', 'Say which session') || private.attendee_errors(p_attendees));
  end if;
  if not v_is_plain or private.is_deactivated(private.caller_id()) then
    perform private.require_booking_for(p_attendees);
  end if;
  return query
    insert into public.session_bookings (session_id, user_id, profile_id, attendee_name, attendee_email, seats, notes)
    select p_session_id, (i.item ->> 'user_id')::uuid, (i.item ->> 'profile_id')::uuid, i.item ->> 'name', i.item ->> 'email',
      coalesce((i.item ->> 'seats')::integer, 1), i.item ->> 'notes'
    from jsonb_array_elements(p_attendees) as i(item)
    order by i.item ->> 'profile_id', i.item ->> 'user_id', lower(i.item ->> 'email'), i.item ->> 'name'
    returning *;
end;
$$;
comment on function private.book_attendees(uuid, jsonb) is 'Books a session for these people, all or none.';

-- Found without a lock, since whoever moves a booking locks its sessions first.
create function private.session_booking_for(p_booking_id uuid) returns public.session_bookings
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_booking public.session_bookings;
begin
  select b.* into v_booking from public.session_bookings b where b.id = p_booking_id;
  if v_booking.id is not null and (
    private.has_permission('update:session_booking')
    or (v_booking.user_id = private.caller_id() or v_booking.booked_by = private.caller_id() or v_booking.profile_id = private.current_profile_id())
      and not private.is_deactivated(private.caller_id())
  ) then
    return v_booking;
  end if;
  -- Whoever may see everything is told what they lack; others are not told what there is.
  if v_booking.id is not null and private.has_permission('read:session_booking') then
    perform private.require_permission('update:session_booking');
  end if;
  perform private.fail('not_found', 'There is no such booking', 'p_booking_id', jsonb_build_object('id', p_booking_id));
  return null;
end;
$$;
comment on function private.session_booking_for(uuid) is
  'A booking the caller may change: one''s own, or one''s guests''; with update:session_booking any. Raises not_found or forbidden.';

create function private.cancel_session_booking(p_booking_id uuid, p_reason text) returns public.session_bookings
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_booking public.session_bookings := private.session_booking_for(p_booking_id);
begin
  update public.session_bookings b
  set status = 'cancelled', cancellation_reason = p_reason
  where b.id = p_booking_id and b.status <> 'cancelled'
  returning b.* into v_booking;
  if not found then
    perform private.fail('illegal_transition', 'The booking is cancelled already', 'p_booking_id',
      jsonb_build_object('id', p_booking_id, 'from', 'cancelled', 'to', 'cancelled'));
  end if;
  return v_booking;
end;
$$;
comment on function private.cancel_session_booking(uuid, text) is 'Cancels a booking for those who may.';

-- One update: the seat it has is given up only together with having the other.
create function private.move_session_booking(p_booking_id uuid, p_to_session_id uuid) returns public.session_bookings
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_booking public.session_bookings := private.session_booking_for(p_booking_id);
begin
  perform from public.course_sessions s where s.id in (v_booking.session_id, p_to_session_id) order by s.id for no key update;
  update public.session_bookings b
  set session_id = p_to_session_id
  where b.id = p_booking_id and b.session_id = v_booking.session_id
  returning b.* into v_booking;
  if not found then
    perform private.fail('in_progress', 'Somebody else moves this booking this moment', 'p_booking_id', p_hint => 'Try again.');
  end if;
  return v_booking;
end;
$$;
comment on function private.move_session_booking(uuid, uuid) is 'Moves a booking to another session for those who may; both sessions are locked before it.';

create function private.hold_for_caller(p_session_id uuid, p_seats integer, p_minutes integer) returns public.session_holds
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_hold public.session_holds;
begin
  if private.caller_id() is null and not private.is_trusted() or private.is_deactivated(private.caller_id()) then
    perform private.fail('forbidden', 'Sign in to hold seats');
  end if;
  perform private.refuse_large_group(p_seats, 'p_seats');
  -- One at a time: what one held before is free for the taking, by oneself among others. Of two calls at once the second sees
  -- what the first holds.
  perform pg_advisory_xact_lock(hashtextextended(format('hold %s %s', p_session_id, private.caller_id()), 0))
  where private.caller_id() is not null;
  perform private.release_of_caller(p_session_id);
  insert into public.session_holds (session_id, user_id, seats, held_until)
  values (p_session_id, private.caller_id(), p_seats, private.now() + make_interval(mins => p_minutes))
  returning * into v_hold;
  return v_hold;
end;
$$;
comment on function private.hold_for_caller(uuid, integer, integer) is 'Holds seats of a session for the caller, in place of those held before.';

create function private.release_of_caller(p_session_id uuid) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_seats integer;
begin
  with released as (
    update public.session_holds h set released_at = private.now()
    where h.session_id = p_session_id and h.user_id = private.caller_id() and h.released_at is null and h.held_until > private.now()
    returning h.seats
  )
  select coalesce(sum(r.seats), 0) into v_seats from released r;
  return v_seats;
end;
$$;
comment on function private.release_of_caller(uuid) is 'Gives back what the signed-in caller holds of a session; returns how many seats that were. What servers hold is each for somebody else.';
