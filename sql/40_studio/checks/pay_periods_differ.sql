create function private.check_pay_periods_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'pay_periods', p.id::text, format('%s is %s, and was last %s', p.name, p.status, coalesce(e.kind, 'opened')),
    jsonb_build_object('event_no', e.event_no)
  from public.pay_periods p
  left join lateral (
    select e.event_no, e.kind from public.pay_period_events e where e.pay_period_id = p.id order by e.event_no desc limit 1
  ) e on true
  where (p.status = 'closed') is distinct from coalesce(e.kind = 'closed', false);
end;
comment on function private.check_pay_periods_differ() is 'Finds pay periods whose status is not what was last recorded of them.';

create function private.fix_pay_periods_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  update public.pay_periods p set status = case p.status when 'closed' then 'open' else 'closed' end
  where p.id = any(p_entity_ids::uuid[]) and p.id::text in (select f.entity_id from private.check_pay_periods_differ() f);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.fix_pay_periods_differ(text[]) is 'Takes the status from the last event.';
