create function private.check_class_payments_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'classes', c.id::text,
    format('%s was paid for the class of %s %s, which costs %s and is %s', w.paid, c.date, left(c.start_time::text, 5), c.price, c.payment_status),
    jsonb_build_object('student_id', c.student_id, 'paid', w.paid, 'price', c.price, 'payment_status', c.payment_status)
  from (
    select i.source_id, sum(i.amount) as paid
    from (
      select i.source_id, i.amount
      from public.payment_items i
      join public.payments p on p.id = i.payment_id and p.status = 'succeeded'
      where i.source_table = 'classes'
      union all
      select r.source_id, -r.amount from public.refund_items r where r.source_table = 'classes'
    ) i
    group by i.source_id
  ) w
  join public.classes c on c.id = w.source_id
  where c.payment_status <> 'waived' and c.status <> 'rescheduled' and (c.payment_status = 'paid') <> (w.paid >= c.price and c.price > 0);
end;
comment on function private.check_class_payments_differ() is 'Finds classes that payments were recorded for and whose payment status says otherwise.';

create function private.fix_class_payments_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.settle_classes(p_entity_ids::uuid[]);
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.fix_class_payments_differ(text[]) is 'Makes them paid or pending, as the books say.';
