create function private.check_definers_without_search_path() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'pg_proc', f.oid::regprocedure::text, format('%s runs with its owner''s rights and does not fix its search_path', f.oid::regprocedure),
    jsonb_build_object('mend', format('alter function %s set search_path = %L', f.oid::regprocedure, ''))
  from pg_catalog.pg_proc f
  where f.prosecdef and f.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
    and not exists (select from unnest(f.proconfig) c where c like 'search_path=%')
    and not exists (
      select from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = f.oid and d.deptype = 'e'
    );
end;
comment on function private.check_definers_without_search_path() is 'Security definer functions whose search_path the caller chooses.';
