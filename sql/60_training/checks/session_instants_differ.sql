create function private.check_session_instants_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  with times as materialized (
    select t.*, private.local_to_instant(t.session_date, t.start_time, t.time_zone) as starts_at,
      private.local_end_to_instant(t.session_date, t.end_time, t.time_zone) as ends_at
    from (
      select distinct s.session_date, s.start_time, s.end_time, s.time_zone from public.course_sessions s where private.is_time_zone(s.time_zone)
    ) t
  )
  select 'course_sessions', s.id::text, format('The session of %s %s is not at the instant its wall-clock time is', s.session_date, left(s.start_time::text, 5)),
    jsonb_build_object('starts_at', s.starts_at, 'ends_at', s.ends_at, 'expected_starts_at', t.starts_at, 'expected_ends_at', t.ends_at)
  from public.course_sessions s
  join times t on (t.session_date, t.start_time, t.end_time, t.time_zone) = (s.session_date, s.start_time, s.end_time, s.time_zone)
  where t.starts_at is not null and t.ends_at is not null and (s.starts_at, s.ends_at) is distinct from (t.starts_at, t.ends_at);
end;
comment on function private.check_session_instants_differ() is 'Finds sessions whose instants are not those of their date, times and zone.';

create function private.fix_session_instants_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
  v_fixed integer := 0;
begin
  -- One by one, so that one whose instructor is taken then does not keep the others as they are.
  for v_id in select u.id from unnest(p_entity_ids::uuid[]) as u(id) order by u.id loop
    begin
      update public.course_sessions s set session_date = s.session_date where s.id = v_id;
      v_fixed := v_fixed + 1;
    exception when sqlstate 'PGRST' then
      null;
    end;
  end loop;
  return v_fixed;
end;
$$;
comment on function private.fix_session_instants_differ(text[]) is 'Works the instants out again, where instructor and place are free then.';
