create function public.requeue_outbox(p_ids uuid[], p_idempotency_key text default null) returns setof uuid
language plpgsql volatile set search_path = ''
as $$
declare
  v_request constant jsonb := jsonb_build_object('ids', to_jsonb(p_ids));
  v_answer jsonb := private.answered_before('requeue_outbox', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := to_jsonb(private.requeue_outbox(p_ids));
    perform private.remember_answer('requeue_outbox', p_idempotency_key, v_request, v_answer);
  end if;
  return query select a.id::uuid from jsonb_array_elements_text(v_answer) as a(id);
end;
$$;
comment on function public.requeue_outbox(uuid[], text) is
  'Queues dead letters again, as if they had never been tried; gives the ids of those that were dead. Needs dispatch:outbox. Raises forbidden, invalid_input.';
