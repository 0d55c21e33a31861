create function private.check_tables_without_images() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_class', t.t::text, format('Repairs that change %s could not be undone: its trigger for images is missing or disabled', t.t), '{}'::jsonb
  from private.tables_without_images() as t(t);
end;
comment on function private.check_tables_without_images() is 'Tables in public whose changes by a repair leave no image.';
