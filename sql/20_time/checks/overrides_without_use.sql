create function private.check_overrides_without_use() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'overrides', o.id::text,
    format('The override granted %s (%s) has %s member(s) left that exist, so it allows nothing', o.granted_at::date, o.reason, count(*) filter (where e.is_there)),
    jsonb_build_object('granted_by', o.granted_by)
  from public.overrides o
  left join public.override_members m on m.override_id = o.id
  -- A group that lost its last member is joined with nobody, and nobody's table cannot be asked.
  cross join lateral (
    select case when m.source_id is not null then private.happening_exists(m.source_table, m.source_id) end as is_there
  ) e
  group by o.id
  having count(*) filter (where e.is_there) < 2;
end;
comment on function private.check_overrides_without_use() is 'Finds override groups with fewer than two happenings left.';
