create function public.run_job(p_name text, p_idempotency_key text default null) returns table (
  run_id bigint, job text, status text, started_at timestamptz, finished_at timestamptz, duration interval, result text,
  error_sqlstate text, error_code text, error_message text
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('name', p_name);
  v_answer jsonb := private.answered_before('run_job', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := to_jsonb(private.run_by_hand(p_name));
    perform private.remember_answer('run_job', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.id, a.job, a.status, a.started_at, a.finished_at, a.duration, a.result, a.error_sqlstate, a.error_code, a.error_message
    from jsonb_populate_record(null::public.job_runs, v_answer) a;
end;
$$;
comment on function public.run_job(text, text) is
  'Runs a job now, due or not, switched on or not, and returns its run; whether it failed is in status. Its schedule goes on as if it had not run. Needs run:jobs. Raises not_found; in_progress while somebody else is running it.';
