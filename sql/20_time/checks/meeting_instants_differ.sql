create function private.check_meeting_instants_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'meetings', m.id::text,
    format('%s is kept as %s, which is not what its local date and times say', m.title, private.describe_range(tstzrange(m.starts_at, m.ends_at), m.time_zone)),
    jsonb_build_object('date', m.date, 'start_time', m.start_time, 'end_time', m.end_time, 'time_zone', m.time_zone,
      'starts_at', m.starts_at, 'ends_at', m.ends_at)
  from public.meetings m
  where (m.starts_at, m.ends_at) is distinct from (
    private.local_to_instant(m.date, m.start_time, m.time_zone),
    private.local_end_to_instant(coalesce(m.ends_on, m.date), m.end_time, m.time_zone)
  );
end;
comment on function private.check_meeting_instants_differ() is
  'Finds meetings whose instants are not those of their wall-clock time: written around the triggers, or before the time zone database changed.';

create function private.fix_meeting_instants_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.meetings m set date = m.date where m.id = any(p_entity_ids::uuid[]);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_meeting_instants_differ(text[]) is 'Works the instants of these meetings out again, and moves their claims.';
