-- Who may see and write sessions, bookings and holds. What a row may become is for the triggers to say.

alter table public.course_sessions enable row level security;
alter table public.session_bookings enable row level security;
alter table public.session_holds enable row level security;
alter table public.session_seats enable row level security;

-- Definers, because a policy asks them.
create function private.taught_session_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select s.id from public.course_sessions s
  where s.instructor_id = private.current_profile_id() and not private.is_deactivated(private.caller_id());
end;
comment on function private.taught_session_ids() is 'The sessions the caller teaches; none for who was deactivated.';

-- What is planned is for everybody to see, all of it: seats_left, as a column, needs the whole row.
grant select on public.course_sessions to anon;
grant select, delete on public.course_sessions to authenticated, service_role;
grant insert (id, course_id, location_id, instructor_id, session_date, start_time, end_time, time_zone, max_capacity, min_bookings, decide_by, price,
  series_id, notes) on public.course_sessions to authenticated;
grant update (course_id, location_id, instructor_id, session_date, start_time, end_time, time_zone, max_capacity, min_bookings, decide_by, status, price,
  series_id, cancellation_reason, notes, version) on public.course_sessions to authenticated;
grant insert, update on public.course_sessions to service_role;
create policy "anyone sees the sessions of offered courses" on public.course_sessions for select to anon
  using (course_id = any(array(select c.id from public.courses c)));
create policy "signed-in people see all sessions" on public.course_sessions for select to authenticated
  using (true);
create policy "holders of create:session add sessions" on public.course_sessions for insert to authenticated
  with check ((select private.has_permission('create:session')));
create policy "holders of update:session change sessions" on public.course_sessions for update to authenticated
  using ((select private.has_permission('update:session')));
create policy "holders of delete:session delete sessions" on public.course_sessions for delete to authenticated
  using ((select private.has_permission('delete:session')));

-- Bookings: one's own and one's guests'; those of the sessions one teaches; everyone's with the permission. Price and time
-- of booking are the database's to say. A booking is cancelled, not deleted.
grant select on public.session_bookings to authenticated, service_role;
grant insert (session_id, user_id, profile_id, attendee_name, attendee_email, seats, notes) on public.session_bookings to authenticated;
grant update (session_id, attendee_name, attendee_email, status, seats, cancellation_reason, notes, version) on public.session_bookings to authenticated;
grant insert, update, delete on public.session_bookings to service_role;
create policy "people see their bookings, instructors their sessions', holders of read:session_booking all" on public.session_bookings
  for select to authenticated
  using (
    profile_id = (select private.current_profile_id()) or user_id = (select private.caller_id()) or booked_by = (select private.caller_id())
    or (select private.has_permission('read:session_booking')) or session_id = any(array(select private.taught_session_ids()))
  );
create policy "people book for themselves and their guests, holders of create:session_booking for all" on public.session_bookings
  for insert to authenticated
  with check (
    booked_by = (select private.active_caller_id()) and (profile_id is null or profile_id = (select private.current_profile_id()))
      and (user_id is null or user_id = (select private.active_caller_id()))
    or (select private.has_permission('create:session_booking'))
  );
create policy "people change their bookings, holders of update:session_booking all" on public.session_bookings for update to authenticated
  using (
    (select private.active_caller_id()) is not null
      and (profile_id = (select private.current_profile_id()) or user_id = (select private.caller_id()) or booked_by = (select private.caller_id()))
    or (select private.has_permission('update:session_booking'))
  );

-- Holds are made and released by hold_seats() and release_seats(), in the caller's own name.
grant select on public.session_holds to authenticated, service_role;
grant insert, update, delete on public.session_holds to service_role;
create policy "people see what they hold, holders of read:session_booking all" on public.session_holds for select to authenticated
  using (user_id = (select private.caller_id()) or (select private.has_permission('read:session_booking')));

-- Kept by triggers. How many seats are left is everybody's to know, who has them is not.
grant select on public.session_seats to authenticated, service_role;
create policy "holders of read:session_booking see seats" on public.session_seats for select to authenticated
  using ((select private.has_permission('read:session_booking')));

grant execute on function private.taught_session_ids() to authenticated;
grant execute on function public.seats_left(public.course_sessions), public.current_bookings(public.course_sessions),
  public.calendar_availability(date, date, uuid, uuid), private.seats_free(uuid), private.seats_taken(uuid),
  private.available_sessions(date, date, uuid, uuid) to anon, authenticated, service_role;
grant execute on function
  public.book_session(uuid, jsonb, text), public.cancel_booking(uuid, text, text), public.transfer_booking(uuid, uuid, text),
  public.hold_seats(uuid, integer, integer, text), public.release_seats(uuid),
  public.create_session(uuid, date, time, time, uuid, uuid, integer, integer, timestamptz, numeric, text, text, text),
  public.update_session(uuid, integer, jsonb, text), public.move_session(uuid, date, time, time, uuid, uuid, integer, text),
  public.cancel_session(uuid, text, text)
  to authenticated, service_role;
grant execute on function
  private.book_one(uuid, jsonb), private.book_attendees(uuid, jsonb), private.cancel_session_booking(uuid, text),
  private.move_session_booking(uuid, uuid), private.hold_for_caller(uuid, integer, integer), private.release_of_caller(uuid), private.session_fields(),
  private.change_session(uuid, integer, jsonb)
  to authenticated, service_role;
