-- What people owe is worked out, never stored.
--
-- A table whose rows people owe money for has a uuid `id` and a view private.<table>_dues (source_id, profile_id,
-- amount, title): what each row costs whom. `select private.attach_dues('public.x')` keeps what was paid for from being
-- deleted. From then on payments can name its rows, and outstanding_amounts() covers them. A row that costs nothing any
-- more is left out of the view, or is in it with what it still costs.

create function private.dues_sources() returns table (source_table text)
language sql stable set search_path = ''
begin atomic
  select left(v.relname, -length('_dues'))
  from pg_catalog.pg_class v
  join pg_catalog.pg_namespace n on n.oid = v.relnamespace and n.nspname = 'private'
  join pg_catalog.pg_class t on t.relname = left(v.relname, -length('_dues')) and t.relkind in ('r', 'p')
  join pg_catalog.pg_namespace p on p.oid = t.relnamespace and p.nspname = 'public'
  where v.relkind = 'v' and v.relname like '%\_dues';
end;
comment on function private.dues_sources() is 'The tables whose rows people owe for: those with a view private.<table>_dues.';

-- Locked against being deleted until the line is there; whoever deletes it sees the line afterwards.
create function private.require_paid_row(p_source_table text, p_source_id uuid) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_is_there boolean;
begin
  if not exists (select from private.dues_sources() s where s.source_table = p_source_table) then
    perform private.fail('invalid_input', format('Nobody owes anything for %s', coalesce(p_source_table, 'nothing')), 'source_table',
      jsonb_build_object('source_table', p_source_table,
        'allowed', (select jsonb_agg(s.source_table order by s.source_table) from private.dues_sources() s)));
  end if;
  execute format('select true from public.%I s where s.id = $1 for key share', p_source_table) into v_is_there using p_source_id;
  if v_is_there is null then
    perform private.fail('not_found', format('There is no such row in %s', p_source_table), 'source_id',
      jsonb_build_object('source_table', p_source_table, 'source_id', p_source_id));
  end if;
end;
$$;
comment on function private.require_paid_row(text, uuid) is 'Raises not_found, or invalid_input for a table nobody owes for; keeps the row there until the transaction ends.';

create function private.keep_what_is_paid() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and new.id = old.id then
    return new;
  end if;
  if exists (
    select
    from public.payment_items i
    join public.payments p on p.id = i.payment_id and p.status = 'succeeded'
    where i.source_id = old.id and i.source_table = tg_table_name
  ) then
    perform private.fail('illegal_transition', 'Somebody paid for this: it can be cancelled, not deleted', 'id',
      jsonb_build_object('table', tg_table_name, 'id', old.id));
  end if;
  return coalesce(new, old);
end;
$$;
comment on function private.keep_what_is_paid() is 'Row trigger of every table people owe for: what was paid for is not deleted, and keeps its id.';

create function private.attach_dues(p_table regclass) returns void
language plpgsql volatile set search_path = ''
as $$
begin
  execute format('create trigger t30_keep_what_is_paid before delete or update of id on %s
    for each row execute function private.keep_what_is_paid()', p_table);
  -- Where something else needs the rows as well, it refuses the truncate already.
  if not exists (
    select from pg_catalog.pg_trigger t where t.tgrelid = p_table and not t.tgisinternal and t.tgtype & 32 <> 0
  ) then
    execute format('create trigger t00_no_truncate before truncate on %s
      for each statement execute function private.refuse_statement(%L)', p_table, 'What people owe and paid for cannot be truncated');
  end if;
end;
$$;
comment on function private.attach_dues(regclass) is
  'Makes a table one whose rows are paid for; its view private.<table>_dues (source_id, profile_id, amount, title) says what each costs whom.';
