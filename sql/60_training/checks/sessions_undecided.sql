create function private.check_sessions_undecided() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'course_sessions', s.id::text,
    format('%s on %s needs %s bookings and has %s: hold it or cancel it', c.title, s.session_date, s.min_bookings, private.seats_taken(s.id)),
    jsonb_build_object('course_id', s.course_id, 'min_bookings', s.min_bookings, 'booked', private.seats_taken(s.id), 'decide_by', s.decide_by)
  from public.course_sessions s
  join public.courses c on c.id = s.course_id
  where s.status = 'tentative' and least(s.decide_by, s.starts_at) <= private.now();
end;
comment on function private.check_sessions_undecided() is
  'Finds tentative sessions whose time to decide has come and that too few have booked. The scheduled run of diagnosis raises an alert for them; a person decides.';
