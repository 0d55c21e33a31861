-- What people are told of their bookings, in the transaction that makes the news: that a session is cancelled or moved, or
-- that somebody else cancelled their booking. Who has a profile gets a notification; a guest with an address an email; of a
-- guest without one, whoever booked is told. A repair tells nobody.

create function private.session_in_words(p_session public.course_sessions) returns text
language sql stable security definer set search_path = ''
return concat_ws(', ', (select c.title from public.courses c where c.id = p_session.course_id),
  private.when_in_words(p_session.session_date, p_session.start_time, p_session.end_time, p_session.time_zone),
  (select l.name from public.locations l where l.id = p_session.location_id));
comment on function private.session_in_words(public.course_sessions) is 'What is taught, when, and where.';

create function private.tell_attendees(p_kind text, p_booking_ids uuid[], p_title text, p_title_of_many text, p_occasion text) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if p_booking_ids = '{}' or current_setting('classbase.fix', true) <> '' then
    return;
  end if;
  perform private.tell_people(array(
    select row(
      coalesce(b.profile_id, p.id), p_kind, format('%s: %s', p_title, private.when_in_words(s.session_date, s.start_time, s.end_time, s.time_zone)),
      p_title_of_many, concat_ws('. ', private.session_in_words(s), b.attendee_name, b.cancellation_reason), s.starts_at, 'session_bookings', b.id::text
    )::private.news
    from public.session_bookings b
    join public.course_sessions s on s.id = b.session_id
    left join public.user_profiles p on p.user_id = b.booked_by
    where b.id = any(p_booking_ids) and (b.profile_id is not null or b.attendee_email is null and p.id is not null)
  ));
  insert into public.outbox (channel, recipient, subject, body, kind, dedupe_key)
  select 'email', b.attendee_email, left(format('%s: %s', p_title, private.when_in_words(s.session_date, s.start_time, s.end_time, s.time_zone)), 300),
    concat_ws(E'\n\n', b.attendee_name, private.session_in_words(s), b.cancellation_reason), p_kind, concat_ws(' ', p_kind, b.id, p_occasion)
  from public.session_bookings b
  join public.course_sessions s on s.id = b.session_id
  where b.id = any(p_booking_ids) and b.profile_id is null and b.attendee_email is not null
  order by b.id
  on conflict (dedupe_key) do nothing;
end;
$$;
comment on function private.tell_attendees(text, uuid[], text, text, text) is
  'Tells who takes part, or who booked for them, the same thing about these bookings; p_occasion tells one such message from the next.';

create function private.tell_of_cancelled_bookings() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.tell_attendees('session_cancelled', array(
      select n.id from new_rows n
      join old_rows o on o.id = n.id and o.is_live
      join public.course_sessions s on s.id = n.session_id and s.status = 'cancelled'
      where not n.is_live and s.ends_at > private.now()
    ), 'A session you booked is cancelled', '%s sessions you booked are cancelled', null);
  perform private.tell_attendees('session_booking_cancelled', array(
      select n.id from new_rows n
      join old_rows o on o.id = n.id and o.is_live
      join public.course_sessions s on s.id = n.session_id and s.status <> 'cancelled'
      where not n.is_live and s.ends_at > private.now()
    ), 'Your booking is cancelled', '%s bookings of yours are cancelled', null);
  return null;
end;
$$;
comment on function private.tell_of_cancelled_bookings() is 'Statement trigger: tells attendees that their session, or their booking, is cancelled.';

create trigger t96_tell_update after update on public.session_bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.tell_of_cancelled_bookings();

create function private.tell_of_moved_sessions() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_session record;
begin
  for v_session in
    select n.id, n.version
    from new_rows n
    join old_rows o on o.id = n.id
    where n.status in ('tentative', 'scheduled') and n.ends_at > private.now()
      and (n.session_date, n.start_time, n.end_time, n.time_zone, n.location_id) is distinct from
        (o.session_date, o.start_time, o.end_time, o.time_zone, o.location_id)
    order by n.id
  loop
    perform private.tell_attendees('session_moved',
      array(select b.id from public.session_bookings b where b.session_id = v_session.id and b.status = 'confirmed'),
      'A session you booked was moved', '%s sessions you booked were moved', v_session.version::text);
  end loop;
  return null;
end;
$$;
comment on function private.tell_of_moved_sessions() is 'Statement trigger: tells attendees that their session is at another time or place.';

create trigger t96_tell_update after update on public.course_sessions
  referencing old table as old_rows new table as new_rows for each statement execute function private.tell_of_moved_sessions();
