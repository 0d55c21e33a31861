create function private.check_ledger_guards_missing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'pg_constraint', 'nobody_is_in_two_places',
    'The constraint that keeps everybody in one place is missing, not valid, or not enforced by its index', '{}'::jsonb
  where not exists (
    select
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_index i on i.indexrelid = c.conindid
    where c.conname = 'nobody_is_in_two_places' and c.conrelid = 'public.claims'::regclass and c.contype = 'x'
      and c.convalidated and not c.condeferrable and i.indisvalid and i.indisready
  )
  union all
  select 'pg_trigger', s.source_table || ' ' || e.event,
    format('Claims do not follow %s: its trigger for %s is missing or disabled', s.source_table, e.event),
    jsonb_build_object('table', s.source_table, 'event', e.event)
  from private.claim_sources() s
  cross join (values ('insert', 4), ('update', 16), ('delete', 8), ('truncate', 32)) as e(event, bit)
  where not exists (
    select
    from pg_catalog.pg_trigger t
    join pg_catalog.pg_proc p on p.oid = t.tgfoid
    where t.tgrelid = to_regclass('public.' || quote_ident(s.source_table)) and t.tgenabled in ('O', 'A')
      and t.tgtype & e.bit <> 0 and p.proname in ('follow_source', 'follow_weekly_rule', 'refuse_truncate')
  )
  union all
  select 'pg_trigger', t.tgrelid::regclass || ' ' || t.tgname,
    format('The trigger %s on %s is disabled', t.tgname, t.tgrelid::regclass),
    jsonb_build_object('table', t.tgrelid::regclass::text, 'trigger', t.tgname)
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('public', 'private') and not t.tgisinternal and t.tgenabled not in ('O', 'A');
end;
comment on function private.check_ledger_guards_missing() is
  'Finds what should keep the promise and does not: the exclusion constraint, the triggers that derive claims, any disabled trigger.';
