-- Undoing a repair puts rows back that no rule would let anybody write: that is what was found wrong with them. So the
-- tables' own triggers are switched off for the rows to be put back, in this transaction only, and nobody else writes
-- these tables meanwhile. What constraints refuse is refused here as well. Images are kept of the undo too, and it is
-- held against the repair: what came out otherwise, such as rows that went with one that was removed, is refused.

-- Whoever waits for a table while holding another may meet somebody who does it the other way round. So nobody waits
-- longer than it takes to be called a deadlock, and gives back what they hold before asking again.
create function private.lock_tables(p_tables regclass[]) returns void
language plpgsql volatile security definer set search_path = '' set lock_timeout = '500ms'
as $$
begin
  for attempt in 1..8 loop
    begin
      execute 'lock table ' || (select string_agg(t::text, ', ' order by t::text) from unnest(p_tables) t) || ' in share row exclusive mode';
      return;
    exception when lock_not_available then
      null;
    end;
  end loop;
  perform private.fail('in_progress', 'Others are writing these tables without a pause', p_details => jsonb_build_object('tables', p_tables),
    p_hint => 'Try again in a moment.');
end;
$$;
comment on function private.lock_tables(regclass[]) is 'Keeps everybody else from writing these tables until the transaction ends.';

create function private.key_matches(p_table regclass, p_row text, p_other text) returns text
language sql stable set search_path = ''
return (select string_agg(format('%s.%I = %s.%I', p_row, c, p_other, c), ' and ') from unnest(private.key_columns(p_table)) c);
comment on function private.key_matches(regclass, text, text) is 'The SQL condition that two rows of a table have the same key.';

create function private.column_list(p_table regclass, p_pattern text, p_changeable boolean) returns text
language sql stable set search_path = ''
begin atomic
  select string_agg(format(p_pattern, a.attname), ', ' order by a.attnum)
  from pg_catalog.pg_attribute a
  where a.attrelid = p_table and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    and (not p_changeable or a.attidentity <> 'a' and a.attname <> all(private.key_columns(p_table)));
end;
comment on function private.column_list(regclass, text, boolean) is
  'The columns of a table that are not generated, each written as the pattern says; without the key where only those that change are wanted.';

create function private.moved_on(p_fix_id bigint, p_table regclass) returns setof jsonb
language plpgsql stable security definer set search_path = ''
as $$
begin
  return query execute format($sql$
    select jsonb_build_object('table', c.table_name, 'key', c.row_key)
    from private.fix_changes c
    cross join lateral jsonb_populate_record(null::%1$s, c.row_key) k
    left join %1$s t on %2$s
    where c.fix_id = $1 and c.table_name = (select r.relname from pg_catalog.pg_class r where r.oid = $2) and to_jsonb(t) is distinct from c.after
    order by c.id
  $sql$, p_table, private.key_matches(p_table, 't', 'k')) using p_fix_id, p_table;
end;
$$;
comment on function private.moved_on(bigint, regclass) is 'The rows of a table that are not as this repair left them.';

create function private.remove_added(p_fix_id bigint, p_table regclass) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  execute format($sql$
    delete from %1$s t using private.fix_changes c
    cross join lateral jsonb_populate_record(null::%1$s, c.row_key) k
    where c.fix_id = $1 and c.table_name = (select r.relname from pg_catalog.pg_class r where r.oid = $2) and c.before is null and %2$s
  $sql$, p_table, private.key_matches(p_table, 't', 'k')) using p_fix_id, p_table;
end;
$$;
comment on function private.remove_added(bigint, regclass) is 'Removes the rows of a table that this repair added.';

create function private.put_back(p_fix_id bigint, p_table regclass) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  -- A table that is nothing but a key has nothing to change.
  if private.column_list(p_table, '%I', true) is not null then
    execute format($sql$
      update %1$s t set (%3$s) = row(%4$s)
      from private.fix_changes c
      cross join lateral jsonb_populate_record(null::%1$s, c.before) k
      where c.fix_id = $1 and c.table_name = (select r.relname from pg_catalog.pg_class r where r.oid = $2)
        and c.before is not null and c.after is not null and %2$s
    $sql$, p_table, private.key_matches(p_table, 't', 'k'), private.column_list(p_table, '%I', true), private.column_list(p_table, 'k.%I', true))
    using p_fix_id, p_table;
  end if;
  execute format($sql$
    insert into %1$s (%2$s) overriding system value
    select %3$s
    from private.fix_changes c
    cross join lateral jsonb_populate_record(null::%1$s, c.before) k
    where c.fix_id = $1 and c.table_name = (select r.relname from pg_catalog.pg_class r where r.oid = $2) and c.after is null
    order by c.id
  $sql$, p_table, private.column_list(p_table, '%I', false), private.column_list(p_table, 'k.%I', false)) using p_fix_id, p_table;
end;
$$;
comment on function private.put_back(bigint, regclass) is 'Writes the rows of a table that this repair changed or removed as they were before it.';

-- What refers comes after what it refers to.
create function private.in_order_of_reference(p_tables regclass[]) returns regclass[]
language sql stable set search_path = ''
begin atomic
  with recursive referring as (
    select distinct k.conrelid::regclass as child, k.confrelid::regclass as parent
    from pg_catalog.pg_constraint k
    where k.contype = 'f' and k.conrelid <> k.confrelid and k.conrelid = any(p_tables) and k.confrelid = any(p_tables)
  ),
  ranked as (
    select t.t, 0 as rank from unnest(p_tables) as t(t)
    union
    select f.child, r.rank + 1 from ranked r join referring f on f.parent = r.t where r.rank < cardinality(p_tables)
  )
  select array_agg(o.t order by o.rank, o.t::text) from (select r.t, max(r.rank) as rank from ranked r group by r.t) o;
end;
comment on function private.in_order_of_reference(regclass[]) is 'These tables, those that are referred to first.';

create function private.take_back(p_fix_id bigint, p_dry_run boolean)
returns table (undo_id bigint, table_name text, put_back integer, changed_back integer, removed integer)
-- How a row is written as JSON depends on the session.
language plpgsql volatile security definer set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
as $$
declare
  v_fix public.fix_runs;
  v_undone_by public.fix_runs;
  v_tables regclass[];
  v_moved jsonb;
  v_triggers record;
  v_constraint text;
  v_refused_by text;
begin
  perform private.require_permission('apply:fixes');
  perform private.require_read_committed();
  select r.* into v_fix from public.fix_runs r where r.id = p_fix_id for no key update;
  if not found then
    perform private.fail('not_found', format('There is no fix %s', coalesce(p_fix_id::text, '')), 'p_fix_id', jsonb_build_object('fix_id', p_fix_id));
  end if;
  select r.* into v_undone_by from public.fix_runs r where r.undoes = v_fix.id;
  if v_undone_by.id is not null or v_fix.undoes is not null or v_fix.forgotten_at is not null then
    perform private.fail('illegal_transition',
      case when v_undone_by.id is not null then format('Fix %s was undone before', v_fix.id)
        when v_fix.undoes is not null then format('%s is an undo itself', v_fix.id)
        else format('Fix %s cannot be undone any more: somebody it concerned was erased, and its images with them', v_fix.id) end,
      'p_fix_id', jsonb_build_object('fix_id', v_fix.id, 'check_name', v_fix.check_name, 'undone_at', v_undone_by.applied_at),
      case when v_fix.forgotten_at is null then format('apply_fixes() mends %s again.', v_fix.check_name) end);
  end if;
  v_tables := private.in_order_of_reference(array(select distinct format('public.%I', c.table_name)::regclass from private.fix_changes c where c.fix_id = v_fix.id));
  if v_tables is null then
    perform private.fail('illegal_transition', format('Fix %s changed nothing that could be put back', v_fix.id), 'p_fix_id',
      jsonb_build_object('fix_id', v_fix.id, 'check_name', v_fix.check_name));
  end if;
  if not p_dry_run then
    perform private.lock_tables(v_tables);
  end if;
  select jsonb_agg(m.m) into v_moved from unnest(v_tables) t cross join lateral private.moved_on(v_fix.id, t) as m(m);
  if v_moved is not null then
    perform private.refuse_undo(v_fix, format('%s row(s) moved on since', jsonb_array_length(v_moved)), v_moved);
  end if;
  if not p_dry_run then
    undo_id := private.open_fix(v_fix.check_name, v_fix.faults, v_fix.id);
    for v_triggers in
      select string_agg(format('alter table %s disable trigger %I', t.tgrelid::regclass, t.tgname), '; ') as off,
        string_agg(format('alter table %s enable %s trigger %I', t.tgrelid::regclass, case t.tgenabled when 'A' then 'always' when 'R' then 'replica' else '' end, t.tgname), '; ') as on
      from pg_catalog.pg_trigger t
      where t.tgrelid = any(v_tables) and not t.tgisinternal and t.tgenabled <> 'D'
        and t.tgfoid <> all(array['private.keep_image()', 'private.record_changes()']::regprocedure[])
    loop
      execute coalesce(v_triggers.off, '');
      begin
        perform private.remove_added(v_fix.id, t.t) from (select * from unnest(v_tables) with ordinality as u(t, position) order by u.position desc offset 0) t;
        perform private.put_back(v_fix.id, t.t) from (select * from unnest(v_tables) with ordinality as u(t, position) order by u.position offset 0) t;
      exception when integrity_constraint_violation then
        get stacked diagnostics v_constraint = constraint_name, v_refused_by = table_name;
      end;
      execute coalesce(v_triggers.on, '');
    end loop;
    if v_constraint is not null then
      perform private.fail('illegal_transition',
        format('Fix %s cannot be undone: %s on %s refuses what was there before', v_fix.id, v_constraint, v_refused_by), 'p_fix_id',
        jsonb_build_object('fix_id', v_fix.id, 'check_name', v_fix.check_name, 'constraint', v_constraint, 'table', v_refused_by));
    end if;
    perform private.close_fix(undo_id);
    select jsonb_agg(jsonb_build_object('table', coalesce(f.table_name, u.table_name), 'key', coalesce(f.row_key, u.row_key))) into v_moved
    from (select c.* from private.fix_changes c where c.fix_id = v_fix.id) f
    full join (select c.* from private.fix_changes c where c.fix_id = undo_id) u on u.table_name = f.table_name and u.row_key = f.row_key
    where (f.before, f.after) is distinct from (u.after, u.before);
    if v_moved is not null then
      perform private.refuse_undo(v_fix, format('%s other row(s) depend on what it did', jsonb_array_length(v_moved)), v_moved);
    end if;
    update public.fix_runs r set remaining = v_fix.faults, changed_rows = (select count(*) from private.fix_changes c where c.fix_id = undo_id)
    where r.id = undo_id;
  end if;
  return query
    select undo_id, c.table_name, (count(*) filter (where c.after is null))::integer,
      (count(*) filter (where c.before is not null and c.after is not null))::integer, (count(*) filter (where c.before is null))::integer
    from private.fix_changes c
    where c.fix_id = v_fix.id
    group by c.table_name
    order by c.table_name;
end;
$$;
comment on function private.take_back(bigint, boolean) is 'Undoes a repair for a holder of apply:fixes.';

create function private.refuse_undo(p_fix public.fix_runs, p_why text, p_rows jsonb) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.fail('illegal_transition', format('Fix %s cannot be undone: %s', p_fix.id, p_why), 'p_fix_id',
    jsonb_build_object('fix_id', p_fix.id, 'check_name', p_fix.check_name, 'count', jsonb_array_length(p_rows),
      'rows', jsonb_path_query_array(p_rows, '$[0 to 99]')),
    'The rows are named in details; later fixes that changed them too are undone first.');
end;
$$;
comment on function private.refuse_undo(public.fix_runs, text, jsonb) is 'Raises illegal_transition, naming the rows (the first hundred) that stand in the way.';

create function public.undo_fix(p_fix_id bigint, p_dry_run boolean default false, p_idempotency_key text default null)
returns table (undo_id bigint, table_name text, put_back integer, changed_back integer, removed integer)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('fix_id', p_fix_id, 'dry_run', p_dry_run);
  v_answer jsonb := private.answered_before('undo_fix', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := (select coalesce(jsonb_agg(to_jsonb(t)), '[]') from private.take_back(p_fix_id, coalesce(p_dry_run, false)) t);
    perform private.remember_answer('undo_fix', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.undo_id, a.table_name, a.put_back, a.changed_back, a.removed
    from jsonb_to_recordset(v_answer) as a(undo_id bigint, table_name text, put_back integer, changed_back integer, removed integer);
end;
$$;
comment on function public.undo_fix(bigint, boolean, text) is
  'Puts every row a fix changed back as it was before, those that followed through triggers included, all or nothing: one row a table with how many rows were put back, changed back and removed. p_dry_run only says what would be done. The undo is a run of its own in fix_runs; what it brings back is found by diagnosis again. Needs apply:fixes. Raises not_found; illegal_transition when rows moved on since or others depend on them (details name them), a constraint refuses what was there, it was undone before, or its images are gone; in_progress while others keep writing the tables.';
