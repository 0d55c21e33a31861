-- The jobs of this module, and how long they wait.

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('complete_classes_after_hours', '40_studio', 'integer', '24', 0, 8760, false, 'Hours after its end until an accepted class counts as completed by itself; 0 is never.'),
  ('archive_cancelled_after_months', '40_studio', 'integer', '6', 1, 120, false, 'Months after which cancelled classes are moved into the archive.'),
  ('archive_after_months', '40_studio', 'integer', '12', 1, 120, false, 'Months after which completed and cancelled classes are moved into the archive.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('complete_past_classes', '40_studio', '10 * * * *', 'private.complete_past_classes', 'Completes accepted classes that are over.'),
  ('archive_cancelled_classes', '40_studio', '0 4 * * sun', 'private.archive_cancelled_classes', 'Moves classes that were cancelled half a year ago into the archive.'),
  ('archive_old_classes', '40_studio', '30 4 1 * *', 'private.archive_old_classes', 'Moves completed and cancelled classes of a year ago into the archive.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description
where (scheduled_jobs.module, scheduled_jobs.cron, scheduled_jobs.command, scheduled_jobs.description)
  is distinct from (excluded.module, excluded.cron, excluded.command, excluded.description);
