-- What is slow and what is large. Thresholds are settings.

create function private.slow_statements(p_milliseconds integer) returns table (query text, calls bigint, mean_ms numeric)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_schema text := (
    select n.nspname from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.extname = 'pg_stat_statements'
  );
begin
  if v_schema is null then
    return;
  end if;
  return query execute format(
    -- Values are left out of statements, except where a command of its own sets a password.
    'select left(case when s.query ~* ''password'' then ''(not shown)'' else s.query end, 300), s.calls, round(s.mean_exec_time::numeric, 1)
     from %I.pg_stat_statements s
     where s.dbid = (select d.oid from pg_catalog.pg_database d where d.datname = current_database()) and s.mean_exec_time > $1
     order by s.mean_exec_time desc
     limit 100', v_schema)
  using p_milliseconds;
exception when object_not_in_prerequisite_state then
  return; -- the extension is there, the library is not loaded
end;
$$;
comment on function private.slow_statements(integer) is
  'Statements that take longer than that on average, slowest first, at most 100; nothing where pg_stat_statements is not installed.';

create function private.performance_problems() returns table (kind text, subject text, message text, details jsonb)
language sql stable security definer set search_path = ''
begin atomic
  with slow as (
    select count(*) as statements, max(s.mean_ms) as slowest, jsonb_agg(to_jsonb(s)) as list
    from private.slow_statements(private.setting_integer('slow_statement_ms')) s
  ),
  tables as (
    -- What a table is divided into counts as one table.
    select c.oid::regclass::text as name, sum(pg_catalog.pg_total_relation_size(coalesce(t.relid, c.oid))) as bytes
    from pg_catalog.pg_class c
    left join lateral pg_catalog.pg_partition_tree(c.oid) t on c.relkind = 'p'
    where c.relnamespace = any (array['public', 'private']::regnamespace[]) and c.relkind in ('r', 'p', 'm') and not c.relispartition
    group by c.oid
  )
  select 'slow_statements', '', format('%s statements take more than %s ms on average, the slowest %s ms',
      s.statements, private.setting_integer('slow_statement_ms'), s.slowest), jsonb_build_object('statements', s.list)
  from slow s
  where s.statements > private.setting_integer('slow_statement_count')
  union all
  select 'large_table', t.name, format('%s takes %s', t.name, pg_catalog.pg_size_pretty(t.bytes)), jsonb_build_object('bytes', t.bytes)
  from tables t
  where t.bytes > private.setting_integer('large_table_megabytes') * 1048576::numeric;
end;
comment on function private.performance_problems() is 'Too many slow statements, and tables that are too large.';

create function private.report_performance() returns table (kind text, subject text, message text, details jsonb)
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_alert_id bigint;
  v_open bigint[] := '{}';
begin
  for kind, subject, message, details in select p.* from private.performance_problems() p order by p.kind, p.subject loop
    v_alert_id := private.raise_alert(kind, subject, 'warning', message, details);
    if exists (select from public.alerts a where a.id = v_alert_id and a.times = 1) then
      perform pg_catalog.pg_notify('performance_alert', v_alert_id::text);
    end if;
    v_open := v_open || v_alert_id;
    return next;
  end loop;
  perform private.clear_alert(a.kind, a.subject)
  from public.alerts a
  where a.kind in ('slow_statements', 'large_table') and a.resolved_at is null and a.id <> all(v_open);
end;
$$;
comment on function private.report_performance() is
  'Raises an alert for every performance problem, announces new ones on the channel performance_alert, and resolves alerts of those that are gone.';

create function private.check_performance() returns integer
language sql volatile security definer set search_path = ''
begin atomic
  select count(*)::integer from private.report_performance();
end;
comment on function private.check_performance() is 'Job: looks for performance problems and keeps their alerts; returns how many there are.';

create function private.measure_performance() returns table (kind text, subject text, message text, details jsonb)
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('read:diagnostics');
  return query select r.kind, r.subject, r.message, r.details from private.report_performance() r;
end;
$$;
comment on function private.measure_performance() is 'Looks for performance problems, for a holder of read:diagnostics.';
