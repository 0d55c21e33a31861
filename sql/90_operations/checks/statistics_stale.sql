-- The server analyzes by itself; where that is off, or has too much to do, queries are planned for tables that are no
-- longer like that.
create function private.check_statistics_stale() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_class', s.relid::regclass::text,
    case when coalesce(s.last_analyze, s.last_autoanalyze) is null then format('%s was never analyzed and has about %s rows', s.relid::regclass, s.n_live_tup)
      else format('About %s of %s rows of %s changed since it was analyzed', s.n_mod_since_analyze, s.n_live_tup, s.relid::regclass) end,
    jsonb_build_object('rows', s.n_live_tup, 'changed', s.n_mod_since_analyze, 'analyzed_at', greatest(s.last_analyze, s.last_autoanalyze),
      'mend', format('analyze %s', s.relid::regclass))
  from pg_catalog.pg_stat_all_tables s
  where s.schemaname in ('public', 'private') and s.n_live_tup > 10000
    and (coalesce(s.last_analyze, s.last_autoanalyze) is null or s.n_mod_since_analyze > s.n_live_tup / 2);
end;
comment on function private.check_statistics_stale() is 'Tables of more than ten thousand rows that were never analyzed, or of which half changed since.';

create function private.fix_statistics_stale(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_table regclass;
begin
  for v_table in select t.t::regclass from unnest(p_entity_ids) as t(t) loop
    execute format('analyze %s', v_table);
  end loop;
  perform pg_catalog.pg_stat_clear_snapshot();
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.fix_statistics_stale(text[]) is 'Analyzes these tables.';
