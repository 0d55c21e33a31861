-- What instructors and customers are told of classes and bookings. Of what is over nobody needs to hear, so bringing in the
-- past says nothing.

-- In plpgsql, and given what was looked up: a call in SQL starts the executor, and there are as many as there are classes.
create function private.is_still_ahead(p_date date, p_ends_at timestamptz) returns boolean
language plpgsql stable set search_path = ''
as $$
begin
  return coalesce(p_ends_at > private.now(), p_date >= private.today());
end;
$$;
comment on function private.is_still_ahead(date, timestamptz) is 'Whether a class is not over yet.';

create function private.class_in_words(p_class public.class_assignments) returns text
language plpgsql stable strict security definer set search_path = ''
as $$
begin
  return concat_ws(', ',
    coalesce(
      (select t.name from public.class_types t where t.id = p_class.class_type_id), (select p.name from public.packages p where p.id = p_class.package_id), 'Class'
    ),
    private.when_in_words(p_class.date, p_class.start_time, p_class.end_time, p_class.time_zone),
    (select l.name from public.locations l where l.id = p_class.location_id));
end;
$$;
comment on function private.class_in_words(public.class_assignments) is 'What is taught, when, and where.';

-- Of the 20th on nobody reads the words, and of the second on the title: the position says which it is, by when it begins.
-- A class that was declined is news to nobody who declined it, and to whom one was passed on it is new, wherever it was.
create function private.instructor_news(p_kind text, p_classes public.class_assignments[], p_before public.class_assignments[] default null) returns private.news[]
language plpgsql stable security definer set search_path = '' set enable_nestloop = off
as $$
declare
  v_title constant text := case p_kind
    when 'assignment_given' then 'A class for you' when 'assignment_withdrawn' then 'A class is no longer yours'
    when 'assignment_rescheduled' then 'A class of yours was moved' else 'A class of yours was cancelled' end;
  v_title_of_many constant text := case p_kind
    when 'assignment_given' then '%s classes for you' when 'assignment_withdrawn' then '%s classes are no longer yours'
    when 'assignment_rescheduled' then '%s classes of yours were moved' else '%s classes of yours were cancelled' end;
begin
  if p_classes is null then
    return null;
  end if;
  return array(
    select row(
      (c.class).instructor_id, p_kind,
      case when c.position = 1 then
        v_title || ': ' || private.when_in_words((c.class).date, (c.class).start_time, (c.class).end_time, (c.class).time_zone)
      end,
      v_title_of_many,
      case when c.position <= 20 then private.class_in_words(c.class) || coalesce('; before: ' || private.class_in_words(c.before), '') end,
      c.begins_at, 'class_assignments', (c.class).id::text
    )::private.news
    from (
      select u as class, b as before, w.begins_at, row_number() over (partition by u.instructor_id order by w.begins_at, u.id::text) as position
      from unnest(p_classes) u
      left join unnest(p_before) b on b.id = u.id
      cross join lateral (select coalesce(u.starts_at, u.date::timestamp at time zone u.time_zone) as begins_at) w
      where u.instructor_status <> 'rejected' and coalesce(b.instructor_id = u.instructor_id, true)
    ) c
  );
end;
$$;
comment on function private.instructor_news(text, public.class_assignments[], public.class_assignments[]) is
  'What instructors are told about classes of theirs: as they are, and where they were moved as they were; null for none.';

-- Looked up booking by booking, whatever plans the caller is held to.
create function private.customers_of_classes(p_ids uuid[]) returns table (assignment_id uuid, profile_id uuid, booking_id text)
language plpgsql stable security definer set search_path = '' set enable_nestloop = on
as $$
#variable_conflict use_column
begin
  return query
    select l.assignment_id, b.profile_id, b.booking_id
    from public.assignment_bookings l
    join public.bookings b on b.booking_id = l.booking_id
    where l.assignment_id = any(p_ids) and b.profile_id is not null and b.status in ('pending', 'confirmed');
end;
$$;
comment on function private.customers_of_classes(uuid[]) is 'The people whose bookings these classes serve.';

create function private.customer_news(p_kind text, p_classes public.class_assignments[], p_before public.class_assignments[] default null) returns private.news[]
language plpgsql stable security definer set search_path = '' set enable_nestloop = off
as $$
declare
  v_title constant text := case p_kind when 'class_cancelled' then 'A class you booked was cancelled' else 'A class you booked was moved' end;
  v_title_of_many constant text := case p_kind when 'class_cancelled' then '%s classes you booked were cancelled' else '%s classes you booked were moved' end;
begin
  if p_classes is null then
    return null;
  end if;
  return array(
    select row(
      s.profile_id, p_kind, v_title || ': ' || private.when_in_words(c.date, c.start_time, c.end_time, c.time_zone), v_title_of_many,
      private.class_in_words(c) || coalesce('; before: ' || private.class_in_words(b), '')
      || format(' (booking %s)', s.booking_id),
      coalesce(c.starts_at, c.date::timestamp at time zone c.time_zone), 'class_assignments', c.id::text
    )::private.news
    from private.customers_of_classes(array(select u.id from unnest(p_classes) u)) s
    join unnest(p_classes) c on c.id = s.assignment_id
    left join unnest(p_before) b on b.id = c.id
  );
end;
$$;
comment on function private.customer_news(text, public.class_assignments[], public.class_assignments[]) is
  'What customers are told about classes that serve their bookings: as they are, and where they were moved as they were; null for none.';

create function private.tell_of_new_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.tell_people(private.instructor_news('assignment_given', (
    select array_agg(n::public.class_assignments)
    from new_rows n
    where n.class_status = 'scheduled' and n.instructor_status = 'pending' and private.is_still_ahead(n.date, n.ends_at)
  )));
  return null;
end;
$$;
comment on function private.tell_of_new_assignments() is 'Statement trigger: tells instructors of classes they were given.';

create trigger t95_tell_insert after insert on public.class_assignments
  referencing new table as new_rows for each statement execute function private.tell_of_new_assignments();

-- Old and new rows meet by key: the planner, who thinks of few rows when it plans for the first statement, must not go
-- over one side for each row of the other. What looks up single rows, by functions of its own, may.
create function private.tell_of_changed_assignments() returns trigger
language plpgsql volatile security definer set search_path = '' set enable_nestloop = off
as $$
declare
  v_cancelled public.class_assignments[];
  v_withdrawn public.class_assignments[];
  v_given public.class_assignments[];
  v_moved public.class_assignments[];
  v_before public.class_assignments[];
begin
  select array_agg(c.before) filter (where c.status = 'cancelled'), array_agg(c.before) filter (where c.status = 'scheduled' and c.is_passed_on),
    array_agg(c.class) filter (where c.status = 'scheduled' and c.is_passed_on),
    array_agg(c.class) filter (where c.status = 'scheduled' and c.is_moved), array_agg(c.before) filter (where c.status = 'scheduled' and c.is_moved)
  into v_cancelled, v_withdrawn, v_given, v_moved, v_before
  from (
    select n::public.class_assignments as class, o::public.class_assignments as before, n.class_status as status, n.instructor_id <> o.instructor_id as is_passed_on,
      row(n.date, n.start_time, n.end_time, n.time_zone, n.location_id) is distinct from row(o.date, o.start_time, o.end_time, o.time_zone, o.location_id) as is_moved
    from new_rows n
    join old_rows o on o.id = n.id
    where o.class_status = 'scheduled' and n.class_status in ('scheduled', 'cancelled')
      and row(n.instructor_id, n.class_status, n.date, n.start_time, n.end_time, n.time_zone, n.location_id)
        is distinct from row(o.instructor_id, o.class_status, o.date, o.start_time, o.end_time, o.time_zone, o.location_id)
      and (private.is_still_ahead(o.date, o.ends_at) or private.is_still_ahead(n.date, n.ends_at))
  ) c;
  perform private.tell_people(
    private.instructor_news('assignment_cancelled', v_cancelled) || private.instructor_news('assignment_withdrawn', v_withdrawn)
    || private.instructor_news('assignment_given', v_given) || private.instructor_news('assignment_rescheduled', v_moved, v_before)
    || private.customer_news('class_cancelled', v_cancelled) || private.customer_news('class_rescheduled', v_moved, v_before)
  );
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
  perform private.tell_people(private.instructor_news('assignment_cancelled', (
    select array_agg(o::public.class_assignments)
    from old_rows o
    where o.class_status = 'scheduled' and private.is_still_ahead(o.date, o.ends_at)
      and not exists (select from public.class_assignments_archive v where v.id = o.id)
  )));
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
  join public.class_assignments a on a.id = l.assignment_id and a.class_status = 'scheduled' and private.is_still_ahead(a.date, a.ends_at)
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
