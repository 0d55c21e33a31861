create function public.fail_outbox(
  p_id uuid, p_lease uuid, p_error text, p_reason text default 'transient', p_retry_after integer default null
) returns table (status text, attempts integer, next_attempt_at timestamptz)
language sql volatile set search_path = ''
begin atomic
  select f.status, f.attempts, f.next_attempt_at from private.fail_outbox(p_id, p_lease, p_error, p_reason, p_retry_after) f;
end;
comment on function public.fail_outbox(uuid, uuid, text, text, integer) is
  'Says that a claimed message was not sent, and why. p_reason: transient is tried again, later each time, until outbox_attempts, and counts against the provider''s breaker; throttled (too fast) is tried again without counting, and the provider is left alone for as long; permanent is a dead letter at once. p_retry_after: not before so many seconds. Answers what became of it. Saying so again with the same lease changes nothing, so it needs no idempotency key. Needs dispatch:outbox. Raises forbidden, not_found, invalid_input; illegal_transition when somebody else claimed it meanwhile.';
