-- The horizon moves forward only, and whatever moves it claims what the rules promise up to there in the same
-- transaction: if the job stops, the horizon stops, and nothing is ever wrong, only late.

create function private.check_horizon() returns trigger
language plpgsql set search_path = ''
as $$
begin
  if tg_op = 'UPDATE' and new.resource_id <> old.resource_id then
    perform private.fail('invalid_input', 'A horizon belongs to its resource', 'resource_id');
  end if;
  if tg_op = 'UPDATE' and new.claimed_until < old.claimed_until then
    perform private.fail('invalid_input', 'A horizon never moves back', 'claimed_until',
      jsonb_build_object('resource_id', new.resource_id, 'limit', old.claimed_until));
  end if;
  if new.claimed_until > private.now() + interval '2 years' then
    perform private.fail('limit_exceeded', 'Nothing can be booked more than two years ahead', 'claimed_until',
      jsonb_build_object('resource_id', new.resource_id, 'limit', private.now() + interval '2 years'));
  end if;
  return new;
end;
$$;
comment on function private.check_horizon() is 'Row trigger: a horizon moves forward, and at most two years ahead of today.';

create trigger t20_check before insert or update on public.resource_horizons
  for each row execute function private.check_horizon();

-- Written anew it could be further on than it was, past dates that nobody claimed.
create function private.keep_horizon() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if exists (select from public.resources r where r.id = old.resource_id) then
    perform private.fail('forbidden', 'A horizon stays as long as its resource', 'resource_id',
      jsonb_build_object('resource_id', old.resource_id));
  end if;
  return old;
end;
$$;
comment on function private.keep_horizon() is 'Row trigger: a horizon goes with its resource only.';

create trigger t20_keep before delete on public.resource_horizons
  for each row execute function private.keep_horizon();

-- What a rule promises there can still be in the way of a happening only where claims or constraints were tampered
-- with; such a date is left out and found by diagnosis, since a daily job must not stop for it.
create function private.claim_up_to_horizon() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_since timestamptz[];
begin
  if tg_op = 'INSERT' then
    select array_agg(n.resource_id), array_agg(null::timestamptz) into v_ids, v_since from new_rows n;
  else
    select array_agg(o.resource_id), array_agg(o.claimed_until) into v_ids, v_since from old_rows o;
  end if;
  perform private.lock_resources(v_ids);
  insert into public.claims (resource_id, during, share_key, source_table, source_id, occurs_on, kind, title)
  select h.resource_id, c.during,
    case when lower(c.during) < coalesce(least(o.expires_at, o.revoked_at), 'infinity') and o.id is not null
      then o.id else private.happening_key('weekly_rules', r.id, c.occurs_on) end,
    'weekly_rules', r.id, c.occurs_on, r.kind, r.title
  from unnest(v_ids, v_since) as m(resource_id, since)
  join public.resource_horizons h on h.resource_id = m.resource_id
  join public.weekly_rule_resources p on p.resource_id = h.resource_id
  join public.weekly_rules r on r.id = p.rule_id
  left join public.override_members g on g.source_id = r.id and g.source_table = 'weekly_rules'
  left join public.overrides o on o.id = g.override_id
  cross join lateral private.rule_occurrences(r, m.since, h.claimed_until) c
  order by lower(c.during), h.resource_id, r.id
  on conflict do nothing;
  return null;
end;
$$;
comment on function private.claim_up_to_horizon() is 'Statement trigger on resource_horizons: claims what weekly rules promise between the old horizon and the new.';

create trigger t00_read_committed before insert or update or delete on public.resource_horizons
  for each statement execute function private.refuse_other_isolation();
create trigger t50_claims_insert after insert on public.resource_horizons
  referencing new table as new_rows
  for each statement execute function private.claim_up_to_horizon();
create trigger t50_claims_update after update on public.resource_horizons
  referencing old table as old_rows new table as new_rows
  for each statement execute function private.claim_up_to_horizon();
create trigger t00_no_truncate before truncate on public.resource_horizons
  for each statement execute function private.refuse_truncate();

-- A resource somebody is writing to just now is skipped; the next run takes it.
create function private.extend_horizons(p_limit integer default 5000) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_target timestamptz := private.now() + make_interval(days => private.setting_integer('ledger_horizon_days'));
  v_extended integer;
begin
  with due as (
    select h.resource_id
    from public.resource_horizons h
    join public.resources r on r.id = h.resource_id
    where h.claimed_until < v_target - interval '1 hour'
    order by h.resource_id
    limit p_limit
    for no key update of r skip locked
  )
  update public.resource_horizons h
  set claimed_until = v_target
  from due
  where h.resource_id = due.resource_id and h.claimed_until < v_target;
  get diagnostics v_extended = row_count;
  return v_extended;
end;
$$;
comment on function private.extend_horizons(integer) is
  'Job: moves horizons on to where the settings want them, at most p_limit resources a call; returns how many it moved.';
