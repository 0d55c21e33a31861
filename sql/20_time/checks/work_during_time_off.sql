create function private.check_work_during_time_off() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select c.source_table, concat_ws(' ', c.source_table, c.source_id, c.occurs_on, c.resource_id, t.id),
    'During time off: ' || private.describe_claim(c.resource_id, c.title, c.during),
    jsonb_build_object('resource_id', c.resource_id, 'occurs_on', c.occurs_on, 'starts_at', lower(c.during), 'ends_at', upper(c.during),
      'time_off_id', t.id)
  from public.time_off t
  join public.claims c on c.resource_id = t.resource_id and c.during && t.during
  where t.status = 'approved' and upper(t.during) > private.now() and upper(c.during) > private.now()
    and private.setting_text('availability_policy') <> 'ignore'
    and not exists (
      select from public.cover_requests q
      where q.time_off_id = t.id and q.source_table = c.source_table and q.source_id = c.source_id and q.occurs_on = c.occurs_on
    );
end;
comment on function private.check_work_during_time_off() is
  'Coming uses of people during approved time off, other than those that were kept when it was approved.';
