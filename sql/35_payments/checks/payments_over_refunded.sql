create function private.check_payments_over_refunded() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'payments', t.payment_id::text,
    format('%s was given back of a payment of %s%s', t.amount - t.amount_left, t.amount, case t.status when 'failed' then ' that failed' else '' end),
    jsonb_build_object('amount', t.amount, 'refunded', t.amount - t.amount_left, 'status', t.status)
  from private.payment_totals t
  where t.amount_left < 0 or t.status = 'failed' and t.amount_left < t.amount;
end;
comment on function private.check_payments_over_refunded() is
  'Finds payments of which more was given back than came in, or that failed. The money has moved: a person decides.';
