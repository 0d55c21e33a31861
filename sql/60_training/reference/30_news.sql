-- What this module tells the feed, and people.
insert into private.feed_topics (prefix, module, description, may_read, is_public) values
  ('session', '60_training', 'One session, by its id: its seats, its time, whether it is held.', null, true),
  ('course', '60_training', 'All sessions of one course, by the course''s id.', null, true)
on conflict (prefix) do update set
  module = excluded.module, description = excluded.description, may_read = excluded.may_read, is_public = excluded.is_public;

insert into public.settings (key, module, kind, default_value, description) values
  ('changes_from_training', '60_training', 'boolean', 'true', 'Whether changes of sessions and their seats go to the change feed.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.description);

insert into public.notification_kinds (name, module, description, default_channels) values
  ('session_cancelled', '60_training', 'A session you booked is cancelled.', '{email}'),
  ('session_moved', '60_training', 'A session you booked is at another time or place.', '{email}'),
  ('session_booking_cancelled', '60_training', 'Somebody cancelled your booking of a session.', '{email}'),
  ('certificate_issued', '60_training', 'You get a certificate of a course.', '{email}'),
  ('certificate_revoked', '60_training', 'A certificate of yours is revoked.', '{email}')
on conflict (name) do update set
  module = excluded.module, description = excluded.description, default_channels = excluded.default_channels;
