create function private.clean_logs(p_days integer) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('manage:tracking');
  perform private.fail_input(private.input_error(coalesce(p_days, -1) not between 0 and 36600, 'p_days', 'Say how many days to keep: 0 to 36600'));
  return private.clean_generation_logs(p_days);
end;
$$;
comment on function private.clean_logs(integer) is 'Deletes old generation logs for a holder of manage:tracking.';

create function public.clean_old_class_generation_logs(p_days integer default 30, p_idempotency_key text default null) returns integer
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('days', p_days);
  v_answer jsonb := private.answered_before('clean_old_class_generation_logs', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := to_jsonb(private.clean_logs(p_days));
    perform private.remember_answer('clean_old_class_generation_logs', p_idempotency_key, v_request, v_answer);
  end if;
  return v_answer::integer;
end;
$$;
comment on function public.clean_old_class_generation_logs(integer, text) is
  'Deletes what generation logged more than p_days days ago, and returns how many rows that were. Needs manage:tracking. Raises invalid_input.';
