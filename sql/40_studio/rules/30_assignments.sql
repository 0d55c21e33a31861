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
    || private.input_error(p_new.class_status = 'scheduled' and p_new.instructor_id is distinct from p_old.instructor_id
        and exists (select from public.user_profiles p where p.id = p_new.instructor_id and not p.is_active),
      'instructor_id', 'This instructor has left');
end;
$$;
comment on function private.assignment_errors(public.class_assignments, public.class_assignments) is
  'What is wrong with a class, every field at once; against what it was before, so that old rows may stay as they are.';

create function private.check_assignment() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  new.notes := private.clean_text(new.notes);
  new.schedule_type := case new.schedule_type when 'crash_course' then 'crash' else new.schedule_type end;
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
  perform private.fail_input(private.assignment_errors(new, case tg_op when 'UPDATE' then old end));
  new.starts_at := private.local_to_instant(new.date, new.start_time, new.time_zone);
  new.ends_at := private.local_end_to_instant(new.date, new.end_time, new.time_zone);
  return new;
end;
$$;
comment on function private.check_assignment() is
  'Row trigger: fills in time zone and the schedule''s date, works out starts_at and ends_at, and names every bad field.';

create trigger t10_keep_version before update on public.class_assignments
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.class_assignments
  for each row execute function private.check_assignment();
