create function private.add_purchase(p_profile_id uuid, p_package_id uuid, p_purchased_on date) returns public.package_purchases
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_purchase public.package_purchases;
begin
  perform private.require_permission('record:payment');
  if not exists (select from public.user_profiles p where p.id = p_profile_id) then
    perform private.fail('not_found', 'There is no such person', 'p_profile_id', jsonb_build_object('profile_id', p_profile_id));
  end if;
  insert into public.package_purchases (profile_id, package_id, purchased_on) values (p_profile_id, p_package_id, p_purchased_on)
  returning * into v_purchase;
  return v_purchase;
end;
$$;
comment on function private.add_purchase(uuid, uuid, date) is 'Sells a package, for a holder of record:payment.';

create function public.purchase_package(
  p_profile_id uuid, p_package_id uuid, p_purchased_on date default null, p_idempotency_key text default null
) returns setof public.package_purchases
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('profile_id', p_profile_id, 'package_id', p_package_id, 'purchased_on', p_purchased_on);
  v_answer jsonb;
  v_purchase public.package_purchases;
begin
  perform private.require_permission('record:payment');
  v_answer := private.answered_before('purchase_package', p_idempotency_key, v_request);
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.package_purchases, v_answer);
    return;
  end if;
  perform private.fail_input(
    private.input_error(p_profile_id is null, 'p_profile_id', 'Say who buys it')
    || private.input_error(p_package_id is null, 'p_package_id', 'Say which package')
    || private.input_error(p_purchased_on < date '1970-01-01' or p_purchased_on >= date '2200-01-01', 'p_purchased_on',
      'A date lies between 1970 and 2199')
  );
  v_purchase := private.add_purchase(p_profile_id, p_package_id, p_purchased_on);
  perform private.remember_answer('purchase_package', p_idempotency_key, v_request, to_jsonb(v_purchase));
  return next v_purchase;
end;
$$;
comment on function public.purchase_package(uuid, uuid, date, text) is
  'Sells a package to a person: its price is due from then on, and its credits can be used from p_purchased_on (today by default) for as many days as it is valid. Price, credits, validity and the rule for late cancelling stay as they are now, whatever becomes of the package. Needs record:payment. Returns the purchase. Raises illegal_transition for a package that is no longer sold, not_found, invalid_input.';
