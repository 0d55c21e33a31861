-- Planned for the days asked for, since a plan for any days is one for few rows.
create function private.instructor_pay_for_caller(p_from date, p_to date, p_instructor_ids uuid[]) returns table (
  instructor_id uuid, instructor_name text, class_count integer, minutes integer,
  amount_due numeric, amount_paid numeric, amount_open numeric, amount_planned numeric
)
language plpgsql stable security definer set search_path = '' set plan_cache_mode = force_custom_plan
as $$
declare
  v_ids constant uuid[] := private.numbers_of(p_instructor_ids);
begin
  perform private.fail_input(private.days_errors(p_from, p_to, 'p_from', 'p_to'));
  return query
    with classes as (
      select c.*, c.class_status = 'completed' and c.payment_status <> 'cancelled' as is_due,
        c.class_status = 'scheduled' and c.instructor_status <> 'rejected' and c.payment_status <> 'cancelled' as is_planned
      from private.paid_classes c
      where c.date between p_from and p_to and (v_ids is null or c.instructor_id = any(v_ids))
    ),
    sums as (
      select c.instructor_id, count(*) filter (where c.is_due) as classes,
        sum(c.ends_at - c.starts_at) filter (where c.is_due) as taught,
        coalesce(sum(c.payment_amount) filter (where c.is_due), 0.00) as due,
        coalesce(sum(c.payment_amount) filter (where c.is_due and c.payment_status = 'paid'), 0.00) as paid,
        coalesce(sum(c.payment_amount) filter (where c.is_planned), 0.00) as planned
      from classes c
      where c.is_due or c.is_planned
      group by c.instructor_id
    )
    select s.instructor_id, p.full_name, s.classes::integer, coalesce(round(extract(epoch from s.taught) / 60), 0)::integer, s.due, s.paid, s.due - s.paid, s.planned
    from sums s
    join public.user_profiles p on p.id = s.instructor_id
    order by p.full_name, s.instructor_id;
end;
$$;
comment on function private.instructor_pay_for_caller(date, date, uuid[]) is 'What public.instructor_pay does, with the rights to do it.';

create function public.instructor_pay(p_from date, p_to date, p_instructor_ids uuid[] default null) returns table (
  instructor_id uuid, instructor_name text, class_count integer, minutes integer,
  amount_due numeric, amount_paid numeric, amount_open numeric, amount_planned numeric
)
language sql stable set search_path = ''
begin atomic
  select p.instructor_id, p.instructor_name, p.class_count, p.minutes, p.amount_due, p.amount_paid, p.amount_open, p.amount_planned
  from private.instructor_pay_for_caller(p_from, p_to, p_instructor_ids) p;
end;
comment on function public.instructor_pay(date, date, uuid[]) is
  'The pay run: for each instructor with classes from p_from to p_to (both included; archived classes too), how many they completed, minutes from start to end, what is due for them, paid and still open, and what is planned beside, for classes still scheduled and not rejected. A class whose pay was cancelled is not due. With read:analytics everybody''s, or that of p_instructor_ids; with read:own_analytics one''s own, others asked for are left out. Ordered by name. Raises forbidden without either, invalid_input.';
