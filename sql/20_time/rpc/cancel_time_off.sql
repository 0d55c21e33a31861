create function public.cancel_time_off(p_id uuid, p_note text default null, p_idempotency_key text default null) returns setof public.time_off
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'note', p_note);
  v_answer jsonb := private.answered_before('cancel_time_off', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_id is null, 'p_id', 'Say which time off')
      || private.input_error(length(p_note) > 1000, 'p_note', 'A note has at most 1000 characters')
    );
    perform private.set_time_off_status(p_id, 'cancelled', private.clean_text(p_note), null);
    v_answer := (select to_jsonb(t) from public.time_off t where t.id = p_id);
    perform private.remember_answer('cancel_time_off', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_record(null::public.time_off, v_answer);
end;
$$;
comment on function public.cancel_time_off(uuid, text, text) is
  'Takes back time off that was requested or approved; its open cover requests are dropped. Your own until it begins, or anybody''s with decide:time_off. Returns the time off. Raises illegal_transition for what was refused or cancelled before, forbidden, not_found.';
