create function private.calendar_rows(p_during tstzrange, p_resource_ids uuid[], p_kinds text[])
returns table (
  source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz, resource_ids uuid[], resource_names text[], resource_kinds text[]
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sees_all boolean := private.has_permission('read:calendar');
  v_self uuid := private.current_profile_id();
  v_resource_ids uuid[] := p_resource_ids;
begin
  if not v_sees_all then
    if p_resource_ids is not null and p_resource_ids <> array[v_self] then
      perform private.fail('forbidden', 'Only your own calendar is yours to read', 'p_resource_ids',
        p_hint => 'busy_times() tells when somebody is busy, without saying with what.');
    end if;
    v_resource_ids := array_remove(array[v_self], null);
  end if;
  return query
    with found as (
      select distinct c.source_table, c.source_id, c.occurs_on, c.kind, c.title, c.during
      from public.claims c
      where c.during && p_during
        and (v_resource_ids is null or c.resource_id = any(v_resource_ids))
        and (p_kinds is null or c.kind = any(p_kinds))
    )
    select f.source_table, f.source_id, f.occurs_on, f.kind, f.title, lower(f.during), upper(f.during), w.ids, w.names, w.kinds
    from found f
    cross join lateral (
      select array_agg(r.id order by r.kind, r.name) as ids, array_agg(r.name order by r.kind, r.name) as names,
        array_agg(r.kind order by r.kind, r.name) as kinds
      from public.claims c
      join public.resources r on r.id = c.resource_id
      where c.source_id = f.source_id and c.source_table = f.source_table and c.occurs_on = f.occurs_on
    ) w
    union all
    -- A meeting nobody and nowhere is named for claims nothing, and happens all the same.
    select 'meetings', m.id, m.date, m.kind, m.title, m.starts_at, m.ends_at, '{}', '{}', '{}'
    from public.meetings m
    where v_resource_ids is null and m.status = 'scheduled'
      and m.starts_at > lower(p_during) - interval '800 hours' and m.starts_at < upper(p_during) and m.ends_at > lower(p_during)
      and (p_kinds is null or m.kind = any(p_kinds))
      and not exists (select from public.meeting_participants p where p.meeting_id = m.id)
    order by 6, 7, 5, 2;
end;
$$;
comment on function private.calendar_rows(tstzrange, uuid[], text[]) is
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
language plpgsql stable set search_path = ''
as $$
begin
  perform private.check_span(p_from, p_to, interval '400 days', 'p_from', 'p_to');
  return query select * from private.calendar_rows(tstzrange(p_from, p_to), p_resource_ids, p_kinds);
end;
$$;
comment on function public.calendar(timestamptz, timestamptz, uuid[], text[]) is
  'Everything that happens from p_from until p_to (excluded; at most 400 days), one row an occurrence in order of time, cancelled dates left out; of the given resources and kinds, or of all. Instants carry their offset. Callers without read:calendar see what they take part in themselves.';
