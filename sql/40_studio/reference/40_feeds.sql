-- Rows of calendar feeds that this module ships.

insert into public.settings (key, module, kind, default_value, minimum, maximum, is_public, description) values
  ('calendar_feed_events', '40_studio', 'integer', '20000', 100, 100000, false, 'How many events a calendar feed holds at most.')
on conflict (key) do update set
  module = excluded.module, kind = excluded.kind, default_value = excluded.default_value, minimum = excluded.minimum,
  maximum = excluded.maximum, is_public = excluded.is_public, description = excluded.description
where (settings.module, settings.kind, settings.default_value, settings.minimum, settings.maximum, settings.is_public, settings.description)
  is distinct from (excluded.module, excluded.kind, excluded.default_value, excluded.minimum, excluded.maximum, excluded.is_public, excluded.description);

-- The address of somebody who is erased ends, whoever made it.
insert into private.personal_data
  (table_name, person_column, person_key, module, export_columns, erase_action, placeholders, kept_because) values
  ('public.calendar_feeds', 'created_by', 'user_id', '40_studio', '{id,name,created_at,revoked_at}', 'delete', '{}', null),
  ('public.calendar_feeds', 'resource_id', 'profile_id', '40_studio', '{id,name,created_at,revoked_at}', 'delete', '{}', null)
on conflict (table_name, person_column) do update set
  person_key = excluded.person_key, module = excluded.module, export_columns = excluded.export_columns,
  erase_action = excluded.erase_action, placeholders = excluded.placeholders, kept_because = excluded.kept_because;

insert into private.feed_sources (name, module) values ('assignment', '40_studio'), ('meeting', '40_studio')
on conflict (name) do update set module = excluded.module;
