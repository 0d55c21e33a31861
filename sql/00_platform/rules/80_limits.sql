-- What one caller may ask of us. PostgREST runs private.pre_request before every request (db-pre-request).

-- Reading requests run in read-only transactions and are not counted; a refused call takes its count back with it.
create function private.pre_request() returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_headers jsonb := nullif(current_setting('request.headers', true), '')::jsonb;
  v_action text := current_setting('request.method', true) || ' ' || current_setting('request.path', true);
  v_caller text;
  v_limit integer;
  v_calls integer;
begin
  if private.is_trusted() then
    return;
  end if;
  if (v_headers ->> 'content-length') ~ '^[0-9]{1,18}$'
    and (v_headers ->> 'content-length')::bigint > private.setting_integer('request_bytes_limit') then
    perform private.fail('limit_exceeded', format('A request may hold %s bytes', private.setting_integer('request_bytes_limit')), 'body',
      jsonb_build_object('limit', private.setting_integer('request_bytes_limit')),
      'Send the rows in smaller parts.');
  end if;
  if current_setting('transaction_read_only') = 'on' then
    return;
  end if;
  v_caller := coalesce(private.caller_id()::text, 'anonymous ' || coalesce(v_headers ->> 'x-forwarded-for', ''));
  v_limit := private.setting_integer(case when private.caller_id() is null then 'anonymous_calls_per_minute' else 'calls_per_minute' end);
  select count(*) into v_calls
  from (
    select from private.api_calls c
    where c.caller = v_caller and c.action = v_action and c.called_at > private.now() - interval '1 minute'
    limit v_limit
  ) recent;
  if v_calls >= v_limit then
    perform private.fail('rate_limited', format('At most %s such calls a minute', v_limit), p_details => jsonb_build_object('limit', v_limit, 'retry_after', 60),
      p_hint => 'Wait a minute, or send several rows in one call.');
  end if;
  insert into private.api_calls (caller, action, called_at) values (v_caller, v_action, private.now());
end;
$$;
comment on function private.pre_request() is
  'Runs before every REST request: bounds its size and counts writing calls per caller and action.';

create function private.forget_old_calls() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_calls integer;
  v_keys integer;
begin
  delete from private.api_calls c where c.called_at < private.now() - interval '10 minutes';
  get diagnostics v_calls = row_count;
  delete from private.idempotency_keys k where k.created_at < private.now() - make_interval(days => private.setting_integer('idempotency_days'));
  get diagnostics v_keys = row_count;
  return v_calls + v_keys;
end;
$$;
comment on function private.forget_old_calls() is 'Job: deletes counted calls and remembered answers that are past their use; returns how many.';
