create function private.check_work_during_closures() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable set search_path = ''
begin atomic
  select 'public.' || u.source_table, u.source_id::text,
    format('%s is in %s, %s, although closed for %s', r.name, u.title, private.describe_range(u.during), c.name),
    jsonb_build_object('resource_id', r.id, 'occurs_on', u.occurs_on, 'starts_at', lower(u.during), 'ends_at', upper(u.during),
      'closure_id', c.id)
  from public.closures c
  left join public.resources p on p.location_id = c.location_id
  join public.claims u on u.during && c.during and (c.location_id is null or u.resource_id = p.id)
  join public.resources r on r.id = u.resource_id
  where upper(c.during) > private.now() and upper(u.during) > private.now()
    and private.setting_text('availability_policy') <> 'ignore'
  order by lower(u.during), r.name;
end;
comment on function private.check_work_during_closures() is 'Coming uses during closures of the place or of everything.';
