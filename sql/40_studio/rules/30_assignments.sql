-- Class assignments by themselves: what is left out is filled in, local times become instants, and what makes no sense
-- is refused, every field at once.

create function private.assignment_errors(p_new public.class_assignments, p_old public.class_assignments) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_min constant integer := private.setting_integer('class_minutes_min');
  v_max constant integer := private.setting_integer('class_minutes_max');
  v_minutes constant numeric := extract(epoch from p_new.end_time - p_new.start_time) / 60;
  v_is_dated constant boolean := coalesce(p_new.date between date '1970-01-01' and date '2199-12-31', false);
  v_is_zoned constant boolean := coalesce(private.is_time_zone(p_new.time_zone), false);
  v_errors jsonb;
begin
  v_errors := private.input_error(p_new.date is null, 'date', 'Say on which day')
    || private.input_error(p_new.date is not null and not v_is_dated, 'date', 'A date lies between 1970 and 2199')
    || private.input_error(p_new.instructor_id is null, 'instructor_id', 'Say who teaches it')
    || private.input_error(p_new.start_time is null and p_new.end_time is not null, 'start_time', 'Start and end go together')
    || private.input_error(p_new.end_time is null and p_new.start_time is not null, 'end_time', 'Start and end go together')
    || private.input_error(p_new.end_time <= p_new.start_time, 'end_time', 'The end must be after the start')
    || private.input_error(v_minutes > 0 and v_minutes not between v_min and v_max
        and (p_new.start_time, p_new.end_time) is distinct from (p_old.start_time, p_old.end_time),
      'end_time', format('A class takes %s to %s minutes', v_min, v_max))
    || private.input_error(not v_is_zoned, 'time_zone', 'A time zone is an IANA name, such as Europe/Paris')
    || private.input_error(coalesce(p_new.payment_amount = 'NaN' or p_new.payment_amount not between 0 and 9999999999.99, false),
      'payment_amount', 'An amount is not below zero')
    || private.input_error(p_new.rate = 'NaN' or p_new.rate not between 0.01 and 9999999999.99, 'rate', 'A rate is above zero')
    || private.input_error(coalesce(p_new.payment_type, '') not in (
        'per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class'), 'payment_type',
      'A payment type is per_class, monthly, per_member, total_duration, per_class_total or per_student_per_class')
    || private.input_error(coalesce(p_new.schedule_type, '') not in ('adhoc', 'weekly', 'monthly', 'crash', 'package'), 'schedule_type',
      'A schedule type is adhoc, weekly, monthly, crash or package')
    || private.input_error(coalesce(p_new.booking_type, '') not in ('individual', 'corporate', 'private_group', 'public_group'), 'booking_type',
      'A booking type is individual, corporate, private_group or public_group')
    || private.input_error(coalesce(p_new.class_status, '') not in ('scheduled', 'completed', 'cancelled'), 'class_status',
      'A class is scheduled, completed or cancelled')
    || private.input_error(coalesce(p_new.payment_status, '') not in ('pending', 'paid', 'cancelled'), 'payment_status',
      'Pay is pending, paid or cancelled')
    || private.input_error(coalesce(p_new.instructor_status, '') not in ('pending', 'accepted', 'rejected'), 'instructor_status',
      'An instructor''s answer is pending, accepted or rejected')
    || private.input_error(length(p_new.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
    || private.input_error(p_new.schedule_id is not null and p_new.occurs_on is null, 'occurs_on', 'Say which date of the schedule it stands for');
  if v_is_dated and v_is_zoned and p_new.start_time < p_new.end_time then
    v_errors := v_errors
      || private.input_error(private.local_to_instant(p_new.date, p_new.start_time, p_new.time_zone) is null, 'start_time',
        private.describe_skipped(p_new.date, p_new.start_time, p_new.time_zone))
      || private.input_error(private.local_end_to_instant(p_new.date, p_new.end_time, p_new.time_zone) is null, 'end_time',
        private.describe_skipped(p_new.date, p_new.end_time, p_new.time_zone));
  end if;
  return v_errors
    || private.input_error(v_is_dated and p_new.class_status = 'scheduled'
        and p_new.date > private.today() + private.setting_integer('days_ahead') and p_new.date is distinct from p_old.date,
      'date', format('Classes are planned at most %s days ahead', private.setting_integer('days_ahead')))
    || private.input_error(p_new.instructor_id is not null and p_new.instructor_id is distinct from p_old.instructor_id
        and not exists (select from public.user_profiles p where p.id = p_new.instructor_id),
      'instructor_id', 'There is no such instructor')
    || private.input_error(p_new.class_status = 'scheduled' and p_new.instructor_id is distinct from p_old.instructor_id
        and exists (select from public.user_profiles p where p.id = p_new.instructor_id and not p.is_active),
      'instructor_id', 'This instructor has left');
end;
$$;
comment on function private.assignment_errors(public.class_assignments, public.class_assignments) is
  'What is wrong with a class, every field at once; against what it was before, so that old rows may stay as they are.';

-- Bulk changes come through here, row by row: what did not change was looked at before, by this and by the constraints, and
-- what is clearly right is let through quickly. Anything else is looked at field by field, to say what is wrong with it.
create function private.check_assignment() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_is_set_anew boolean;
  v_is_plain boolean;
begin
  -- Of a class that comes, the one it was is null.
  if new.notes is distinct from old.notes then
    new.notes := private.clean_text(new.notes);
  end if;
  if new.schedule_type = 'crash_course' then
    new.schedule_type := 'crash';
  end if;
  if new.schedule_id is not null and new.occurs_on is null then
    new.occurs_on := new.date;
  end if;
  if new.time_zone is null then
    new.time_zone := coalesce(
      (select s.time_zone from public.class_schedules s where s.id = new.schedule_id), private.resource_time_zone(new.location_id));
  end if;
  -- Whoever is signed in assigns in their own name.
  if tg_op = 'INSERT' and private.caller_id() is not null then
    new.assigned_by := private.caller_id();
    new.assigned_at := private.now();
  end if;
  v_is_set_anew := tg_op = 'INSERT' or row(new.instructor_id, new.payment_amount, new.rate, new.payment_type, new.schedule_type, new.booking_type,
      new.class_status, new.payment_status, new.instructor_status, new.notes, new.schedule_id, new.occurs_on)
    is distinct from row(old.instructor_id, old.payment_amount, old.rate, old.payment_type, old.schedule_type, old.booking_type,
      old.class_status, old.payment_status, old.instructor_status, old.notes, old.schedule_id, old.occurs_on);
  if not v_is_set_anew and row(new.date, new.start_time, new.end_time, new.time_zone, new.starts_at, new.ends_at)
    is not distinct from row(old.date, old.start_time, old.end_time, old.time_zone, old.starts_at, old.ends_at) then
    return new;
  end if;
  v_is_plain := coalesce(
    new.date between date '1970-01-01' and date '2199-12-31'
    and (new.start_time is null and new.end_time is null or new.start_time < new.end_time)
    and (new.end_time - new.start_time is not distinct from old.end_time - old.start_time
      or extract(epoch from new.end_time - new.start_time) / 60 between private.setting_integer('class_minutes_min') and private.setting_integer('class_minutes_max'))
    and (new.time_zone = old.time_zone or private.is_time_zone(new.time_zone))
    and (new.date is not distinct from old.date or new.class_status <> 'scheduled' or new.date <= private.today() + private.setting_integer('days_ahead'))
    and (not v_is_set_anew
      or (new.payment_amount is null or new.payment_amount between 0 and 9999999999.99)
      and (new.rate is null or new.rate between 0.01 and 9999999999.99)
      and new.payment_type in ('per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class')
      and new.schedule_type in ('adhoc', 'weekly', 'monthly', 'crash', 'package')
      and new.booking_type in ('individual', 'corporate', 'private_group', 'public_group')
      and new.class_status in ('scheduled', 'completed', 'cancelled') and new.payment_status in ('pending', 'paid', 'cancelled')
      and new.instructor_status in ('pending', 'accepted', 'rejected')
      and (new.notes is null or length(new.notes) <= 1000)
      and (new.schedule_id is null or new.occurs_on is not null)),
    false);
  -- What asks a table has a condition of its own: it costs several times an expression without a query, and with what is
  -- asked first in one with it, the whole would be planned anew for every row.
  if new.instructor_id is distinct from old.instructor_id and new.class_status = 'scheduled' then
    v_is_plain := v_is_plain and exists (select from public.user_profiles p where p.id = new.instructor_id and p.is_active);
  end if;
  if not v_is_plain then
    perform private.fail_input(private.assignment_errors(new, case tg_op when 'UPDATE' then old end));
  end if;
  -- Of two at once the index refuses the second.
  if new.schedule_id is not null and new.class_status <> 'cancelled'
    and (tg_op = 'INSERT' or (new.schedule_id, new.occurs_on) is distinct from (old.schedule_id, old.occurs_on)) then
    if exists (
      select from public.class_assignments a
      where a.schedule_id = new.schedule_id and a.occurs_on = new.occurs_on and a.class_status <> 'cancelled' and a.id <> new.id
    ) then
      perform private.fail('time_conflict', format('%s of this schedule is already assigned', new.occurs_on), 'occurs_on',
        jsonb_build_object('schedule_id', new.schedule_id, 'occurs_on', new.occurs_on));
    end if;
  end if;
  new.starts_at := private.local_to_instant(new.date, new.start_time, new.time_zone);
  -- Most ends are shown by the clock, and are asked for once.
  new.ends_at := coalesce(
    private.local_to_instant(new.date, new.end_time, new.time_zone), private.local_end_to_instant(new.date, new.end_time, new.time_zone));
  if new.starts_at is null <> (new.start_time is null) or new.ends_at is null <> (new.end_time is null) then
    perform private.fail_input(private.assignment_errors(new, null));
  end if;
  return new;
end;
$$;
comment on function private.check_assignment() is
  'Row trigger: fills in time zone and the schedule''s date, works out starts_at and ends_at, and names every bad field.';

create trigger t10_keep_version before update on public.class_assignments
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.class_assignments
  for each row execute function private.check_assignment();
