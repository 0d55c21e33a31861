create function private.calendar_rows(p_from timestamptz, p_to timestamptz, p_resource_ids uuid[], p_kinds text[])
returns table (
  source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz, resource_ids uuid[], resource_names text[], resource_kinds text[]
)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_generic_plan set work_mem = '32MB'
as $$
declare
  v_sees_all boolean := private.has_permission('read:calendar');
  v_self uuid := private.current_profile_id();
  v_asks_all boolean := v_sees_all and p_resource_ids is null;
  -- Everybody is a list too: without one the index of the constraint would not be used.
  v_resource_ids uuid[] := array_remove(coalesce(p_resource_ids, array(select r.id from public.resources r)), null);
begin
  if not v_sees_all then
    if p_resource_ids is not null and p_resource_ids <> array[v_self] then
      perform private.fail('forbidden', 'Only your own calendar is yours to read', 'p_resource_ids',
        p_hint => 'busy_times() tells when somebody is busy, without saying with what.');
    end if;
    v_resource_ids := array_remove(array[v_self], null);
  end if;
  perform private.check_span(p_from, p_to, interval '400 days', 'p_from', 'p_to');
  -- The claims of those asked about are read once; who else takes part is looked up a happening at a time, all its dates
  -- together, from the key alone (claims of one date differ in nothing else that is shown), and not at all when everybody
  -- is asked about. One sort puts dates together and people in order for three arrays. Columns of fixed width stand first
  -- in what is sorted, since whatever stands behind a text is much slower to compare. A busy month outgrows the usual
  -- work_mem; one plan serves all, since making another takes longer than reading one person's week.
  return query
    with claimed as materialized (
      select c.source_id, c.occurs_on, c.resource_id, lower(c.during) as starts_at, upper(c.during) as ends_at,
        c.source_table, c.kind, c.title
      from public.claims c
      where c.during && tstzrange(p_from, p_to)
        and c.resource_id = any(v_resource_ids)
        and (p_kinds is null or c.kind = any(p_kinds))
    ),
    called as materialized (
      select r.id, row_number() over (order by r.kind, r.name, r.id) as place, r.id = any(v_resource_ids) as is_asked, r.kind, r.name
      from public.resources r
    ),
    happenings as materialized (
      select c.source_id, min(c.occurs_on) as first_on, max(c.occurs_on) as last_on, c.source_table
      from claimed c
      where not v_asks_all
      group by c.source_id, c.source_table
    ),
    taking_part as (
      select c.source_id, c.occurs_on, r.place, c.starts_at, c.ends_at, r.id as resource_id, c.source_table, c.kind, c.title,
        r.kind as resource_kind, r.name as resource_name
      from claimed c
      join called r on r.id = c.resource_id
      union all
      select h.source_id, o.occurs_on, r.place, null, null, r.id, h.source_table, null, null, r.kind, r.name
      from happenings h
      -- Offset 0 keeps it a look-up, whatever the planner believes of three columns together.
      cross join lateral (
        select c.occurs_on, c.resource_id
        from public.claims c
        where c.source_id = h.source_id and c.source_table = h.source_table and c.occurs_on between h.first_on and h.last_on
        offset 0
      ) o
      join called r on r.id = o.resource_id and not r.is_asked
      order by source_id, occurs_on, source_table, place
    )
    select x.source_table, x.source_id, x.occurs_on, x.kind, x.title, x.starts_at, x.ends_at, x.resource_ids, x.resource_names, x.resource_kinds
    from (
      select min(t.starts_at) as starts_at, max(t.ends_at) as ends_at, t.source_id, t.occurs_on, min(t.title) as title,
        t.source_table, min(t.kind) as kind, array_agg(t.resource_id) as resource_ids,
        array_agg(t.resource_name) as resource_names, array_agg(t.resource_kind) as resource_kinds
      from taking_part t
      group by t.source_id, t.occurs_on, t.source_table
      -- Not the dates in between in which nobody asked about takes part, or which lie outside the range.
      having min(t.starts_at) is not null
      union all
      -- A meeting nobody and nowhere is named for claims nothing, and happens all the same.
      select m.starts_at, m.ends_at, m.id, m.date, m.title, 'meetings', m.kind, '{}', '{}', '{}'
      from public.meetings m
      where v_asks_all and m.status = 'scheduled'
        and m.starts_at > p_from - interval '800 hours' and m.starts_at < p_to and m.ends_at > p_from
        and (p_kinds is null or m.kind = any(p_kinds))
        and not exists (select from public.meeting_participants p where p.meeting_id = m.id)
      order by 1, 2, 5, 3
    ) x;
end;
$$;
comment on function private.calendar_rows(timestamptz, timestamptz, uuid[], text[]) is
  'What happens in a range; callers without read:calendar get what they take part in.';

create function public.calendar(
  p_from timestamptz,
  p_to timestamptz,
  p_resource_ids uuid[] default null,
  p_kinds text[] default null
) returns table (
  source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz, resource_ids uuid[], resource_names text[], resource_kinds text[]
)
language sql stable set search_path = '' set work_mem = '32MB'
begin atomic
  select * from private.calendar_rows(p_from, p_to, p_resource_ids, p_kinds);
end;
comment on function public.calendar(timestamptz, timestamptz, uuid[], text[]) is
  'Everything that happens from p_from until p_to (excluded; at most 400 days), one row an occurrence in order of time, cancelled dates left out; of the given resources and kinds, or of all. Instants carry their offset. Callers without read:calendar see what they take part in themselves.';
