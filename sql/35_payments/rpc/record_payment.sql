create function private.items_errors(p_items jsonb, p_field text) returns jsonb
language plpgsql immutable set search_path = ''
as $$
begin
  if p_items is null then
    return '[]';
  end if;
  if jsonb_typeof(p_items) <> 'array' or jsonb_array_length(p_items) > 100 then
    return private.input_error(true, p_field, 'Items are a list of at most 100 {"source_table", "source_id", "amount"}');
  end if;
  return coalesce((
    select jsonb_agg(jsonb_build_object('field', format('%s[%s]', p_field, i.position - 1), 'message', i.message) order by i.position)
    from (
      select e.position, case
        when jsonb_typeof(e.item) <> 'object' or e.item ->> 'source_table' is null
          or coalesce(e.item ->> 'source_id', '') !~* '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
          then 'An item is {"source_table": a table, "source_id": an id in it, "amount": how much}'
        when coalesce(e.item ->> 'amount', '') !~ '^[0-9]{1,10}([.][0-9]{1,2})?$' or (e.item ->> 'amount') ~ '^[0.]*$'
          then 'An amount is above zero and has at most two decimals'
        when count(*) over (partition by e.item ->> 'source_table', lower(e.item ->> 'source_id')) > 1
          then 'Each row is named once'
      end as message
      from jsonb_array_elements(p_items) with ordinality as e(item, position)
    ) i
    where i.message is not null
  ), '[]');
end;
$$;
comment on function private.items_errors(jsonb, text) is
  'What is wrong with the lines of a payment or refund, each with its place in the list.';

create function private.items_of(p_items jsonb) returns table (source_table text, source_id uuid, amount numeric)
language sql immutable set search_path = ''
begin atomic
  select i.source_table, i.source_id, i.amount
  from jsonb_to_recordset(coalesce(p_items, '[]')) as i(source_table text, source_id uuid, amount numeric)
  order by i.source_table, i.source_id;
end;
comment on function private.items_of(jsonb) is 'Lines that private.items_errors found nothing wrong with, in the order in which their rows are locked.';

create function private.refuse_report(p_what text, p_id uuid, p_differs text[]) returns void
language plpgsql stable set search_path = ''
as $$
begin
  perform private.fail('duplicate', format('The provider''s reference was reported before, with another %s', array_to_string(p_differs, ', ')),
    'p_provider_reference', jsonb_build_object(p_what, p_id, 'differs', to_jsonb(p_differs)),
    'Each attempt to pay, and each refund, has a reference of its own.');
end;
$$;
comment on function private.refuse_report(text, uuid, text[]) is 'Raises duplicate for a second report that says something else.';

create function private.add_payment(
  p_payer_id uuid, p_amount numeric, p_method text, p_items jsonb, p_provider text, p_provider_reference text,
  p_received_at timestamptz, p_status text, p_currency text, p_note text
) returns public.payments
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment public.payments;
  v_differs text[];
begin
  perform private.require_permission('record:payment');
  if not exists (select from public.user_profiles p where p.id = p_payer_id) then
    perform private.fail('not_found', 'There is no such person', 'p_payer_id', jsonb_build_object('profile_id', p_payer_id));
  end if;
  insert into public.payments (payer_id, amount, currency, method, provider, provider_reference, received_at, status, note)
  values (p_payer_id, p_amount, p_currency, p_method, p_provider, p_provider_reference, p_received_at, p_status, p_note)
  on conflict (provider, provider_reference) do nothing
  returning * into v_payment;
  if found then
    insert into public.payment_items (payment_id, source_table, source_id, amount)
    select v_payment.id, i.source_table, i.source_id, i.amount from private.items_of(p_items) i;
    return v_payment;
  end if;
  -- Reported before, or by somebody else this moment, for whose end the insert has waited.
  select p.* into v_payment from public.payments p
  where p.provider = p_provider and p.provider_reference = private.clean_text(p_provider_reference);
  v_differs := array_remove(array[
    case when v_payment.payer_id <> p_payer_id then 'payer' end,
    case when v_payment.amount <> p_amount then 'amount' end,
    case when v_payment.currency <> p_currency then 'currency' end,
    case when v_payment.method <> p_method then 'method' end,
    case when v_payment.status <> p_status then 'status' end,
    case when v_payment.received_at <> p_received_at then 'time' end,
    case when exists (
      select i.source_table, i.source_id, i.amount from private.items_of(p_items) i
      except
      select i.source_table, i.source_id, i.amount from public.payment_items i where i.payment_id = v_payment.id
    ) then 'list of items' end
  ], null);
  if v_differs <> '{}' then
    perform private.refuse_report('payment_id', v_payment.id, v_differs);
  end if;
  return v_payment;
end;
$$;
comment on function private.add_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text, text, text) is
  'Records a payment for a holder of record:payment, or finds the one its provider''s reference names.';

create function public.record_payment(
  p_payer_id uuid,
  p_amount numeric,
  p_method text,
  p_items jsonb default null,
  p_provider text default null,
  p_provider_reference text default null,
  p_received_at timestamptz default null,
  p_status text default 'succeeded',
  p_currency text default null,
  p_note text default null,
  p_idempotency_key text default null
) returns setof public.payments
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'payer_id', p_payer_id, 'amount', p_amount, 'method', p_method, 'items', p_items, 'provider', p_provider,
    'provider_reference', p_provider_reference, 'received_at', p_received_at at time zone 'UTC', 'status', p_status,
    'currency', p_currency, 'note', p_note);
  v_answer jsonb;
  v_errors jsonb;
  v_payment public.payments;
begin
  perform private.require_permission('record:payment');
  v_answer := private.answered_before('record_payment', p_idempotency_key, v_request);
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.payments, v_answer);
    return;
  end if;
  v_errors := private.input_error(p_payer_id is null, 'p_payer_id', 'Say who paid')
    || private.amount_errors(p_amount, 'p_amount')
    || private.input_error(coalesce(p_method, '') not in ('cash', 'card', 'bank_transfer', 'upi', 'wallet', 'cheque', 'other'), 'p_method',
      'A method is cash, card, bank_transfer, upi, wallet, cheque or other')
    || private.input_error(coalesce(p_status, '') not in ('succeeded', 'failed'), 'p_status', 'A status is succeeded or failed')
    || private.reference_errors(private.clean_text(p_provider), private.clean_text(p_provider_reference), 'p_')
    || private.moment_errors(p_received_at, 'p_received_at')
    || private.input_error(p_currency <> private.setting_text('currency'), 'p_currency',
      format('The organisation''s currency is %s', private.setting_text('currency')))
    || private.input_error(length(p_note) > 1000, 'p_note', 'A note has at most 1000 characters')
    || private.items_errors(p_items, 'p_items');
  if v_errors = '[]' then
    v_errors := private.input_error((select sum(i.amount) from private.items_of(p_items) i) > p_amount, 'p_items',
      'The items together are at most the amount');
  end if;
  perform private.fail_input(v_errors);
  v_payment := private.add_payment(p_payer_id, p_amount, p_method, p_items, private.clean_text(p_provider),
    private.clean_text(p_provider_reference), p_received_at, p_status, p_currency, p_note);
  perform private.remember_answer('record_payment', p_idempotency_key, v_request, to_jsonb(v_payment));
  return next v_payment;
end;
$$;
comment on function public.record_payment(uuid, numeric, text, jsonb, text, text, timestamptz, text, text, text, text) is
  'Records money received from p_payer_id (a profile''s id), or a report that a payment failed. p_items says what for: [{"source_table": "package_purchases", "source_id": "…", "amount": 80.00}, …]; what no item names is an advance. p_provider and p_provider_reference, the provider''s own name for this attempt, are counted once: the same report again gets the payment that is there. Needs record:payment. Returns the payment. Raises duplicate when the reference was reported with something else, not_found for an unknown person or row, invalid_input.';
