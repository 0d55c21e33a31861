create function public.busy_times(p_resource_ids uuid[], p_from timestamptz, p_to timestamptz)
returns table (resource_id uuid, starts_at timestamptz, ends_at timestamptz)
language plpgsql stable set search_path = ''
as $$
begin
  perform private.refuse_too_many(p_resource_ids);
  perform private.fail_input(private.window_errors(p_resource_ids, p_from, p_to));
  perform private.require_resources(p_resource_ids);
  return query
    select m.resource_id, lower(d.during), upper(d.during)
    from (
      select b.resource_id, range_agg(b.during) * tstzmultirange(tstzrange(p_from, p_to)) as during
      from private.busy_ranges(p_resource_ids, tstzrange(p_from, p_to)) b
      group by b.resource_id
    ) m
    cross join lateral unnest(m.during) as d(during)
    order by m.resource_id, lower(d.during);
end;
$$;
comment on function public.busy_times(uuid[], timestamptz, timestamptz) is
  'When these resources cannot be had between p_from and p_to (excluded; at most a year): taken, on approved time off, or closed, without saying which. One row a stretch, merged and clipped to the window; none for a resource that is free throughout. Hours nobody works are not among them: see free_slots(). For anyone signed in, at most 100 resources. Raises invalid_input naming every bad field, not_found, limit_exceeded.';
