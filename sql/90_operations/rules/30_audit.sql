-- Recording changes.

-- Headers are what the caller sends, so anything may be in them, and nothing in them may stop a write.
create function private.request_origin() returns text[]
language plpgsql stable set search_path = ''
as $$
declare
  v_headers jsonb;
begin
  v_headers := current_setting('request.headers', true)::jsonb;
  if jsonb_typeof(v_headers) <> 'object' then
    return '{}';
  end if;
  return array[
    left(private.clean_text(regexp_replace(v_headers ->> 'x-request-id', '[[:cntrl:]]+', ' ', 'g')), 200),
    substring(split_part(v_headers ->> 'x-forwarded-for', ',', 1) from '^\s*([0-9A-Fa-f.:]{2,45})\s*$')
  ];
exception when invalid_text_representation or untranslatable_character then
  return '{}';
end;
$$;
comment on function private.request_origin() is 'What the request calls itself and where it says it comes from, cleaned and bounded; nulls outside of a request.';

-- Said to cost next to nothing, as where they are not called for: else what records changes would be planned anew for every
-- statement, to find out that they are not.
create function private.row_key(p_row jsonb, p_key_columns text[]) returns text
language sql immutable cost 1 set search_path = ''
return case cardinality(p_key_columns)
    when 1 then p_row ->> p_key_columns[1]
    else (select jsonb_object_agg(c, p_row -> c)::text from unnest(p_key_columns) c)
  end;
comment on function private.row_key(jsonb, text[]) is 'How audit_log names a row: the key''s text, or a JSON object of a key''s columns.';

create function private.without_left_out(p_row jsonb, p_left_out text[]) returns jsonb
language sql immutable cost 1 set search_path = ''
return p_row || coalesce((select jsonb_object_agg(c, '***'::text) from unnest(p_left_out) c where p_row ->> c is not null), '{}');
comment on function private.without_left_out(jsonb, text[]) is 'A row, or some of its columns, with *** for the values of columns that are left out of the audit trail.';

-- Writing a row as JSON takes as long as writing it did, and so does looking for what two of them differ in. Many rows are
-- worth a plan of their own, which knows their columns. Whole rows are written in the order in which jsonb keeps its keys,
-- so that it need not sort them. Of rows that do not differ but in the likely columns only these are written, and where
-- they differ in all of them nothing is looked for. Values of types that make the same JSON if, and only if, they are equal
-- are compared as they are; those of others to the byte, since what they call equal may be written differently, and as JSON.
create function private.audit_statement(
  p_table regclass, p_event text, p_key_columns text[], p_left_out text[], p_condition text, p_likely text[]
) returns text
language plpgsql stable set search_path = ''
as $$
declare
  v_plain constant regtype[] := '{uuid,text,smallint,integer,bigint}';
  v_comparing constant regtype[] := '{uuid,text,boolean,smallint,integer,bigint,numeric,date,time,timestamp,timestamptz}';
  v_image constant text := case when p_left_out = '{}' then '%s' else 'private.without_left_out(%s, $8)' end;
  v_parts record;
  v_changes text;
begin
  select
    string_agg(format('r.%I', c.name), ', ') as whole,
    case when cardinality(p_key_columns) > 1
      then format('jsonb_build_object(%s)::text', string_agg(format('%L, %s', c.name, c.value), ', ') filter (where c.is_key))
      else string_agg(format(case when c.is_plain then '%s::text' else 'to_jsonb(%s) #>> ''{}''' end, c.value), '') filter (where c.is_key)
    end as row_key,
    string_agg(format(case when c.is_plain then '%2$s = %1$s' else '%2$s::text = %1$s::text' end, c.old, c.new), ' and ') filter (where c.is_key) as same_key,
    string_agg('o.' || quote_ident(c.name), ', ') filter (where c.is_likely) as likely_old,
    string_agg('n.' || quote_ident(c.name), ', ') filter (where c.is_likely) as likely_new,
    concat_ws(' and ',
      string_agg(format('o.%1$I is not null and n.%1$I is not null', c.name), ' and ') filter (where c.is_key),
      string_agg(format('%s is not distinct from %s', c.old, c.new), ' and ') filter (where c.compares and not c.is_key and not c.is_likely),
      format('row(%s)::record *= row(%s)::record',
        string_agg(c.old, ', ') filter (where not (c.compares or c.is_key or c.is_likely)), string_agg(c.new, ', ') filter (where not (c.compares or c.is_key or c.is_likely)))
    ) as is_likely,
    -- When a row was written last is no news by itself.
    case when bool_and(c.compares) filter (where c.is_likely) and not p_likely <@ array['version', 'updated_at', 'last_run_at']
      then string_agg(format('%s is distinct from %s', c.old, c.new), ' and ') filter (where c.is_likely) else 'false' end as all_differ
  into v_parts
  from (
    select a.attname as name, a.atttypid = any(v_plain) as is_plain, a.attname = any(p_key_columns) as is_key, a.attname = any(p_likely) as is_likely,
      a.atttypid = any(v_comparing) as compares, format(t.written, 'o', a.attname) as old, format(t.written, 'n', a.attname) as new,
      format(case p_event when 'UPDATE' then 'coalesce(n.%1$I, o.%1$I)' else 'r.%1$I' end, a.attname) as value
    from pg_catalog.pg_attribute a
    cross join lateral (select case when a.atttypid = 'text'::regtype then '(%s.%I collate "C")' else '%s.%I' end as written) t
    where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped
    order by octet_length(a.attname::text), a.attname
  ) c;
  v_changes := case p_event
    when 'INSERT' then format('select ''insert'', %s, null::jsonb, %s from (select r.* from new_rows r where %s) r cross join lateral (select %s) i',
      v_parts.row_key, format(v_image, 'to_jsonb(i.*)'), case p_condition when '' then 'true' else format('(%s) or $7 is not null', p_condition) end, v_parts.whole)
    when 'DELETE' then format('select ''delete'', %s, %s, null::jsonb from old_rows r cross join lateral (select %s) i',
      v_parts.row_key, format(v_image, 'to_jsonb(i.*)'), v_parts.whole)
    else format($sql$
        select case when r.old is null then 'insert' when r.new is null then 'delete' else 'update' end, r.row_key, %s, %s
        from (
          select p.*, case when not p.all_differ then array(select e.key from jsonb_each(p.new) e where e.value = p.old -> e.key) end as same
          from (
            select %s as row_key, l.is_likely and %s as all_differ,
              case when l.is_likely then to_jsonb(a.*) else to_jsonb(o.*) end as old, case when l.is_likely then to_jsonb(b.*) else to_jsonb(n.*) end as new
            from old_rows o
            full join new_rows n on %s
            cross join lateral (select %s) a
            cross join lateral (select %s) b
            cross join lateral (select %s as is_likely) l
            offset 0
          ) p
          offset 0
        ) r
        where r.all_differ or r.old is null or r.new is null or r.new - r.same - array['version', 'updated_at', 'last_run_at'] <> '{}'
      $sql$,
      format(v_image, 'case when r.all_differ then r.old else r.old - r.same end'), format(v_image, 'case when r.all_differ then r.new else r.new - r.same end'),
      v_parts.row_key, v_parts.all_differ, v_parts.same_key, v_parts.likely_old, v_parts.likely_new, v_parts.is_likely)
  end;
  return 'insert into public.audit_log (at, table_name, actor_id, actor_role, request_id, ip_address, fix_id, operation, row_key, old_values, new_values) '
    || format('select $1, $2, $3, $4, $5, $6, $7, c.* from (%s) c', v_changes);
end;
$$;
comment on function private.audit_statement(regclass, text, text[], text[], text, text[]) is
  'The statement that writes into audit_log what became of many rows of a table. Its parameters: the instant, the table, who acted, as what, the request and its address, the repair, the columns left out.';

-- Few rows are recorded by static statements, so that each table's trigger keeps its plans. How a row is written as JSON
-- depends on the session: what is otherwise there is set for as long as it takes, by hand, since a function that pins so
-- many settings takes as long to call as everything else it does. An error on the way undoes the settings with the
-- statement. Old and new rows of many meet by key, once each; the planner, who knows nothing of keys here, would sort them.
create function private.record_changes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_styles constant text[] := array[current_setting('TimeZone'), current_setting('DateStyle'), current_setting('IntervalStyle'), current_setting('bytea_output'),
    current_setting('enable_mergejoin')];
  v_was text[];
  v_key_columns constant text[] := tg_argv[0];
  v_key_column constant text := case when cardinality(v_key_columns) = 1 then v_key_columns[1] end;
  v_left_out constant text[] := tg_argv[1];
  v_condition constant text := tg_argv[2];
  v_at timestamptz;
  v_actor_id uuid;
  v_actor_role text;
  v_origin text[] := '{}';
  v_fix_id bigint;
  v_is_many boolean;
  v_is_any boolean;
  v_likely text[];
begin
  -- Referential actions run one statement for each row they look after, most of which touch nothing.
  if tg_op = 'DELETE' then
    if not exists (select from old_rows) then
      return null;
    end if;
    v_is_many := exists (select from old_rows offset 50);
  else
    if not exists (select from new_rows) then
      return null;
    end if;
    v_is_many := exists (select from new_rows offset 50);
  end if;
  if current_setting('classbase.fix', true) ~ '^[0-9]{1,18}$' then
    v_fix_id := (
      select f.fix_id from private.open_fixes f
      where f.fix_id = current_setting('classbase.fix', true)::bigint and f.transaction_id = pg_current_xact_id()
    );
  end if;
  -- What a repair or its undo puts there is recorded in any case: a row that went may come again with its old key.
  if tg_op = 'INSERT' and v_condition <> '' and v_fix_id is null then
    execute format('select exists (select from new_rows where %s)', v_condition) into v_is_any;
    if not v_is_any then
      return null;
    end if;
  end if;
  v_was := array[
    case when v_styles[1] <> 'UTC' then set_config('TimeZone', 'UTC', true) end, case when v_styles[2] not like 'ISO%' then set_config('DateStyle', 'ISO', true) end,
    case when v_styles[3] <> 'iso_8601' then set_config('IntervalStyle', 'iso_8601', true) end,
    case when v_styles[4] <> 'hex' then set_config('bytea_output', 'hex', true) end,
    case when v_is_many and tg_op = 'UPDATE' and v_styles[5] <> 'off' then set_config('enable_mergejoin', 'off', true) end];
  v_at := private.now();
  v_actor_id := private.caller_id();
  v_actor_role := private.acting_role();
  if current_setting('request.headers', true) <> '' then
    v_origin := private.request_origin();
  end if;
  if v_is_many or tg_op = 'INSERT' and v_condition <> '' then
    if tg_op = 'UPDATE' then
      v_likely := array(
        select e.key from jsonb_each((select to_jsonb(n.*) from new_rows n limit 1)) e
        where e.value is distinct from (select to_jsonb(o.*) from old_rows o limit 1) -> e.key and e.key <> all(v_key_columns)
      );
    end if;
    execute (select private.audit_statement(tg_relid, tg_op, v_key_columns, v_left_out, v_condition, v_likely))
      using v_at, tg_table_name, v_actor_id, v_actor_role, v_origin[1], v_origin[2], v_fix_id, v_left_out;
  elsif tg_op = 'INSERT' then
    insert into public.audit_log (at, table_name, row_key, operation, new_values, actor_id, actor_role, request_id, ip_address, fix_id)
    select v_at, tg_table_name, case when v_key_column is null then private.row_key(r.row, v_key_columns) else r.row ->> v_key_column end, 'insert',
      case when v_left_out = '{}' then r.row else private.without_left_out(r.row, v_left_out) end,
      v_actor_id, v_actor_role, v_origin[1], v_origin[2], v_fix_id
    from (select to_jsonb(n.*) as row from new_rows n offset 0) r;
  elsif tg_op = 'DELETE' then
    insert into public.audit_log (at, table_name, row_key, operation, old_values, actor_id, actor_role, request_id, ip_address, fix_id)
    select v_at, tg_table_name, case when v_key_column is null then private.row_key(r.row, v_key_columns) else r.row ->> v_key_column end, 'delete',
      case when v_left_out = '{}' then r.row else private.without_left_out(r.row, v_left_out) end,
      v_actor_id, v_actor_role, v_origin[1], v_origin[2], v_fix_id
    from (select to_jsonb(o.*) as row from old_rows o offset 0) r;
  else
    insert into public.audit_log (at, table_name, row_key, operation, old_values, new_values, actor_id, actor_role, request_id, ip_address, fix_id)
    select v_at, tg_table_name, c.row_key, c.operation,
      case when v_left_out = '{}' then c.before else private.without_left_out(c.before, v_left_out) end,
      case when v_left_out = '{}' then c.after else private.without_left_out(c.after, v_left_out) end,
      v_actor_id, v_actor_role, v_origin[1], v_origin[2], v_fix_id
    from (
      select coalesce(n.row_key, o.row_key) as row_key,
        case when o.row is null then 'insert' when n.row is null then 'delete' else 'update' end as operation,
        o.row - s.same as before, n.row - s.same as after
      from (
        select case when v_key_column is null then private.row_key(r.row, v_key_columns) else r.row ->> v_key_column end as row_key, r.row
        from (select to_jsonb(t.*) as row from old_rows t offset 0) r
      ) o
      full join (
        select case when v_key_column is null then private.row_key(r.row, v_key_columns) else r.row ->> v_key_column end as row_key, r.row
        from (select to_jsonb(t.*) as row from new_rows t offset 0) r
      ) n on n.row_key = o.row_key
      cross join lateral (
        select array(select e.key from jsonb_each(n.row) e where e.value = o.row -> e.key) as same offset 0
      ) s
      where o.row is distinct from n.row
      offset 0
    ) c
    -- When a row was written last is no news by itself.
    where c.operation <> 'update' or c.after - array['version', 'updated_at', 'last_run_at'] <> '{}';
  end if;
  v_was := array[
    case when v_was[1] is not null then set_config('TimeZone', v_styles[1], true) end, case when v_was[2] is not null then set_config('DateStyle', v_styles[2], true) end,
    case when v_was[3] is not null then set_config('IntervalStyle', v_styles[3], true) end,
    case when v_was[4] is not null then set_config('bytea_output', v_styles[4], true) end,
    case when v_was[5] is not null then set_config('enable_mergejoin', v_styles[5], true) end];
  return null;
end;
$$;
comment on function private.record_changes() is
  'Statement trigger of every audited table: writes what the statement did into audit_log. Its arguments are the key''s columns, the columns left out, and the condition on inserts.';

create function private.attach_audit(p_table regclass, p_left_out text[] default '{}', p_insert_condition text default null) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_name text := (select c.relname from pg_catalog.pg_class c where c.oid = p_table and c.relnamespace = 'public'::regnamespace);
  v_key text[] := private.key_columns(p_table);
  v_unknown text := (
    select string_agg(l, ', ') from unnest(p_left_out) l
    where l = any(v_key) or not exists (
      select from pg_catalog.pg_attribute a where a.attrelid = p_table and a.attname = l and a.attnum > 0 and not a.attisdropped
    )
  );
  v_event text;
begin
  perform private.fail_input(
    private.input_error(v_name is null or v_key is null, 'p_table', format('%s is no table of public with a primary key', p_table))
    || private.input_error(v_unknown is not null, 'p_left_out', format('%s has no column %s, or it is its key', p_table, v_unknown))
  );
  foreach v_event in array array['insert', 'update', 'delete'] loop
    execute format('create or replace trigger %I after %s on %s referencing %s for each statement execute function private.record_changes(%L, %L, %L)',
      't98_audit_' || v_event, v_event, p_table,
      case v_event when 'insert' then 'new table as new_rows' when 'update' then 'old table as old_rows new table as new_rows' else 'old table as old_rows' end,
      v_key::text, p_left_out::text, coalesce(p_insert_condition, ''));
  end loop;
  -- No statement trigger sees the rows that a truncate takes.
  if not exists (select from pg_catalog.pg_trigger t where t.tgrelid = p_table and t.tgtype & 34 = 34 and t.tgenabled in ('O', 'A')) then
    execute format('create or replace trigger t98_no_truncate before truncate on %s for each statement execute function private.refuse_statement(%L)',
      p_table, v_name || ' is audited: delete the rows instead of truncating it');
  end if;
  insert into private.audit_rules as r (table_name, left_out, insert_condition) values (v_name, p_left_out, p_insert_condition)
  on conflict (table_name) do update set left_out = excluded.left_out, insert_condition = excluded.insert_condition, not_audited_because = null;
end;
$$;
comment on function private.attach_audit(regclass, text[], text) is
  'Audits a table of public from now on: of the columns left out only that they changed, of inserts only those the SQL condition on the new row accepts (all by default). Calling it again changes how.';

create function private.leave_unaudited(p_table regclass, p_reason text) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_trigger record;
begin
  for v_trigger in
    select t.tgname from pg_catalog.pg_trigger t where t.tgrelid = p_table and (t.tgfoid = 'private.record_changes()'::regprocedure or t.tgname = 't98_no_truncate')
  loop
    execute format('drop trigger %I on %s', v_trigger.tgname, p_table);
  end loop;
  insert into private.audit_rules as r (table_name, not_audited_because)
  select c.relname, p_reason from pg_catalog.pg_class c where c.oid = p_table
  on conflict (table_name) do update set left_out = '{}', insert_condition = null, not_audited_because = excluded.not_audited_because;
end;
$$;
comment on function private.leave_unaudited(regclass, text) is 'States why a table of public is not audited, and stops auditing it where it was.';

create function private.tables_without_audit() returns setof regclass
language sql stable set search_path = ''
begin atomic
  select c.oid::regclass
  from pg_catalog.pg_class c
  left join private.audit_rules r on r.table_name = c.relname
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    and r.not_audited_because is null
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
    and (
      r.table_name is null
      or (
        select count(distinct t.tgtype) from pg_catalog.pg_trigger t
        where t.tgrelid = c.oid and t.tgfoid = 'private.record_changes()'::regprocedure and t.tgenabled in ('O', 'A')
      ) < 3
      or not exists (select from pg_catalog.pg_trigger t where t.tgrelid = c.oid and t.tgtype & 34 = 34 and t.tgenabled in ('O', 'A'))
    )
  order by c.relname;
end;
comment on function private.tables_without_audit() is 'Tables in public that are neither audited, whole, nor excused.';
