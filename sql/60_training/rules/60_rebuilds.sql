-- Repairs go through a table of their own, so that seats are still written by triggers only, and each repair is on record.
create table private.seat_rebuilds (
  id bigint generated always as identity primary key,
  session_ids uuid[] not null,
  rebuilt_by text not null default private.calling(),
  rebuilt_at timestamptz not null default private.now()
);
comment on table private.seat_rebuilds is 'Every time seats were made again what capacities and bookings say: of which sessions, by whom, when.';

-- Whoever has seats keeps them; who lacks some gets free ones, in the order in which they booked, as far as there are any.
create function private.rebuild_seats() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform from public.course_sessions s where s.id = any(new.session_ids) order by s.id for no key update;
  perform from public.session_seats q where q.session_id = any(new.session_ids) order by q.session_id, q.seat_no for update;
  update public.session_seats q
  set booking_id = null, owner_live = null
  from (
    select o.session_id, o.seat_no
    from (
      select q.session_id, q.seat_no, q.booking_id, row_number() over (partition by q.booking_id order by q.session_id, q.seat_no) as position
      from public.session_seats q
      where q.session_id = any(new.session_ids) and q.booking_id is not null
    ) o
    left join public.session_bookings b on b.id = o.booking_id and b.session_id = o.session_id and b.is_live
    where b.id is null or o.position > b.seats
  ) g
  where q.session_id = g.session_id and q.seat_no = g.seat_no;
  delete from public.session_seats q
  using (
    select f.session_id, f.seat_no
    from (
      select q.session_id, q.seat_no, row_number() over (partition by q.session_id order by q.seat_no desc) as position
      from public.session_seats q
      where q.session_id = any(new.session_ids) and q.booking_id is null and (q.held_until is null or q.held_until <= private.now())
    ) f
    join public.course_sessions s on s.id = f.session_id
    where f.position <= (select count(*) from public.session_seats q where q.session_id = f.session_id) - s.max_capacity
  ) g
  where q.session_id = g.session_id and q.seat_no = g.seat_no;
  insert into public.session_seats (session_id, seat_no)
  select m.session_id, m.seat_no
  from (
    select s.id as session_id, g as seat_no, row_number() over (partition by s.id order by g) as position,
      s.max_capacity - (select count(*) from public.session_seats q where q.session_id = s.id) as missing
    from public.course_sessions s
    cross join lateral generate_series(1, 2 * s.max_capacity) g
    where s.id = any(new.session_ids) and not exists (select from public.session_seats q where q.session_id = s.id and q.seat_no = g)
  ) m
  where m.position <= m.missing;
  update public.session_seats q
  set booking_id = w.booking_id, owner_live = true, held_by = null, held_until = null
  from (
    select b.session_id, b.id as booking_id, row_number() over (partition by b.session_id order by b.booked_at, b.id, g) as position
    from public.session_bookings b
    cross join lateral generate_series(1, b.seats - (select count(*) from public.session_seats o where o.booking_id = b.id)) g
    where b.session_id = any(new.session_ids) and b.is_live
  ) w
  join (
    select q.session_id, q.seat_no, row_number() over (partition by q.session_id order by q.held_until nulls first, q.seat_no) as position
    from public.session_seats q
    where q.session_id = any(new.session_ids) and q.booking_id is null and (q.held_until is null or q.held_until <= private.now())
  ) f on f.session_id = w.session_id and f.position = w.position
  where q.session_id = f.session_id and q.seat_no = f.seat_no;
  return null;
end;
$$;
comment on function private.rebuild_seats() is 'Row trigger on seat_rebuilds: makes the seats of these sessions what their capacity and their bookings say, as far as they fit.';

create trigger t50_rebuild after insert on private.seat_rebuilds
  for each row execute function private.rebuild_seats();
