create function private.set_pay(
  p_assignment_ids uuid[], p_payment_type text, p_rate numeric, p_student_count integer, p_months integer
) returns setof public.class_assignments
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_dates date[];
  v_originals numeric[];
  v_plan_id uuid;
  v_minutes integer;
  v_amounts numeric[];
  v_missing uuid[];
  v_ended uuid[];
begin
  perform private.require_permission('update:assignment');
  perform from public.class_assignments a where a.id = any(p_assignment_ids) order by a.id for no key update;
  select array_agg(a.id order by a.date, a.start_time, a.id), array_agg(a.date order by a.date, a.start_time, a.id),
    array_agg(a.payment_amount order by a.date, a.start_time, a.id),
    case when count(distinct a.plan_id) = 1 and count(a.plan_id) = count(*) then (array_agg(a.plan_id))[1] else gen_random_uuid() end,
    coalesce(sum(extract(epoch from a.ends_at - a.starts_at) / 60), 0),
    array_agg(a.id order by a.date, a.start_time, a.id) filter (where a.class_status = 'cancelled' or a.payment_status <> 'pending')
  into v_ids, v_dates, v_originals, v_plan_id, v_minutes, v_ended
  from public.class_assignments a
  where a.id = any(p_assignment_ids);
  v_missing := array(select u.id from unnest(p_assignment_ids) as u(id) where u.id <> all(coalesce(v_ids, '{}')));
  if v_missing <> '{}' then
    perform private.fail('not_found', format('%s of these classes do not exist', cardinality(v_missing)), 'p_assignment_ids',
      jsonb_build_object('missing', to_jsonb(v_missing)));
  end if;
  if v_ended <> '{}' then
    perform private.fail('illegal_transition', format('%s of these classes are cancelled, or their pay is settled', cardinality(v_ended)),
      'p_assignment_ids', jsonb_build_object('ids', to_jsonb(v_ended)));
  end if;
  v_amounts := private.plan_amounts(p_payment_type, p_rate, v_dates, p_student_count, v_minutes, p_months);
  update public.class_assignments a
  set payment_type = p_payment_type, payment_amount = u.amount, rate = p_rate, rate_id = null,
    -- Classes that are paid for one by one need no plan.
    plan_id = case when p_payment_type in ('per_class', 'per_student_per_class') then a.plan_id else v_plan_id end
  from unnest(v_ids, v_amounts) as u(id, amount)
  where a.id = u.id;
  insert into public.payment_calculations (assignment_id, method, original_amount, calculated_amount, inputs, calculated_by)
  select u.id, p_payment_type, u.original, u.amount,
    jsonb_build_object('rate', p_rate, 'class_count', cardinality(v_ids), 'student_count', p_student_count, 'minutes', v_minutes,
      'months', p_months, 'total', sum(u.amount) over (), 'position', u.position),
    private.caller_id()
  from unnest(v_ids, v_originals, v_amounts) with ordinality as u(id, original, amount, position)
  join public.class_assignments a on a.id = u.id
  -- A trigger has written these down, as it does whoever sets the rate of one class.
  where p_payment_type <> 'per_class' or a.plan_id is not null
  order by u.position;
  return query select a.* from public.class_assignments a where a.id = any(v_ids) order by a.date, a.start_time, a.id;
end;
$$;
comment on function private.set_pay(uuid[], text, numeric, integer, integer) is
  'What public.set_assignment_pay does, for a holder of update:assignment.';

create function public.set_assignment_pay(
  p_assignment_ids uuid[],
  p_payment_type text,
  p_rate numeric,
  p_student_count integer default null,
  p_months integer default null,
  p_idempotency_key text default null
) returns setof public.class_assignments
language plpgsql volatile set search_path = ''
as $$
declare
  v_limit constant integer := private.setting_integer('bulk_limit');
  v_ids constant uuid[] := array(select distinct u.id from unnest(p_assignment_ids) as u(id) where u.id is not null);
  v_request jsonb := jsonb_build_object('assignment_ids', p_assignment_ids, 'payment_type', p_payment_type, 'rate', p_rate,
    'student_count', p_student_count, 'months', p_months);
  v_answer jsonb;
begin
  perform private.require_permission('update:assignment');
  v_answer := private.answered_before('set_assignment_pay', p_idempotency_key, v_request);
  if v_answer is null then
    if cardinality(v_ids) > v_limit then
      perform private.fail('limit_exceeded', format('At most %s classes are paid for in one call', v_limit), 'p_assignment_ids',
        jsonb_build_object('limit', v_limit, 'asked', cardinality(v_ids)));
    end if;
    perform private.fail_input(
      private.input_error(v_ids = '{}', 'p_assignment_ids', 'Say which classes')
      || private.payment_errors(p_payment_type, p_rate, greatest(cardinality(v_ids), 1), p_student_count, null, p_months)
      || private.input_error(p_rate between 0 and 9999999999.99 and p_rate <> round(p_rate, 2), 'p_rate', 'A rate has at most two decimals'));
    v_answer := coalesce((select jsonb_agg(to_jsonb(s)) from private.set_pay(v_ids, p_payment_type, p_rate, p_student_count, p_months) s), '[]');
    perform private.remember_answer('set_assignment_pay', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.class_assignments, v_answer);
end;
$$;
comment on function public.set_assignment_pay(uuid[], text, numeric, integer, integer, text) is
  'Agrees on what these classes are paid, as one plan: calculate_payment() over them in the order of their dates. A monthly rate is paid for each calendar month that has classes, split over those; or for p_months months, split over all, where that is given. Writes amount, rate and payment type, a plan_id for all where they had none in common and are paid for together, and a row of payment_calculations for each. Needs update:assignment. Returns the classes. Raises invalid_input naming every field, not_found, limit_exceeded beyond the setting bulk_limit, illegal_transition for cancelled classes, settled pay and closed pay periods.';
