create function private.open_run() returns bigint
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_run_id bigint;
begin
  perform private.require_permission('read:diagnostics');
  insert into public.diagnostic_runs default values returning id into v_run_id;
  return v_run_id;
end;
$$;
comment on function private.open_run() is 'Begins a run of diagnosis for a holder of read:diagnostics.';

create function public.start_diagnostics(p_idempotency_key text default null) returns bigint
language plpgsql volatile set search_path = ''
as $$
declare
  v_answer jsonb := private.answered_before('start_diagnostics', p_idempotency_key, '{}');
begin
  if v_answer is null then
    v_answer := to_jsonb(private.open_run());
    perform private.remember_answer('start_diagnostics', p_idempotency_key, '{}', v_answer);
  end if;
  return v_answer::bigint;
end;
$$;
comment on function public.start_diagnostics(text) is
  'Begins a run of diagnosis and returns its number for run_diagnostics(p_run_id => …), so that checks asked for one by one, as somebody watches, are one run. Needs read:diagnostics.';
