-- What sessions tell the change feed: on the topic of each, and on that of its course. Nothing about who booked.
--
-- seats_left is what the transaction sees that says it. Of two bookings at once neither counts the other, so a reader who
-- needs the very number asks for it (seats_left, calendar_availability), as one does who saw a hold that has passed since.

create view private.session_news as
select s.id as session_id, s.course_id, jsonb_build_object('session_id', s.id, 'course_id', s.course_id, 'status', s.status,
  'seats_left', (
    select count(*) from public.session_seats q
    where q.session_id = s.id and q.booking_id is null and (q.held_until is null or q.held_until <= private.now())
  ),
  'max_capacity', s.max_capacity, 'version', s.version) as said
from public.course_sessions s;
comment on view private.session_news is 'What every event of a session says: how it stands and how many seats are left.';

create function private.publish_sessions(p_events jsonb) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  -- What is left is counted once a session, however much there is to say of it.
  insert into public.changes (topic, event, payload)
  select t.topic, e.item ->> 'event', e.item - 'event' || g.said
  from (
    select n.* from private.session_news n
    where n.session_id in (select (e.item ->> 'session_id')::uuid from jsonb_array_elements(p_events) as e(item))
    offset 0
  ) g
  join jsonb_array_elements(p_events) with ordinality as e(item, position) on (e.item ->> 'session_id')::uuid = g.session_id
  cross join lateral (values ('session:' || g.session_id), ('course:' || g.course_id)) as t (topic)
  order by e.position, t.topic desc;
end;
$$;
comment on function private.publish_sessions(jsonb) is
  'Publishes events of sessions ([{event, session_id, …}, …]), each with the session''s status and the seats that are left, to the session''s and the course''s topic.';

create function private.publish_session_changes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_events jsonb;
begin
  if not private.setting_boolean('changes_from_training') then
    return null;
  end if;
  if tg_op = 'INSERT' then
    select jsonb_agg(jsonb_build_object('event', 'session-created', 'session_id', n.id, 'starts_at', n.starts_at) order by n.id) into v_events
    from new_rows n;
  else
    select jsonb_agg(jsonb_build_object(
      'event', case when n.status = 'cancelled' and o.status <> 'cancelled' then 'session-cancelled' else 'session-update' end,
      'session_id', n.id, 'starts_at', n.starts_at) order by n.id) into v_events
    from new_rows n
    join old_rows o on o.id = n.id and o.version <> n.version;
  end if;
  if v_events is not null then
    perform private.publish_sessions(v_events);
  end if;
  return null;
end;
$$;
comment on function private.publish_session_changes() is 'Statement trigger on course_sessions: publishes session-created, session-update and session-cancelled.';

create trigger t95_publish_insert after insert on public.course_sessions
  referencing new table as new_rows for each statement execute function private.publish_session_changes();
create trigger t95_publish_update after update on public.course_sessions
  referencing old table as old_rows new table as new_rows for each statement execute function private.publish_session_changes();

-- One that nobody booked may be deleted: for whoever shows it, it is off like any other.
create function private.publish_deleted_sessions() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if private.setting_boolean('changes_from_training') then
    insert into public.changes (topic, event, payload)
    select t.topic, 'session-cancelled', jsonb_build_object('session_id', o.id, 'course_id', o.course_id, 'starts_at', o.starts_at,
      'status', 'deleted', 'seats_left', 0, 'max_capacity', o.max_capacity, 'version', o.version)
    from old_rows o
    cross join lateral (values ('session:' || o.id), ('course:' || o.course_id)) as t (topic)
    where o.status <> 'cancelled'
    order by o.id, t.topic desc;
  end if;
  return null;
end;
$$;
comment on function private.publish_deleted_sessions() is 'Statement trigger: publishes session-cancelled, with the status deleted, of sessions that are not there any more.';

create trigger t95_publish_delete after delete on public.course_sessions
  referencing old table as old_rows for each statement execute function private.publish_deleted_sessions();

-- One change a session, however many bookings; then the seats that are left.
create function private.publish_booking_changes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_events jsonb;
begin
  -- In one statement, since everybody waits for it who books.
  if tg_op = 'INSERT' then
    insert into public.changes (topic, event, payload)
    select t.topic, e.event, e.more || b.said
    from (
      select g.session_id, g.seats, n.course_id, n.said
      from (
        select n.session_id, sum(n.seats) as seats from new_rows n
        where n.is_live and (select s.value = 'true' from private.settings_in_force s where s.key = 'changes_from_training')
        group by n.session_id
      ) g
      cross join lateral (select n.course_id, n.said from private.session_news n where n.session_id = g.session_id offset 0) n
    ) b
    cross join lateral (values ('session:' || b.session_id), ('course:' || b.course_id)) as t (topic)
    cross join lateral (values (1, 'booking-confirmed', jsonb_build_object('seats', b.seats)), (2, 'session-update', '{}')) as e (position, event, more)
    order by b.session_id, e.position, t.topic desc;
  elsif private.setting_boolean('changes_from_training') then
    if tg_op = 'DELETE' then
      select jsonb_agg(e.item order by e.session_id, e.position) into v_events
      from (select o.session_id, sum(o.seats) as seats from old_rows o where o.is_live group by o.session_id) g
      cross join lateral (values
        (1, g.session_id, jsonb_build_object('event', 'booking-cancelled', 'session_id', g.session_id, 'seats', g.seats)),
        (2, g.session_id, jsonb_build_object('event', 'session-update', 'session_id', g.session_id))
      ) as e (position, session_id, item);
    else
      with moved as (
        select o.session_id, -o.seats as seats from old_rows o join new_rows n on n.id = o.id
        where o.is_live and (not n.is_live or (n.session_id, n.seats) <> (o.session_id, o.seats))
        union all
        select n.session_id, n.seats from old_rows o join new_rows n on n.id = o.id
        where n.is_live and (n.session_id, n.seats) <> (o.session_id, o.seats)
      ), sums as (
        select m.session_id, sum(m.seats) as seats from moved m group by m.session_id
      )
      select jsonb_agg(e.item order by e.session_id, e.position) into v_events
      from sums g
      cross join lateral (values
        (1, g.session_id, jsonb_build_object('event', case when g.seats > 0 then 'booking-confirmed' else 'booking-cancelled' end,
          'session_id', g.session_id, 'seats', abs(g.seats))),
        (2, g.session_id, jsonb_build_object('event', 'session-update', 'session_id', g.session_id))
      ) as e (position, session_id, item)
      where g.seats <> 0;
    end if;
    if v_events is not null then
      perform private.publish_sessions(v_events);
    end if;
  end if;
  return null;
end;
$$;
comment on function private.publish_booking_changes() is
  'Statement trigger on session_bookings: publishes booking-confirmed and booking-cancelled with how many seats, and session-update with how many are left.';

create trigger t95_publish_insert after insert on public.session_bookings
  referencing new table as new_rows for each statement execute function private.publish_booking_changes();
create trigger t95_publish_update after update on public.session_bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.publish_booking_changes();
create trigger t95_publish_delete after delete on public.session_bookings
  referencing old table as old_rows for each statement execute function private.publish_booking_changes();

create function private.publish_hold_changes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_events jsonb;
begin
  if private.setting_boolean('changes_from_training') then
    if tg_op = 'DELETE' then
      select jsonb_agg(distinct jsonb_build_object('event', 'session-update', 'session_id', o.session_id)) into v_events
      from old_rows o
      where o.released_at is null and o.held_until > private.now();
    else
      select jsonb_agg(distinct jsonb_build_object('event', 'session-update', 'session_id', n.session_id)) into v_events
      from new_rows n
      where tg_op = 'INSERT' or n.released_at is not null;
    end if;
    if v_events is not null then
      perform private.publish_sessions(v_events);
    end if;
  end if;
  return null;
end;
$$;
comment on function private.publish_hold_changes() is 'Statement trigger on session_holds: publishes how many seats are left when some are held or released.';

create trigger t95_publish_insert after insert on public.session_holds
  referencing new table as new_rows for each statement execute function private.publish_hold_changes();
create trigger t95_publish_update after update on public.session_holds
  referencing new table as new_rows for each statement execute function private.publish_hold_changes();
create trigger t95_publish_delete after delete on public.session_holds
  referencing old table as old_rows for each statement execute function private.publish_hold_changes();
