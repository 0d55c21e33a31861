create function private.check_session_seats_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'course_sessions', s.id::text, format('The session of %s %s has %s seats, and says %s', s.session_date, left(s.start_time::text, 5), q.rows, s.max_capacity),
    jsonb_build_object('seats', q.rows, 'max_capacity', s.max_capacity)
  from public.course_sessions s
  cross join lateral (select count(*) as rows from public.session_seats q where q.session_id = s.id) q
  where q.rows <> s.max_capacity;
end;
comment on function private.check_session_seats_differ() is 'Finds sessions that have more or fewer seats than their capacity says.';

create function private.fix_session_seats_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_before constant bigint := (select count(*) from private.check_session_seats_differ() f where f.entity_id = any(p_entity_ids));
begin
  insert into private.seat_rebuilds (session_ids) values (p_entity_ids::uuid[]);
  return v_before - (select count(*) from private.check_session_seats_differ() f where f.entity_id = any(p_entity_ids));
end;
$$;
comment on function private.fix_session_seats_differ(text[]) is 'Makes missing seats, and takes free ones away that are too many.';
