create view private.amount_differences as
select a.id as assignment_id, a.instructor_id, a.date, a.payment_status, a.payment_amount, c.id as calculation_id, c.calculated_amount,
  exists (
    select from public.pay_periods p where p.status = 'closed' and a.date between p.starts_on and p.ends_on
  ) as is_closed
from public.class_assignments a
cross join lateral (
  select c.id, c.calculated_amount from public.payment_calculations c where c.assignment_id = a.id order by c.id desc limit 1
) c
where abs(a.payment_amount - c.calculated_amount) > 0.01 and a.class_status <> 'cancelled';
comment on view private.amount_differences is 'Classes, not cancelled, whose amount is not what was last calculated.';

create function private.check_amounts_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', d.assignment_id::text,
    format('The class of %s on %s is paid %s, and %s was calculated', p.full_name, d.date, d.payment_amount, d.calculated_amount),
    jsonb_build_object('instructor_id', d.instructor_id, 'calculation_id', d.calculation_id, 'payment_amount', d.payment_amount,
      'calculated_amount', d.calculated_amount, 'is_closed', d.is_closed, 'payment_status', d.payment_status)
  from private.amount_differences d
  join public.user_profiles p on p.id = d.instructor_id;
end;
comment on function private.check_amounts_differ() is 'Finds classes whose amount differs from its last calculation by more than a cent.';

create function private.fix_amounts_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  update public.class_assignments a set payment_amount = d.calculated_amount
  from private.amount_differences d
  where d.assignment_id = a.id and not d.is_closed and d.payment_status = 'pending' and a.id = any(p_entity_ids::uuid[]);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.fix_amounts_differ(text[]) is
  'Sets amounts to what was calculated, where the pay period is open and the pay pending; for the others a person decides.';
