-- Where this module keeps what belongs to a person.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.alerts', 'acknowledged_by', 'user_id', '90_operations', '{id,kind,acknowledged_at}', 'keep', '{}', 'Who looked at what stays known; it names an id only.'),
  ('public.alerts', 'resolved_by', 'user_id', '90_operations', '{id,kind,resolved_at}', 'keep', '{}', 'Who put what right stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
