-- Sizes of tables, and who may reach which.

create function private.measured_tables() returns table (table_name text, row_estimate bigint, table_bytes bigint, index_bytes bigint)
language sql stable security definer set search_path = ''
begin atomic
  select format('%s.%s', n.nspname, r.relname), sum(nullif(c.reltuples, -1))::bigint, sum(pg_table_size(c.oid))::bigint, sum(pg_indexes_size(c.oid))::bigint
  from pg_catalog.pg_class c
  join pg_catalog.pg_class r on r.oid = coalesce(pg_partition_root(c.oid)::oid, c.oid)
  join pg_catalog.pg_namespace n on n.oid = r.relnamespace
  where n.nspname in ('public', 'private') and c.relkind in ('r', 'p')
  group by n.nspname, r.relname;
end;
comment on function private.measured_tables() is 'Every table of ours with its size as it is now; a partitioned one with all its partitions.';

create function private.take_size_reading() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_taken integer;
begin
  insert into private.table_size_readings as r (taken_on, table_name, row_estimate, total_bytes)
  select private.today(), m.table_name, m.row_estimate, m.table_bytes + m.index_bytes
  from private.measured_tables() m
  order by m.table_name
  on conflict (taken_on, table_name) do update set row_estimate = excluded.row_estimate, total_bytes = excluded.total_bytes;
  get diagnostics v_taken = row_count;
  delete from private.table_size_readings r where r.taken_on < private.today() - 800;
  return v_taken;
end;
$$;
comment on function private.take_size_reading() is 'Job: writes down how large each table is today, and forgets readings of more than two years ago; returns how many tables there are.';

create function private.sizes_for_caller() returns table (
  table_name text, row_estimate bigint, table_bytes bigint, index_bytes bigint, total_bytes bigint, bytes_before bigint, measured_on date
)
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform private.require_permission('read:diagnostics');
  return query
    select m.table_name, m.row_estimate, m.table_bytes, m.index_bytes, m.table_bytes + m.index_bytes, b.total_bytes, b.taken_on
    from private.measured_tables() m
    left join lateral (
      select r.total_bytes, r.taken_on
      from private.table_size_readings r
      where r.table_name = m.table_name and r.taken_on < private.today()
      order by r.taken_on desc
      limit 1
    ) b on true
    order by m.table_bytes + m.index_bytes desc, m.table_name;
end;
$$;
comment on function private.sizes_for_caller() is 'Sizes of tables, for a holder of read:diagnostics.';

create function private.access_for_caller() returns table (
  table_name text, is_protected boolean, policies integer, commands text[], granted_to text[]
)
language plpgsql stable security definer set search_path = ''
as $$
begin
  perform private.require_permission('read:diagnostics');
  return query
    select c.relname::text, c.relrowsecurity, count(p.oid)::integer,
      coalesce(array_agg(distinct k.name order by k.name) filter (where p.oid is not null), '{}'),
      array(
        select r.rolname::text
        from pg_catalog.pg_roles r
        where r.rolname in ('anon', 'authenticated')
          and (has_table_privilege(r.oid, c.oid, 'select,insert,update,delete,truncate') or has_any_column_privilege(r.oid, c.oid, 'select,insert,update'))
        order by r.rolname
      )
    from pg_catalog.pg_class c
    left join pg_catalog.pg_policy p on p.polrelid = c.oid
    left join lateral (
      select case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end as name
    ) k on true
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
    group by c.oid, c.relname, c.relrowsecurity
    order by c.relname;
end;
$$;
comment on function private.access_for_caller() is 'Row level security of the tables of public, for a holder of read:diagnostics.';
