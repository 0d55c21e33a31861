create function private.check_booking_seats_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'session_bookings', b.id::text,
    format('A booking of the session of %s %s has %s seats, and should have %s', s.session_date, left(s.start_time::text, 5), q.owned,
      case when b.is_live then b.seats else 0 end),
    jsonb_build_object('session_id', b.session_id, 'status', b.status, 'seats', b.seats, 'owned', q.owned)
  from public.session_bookings b
  left join public.course_sessions s on s.id = b.session_id
  cross join lateral (
    select count(*) filter (where q.session_id = b.session_id) as owned, count(*) as owned_anywhere from public.session_seats q where q.booking_id = b.id
  ) q
  where q.owned <> case when b.is_live then b.seats else 0 end or q.owned_anywhere <> q.owned;
end;
comment on function private.check_booking_seats_differ() is 'Finds bookings that own more or fewer seats than they should, which cancelled ones own none of.';

create function private.fix_booking_seats_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_before constant bigint := (select count(*) from private.check_booking_seats_differ() f where f.entity_id = any(p_entity_ids));
begin
  insert into private.seat_rebuilds (session_ids)
  select array_agg(distinct u.id)
  from (
    select b.session_id as id from public.session_bookings b where b.id = any(p_entity_ids::uuid[])
    union
    select q.session_id from public.session_seats q where q.booking_id = any(p_entity_ids::uuid[])
  ) u;
  return v_before - (select count(*) from private.check_booking_seats_differ() f where f.entity_id = any(p_entity_ids));
end;
$$;
comment on function private.fix_booking_seats_differ(text[]) is
  'Gives them free seats, in the order in which they booked, and takes back what they own too much. Where there are too few, a person decides.';
