insert into public.settings (key, module, kind, default_value, allowed_values, description) values
  ('alert_recipients', '90_operations', 'text', '""', null, 'Email addresses that are told of alerts besides those who hold the role: with commas between them.'),
  ('alert_tell_from', '90_operations', 'text', '"error"', '["critical", "error", "warning", "info"]', 'From which severity on people are told of alerts.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, allowed_values = excluded.allowed_values,
  description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.allowed_values, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.allowed_values, excluded.description);

insert into public.notification_kinds (name, module, description, default_channels) values
  ('alert', '90_operations', 'Something has to be looked at: a job that fails, data that is wrong.', '{email}')
on conflict (name) do update set
  module = excluded.module, description = excluded.description, default_channels = excluded.default_channels;
