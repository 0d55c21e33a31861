create function public.book_makeup(
  p_class_id uuid, p_date date, p_start_time time, p_end_time time default null, p_teacher_id uuid default null, p_idempotency_key text default null
) returns setof public.classes
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('class_id', p_class_id, 'date', p_date, 'start_time', p_start_time, 'end_time', p_end_time, 'teacher_id', p_teacher_id);
  v_answer jsonb := private.answered_before('book_makeup', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := to_jsonb(private.make_up_for(p_class_id, p_date, p_start_time, p_end_time, p_teacher_id));
    perform private.remember_answer('book_makeup', p_idempotency_key, v_request, v_answer);
  end if;
  return next jsonb_populate_record(null::public.classes, v_answer);
end;
$$;
comment on function public.book_makeup(uuid, date, time, time, uuid, text) is
  'Books a make-up for a class that was cancelled or missed, at a time offer_makeup() gave, as long as the class was unless p_end_time says otherwise. It names the class (rescheduled_from), of which there is one make-up at most, and costs nothing where the cancelled class was charged. For the class''s teacher (update:own_class) and holders of create:class. Returns the make-up. Raises time_conflict, illegal_transition, not_found, forbidden, invalid_input.';
