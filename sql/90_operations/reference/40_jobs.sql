-- Jobs: rows this module ships. admin holds every permission; nobody else runs jobs.
insert into public.permissions (name, module, description) values
  ('run:jobs', '90_operations', 'Run jobs: those that are due, and any by hand.')
on conflict (name) do update set module = excluded.module, description = excluded.description
where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description);

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('job_attempts', '90_operations', 'integer', '3', 1, 20, false, 'How often a due time of a job that fails is tried, until its next due time comes.'),
  ('job_retry_minutes', '90_operations', 'integer', '5', 0, 1440, false, 'Minutes until a failed job is tried again; twice as many after the second time, and so on.'),
  ('job_late_minutes', '90_operations', 'integer', '15', 1, 1440, false, 'Minutes after which a job that is due and was not run is a finding.'),
  ('job_run_days', '90_operations', 'integer', '90', 1, 3650, false, 'Days for which runs of jobs are kept.'),
  ('fix_image_days', '90_operations', 'integer', '90', 1, 3650, false, 'Days for which a repair can be undone.'),
  ('slow_statement_ms', '90_operations', 'integer', '1000', 1, 3600000, false, 'Milliseconds on average from which on a statement counts as slow.'),
  ('slow_statement_count', '90_operations', 'integer', '5', 0, 100, false, 'How many slow statements are borne without an alert.'),
  ('large_table_megabytes', '90_operations', 'integer', '1024', 1, 100000000, false, 'Megabytes, with indexes, from which on a table raises an alert.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('check_performance', '90_operations', '*/5 * * * *', 'private.check_performance', 'Raises alerts for too many slow statements and too large tables.'),
  ('weekly_maintenance', '90_operations', '30 3 * * sun', 'private.weekly_maintenance', 'Analyzes the tables that changed.'),
  ('forget_old_runs', '90_operations', '45 2 * * *', 'private.forget_old_runs', 'Deletes old runs of jobs and old images of repairs.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description
where (scheduled_jobs.module, scheduled_jobs.cron, scheduled_jobs.command, scheduled_jobs.description)
  is distinct from (excluded.module, excluded.cron, excluded.command, excluded.description);

insert into public.integrity_checks (name, module, category, severity, description, fix_description) values
  ('jobs_late', '90_operations', 'integrity', 'warning', 'Jobs that are due and were not run, or all of them where nothing runs jobs.', null),
  ('jobs_failing', '90_operations', 'integrity', 'error', 'Jobs whose last run failed.', null),
  ('job_commands_missing', '90_operations', 'schema', 'error', 'Jobs whose function is missing or wants arguments, or whose schedule makes no sense.', null),
  ('cron_schedules_differ', '90_operations', 'schema', 'warning', 'Where pg_cron is installed: entries that are missing, changed, switched off or not ours any more.',
    'Schedules them again.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;

insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.job_runs', 'run_by', 'user_id', '90_operations', '{id,job,started_at}', 'keep', '{}', 'Who ran what stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;

-- Where pg_cron is there, it is told; last, and with every migration.
select private.sync_cron_jobs();
