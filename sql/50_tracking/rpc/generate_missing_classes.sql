create function private.generate_missing(p_student_id uuid) returns setof public.class_generation_logs
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_run_id bigint;
begin
  perform private.require_permission('generate:classes');
  if p_student_id is not null and not exists (select from public.students s where s.id = p_student_id) then
    perform private.fail('not_found', 'There is no such student', 'p_student_id', jsonb_build_object('id', p_student_id));
  end if;
  v_run_id := nextval('private.generation_run_ids');
  perform private.generate_for_many('backfill', array(
    select m.student_id
    from private.missing_classes(p_student_id) m
    group by m.student_id
    order by m.student_id
  ), true, private.generation_through(), v_run_id);
  return query
    select g.* from public.class_generation_logs g where g.run_id = v_run_id order by g.student_id nulls last;
end;
$$;
comment on function private.generate_missing(uuid) is 'Makes what is missing, for a holder of generate:classes; returns what was logged.';

create function public.generate_missing_classes(p_student_id uuid default null, p_idempotency_key text default null)
returns setof public.class_generation_logs
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('student_id', p_student_id);
  v_answer jsonb := private.answered_before('generate_missing_classes', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := (select coalesce(jsonb_agg(to_jsonb(g)), '[]') from private.generate_missing(p_student_id) g);
    perform private.remember_answer('generate_missing_classes', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.class_generation_logs, v_answer);
end;
$$;
comment on function public.generate_missing_classes(uuid, text) is
  'Makes the classes that ought to exist since each student''s start date and do not, of one student or (null) of all. Returns what was logged: a row for each student who misses classes, with how many were created and, in error_details, which dates were not possible and why; and a row of the run, without student. Needs generate:classes. Raises not_found.';
