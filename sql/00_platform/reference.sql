-- Rows this module ships.

insert into private.error_codes (code, http_status, category, is_retryable, description) values
  ('invalid_input', 400, 'validation', false, 'A value is missing or does not make sense; errors lists every field at fault.'),
  ('forbidden', 403, 'permission', false, 'The caller may not do this.'),
  ('not_found', 404, 'validation', false, 'There is no such row, or the caller may not see it.'),
  ('time_conflict', 409, 'integrity', false, 'Somebody or something would be in two places; conflicts lists what is already there.'),
  ('seats_full', 409, 'integrity', false, 'There are not enough free places.'),
  ('stale_version', 409, 'integrity', false, 'The row was changed since it was read; current holds it as it is now.'),
  ('illegal_transition', 409, 'integrity', false, 'The row cannot go from its status to that one.'),
  ('duplicate', 409, 'integrity', false, 'There is one like it already.'),
  ('in_progress', 409, 'system', true, 'The same call, with the same idempotency key, is still running.'),
  ('limit_exceeded', 413, 'validation', false, 'More than may be asked for at once, or further ahead than allowed; limit says how much is.'),
  ('idempotency_mismatch', 422, 'validation', false, 'The idempotency key was used before with other arguments.'),
  ('rate_limited', 429, 'system', true, 'Too many calls in a minute; retry_after says for how many seconds to wait.')
on conflict (code) do update set
  http_status = excluded.http_status, category = excluded.category,
  is_retryable = excluded.is_retryable, description = excluded.description;

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('organisation_name', '00_platform', 'text', '"Our organisation"', null, null, true, 'What the organisation is called.'),
  ('organisation_time_zone', '00_platform', 'time_zone', '"UTC"', null, null, true, 'Where the organisation''s days begin and end.'),
  ('currency', '00_platform', 'text', '"USD"', null, null, true, 'ISO 4217 code of all amounts.'),
  ('page_size', '00_platform', 'integer', '50', 1, 1000, true, 'Rows a page in lists.'),
  ('refresh_seconds', '00_platform', 'integer', '60', 5, 3600, true, 'How often a frontend asks again.'),
  ('cache_seconds', '00_platform', 'integer', '300', 0, 86400, true, 'How long a frontend may keep what it read.'),
  ('bulk_limit', '00_platform', 'integer', '100', 1, 1000, true, 'Rows one bulk call may change.'),
  ('request_bytes_limit', '00_platform', 'integer', '1048576', 1024, 67108864, false, 'Bytes one REST request may hold.'),
  ('calls_per_minute', '00_platform', 'integer', '300', 1, 100000, false, 'Writing calls of one kind a signed-in user may make in a minute.'),
  ('anonymous_calls_per_minute', '00_platform', 'integer', '60', 1, 100000, false, 'Writing calls of one kind one address may make in a minute without signing in.'),
  ('idempotency_days', '00_platform', 'integer', '30', 1, 365, false, 'Days for which a retried call gets its first answer.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('forget_old_calls', '00_platform', '17 * * * *', 'private.forget_old_calls', 'Deletes counted calls and remembered answers that are past their use.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description;
