-- The studio's topics in the change feed.

insert into private.feed_topics (prefix, module, description, may_read) values
  ('assignments', '40_studio', 'Every class assignment.', 'private.may_follow_assignments'),
  ('instructor', '40_studio', 'The class assignments of one instructor, by profile.', 'private.may_follow_assignments'),
  ('bookings', '40_studio', 'Every booking.', 'private.may_follow_bookings'),
  ('customer', '40_studio', 'The bookings of one customer, by profile.', 'private.may_follow_bookings'),
  ('schedules', '40_studio', 'The weekly class schedules.', 'private.may_follow_schedules')
on conflict (prefix) do update set
  module = excluded.module, description = excluded.description, may_read = excluded.may_read, is_public = excluded.is_public;

insert into public.settings (key, module, kind, default_value, description) values
  ('changes_from_studio', '40_studio', 'boolean', 'true', 'Whether changes of bookings, schedules and class assignments go to the change feed.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.description);
