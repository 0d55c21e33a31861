-- Rows this module ships for the audit trail, and its first partitions. admin holds every permission; nobody else reads
-- what everybody wrote.
insert into public.permissions (name, module, description) values
  ('read:audit', '90_operations', 'See who changed what, whoever''s it is: the audit trail.')
on conflict (name) do update set module = excluded.module, description = excluded.description
where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description);

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('audit_months_kept', '90_operations', 'integer', '24', 0, 1200, false, 'Whole months for which the audit trail is kept; 0 keeps it for ever.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into public.scheduled_jobs (name, module, cron, time_zone, command, description) values
  ('make_audit_partitions', '90_operations', '25 1 * * *', 'UTC', 'private.make_audit_partitions', 'Makes the audit trail''s partitions of the months to come.'),
  ('drop_old_audit_partitions', '90_operations', '35 1 * * *', 'UTC', 'private.drop_old_audit_partitions', 'Drops the audit trail''s months that are older than audit_months_kept.')
on conflict (name) do update set
  module = excluded.module, cron = excluded.cron, time_zone = excluded.time_zone, command = excluded.command, description = excluded.description;

insert into public.integrity_checks (name, module, category, severity, description, fix_description) values
  ('audit_triggers_missing', '90_operations', 'schema', 'critical', 'Tables whose changes are not recorded, although nobody said why not.', 'Records them from now on.'),
  ('audit_partitions_missing', '90_operations', 'schema', 'warning',
    'Months the audit trail has no partition for, and partitions somebody could write.', 'Makes the partitions, moves the rows that wait for one, and guards them.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;

-- Where this module keeps what belongs to a person. What the log says about somebody's rows goes when they are erased:
-- see private.forget_audited().
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.audit_log', 'actor_id', 'user_id', '90_operations', '{at,table_name,row_key,operation}', 'keep', '{}',
    'Who changed what stays known, by an id; what it says about the person is forgotten.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;

select private.make_audit_partitions();
