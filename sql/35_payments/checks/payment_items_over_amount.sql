create function private.check_payment_items_over_amount() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'payments', t.payment_id::text,
    format('A payment of %s pays for things by %s too much, what was given back counted in', t.amount, -t.advance_left),
    jsonb_build_object('amount', t.amount, 'too_much', -t.advance_left)
  from private.payment_totals t
  where t.advance_left < 0
  union all
  select 'payment_items', concat_ws(' ', i.payment_id, i.source_table, i.source_id),
    format('%s was paid for %s %s, and %s was given back of it', i.amount, i.source_table, i.source_id, sum(r.amount)),
    jsonb_build_object('amount', i.amount, 'refunded', sum(r.amount))
  from public.payment_items i
  join public.refund_items r on (r.payment_id, r.source_table, r.source_id) = (i.payment_id, i.source_table, i.source_id)
  group by i.payment_id, i.source_table, i.source_id, i.amount
  having sum(r.amount) > i.amount
  union all
  select 'refunds', f.id::text, format('A refund of %s has lines of %s', f.amount, sum(r.amount)),
    jsonb_build_object('amount', f.amount, 'in_items', sum(r.amount))
  from public.refunds f
  join public.refund_items r on r.refund_id = f.id
  group by f.id, f.amount
  having sum(r.amount) > f.amount;
end;
comment on function private.check_payment_items_over_amount() is
  'Finds payments and refunds whose lines are more than the whole. The books are never changed: a person decides what to add.';
