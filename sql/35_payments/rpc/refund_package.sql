create function public.refund_package(
  p_purchase_id uuid, p_reason text, p_amount numeric default null, p_idempotency_key text default null
) returns setof public.package_purchases
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('purchase_id', p_purchase_id, 'reason', p_reason, 'amount', p_amount);
  v_answer jsonb;
begin
  perform private.require_permission('refund:payment');
  v_answer := private.answered_before('refund_package', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(
      private.purchase_change_errors(p_purchase_id, p_reason, true)
      || case when p_amount = 0 or p_amount is null then '[]' else private.amount_errors(p_amount, 'p_amount') end
    );
    v_answer := to_jsonb(private.add_purchase_entry(p_purchase_id, 'refunded', p_reason, p_amount));
    perform private.remember_answer('refund_package', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.package_purchases, v_answer);
end;
$$;
comment on function public.refund_package(uuid, text, numeric, text) is
  'Ends a package somebody bought: the credits left are gone, and p_amount of its price (by default the share of the credits left) is no longer due. Money that was paid already is then shown by outstanding_amounts() as below zero, and given back with refund_payment(). Needs refund:payment and a reason. Returns the purchase. Raises illegal_transition when it was refunded before, invalid_input when more than the price is given back, not_found.';
