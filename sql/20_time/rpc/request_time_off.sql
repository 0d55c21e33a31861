create function private.add_time_off(
  p_resource_id uuid, p_starts_on date, p_ends_on date, p_start_time time, p_end_time time, p_time_zone text, p_reason text
) returns uuid
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
begin
  if p_resource_id is distinct from private.current_profile_id() then
    perform private.require_permission('decide:time_off');
  end if;
  perform private.require_resources(array[p_resource_id]);
  insert into public.time_off (resource_id, starts_on, ends_on, start_time, end_time, time_zone, reason)
  values (p_resource_id, p_starts_on, p_ends_on, p_start_time, p_end_time, p_time_zone, p_reason)
  returning id into v_id;
  return v_id;
end;
$$;
comment on function private.add_time_off(uuid, date, date, time, time, text, text) is
  'Requests time off for the caller, or for anybody by a holder of decide:time_off.';

create function private.time_off_answer(p_id uuid) returns jsonb
language sql stable security definer set search_path = ''
return (
  select jsonb_agg(jsonb_build_object(
    'id', t.id, 'status', t.status, 'version', t.version, 'source_table', u.source_table, 'source_id', u.source_id,
    'occurs_on', u.occurs_on, 'kind', u.kind, 'title', u.title, 'starts_at', lower(u.during), 'ends_at', upper(u.during)
  ) order by lower(u.during), u.title, u.source_id)
  from public.time_off t
  left join lateral private.uses_within(array[t.resource_id], t.during) u on t.status in ('requested', 'approved')
  where t.id = p_id
    and (t.resource_id = private.current_profile_id() or private.has_permission('decide:time_off'))
);
comment on function private.time_off_answer(uuid) is
  'Time off as the functions about it return it, for the person and those who decide: a row for each use it hits, or one without.';

create function public.request_time_off(
  p_resource_id uuid,
  p_starts_on date,
  p_ends_on date default null,
  p_start_time time default null,
  p_end_time time default null,
  p_time_zone text default null,
  p_reason text default null,
  p_idempotency_key text default null
) returns table (
  id uuid, status text, version integer, source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object(
    'resource_id', p_resource_id, 'starts_on', p_starts_on, 'ends_on', p_ends_on, 'start_time', p_start_time, 'end_time', p_end_time,
    'time_zone', p_time_zone, 'reason', p_reason);
  v_answer jsonb := private.answered_before('request_time_off', p_idempotency_key, v_request);
  v_id uuid;
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_resource_id is null, 'p_resource_id', 'Say whose time off it is')
      || private.time_off_errors(p_starts_on, p_ends_on, p_start_time, p_end_time, p_time_zone, 'p_')
      || private.input_error(length(p_reason) > 1000, 'p_reason', 'A reason has at most 1000 characters')
    );
    -- The answer is read in a statement of its own, which sees the row.
    v_id := private.add_time_off(
      p_resource_id, p_starts_on, p_ends_on, p_start_time, p_end_time, p_time_zone, private.clean_text(p_reason));
    v_answer := private.time_off_answer(v_id);
    perform private.remember_answer('request_time_off', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.id, a.status, a.version, a.source_table, a.source_id, a.occurs_on, a.kind, a.title, a.starts_at, a.ends_at
    from jsonb_to_recordset(v_answer) as a(
      id uuid, status text, version integer, source_table text, source_id uuid, occurs_on date, kind text, title text,
      starts_at timestamptz, ends_at timestamptz);
end;
$$;
comment on function public.request_time_off(uuid, date, date, time, time, text, text, text) is
  'Requests time off from p_starts_on to p_ends_on (included; the same day by default), whole days, or from p_start_time of the first until p_end_time of the last, wall-clock in p_time_zone (the person''s by default). For yourself, or for anybody with decide:time_off. Returns its id and status with a row for each thing the person is needed for then, or one row without. Raises invalid_input naming every bad field, forbidden, not_found.';
