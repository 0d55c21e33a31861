-- Rows this module ships. admin holds every permission; nobody else repairs.
insert into public.permissions (name, module, description) values
  ('apply:fixes', '90_operations', 'Repair what diagnosis found.')
on conflict (name) do update set module = excluded.module, description = excluded.description
where (permissions.module, permissions.description) is distinct from (excluded.module, excluded.description);

insert into public.integrity_checks (name, module, category, severity, description) values
  ('tables_without_images', '90_operations', 'schema', 'error', 'Tables whose changes by a repair leave no image, so that it could not be undone.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity, description = excluded.description;

-- Where this module keeps what belongs to a person. Images go when somebody is erased: see private.forget_images().
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.fix_runs', 'applied_by', 'user_id', '90_operations', '{id,check_name,applied_at}', 'keep', '{}',
    'Who repaired what stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
