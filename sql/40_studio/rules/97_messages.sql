-- What instructors and customers are told of classes and bookings. Of what is over nobody needs to hear, so bringing in the
-- past says nothing.

create function private.is_still_ahead(p_row public.class_assignments) returns boolean
language sql stable set search_path = ''
return coalesce(p_row.ends_at > private.now(), p_row.date >= private.today());
comment on function private.is_still_ahead(public.class_assignments) is 'Whether a class is not over yet.';

create function private.class_in_words(p_row public.class_assignments) returns text
language sql stable security definer set search_path = ''
return concat_ws(', ',
  coalesce((select t.name from public.class_types t where t.id = p_row.class_type_id),
    (select p.name from public.packages p where p.id = p_row.package_id), 'Class'),
  private.when_in_words(p_row.date, p_row.start_time, p_row.end_time, p_row.time_zone),
  (select l.name from public.locations l where l.id = p_row.location_id));
comment on function private.class_in_words(public.class_assignments) is 'What is taught, when, and where.';

create function private.class_begins(p_row public.class_assignments) returns timestamptz
language sql stable set search_path = ''
return coalesce(p_row.starts_at, p_row.date::timestamp at time zone p_row.time_zone);
comment on function private.class_begins(public.class_assignments) is 'When a class begins; where no time is arranged the beginning of its day.';

-- Of the 20th on nobody reads the words, and of the second on the title: p_position says which it is, by when it begins.
create function private.instructor_news(
  p_kind text, p_row public.class_assignments, p_instructor_id uuid, p_position bigint, p_before public.class_assignments default null
) returns private.news
language sql stable set search_path = ''
return row(
  p_instructor_id, p_kind,
  case when p_position = 1 then
    case p_kind when 'assignment_given' then 'A class for you' when 'assignment_withdrawn' then 'A class is no longer yours'
      when 'assignment_rescheduled' then 'A class of yours was moved' else 'A class of yours was cancelled' end
    || ': ' || private.when_in_words(p_row.date, p_row.start_time, p_row.end_time, p_row.time_zone)
  end,
  case p_kind when 'assignment_given' then '%s classes for you' when 'assignment_withdrawn' then '%s classes are no longer yours'
    when 'assignment_rescheduled' then '%s classes of yours were moved' else '%s classes of yours were cancelled' end,
  case when p_position <= 20 then
    private.class_in_words(p_row) || case when (p_before).id is null then '' else '; before: ' || private.class_in_words(p_before) end
  end,
  private.class_begins(p_row), 'class_assignments', p_row.id::text
)::private.news;
comment on function private.instructor_news(text, public.class_assignments, uuid, bigint, public.class_assignments) is 'What an instructor is told about a class.';

create function private.customer_news(p_kind text, p_row public.class_assignments, p_before text default null) returns setof private.news
language sql stable security definer set search_path = '' set enable_nestloop = on
begin atomic
  select b.profile_id, p_kind,
    case p_kind when 'class_cancelled' then 'A class you booked was cancelled' else 'A class you booked was moved' end
      || ': ' || private.when_in_words(p_row.date, p_row.start_time, p_row.end_time, p_row.time_zone),
    case p_kind when 'class_cancelled' then '%s classes you booked were cancelled' else '%s classes you booked were moved' end,
    private.class_in_words(p_row) || coalesce('; before: ' || p_before, '') || format(' (booking %s)', b.booking_id),
    private.class_begins(p_row), 'class_assignments', p_row.id::text
  from public.assignment_bookings l
  join public.bookings b on b.booking_id = l.booking_id
  where l.assignment_id = p_row.id and b.profile_id is not null and b.status in ('pending', 'confirmed');
end;
comment on function private.customer_news(text, public.class_assignments, text) is 'What the customers are told about a class that serves their bookings.';

create function private.tell_of_new_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.tell_people(array(
    select private.instructor_news('assignment_given', r.class, n.instructor_id,
      row_number() over (partition by n.instructor_id order by private.class_begins(r.class), n.id::text))
    from new_rows n
    cross join lateral (select n::public.class_assignments as class) r
    where n.class_status = 'scheduled' and n.instructor_status = 'pending' and private.is_still_ahead(r.class)
  ));
  return null;
end;
$$;
comment on function private.tell_of_new_assignments() is 'Statement trigger: tells instructors of classes they were given.';

create trigger t95_tell_insert after insert on public.class_assignments
  referencing new table as new_rows for each statement execute function private.tell_of_new_assignments();

-- A class that was declined and then changes is news to nobody who declined it. Old and new rows meet by key: the planner,
-- who thinks of few rows when it plans for the first statement, must not go over one side for each row of the other. What
-- looks up single rows, by functions of its own, may.
create function private.tell_of_changed_assignments() returns trigger
language plpgsql volatile security definer set search_path = '' set enable_nestloop = off
as $$
declare
  v_ids constant uuid[] := array(
    select d.id from (
      select n.id, n.instructor_id, n.class_status, n.date, n.start_time, n.end_time, n.time_zone, n.location_id from new_rows n
      except
      select o.id, o.instructor_id, o.class_status, o.date, o.start_time, o.end_time, o.time_zone, o.location_id from old_rows o
    ) d
  );
  v_served uuid[];
begin
  if v_ids = '{}' then
    return null;
  end if;
  v_served := array(select distinct l.assignment_id from public.assignment_bookings l where l.assignment_id = any(v_ids));
  perform private.tell_people(array(
    with ahead as materialized (
      select r.*, (n.date, n.start_time, n.end_time, n.time_zone, n.location_id) is distinct from (o.date, o.start_time, o.end_time, o.time_zone, o.location_id) as is_moved,
        n.instructor_id, o.instructor_id as instructor_before, n.class_status as status,
        n.instructor_status <> 'rejected' as is_not_declined, o.instructor_status <> 'rejected' as was_not_declined, n.id = any(v_served) as is_served
      from new_rows n
      join old_rows o on o.id = n.id
      cross join lateral (select n::public.class_assignments as class, o::public.class_assignments as before) r
      where o.class_status = 'scheduled' and n.class_status in ('scheduled', 'cancelled')
        and (private.is_still_ahead(r.before) or private.is_still_ahead(r.class))
    ),
    events as (
      select 'assignment_cancelled' as kind, a.before as class, a.instructor_before as instructor_id, null::public.class_assignments as before
      from ahead a where a.status = 'cancelled' and a.was_not_declined
      union all
      select 'assignment_withdrawn', a.before, a.instructor_before, null
      from ahead a where a.status = 'scheduled' and a.instructor_id <> a.instructor_before and a.was_not_declined
      union all
      select 'assignment_given', a.class, a.instructor_id, null
      from ahead a where a.status = 'scheduled' and a.instructor_id <> a.instructor_before
      union all
      select 'assignment_rescheduled', a.class, a.instructor_id, a.before
      from ahead a where a.status = 'scheduled' and a.is_moved and a.instructor_id = a.instructor_before and a.is_not_declined
    )
    select private.instructor_news(e.kind, e.class, e.instructor_id,
      row_number() over (partition by e.kind, e.instructor_id order by private.class_begins(e.class), (e.class).id::text), e.before)
    from events e
    union all
    select private.customer_news('class_cancelled', a.before)
    from ahead a where a.status = 'cancelled' and a.is_served
    union all
    select private.customer_news('class_rescheduled', a.class, private.class_in_words(a.before))
    from ahead a where a.status = 'scheduled' and a.is_moved and a.is_served
  ));
  return null;
end;
$$;
comment on function private.tell_of_changed_assignments() is
  'Statement trigger: tells instructors and customers of classes that were given to somebody else, moved or cancelled.';

create trigger t95_tell_update after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.tell_of_changed_assignments();

-- Its links are gone by now, and with them the customers: their bookings tell them. What is archived is over.
create function private.tell_of_removed_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.tell_people(array(
    select private.instructor_news('assignment_cancelled', r.class, o.instructor_id,
      row_number() over (partition by o.instructor_id order by private.class_begins(r.class), o.id::text))
    from old_rows o
    cross join lateral (select o::public.class_assignments as class) r
    where o.class_status = 'scheduled' and o.instructor_status <> 'rejected' and private.is_still_ahead(r.class)
      and not exists (select from public.class_assignments_archive v where v.id = o.id)
  ));
  return null;
end;
$$;
comment on function private.tell_of_removed_assignments() is 'Statement trigger: tells instructors of classes that were deleted.';

create trigger t95_tell_delete after delete on public.class_assignments
  referencing old table as old_rows for each statement execute function private.tell_of_removed_assignments();

create function private.booked_class_in_words(p_booking_id text) returns text
language sql stable security definer set search_path = '' set enable_nestloop = on
return (
  select private.class_in_words(a)
  from public.assignment_bookings l
  join public.class_assignments a on a.id = l.assignment_id and a.class_status = 'scheduled' and private.is_still_ahead(a)
  where l.booking_id = p_booking_id
  order by a.date, a.start_time
  limit 1
);
comment on function private.booked_class_in_words(text) is 'The next class that serves a booking; null where there is none.';

-- A booking that waits again is told by what happened to its class.
create function private.tell_of_bookings() returns trigger
language plpgsql volatile security definer set search_path = '' set enable_nestloop = off
as $$
begin
  perform private.tell_people(array(
    select row(
      n.profile_id, 'booking_' || n.status, format('Your booking %s is %s', n.booking_id, n.status), '%s of your bookings are ' || n.status,
      concat_ws(', ', format('Booking %s', n.booking_id), n.class_name)
        || coalesce(': ' || case n.status when 'confirmed' then private.booked_class_in_words(n.booking_id) end, ''),
      n.created_at, 'bookings', n.booking_id
    )::private.news
    from new_rows n
    join old_rows o on o.id = n.id
    where n.status <> o.status and n.status in ('confirmed', 'cancelled') and n.profile_id is not null
  ));
  return null;
end;
$$;
comment on function private.tell_of_bookings() is 'Statement trigger: tells customers of bookings that were confirmed or cancelled.';

create trigger t95_tell_update after update on public.bookings
  referencing old table as old_rows new table as new_rows for each statement execute function private.tell_of_bookings();
