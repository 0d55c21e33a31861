-- Who may see and write rates, pay periods and calculations. Instructors see what concerns themselves; holders of
-- manage:pay everything. payment_calculations are written by nobody but the triggers and functions that calculate.

alter table public.instructor_rates enable row level security;
alter table public.pay_periods enable row level security;
alter table public.pay_period_events enable row level security;
alter table public.payment_calculations enable row level security;

grant select on public.instructor_rates, public.pay_periods, public.pay_period_events, public.payment_calculations
  to authenticated, service_role;
grant insert, update, delete on public.instructor_rates, public.pay_periods to service_role;
grant insert on public.pay_period_events to service_role;

grant insert (instructor_id, class_type_id, payment_type, rate, effective_from, effective_until) on public.instructor_rates to authenticated;
-- Whose rate it is and for what stays: classes refer to it.
grant update (rate, effective_from, effective_until, version) on public.instructor_rates to authenticated;
grant delete on public.instructor_rates to authenticated;
create policy "instructors see their rates, holders of manage:pay all" on public.instructor_rates for select to authenticated
  using (instructor_id = (select private.current_profile_id()) or (select private.has_permission('manage:pay')));
create policy "holders of manage:pay add rates" on public.instructor_rates for insert to authenticated
  with check ((select private.has_permission('manage:pay')));
create policy "holders of manage:pay change rates" on public.instructor_rates for update to authenticated
  using ((select private.has_permission('manage:pay')));
create policy "holders of manage:pay delete rates" on public.instructor_rates for delete to authenticated
  using ((select private.has_permission('manage:pay')));

-- Whoever plans and teaches is told why a class cannot change any more.
grant insert (name, starts_on, ends_on) on public.pay_periods to authenticated;
grant update (name, starts_on, ends_on, version) on public.pay_periods to authenticated;
grant delete on public.pay_periods to authenticated;
create policy "holders of read:assignment or manage:pay see pay periods" on public.pay_periods for select to authenticated
  using ((select private.has_permission('read:assignment')) or (select private.has_permission('manage:pay')));
create policy "holders of manage:pay add pay periods" on public.pay_periods for insert to authenticated
  with check ((select private.has_permission('manage:pay')));
create policy "holders of manage:pay change pay periods" on public.pay_periods for update to authenticated
  using ((select private.has_permission('manage:pay')));
create policy "holders of manage:pay delete pay periods" on public.pay_periods for delete to authenticated
  using ((select private.has_permission('manage:pay')));

grant insert (pay_period_id, kind, reason) on public.pay_period_events to authenticated;
create policy "holders of manage:pay see what became of pay periods" on public.pay_period_events for select to authenticated
  using ((select private.has_permission('manage:pay')));
create policy "holders of manage:pay close and reopen pay periods" on public.pay_period_events for insert to authenticated
  with check ((select private.has_permission('manage:pay')));

-- A definer, because a policy that asked the classes themselves would ask their policies in turn.
create function private.own_paid_classes() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select c.id from private.paid_classes c where c.instructor_id = private.current_profile_id();
end;
comment on function private.own_paid_classes() is 'The classes the caller teaches and taught, archived ones included.';
create policy "instructors see how their pay came about, holders of manage:pay all" on public.payment_calculations for select to authenticated
  using ((select private.has_permission('manage:pay')) or assignment_id = any(array(select private.own_paid_classes())));

grant execute on function public.calculate_payment(text, numeric, integer, integer, integer, integer),
  public.set_assignment_pay(uuid[], text, numeric, integer, integer, text), public.close_pay_period(text, text),
  public.reopen_pay_period(text, text, text), public.instructor_pay(date, date, uuid[]),
  public.assignment_analytics(date, date, uuid[], text[])
  to authenticated, service_role;
-- Each checks the permission first.
grant execute on function private.set_pay(uuid[], text, numeric, integer, integer),
  private.record_pay_period_event(text, text, text), private.instructor_pay_for_caller(date, date, uuid[]),
  private.assignment_analytics_for_caller(date, date, uuid[], text[])
  to authenticated, service_role;
grant execute on function private.class_amounts(text, numeric, integer, integer, integer, integer),
  private.payment_errors(text, numeric, integer, integer, integer, integer), private.split_amount(numeric, integer),
  private.own_paid_classes()
  to authenticated, service_role;
