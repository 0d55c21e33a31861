-- Series by themselves: what is left out is filled in, what makes no sense is refused as a session would be, and the
-- dates of one are worked out. What becomes of them is in 52_planning.sql and 54_changing_series.sql.

create function private.series_session(p_series public.session_series, p_date date) returns public.course_sessions
language plpgsql immutable set search_path = ''
as $$
declare
  v_session public.course_sessions;
begin
  v_session.course_id := p_series.course_id;
  v_session.location_id := p_series.location_id;
  v_session.instructor_id := p_series.instructor_id;
  v_session.session_date := p_date;
  v_session.start_time := p_series.start_time;
  v_session.end_time := p_series.end_time;
  v_session.time_zone := p_series.time_zone;
  v_session.max_capacity := p_series.max_capacity;
  v_session.min_bookings := p_series.min_bookings;
  v_session.price := p_series.price;
  v_session.notes := p_series.notes;
  v_session.status := 'scheduled';
  v_session.series_id := p_series.id;
  v_session.series_date := p_date;
  return v_session;
end;
$$;
comment on function private.series_session(public.session_series, date) is 'What the session of a series on one of its dates is like.';

create function private.series_errors(p_new public.session_series, p_old public.session_series) returns jsonb
language sql stable security definer set search_path = ''
return private.rrule_errors(p_new.rrule, 'rrule')
  || private.input_error(p_new.first_date is null, 'first_date', 'Say from which day on')
  || private.input_error(p_new.first_date not between date '1970-01-01' and date '2199-12-31', 'first_date', 'A date lies between 1970 and 2199')
  || private.input_error(p_new.ends_on not between p_new.first_date - 1 and date '2199-12-31', 'ends_on', 'It does not end before it begins')
  || private.input_error(cardinality(p_new.rdates) > 1000 or array_position(p_new.rdates, null) is not null, 'rdates', 'At most 1000 dates besides the rule''s')
  || private.input_error(cardinality(p_new.exdates) > 10000 or array_position(p_new.exdates, null) is not null, 'exdates', 'At most 10000 dates are left out')
  || private.input_error(p_new.status = 'cancelled' and p_new.cancellation_reason is null, 'cancellation_reason', 'Say why it is cancelled')
  -- As a session is looked at, on a day on which no clock changes.
  || private.session_errors(private.series_session(p_new, date '2001-01-17'),
    case when p_old.id is not null then jsonb_populate_record(private.series_session(p_old, date '2001-01-17'), jsonb_build_object('id', p_old.id)) end);
comment on function private.series_errors(public.session_series, public.session_series) is
  'What is wrong with a series, every field at once; against what it was before.';

create function private.complete_series(p_new public.session_series) returns public.session_series
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_like constant public.course_sessions := private.complete_session(private.series_session(p_new, p_new.first_date));
begin
  p_new.id := coalesce(p_new.id, gen_random_uuid());
  p_new.run_id := coalesce(p_new.run_id, p_new.id);
  p_new.rdates := coalesce(p_new.rdates, '{}');
  p_new.exdates := coalesce(p_new.exdates, '{}');
  p_new.end_time := v_like.end_time;
  p_new.time_zone := v_like.time_zone;
  p_new.max_capacity := v_like.max_capacity;
  p_new.price := v_like.price;
  p_new.notes := private.clean_text(p_new.notes);
  p_new.status := coalesce(p_new.status, 'active');
  p_new.cancellation_reason := private.clean_text(p_new.cancellation_reason);
  return p_new;
end;
$$;
comment on function private.complete_series(public.session_series) is 'A series with what was left out filled in, from its course and place.';

create function private.check_series() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_old public.session_series := case tg_op when 'UPDATE' then old end;
begin
  new := private.complete_series(new);
  perform private.fail_input(private.series_errors(new, v_old));
  if v_old.status = 'cancelled' and new.status <> 'cancelled' then
    perform private.fail('illegal_transition', 'A cancelled series stays cancelled: create another one', 'status', jsonb_build_object('id', new.id));
  end if;
  return new;
end;
$$;
comment on function private.check_series() is 'Row trigger: fills in what was left out, and names every bad field of a series.';

create trigger t10_keep_version before update on public.session_series
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.session_series
  for each row execute function private.check_series();

-- Sessions before their series: whoever deletes a session holds it, and then leaves its date out.
create function private.lock_sessions_of_series(p_series_id uuid, p_from date) returns void
language sql volatile security definer set search_path = ''
begin atomic
  select from public.course_sessions s where s.series_id = p_series_id and s.series_date >= p_from order by s.id for no key update;
end;
comment on function private.lock_sessions_of_series(uuid, date) is 'Locks the sessions of a series from a date on, in the order everybody locks them in.';

-- Whoever cancels a series, in whatever way, cancels what has not begun; what happened stays.
create function private.cancel_sessions_of_series() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform from public.course_sessions s
  where s.series_id = new.id and s.status in ('tentative', 'scheduled')
  order by s.id
  for no key update;
  update public.course_sessions s
  set status = 'cancelled', cancellation_reason = new.cancellation_reason
  where s.series_id = new.id and s.status in ('tentative', 'scheduled') and s.starts_at > private.now();
  return null;
end;
$$;
comment on function private.cancel_sessions_of_series() is 'Row trigger: with a series, its sessions that have not begun are cancelled.';

create trigger t60_cancel_sessions after update on public.session_series
  for each row when (old.status <> 'cancelled' and new.status = 'cancelled') execute function private.cancel_sessions_of_series();

-- A session of a series stands for a date of it; which one does not change with the day it is held on.
create function private.keep_series_date() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
  new.series_date := case when new.series_id is not null then coalesce(new.series_date, new.session_date) end;
  return new;
end;
$$;
comment on function private.keep_series_date() is 'Row trigger: a session put into a series stands for the date it is on, if nothing else is said.';

create trigger t25_keep_series_date before insert or update of series_id, series_date on public.course_sessions
  for each row execute function private.keep_series_date();

-- Deleted on purpose, it is not to come back at night.
create function private.leave_date_out() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  update public.session_series s
  set exdates = array(select d from unnest(s.exdates || g.dates) as d group by d order by d)
  from (
    select o.series_id, array_agg(o.series_date) as dates from old_rows o where o.series_id is not null group by o.series_id
  ) g
  where s.id = g.series_id and not s.exdates @> g.dates;
  return null;
end;
$$;
comment on function private.leave_date_out() is 'Statement trigger: the date of a deleted session is left out of its series from then on.';

create trigger t60_leave_date_out after delete on public.course_sessions
  referencing old table as old_rows for each statement execute function private.leave_date_out();

create function private.series_dates(p_series public.session_series, p_through date) returns setof date
language sql stable set search_path = ''
begin atomic
  select d.day
  from (
    select r.day
    from (select private.read_rrule((p_series).rrule, 'rrule') as rule offset 0) u
    cross join lateral private.recurrence_dates(u.rule, (p_series).first_date,
      least(p_through, (p_series).ends_on, private.recurrence_ends_on(u.rule, (p_series).start_time, (p_series).time_zone))) as r(day)
    union
    select a.day from unnest((p_series).rdates) as a(day) where a.day <= least(p_through, (p_series).ends_on)
  ) d
  where d.day <> all((p_series).exdates)
  order by d.day;
end;
comment on function private.series_dates(public.session_series, date) is 'The dates of a series through another, exceptions and all, in order.';

create function private.series_through() returns date
language sql stable set search_path = ''
return private.today() + private.setting_integer('series_horizon_days');
comment on function private.series_through() is 'The last date sessions of series are made for.';
