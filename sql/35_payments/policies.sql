-- Who may see and write what of money and credits.
--
-- Nobody is granted to write these tables, not even service_role: payments and refunds are recorded, packages sold,
-- paused and refunded through functions, which ask for what a bare row would leave out, and answer a repeated report
-- with the first answer. Credits are used and returned by the triggers of the modules that book.

alter table public.payments enable row level security;
alter table public.payment_items enable row level security;
alter table public.refunds enable row level security;
alter table public.refund_items enable row level security;
alter table public.package_purchases enable row level security;
alter table public.credit_entries enable row level security;

-- Definers, because a policy that asked the tables themselves would ask their policies in turn.
create function private.own_payment_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select p.id from public.payments p where p.payer_id = private.current_profile_id();
end;
comment on function private.own_payment_ids() is 'The payments the caller made.';

create function private.own_purchase_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select p.id from public.package_purchases p where p.profile_id = private.current_profile_id();
end;
comment on function private.own_purchase_ids() is 'The packages the caller bought.';

grant execute on function private.own_payment_ids(), private.own_purchase_ids() to authenticated;

grant select on public.payments, public.payment_items, public.refunds, public.refund_items, public.package_purchases,
  public.credit_entries, public.package_balances
  to authenticated, service_role;
create policy "people see what they paid, holders of read:payments all" on public.payments for select to authenticated
  using (payer_id = (select private.current_profile_id()) or (select private.has_permission('read:payments')));
create policy "people see what they paid for, holders of read:payments all" on public.payment_items for select to authenticated
  using ((select private.has_permission('read:payments')) or payment_id = any(array(select private.own_payment_ids())));
create policy "people see refunds of their payments, holders of read:payments all" on public.refunds for select to authenticated
  using ((select private.has_permission('read:payments')) or payment_id = any(array(select private.own_payment_ids())));
create policy "people see what was refunded to them, holders of read:payments all" on public.refund_items for select to authenticated
  using ((select private.has_permission('read:payments')) or payment_id = any(array(select private.own_payment_ids())));
create policy "people see packages they bought, holders of read:payments all" on public.package_purchases for select to authenticated
  using (profile_id = (select private.current_profile_id()) or (select private.has_permission('read:payments')));
create policy "people see their credits, holders of read:payments all" on public.credit_entries for select to authenticated
  using ((select private.has_permission('read:payments')) or purchase_id = any(array(select private.own_purchase_ids())));

-- anon pays through servers, which record it.
grant execute on function public.outstanding_amounts(uuid[]),
  public.record_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text, text, text, text),
  public.allocate_payment(uuid, jsonb, text),
  public.refund_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text),
  public.purchase_package(uuid, uuid, date, text), public.pause_package(uuid, text, text),
  public.resume_package(uuid, text, text), public.refund_package(uuid, text, numeric, text)
  to authenticated, service_role;
-- Each checks the permission first.
grant execute on function private.outstanding_for_caller(uuid[]),
  private.add_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text, text, text),
  private.add_payment_items(uuid, jsonb),
  private.add_refund(uuid, numeric, text, jsonb, text, text, timestamptz),
  private.add_purchase(uuid, uuid, date), private.add_purchase_entry(uuid, text, text, numeric)
  to authenticated, service_role;
grant execute on function private.amount_errors(numeric, text), private.reference_errors(text, text, text),
  private.moment_errors(timestamptz, text), private.items_errors(jsonb, text), private.items_of(jsonb),
  private.purchase_change_errors(uuid, text, boolean)
  to authenticated, service_role;
