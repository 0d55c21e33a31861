create function private.extend_horizon_of(p_resource_ids uuid[], p_until timestamptz) returns setof public.resource_horizons
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_permission('book:beyond_horizon');
  perform private.require_resources(p_resource_ids);
  perform private.lock_resources(p_resource_ids);
  update public.resource_horizons h
  set claimed_until = p_until
  where h.resource_id = any(p_resource_ids) and h.claimed_until < p_until;
  return query select h.* from public.resource_horizons h where h.resource_id = any(p_resource_ids) order by h.resource_id;
end;
$$;
comment on function private.extend_horizon_of(uuid[], timestamptz) is 'Moves horizons on for a holder of book:beyond_horizon.';

create function public.extend_horizon(p_resource_ids uuid[], p_until timestamptz, p_idempotency_key text default null)
returns setof public.resource_horizons
language plpgsql volatile set search_path = ''
as $$
declare
  v_request jsonb := jsonb_build_object('resource_ids', p_resource_ids, 'until', p_until at time zone 'UTC');
  v_answer jsonb := private.answered_before('extend_horizon', p_idempotency_key, v_request);
begin
  if v_answer is null then
    perform private.fail_input(
      private.input_error(coalesce(cardinality(p_resource_ids), 0) not between 1 and 100, 'p_resource_ids', 'Name 1 to 100 resources')
      || private.input_error(p_until is null or not isfinite(p_until), 'p_until', 'Say until when')
    );
    v_answer := (select jsonb_agg(to_jsonb(h)) from private.extend_horizon_of(p_resource_ids, p_until) h);
    perform private.remember_answer('extend_horizon', p_idempotency_key, v_request, v_answer);
  end if;
  return query select * from jsonb_populate_recordset(null::public.resource_horizons, v_answer);
end;
$$;
comment on function public.extend_horizon(uuid[], timestamptz, text) is
  'Lets these resources be booked further ahead, up to two years: claims what their weekly rules promise until p_until first. Needs book:beyond_horizon. Returns their horizons; one that is further already stays. Raises limit_exceeded beyond two years.';
