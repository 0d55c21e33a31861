create function public.reschedule_class(
  p_class_id uuid, p_date date, p_start_time time, p_end_time time default null, p_teacher_id uuid default null, p_idempotency_key text default null
) returns setof public.classes
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('class_id', p_class_id, 'date', p_date, 'start_time', p_start_time, 'end_time', p_end_time, 'teacher_id', p_teacher_id);
  v_answer jsonb := private.answered_before('reschedule_class', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := to_jsonb(private.move_one(p_class_id, p_date, p_start_time, p_end_time, p_teacher_id));
    perform private.remember_answer('reschedule_class', p_idempotency_key, v_request, v_answer);
  end if;
  return next jsonb_populate_record(null::public.classes, v_answer);
end;
$$;
comment on function public.reschedule_class(uuid, date, time, time, uuid, text) is
  'Moves a class to another day or time, of the class''s own zone, as long as before unless p_end_time says otherwise, perhaps to another teacher. The class becomes rescheduled, and a new one that names it (rescheduled_from) is returned. For the class''s teacher (update:own_class) and holders of update:class. Raises time_conflict when the teacher or the student is taken then, illegal_transition, not_found, forbidden, invalid_input.';
