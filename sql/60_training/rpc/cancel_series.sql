create function private.cancel_one_series(p_id uuid, p_reason text) returns jsonb
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_series public.session_series;
  v_open uuid[];
begin
  perform private.require_permission('manage:series');
  perform private.fail_input(private.input_error(private.clean_text(p_reason) is null, 'p_reason', 'Say why: whoever booked is told')
    || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters'));
  perform private.lock_sessions_of_series(p_id, date '1970-01-01');
  select s.* into v_series from public.session_series s where s.id = p_id for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such series', 'p_id', jsonb_build_object('id', p_id));
  elsif v_series.status = 'cancelled' then
    perform private.fail('illegal_transition', 'This series is cancelled already', 'p_id', jsonb_build_object('id', p_id));
  end if;
  v_open := array(
    select s.id from public.course_sessions s
    where s.series_id = p_id and s.status in ('tentative', 'scheduled') and s.starts_at > private.now()
    order by s.id
  );
  update public.session_series s set status = 'cancelled', cancellation_reason = p_reason where s.id = p_id;
  return jsonb_build_object('series_id', p_id, 'session_ids', to_jsonb(v_open));
end;
$$;
comment on function private.cancel_one_series(uuid, text) is 'What public.cancel_series does, for a holder of manage:series.';

create function public.cancel_series(p_id uuid, p_reason text, p_idempotency_key text default null)
returns table (series_id uuid, session_ids uuid[])
language plpgsql volatile set search_path = ''
as $$
#variable_conflict use_column
declare
  v_request constant jsonb := jsonb_build_object('id', p_id, 'reason', p_reason);
  v_answer jsonb := private.answered_before('cancel_series', p_idempotency_key, v_request);
begin
  if v_answer is null then
    v_answer := private.cancel_one_series(p_id, p_reason);
    perform private.remember_answer('cancel_series', p_idempotency_key, v_request, v_answer);
  end if;
  return query select r.series_id, r.session_ids from jsonb_to_record(v_answer) as r(series_id uuid, session_ids uuid[]);
end;
$$;
comment on function public.cancel_series(uuid, text, text) is
  'Cancels a series and its sessions that have not begun; their bookings are cancelled with them. What happened stays. Needs manage:series. Returns the sessions that were cancelled. Raises invalid_input without a reason, illegal_transition, not_found.';
