-- Flat in the number of claims: one probe of the constraint's own index per resource. There is one way to do that, and
-- planning it anew for every question would take longer than answering.
create function private.conflicts(p_resource_ids uuid[], p_starts_at timestamptz, p_ends_at timestamptz, p_exclude_source uuid)
returns table (
  resource_id uuid, resource_name text, conflict_type text, source_table text, source_id uuid,
  starts_at timestamptz, ends_at timestamptz, message text
)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = 'force_generic_plan'
as $$
declare
  v_sees_all boolean;
  v_self uuid;
begin
  if private.caller_id() is null and not private.is_trusted() then
    perform private.fail('forbidden', 'Sign in to see who is free');
  end if;
  perform private.check_span(p_starts_at, p_ends_at, interval '31 days', 'p_starts_at', 'p_ends_at', p_resource_ids);
  v_sees_all := private.has_permission('read:calendar');
  v_self := private.current_profile_id();
  return query
    select c.resource_id, r.name,
      case when t.is_told then c.kind else 'busy' end,
      case when t.is_told then c.source_table end,
      case when t.is_told then c.source_id end,
      lower(c.during), upper(c.during),
      format('%s is already %s, %s', r.name, case when t.is_told then 'in ' || c.title else 'taken' end, private.describe_range(c.during))
    from public.claims c
    join public.resources r on r.id = c.resource_id
    cross join lateral (select v_sees_all or c.resource_id = v_self as is_told) t
    where c.resource_id = any(p_resource_ids) and c.during && tstzrange(p_starts_at, p_ends_at)
      and c.source_id is distinct from p_exclude_source
    order by lower(c.during), r.name, c.source_id;
end;
$$;
comment on function private.conflicts(uuid[], timestamptz, timestamptz, uuid) is
  'What takes these resources in a range; titles and sources only as far as the caller may read them.';

create function public.find_conflicts(
  p_resource_ids uuid[],
  p_starts_at timestamptz,
  p_ends_at timestamptz,
  p_exclude_source uuid default null
) returns table (
  resource_id uuid, resource_name text, conflict_type text, source_table text, source_id uuid,
  starts_at timestamptz, ends_at timestamptz, message text
)
language sql stable set search_path = ''
begin atomic
  select * from private.conflicts(p_resource_ids, p_starts_at, p_ends_at, p_exclude_source);
end;
comment on function public.find_conflicts(uuid[], timestamptz, timestamptz, uuid) is
  'What stands in the way of using these resources from p_starts_at until p_ends_at (excluded; at most 31 days): one row a clash, none when all are free. p_exclude_source leaves out one happening, such as the one being moved. Callers who may not read somebody''s calendar get conflict_type busy and the times only. Raises invalid_input for an end that is not after its start.';
