create function private.add_purchase_entry(p_purchase_id uuid, p_kind text, p_reason text, p_amount numeric) returns public.package_purchases
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase public.package_purchases;
  v_left integer;
begin
  perform private.require_permission(case p_kind when 'refunded' then 'refund:payment' else 'record:payment' end);
  perform private.lock_credits_of(p.profile_id) from public.package_purchases p where p.id = p_purchase_id;
  select p.* into v_purchase from public.package_purchases p where p.id = p_purchase_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such purchase', 'p_purchase_id', jsonb_build_object('purchase_id', p_purchase_id));
  end if;
  if p_kind = 'refunded' and p_amount is null then
    select e.balance_after into v_left from public.credit_entries e where e.purchase_id = p_purchase_id order by e.entry_no desc limit 1;
    p_amount := round(v_purchase.price * v_left / v_purchase.credits, 2);
  end if;
  insert into public.credit_entries (purchase_id, kind, reason, amount) values (p_purchase_id, p_kind, p_reason, p_amount);
  select p.* into v_purchase from public.package_purchases p where p.id = p_purchase_id;
  return v_purchase;
end;
$$;
comment on function private.add_purchase_entry(uuid, text, text, numeric) is
  'Pauses, resumes or refunds a purchase today, for a holder of record:payment or (refunds) refund:payment; gives it as it is then.';

create function private.purchase_change_errors(p_purchase_id uuid, p_reason text, p_needs_reason boolean) returns jsonb
language sql immutable set search_path = ''
return private.input_error(p_purchase_id is null, 'p_purchase_id', 'Say which purchase')
  || private.input_error(p_needs_reason and private.clean_text(p_reason) is null, 'p_reason', 'Say why')
  || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters');
comment on function private.purchase_change_errors(uuid, text, boolean) is 'What is wrong with saying which purchase changes, and why.';

create function public.pause_package(p_purchase_id uuid, p_reason text, p_idempotency_key text default null)
returns setof public.package_purchases
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('purchase_id', p_purchase_id, 'reason', p_reason);
  v_answer jsonb;
begin
  perform private.require_permission('record:payment');
  v_answer := private.answered_before('pause_package', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(private.purchase_change_errors(p_purchase_id, p_reason, true));
    v_answer := to_jsonb(private.add_purchase_entry(p_purchase_id, 'paused', p_reason, null));
    perform private.remember_answer('pause_package', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.package_purchases, v_answer);
end;
$$;
comment on function public.pause_package(uuid, text, text) is
  'Pauses a package somebody bought, from today until resume_package(): its credits cannot be used, and its last day moves on by as long. Needs record:payment and a reason. Returns the purchase. Raises illegal_transition when it is paused, refunded or expired, invalid_input before its first day, not_found.';
