-- admin holds every permission; messages hold addresses and what people are told, so nobody else reads them.
insert into public.permissions (name, module, description) values
  ('read:outbox', '10_people', 'See the messages that leave the house, and how their providers do.'),
  ('dispatch:outbox', '10_people', 'Send messages: claim them, report on them, queue dead letters again.')
on conflict (name) do update set module = excluded.module, description = excluded.description
where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description);

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('notification_days', '10_people', 'integer', '365', 1, 3650, false, 'Days for which notifications are kept.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('forget_old_notifications', '10_people', '25 4 * * *', 'private.forget_old_notifications', 'Deletes notifications after notification_days.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description;

insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.notifications', 'recipient_id', 'profile_id', '10_people', '{kind,title,body,read_at,created_at}', 'delete', '{}', null),
  ('public.notification_preferences', 'profile_id', 'profile_id', '10_people', '{kind,channel,is_wanted,updated_at}', 'delete', '{}', null),
  ('public.outbox', 'profile_id', 'profile_id', '10_people', '{channel,recipient,subject,body,kind,status,created_at,sent_at}', 'delete', '{}', null)
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
