create function private.check_seats_of_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'course_sessions', q.session_id::text, format('%s seats are owned by bookings that are not there', count(*)),
    jsonb_build_object('seats', array_agg(q.seat_no order by q.seat_no))
  from public.session_seats q
  where q.booking_id is not null and not exists (select from public.session_bookings b where b.id = q.booking_id)
  group by q.session_id;
end;
comment on function private.check_seats_of_nothing() is 'Finds sessions with seats owned by bookings that are not there, as a restore without foreign keys leaves them.';

create function private.fix_seats_of_nothing(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_before constant bigint := (select count(*) from private.check_seats_of_nothing() f where f.entity_id = any(p_entity_ids));
begin
  insert into private.seat_rebuilds (session_ids) values (p_entity_ids::uuid[]);
  return v_before - (select count(*) from private.check_seats_of_nothing() f where f.entity_id = any(p_entity_ids));
end;
$$;
comment on function private.fix_seats_of_nothing(text[]) is 'Sets these seats free.';
