create function private.check_foreign_keys_unindexed() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_constraint', format('%I on %s', k.conname, k.conrelid::regclass),
    format('No index of %s begins with %s: deleting what it refers to looks at every row', k.conrelid::regclass, string_agg(a.attname, ', ' order by u.position)),
    jsonb_build_object('table', k.conrelid::regclass::text, 'refers_to', k.confrelid::regclass::text,
      'mend', format('create index on %s (%s)', k.conrelid::regclass, string_agg(quote_ident(a.attname), ', ' order by u.position)))
  from pg_catalog.pg_constraint k
  cross join lateral unnest(k.conkey) with ordinality as u(attnum, position)
  join pg_catalog.pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.attnum
  where k.connamespace in ('public'::regnamespace, 'private'::regnamespace) and k.contype = 'f' and k.conparentid = 0
    and not exists (
      select
      from pg_catalog.pg_index i
      where i.indrelid = k.conrelid and i.indisvalid
        and (select array_agg(c order by c) from unnest((i.indkey::smallint[])[0:cardinality(k.conkey) - 1]) c)
          = (select array_agg(c order by c) from unnest(k.conkey) c)
        -- A partial index serves when it only leaves out the rows that refer to nothing.
        and (i.indpred is null or pg_catalog.pg_get_expr(i.indpred, i.indrelid) ~ '^\(\w+ IS NOT NULL\)$')
    )
  group by k.oid, k.conname, k.conrelid, k.confrelid;
end;
comment on function private.check_foreign_keys_unindexed() is 'Foreign keys whose columns lead no valid index.';
