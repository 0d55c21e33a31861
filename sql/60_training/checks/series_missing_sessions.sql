-- The last days are left to the run of the night.
create function private.check_series_missing_sessions() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'session_series', s.id::text,
    format('The series of %s at %s lacks %s: %s', c.title, left(s.start_time::text, 5), case m.count when 1 then 'a session' else m.count || ' sessions' end,
      m.shown || case when m.count > 3 then ', …' else '' end),
    jsonb_build_object('missing', m.count, 'dates', m.dates)
  from public.session_series s
  join public.courses c on c.id = s.course_id
  cross join lateral (
    select count(*) as count, (jsonb_agg(jsonb_build_object('session_date', p.series_date, 'reason', p.reason) order by p.series_date)) as dates,
      array_to_string((array_agg(p.series_date order by p.series_date))[1:3], ', ') as shown
    from private.plan_series_dates(s, private.series_through() - 2) p
    where p.status in ('planned', 'conflict')
  ) m
  where s.status = 'active' and m.count > 0;
end;
comment on function private.check_series_missing_sessions() is 'Finds series that promise sessions that are not there.';

create function private.fix_series_missing_sessions(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_series public.session_series;
  v_fixed integer := 0;
begin
  perform from public.session_series s where s.id = any(p_entity_ids::uuid[]) order by s.id for no key update;
  perform private.lock_session_resources(array(
    select u.id from public.session_series s cross join lateral (values (s.instructor_id), (s.location_id)) as u(id)
    where s.id = any(p_entity_ids::uuid[])
  ));
  for v_series in select s.* from public.session_series s where s.id = any(p_entity_ids::uuid[]) order by s.created_at, s.id loop
    v_fixed := v_fixed + least(1, cardinality((private.make_series_sessions(v_series, private.series_through(), true)).session_ids));
  end loop;
  return v_fixed;
end;
$$;
comment on function private.fix_series_missing_sessions(text[]) is 'Makes the missing sessions of these series, where instructor and place are free.';
