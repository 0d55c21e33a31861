create function private.set_time_off_status(p_id uuid, p_status text, p_note text, p_keeps_claims boolean) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_time_off public.time_off;
begin
  if p_status <> 'cancelled' then
    perform private.require_permission('decide:time_off');
  end if;
  select t.* into v_time_off
  from public.time_off t
  where t.id = p_id and (t.resource_id = private.current_profile_id() or private.has_permission('decide:time_off'))
  for no key update;
  if not found then
    perform private.fail('not_found', 'There is no such time off', 'p_id', jsonb_build_object('id', p_id));
  end if;
  if v_time_off.status = p_status then
    perform private.fail('illegal_transition', format('This time off is %s already', p_status), 'p_id',
      jsonb_build_object('id', p_id, 'from', p_status, 'to', p_status));
  end if;
  update public.time_off t
  set status = p_status, note = coalesce(p_note, t.note), keeps_claims = coalesce(p_keeps_claims, t.keeps_claims)
  where t.id = p_id;
end;
$$;
comment on function private.set_time_off_status(uuid, text, text, boolean) is
  'Decides or cancels time off that the caller may see; triggers say whether that may be done.';

create function public.decide_time_off(
  p_id uuid,
  p_decision text,
  p_note text default null,
  p_claims text default 'refuse',
  p_idempotency_key text default null
) returns table (
  id uuid, status text, version integer, source_table text, source_id uuid, occurs_on date, kind text, title text,
  starts_at timestamptz, ends_at timestamptz
)
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('id', p_id, 'decision', p_decision, 'note', p_note, 'claims', p_claims);
  v_answer jsonb;
begin
  perform private.require_permission('decide:time_off');
  v_answer := private.answered_before('decide_time_off', p_idempotency_key, v_request);
  if v_answer is null then
    perform private.fail_input(
      private.input_error(p_id is null, 'p_id', 'Say which time off')
      || private.input_error(coalesce(p_decision, '') not in ('approved', 'refused'), 'p_decision', 'A decision is approved or refused')
      || private.input_error(coalesce(p_claims, '') not in ('refuse', 'keep'), 'p_claims', 'Claims are refuse or keep')
      || private.input_error(length(p_note) > 1000, 'p_note', 'A note has at most 1000 characters')
    );
    perform private.set_time_off_status(p_id, p_decision, private.clean_text(p_note), p_decision = 'approved' and p_claims = 'keep');
    v_answer := private.time_off_answer(p_id);
    perform private.remember_answer('decide_time_off', p_idempotency_key, v_request, v_answer);
  end if;
  return query
    select a.id, a.status, a.version, a.source_table, a.source_id, a.occurs_on, a.kind, a.title, a.starts_at, a.ends_at
    from jsonb_to_recordset(v_answer) as a(
      id uuid, status text, version integer, source_table text, source_id uuid, occurs_on date, kind text, title text,
      starts_at timestamptz, ends_at timestamptz);
end;
$$;
comment on function public.decide_time_off(uuid, text, text, text, text) is
  'Decides requested time off: p_decision is approved or refused. When the person is needed then, approving with p_claims "refuse" raises time_conflict listing what for; with "keep" it is approved and each such use becomes a cover request. Needs decide:time_off; nobody but an admin decides their own. Returns the time off with a row for each use that was kept, or one row without. Raises illegal_transition when it was decided before, time_conflict, forbidden, not_found, invalid_input.';
