create function public.consistency_score() returns table (module text, looked_at bigint, faulty bigint, score numeric)
language plpgsql stable set search_path = ''
as $$
begin
  perform private.require_permission('read:diagnostics');
  return query
    with latest as (
      select distinct on (r.check_name) r.id, r.found, r.looked_at, c.module, c.looks_at, c.name
      from public.check_results r
      join public.integrity_checks c on c.name = r.check_name
      where r.failure is null and r.looked_at is not null
      order by r.check_name, r.id desc
    ),
    kept as (
      select l.module, l.looks_at, count(distinct f.entity_id) as faulty
      from latest l
      join public.findings f on f.check_name = l.name and f.resolved_at is null and f.entity <> 'integrity_checks'
      group by l.module, l.looks_at
    ),
    tables as (
      select l.module, l.looks_at, (array_agg(l.looked_at order by l.id desc))[1] as looked_at,
        -- What one check found is more than was kept of it where that was too much to keep.
        least((array_agg(l.looked_at order by l.id desc))[1], greatest(max(l.found), max(k.faulty))) as faulty
      from latest l
      left join kept k on k.module = l.module and k.looks_at = l.looks_at
      group by l.module, l.looks_at
    )
    select t.module, sum(t.looked_at)::bigint, sum(t.faulty)::bigint,
      coalesce(trunc(1 - sum(t.faulty) / nullif(sum(t.looked_at), 0), 4), 1)
    from tables t
    group by grouping sets ((t.module), ())
    order by t.module nulls last;
end;
$$;
comment on function public.consistency_score() is
  'The share of checked rows about which diagnosis found nothing when it last ran, from 0 to 1 and never rounded up: a row a module, and one for all (module null). Rows are those of the tables the checks look at. Needs read:diagnostics.';
