create function private.check_horizons_late() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'resources', r.id::text,
    case when h.claimed_until is null then format('%s has no horizon, so nothing can be booked for it', r.name)
      else format('%s is claimed until %s only', r.name, h.claimed_until) end,
    jsonb_build_object('claimed_until', h.claimed_until)
  from public.resources r
  left join public.resource_horizons h on h.resource_id = r.id
  where h.claimed_until is null
    or h.claimed_until < private.now() + make_interval(days => private.setting_integer('ledger_horizon_days')) - interval '3 days';
end;
comment on function private.check_horizons_late() is 'Finds resources whose weekly rules are not claimed as far ahead as the settings want: the daily job is late.';

create function private.fix_horizons_late(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_target timestamptz := private.now() + make_interval(days => private.setting_integer('ledger_horizon_days'));
  v_fixed integer;
begin
  perform private.lock_resources(p_entity_ids::uuid[]);
  insert into public.resource_horizons (resource_id, claimed_until)
  select r.id, private.now()
  from public.resources r
  where r.id = any(p_entity_ids::uuid[])
  on conflict do nothing;
  update public.resource_horizons h
  set claimed_until = v_target
  where h.resource_id = any(p_entity_ids::uuid[]) and h.claimed_until < v_target;
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_horizons_late(text[]) is 'Moves these resources'' horizons on to where the settings want them.';
