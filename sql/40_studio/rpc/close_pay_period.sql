-- Both functions: a period is found by its name, and an event recorded of it.
create function private.record_pay_period_event(p_name text, p_kind text, p_reason text) returns public.pay_periods
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_period public.pay_periods;
begin
  perform private.require_permission('manage:pay');
  select p.* into v_period from public.pay_periods p where p.name = private.clean_text(p_name);
  if not found then
    perform private.fail('not_found', 'There is no such pay period', 'p_name', jsonb_build_object('name', private.clean_text(p_name)));
  end if;
  insert into public.pay_period_events (pay_period_id, kind, reason) values (v_period.id, p_kind, p_reason);
  select p.* into v_period from public.pay_periods p where p.id = v_period.id;
  return v_period;
end;
$$;
comment on function private.record_pay_period_event(text, text, text) is
  'Closes or reopens the pay period of that name, for a holder of manage:pay; gives it as it is then.';

create function public.close_pay_period(p_name text, p_idempotency_key text default null) returns setof public.pay_periods
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('name', p_name);
  v_answer jsonb;
begin
  perform private.require_permission('manage:pay');
  v_answer := private.answered_before('close_pay_period', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(private.input_error(private.clean_text(p_name) is null, 'p_name', 'Say which pay period'));
    v_answer := to_jsonb(private.record_pay_period_event(p_name, 'closed', null));
    perform private.remember_answer('close_pay_period', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.pay_periods, v_answer);
end;
$$;
comment on function public.close_pay_period(text, text) is
  'Closes the pay period of that name: from then on no class in it comes, goes, or changes who teaches it, when, its status or its pay, whoever tries. Waits for whoever is writing classes at that moment. Needs manage:pay. Returns the period. Raises illegal_transition when it is closed already, or while a class in it is still scheduled; not_found.';
