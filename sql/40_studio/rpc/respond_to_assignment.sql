create function public.respond_to_assignment(
  p_id uuid, p_response text, p_note text default null, p_idempotency_key text default null
) returns setof public.class_assignments
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'response', p_response, 'note', p_note);
  v_answer jsonb := private.answered_before('respond_to_assignment', p_idempotency_key, v_request);
  v_row public.class_assignments;
begin
  if v_answer is not null then
    return query select * from jsonb_populate_record(null::public.class_assignments, v_answer);
    return;
  end if;
  perform private.fail_input(
    private.input_error(p_id is null, 'p_id', 'Say which class')
    || private.input_error(coalesce(p_response, '') not in ('accepted', 'rejected'), 'p_response', 'A response is accepted or rejected')
    || private.input_error(length(p_note) > 1000, 'p_note', 'A note has at most 1000 characters')
  );
  update public.class_assignments a
  set instructor_status = p_response, notes = coalesce(private.clean_text(p_note), a.notes)
  where a.id = p_id
  returning * into v_row;
  if not found then
    if exists (select from public.class_assignments a where a.id = p_id) then
      perform private.require_permission('update:assignment');
    end if;
    perform private.fail('not_found', 'There is no such class', 'p_id', jsonb_build_object('id', p_id));
  end if;
  perform private.remember_answer('respond_to_assignment', p_idempotency_key, v_request, to_jsonb(v_row));
  return next v_row;
end;
$$;
comment on function public.respond_to_assignment(uuid, text, text, text) is
  'The instructor''s answer: accepted, or rejected, which frees their time and waits for reassign(). p_note replaces the notes. For the class''s own instructor (update:own_assignment), or on their behalf (update:assignment). Returns the class. Raises illegal_transition for a class answered before or over, forbidden, not_found, invalid_input.';
