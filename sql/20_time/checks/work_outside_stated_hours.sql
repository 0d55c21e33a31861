create function private.check_work_outside_stated_hours() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  with coming as (
    select r.id, c.source_table, c.source_id, c.occurs_on, c.title, c.during
    from public.resources r
    join public.claims c on c.resource_id = r.id and c.during && tstzrange(private.now(), null)
    where exists (select from public.availability_rules a where a.resource_id = r.id)
      and private.setting_text('availability_policy') <> 'ignore'
  ),
  hours as (
    select h.resource_id, h.stated, h.hours
    from private.hours_of(
      array(select distinct c.id from coming c), (select range_merge(range_agg(c.during)) from coming c)
    ) h
  )
  select c.source_table, concat_ws(' ', c.source_table, c.source_id, c.occurs_on, c.id),
    'Outside the hours stated: ' || private.describe_claim(c.id, c.title, c.during),
    jsonb_build_object('resource_id', c.id, 'occurs_on', c.occurs_on, 'starts_at', lower(c.during), 'ends_at', upper(c.during),
      'outside', (
        select jsonb_agg(jsonb_build_object('starts_at', lower(o.outside), 'ends_at', upper(o.outside)))
        from unnest(tstzmultirange(c.during) * h.stated - h.hours) as o(outside)
      ))
  from coming c
  join hours h on h.resource_id = c.id
  where not h.hours @> c.during and not isempty(tstzmultirange(c.during) * h.stated - h.hours);
end;
comment on function private.check_work_outside_stated_hours() is 'Coming uses of people and places outside the hours they stated.';
