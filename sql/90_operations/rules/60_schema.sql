-- The schema as rows. Definitions are written with an empty search_path, so that they say the same to everybody. What
-- belongs to an extension or to a partition is not listed: extensions bring theirs, partitions follow their table.

create function private.schema_objects(p_kinds text[] default null) returns table (kind text, name text, relation text, definition text, statement text, removal text)
-- How constants in them are written depends on the session.
language sql stable set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'iso_8601' set bytea_output = 'hex'
set extra_float_digits = 1 set quote_all_identifiers = off
begin atomic
  with ours as (
    select n.oid from pg_catalog.pg_namespace n where n.nspname in ('public', 'private')
  ),
  relations as (
    select c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relacl, c.reloptions, format('%I.%I', n.nspname, c.relname) as name
    from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relnamespace in (select o.oid from ours o) and c.relkind in ('r', 'p', 'v', 'm', 'S') and not c.relispartition
      and not exists (
        select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
      )
  ),
  functions as (
    select f.oid, f.proowner, f.proacl, f.prosecdef, format('%I.%I(%s)', n.nspname, f.proname, pg_catalog.pg_get_function_identity_arguments(f.oid)) as name
    from pg_catalog.pg_proc f
    join pg_catalog.pg_namespace n on n.oid = f.pronamespace
    where f.pronamespace in (select o.oid from ours o) and f.prokind in ('f', 'p')
      and not exists (
        select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
      )
  ),
  grants as (
    select 'table' as what, r.name, r.name as relation, r.relowner as owner, a.grantee, a.privilege_type as privilege, null::text as column_name
    from relations r cross join lateral pg_catalog.aclexplode(r.relacl) a
    union all
    select 'table', r.name, r.name, r.relowner, a.grantee, a.privilege_type, quote_ident(c.attname)
    from relations r
    join pg_catalog.pg_attribute c on c.attrelid = r.oid and c.attnum > 0 and not c.attisdropped
    cross join lateral pg_catalog.aclexplode(c.attacl) a
    union all
    select 'function', f.name, null, f.proowner, a.grantee, a.privilege_type, null
    from functions f cross join lateral pg_catalog.aclexplode(coalesce(f.proacl, pg_catalog.acldefault('f', f.proowner))) a
    union all
    select 'schema', quote_ident(n.nspname), null, n.nspowner, a.grantee, a.privilege_type, null
    from pg_catalog.pg_namespace n cross join lateral pg_catalog.aclexplode(n.nspacl) a
    where n.oid in (select o.oid from ours o)
  )
  select 'table', r.name, r.name, r.relkind::text, null, null from relations r where r.relkind in ('r', 'p') and (p_kinds is null or 'table' = any(p_kinds))
  union all
  select 'row_security', r.name, r.name, concat(r.relrowsecurity, r.relforcerowsecurity),
    format('alter table %s %s row level security', r.name, case when r.relrowsecurity then 'enable' else 'disable' end), null
  from relations r
  where r.relkind in ('r', 'p') and (p_kinds is null or 'row_security' = any(p_kinds))
  union all
  select 'column', format('%s.%I', r.name, a.attname), r.name,
    concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod), nullif(a.attgenerated, ''), nullif(a.attidentity, ''),
      case when a.attgenerated <> '' then pg_catalog.pg_get_expr(e.adbin, e.adrelid) end), null, null
  from relations r
  join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  left join pg_catalog.pg_attrdef e on e.adrelid = a.attrelid and e.adnum = a.attnum
  where r.relkind in ('r', 'p') and (p_kinds is null or 'column' = any(p_kinds))
  union all
  select 'default', format('%s.%I', r.name, a.attname), r.name, pg_catalog.pg_get_expr(e.adbin, e.adrelid),
    format('alter table %s alter column %I set default %s', r.name, a.attname, pg_catalog.pg_get_expr(e.adbin, e.adrelid)), null
  from relations r
  join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  join pg_catalog.pg_attrdef e on e.adrelid = a.attrelid and e.adnum = a.attnum
  where r.relkind in ('r', 'p') and (p_kinds is null or 'default' = any(p_kinds))
  union all
  select 'not_null', format('%s.%I', r.name, a.attname), r.name, null, format('alter table %s alter column %I set not null', r.name, a.attname), null
  from relations r
  join pg_catalog.pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped and a.attnotnull
  where r.relkind in ('r', 'p') and (p_kinds is null or 'not_null' = any(p_kinds))
  union all
  select 'constraint', format('%I on %s', k.conname, r.name), r.name,
    regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', ''),
    format('alter table %s add constraint %I %s', r.name, k.conname, regexp_replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID$', '')),
    format('alter table %s drop constraint %I', r.name, k.conname)
  from relations r
  join pg_catalog.pg_constraint k on k.conrelid = r.oid and k.contype in ('c', 'u', 'p', 'f', 'x') and k.conparentid = 0
  where (p_kinds is null or 'constraint' = any(p_kinds))
  union all
  select 'constraint_state', format('%I on %s', k.conname, r.name), r.name, case when k.convalidated then 'valid' else 'not valid' end,
    format('alter table %s validate constraint %I', r.name, k.conname), null
  from relations r
  join pg_catalog.pg_constraint k on k.conrelid = r.oid and k.contype in ('c', 'f') and k.conparentid = 0
  where (p_kinds is null or 'constraint_state' = any(p_kinds))
  union all
  select 'index', format('%I on %s', i.relname, r.name), r.name, pg_catalog.pg_get_indexdef(x.indexrelid), pg_catalog.pg_get_indexdef(x.indexrelid),
    format('drop index %I.%I', n.nspname, i.relname)
  from relations r
  join pg_catalog.pg_index x on x.indrelid = r.oid
  join pg_catalog.pg_class i on i.oid = x.indexrelid
  join pg_catalog.pg_namespace n on n.oid = i.relnamespace
  where not exists (select from pg_catalog.pg_constraint k where k.conindid = x.indexrelid and k.contype in ('p', 'u', 'x')) and (p_kinds is null or 'index' = any(p_kinds))
  union all
  select 'index_state', format('%I on %s', i.relname, r.name), r.name, case when x.indisvalid and x.indisready then 'valid' else 'not valid' end,
    format('reindex index %I.%I', n.nspname, i.relname), null
  from relations r
  join pg_catalog.pg_index x on x.indrelid = r.oid
  join pg_catalog.pg_class i on i.oid = x.indexrelid
  join pg_catalog.pg_namespace n on n.oid = i.relnamespace
  where (p_kinds is null or 'index_state' = any(p_kinds))
  union all
  select 'trigger', format('%I on %I.%I', t.tgname, n.nspname, c.relname), format('%I.%I', n.nspname, c.relname), pg_catalog.pg_get_triggerdef(t.oid),
    pg_catalog.pg_get_triggerdef(t.oid), format('drop trigger %I on %I.%I', t.tgname, n.nspname, c.relname)
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join functions f on f.oid = t.tgfoid
  where not t.tgisinternal and t.tgparentid = 0 and (p_kinds is null or 'trigger' = any(p_kinds))
  union all
  select 'trigger_state', format('%I on %I.%I', t.tgname, n.nspname, c.relname), format('%I.%I', n.nspname, c.relname), t.tgenabled::text,
    format('alter table %I.%I %s trigger %I', n.nspname, c.relname,
      case t.tgenabled when 'D' then 'disable' when 'A' then 'enable always' when 'R' then 'enable replica' else 'enable' end, t.tgname), null
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join functions f on f.oid = t.tgfoid
  where not t.tgisinternal and t.tgparentid = 0 and (p_kinds is null or 'trigger_state' = any(p_kinds))
  union all
  select 'function', f.name, null, pg_catalog.pg_get_functiondef(f.oid), pg_catalog.pg_get_functiondef(f.oid), null from functions f
  where (p_kinds is null or 'function' = any(p_kinds))
  union all
  select 'view', r.name, r.name, concat_ws(' ', r.reloptions::text, pg_catalog.pg_get_viewdef(r.oid)),
    format('create or replace view %s%s as %s', r.name, ' with (' || array_to_string(r.reloptions, ', ') || ')', pg_catalog.pg_get_viewdef(r.oid)), null
  from relations r
  where r.relkind = 'v' and (p_kinds is null or 'view' = any(p_kinds))
  union all
  select 'statistics', format('%I.%I', n.nspname, s.stxname), r.name, pg_catalog.pg_get_statisticsobjdef(s.oid), pg_catalog.pg_get_statisticsobjdef(s.oid),
    format('drop statistics %I.%I', n.nspname, s.stxname)
  from pg_catalog.pg_statistic_ext s
  join relations r on r.oid = s.stxrelid
  join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
  where (p_kinds is null or 'statistics' = any(p_kinds))
  union all
  select 'policy', format('%I on %s', p.polname, r.name), r.name, d.definition, format('create policy %I on %s %s', p.polname, r.name, d.definition),
    format('drop policy %I on %s', p.polname, r.name)
  from relations r
  join pg_catalog.pg_policy p on p.polrelid = r.oid
  cross join lateral (
    select concat_ws(' ', 'as', case when p.polpermissive then 'permissive' else 'restrictive' end, 'for',
      case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
      'to', (select string_agg(case u.role when 0 then 'public' else quote_ident(pg_catalog.pg_get_userbyid(u.role)) end, ', ' order by u.role::text) from unnest(p.polroles) as u(role)),
      'using (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')', 'with check (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')') as definition
  ) d
  where (p_kinds is null or 'policy' = any(p_kinds))
  union all
  select distinct 'grant', g.said, g.relation, null, 'grant ' || g.said, format('revoke %s', regexp_replace(g.said, ' to (\S+)$', ' from \1'))
  from (
    select g.relation, format('%s%s on %s %s to %s', lower(g.privilege), ' (' || g.column_name || ')', g.what, g.name,
      case g.grantee when 0 then 'public' else quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) end) as said
    from grants g
    where g.grantee <> g.owner and (g.grantee = 0 or pg_catalog.pg_get_userbyid(g.grantee) in ('anon', 'authenticated', 'service_role'))
  ) g
  where (p_kinds is null or 'grant' = any(p_kinds))
  union all
  select 'row', w.relation || ' ' || w.name, w.relation, null,
    format('insert into %s (%s) select %s from jsonb_populate_record(null::%s, %L) on conflict do nothing', w.relation, k.columns, k.columns, w.relation, w.said - k.instants), null
  from (
    select 'public.scheduled_jobs' as relation, j.name, to_jsonb(j) as said from public.scheduled_jobs j
    union all
    select 'public.integrity_checks', c.name, to_jsonb(c) from public.integrity_checks c
    union all
    select 'public.permissions', p.name, to_jsonb(p) from public.permissions p
    union all
    select 'public.settings', s.key, to_jsonb(s) - 'value' - 'version' from public.settings s
  ) w
  cross join lateral (
    -- Not when it ran or was changed last: that would differ between two databases that were made alike.
    select string_agg(format('%I', a.attname), ', ' order by a.attnum) filter (where a.atttypid <> 'timestamptz'::regtype) as columns,
      coalesce(array_agg(a.attname::text) filter (where a.atttypid = 'timestamptz'::regtype), '{}') as instants
    from pg_catalog.pg_attribute a
    where a.attrelid = w.relation::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' and w.said ? a.attname
  ) k
  where (p_kinds is null or 'row' = any(p_kinds));
end;
comment on function private.schema_objects(text[]) is
  'What the schema consists of, of these kinds or all: each thing with what it says and the SQL that makes it, or, where it differs, first takes it away.';

create function private.record_schema() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  delete from private.shipped_objects;
  insert into private.shipped_objects (kind, name, relation, definition, statement, removal)
  select o.kind, o.name, o.relation, nullif(o.definition, o.statement), o.statement, o.removal from private.schema_objects() o
  -- Another version of the server writes some definitions in other words.
  union all
  select 'server', 'major version', null, (current_setting('server_version_num')::integer / 10000)::text, null, null;
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.record_schema() is
  'Records the schema as it is, for diagnosis to compare with. Run it after changes of your own, such as tables you add; migrations do.';

create function private.schema_differences(p_kinds text[] default null) returns table (difference text, kind text, name text, relation text, mend text)
-- Nobody analyzes what functions return: thousands of rows would be compared with thousands, one by one.
language plpgsql stable security definer set search_path = '' set enable_nestloop = off
as $$
begin
  return query
    with there as materialized (
      select o.kind, o.name, o.relation, coalesce(o.definition, o.statement) as definition, o.removal from private.schema_objects(p_kinds) o
    ),
    recorded as materialized (
      select s.kind, s.name, s.relation, coalesce(s.definition, s.statement) as definition, s.statement, s.removal
      from private.shipped_objects s
      where s.kind <> 'server' and (p_kinds is null or s.kind = any(p_kinds))
    ),
    server as (
      select s.definition = (current_setting('server_version_num')::integer / 10000)::text as is_same
      from private.shipped_objects s where s.kind = 'server'
    ),
    columns as (
      select a.attrelid, quote_ident(a.attname) as name from pg_catalog.pg_attribute a where a.attnum > 0 and not a.attisdropped
    )
    select 'missing', r.kind, r.name, r.relation, r.statement
    from recorded r
    cross join server
    left join there t on t.kind = r.kind and t.name = r.name
    where t.kind is null
      -- What goes with something that is gone needs no word of its own.
      and r.kind not in ('trigger_state', 'constraint_state', 'index_state', 'row_security')
      and (r.kind in ('table', 'view') or r.relation is null or to_regclass(r.relation) is not null)
      and (r.kind not in ('default', 'not_null') or exists (
        select from columns c where c.attrelid = to_regclass(r.relation) and c.name = substr(r.name, length(r.relation) + 2)
      ))
    union all
    select 'changed', r.kind, r.name, r.relation, concat_ws('; ', r.removal, r.statement)
    from recorded r
    join server v on v.is_same
    join there t on t.kind = r.kind and t.name = r.name
    where t.definition is distinct from r.definition and r.kind not in ('grant', 'row', 'not_null')
    union all
    select 'unexpected', t.kind, t.name, t.relation, t.removal
    from there t
    cross join server
    left join recorded r on r.kind = t.kind and r.name = t.name
    where t.kind in ('policy', 'grant') and r.kind is null
      -- What somebody added is theirs, with all its grants and policies.
      and case when t.relation is not null then exists (select from private.shipped_objects s where s.kind in ('table', 'view') and s.name = t.relation)
        else t.name ~ ' on schema ' or exists (
          select from private.shipped_objects s where s.kind = 'function' and strpos(t.name, ' on function ' || s.name || ' to ') > 0
        ) end;
end;
$$;
comment on function private.schema_differences(text[]) is
  'In what the schema differs from what was recorded, of these kinds or all: missing, changed, or, for grants and policies on what was recorded, unexpected; with the SQL that mends it, where there is any.';
