-- Images of rows that repairs change.
--
-- Every table of public has a row trigger for it, which costs other writers a look at a setting. The setting is only a
-- hint: a transaction keeps images when private.open_fixes says that it is at a repair, and that is written by
-- apply_fixes and undo_fix only. Whoever sets the setting, or takes it away, changes nothing about anybody's rows.

create function private.keep_image() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_named constant text := current_setting('classbase.fix', true);
  v_fix_id bigint := (
    select f.fix_id from private.open_fixes f
    where f.fix_id = case when v_named ~ '^[0-9]{1,18}$' then v_named::bigint end and f.transaction_id = pg_current_xact_id()
  );
  v_old jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  v_new jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  v_old_key jsonb;
  v_new_key jsonb;
begin
  if v_fix_id is null then
    return null;
  end if;
  v_old_key := (select jsonb_object_agg(c, v_old -> c) from unnest(tg_argv) c where v_old is not null);
  v_new_key := (select jsonb_object_agg(c, v_new -> c) from unnest(tg_argv) c where v_new is not null);
  -- A row that gets another key is one row gone and another one come.
  if v_old_key <> v_new_key then
    insert into private.fix_changes (fix_id, table_name, row_key, before) values (v_fix_id, tg_table_name, v_old_key, v_old);
    v_old := null;
  end if;
  insert into private.fix_changes (fix_id, table_name, row_key, before, after)
  values (v_fix_id, tg_table_name, coalesce(v_new_key, v_old_key), v_old, v_new);
  return null;
end;
$$;
comment on function private.keep_image() is
  'Row trigger of every table in public: while a repair runs, keeps the row as it was and as it is. Its arguments are the primary key''s columns.';

create function private.key_columns(p_table regclass) returns text[]
language sql stable set search_path = ''
begin atomic
  select array_agg(a.attname::text order by u.position)
  from pg_catalog.pg_constraint k
  cross join lateral unnest(k.conkey) with ordinality as u(attnum, position)
  join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
  where k.conrelid = p_table and k.contype = 'p';
end;
comment on function private.key_columns(regclass) is 'The columns of a table''s primary key.';

create function private.tables_without_images() returns setof regclass
language sql stable set search_path = ''
begin atomic
  select c.oid::regclass
  from pg_catalog.pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    -- What repairs leave behind of themselves is not theirs to take back, nor what they told the world.
    and c.oid <> all(array['public.fix_runs', 'public.audit_log', 'public.changes']::regclass[])
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
    and not exists (
      select
      from pg_catalog.pg_trigger t
      where t.tgrelid = c.oid and t.tgfoid = 'private.keep_image()'::regprocedure and t.tgtype & 29 = 29 and t.tgenabled in ('O', 'A')
    )
  order by c.relname;
end;
comment on function private.tables_without_images() is 'Tables in public whose changes by a repair would leave no image.';

create function private.attach_images() returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_table regclass;
begin
  for v_table in select t.t from private.tables_without_images() as t(t) loop
    execute format('create or replace trigger t99_keep_image after insert or update or delete on %s
      for each row when (current_setting(''classbase.fix'', true) <> '''') execute function private.keep_image(%s)',
      v_table, (select string_agg(quote_literal(c), ', ') from unnest(private.key_columns(v_table)) c));
  end loop;
end;
$$;
comment on function private.attach_images() is 'Makes every table in public keep images while a repair runs; a module that comes later calls it again.';

select private.attach_images();

-- What was changed several times was changed once, from what it was first to what it was last: of the images of a row,
-- what it was first is one time more a before than an after. Nothing depends on the order in which triggers fired.
create function private.close_fix(p_fix_id bigint) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  perform set_config('classbase.fix', '', true);
  delete from private.open_fixes f where f.fix_id = p_fix_id;
  with kept as (
    delete from private.fix_changes c where c.fix_id = p_fix_id
    returning c.table_name, c.row_key, c.before, c.after
  ),
  ends as (
    select i.table_name, i.row_key, i.image, sum(i.times) as times
    from (
      select k.table_name, k.row_key, k.before as image, 1 as times from kept k
      union all
      select k.table_name, k.row_key, k.after, -1 from kept k
    ) i
    group by i.table_name, i.row_key, i.image
    having sum(i.times) <> 0
  )
  insert into private.fix_changes (fix_id, table_name, row_key, before, after)
  select p_fix_id, e.table_name, e.row_key, (array_agg(e.image) filter (where e.times > 0))[1], (array_agg(e.image) filter (where e.times < 0))[1]
  from ends e
  group by e.table_name, e.row_key
  order by e.table_name, e.row_key;
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.close_fix(bigint) is 'Ends the keeping of images for a repair; returns how many rows it changed.';

create function private.open_fix(p_check_name text, p_faults integer, p_undoes bigint default null) returns bigint
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fix_id bigint;
begin
  insert into public.fix_runs (check_name, faults, undoes) values (p_check_name, p_faults, p_undoes) returning id into v_fix_id;
  insert into private.open_fixes (fix_id) values (v_fix_id);
  perform set_config('classbase.fix', v_fix_id::text, true);
  return v_fix_id;
end;
$$;
comment on function private.open_fix(text, integer, bigint) is 'Begins a repair, or an undo: from now on this transaction keeps images.';

-- Images of people who are erased are erased with them.
create function private.forget_images() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_forgotten bigint[];
begin
  select array_agg(distinct c.fix_id) into v_forgotten
  from private.fix_changes c
  where strpos(concat(c.row_key, c.before, c.after), new.id::text) > 0;
  delete from private.fix_changes c where c.fix_id = any(v_forgotten);
  update public.fix_runs r set forgotten_at = private.now() where r.id = any(v_forgotten);
  return null;
end;
$$;
comment on function private.forget_images() is
  'Row trigger on user_profiles: when somebody is erased, the images of repairs that name them go; these cannot be undone any more.';

create trigger t60_forget_images after update of erased_at on public.user_profiles
  for each row when (new.erased_at is not null and old.erased_at is null) execute function private.forget_images();
