create function private.check_resources_overlapping() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'resources', a.resource_id::text,
    format('%s is in two places: %s and %s, %s', r.name, a.title, b.title, private.describe_range(a.during * b.during)),
    jsonb_build_object(
      'starts_at', lower(a.during * b.during), 'ends_at', upper(a.during * b.during),
      'happenings', jsonb_build_array(
        jsonb_build_object('source_table', a.source_table, 'source_id', a.source_id, 'occurs_on', a.occurs_on, 'title', a.title),
        jsonb_build_object('source_table', b.source_table, 'source_id', b.source_id, 'occurs_on', b.occurs_on, 'title', b.title)
      )
    )
  from public.claims a
  join public.claims b on b.resource_id = a.resource_id and b.during && a.during and b.share_key <> a.share_key
    and (a.source_table, a.source_id, a.occurs_on) < (b.source_table, b.source_id, b.occurs_on)
  join public.resources r on r.id = a.resource_id;
end;
comment on function private.check_resources_overlapping() is
  'Finds who or what is in two places, which is possible only where a constraint was dropped or data restored around it. A person decides which of the two moves.';
