create function private.export_person(p_profile_id uuid) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_profile public.user_profiles;
  v_entry private.personal_data;
  v_rows jsonb;
  v_tables jsonb := '{}';
begin
  if p_profile_id is distinct from private.current_profile_id() then
    perform private.require_permission('manage:users');
  end if;
  select p.* into v_profile from public.user_profiles p where p.id = p_profile_id;
  if not found then
    perform private.fail('not_found', 'There is no such person', 'p_profile_id', jsonb_build_object('profile_id', p_profile_id));
  end if;
  for v_entry in select d.* from private.personal_data d order by d.module, d.table_name, d.person_column loop
    execute format(
      'select coalesce(jsonb_agg(to_jsonb(r)), %L) from (select %s from %s where %s) r',
      '[]',
      (select string_agg(format('%I', c), ', ') from unnest(v_entry.export_columns) c),
      to_regclass(v_entry.table_name),
      private.person_condition(v_entry, v_profile.id, v_profile.user_id)
    ) into v_rows;
    v_tables := v_tables || jsonb_build_object(v_entry.table_name, coalesce(v_tables -> v_entry.table_name, '[]') || v_rows);
  end loop;
  perform private.record_access('person_exported', v_profile.user_id, v_profile.id);
  return jsonb_build_object(
    'profile_id', v_profile.id, 'user_id', v_profile.user_id, 'exported_at', private.now(), 'tables', v_tables
  );
end;
$$;
comment on function private.export_person(uuid) is 'What public.export_person does, with the rights to do it.';

create function public.export_person(p_profile_id uuid) returns jsonb
language sql volatile set search_path = ''
return private.export_person(p_profile_id);
comment on function public.export_person(uuid) is
  'Everything kept about one person as one document, {profile_id, user_id, exported_at, tables: {table: [rows]}}, over all modules. For the person themselves and for holders of manage:users; recorded. Raises forbidden, not_found.';
