-- A call that is retried does its work once. The key and the answer are kept in the transaction that does the work,
-- so either both are there or neither is.

create function private.calling() returns text
language sql stable set search_path = ''
return coalesce(private.caller_id()::text, private.acting_role());
comment on function private.calling() is 'Who is calling, for bookkeeping: the user''s id, or else the role.';

-- Statement after statement on purpose: the look-up must not share a snapshot with the attempt to lock. A caller
-- whose twin is still running is told so at once, because a crowd waiting on one key would fill the connection pool.
create function private.answered_before(p_function text, p_key text, p_request jsonb) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_hash bytea := sha256(convert_to(coalesce(p_request, '{}')::text, 'UTF8'));
  v_kept private.idempotency_keys;
begin
  if p_key is null then
    return null;
  end if;
  if length(p_key) not between 1 and 200 then
    perform private.fail('invalid_input', 'An idempotency key has 1 to 200 characters', 'idempotency_key');
  end if;
  if not pg_try_advisory_xact_lock(hashtextextended(format('%s %s %s', private.calling(), p_function, p_key), 0)) then
    perform private.fail('in_progress', 'The same call is still running', 'idempotency_key',
      p_hint => 'Ask again in a moment with the same key.');
  end if;
  select k.* into v_kept
  from private.idempotency_keys k
  where k.caller = private.calling() and k.function_name = p_function and k.key = p_key;
  if found and v_kept.request_hash <> v_hash then
    perform private.fail('idempotency_mismatch', 'This idempotency key was used with other arguments', 'idempotency_key',
      p_hint => 'Use a new key for a new call.');
  end if;
  return v_kept.answer;
end;
$$;
comment on function private.answered_before(text, text, jsonb) is
  'The answer an earlier call with this key gave, or null when this is the first; refuses other arguments and a twin still running.';

create function private.remember_answer(p_function text, p_key text, p_request jsonb, p_answer jsonb) returns void
language sql volatile security definer set search_path = ''
begin atomic
  insert into private.idempotency_keys (caller, function_name, key, request_hash, answer, created_at)
  select private.calling(), p_function, p_key, sha256(convert_to(coalesce(p_request, '{}')::text, 'UTF8')),
    coalesce(p_answer, 'null'), private.now()
  where p_key is not null;
end;
comment on function private.remember_answer(text, text, jsonb, jsonb) is
  'Keeps the answer of a call that carried a key, for the call that will be made again.';
