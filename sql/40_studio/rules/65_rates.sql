-- Instructors' rates, and how the rate in force on the day is frozen on a class.

create function private.check_rate() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_other public.instructor_rates;
begin
  -- Before anything is said of other rates: policies are asked after this.
  if tg_op = 'INSERT' then
    perform private.require_permission('manage:pay');
  end if;
  perform private.fail_input(
    private.input_error(new.instructor_id is null, 'instructor_id', 'Say whose rate it is')
    || private.input_error(coalesce(new.payment_type, '') not in (
        'per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class'), 'payment_type',
      'A payment type is per_class, monthly, per_member, total_duration, per_class_total or per_student_per_class')
    || private.input_error(new.rate is null, 'rate', 'Say how much')
    || private.input_error(new.rate <= 0, 'rate', 'A rate is above zero')
    || private.input_error(new.rate = 'NaN', 'rate', 'A rate is a number')
    || private.input_error(new.effective_from is null, 'effective_from', 'Say from when')
    || private.input_error(new.effective_from not between date '1970-01-01' and date '2199-12-31', 'effective_from', 'A date lies between 1970 and 2199')
    || private.input_error(new.effective_until not between date '1970-01-01' and date '2199-12-31', 'effective_until', 'A date lies between 1970 and 2199')
    || private.input_error(new.effective_until < new.effective_from, 'effective_until', 'The last day must not be before the first')
  );
  -- Of two at once the exclusion constraint refuses the second.
  select r.* into v_other from public.instructor_rates r
  where r.instructor_id = new.instructor_id and r.payment_type = new.payment_type and r.id <> new.id
    and r.class_type_id is not distinct from new.class_type_id
    and daterange(r.effective_from, r.effective_until, '[]') && daterange(new.effective_from, new.effective_until, '[]')
  order by r.effective_from
  limit 1;
  if found then
    perform private.fail('duplicate', format('There is a rate for this from %s %s', v_other.effective_from, coalesce('to ' || v_other.effective_until, 'on')),
      'effective_from', jsonb_build_object('rate_id', v_other.id, 'effective_from', v_other.effective_from, 'effective_until', v_other.effective_until),
      'Let the other one end the day before: set its effective_until.');
  end if;
  return new;
end;
$$;
comment on function private.check_rate() is
  'Row trigger: names every bad field of a rate, and the one that is in force already.';

create trigger t10_keep_version before update on public.instructor_rates
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.instructor_rates
  for each row execute function private.check_rate();

create function private.rate_for(p_instructor_id uuid, p_class_type_id uuid, p_payment_type text, p_on date)
returns public.instructor_rates
language sql stable security definer set search_path = ''
begin atomic
  select r.*
  from public.instructor_rates r
  where r.instructor_id = p_instructor_id and r.payment_type = p_payment_type
    and (r.class_type_id = p_class_type_id or r.class_type_id is null)
    and daterange(r.effective_from, r.effective_until, '[]') @> p_on
  order by r.class_type_id nulls last
  limit 1;
end;
comment on function private.rate_for(uuid, uuid, text, date) is
  'The rate of an instructor in force on a day: the one for the class type before the one for all; null where there is none.';

-- Fires after the triggers that fill in and check a class, and before what keeps closed periods, which has to see the
-- amount it comes to. Only types that pay class by class have an amount without knowing the whole plan.
create function private.freeze_rate() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_pays_by_class constant boolean := new.payment_type in ('per_class', 'per_class_total');
  v_follows boolean := false;
  v_rate public.instructor_rates;
begin
  if tg_op = 'UPDATE' and new.rate_id is not distinct from old.rate_id and new.payment_amount = old.payment_amount
    and new.rate is distinct from old.rate then
    -- Another rate was given, and nothing else of the amount.
    new.rate_id := null;
    if v_pays_by_class and new.rate is not null then
      new.payment_amount := new.rate;
    end if;
    return new;
  elsif tg_op = 'UPDATE' and new.rate_id = old.rate_id then
    v_follows := new.payment_amount = old.payment_amount
      and (new.instructor_id, new.date, new.class_type_id, new.payment_type)
        is distinct from (old.instructor_id, old.date, old.class_type_id, old.payment_type);
    -- Another amount was agreed on, which no rate explains any more.
    if new.payment_amount <> old.payment_amount then
      new.rate_id := null;
      new.rate := nullif(new.rate, old.rate);
    end if;
  elsif new.rate_id is not null and new.payment_amount is not null then
    perform private.fail_input(private.input_error(
      not exists (select from public.instructor_rates r where r.id = new.rate_id and r.instructor_id = new.instructor_id),
      'rate_id', 'This is no rate of the instructor''s'));
  end if;
  if new.payment_amount is not null and not v_follows then
    return new;
  end if;
  if new.payment_amount is null and v_pays_by_class and new.rate is not null and (tg_op = 'INSERT' or new.rate is distinct from old.rate) then
    new.rate_id := null;
    new.payment_amount := new.rate;
    return new;
  end if;
  if v_pays_by_class then
    v_rate := private.rate_for(new.instructor_id, new.class_type_id, new.payment_type, new.date);
  end if;
  new.rate_id := v_rate.id;
  new.rate := coalesce(v_rate.rate, new.rate);
  new.payment_amount := coalesce(v_rate.rate, new.payment_amount, 0);
  return new;
end;
$$;
comment on function private.freeze_rate() is
  'Row trigger: an amount left out is what the instructor''s rate says on that day, frozen; a frozen one is taken anew when somebody else teaches, or another class or day.';

create trigger t27_freeze_rate before insert on public.class_assignments
  for each row execute function private.freeze_rate();
create trigger t27_freeze_rate_on_update before update on public.class_assignments
  for each row when (
    (new.payment_amount, new.rate, new.rate_id, new.instructor_id, new.date, new.class_type_id, new.payment_type)
      is distinct from (old.payment_amount, old.rate, old.rate_id, old.instructor_id, old.date, old.class_type_id, old.payment_type)
  )
  execute function private.freeze_rate();

-- After the row is there, since not every row that was tried gets there. What classes of a plan are paid at a rate that
-- was given is written down by set_assignment_pay(), which knows the whole plan.
create function private.keep_rate_calculation() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into public.payment_calculations (assignment_id, method, original_amount, calculated_amount, inputs, calculated_by)
  values (new.id, new.payment_type, case tg_op when 'UPDATE' then old.payment_amount else 0 end, new.payment_amount,
    jsonb_build_object('rate', new.rate, 'rate_id', new.rate_id, 'class_count', 1, 'minutes',
      coalesce(round(extract(epoch from new.ends_at - new.starts_at) / 60), 0), 'total', new.payment_amount, 'position', 1),
    private.caller_id());
  return null;
end;
$$;
comment on function private.keep_rate_calculation() is 'Row trigger: writes down each amount that came from a rate for one class.';

create trigger t60_keep_calculation after insert on public.class_assignments
  for each row when (
    new.payment_type in ('per_class', 'per_class_total') and new.rate = new.payment_amount
    and (new.rate_id is not null or new.plan_id is null)
  )
  execute function private.keep_rate_calculation();
create trigger t60_keep_calculation_anew after update on public.class_assignments
  for each row when (
    new.payment_type in ('per_class', 'per_class_total') and new.rate = new.payment_amount
    and (new.rate_id is not null or new.plan_id is null)
    and (new.payment_type, new.rate, new.rate_id, new.plan_id, new.payment_amount)
      is distinct from (old.payment_type, old.rate, old.rate_id, old.plan_id, old.payment_amount)
  )
  execute function private.keep_rate_calculation();

create trigger t10_only_added_to before update or delete or truncate on public.payment_calculations
  for each statement execute function private.refuse_statement('payment_calculations is only ever added to');
