-- The registry of personal data: wrong rows are refused when a module registers them, not when a person asks.

create function private.check_personal_data() returns trigger
language plpgsql set search_path = ''
as $$
declare
  v_columns text[];
  v_unknown text;
begin
  select array_agg(a.attname::text) into v_columns
  from pg_catalog.pg_attribute a
  where a.attrelid = to_regclass(new.table_name) and a.attnum > 0 and not a.attisdropped;
  if v_columns is null then
    perform private.fail('invalid_input', format('There is no table %s', new.table_name), 'table_name');
  end if;
  select c into v_unknown
  from unnest(new.export_columns || new.person_column || array(select jsonb_object_keys(new.placeholders))) c
  where c <> all (v_columns)
  limit 1;
  if found then
    perform private.fail('invalid_input', format('%s has no column %s', new.table_name, v_unknown), 'export_columns');
  end if;
  return new;
end;
$$;
comment on function private.check_personal_data() is 'Row trigger: what is registered as personal data exists.';

create trigger t10_check before insert or update on private.personal_data
  for each row execute function private.check_personal_data();

create function private.person_condition(p_entry private.personal_data, p_profile_id uuid, p_user_id uuid) returns text
language sql stable set search_path = ''
return (
  select format('%I = %L::%s', p_entry.person_column,
    case p_entry.person_key when 'profile_id' then p_profile_id else p_user_id end,
    pg_catalog.format_type(a.atttypid, null))
  from pg_catalog.pg_attribute a
  where a.attrelid = to_regclass(p_entry.table_name) and a.attname = p_entry.person_column
);
comment on function private.person_condition(private.personal_data, uuid, uuid) is
  'The SQL condition that picks one person''s rows of a registered table; true for none when the person has no such key.';
