insert into public.notification_kinds (name, module, description, default_channels) values
  ('assignment_given', '40_studio', 'You are to teach a class.', '{email}'),
  ('assignment_withdrawn', '40_studio', 'A class you were to teach was given to somebody else.', '{email}'),
  ('assignment_rescheduled', '40_studio', 'A class you are to teach was moved.', '{email}'),
  ('assignment_cancelled', '40_studio', 'A class you were to teach was cancelled.', '{email}'),
  ('booking_confirmed', '40_studio', 'A booking of yours was confirmed.', '{email}'),
  ('booking_cancelled', '40_studio', 'A booking of yours was cancelled.', '{email}'),
  ('class_rescheduled', '40_studio', 'A class you take was moved.', '{email}'),
  ('class_cancelled', '40_studio', 'A class you take was cancelled.', '{email}')
on conflict (name) do update set
  module = excluded.module, description = excluded.description, default_channels = excluded.default_channels;
