create function private.read_history(p_table text, p_id text) returns setof public.audit_log
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_table constant regclass := private.audited_table(p_table);
begin
  return query select h.* from private.history_of(v_table, private.audited_key(v_table, p_id)) h;
end;
$$;
comment on function private.read_history(text, text) is 'The changes of a row, oldest first, for a holder of read:audit.';

create function public.record_history(p_table text, p_id text) returns table (
  at timestamptz, operation text, actor_id uuid, actor_name text, actor_role text, changed_columns text[], old_values jsonb, new_values jsonb,
  transaction_id text, request_id text, ip_address text, fix_id bigint, forgotten_at timestamptz, change_id bigint
)
language sql stable set search_path = ''
begin atomic
  select h.at, h.operation, h.actor_id, p.full_name, h.actor_role,
    array(select k from jsonb_object_keys(coalesce(h.new_values, h.old_values)) k order by k),
    h.old_values, h.new_values, h.transaction_id::text, h.request_id, h.ip_address, h.fix_id, h.forgotten_at, h.id
  from private.read_history(p_table, p_id) with ordinality as h (
    id, at, transaction_id, table_name, row_key, operation, old_values, new_values, actor_id, actor_role, request_id, ip_address, fix_id, forgotten_at, position
  )
  left join public.user_profiles p on p.user_id = h.actor_id
  order by h.position;
end;
comment on function public.record_history(text, text) is
  'What happened to one row of a table, oldest first: who, from which columns'' old values to which new ones, in which transaction. p_id is the key''s text, or a JSON object of a key''s columns. Where the row''s coming was not recorded, the first line is what it was at first, without a change_id. actor_name is null where the caller may not see names. Needs read:audit. Raises not_found for an unknown table, invalid_input for one that is not audited or an id that cannot be one.';
