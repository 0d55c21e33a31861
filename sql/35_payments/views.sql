-- What each payment still has, what purchases cost, and what is left of them.

create view private.payment_totals as
select p.id as payment_id, p.payer_id, p.status, p.amount, p.amount - t.refunded as amount_left,
  (p.amount - t.in_items) - (t.refunded - t.refunded_in_items) as advance_left
from public.payments p
cross join lateral (
  select
    coalesce((select sum(i.amount) from public.payment_items i where i.payment_id = p.id), 0) as in_items,
    coalesce((select sum(r.amount) from public.refunds r where r.payment_id = p.id), 0) as refunded,
    coalesce((select sum(r.amount) from public.refund_items r where r.payment_id = p.id), 0) as refunded_in_items
) t;
comment on view private.payment_totals is 'What of each payment is left to give back, and what of it neither pays for something nor was given back.';
comment on column private.payment_totals.amount_left is 'The payment less its refunds.';
comment on column private.payment_totals.advance_left is 'What no line names, less what was given back of that.';

create view private.package_purchases_dues as
select p.id as source_id, p.profile_id, p.price - coalesce(r.amount, 0) as amount, k.name as title
from public.package_purchases p
join public.packages k on k.id = p.package_id
left join public.credit_entries r on r.purchase_id = p.id and r.kind = 'refunded';
comment on view private.package_purchases_dues is 'What package purchases cost: their price, less what of it is given back.';

create view public.package_balances with (security_invoker = true) as
select p.id as purchase_id, p.profile_id, p.package_id, k.name as package_name, p.status, p.purchased_on, p.expires_on,
  p.paused_on, p.credits, b.credits_used, b.credits_forfeited, b.credits_left,
  p.status = 'active' and private.today() between p.purchased_on and p.expires_on and b.credits_left > 0 as is_usable
from public.package_purchases p
join public.packages k on k.id = p.package_id
cross join lateral (
  select
    (count(*) filter (where e.kind = 'used') - count(*) filter (where e.kind = 'returned'))::integer as credits_used,
    (count(*) filter (where e.kind = 'forfeited'))::integer as credits_forfeited,
    coalesce((array_agg(e.balance_after order by e.entry_no desc))[1], 0) as credits_left
  from public.credit_entries e
  where e.purchase_id = p.id
) b;
comment on view public.package_balances is 'What is left of each package somebody bought. One''s own; all with read:payments.';
comment on column public.package_balances.credits_used is 'Credits used and not returned, those forfeited by cancelling late included.';
comment on column public.package_balances.credits_forfeited is 'How many of them were forfeited.';
comment on column public.package_balances.credits_left is 'The balance after its last entry; 0 once it is refunded.';
comment on column public.package_balances.is_usable is 'Whether a credit can be used for a class today.';

-- Money that counts, as lines with a sign: what was paid for something and what of it was given back.
create view private.paid_lines as
select p.payer_id, i.payment_id, i.source_table, i.source_id, i.amount
from public.payment_items i
join public.payments p on p.id = i.payment_id and p.status = 'succeeded'
union all
select p.payer_id, r.payment_id, r.source_table, r.source_id, -r.amount
from public.refund_items r
join public.payments p on p.id = r.payment_id and p.status = 'succeeded';
comment on view private.paid_lines is 'What was paid for each row, and what of it was given back, below zero.';

-- What the ledger adds up to, from what happened alone; read by diagnosis and repair.
create view private.credit_sums as
select w.purchase_id, w.entry_no, w.balance_after,
  -- No entry is missing, none goes below zero, and a refund leaves nothing.
  bool_and(w.entry_no = w.position and w.balance_after >= 0 and (w.kind <> 'refunded' or w.balance_after = 0))
    over (partition by w.purchase_id) as is_sound
from (
  select e.purchase_id, e.entry_no, e.kind,
    (sum(e.change) over (partition by e.purchase_id order by e.entry_no))::integer as balance_after,
    row_number() over (partition by e.purchase_id order by e.entry_no) as position
  from public.credit_entries e
) w;
comment on view private.credit_sums is 'The balance after each entry as the changes add up, and whether the entries of its purchase make sense at all.';

create view private.purchase_states as
select p.id as purchase_id,
  case t.kind when 'paused' then 'paused' when 'refunded' then 'refunded' else 'active' end as status,
  case when t.kind = 'paused' then t.occurs_on end as paused_on,
  p.purchased_on + p.validity_days + (
    select coalesce(sum(e.extends_days), 0)::integer from public.credit_entries e where e.purchase_id = p.id
  ) as expires_on
from public.package_purchases p
left join lateral (
  select e.kind, e.occurs_on
  from public.credit_entries e
  where e.purchase_id = p.id and e.kind in ('paused', 'resumed', 'refunded')
  order by e.entry_no desc
  limit 1
) t on true;
comment on view private.purchase_states is 'Status and last day of each purchase as its entries say.';
