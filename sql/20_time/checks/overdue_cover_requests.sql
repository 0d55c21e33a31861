create function private.check_overdue_cover_requests() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'cover_requests', q.id::text,
    format('Nobody said whether %s was covered on %s', r.name, q.occurs_on),
    jsonb_build_object('time_off_id', q.time_off_id, 'resource_id', q.resource_id, 'source_table', q.source_table,
      'source_id', q.source_id, 'occurs_on', q.occurs_on)
  from public.cover_requests q
  join public.resources r on r.id = q.resource_id
  where q.status = 'open' and q.occurs_on < private.today();
end;
comment on function private.check_overdue_cover_requests() is 'Cover requests still open for dates that have passed.';
