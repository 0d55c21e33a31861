create function public.claim_outbox(
  p_channels text[] default '{email,sms,whatsapp,webhook}', p_limit integer default 20, p_lease_seconds integer default 120
) returns table (
  id uuid, lease uuid, leased_until timestamptz, channel text, provider text, recipient text, subject text, body text, kind text,
  attempts integer, created_at timestamptz
)
language sql volatile set search_path = ''
begin atomic
  select c.id, c.lease, c.leased_until, c.channel, c.provider, c.recipient, c.subject, c.body, c.kind, c.attempts, c.created_at
  from private.claim_outbox(p_channels, p_limit, p_lease_seconds) c;
end;
comment on function public.claim_outbox(text[], integer, integer) is
  'Hands out messages that are due, of these channels as far as they are switched on, at most p_limit of them: each to one caller, under a lease of p_lease_seconds. Who sends one tells the provider its id as the idempotency key, and reports with its lease through complete_outbox or fail_outbox; without a report it is handed out again when the lease runs out. Of a provider whose breaker is open nothing is handed out, and when its time is up one message. Every call claims anew, so it takes no idempotency key. Needs dispatch:outbox. Raises forbidden, invalid_input.';
