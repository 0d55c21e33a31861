create function public.cancel_class(
  p_class_id uuid, p_reason text, p_cancelled_by text default null, p_idempotency_key text default null
) returns setof public.classes
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('class_id', p_class_id, 'reason', p_reason, 'cancelled_by', p_cancelled_by);
  v_answer jsonb := private.answered_before('cancel_class', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := to_jsonb(private.cancel_one(p_class_id, p_reason, p_cancelled_by));
    perform private.remember_answer('cancel_class', p_idempotency_key, v_request, v_answer);
  end if;
  return next jsonb_populate_record(null::public.classes, v_answer);
end;
$$;
comment on function public.cancel_class(uuid, text, text, text) is
  'Cancels a class, with the reason, in the name of the student, the teacher or the organisation (by default, of the caller). What it still costs and pays follows from how long before it starts that is (cancellation_rules). For the class''s student and teacher (update:own_class), and holders of update:class. Returns the class. Raises illegal_transition for one that was held, moved or cancelled before, not_found, forbidden, invalid_input.';
