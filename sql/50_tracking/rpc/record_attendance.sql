create function public.record_attendance(
  p_class_id uuid, p_status text, p_minutes_late integer default null, p_note text default null, p_idempotency_key text default null
) returns setof public.class_attendance
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('class_id', p_class_id, 'status', p_status, 'minutes_late', p_minutes_late, 'note', p_note);
  v_answer jsonb := private.answered_before('record_attendance', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := to_jsonb(private.record_one(p_class_id, p_status, p_minutes_late, p_note));
    perform private.remember_answer('record_attendance', p_idempotency_key, v_request, v_answer);
  end if;
  return next jsonb_populate_record(null::public.class_attendance, v_answer);
end;
$$;
comment on function public.record_attendance(uuid, text, integer, text, text) is
  'Records whether the student was there: present, late (p_minutes_late), absent or excused; the class becomes completed or missed. Recording it again replaces what was recorded. For the class''s teacher (update:own_class) and holders of update:class. Returns the attendance. Raises illegal_transition for a class that has not begun, was cancelled or moved, not_found, forbidden, invalid_input.';
