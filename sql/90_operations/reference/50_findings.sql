insert into public.permissions (name, module, description) values
  ('manage:checks', '90_operations', 'Choose which checks run, which may repair by themselves, and when they raise an alert.'),
  ('manage:alerts', '90_operations', 'Acknowledge and resolve alerts.')
on conflict (name) do update set module = excluded.module, description = excluded.description
where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description);

insert into public.role_permissions (role_name, permission) values ('manager', 'manage:alerts')
on conflict (role_name, permission) do nothing;

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('findings_kept_per_check', '90_operations', 'integer', '100000', 0, 10000000, false,
    'Open findings kept of one check; more are found and counted, but not when they were first seen.'),
  ('findings_days', '90_operations', 'integer', '400', 1, 3650, false, 'Days for which findings that were put right, and runs of diagnosis, are kept.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, command, description) values
  ('run_scheduled_checks', '90_operations', '30 3 * * *', 'private.run_scheduled_checks',
    'Runs every check, repairs what may be repaired without being asked, raises and clears alerts.'),
  ('forget_old_findings', '90_operations', '45 4 * * 0', 'private.forget_old_findings', 'Deletes findings that were put right, and runs of diagnosis, after findings_days.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, command = excluded.command, description = excluded.description;

-- Whose rows each check looks at, for consistency_score(). A check of a later module says so where it is registered.
update public.integrity_checks c set looks_at = t.looks_at
from (values
  ('public.user_roles', '{roles_of_missing_users}'::text[]),
  ('public.claims', '{claims_orphaned,claims_missing,claims_differ,resources_overlapping,work_outside_stated_hours,work_during_time_off,work_during_closures}'),
  ('public.weekly_rules', '{rule_dates_differ,rules_that_meet}'),
  ('public.resource_horizons', '{horizons_late}'),
  ('public.meetings', '{meeting_instants_differ}'),
  ('public.resources', '{people_and_resources_differ}'),
  ('public.weekly_rule_exceptions', '{taken_over_by_nothing}'),
  ('public.overrides', '{overrides_without_use}'),
  ('public.cover_requests', '{overdue_cover_requests}'),
  ('public.courses', '{prerequisites_in_a_circle}'),
  ('public.package_purchases', '{package_credits_differ,credits_used_wrongly}'),
  ('public.payments', '{payments_over_refunded,payment_items_over_amount,payments_for_nothing}'),
  ('public.bookings', '{bookings_confirmed_by_nothing,bookings_pending_but_served}'),
  ('public.assignment_bookings', '{links_to_nothing,links_without_credit,credits_used_for_nothing}'),
  ('public.class_schedules', '{schedules_differ,schedules_of_people_who_left}'),
  ('public.class_assignments', '{classes_past_but_scheduled,classes_overlapping,classes_overfull,classes_archived_and_live,class_instants_differ,dates_taken_for_nothing,dates_not_taken_over,amounts_differ,paid_but_cancelled}'),
  ('public.pay_periods', '{pay_periods_differ}')
) as t(looks_at, names)
where c.name = any(t.names) and c.looks_at is distinct from t.looks_at;

-- Where this module keeps what belongs to a person.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.diagnostic_runs', 'run_by', 'user_id', '90_operations', '{id,run_at}', 'keep', '{}', 'Who looked stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
