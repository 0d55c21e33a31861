-- The books: only ever added to, and never more given back than came in.
--
-- Whatever adds to a payment (lines, refunds, lines of refunds) locks it first and sums up in a later statement, so
-- that of two at once the second sees the first.

create function private.amount_errors(p_amount numeric, p_field text) returns jsonb
language sql immutable set search_path = ''
return private.input_error(p_amount is null, p_field, 'Say how much')
  || private.input_error(p_amount <= 0, p_field, 'An amount is above zero')
  || private.input_error(p_amount > 9999999999.99, p_field, 'An amount is at most 9999999999.99')
  || private.input_error(p_amount < 'infinity' and p_amount <> round(p_amount, 2), p_field, 'An amount has at most two decimals');
comment on function private.amount_errors(numeric, text) is 'What is wrong with an amount of money, for private.fail_input.';

create function private.reference_errors(p_provider text, p_provider_reference text, p_prefix text default '') returns jsonb
language sql immutable set search_path = ''
return private.input_error((p_provider is null) <> (p_provider_reference is null), p_prefix || 'provider_reference',
    'A provider and its reference go together')
  || private.input_error(p_provider !~ '^[a-z]+(_[a-z0-9]+)*$' or length(p_provider) > 100, p_prefix || 'provider',
    'A provider is a word in lower case, such as stripe')
  || private.input_error(length(p_provider_reference) > 200, p_prefix || 'provider_reference', 'A reference has at most 200 characters');
comment on function private.reference_errors(text, text, text) is 'What is wrong with a provider''s reference; the fields'' names get the prefix.';

create function private.moment_errors(p_at timestamptz, p_field text) returns jsonb
language sql stable set search_path = ''
return private.input_error(
  p_at < timestamptz '1970-01-01 00:00+00' or p_at > private.now() + interval '1 day', p_field, 'Money moves between 1970 and today');
comment on function private.moment_errors(timestamptz, text) is
  'What is wrong with when money moved; a day ahead is allowed, since other clocks are not ours.';

-- The setting is locked against changes until the payment is there, see private.keep_currency.
create function private.check_payment() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_currency text;
begin
  perform private.require_read_committed();
  select coalesce(s.value, s.default_value) #>> '{}' into v_currency from public.settings s where s.key = 'currency' for share;
  new.currency := coalesce(new.currency, v_currency);
  new.received_at := coalesce(new.received_at, private.now());
  new.provider_reference := private.clean_text(new.provider_reference);
  new.note := private.clean_text(new.note);
  if private.caller_id() is not null then
    new.recorded_by := private.caller_id();
    new.created_at := private.now();
  end if;
  perform private.fail_input(
    private.amount_errors(new.amount, 'amount')
    || private.input_error(new.currency <> v_currency, 'currency', format('The organisation''s currency is %s', v_currency))
    || private.input_error(coalesce(new.method, '') not in ('cash', 'card', 'bank_transfer', 'upi', 'wallet', 'cheque', 'other'), 'method',
      'A method is cash, card, bank_transfer, upi, wallet, cheque or other')
    || private.input_error(coalesce(new.status, '') not in ('succeeded', 'failed'), 'status', 'A status is succeeded or failed')
    || private.reference_errors(new.provider, new.provider_reference)
    || private.moment_errors(new.received_at, 'received_at')
    || private.input_error(length(new.note) > 1000, 'note', 'A note has at most 1000 characters')
  );
  return new;
end;
$$;
comment on function private.check_payment() is
  'Row trigger: a payment is in the organisation''s currency, signed by whoever records it; what makes no sense is named at once.';

create function private.keep_currency() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if (tg_op = 'DELETE' or new.key <> old.key or coalesce(new.value, new.default_value) <> coalesce(old.value, old.default_value))
    and exists (select from public.payments) then
    perform private.fail('illegal_transition', 'The currency cannot change any more: there are payments in it', 'value',
      jsonb_build_object('setting', 'currency', 'from', coalesce(old.value, old.default_value), 'to', coalesce(new.value, new.default_value)));
  end if;
  return coalesce(new, old);
end;
$$;
comment on function private.keep_currency() is 'Row trigger on settings: the currency stays once something was paid in it.';

create trigger t30_keep_currency before update or delete on public.settings
  for each row when (old.key = 'currency') execute function private.keep_currency();

create function private.check_payment_item() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_totals record;
begin
  perform private.require_read_committed();
  perform private.require_paid_row(new.source_table, new.source_id);
  perform from public.payments p where p.id = new.payment_id for no key update;
  select t.* into v_totals from private.payment_totals t where t.payment_id = new.payment_id;
  perform private.fail_input(private.amount_errors(new.amount, 'amount'));
  -- What was given back off no line of it cannot pay for anything any more.
  if new.amount > v_totals.advance_left then
    perform private.fail('limit_exceeded', format('Only %s of this payment is left to pay for something', v_totals.advance_left), 'amount',
      jsonb_build_object('payment_id', new.payment_id, 'limit', v_totals.advance_left));
  end if;
  return new;
end;
$$;
comment on function private.check_payment_item() is
  'Row trigger: a line pays for a row that is there, and all lines of a payment together are at most the payment.';

create function private.check_refund() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_payment public.payments;
  v_totals record;
begin
  perform private.require_read_committed();
  new.reason := private.clean_text(new.reason);
  new.provider_reference := private.clean_text(new.provider_reference);
  new.refunded_at := coalesce(new.refunded_at, private.now());
  if private.caller_id() is not null then
    new.recorded_by := private.caller_id();
    new.created_at := private.now();
  end if;
  perform private.fail_input(
    private.amount_errors(new.amount, 'amount')
    || private.input_error(new.reason is null, 'reason', 'Say why')
    || private.input_error(length(new.reason) > 1000, 'reason', 'A reason has at most 1000 characters')
    || private.reference_errors(new.provider, new.provider_reference)
    || private.moment_errors(new.refunded_at, 'refunded_at')
  );
  select p.* into v_payment from public.payments p where p.id = new.payment_id for no key update;
  if v_payment.status = 'failed' then
    perform private.fail('illegal_transition', 'This payment failed: there is nothing to give back', 'payment_id',
      jsonb_build_object('payment_id', new.payment_id, 'status', v_payment.status));
  end if;
  select t.* into v_totals from private.payment_totals t where t.payment_id = new.payment_id;
  if new.amount > v_totals.amount_left then
    perform private.fail('limit_exceeded', format('Only %s of this payment is left to give back', v_totals.amount_left), 'amount',
      jsonb_build_object('payment_id', new.payment_id, 'limit', v_totals.amount_left));
  end if;
  return new;
end;
$$;
comment on function private.check_refund() is 'Row trigger: refunds of a payment that succeeded, together at most the payment.';

create function private.check_refund_item() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_refund public.refunds;
  v_line_left numeric;
  v_refund_left numeric;
begin
  perform private.require_read_committed();
  select r.* into v_refund from public.refunds r where r.id = new.refund_id;
  new.payment_id := coalesce(new.payment_id, v_refund.payment_id);
  perform from public.payments p where p.id = new.payment_id for no key update;
  perform private.fail_input(private.amount_errors(new.amount, 'amount'));
  select i.amount - coalesce(sum(r.amount), 0) into v_line_left
  from public.payment_items i
  left join public.refund_items r on (r.payment_id, r.source_table, r.source_id) = (i.payment_id, i.source_table, i.source_id)
  where i.payment_id = new.payment_id and i.source_table = new.source_table and i.source_id = new.source_id
  group by i.amount;
  v_refund_left := v_refund.amount - coalesce((select sum(r.amount) from public.refund_items r where r.refund_id = new.refund_id), 0);
  if new.amount > least(v_line_left, v_refund_left) then
    perform private.fail('limit_exceeded',
      format(case when v_line_left <= v_refund_left then 'Only %s of what was paid for this is left to give back'
        else 'Only %s of this refund is left to give back for something' end, least(v_line_left, v_refund_left)), 'amount',
      jsonb_build_object('payment_id', new.payment_id, 'source_table', new.source_table, 'source_id', new.source_id,
        'limit', least(v_line_left, v_refund_left)));
  end if;
  return new;
end;
$$;
comment on function private.check_refund_item() is
  'Row trigger: what is given back for something is at most what was paid for it, and the lines of a refund are at most the refund.';

-- At the end of the transaction, because a refund is written before its lines.
create function private.check_refund_is_placed() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_advance_left numeric := (select t.advance_left from private.payment_totals t where t.payment_id = new.payment_id);
begin
  if v_advance_left < 0 then
    perform private.fail('invalid_input', format('%s of the refund is of money that paid for something: say for what', -v_advance_left), 'items',
      jsonb_build_object('payment_id', new.payment_id, 'refund_id', new.id),
      'Add refund_items in the same transaction, or call refund_payment().');
  end if;
  return null;
end;
$$;
comment on function private.check_refund_is_placed() is
  'Constraint trigger: what no line of a refund names was not paid for anything, or else something would stay paid with money given back.';

-- What the lines are for may turn out to be another row: see private.payment_moves.
create trigger t10_only_added_to before update or delete or truncate on public.payments
  for each statement execute function private.refuse_statement('payments is only ever added to: record a refund');
create trigger t10_only_added_to before update or delete on public.payment_items
  for each statement when (pg_catalog.pg_trigger_depth() < 1) execute function private.refuse_statement('payment_items is only ever added to: record a refund');
create trigger t00_no_truncate before truncate on public.payment_items
  for each statement execute function private.refuse_statement('payment_items is only ever added to: record a refund');
create trigger t10_only_added_to before update or delete or truncate on public.refunds
  for each statement execute function private.refuse_statement('refunds is only ever added to');
create trigger t10_only_added_to before update or delete on public.refund_items
  for each statement when (pg_catalog.pg_trigger_depth() < 1) execute function private.refuse_statement('refund_items is only ever added to');
create trigger t00_no_truncate before truncate on public.refund_items
  for each statement execute function private.refuse_statement('refund_items is only ever added to');

create trigger t20_check before insert on public.payments
  for each row execute function private.check_payment();
create trigger t20_check before insert on public.payment_items
  for each row execute function private.check_payment_item();
create trigger t20_check before insert on public.refunds
  for each row execute function private.check_refund();
create trigger t20_check before insert on public.refund_items
  for each row execute function private.check_refund_item();
create constraint trigger t60_refund_is_placed after insert on public.refunds
  deferrable initially deferred for each row execute function private.check_refund_is_placed();
