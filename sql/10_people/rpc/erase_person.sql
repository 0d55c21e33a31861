create function private.erase_person(p_profile_id uuid, p_reason text, p_idempotency_key text)
returns table (table_name text, action text, row_count bigint, kept_because text)
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('profile_id', p_profile_id, 'reason', p_reason);
  v_answer jsonb;
  v_profile public.user_profiles;
  v_entry private.personal_data;
  v_count bigint;
begin
  perform private.require_permission('manage:users');
  v_answer := private.answered_before('erase_person', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_profile_id is null, 'p_profile_id', 'Say whom')
      || private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why')
      || private.check_reason(p_reason)
    );
    select p.* into v_profile from public.user_profiles p where p.id = p_profile_id for update;
    if not found then
      perform private.fail('not_found', 'There is no such person', 'p_profile_id', jsonb_build_object('profile_id', p_profile_id));
    end if;
    if v_profile.erased_at is not null then
      perform private.fail('illegal_transition', 'This person was erased before', 'p_profile_id',
        jsonb_build_object('profile_id', p_profile_id, 'erased_at', v_profile.erased_at));
    end if;
    v_answer := '[]';
    -- Later modules first, since their rows refer to earlier ones; then the login, which would take its rows along
    -- uncounted; the person's own row last of all.
    for v_entry in
      select d.* from private.personal_data d
      order by d.module desc, d.table_name = 'public.user_profiles', d.table_name = 'auth.users', d.table_name, d.person_column
    loop
      execute format(
        case v_entry.erase_action
          when 'keep' then 'select %1$s from %2$s where %3$s'
          when 'delete' then 'delete from %2$s where %3$s'
          else 'update %2$s set %1$s where %3$s'
        end,
        case v_entry.erase_action
          when 'overwrite' then (
            select string_agg(format('%I = %L', e.key, e.value), ', ') from jsonb_each_text(v_entry.placeholders) e
          )
          else ''
        end,
        to_regclass(v_entry.table_name),
        private.person_condition(v_entry, v_profile.id, v_profile.user_id)
      );
      get diagnostics v_count = row_count;
      v_answer := v_answer || jsonb_build_object('table_name', v_entry.table_name, 'action', v_entry.erase_action,
        'row_count', v_count, 'kept_because', v_entry.kept_because);
    end loop;
    update public.user_profiles p set erased_at = private.now() where p.id = p_profile_id;
    perform private.record_access('person_erased', v_profile.user_id, v_profile.id, p_reason => private.clean_text(p_reason),
      p_details => jsonb_build_object('tables', v_answer));
    perform private.remember_answer('erase_person', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select e.table_name, e.action, e.row_count, e.kept_because
    from jsonb_to_recordset(v_answer) as e (table_name text, action text, row_count bigint, kept_because text);
end;
$$;
comment on function private.erase_person(uuid, text, text) is 'What public.erase_person does, with the rights to do it.';

create function public.erase_person(p_profile_id uuid, p_reason text, p_idempotency_key text default null)
returns table (table_name text, action text, row_count bigint, kept_because text)
language sql volatile set search_path = ''
begin atomic
  select e.table_name, e.action, e.row_count, e.kept_because
  from private.erase_person(p_profile_id, p_reason, p_idempotency_key) e;
end;
comment on function public.erase_person(uuid, text, text) is
  'Removes a person''s identity for good: the login is deleted, names and contact data are overwritten or deleted in every module, rows the books need stay without them. Needs manage:users and a reason; recorded. Returns what was done, one row a registered table. Raises forbidden, not_found, illegal_transition, invalid_input.';
