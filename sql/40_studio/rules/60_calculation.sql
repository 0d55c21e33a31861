-- What a rate buys: the one place that turns rates into amounts. Exact decimals throughout.

create function private.payment_errors(
  p_payment_type text, p_rate numeric, p_class_count integer, p_student_count integer, p_minutes integer, p_months integer
) returns jsonb
language sql immutable parallel safe set search_path = ''
return private.input_error(
    coalesce(p_payment_type, '') not in ('per_class', 'monthly', 'per_member', 'total_duration', 'per_class_total', 'per_student_per_class'),
    'p_payment_type', 'A payment type is per_class, monthly, per_member, total_duration, per_class_total or per_student_per_class')
  || private.input_error(p_rate is null, 'p_rate', 'Say at which rate')
  || private.input_error(p_rate <= 0, 'p_rate', 'A rate is above zero')
  -- NaN and Infinity are above everything.
  || private.input_error(p_rate > 9999999999.99, 'p_rate', 'A rate is at most 9999999999.99')
  || private.input_error(coalesce(p_class_count, 0) not between 1 and 1000, 'p_class_count', 'A plan has 1 to 1000 classes')
  || private.input_error(
    p_payment_type in ('per_member', 'per_student_per_class') and coalesce(p_student_count, 0) not between 1 and 10000,
    'p_student_count', 'Say how many take part: 1 to 10000')
  || private.input_error(p_minutes < 0, 'p_minutes', 'A plan does not last less than no time')
  || private.input_error(p_payment_type = 'monthly' and p_months not between 1 and 120, 'p_months', 'A plan lasts 1 to 120 months');
comment on function private.payment_errors(text, numeric, integer, integer, integer, integer) is
  'What is wrong with asking for a payment, for private.fail_input; what the payment type does not need may be anything.';

create function private.split_amount(p_total numeric, p_parts integer) returns numeric[]
language sql immutable strict parallel safe set search_path = ''
return array(
  select round((div(p_total * 100, p_parts) + (n.position <= mod(p_total * 100, p_parts))::integer) / 100, 2)
  from generate_series(1, p_parts) as n(position)
  order by n.position
);
comment on function private.split_amount(numeric, integer) is
  'An amount in whole cents in so many parts that add up to it and differ by a cent at most; the first ones get the cents that are left over.';

create function private.class_amounts(
  p_payment_type text, p_rate numeric, p_class_count integer, p_student_count integer, p_minutes integer, p_months integer
) returns numeric[]
language plpgsql immutable parallel safe set search_path = ''
as $$
declare
  v_amounts numeric[];
begin
  perform private.fail_input(private.payment_errors(p_payment_type, p_rate, p_class_count, p_student_count, p_minutes, p_months));
  v_amounts := case p_payment_type
    when 'per_class' then array_fill(round(p_rate, 2), array[p_class_count])
    when 'per_student_per_class' then array_fill(round(p_rate * p_student_count, 2), array[p_class_count])
    else private.split_amount(round(p_rate * case p_payment_type
        when 'per_class_total' then p_class_count
        when 'monthly' then coalesce(p_months, 1)
        when 'per_member' then p_student_count
        when 'total_duration' then 1
      end, 2), p_class_count)
  end;
  perform private.fail_input(private.input_error(v_amounts[1] > 9999999999.99, 'p_rate', 'A class costs at most 9999999999.99'));
  return v_amounts;
end;
$$;
comment on function private.class_amounts(text, numeric, integer, integer, integer, integer) is
  'What each class of a plan is paid, in their order; see public.calculate_payment().';

-- A month's rate is split over the classes of that month, whatever the other months hold.
create function private.plan_amounts(
  p_payment_type text,
  p_rate numeric,
  p_dates date[],
  p_student_count integer default null,
  p_minutes integer default null,
  p_months integer default null
) returns numeric[]
language plpgsql immutable parallel safe set search_path = ''
as $$
begin
  perform private.fail_input(
    private.payment_errors(p_payment_type, p_rate, cardinality(p_dates), p_student_count, p_minutes, p_months)
    || private.input_error(array_position(p_dates, null) is not null, 'p_dates', 'Each class has a date'));
  return (
    with dated as (
      select d.n, d.date, case when p_payment_type = 'monthly' and p_months is null then date_trunc('month', d.date::timestamp) end as month
      from unnest(p_dates) with ordinality as d(date, n)
    ),
    classes as (
      select d.n, d.month, row_number() over (partition by d.month order by d.date, d.n) as position from dated d
    ),
    parts as (
      select c.month, private.class_amounts(p_payment_type, p_rate, count(*)::integer, p_student_count, p_minutes, p_months) as amounts
      from classes c
      group by c.month
    )
    select array_agg(p.amounts[c.position] order by c.n)
    from classes c
    join parts p on p.month is not distinct from c.month
  );
end;
$$;
comment on function private.plan_amounts(text, numeric, date[], integer, integer, integer) is
  'What each class of a plan on these dates is paid, in the order of the dates given. Cents left over go to the earlier dates. A monthly rate is paid for each calendar month that has classes, split over those; or, where p_months says how many months were agreed, for so many, split over all.';
