create function private.generate_weekly(p_through date) returns public.class_generation_logs
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('generate:classes');
  perform private.fail_input(
    private.input_error(p_through < private.today(), 'p_through', 'Classes are generated for days to come')
    || private.input_error(p_through > private.today() + 371, 'p_through', 'Classes are generated at most a year ahead'));
  return private.generate_for_everyone(p_through);
end;
$$;
comment on function private.generate_weekly(date) is 'Generates for everyone, for a holder of generate:classes.';

create function public.generate_weekly_classes(p_through date default null, p_idempotency_key text default null)
returns setof public.class_generation_logs
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('through', p_through);
  v_answer jsonb := private.answered_before('generate_weekly_classes', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := to_jsonb(private.generate_weekly(p_through));
    perform private.remember_answer('generate_weekly_classes', p_idempotency_key, v_request, v_answer);
  end if;
  return next jsonb_populate_record(null::public.class_generation_logs, v_answer);
end;
$$;
comment on function public.generate_weekly_classes(date, text) is
  'Makes every active student''s classes through a date (by default so many weeks ahead as the setting class_horizon_weeks says), those an outage left out too. Safe to call twice, at once or late: what is there stays. Returns the row of the run in class_generation_logs, whose run_id its students'' rows share. Needs generate:classes. Raises invalid_input.';
