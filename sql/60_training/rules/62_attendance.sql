-- The register, whoever writes it: only from the session's start, and the booking follows.

create function private.check_mark() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_booking public.session_bookings;
  v_session public.course_sessions;
begin
  if tg_op = 'UPDATE' and new.booking_id <> old.booking_id then
    perform private.fail('illegal_transition', 'A mark stays with its booking', 'booking_id', jsonb_build_object('booking_id', old.booking_id));
  end if;
  select b.* into v_booking from public.session_bookings b where b.id = new.booking_id;
  perform private.fail_input(
    private.input_error(v_booking.id is null, 'booking_id', 'There is no such booking')
    || private.input_error(v_booking.id is not null and v_booking.status = 'cancelled', 'booking_id', 'This booking was cancelled')
    || private.input_error(new.session_id <> v_booking.session_id, 'session_id', 'The booking is not one of this session')
    || private.input_error(coalesce(new.status, '') not in ('present', 'absent', 'late', 'excused'), 'status', 'A mark is present, absent, late or excused')
    || private.input_error(length(new.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
  );
  select s.* into v_session from public.course_sessions s where s.id = v_booking.session_id;
  if v_session.status in ('cancelled', 'tentative') or v_session.starts_at > private.now() then
    perform private.fail('illegal_transition',
      case when v_session.status = 'cancelled' then 'The session was cancelled' when v_session.starts_at > private.now() then 'The session has not begun'
        else 'It was never decided that the session is held' end, 'session_id',
      jsonb_build_object('session_id', v_session.id, 'status', v_session.status, 'starts_at', v_session.starts_at));
  end if;
  new.session_id := v_booking.session_id;
  new.user_id := v_booking.user_id;
  new.notes := private.clean_text(new.notes);
  if tg_op = 'INSERT' then
    new.marked_by := coalesce(private.caller_id(), new.marked_by);
    new.marked_at := private.now();
  elsif (new.status, new.notes) is distinct from (old.status, old.notes) then
    new.marked_by := private.caller_id();
    new.marked_at := private.now();
  end if;
  return new;
end;
$$;
comment on function private.check_mark() is
  'Row trigger: a mark is one of a live booking, from the session''s start; says who made it and when.';

create trigger t10_keep_version before update on public.attendance
  for each row execute function private.keep_version();
-- Who left is forgotten without that being a mark.
create trigger t20_check before insert or update of booking_id, session_id, booking_live, status, notes on public.attendance
  for each row execute function private.check_mark();

create function private.follow_marks() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if tg_op = 'DELETE' then
    update public.session_bookings b set status = 'confirmed'
    from old_rows o
    where b.id = o.booking_id and b.status in ('attended', 'no_show') and not exists (select from public.attendance a where a.booking_id = b.id);
  else
    update public.session_bookings b set status = case when n.is_attended then 'attended' else 'no_show' end
    from new_rows n
    where b.id = n.booking_id and b.status <> case when n.is_attended then 'attended' else 'no_show' end;
  end if;
  return null;
end;
$$;
comment on function private.follow_marks() is
  'Statement trigger: bookings of who was there become attended, of who was not no_show, and confirmed again when a mark is taken back.';

create trigger t60_follow_insert after insert on public.attendance
  referencing new table as new_rows for each statement execute function private.follow_marks();
create trigger t60_follow_update after update on public.attendance
  referencing new table as new_rows for each statement execute function private.follow_marks();
create trigger t60_follow_delete after delete on public.attendance
  referencing old table as old_rows for each statement execute function private.follow_marks();
