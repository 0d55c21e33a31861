-- Reading the audit trail by row. A row at an instant is found by going back from the row as it is.

create function private.audited_table(p_table text) returns regclass
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_name constant text := regexp_replace(p_table, '^public\.', '');
  v_table constant regclass := (
    select c.oid from pg_catalog.pg_class c
    where c.relnamespace = 'public'::regnamespace and c.relname = v_name and c.relkind in ('r', 'p') and not c.relispartition
  );
  v_reason constant text := (select r.not_audited_because from private.audit_rules r where r.table_name = v_name);
begin
  perform private.require_permission('read:audit');
  perform private.fail_input(private.input_error(private.clean_text(p_table) is null, 'p_table', 'Say which table'));
  if v_table is null then
    perform private.fail('not_found', format('There is no table %s', left(p_table, 100)), 'p_table');
  end if;
  perform private.fail_input(private.input_error(v_reason is not null, 'p_table', format('%s is not audited: %s', v_name, v_reason)));
  return v_table;
end;
$$;
comment on function private.audited_table(text) is 'The audited table of this name, for a holder of read:audit.';

-- A key is compared as the column's type writes it, however it was put down: an upper-case uuid is the same uuid.
create function private.audited_key(p_table regclass, p_id text) returns text
language plpgsql stable security definer set search_path = '' set timezone = 'UTC' set datestyle = 'ISO'
as $$
declare
  v_columns constant text[] := private.key_columns(p_table);
  v_said jsonb;
  v_key jsonb;
begin
  perform private.fail_input(private.input_error(p_id is null, 'p_id', 'Say which row'));
  begin
    if cardinality(v_columns) > 1 or p_id ~ '^\s*\{\s*"' then
      v_said := p_id;
    else
      v_said := jsonb_build_object(v_columns[1], p_id);
    end if;
    if jsonb_typeof(v_said) = 'object' then
      execute format('select to_jsonb(r) from jsonb_populate_record(null::%s, $1) r', p_table) into v_key using v_said;
    end if;
  exception when data_exception or invalid_text_representation then
    v_said := null;
  end;
  perform private.fail_input(private.input_error(
    v_said is null or jsonb_typeof(v_said) <> 'object' or exists (select from unnest(v_columns) c where v_key ->> c is null)
      or exists (select from jsonb_object_keys(v_said) k where k <> all(v_columns)),
    'p_id',
    case when cardinality(v_columns) = 1 then format('This is no %s of %s', v_columns[1], p_table)
      else format('The key of %s is a JSON object with %s', p_table, array_to_string(v_columns, ', ')) end
  ));
  return private.row_key(v_key, v_columns);
end;
$$;
comment on function private.audited_key(regclass, text) is 'A row''s key as audit_log writes it, from its text or a JSON object of its columns; refuses what cannot be one.';

create function private.row_as_it_is(p_table regclass, p_row_key text) returns jsonb
language plpgsql stable security definer
set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
as $$
declare
  v_columns constant text[] := private.key_columns(p_table);
  v_row jsonb;
begin
  execute format('select to_jsonb(t) from jsonb_populate_record(null::%1$s, $1) k join %1$s t on %2$s', p_table, private.key_matches(p_table, 't', 'k'))
  into v_row using case cardinality(v_columns) when 1 then jsonb_build_object(v_columns[1], p_row_key) else p_row_key::jsonb end;
  return private.without_left_out(v_row, (select r.left_out from private.audit_rules r join pg_catalog.pg_class c on c.relname = r.table_name where c.oid = p_table));
end;
$$;
comment on function private.row_as_it_is(regclass, text) is 'The row with this key as audit_log would write it now; null when there is none.';

-- Transaction by transaction, back from the row as it is. What one transaction did to a row several times it did once:
-- of the values of a column, the first is one time more an old than a new one. So nothing depends on the order in which
-- triggers within it fired; only where a row came unrecorded and went again are there two such values, and the earlier one
-- is that of the row before. Between transactions the numbers rise: whoever changes a row holds it to the end.
create function private.row_before(p_table regclass, p_row_key text, p_change_id bigint) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_name constant text := (select c.relname from pg_catalog.pg_class c where c.oid = p_table);
  v_row jsonb := private.row_as_it_is(p_table, p_row_key);
  v_done record;
begin
  for v_done in
    with changes as materialized (
      select a.* from public.audit_log a where a.table_name = v_name and a.row_key = p_row_key and a.id >= p_change_id
    )
    select d.net, (
        select coalesce(jsonb_object_agg(e.column_name, e.value order by e.first desc), '{}')
        from (
          select v.key as column_name, v.value, min(c.id) as first
          from changes c
          cross join lateral (
            select o.key, o.value, 1 as times from jsonb_each(c.old_values) o
            union all
            select n.key, n.value, -1 from jsonb_each(c.new_values) n
          ) v
          where c.transaction_id = d.transaction_id
          group by v.key, v.value
          having sum(v.times) > 0
        ) e
      ) as before
    from (
      select c.transaction_id, max(c.id) as last, count(*) filter (where c.operation = 'insert') - count(*) filter (where c.operation = 'delete') as net
      from changes c
      group by c.transaction_id
    ) d
    order by d.last desc
  loop
    -- It ended with the row gone, so the row there is now came later, and its coming was not recorded.
    if v_done.net < 0 then
      v_row := null;
    end if;
    v_row := case when (v_row is not null)::integer > v_done.net then coalesce(v_row, '{}') || v_done.before end;
  end loop;
  return v_row;
end;
$$;
comment on function private.row_before(regclass, text, bigint) is
  'A row as it was before the transaction of a change (of audit_log), or as it is where that is null; null when it did not exist.';

create function private.came_at(p_row jsonb) returns timestamptz
language sql stable set search_path = '' set timezone = 'UTC'
return case when p_row ->> 'created_at' <> '***' then (p_row ->> 'created_at')::timestamptz end;
comment on function private.came_at(jsonb) is 'When a row says it was made; null when it does not say.';

-- A change counts from the instant its transaction began, or from that of an earlier change that began later. Where
-- the row's coming was not recorded, the row itself says when it came.
create function private.row_at(p_table regclass, p_row_key text, p_at timestamptz) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_name constant text := (select c.relname from pg_catalog.pg_class c where c.oid = p_table);
  v_change constant bigint := (
    select min(a.id) from public.audit_log a where a.table_name = v_name and a.row_key = p_row_key and a.at > p_at
  );
  v_row constant jsonb := private.row_before(p_table, p_row_key, v_change);
  v_last constant text := (
    select a.operation from public.audit_log a
    where a.table_name = v_name and a.row_key = p_row_key and (v_change is null or a.id < v_change)
    order by a.id desc
    limit 1
  );
begin
  return case when coalesce(v_last, 'delete') <> 'delete' or private.came_at(v_row) is null or private.came_at(v_row) <= p_at then v_row end;
end;
$$;
comment on function private.row_at(regclass, text, timestamptz) is 'A row as it was at an instant; null when it did not exist.';

create function private.history_of(p_table regclass, p_row_key text) returns setof public.audit_log
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_name constant text := (select c.relname from pg_catalog.pg_class c where c.oid = p_table);
  v_first public.audit_log;
  v_image jsonb;
begin
  select a.* into v_first from public.audit_log a where a.table_name = v_name and a.row_key = p_row_key order by a.id limit 1;
  v_image := private.row_before(p_table, p_row_key, v_first.id);
  -- Its coming was not recorded: the row says when that was.
  if v_image is not null then
    v_first := null;
    v_first.table_name := v_name;
    v_first.row_key := p_row_key;
    v_first.operation := 'insert';
    v_first.at := private.came_at(v_image);
    v_first.new_values := v_image;
    return next v_first;
  end if;
  return query
    select a.* from public.audit_log a where a.table_name = v_name and a.row_key = p_row_key order by a.id;
end;
$$;
comment on function private.history_of(regclass, text) is
  'The changes of a row, oldest first; led by what it was at first, without id and transaction, where its coming was not recorded.';
