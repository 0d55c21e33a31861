-- What money is given back of need not be said where there is no choice: everything that is left, or a payment of which
-- only one line, or only an advance, is left.
create function private.refund_lines(p_payment_id uuid, p_amount numeric, p_items jsonb) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_totals record;
  v_unknown record;
  v_lines jsonb;
  v_of_lines numeric;
begin
  select t.* into v_totals from private.payment_totals t where t.payment_id = p_payment_id;
  if p_amount > v_totals.amount_left then
    perform private.fail('limit_exceeded', format('Only %s of this payment is left to give back', v_totals.amount_left), 'p_amount',
      jsonb_build_object('payment_id', p_payment_id, 'limit', v_totals.amount_left));
  end if;
  if jsonb_array_length(p_items) > 0 then
    select i.* into v_unknown from private.items_of(p_items) i
    where not exists (
      select from public.payment_items l
      where l.payment_id = p_payment_id and l.source_table = i.source_table and l.source_id = i.source_id
    );
    if found then
      perform private.fail('not_found', 'This payment did not pay for that', 'p_items',
        jsonb_build_object('payment_id', p_payment_id, 'source_table', v_unknown.source_table, 'source_id', v_unknown.source_id));
    end if;
    v_of_lines := (select sum(i.amount) from private.items_of(p_items) i);
    perform private.fail_input(
      private.input_error(v_of_lines > p_amount, 'p_items', 'The items together are at most the amount')
      || private.input_error(p_amount - v_of_lines > v_totals.advance_left, 'p_items',
        format('%s of the amount is of nothing the items name', p_amount - v_of_lines))
    );
    return p_items;
  end if;
  select jsonb_agg(l.line) into v_lines
  from (
    select jsonb_build_object('source_table', i.source_table, 'source_id', i.source_id, 'amount', i.amount - coalesce(sum(r.amount), 0)) as line
    from public.payment_items i
    left join public.refund_items r on (r.payment_id, r.source_table, r.source_id) = (i.payment_id, i.source_table, i.source_id)
    where i.payment_id = p_payment_id
    group by i.source_table, i.source_id, i.amount
    having i.amount > coalesce(sum(r.amount), 0)
  ) l;
  if v_lines is null or p_amount = v_totals.amount_left then
    return coalesce(v_lines, '[]');
  end if;
  if jsonb_array_length(v_lines) > 1 or v_totals.advance_left > 0 then
    perform private.fail('invalid_input', 'This payment paid for several things: say what is given back of which', 'p_items',
      jsonb_build_object('payment_id', p_payment_id, 'left', v_lines, 'advance_left', v_totals.advance_left, 'errors',
        jsonb_build_array(jsonb_build_object('field', 'p_items', 'message', 'Say what is given back of which'))));
  end if;
  return jsonb_set(v_lines, '{0,amount}', to_jsonb(p_amount));
end;
$$;
comment on function private.refund_lines(uuid, numeric, jsonb) is
  'The lines of a refund: those given, once they fit the payment, or the only ones possible. The payment is locked.';

create function private.add_refund(
  p_payment_id uuid, p_amount numeric, p_reason text, p_items jsonb, p_provider text, p_provider_reference text, p_refunded_at timestamptz
) returns public.refunds
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_refund public.refunds;
  v_status text;
  v_amount numeric := coalesce(p_amount, (select sum(i.amount) from private.items_of(p_items) i));
  v_lines jsonb;
  v_differs text[];
begin
  perform private.require_permission('refund:payment');
  select p.status into v_status from public.payments p where p.id = p_payment_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such payment', 'p_payment_id', jsonb_build_object('payment_id', p_payment_id));
  end if;
  if v_status = 'failed' then
    perform private.fail('illegal_transition', 'This payment failed: there is nothing to give back', 'p_payment_id',
      jsonb_build_object('payment_id', p_payment_id, 'status', v_status));
  end if;
  -- Before anything is summed up, since the refund that was reported before is part of the sums.
  select r.* into v_refund from public.refunds r where r.provider = p_provider and r.provider_reference = p_provider_reference;
  if found then
    v_differs := array_remove(array[
      case when v_refund.payment_id <> p_payment_id then 'payment' end,
      case when v_refund.amount <> v_amount then 'amount' end,
      case when v_refund.refunded_at <> p_refunded_at then 'time' end,
      case when exists (
        select i.source_table, i.source_id, i.amount from private.items_of(p_items) i
        except
        select i.source_table, i.source_id, i.amount from public.refund_items i where i.refund_id = v_refund.id
      ) then 'list of items' end
    ], null);
    if v_differs <> '{}' then
      perform private.refuse_report('refund_id', v_refund.id, v_differs);
    end if;
    return v_refund;
  end if;
  if v_amount is null then
    v_amount := (select nullif(t.amount_left, 0) from private.payment_totals t where t.payment_id = p_payment_id);
    if v_amount is null then
      perform private.fail('limit_exceeded', 'Nothing of this payment is left to give back', 'p_amount',
        jsonb_build_object('payment_id', p_payment_id, 'limit', 0));
    end if;
  end if;
  v_lines := private.refund_lines(p_payment_id, v_amount, p_items);
  insert into public.refunds (payment_id, amount, reason, provider, provider_reference, refunded_at)
  values (p_payment_id, v_amount, p_reason, p_provider, p_provider_reference, p_refunded_at)
  on conflict (provider, provider_reference) do nothing
  returning * into v_refund;
  if not found then
    -- A refund of another payment, reported this moment: those of one payment queue for its lock.
    perform private.refuse_report('payment_id', p_payment_id, array['payment']);
  end if;
  insert into public.refund_items (refund_id, payment_id, source_table, source_id, amount)
  select v_refund.id, p_payment_id, l.source_table, l.source_id, l.amount from private.items_of(v_lines) l;
  return v_refund;
end;
$$;
comment on function private.add_refund(uuid, numeric, text, jsonb, text, text, timestamptz) is
  'Records a refund for a holder of refund:payment, or finds the one its provider''s reference names.';

create function public.refund_payment(
  p_payment_id uuid,
  p_amount numeric default null,
  p_reason text default null,
  p_items jsonb default null,
  p_provider text default null,
  p_provider_reference text default null,
  p_refunded_at timestamptz default null,
  p_idempotency_key text default null
) returns setof public.refunds
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'payment_id', p_payment_id, 'amount', p_amount, 'reason', p_reason, 'items', p_items, 'provider', p_provider,
    'provider_reference', p_provider_reference, 'refunded_at', p_refunded_at at time zone 'UTC');
  v_answer jsonb;
  v_refund public.refunds;
begin
  perform private.require_permission('refund:payment');
  v_answer := private.answered_before('refund_payment', p_idempotency_key, v_request);
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.refunds, v_answer);
    return;
  end if;
  perform private.fail_input(
    private.input_error(p_payment_id is null, 'p_payment_id', 'Say which payment')
    || case when p_amount is null then '[]' else private.amount_errors(p_amount, 'p_amount') end
    || private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why')
    || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters')
    || private.reference_errors(private.clean_text(p_provider), private.clean_text(p_provider_reference), 'p_')
    || private.moment_errors(p_refunded_at, 'p_refunded_at')
    || private.items_errors(p_items, 'p_items')
  );
  v_refund := private.add_refund(p_payment_id, p_amount, p_reason, p_items, private.clean_text(p_provider),
    private.clean_text(p_provider_reference), p_refunded_at);
  perform private.remember_answer('refund_payment', p_idempotency_key, v_request, to_jsonb(v_refund));
  return next v_refund;
end;
$$;
comment on function public.refund_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text) is
  'Records money given back of a payment: p_amount, by default what p_items sum up to, or all that is left. p_items says what it was paid for, as in record_payment; needed only when there is a choice. A provider''s reference for the refund is counted once: the same report again gets the refund that is there. Needs refund:payment and a reason. Returns the refund. Raises limit_exceeded beyond what is left of the payment or of a line, duplicate when the reference was reported with something else, illegal_transition for a payment that failed, not_found, invalid_input.';
