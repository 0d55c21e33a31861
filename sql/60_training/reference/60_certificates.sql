-- Rows that the register and certificates bring along; their permissions are with those of series.

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('certificate_attendance_percent', '60_training', 'integer', '100', 1, 100, false,
    'Which share of a course''s sessions somebody must have attended for a certificate, in percent; 100 is every one.'),
  ('certificate_prefix', '60_training', 'text', '"C"', null, null, false, 'What serial numbers of certificates start with.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.attendance', 'user_id', 'user_id', '60_training', '{session_id,status,notes,marked_at}', 'overwrite', '{"notes": null}', null),
  ('public.attendance', 'marked_by', 'user_id', '60_training', '{session_id,marked_at}', 'keep', '{}', 'Who marked it stays known; it names an id only.'),
  ('public.certificates', 'user_id', 'user_id', '60_training', '{serial,course_title,holder_name,issued_at,expires_at,revoked_at}', 'overwrite',
    '{"holder_name": "Erased"}', null),
  ('public.certificates', 'issued_by', 'user_id', '60_training', '{serial,issued_at}', 'keep', '{}', 'Who issued it stays known; it names an id only.'),
  ('public.certificates', 'revoked_by', 'user_id', '60_training', '{serial,revoked_at}', 'keep', '{}', 'Who revoked it stays known; it names an id only.')
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;
