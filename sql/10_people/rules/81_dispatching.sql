-- Who may send messages. The rest of it is 00_platform's, which knows nobody.

create function private.claim_outbox(p_channels text[], p_limit integer, p_lease_seconds integer) returns setof public.outbox
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('dispatch:outbox');
  perform private.fail_input(
    private.input_error(cardinality(p_channels) is null or not coalesce(p_channels <@ array['email', 'sms', 'whatsapp', 'webhook'], false),
      'p_channels', 'A list of email, sms, whatsapp, webhook')
    || private.input_error(coalesce(p_limit, 0) not between 1 and 1000, 'p_limit', 'Between 1 and 1000 messages at once')
    || private.input_error(coalesce(p_lease_seconds, 0) not between 1 and 3600, 'p_lease_seconds', 'Between 1 and 3600 seconds')
  );
  return query select c.* from private.claim_messages(p_channels, p_limit, p_lease_seconds) c;
end;
$$;
comment on function private.claim_outbox(text[], integer, integer) is 'What public.claim_outbox does, with the rights to do it.';

create function private.complete_outbox(p_id uuid, p_lease uuid, p_provider_message_id text) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('dispatch:outbox');
  perform private.complete_message(p_id, p_lease, p_provider_message_id);
end;
$$;
comment on function private.complete_outbox(uuid, uuid, text) is 'What public.complete_outbox does, with the rights to do it.';

create function private.fail_outbox(p_id uuid, p_lease uuid, p_error text, p_reason text, p_retry_after integer) returns public.outbox
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('dispatch:outbox');
  perform private.fail_input(
    private.input_error(coalesce(p_reason, '') not in ('transient', 'permanent', 'throttled'), 'p_reason', 'transient, permanent or throttled')
    || private.input_error(p_retry_after not between 0 and 86400, 'p_retry_after', 'Between 0 and 86400 seconds')
  );
  return private.fail_message(p_id, p_lease, p_error, p_reason, p_retry_after);
end;
$$;
comment on function private.fail_outbox(uuid, uuid, text, text, integer) is 'What public.fail_outbox does, with the rights to do it.';

create function private.requeue_outbox(p_ids uuid[]) returns uuid[]
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('dispatch:outbox');
  perform private.fail_input(private.input_error(coalesce(cardinality(p_ids), 0) not between 1 and 1000, 'p_ids', 'Between 1 and 1000 messages at once'));
  return private.requeue_messages(p_ids);
end;
$$;
comment on function private.requeue_outbox(uuid[]) is 'What public.requeue_outbox does, with the rights to do it.';
