insert into public.integrity_checks (name, module, category, severity, description, fix_description) values
  ('schema_objects_missing', '90_operations', 'schema', 'critical',
    'Tables, columns, constraints, indexes, triggers, functions, views or registered rows that are gone. `classbase fix schema` puts back what holds no data.', null),
  ('schema_objects_changed', '90_operations', 'schema', 'error',
    'Columns, constraints, indexes, triggers, functions or views that are not as they were shipped. `classbase fix schema` puts them back.', null),
  ('access_changed', '90_operations', 'security', 'critical',
    'Policies and grants that are gone, differ, or were added to what was shipped. `classbase fix schema` puts them back.', null),
  ('constraints_not_valid', '90_operations', 'schema', 'error', 'Constraints that were never checked against the rows that are there.', null),
  ('indexes_invalid', '90_operations', 'schema', 'error', 'Indexes that are not used, since building them failed.', null),
  ('foreign_keys_unindexed', '90_operations', 'performance', 'warning', 'Foreign keys whose columns lead no index.', null),
  ('tables_granted_without_policies', '90_operations', 'security', 'warning', 'Tables people are granted something on, and no policy gives them a row.', null),
  ('jobs_without_function', '90_operations', 'schema', 'error', 'Active jobs whose function is gone.', null),
  ('statistics_stale', '90_operations', 'performance', 'info', 'Large tables the planner knows too little about.', 'Analyzes them.')
on conflict (name) do update set
  module = excluded.module, category = excluded.category, severity = excluded.severity,
  description = excluded.description, fix_description = excluded.fix_description;
