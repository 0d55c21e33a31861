create function private.settle_alert(p_id bigint, p_resolve boolean, p_note text) returns public.alerts
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_alert public.alerts;
begin
  perform private.require_permission('manage:alerts');
  select a.* into v_alert from public.alerts a where a.id = p_id for no key update;
  if not found then
    perform private.fail('not_found', format('There is no alert %s', coalesce(p_id::text, '')), 'p_id');
  end if;
  if v_alert.resolved_at is not null then
    perform private.fail('illegal_transition', format('Alert %s was resolved before', p_id), 'p_id', jsonb_build_object('resolved_at', v_alert.resolved_at));
  end if;
  update public.alerts a
  set acknowledged_at = coalesce(a.acknowledged_at, private.now()),
    acknowledged_by = case when a.acknowledged_at is null then private.caller_id() else a.acknowledged_by end,
    resolved_at = case when p_resolve then private.now() end,
    resolved_by = case when p_resolve then private.caller_id() end,
    details = a.details || case when private.clean_text(p_note) is null then '{}' else jsonb_build_object('note', left(private.clean_text(p_note), 1000)) end
  where a.id = p_id
  returning a.* into v_alert;
  return v_alert;
end;
$$;
comment on function private.settle_alert(bigint, boolean, text) is 'Acknowledges or resolves an open alert for a holder of manage:alerts.';

create function public.acknowledge_alert(p_id bigint) returns public.alerts
language sql volatile set search_path = ''
return private.settle_alert(p_id, false, null);
comment on function public.acknowledge_alert(bigint) is
  'Says that the caller is looking at an open alert; who said so first stays. Saying it again changes nothing. Needs manage:alerts. Raises not_found; illegal_transition when it is resolved.';
