-- Bookings by themselves: who takes part, what it costs, and how the status moves.

create function private.session_booking_errors(p_new public.session_bookings, p_old public.session_bookings) returns jsonb
language sql stable security definer set search_path = ''
return private.input_error(p_new.profile_id is null and p_new.attendee_name is null, 'attendee_name', 'Say who takes part')
  || private.input_error(length(p_new.attendee_name) > 200, 'attendee_name', 'A name has at most 200 characters')
  || private.input_error(not private.is_email(p_new.attendee_email), 'attendee_email', 'This is not an email address')
  || private.input_error(coalesce(p_new.seats, 0) not between 1 and 1000, 'seats', 'A booking takes at least one seat')
  || private.input_error(coalesce(p_new.status, '') not in ('confirmed', 'cancelled', 'attended', 'no_show'), 'status',
    'A status is confirmed, cancelled, attended or no_show')
  || private.input_error(not coalesce(p_new.price, 0) between 0 and 9999999999.99, 'price', 'A price is not negative')
  || private.input_error(length(p_new.cancellation_reason) > 1000, 'cancellation_reason', 'A reason has at most 1000 characters')
  || private.input_error(length(p_new.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
  || private.input_error(
    p_new.profile_id is not null and p_new.profile_id is distinct from p_old.profile_id
      and not exists (select from public.user_profiles p where p.id = p_new.profile_id and p.is_active),
    'profile_id', 'There is no such person, or they left')
  || private.input_error(p_old.profile_id is not null and p_new.profile_id is distinct from p_old.profile_id, 'profile_id', 'A booking stays its person''s');
comment on function private.session_booking_errors(public.session_bookings, public.session_bookings) is
  'What is wrong with a booking, every field at once; against what it was before.';

-- Asked one by one, so that each finds its key.
create function private.refuse_second_booking(p_new public.session_bookings) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_other_id uuid;
begin
  if p_new.profile_id is not null then
    select b.id into v_other_id
    from public.session_bookings b
    where b.session_id = p_new.session_id and b.profile_id = p_new.profile_id and b.is_live and b.id <> p_new.id;
  end if;
  if p_new.attendee_email is not null and v_other_id is null then
    select b.id into v_other_id
    from public.session_bookings b
    where b.session_id = p_new.session_id and b.attendee_email = p_new.attendee_email and b.is_live and b.id <> p_new.id;
  end if;
  if v_other_id is not null then
    perform private.fail('duplicate', 'This person has booked the session already',
      case when p_new.profile_id is null then 'attendee_email' else 'profile_id' end,
      jsonb_build_object('session_id', p_new.session_id, 'booking_id', v_other_id));
  end if;
end;
$$;
comment on function private.refuse_second_booking(public.session_bookings) is 'Raises duplicate for whoever has a live booking of the session; of two at once the keys refuse the second.';

create function private.tidy_session_booking(p_new public.session_bookings) returns public.session_bookings
language plpgsql immutable set search_path = ''
as $$
begin
  p_new.attendee_name := case when p_new.attendee_name is not null then private.clean_name(p_new.attendee_name) end;
  p_new.attendee_email := case when p_new.attendee_email is not null then lower(private.clean_text(p_new.attendee_email)) end;
  p_new.cancellation_reason := case when p_new.cancellation_reason is not null then private.clean_text(p_new.cancellation_reason) end;
  p_new.notes := case when p_new.notes is not null then private.clean_text(p_new.notes) end;
  return p_new;
end;
$$;
comment on function private.tidy_session_booking(public.session_bookings) is 'A booking with its texts cleaned.';

-- Everybody who books waits for this, hence in one piece: what is clearly right passes, and whatever else is looked at
-- field by field to say what is wrong with it.
create function private.check_session_booking() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_session public.course_sessions;
  v_caller_id uuid;
  v_price numeric;
  v_is_open boolean;
  v_is_booked boolean;
  v_is_active boolean;
begin
  -- A name or an address that is tidy already stays as it is.
  if coalesce(new.cancellation_reason, new.notes) is not null
    or new.attendee_name !~ '^[^\s\x01-\x1f\x7f]+( [^\s\x01-\x1f\x7f]+)*$'
    or new.attendee_email !~ '^[a-z0-9@._+-]+$' then
    new := private.tidy_session_booking(new);
  end if;
  if tg_op = 'INSERT' then
    -- Who is meant: a person by profile or login, a guest by name; otherwise whoever books.
    v_caller_id := private.caller_id();
    if v_caller_id is not null then
      new.booked_by := v_caller_id;
      new.booked_at := private.now();
    end if;
    if new.profile_id is not null then
      select p.user_id, p.is_active into new.user_id, v_is_active from public.user_profiles p where p.id = new.profile_id;
    elsif new.user_id is not null or new.attendee_name is null then
      new.user_id := coalesce(new.user_id, v_caller_id);
      select p.id, p.is_active into new.profile_id, v_is_active from public.user_profiles p where p.user_id = new.user_id;
    end if;
    select s.price, s.status = 'scheduled' and s.starts_at > private.now(),
      exists (select from public.session_bookings b where b.session_id = s.id and b.attendee_email = new.attendee_email and b.is_live)
        or exists (select from public.session_bookings b where b.session_id = s.id and b.profile_id = new.profile_id and b.is_live)
    into v_price, v_is_open, v_is_booked
    from public.course_sessions s
    where s.id = new.session_id;
    new.price := coalesce(new.price, v_price * coalesce(new.seats, 1));
    if (
      new.status = 'confirmed' and new.seats between 1 and 1000 and new.price between 0 and 9999999999.99 and new.cancellation_reason is null
      and (new.attendee_name is null or length(new.attendee_name) <= 200)
      and (new.notes is null or length(new.notes) <= 1000)
      and (new.attendee_email is null or private.is_email(new.attendee_email))
      and case when new.profile_id is null then new.attendee_name is not null else v_is_active end
    ) is not true then
      perform private.fail_input(private.session_booking_errors(new, null));
    end if;
    if new.status in ('attended', 'no_show') then
      perform private.fail('illegal_transition', 'Nobody attended a session to come', 'status');
    end if;
    if new.status <> 'cancelled' and v_is_open is not true then
      select s.* into v_session from public.course_sessions s where s.id = new.session_id;
      perform private.refuse_closed(v_session);
    end if;
    if new.status <> 'cancelled' and v_is_booked then
      perform private.refuse_second_booking(new);
    end if;
  else
    select s.* into v_session from public.course_sessions s where s.id = new.session_id;
    perform private.fail_input(private.session_booking_errors(new, old));
    perform private.refuse_booking_change(new, old, v_session);
    if new.status <> 'cancelled' and (new.profile_id, new.attendee_email) is distinct from (old.profile_id, old.attendee_email) then
      perform private.refuse_second_booking(new);
    end if;
    if (new.session_id, new.seats) <> (old.session_id, old.seats) and new.price = old.price then
      new.price := case when new.session_id = old.session_id then old.price / old.seats else v_session.price end * new.seats;
    end if;
  end if;
  if new.status = 'cancelled' then
    new.cancelled_at := coalesce(case when tg_op = 'UPDATE' then old.cancelled_at end, private.now());
  elsif new.cancelled_at is not null then
    new.cancelled_at := null;
  end if;
  return new;
end;
$$;
comment on function private.check_session_booking() is
  'Row trigger: fills in who takes part and what it costs, names every bad field, and keeps the order of what a booking becomes.';

create function private.refuse_booking_change(p_new public.session_bookings, p_old public.session_bookings, p_session public.course_sessions)
returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_from public.course_sessions := p_session;
  v_details constant jsonb := jsonb_build_object('id', p_old.id, 'from', p_old.status, 'to', p_new.status);
begin
  if p_old.status = 'cancelled' then
    if (p_new.status, p_new.session_id, p_new.seats) <> (p_old.status, p_old.session_id, p_old.seats) then
      perform private.fail('illegal_transition', 'A booking that is cancelled stays cancelled', 'status', v_details, 'Book again.');
    end if;
    return;
  end if;
  if p_new.session_id <> p_old.session_id then
    select s.* into v_from from public.course_sessions s where s.id = p_old.session_id;
  end if;
  if (p_new.session_id, p_new.seats) <> (p_old.session_id, p_old.seats) or p_new.status = 'cancelled' then
    if p_old.status <> 'confirmed' then
      perform private.fail('illegal_transition', format('A booking that is %s is not changed any more', p_old.status), 'status', v_details);
    end if;
    -- Of a cancelled session only the cancelling itself still comes through here.
    if v_from.status <> 'cancelled' and (v_from.status not in ('tentative', 'scheduled') or v_from.starts_at <= private.now()) then
      perform private.fail('illegal_transition', 'The session has begun already', 'session_id', v_details || jsonb_build_object('starts_at', v_from.starts_at));
    end if;
  end if;
  if p_new.session_id <> p_old.session_id then
    perform private.refuse_closed(p_session);
    perform private.refuse_second_booking(p_new);
  end if;
  if p_new.status in ('attended', 'no_show') and p_new.status <> p_old.status
    and (p_session.status not in ('scheduled', 'in_progress', 'completed') or p_session.starts_at > private.now()) then
    perform private.fail('illegal_transition', 'The session has not begun, or was never held', 'status', v_details || jsonb_build_object('starts_at', p_session.starts_at));
  end if;
end;
$$;
comment on function private.refuse_booking_change(public.session_bookings, public.session_bookings, public.course_sessions) is
  'Raises illegal_transition for what a booking cannot become: it is cancelled, moved or made larger before its session starts, and attended from then on.';

create trigger t00_read_committed before insert or update or delete on public.session_bookings
  for each statement when (pg_catalog.current_setting('transaction_isolation') <> 'read committed')
  execute function private.refuse_other_isolation();
create trigger t10_keep_version before update on public.session_bookings
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.session_bookings
  for each row execute function private.check_session_booking();

-- What bookings cost.
create view private.session_bookings_dues as
select b.id as source_id, b.profile_id, b.price as amount, format('%s, %s', c.title, s.session_date) as title
from public.session_bookings b
join public.course_sessions s on s.id = b.session_id
join public.courses c on c.id = s.course_id
where b.price > 0 and b.profile_id is not null and b.is_live;
comment on view private.session_bookings_dues is 'What bookings of sessions cost, unless they are cancelled.';

select private.attach_dues('public.session_bookings');

-- Invoker, or it could not tell who writes: functions of this module that let instructors mark attendance are definers.
create function private.guard_attendance() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if private.is_direct_write() then
    perform private.require_permission('update:session_booking');
  end if;
  return new;
end;
$$;
comment on function private.guard_attendance() is 'Row trigger: whether somebody attended is not theirs to say.';

create trigger t05_guard_attendance before update on public.session_bookings
  for each row when (new.status is distinct from old.status and (new.status in ('attended', 'no_show') or old.status in ('attended', 'no_show')))
  execute function private.guard_attendance();
