-- What the ledger should say against what it says: the question behind most checks of this module.

create function private.ledger_difference(p_source_tables text[] default null) returns table (
  problem text, resource_id uuid, during tstzrange, source_table text, source_id uuid, occurs_on date, title text
)
-- With less memory both sides would be sorted on disk.
language plpgsql stable security definer set search_path = '' set work_mem = '64MB'
as $$
begin
  return query execute (
    select string_agg(format($sql$
      (
        with wanted as (
          select w.resource_id, w.during,
            case when lower(w.during) < coalesce(least(o.expires_at, o.revoked_at), 'infinity') and o.id is not null
              then o.id else md5(%1$L || w.source_id::text || (w.occurs_on - date '1970-01-01'))::uuid end as share_key,
            w.source_id, w.occurs_on, w.kind, w.title
          from private.%2$I w
          left join public.override_members m on m.source_id = w.source_id and m.source_table = %1$L
          left join public.overrides o on o.id = m.override_id
        ), present as (
          select c.resource_id, c.during, c.share_key, c.source_id, c.occurs_on, c.kind, c.title
          from public.claims c
          where c.source_table = %1$L
        ), missing as (
          select * from wanted except select * from present
        ), unexpected as (
          select * from present except select * from wanted
        )
        select case when s.id is null then 'orphaned' when m.source_id is not null then 'differs' else 'unexpected' end,
          u.resource_id, u.during, %1$L, u.source_id, u.occurs_on, u.title
        from unexpected u
        left join missing m using (resource_id, source_id, occurs_on)
        left join public.%1$I s on s.id = u.source_id
        union all
        select 'missing', m.resource_id, m.during, %1$L, m.source_id, m.occurs_on, m.title
        from missing m
        left join unexpected u using (resource_id, source_id, occurs_on)
        where u.source_id is null
      )
      $sql$, s.source_table, s.source_table || '_claims'), ' union all ')
      || $sql$
      union all
      select 'orphaned', c.resource_id, c.during, c.source_table, c.source_id, c.occurs_on, c.title
      from public.claims c
      where c.source_table not in (select s.source_table from private.claim_sources() s) and $1 is null
      $sql$
    from private.claim_sources() s
    where p_source_tables is null or s.source_table = any(p_source_tables)
  ) using p_source_tables;
end;
$$;
comment on function private.ledger_difference(text[]) is
  'Every claim that is missing, unexpected, different from what its source says, or orphaned because its source is gone; of these source tables, or of all.';

create function private.sources_but_rules() returns text[]
language sql stable set search_path = ''
return (select array_agg(s.source_table) from private.claim_sources() s where s.source_table <> 'weekly_rules');
comment on function private.sources_but_rules() is 'The tables of which each row claims its own time, without the weekly rules, whose dates are looked at by themselves.';

create function private.orphaned_claims() returns setof public.claims
language plpgsql stable security definer set search_path = ''
as $$
begin
  return query execute (
    select string_agg(format(
      'select c.* from public.claims c where c.source_table = %1$L and not exists (select from public.%1$I s where s.id = c.source_id)', s.source_table
    ), ' union all ')
      || ' union all select c.* from public.claims c where c.source_table not in (select s.source_table from private.claim_sources() s)'
    from private.claim_sources() s
  );
end;
$$;
comment on function private.orphaned_claims() is 'Claims whose source row, or whose source table, is gone.';

create function private.describe_claim(p_resource_id uuid, p_title text, p_during tstzrange) returns text
language sql stable security definer set search_path = ''
return (
  select format('%s in %s, %s', coalesce(max(r.name), p_resource_id::text), p_title, private.describe_range(p_during))
  from public.resources r
  where r.id = p_resource_id
);
comment on function private.describe_claim(uuid, text, tstzrange) is 'A claim as people read it: who, in what, when.';

create function private.rebuild_ledger(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into private.ledger_rebuilds (source_table, source_ids)
  select d.source_table, array_agg(distinct d.source_id)
  from private.ledger_difference() d
  where p_entity_ids is null or d.source_table || ' ' || d.source_id = any(p_entity_ids)
  group by d.source_table
  order by d.source_table;
  return (select count(*) from unnest(p_entity_ids));
end;
$$;
comment on function private.rebuild_ledger(text[]) is
  'Derives the claims of happenings ("table id") again, or of all that differ when given null; what does not fit stays a finding.';
