create function private.check_work_during_closures() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select u.source_table, concat_ws(' ', u.source_table, u.source_id, u.occurs_on, u.resource_id, c.id),
    format('Although closed for %s: %s', c.name, private.describe_claim(u.resource_id, u.title, u.during)),
    jsonb_build_object('resource_id', u.resource_id, 'occurs_on', u.occurs_on, 'starts_at', lower(u.during), 'ends_at', upper(u.during),
      'closure_id', c.id)
  from public.closures c
  left join public.resources p on p.location_id = c.location_id
  join public.claims u on u.during && c.during and (c.location_id is null or u.resource_id = p.id)
  where upper(c.during) > private.now() and upper(u.during) > private.now()
    and private.setting_text('availability_policy') <> 'ignore';
end;
comment on function private.check_work_during_closures() is 'Coming uses during closures of the place or of everything.';
