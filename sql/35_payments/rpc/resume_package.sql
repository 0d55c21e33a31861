create function public.resume_package(p_purchase_id uuid, p_reason text default null, p_idempotency_key text default null)
returns setof public.package_purchases
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('purchase_id', p_purchase_id, 'reason', p_reason);
  v_answer jsonb;
begin
  perform private.require_permission('record:payment');
  v_answer := private.answered_before('resume_package', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(private.purchase_change_errors(p_purchase_id, p_reason, false));
    v_answer := to_jsonb(private.add_purchase_entry(p_purchase_id, 'resumed', p_reason, null));
    perform private.remember_answer('resume_package', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.package_purchases, v_answer);
end;
$$;
comment on function public.resume_package(uuid, text, text) is
  'Ends the pause of a package today: its credits can be used again, and its last day moves on by the days it was paused. Needs record:payment. Returns the purchase. Raises illegal_transition when it is not paused, not_found, invalid_input.';
