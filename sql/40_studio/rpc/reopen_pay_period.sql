create function public.reopen_pay_period(p_name text, p_reason text, p_idempotency_key text default null) returns setof public.pay_periods
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('name', p_name, 'reason', p_reason);
  v_answer jsonb;
begin
  perform private.require_permission('manage:pay');
  v_answer := private.answered_before('reopen_pay_period', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(
      private.input_error(private.clean_text(p_name) is null, 'p_name', 'Say which pay period')
      || private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why')
      || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters'));
    v_answer := to_jsonb(private.record_pay_period_event(p_name, 'reopened', p_reason));
    perform private.remember_answer('reopen_pay_period', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.pay_periods, v_answer);
end;
$$;
comment on function public.reopen_pay_period(text, text, text) is
  'Reopens the closed pay period of that name, for a reason that is kept with who did it and when. Needs manage:pay. Returns the period. Raises illegal_transition when it is open, not_found, invalid_input without a reason.';
