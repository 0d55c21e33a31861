create function private.check_resources_overlapping() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = '' set work_mem = '64MB'
begin atomic
  -- Whoever begins before somebody who began earlier has ended is looked at more closely: that is one pass in order of
  -- time, and few are left after it. Asking the index about each claim takes many times as long.
  with ordered as (
    select c.resource_id, c.during, c.share_key, c.source_table, c.source_id, c.occurs_on, c.title,
      max(upper(c.during)) over (
        partition by c.resource_id order by lower(c.during), c.source_table, c.source_id, c.occurs_on
        rows between unbounded preceding and 1 preceding
      ) > lower(c.during) as begins_too_early
    from public.claims c
  ),
  late as (
    select o.resource_id, o.during, o.share_key, o.source_table, o.source_id, o.occurs_on, o.title from ordered o where o.begins_too_early
  )
  select 'resources', a.resource_id::text,
    format('%s is in two places: %s and %s, %s', r.name, a.title, b.title, private.describe_range(a.during * b.during)),
    jsonb_build_object(
      'starts_at', lower(a.during * b.during), 'ends_at', upper(a.during * b.during),
      'happenings', jsonb_build_array(
        jsonb_build_object('source_table', a.source_table, 'source_id', a.source_id, 'occurs_on', a.occurs_on, 'title', a.title),
        jsonb_build_object('source_table', b.source_table, 'source_id', b.source_id, 'occurs_on', b.occurs_on, 'title', b.title)
      )
    )
  from late b
  join public.claims a on a.resource_id = b.resource_id and a.during && b.during and a.share_key <> b.share_key
    and (lower(a.during), a.source_table, a.source_id, a.occurs_on) < (lower(b.during), b.source_table, b.source_id, b.occurs_on)
  join public.resources r on r.id = a.resource_id;
end;
comment on function private.check_resources_overlapping() is
  'Finds who or what is in two places, which is possible only where a constraint was dropped or data restored around it. A person decides which of the two moves.';
