create function public.job_history(p_job text default null, p_status text default null, p_limit integer default 50) returns setof public.job_runs
language plpgsql stable set search_path = ''
as $$
begin
  perform private.require_permission('read:diagnostics');
  perform private.fail_input(
    private.input_error(coalesce(p_limit, 0) not between 1 and 1000, 'p_limit', 'Between 1 and 1000 runs')
    || private.input_error(p_status not in ('succeeded', 'failed'), 'p_status', 'succeeded or failed'));
  if p_job is not null and not exists (select from public.scheduled_jobs j where j.name = p_job) then
    perform private.fail('not_found', format('There is no job called %s', private.clean_text(p_job)), 'p_job', jsonb_build_object('name', p_job));
  end if;
  return query
    select r.* from public.job_runs r
    where (p_job is null or r.job = p_job) and (p_status is null or r.status = p_status)
    order by r.started_at desc, r.id desc
    limit p_limit;
end;
$$;
comment on function public.job_history(text, text, integer) is
  'The last runs of a job, or of all, newest first; only those that succeeded or failed if p_status says so. Needs read:diagnostics. Raises not_found and invalid_input.';
