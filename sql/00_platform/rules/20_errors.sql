-- Saying no. One function raises every refusal, so that each has a code, a sentence, and what a program needs.

-- SQLSTATE PGRST lets us choose code, status and headers. (PTxyz would put the sentence in the HTTP status line,
-- where a line break stored in somebody's name becomes a header.)
create function private.fail(
  p_code text,
  p_message text,
  p_field text default null,
  p_details jsonb default '{}',
  p_hint text default null
) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_details jsonb := coalesce(p_details, '{}') || case when p_field is null then '{}' else jsonb_build_object('field', p_field) end;
  v_status integer := coalesce((select e.http_status from private.error_codes e where e.code = p_code), 400);
  v_headers jsonb := case when v_details ? 'retry_after' then jsonb_build_object('Retry-After', v_details ->> 'retry_after') else '{}' end;
begin
  raise sqlstate 'PGRST' using
    message = jsonb_build_object(
      'code', p_code,
      'message', regexp_replace(p_message, '[[:cntrl:]]+', ' ', 'g'),
      'details', v_details::text,
      'hint', p_hint
    )::text,
    detail = jsonb_build_object('status', v_status, 'headers', v_headers)::text;
end;
$$;
comment on function private.fail(text, text, text, jsonb, text) is
  'Raises a refusal: a code of private.error_codes, a sentence, the field at fault, details for programs, and what to do.';

create function private.input_error(p_when boolean, p_field text, p_message text) returns jsonb
language sql immutable set search_path = ''
return case when p_when then jsonb_build_array(jsonb_build_object('field', p_field, 'message', p_message)) else '[]' end;
comment on function private.input_error(boolean, text, text) is
  'One bad field as a list of one, or an empty list: concatenate several and hand them to private.fail_input.';

create function private.fail_input(p_errors jsonb) returns void
language plpgsql stable set search_path = ''
as $$
begin
  if coalesce(jsonb_array_length(p_errors), 0) > 0 then
    perform private.fail(
      'invalid_input',
      (select string_agg(e ->> 'message', '; ') from jsonb_array_elements(p_errors) e),
      p_errors -> 0 ->> 'field',
      jsonb_build_object('errors', p_errors)
    );
  end if;
end;
$$;
comment on function private.fail_input(jsonb) is
  'Raises invalid_input for all offending fields at once ([{field, message}]); does nothing when there are none.';

-- For tables that only their own triggers may write.
create function private.refuse_direct_write() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if tg_op = 'TRUNCATE' or pg_catalog.pg_trigger_depth() < 2 then
    perform private.fail(
      'forbidden',
      format('%s is kept by triggers and cannot be written directly', tg_table_name),
      p_details => jsonb_build_object('table', tg_table_name, 'operation', tg_op),
      p_hint => tg_argv[0]
    );
  end if;
  return null;
end;
$$;
comment on function private.refuse_direct_write() is
  'Statement trigger: lets only other triggers write the table; its argument is the hint that says what to write instead.';
