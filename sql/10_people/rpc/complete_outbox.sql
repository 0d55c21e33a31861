create function public.complete_outbox(p_id uuid, p_lease uuid, p_provider_message_id text default null) returns void
language sql volatile set search_path = ''
begin atomic
  select private.complete_outbox(p_id, p_lease, p_provider_message_id);
end;
comment on function public.complete_outbox(uuid, uuid, text) is
  'Says that a claimed message was sent, and what the provider calls it. Saying so again with the same lease changes nothing, so it needs no idempotency key. Needs dispatch:outbox. Raises forbidden, not_found; illegal_transition when somebody else claimed it meanwhile.';
