create function public.run_due_jobs(p_limit integer default 10) returns table (
  run_id bigint, job text, scheduled_for timestamptz, covers_from timestamptz, attempts integer, status text, started_at timestamptz,
  finished_at timestamptz, duration interval, result text, error_sqlstate text, error_code text, error_message text, retry_at timestamptz
)
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.fail_input(private.input_error(coalesce(p_limit, 0) not between 1 and 100, 'p_limit', 'Between 1 and 100 jobs at once'));
  return query
    select r.id, r.job, r.scheduled_for, r.covers_from, r.attempts, r.status, r.started_at, r.finished_at, r.duration, r.result,
      r.error_sqlstate, r.error_code, r.error_message, r.retry_at
    from private.run_due(p_limit) r;
end;
$$;
comment on function public.run_due_jobs(integer) is
  'Runs the jobs that are due and that nobody else is running, the longest due first, at most p_limit of them; one row a run. Each due time of a job runs once, however many call this at once and however often: it needs no idempotency key. What was missed is caught up by one run. A job that fails is recorded, raises the alert job_failed and stops no other. No job is begun once half the statement timeout is over; p_limit 1 gives each job a transaction and the whole timeout. Needs run:jobs. Raises invalid_input.';
