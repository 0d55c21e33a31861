create function private.check_outbox_dead_letters() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  -- Not to whom, and not what: who may read findings need not be who may read messages.
  select 'outbox', o.id::text, format('The %s about %s could not be sent', o.channel, o.kind),
    jsonb_build_object('channel', o.channel, 'kind', o.kind, 'attempts', o.attempts, 'failed_at', o.failed_at)
  from public.outbox o
  where o.status = 'failed';
end;
comment on function private.check_outbox_dead_letters() is 'Finds messages that were given up.';

create function private.fix_outbox_dead_letters(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
begin atomic
  select cardinality(private.requeue_messages(p_entity_ids::uuid[]));
end;
comment on function private.fix_outbox_dead_letters(text[]) is 'Queues them again; what is still wrong with them makes dead letters of them once more.';
