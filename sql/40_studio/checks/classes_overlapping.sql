-- From the classes themselves, so that it finds what the ledger was never told. Whoever begins before somebody who began
-- earlier has ended is looked at more closely: that is one pass in order of time, and few are left after it.
create function private.check_classes_overlapping() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  with taken as (
    select c.resource_id, c.source_id, c.during, c.title, c.occurs_on,
      max(upper(c.during)) over (
        partition by c.resource_id order by lower(c.during), c.source_id rows between unbounded preceding and 1 preceding
      ) > lower(c.during) as begins_too_early
    from private.class_assignments_claims c
  ),
  pairs as (
    select l.resource_id, e.source_id as first_id, l.source_id as second_id, e.title, e.occurs_on, e.during as first_during, l.during as second_during
    from taken l
    join taken e on e.resource_id = l.resource_id and e.source_id <> l.source_id and e.during && l.during
      and (lower(e.during), e.source_id) < (lower(l.during), l.source_id)
    where l.begins_too_early
  )
  select 'class_assignments', p.second_id::text,
    format('%s is in two classes at once, %s', r.name, private.describe_range(p.first_during * p.second_during)),
    jsonb_build_object('resource_id', p.resource_id, 'with_id', p.first_id,
      'starts_at', lower(p.first_during * p.second_during), 'ends_at', upper(p.first_during * p.second_during))
  from pairs p
  join public.resources r on r.id = p.resource_id
  where not exists (
    select
    from public.override_members m
    join public.override_members o on o.override_id = m.override_id and o.source_id = p.second_id and o.source_table = 'class_assignments'
    join public.overrides g on g.id = m.override_id
    where m.source_id = p.first_id and m.source_table = 'class_assignments'
      and lower(p.first_during * p.second_during) < coalesce(least(g.expires_at, g.revoked_at), 'infinity')
  );
end;
comment on function private.check_classes_overlapping() is
  'Finds classes that take one instructor or one room at once, as a restore or a dropped constraint may leave them. A person decides which of the two moves.';
