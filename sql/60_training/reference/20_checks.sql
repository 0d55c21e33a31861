insert into public.integrity_checks (name, module, category, severity, description, fix_description, looks_at) values
  ('session_seats_differ', '60_training', 'integrity', 'critical', 'Sessions that have more or fewer seats than their capacity says.',
    'Makes missing seats, and takes free ones away that are too many.', 'public.course_sessions'),
  ('booking_seats_differ', '60_training', 'integrity', 'critical', 'Bookings of sessions that own more or fewer seats than they should.',
    'Gives them free seats in the order in which they booked, and takes back what is too much.', 'public.session_bookings'),
  ('seats_of_nothing', '60_training', 'integrity', 'critical', 'Seats owned by bookings that are not there.', 'Sets them free.', 'public.course_sessions'),
  ('bookings_of_cancelled_sessions', '60_training', 'integrity', 'error', 'Confirmed bookings of cancelled sessions.', 'Cancels them, for the session''s reason.', 'public.session_bookings'),
  ('session_instants_differ', '60_training', 'integrity', 'error', 'Sessions whose instants are not those of their wall-clock time.',
    'Works them out again, where instructor and place are free then.', 'public.course_sessions'),
  ('sessions_past_but_open', '60_training', 'integrity', 'warning', 'Sessions that were over a day ago and that nobody completed.', 'Completes them.', 'public.course_sessions'),
  ('sessions_undecided', '60_training', 'integrity', 'error', 'Tentative sessions whose time to decide has come, and that too few have booked.', null, 'public.course_sessions')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description, looks_at = excluded.looks_at;
