-- There may be hundreds of thousands of them, so nothing is asked for each: neither the zone nor anybody's name.
create function private.check_work_outside_stated_hours() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = '' set work_mem = '64MB'
begin atomic
  with coming as materialized (
    select r.id, r.name, c.source_table, c.source_id, c.occurs_on, c.title, c.during
    from public.resources r
    join public.claims c on c.resource_id = r.id and upper(c.during) > private.now()
    where exists (select from public.availability_rules a where a.resource_id = r.id)
      and private.setting_text('availability_policy') <> 'ignore'
  ),
  hours as materialized (
    select h.resource_id, h.stated, h.hours
    from private.hours_of(
      array(select distinct c.id from coming c), (select tstzrange(min(lower(c.during)), max(upper(c.during))) from coming c)
    ) h
  ),
  missed as materialized (
    select c.id, c.name, c.source_table, c.source_id, c.occurs_on, c.title, c.during, o.outside
    from coming c
    join hours h on h.resource_id = c.id
    cross join lateral (
      -- Subtracting a year of hours takes as long as all the rest together: only where there is something to subtract.
      select case when h.hours && c.during then tstzmultirange(c.during) * h.stated - h.hours else tstzmultirange(c.during) * h.stated end as outside
      offset 0
    ) o
    where not h.hours @> c.during and not isempty(o.outside)
  ),
  told as (
    select m.*, lower(m.during) at time zone z.zone as starts, upper(m.during) at time zone z.zone as ends, z.zone
    from missed m
    cross join (select private.setting_text('organisation_time_zone') as zone offset 0) z
  )
  select t.source_table, concat_ws(' ', t.source_table, t.source_id, t.occurs_on, t.id),
    -- As private.describe_claim() says it.
    format('Outside the hours stated: %s in %s, %s–%s %s', t.name, t.title, to_char(t.starts, 'YYYY-MM-DD HH24:MI'),
      case when t.starts::date = t.ends::date then to_char(t.ends, 'HH24:MI')
        when t.ends = t.starts::date + 1 then '24:00'
        else to_char(t.ends, 'YYYY-MM-DD HH24:MI') end, t.zone),
    jsonb_build_object('resource_id', t.id, 'occurs_on', t.occurs_on, 'starts_at', lower(t.during), 'ends_at', upper(t.during),
      'outside', (
        select jsonb_agg(jsonb_build_object('starts_at', lower(o.outside), 'ends_at', upper(o.outside))) from unnest(t.outside) as o(outside)
      ))
  from told t;
end;
comment on function private.check_work_outside_stated_hours() is 'Coming uses of people and places outside the hours they stated.';
