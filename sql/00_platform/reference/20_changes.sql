-- What the change feed ships.

insert into private.feed_state (is_only) values (true) on conflict (is_only) do nothing;

insert into private.error_codes (code, http_status, category, is_retryable, description) values
  ('cursor_expired', 410, 'validation', false, 'What followed the cursor was deleted since, or the database was restored: start again without a cursor.')
on conflict (code) do update set
  http_status = excluded.http_status, category = excluded.category,
  is_retryable = excluded.is_retryable, description = excluded.description;

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('changes_kept_days', '00_platform', 'integer', '7', 1, 365, false, 'Days for which a published change can be read; an older cursor has to start again.'),
  ('changes_topics_limit', '00_platform', 'integer', '100', 1, 1000, true, 'Topics of the change feed one call may read.'),
  ('changes_notify', '00_platform', 'boolean', 'true', null, null, false, 'Whether a published change wakes listeners at once (NOTIFY). Without it they find it when they next ask.'),
  ('changes_realtime', '00_platform', 'boolean', 'true', null, null, false, 'Whether published changes also go to Supabase Realtime, where that is.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('forget_old_changes', '00_platform', '37 3 * * *', 'private.forget_old_changes', 'Deletes published changes that are older than they are kept.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description;
