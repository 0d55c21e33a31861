create function public.mark_notifications_read(p_ids uuid[] default null, p_is_read boolean default true, p_idempotency_key text default null) returns integer
language plpgsql volatile set search_path = ''
as $$
declare
  v_request constant jsonb := jsonb_build_object('ids', to_jsonb(p_ids), 'is_read', p_is_read);
  v_answer jsonb := private.answered_before('mark_notifications_read', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := to_jsonb(private.mark_notifications(p_ids, coalesce(p_is_read, true)));
    perform private.remember_answer('mark_notifications_read', p_idempotency_key, v_request, v_answer);
  end if;
  return v_answer::integer;
end;
$$;
comment on function public.mark_notifications_read(uuid[], boolean, text) is
  'Marks one''s own notifications as read (or unread again): these, or all of them; returns how many changed. Raises forbidden for who is not signed in.';
