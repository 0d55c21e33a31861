create function private.calendar_rows(p_from timestamptz, p_to timestamptz, p_resource_ids uuid[], p_kinds text[])
returns table (
  source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz, resource_ids uuid[], resource_names text[], resource_kinds text[]
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sees_all boolean := private.has_permission('read:calendar');
  v_self uuid := private.current_profile_id();
  -- Everybody is a list too: a plan that is kept for both would not use the index for either.
  v_resource_ids uuid[] := coalesce(p_resource_ids, array(select r.id from public.resources r));
begin
  if not v_sees_all then
    if p_resource_ids is not null and p_resource_ids <> array[v_self] then
      perform private.fail('forbidden', 'Only your own calendar is yours to read', 'p_resource_ids',
        p_hint => 'busy_times() tells when somebody is busy, without saying with what.');
    end if;
    v_resource_ids := array_remove(array[v_self], null);
  end if;
  perform private.check_span(p_from, p_to, interval '400 days', 'p_from', 'p_to');
  -- Looked up date by date (offset 0 keeps it that way, whatever the planner believes of three columns together), then
  -- put in order once instead of once for every array of every date.
  return query
    with found as materialized (
      select distinct c.source_id, c.occurs_on, c.source_table
      from public.claims c
      where c.during && tstzrange(p_from, p_to)
        and c.resource_id = any(v_resource_ids)
        and (p_kinds is null or c.kind = any(p_kinds))
    ),
    called as materialized (
      select r.id, r.name, r.kind, row_number() over (order by r.kind, r.name, r.id) as place
      from public.resources r
    ),
    taking_part as (
      select f.source_table, f.source_id, f.occurs_on, c.kind, c.title, lower(c.during) as starts_at, upper(c.during) as ends_at,
        r.id as resource_id, r.name as resource_name, r.kind as resource_kind
      from found f
      cross join lateral (
        select c.resource_id, c.kind, c.title, c.during
        from public.claims c
        where c.source_id = f.source_id and c.source_table = f.source_table and c.occurs_on = f.occurs_on
        offset 0
      ) c
      join called r on r.id = c.resource_id
      order by starts_at, ends_at, c.title, f.source_id, f.source_table, f.occurs_on, c.kind, r.place
    )
    select t.source_table, t.source_id, t.occurs_on, t.kind, t.title, t.starts_at, t.ends_at,
      array_agg(t.resource_id), array_agg(t.resource_name), array_agg(t.resource_kind)
    from taking_part t
    group by t.starts_at, t.ends_at, t.title, t.source_id, t.source_table, t.occurs_on, t.kind
    union all
    -- A meeting nobody and nowhere is named for claims nothing, and happens all the same.
    select 'meetings', m.id, m.date, m.kind, m.title, m.starts_at, m.ends_at, '{}', '{}', '{}'
    from public.meetings m
    where v_sees_all and p_resource_ids is null and m.status = 'scheduled'
      and m.starts_at > p_from - interval '800 hours' and m.starts_at < p_to and m.ends_at > p_from
      and (p_kinds is null or m.kind = any(p_kinds))
      and not exists (select from public.meeting_participants p where p.meeting_id = m.id)
    order by 6, 7, 5, 2;
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
language sql stable set search_path = ''
begin atomic
  select * from private.calendar_rows(p_from, p_to, p_resource_ids, p_kinds);
end;
comment on function public.calendar(timestamptz, timestamptz, uuid[], text[]) is
  'Everything that happens from p_from until p_to (excluded; at most 400 days), one row an occurrence in order of time, cancelled dates left out; of the given resources and kinds, or of all. Instants carry their offset. Callers without read:calendar see what they take part in themselves.';
