create function private.add_payment_items(p_payment_id uuid, p_items jsonb) returns setof public.payment_items
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment public.payments;
  v_paid record;
begin
  perform private.require_permission('record:payment');
  -- The rows first: whoever records a payment or pays for them later locks in this order.
  perform private.require_paid_row(i.source_table, i.source_id) from private.items_of(p_items) i;
  select p.* into v_payment from public.payments p where p.id = p_payment_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such payment', 'p_payment_id', jsonb_build_object('payment_id', p_payment_id));
  end if;
  if v_payment.status = 'failed' then
    perform private.fail('illegal_transition', 'This payment failed: it pays for nothing', 'p_payment_id',
      jsonb_build_object('payment_id', p_payment_id, 'status', v_payment.status));
  end if;
  select l.source_table, l.source_id into v_paid
  from public.payment_items l
  join private.items_of(p_items) i on i.source_table = l.source_table and i.source_id = l.source_id
  where l.payment_id = p_payment_id
  limit 1;
  if found then
    perform private.fail('duplicate', 'This payment pays for that already', 'p_items',
      jsonb_build_object('payment_id', p_payment_id, 'source_table', v_paid.source_table, 'source_id', v_paid.source_id));
  end if;
  return query
    insert into public.payment_items (payment_id, source_table, source_id, amount)
    select p_payment_id, i.source_table, i.source_id, i.amount from private.items_of(p_items) i
    returning *;
end;
$$;
comment on function private.add_payment_items(uuid, jsonb) is 'Adds lines to a payment, for a holder of record:payment.';

create function public.allocate_payment(p_payment_id uuid, p_items jsonb, p_idempotency_key text default null)
returns setof public.payment_items
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('payment_id', p_payment_id, 'items', p_items);
  v_answer jsonb;
begin
  perform private.require_permission('record:payment');
  v_answer := private.answered_before('allocate_payment', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_payment_id is null, 'p_payment_id', 'Say which payment')
      || private.input_error(p_items is null or p_items = '[]', 'p_items', 'Say what it pays for')
      || private.items_errors(p_items, 'p_items')
    );
    v_answer := (select jsonb_agg(to_jsonb(i)) from private.add_payment_items(p_payment_id, p_items) i);
    perform private.remember_answer('allocate_payment', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.payment_items, v_answer);
end;
$$;
comment on function public.allocate_payment(uuid, jsonb, text) is
  'Says what an advance pays for: adds lines to a payment, up to what its other lines and refunds left of it. p_items as in record_payment. Needs record:payment. Returns the new lines. Raises limit_exceeded beyond what is left, duplicate for a row this payment pays for already, illegal_transition for a payment that failed, not_found for an unknown payment or row, invalid_input.';
