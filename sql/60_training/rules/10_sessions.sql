-- Sessions by themselves: what is left out is filled in, local times become instants, and what makes no sense is refused,
-- every field at once. Their seats are in 20_seats.sql.

create function private.session_capacity_limit(p_course_id uuid) returns integer
language sql stable security definer set search_path = ''
return least((select c.default_capacity from public.courses c where c.id = p_course_id), private.setting_integer('session_capacity_max'));
comment on function private.session_capacity_limit(uuid) is 'How many seats a session of a course may have: what the course says, within the setting.';

create function private.session_errors(p_new public.course_sessions, p_old public.course_sessions) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_limit constant integer := private.session_capacity_limit(p_new.course_id);
  v_is_dated constant boolean := coalesce(p_new.session_date between date '1970-01-01' and date '2199-12-31', false);
  v_is_zoned constant boolean := coalesce(private.is_time_zone(p_new.time_zone), false);
begin
  return private.input_error(p_new.course_id is null, 'course_id', 'Say which course')
    || private.input_error(
      p_new.course_id is distinct from p_old.course_id and p_new.course_id is not null
        and not exists (select from public.courses c where c.id = p_new.course_id and c.is_active),
      'course_id', 'There is no such course, or it is not offered any more')
    || private.input_error(p_new.session_date is null, 'session_date', 'Say on which day')
    || private.input_error(p_new.session_date is not null and not v_is_dated, 'session_date', 'A date lies between 1970 and 2199')
    || private.input_error(p_new.start_time is null, 'start_time', 'Say when it starts')
    || private.input_error(p_new.end_time is null, 'end_time', 'Say when it ends')
    || private.input_error(p_new.end_time <= p_new.start_time, 'end_time', 'The end must be after the start')
    || private.input_error(not v_is_zoned, 'time_zone', 'A time zone is an IANA name, such as Europe/Paris')
    || case when v_is_dated and v_is_zoned and p_new.start_time < p_new.end_time then
        private.input_error(private.local_to_instant(p_new.session_date, p_new.start_time, p_new.time_zone) is null, 'start_time',
          private.describe_skipped(p_new.session_date, p_new.start_time, p_new.time_zone))
        || private.input_error(private.local_end_to_instant(p_new.session_date, p_new.end_time, p_new.time_zone) is null, 'end_time',
          private.describe_skipped(p_new.session_date, p_new.end_time, p_new.time_zone))
      else '[]' end
    || private.input_error(coalesce(p_new.max_capacity, 0) < 1, 'max_capacity', 'A session has at least one seat')
    || private.input_error(
      p_new.max_capacity > v_limit
        and (p_old.id is null or p_new.max_capacity > p_old.max_capacity or p_new.course_id is distinct from p_old.course_id),
      'max_capacity',
      format('A session of this course has at most %s seats', v_limit))
    || private.input_error(p_new.min_bookings not between 1 and p_new.max_capacity, 'min_bookings', 'The minimum is at least one, and at most what fits in')
    || private.input_error(p_new.decide_by >= p_new.starts_at and p_new.decide_by is distinct from p_old.decide_by, 'decide_by',
      'Whether it is held is decided before it starts')
    || private.input_error(coalesce(p_new.status, '') not in ('tentative', 'scheduled', 'in_progress', 'completed', 'cancelled'), 'status',
      'A status is tentative, scheduled, in_progress, completed or cancelled')
    || private.input_error(p_new.status = 'tentative' and p_new.min_bookings is null, 'min_bookings', 'A tentative session waits for a minimum number')
    || private.input_error(p_new.status = 'cancelled' and p_new.cancellation_reason is null, 'cancellation_reason', 'Say why it is cancelled')
    || private.input_error(coalesce(not p_new.price between 0 and 9999999999.99, true), 'price', 'A price is not negative')
    || private.input_error(length(p_new.cancellation_reason) > 1000, 'cancellation_reason', 'A reason has at most 1000 characters')
    || private.input_error(length(p_new.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
    || private.input_error(
      p_new.instructor_id is not null and p_new.instructor_id is distinct from p_old.instructor_id
        and not exists (select from public.user_profiles p where p.id = p_new.instructor_id and p.is_active),
      'instructor_id', 'There is no such instructor, or they left')
    || private.input_error(
      p_new.location_id is not null and p_new.location_id is distinct from p_old.location_id
        and not exists (select from public.locations l where l.id = p_new.location_id and l.is_active),
      'location_id', 'There is no such place, or it is not used any more');
end;
$$;
comment on function private.session_errors(public.course_sessions, public.course_sessions) is
  'What is wrong with a session, every field at once; against what it was before, so that old rows may stay as they are.';

create function private.complete_session(p_new public.course_sessions) returns public.course_sessions
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_course public.courses;
begin
  select c.* into v_course from public.courses c where c.id = p_new.course_id;
  p_new.time_zone := coalesce(p_new.time_zone, private.resource_time_zone(p_new.location_id));
  p_new.price := coalesce(p_new.price, v_course.price, 0);
  p_new.max_capacity := coalesce(p_new.max_capacity, private.session_capacity_limit(p_new.course_id));
  -- A day has 1440 minutes: what would go on after midnight has to say when it ends.
  p_new.end_time := coalesce(p_new.end_time, case
    when extract(epoch from p_new.start_time) / 60 + v_course.duration_minutes < 1440
      then p_new.start_time + make_interval(mins => v_course.duration_minutes) end);
  if p_new.min_bookings is not null and p_new.status = 'scheduled' then
    p_new.status := 'tentative';
  end if;
  return p_new;
end;
$$;
comment on function private.complete_session(public.course_sessions) is 'A new session with what was left out filled in from its course and place.';

create function private.refuse_session_change(p_new public.course_sessions, p_old public.course_sessions) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_details constant jsonb := jsonb_build_object('id', p_new.id, 'from', p_old.status, 'to', p_new.status, 'starts_at', p_new.starts_at);
begin
  if p_old.id is not null and p_new.status <> p_old.status and (p_old.status, p_new.status) not in (
      ('tentative', 'scheduled'), ('tentative', 'in_progress'), ('tentative', 'cancelled'),
      ('scheduled', 'in_progress'), ('scheduled', 'completed'), ('scheduled', 'cancelled'), ('in_progress', 'completed')) then
    perform private.fail('illegal_transition', format('A session that is %s does not become %s', p_old.status, p_new.status), 'status', v_details);
  end if;
  if p_new.status in ('in_progress', 'completed') and p_new.status is distinct from p_old.status and p_new.starts_at > private.now() then
    perform private.fail('illegal_transition', 'The session has not begun', 'status', v_details);
  end if;
  if p_old.id is null then
    return;
  end if;
  -- The job that says it is in progress comes some minutes later. One that nobody decided to hold was not held.
  if p_new.status = 'cancelled' and p_old.status = 'scheduled' and p_old.starts_at <= private.now() then
    perform private.fail('illegal_transition', 'The session has begun', 'status', v_details);
  end if;
  if (p_new.session_date, p_new.start_time, p_new.end_time, p_new.time_zone) <> (p_old.session_date, p_old.start_time, p_old.end_time, p_old.time_zone)
    and p_old.status not in ('tentative', 'scheduled') then
    perform private.fail('illegal_transition', format('A session that is %s stays when it was', p_old.status), 'session_date', v_details);
  end if;
  -- Its hours may still be corrected, but nobody was at what is yet to come.
  if p_old.starts_at <= private.now() and p_new.starts_at > private.now()
    and exists (select from public.session_bookings b where b.session_id = p_new.id and b.status in ('attended', 'no_show')) then
    perform private.fail('illegal_transition', 'Its register was begun: the session cannot be put off any more', 'session_date', v_details);
  end if;
  if p_new.course_id <> p_old.course_id and exists (select from public.session_bookings b where b.session_id = p_new.id) then
    perform private.fail('illegal_transition', 'Somebody booked this session for its course: it stays one of that course', 'course_id', v_details);
  end if;
end;
$$;
comment on function private.refuse_session_change(public.course_sessions, public.course_sessions) is
  'Raises illegal_transition for what a session cannot become, or cannot be any more.';

create function private.check_session() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_old public.course_sessions := case tg_op when 'UPDATE' then old end;
begin
  new.notes := private.clean_text(new.notes);
  new.cancellation_reason := private.clean_text(new.cancellation_reason);
  if tg_op = 'INSERT' then
    new := private.complete_session(new);
  elsif new.status = 'tentative' and new.min_bookings <> old.min_bookings and private.seats_taken(new.id) >= new.min_bookings then
    new.status := 'scheduled';
  end if;
  if new.session_date between date '1970-01-01' and date '2199-12-31' and private.is_time_zone(new.time_zone) then
    new.starts_at := private.local_to_instant(new.session_date, new.start_time, new.time_zone);
    new.ends_at := private.local_end_to_instant(new.session_date, new.end_time, new.time_zone);
  end if;
  perform private.fail_input(private.session_errors(new, v_old));
  perform private.refuse_session_change(new, v_old);
  if new.status <> 'cancelled' then
    new.cancelled_at := null;
    new.cancellation_reason := null;
  elsif v_old.status is distinct from 'cancelled' then
    new.cancelled_at := private.now();
  else
    new.cancelled_at := v_old.cancelled_at;
  end if;
  return new;
end;
$$;
comment on function private.check_session() is
  'Row trigger: fills in what was left out, works out the instants, names every bad field, and keeps the order of what a session becomes.';

create trigger t10_keep_version before update on public.course_sessions
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.course_sessions
  for each row execute function private.check_session();

create function private.keep_booked_session() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if exists (select from public.session_bookings b where b.session_id = old.id) then
    perform private.fail('illegal_transition', 'Somebody booked this session: it can be cancelled, not deleted', 'id',
      jsonb_build_object('id', old.id), 'Call cancel_session(): whoever booked is told.');
  end if;
  return old;
end;
$$;
comment on function private.keep_booked_session() is 'Row trigger: a session that was ever booked is not deleted.';

create trigger t20_keep_booked before delete on public.course_sessions
  for each row execute function private.keep_booked_session();

create function private.prepare_sessions() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.ensure_teachers(array(select distinct n.instructor_id from new_rows n));
  return null;
end;
$$;
comment on function private.prepare_sessions() is 'Statement trigger: who is to teach a session can be planned with from then on.';

create trigger t30_prepare_insert after insert on public.course_sessions
  referencing new table as new_rows for each statement execute function private.prepare_sessions();
create trigger t30_prepare_update after update on public.course_sessions
  referencing new table as new_rows for each statement execute function private.prepare_sessions();

-- What sessions take.
create view private.course_sessions_claims as
select s.id as source_id, r.resource_id, tstzrange(s.starts_at, s.ends_at) as during, s.session_date as occurs_on, 'session' as kind, c.title
from public.course_sessions s
join public.courses c on c.id = s.course_id
cross join lateral (values (s.instructor_id), (s.location_id)) as r (resource_id)
where r.resource_id is not null and s.status <> 'cancelled';
comment on view private.course_sessions_claims is 'What sessions take: the instructor and the place, unless they are cancelled.';

select private.attach_claims('public.course_sessions');

create function private.rename_sessions() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  select array_agg(s.id order by s.id) into v_ids from public.course_sessions s where s.course_id = new.id and s.status <> 'cancelled';
  if v_ids is not null then
    perform private.lock_sources('course_sessions', v_ids);
    perform private.derive_claims('course_sessions', v_ids);
  end if;
  return null;
end;
$$;
comment on function private.rename_sessions() is 'Row trigger on courses: its sessions carry the title in the ledger.';

create trigger t60_rename_sessions after update of title on public.courses
  for each row when (old.title is distinct from new.title) execute function private.rename_sessions();
