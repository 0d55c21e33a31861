create function private.check_payments_for_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'payment_items', i.source_table || ' ' || i.source_id,
    format('%s was paid for a row of %s that is gone', sum(i.amount), i.source_table),
    jsonb_build_object('payment_ids', jsonb_agg(distinct i.payment_id), 'amount', sum(i.amount))
  from private.paid_lines i
  group by i.source_table, i.source_id
  having sum(i.amount) <> 0 and not private.happening_exists(i.source_table, i.source_id);
end;
comment on function private.check_payments_for_nothing() is
  'Finds money that was paid for rows that are gone, as a restore or a dropped trigger may leave it. A person decides whether it is given back.';
