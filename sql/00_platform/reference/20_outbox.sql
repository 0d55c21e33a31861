insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('send_email', '00_platform', 'boolean', 'false', null, null, false, 'Whether emails are sent: once functions/dispatch knows a provider.'),
  ('send_sms', '00_platform', 'boolean', 'false', null, null, false, 'Whether text messages are sent.'),
  ('send_whatsapp', '00_platform', 'boolean', 'false', null, null, false, 'Whether WhatsApp messages are sent.'),
  ('send_webhook', '00_platform', 'boolean', 'false', null, null, false, 'Whether webhooks are called.'),
  ('outbox_attempts', '00_platform', 'integer', '3', 1, 20, false, 'How often a message is tried before it is a dead letter.'),
  ('outbox_retry_seconds', '00_platform', 'integer', '60', 1, 86400, false, 'Seconds until a message that failed is tried again; twice as many after the second time, and so on, half as much either way by chance.'),
  ('outbox_longest_wait_seconds', '00_platform', 'integer', '3600', 1, 86400, false, 'The longest such wait, and the longest a breaker stays open.'),
  ('outbox_hours', '00_platform', 'integer', '72', 1, 8760, false, 'Hours after which nobody wants to hear a message any more that was not sent.'),
  ('outbox_breaker_failures', '00_platform', 'integer', '5', 1, 1000, false, 'After how many failures in a row a provider is left alone.'),
  ('outbox_breaker_seconds', '00_platform', 'integer', '60', 1, 86400, false, 'Seconds for which it is, before one message tries; twice as many when that fails, and so on.'),
  ('outbox_stuck_minutes', '00_platform', 'integer', '30', 1, 10080, false, 'Minutes after which messages that are due and were not sent are a finding.'),
  ('outbox_sent_days', '00_platform', 'integer', '30', 1, 3650, false, 'Days for which messages are kept that were sent.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('dispatch_outbox', '00_platform', '* * * * *', 'private.dispatch_outbox', 'Wakes whoever sends messages when some are due, and makes dead letters of those nobody will send.'),
  ('forget_old_messages', '00_platform', '20 4 * * *', 'private.forget_old_messages', 'Deletes messages that were sent, after outbox_sent_days.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description;

insert into public.integrity_checks (name, module, category, severity, description, fix_description, looks_at) values
  ('outbox_dead_letters', '00_platform', 'integrity', 'error', 'Messages that were given up.', 'Queues them again.', 'public.outbox'),
  ('outbox_stuck', '00_platform', 'integrity', 'error', 'Messages that are due for long and that nobody sends, or whose provider fails.', null, null)
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description, looks_at = excluded.looks_at;
