-- When somebody is erased, what the audit trail keeps of their own rows loses what it says about them; that something
-- happened, when, and who did it stays. The registry of personal data says which rows and columns these are.

create function private.without_values(p_image jsonb, p_columns text[], p_values text[]) returns jsonb
language sql immutable set search_path = ''
begin atomic
  select jsonb_object_agg(e.key,
    case when e.value <> 'null' and (e.key = any(p_columns) or e.value #>> '{}' = any(p_values)) then '"***"' else e.value end)
  from jsonb_each(p_image) e;
end;
comment on function private.without_values(jsonb, text[], text[]) is 'An image with *** for the values of these columns, and for these values wherever they stand.';

create function private.audited_keys_of(p_entry private.personal_data, p_ids text[]) returns text[]
language plpgsql stable security definer set search_path = '' set timezone = 'UTC'
as $$
declare
  v_table constant regclass := to_regclass(p_entry.table_name);
  v_name constant text := (select c.relname from pg_catalog.pg_class c where c.oid = v_table);
  v_keys text[];
begin
  execute format('select array_agg(private.row_key(to_jsonb(t), $1)) from %s t where t.%I = any($2::%s[])', v_table, p_entry.person_column,
    (select pg_catalog.format_type(a.atttypid, null) from pg_catalog.pg_attribute a where a.attrelid = v_table and a.attname = p_entry.person_column))
  into v_keys using private.key_columns(v_table), p_ids;
  if private.key_columns(v_table) = array[p_entry.person_column] then
    return v_keys || p_ids;
  elsif p_entry.erase_action = 'keep' then
    return v_keys;
  end if;
  return v_keys || array(
    select distinct a.row_key from public.audit_log a
    where a.table_name = v_name and (a.old_values ->> p_entry.person_column = any(p_ids) or a.new_values ->> p_entry.person_column = any(p_ids))
  );
end;
$$;
comment on function private.audited_keys_of(private.personal_data, text[]) is
  'Which rows of a registered table are or were a person''s, as audit_log names them; of tables that erasing leaves alone, those that are there.';

create function private.forget_audited() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_own constant text[] := array(
    select distinct i.image ->> 'user_id'
    from public.audit_log a
    cross join lateral (values (a.old_values), (a.new_values), (to_jsonb(old))) as i (image)
    where a.table_name = 'user_profiles' and a.row_key = new.id::text and i.image ->> 'user_id' is not null
  );
  v_names constant text[] := array(
    select distinct i.image ->> c
    from public.audit_log a
    cross join lateral (values (a.old_values), (a.new_values)) as i (image)
    cross join unnest('{full_name,email,phone}'::text[]) c
    where a.table_name = 'user_profiles' and a.row_key = new.id::text and i.image ->> c is not null
  );
  v_entry private.personal_data;
  v_name text;
  v_keys text[];
  v_columns text[];
begin
  for v_entry in
    select d.* from private.personal_data d
    join pg_catalog.pg_class c on c.oid = to_regclass(d.table_name)
    join private.audit_rules r on r.table_name = c.relname and r.not_audited_because is null
    where c.relnamespace = 'public'::regnamespace
    order by d.table_name, d.person_column
  loop
    select c.relname into v_name from pg_catalog.pg_class c where c.oid = to_regclass(v_entry.table_name);
    v_keys := private.audited_keys_of(v_entry, case v_entry.person_key when 'profile_id' then array[new.id::text] else v_own end);
    v_columns := case v_entry.erase_action
        when 'overwrite' then array(select jsonb_object_keys(v_entry.placeholders))
        when 'delete' then array(
          select a.attname::text from pg_catalog.pg_attribute a
          where a.attrelid = to_regclass(v_entry.table_name) and a.attnum > 0 and a.attname <> all(private.key_columns(a.attrelid))
        )
      end;
    update public.audit_log a
    set old_values = f.old_values, new_values = f.new_values, forgotten_at = private.now()
    from public.audit_log b
    cross join lateral (
      select private.without_values(b.old_values, v_columns, v_names) as old_values, private.without_values(b.new_values, v_columns, v_names) as new_values offset 0
    ) f
    where b.table_name = v_name and b.row_key = any(v_keys) and (f.old_values, f.new_values) is distinct from (b.old_values, b.new_values)
      and a.at = b.at and a.id = b.id;
  end loop;
  update public.audit_log a set request_id = null, ip_address = null, forgotten_at = private.now()
  where a.actor_id = any(v_own::uuid[]) and (a.request_id is not null or a.ip_address is not null);
  return null;
end;
$$;
comment on function private.forget_audited() is
  'Row trigger on user_profiles: when somebody is erased, the audit trail forgets what their own rows said and where their requests came from.';

create trigger t61_forget_audited after update of erased_at on public.user_profiles
  for each row when (new.erased_at is not null and old.erased_at is null) execute function private.forget_audited();
