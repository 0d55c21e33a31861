-- Changing a series: from a date on, or all of it. What happened, what was booked and what somebody changed or cancelled by
-- itself stays as it is; the rest becomes what the changed series says. One function says what that comes to, so that the
-- plan and its execution agree.

create type private.series_change as (
  series_date date, session_id uuid, action text, starts_at timestamptz, ends_at timestamptz, reason text, conflicts jsonb
);
comment on type private.series_change is
  'What a change of a series does on one date: add, change, remove, keep (reason: happened, cancelled, booked or edited), or conflict, skipped and later as in a plan.';

create function private.why_kept(p_session public.course_sessions, p_series public.session_series) returns text
language sql stable security definer set search_path = ''
return case
    when p_session.status = 'cancelled' then 'cancelled'
    when p_session.status not in ('tentative', 'scheduled') or p_session.starts_at <= private.now() then 'happened'
    when exists (
      select from public.session_seats k
      where k.session_id = p_session.id and (k.booking_id is not null or k.held_until > private.now())
    ) then 'booked'
    when (p_session.session_date, p_session.start_time, p_session.end_time, p_session.time_zone, p_session.location_id, p_session.instructor_id,
        p_session.max_capacity, p_session.min_bookings, p_session.price, p_session.notes)
      is distinct from (p_session.series_date, p_series.start_time, p_series.end_time, p_series.time_zone, p_series.location_id,
        p_series.instructor_id, p_series.max_capacity, p_series.min_bookings, p_series.price, p_series.notes) then 'edited'
  end;
comment on function private.why_kept(public.course_sessions, public.session_series) is
  'Why a session is left alone when its series changes: cancelled, happened, booked or edited; null when it follows.';

create function private.plan_series_change(p_series public.session_series, p_next public.session_series, p_from date)
returns setof private.series_change
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_free uuid[] := array(
    select s.id from public.course_sessions s
    where s.series_id = p_series.id and s.series_date >= p_from and private.why_kept(s, p_series) is null
    order by s.id
  );
begin
  return query
    with there as materialized (
      select s.id, s.series_date, s.starts_at, s.ends_at, private.why_kept(s, p_series) as kept
      from public.course_sessions s
      where s.series_id = p_series.id and s.series_date >= p_from
    ),
    planned as materialized (
      select p.* from private.plan_series_dates(p_next, private.series_through(), v_free) p
      where p.series_date >= p_from
    )
    select coalesce(t.series_date, p.series_date), t.id,
      case
        when t.kept is not null then 'keep'
        when p.series_date is null then 'remove'
        when p.status = 'planned' then case when t.id is null then 'add' else 'change' end
        -- What is there and cannot be held any more at all goes; what only finds no room stays as it was.
        when p.status = 'skipped' and t.id is not null then 'remove'
        else p.status
      end,
      case when t.kept is null then p.starts_at else t.starts_at end,
      case when t.kept is null then p.ends_at else t.ends_at end,
      coalesce(t.kept, p.reason), case when t.kept is null then coalesce(p.conflicts, '[]') else '[]' end
    from there t
    full join planned p on p.series_date = t.series_date
    order by 1;
end;
$$;
comment on function private.plan_series_change(public.session_series, public.session_series, date) is
  'What becomes of each date from a date on when a series becomes another.';

-- What of COUNT is left from a date on.
create function private.rest_of_rrule(p_series public.session_series, p_from date) returns text
language plpgsql stable set search_path = ''
as $$
declare
  v_rule constant private.recurrence := private.read_rrule(p_series.rrule, 'rrule');
  v_left constant integer := v_rule.occurrences - (
    select count(*) from private.recurrence_dates(v_rule, p_series.first_date, p_from - 1)
  );
begin
  return case
    when v_rule.occurrences is null then p_series.rrule
    when v_left > 0 then regexp_replace(upper(p_series.rrule), '(^|;|:)COUNT=[0-9]+', '\1COUNT=' || v_left)
    else 'FREQ=DAILY;UNTIL=' || to_char(p_from - 1, 'YYYYMMDD')
  end;
end;
$$;
comment on function private.rest_of_rrule(public.session_series, date) is 'The rule of a series that goes on from a date: with what is left of its COUNT.';

-- The first of its dates, so that every second week stays the same second week.
create function private.goes_on_from(p_series public.session_series, p_from date) returns date
language sql stable set search_path = ''
return coalesce((
  select min(d.day) from private.recurrence_dates(private.read_rrule((p_series).rrule, 'rrule'), (p_series).first_date, p_from + 800) as d(day)
  where d.day >= p_from
), p_from);
comment on function private.goes_on_from(public.session_series, date) is 'The first date of a series'' rule from a date on.';

create function private.changed_series(p_series public.session_series, p_changes jsonb, p_from date, p_is_split boolean) returns public.session_series
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_next public.session_series := jsonb_populate_record(p_series, p_changes);
begin
  if p_is_split then
    v_next.id := gen_random_uuid();
    if p_changes ? 'rrule' then
      v_next.first_date := p_from;
    else
      v_next.rrule := private.rest_of_rrule(p_series, p_from);
      v_next.first_date := private.goes_on_from(p_series, p_from);
    end if;
    v_next.rdates := array(select d from unnest(v_next.rdates) as d where d >= p_from order by d);
    v_next.exdates := array(select d from unnest(v_next.exdates) as d where d >= p_from order by d);
  end if;
  v_next := private.complete_series(v_next);
  perform private.fail_input(private.within(private.series_errors(v_next, p_series), 'p_changes.'));
  return v_next;
end;
$$;
comment on function private.changed_series(public.session_series, jsonb, date, boolean) is
  'A series with changes; split: the one that goes on from a date, with what is left of rule and exceptions.';

-- Where a change starts: which series, which date, whether the dates before stay under the old one.
create type private.series_target as (series public.session_series, from_date date, is_split boolean);
comment on type private.series_target is 'A series that is to be changed, from which date on, and whether the dates before stay under the old one.';

create function private.series_to_change(p_scope text, p_session_id uuid, p_changes jsonb) returns private.series_target
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_session public.course_sessions;
  v_series public.session_series;
  v_from date;
begin
  perform private.require_permission('manage:series');
  perform private.fail_input(
    private.input_error(coalesce(p_scope, '') not in ('following', 'all'), 'p_scope', 'A scope is following or all; one session is changed by update_session()')
    || private.input_error(p_session_id is null, 'p_session_id', 'Say which session')
    || private.input_error(p_changes = '{}', 'p_changes', 'Say what changes')
    || private.json_object_errors(case jsonb_typeof(p_changes) when 'object' then p_changes - array['rdates', 'exdates'] else p_changes end, '{"rrule": "text", "start_time": "time", "end_time": "time",
      "location_id": "uuid", "instructor_id": "uuid", "max_capacity": "count", "min_bookings": "count", "price": "amount", "notes": "text"}', 'p_changes.')
    || private.date_list_errors(p_changes -> 'rdates', 'p_changes.rdates')
    || private.date_list_errors(p_changes -> 'exdates', 'p_changes.exdates')
  );
  select s.* into v_session from public.course_sessions s where s.id = p_session_id;
  if not found then
    perform private.fail('not_found', 'There is no such session', 'p_session_id', jsonb_build_object('id', p_session_id));
  elsif v_session.series_id is null then
    perform private.fail('invalid_input', 'This session is not part of a series', 'p_session_id');
  end if;
  select s.* into v_series from public.session_series s where s.id = v_session.series_id;
  if v_series.status = 'cancelled' then
    perform private.fail('illegal_transition', 'This series is cancelled', 'p_session_id', jsonb_build_object('series_id', v_series.id));
  end if;
  v_from := case p_scope when 'all' then v_series.first_date else v_session.series_date end;
  return row(v_series, v_from, p_scope = 'following' and v_from > v_series.first_date)::private.series_target;
end;
$$;
comment on function private.series_to_change(text, uuid, jsonb) is
  'Which series is to be changed from which date on, for a holder of manage:series; refuses what cannot be meant.';

create function private.date_list_errors(p_list jsonb, p_field text) returns jsonb
language sql immutable set search_path = ''
return private.input_error(
  p_list is not null and (
    jsonb_typeof(p_list) <> 'array'
    or exists (
      select from jsonb_array_elements(case when jsonb_typeof(p_list) = 'array' then p_list else '[]' end) as d(item)
      where jsonb_typeof(d.item) <> 'string' or private.text_to_date(d.item #>> '{}') is null
    )
  ), p_field, 'This is a list of dates, each written 2026-01-31');
comment on function private.date_list_errors(jsonb, text) is 'What is wrong with a list of dates in JSON; nothing is no list and right.';

-- Sessions, their series, seats, then resources, all locked before the plan is made that is carried out: nobody books
-- meanwhile what it moves.
create function private.lock_series_from(p_series public.session_series, p_from date, p_resource_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_sessions_of_series(p_series.id, p_from);
  perform from public.session_series s where s.id = p_series.id for no key update;
  perform private.lock_sessions_of_series(p_series.id, p_from); -- those made while this waited
  perform from public.session_seats k
  join public.course_sessions s on s.id = k.session_id
  where s.series_id = p_series.id and s.series_date >= p_from and s.starts_at > private.now()
  order by k.session_id, k.seat_no
  for update of k;
  perform private.lock_session_resources(p_resource_ids);
end;
$$;
comment on function private.lock_series_from(public.session_series, date, uuid[]) is 'Locks a series from a date on, its seats, and who and what it takes or will take.';

create function private.change_series_to(
  p_series public.session_series, p_next public.session_series, p_from date, p_is_split boolean, p_plan private.series_change[]
) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if p_is_split then
    update public.session_series s set ends_on = p_from - 1 where s.id = p_series.id;
    insert into public.session_series (id, run_id, course_id, location_id, instructor_id, rrule, first_date, ends_on, rdates, exdates, start_time,
      end_time, time_zone, max_capacity, min_bookings, price, notes)
    values (p_next.id, p_next.run_id, p_next.course_id, p_next.location_id, p_next.instructor_id, p_next.rrule, p_next.first_date, p_next.ends_on,
      p_next.rdates, p_next.exdates, p_next.start_time, p_next.end_time, p_next.time_zone, p_next.max_capacity, p_next.min_bookings, p_next.price,
      p_next.notes);
    -- They stand for dates of the one that goes on, whatever they are like.
    update public.course_sessions s set series_id = p_next.id where s.series_id = p_series.id and s.series_date >= p_from;
  else
    update public.session_series s
    set (location_id, instructor_id, rrule, rdates, exdates, start_time, end_time, max_capacity, min_bookings, price, notes)
      = (p_next.location_id, p_next.instructor_id, p_next.rrule, p_next.rdates, p_next.exdates, p_next.start_time, p_next.end_time,
        p_next.max_capacity, p_next.min_bookings, p_next.price, p_next.notes)
    where s.id = p_series.id;
  end if;
  delete from public.course_sessions s using unnest(p_plan) p where s.id = p.session_id and p.action = 'remove';
  -- Deleting leaves the date out; here it is the rule that no longer has it.
  update public.session_series s set exdates = p_next.exdates where s.id = p_next.id and s.exdates <> p_next.exdates;
  update public.course_sessions s
  set (session_date, start_time, end_time, location_id, instructor_id, max_capacity, min_bookings, price, notes)
    = (p.series_date, p_next.start_time, p_next.end_time, p_next.location_id, p_next.instructor_id, p_next.max_capacity,
      p_next.min_bookings, p_next.price, p_next.notes)
  from (select u.session_id, u.series_date from unnest(p_plan) u where u.action = 'change' order by u.session_id) p
  where s.id = p.session_id;
  perform private.insert_sessions(p_next, array(
    select row(p.series_date, p.starts_at, p.ends_at, 'planned', null, '[]')::private.planned_session from unnest(p_plan) p where p.action = 'add'
  ));
end;
$$;
comment on function private.change_series_to(public.session_series, public.session_series, date, boolean, private.series_change[]) is
  'Carries out a planned change of a series; the caller holds the locks.';
