-- Repairs go through a table of their own, so that entries and purchases are still changed by triggers only, and each
-- repair is on record.

create table private.credit_rebuilds (
  id bigint generated always as identity primary key,
  purchase_ids uuid[] not null,
  rebuilt_by text not null default private.calling(),
  rebuilt_at timestamptz not null default private.now()
);
comment on table private.credit_rebuilds is 'Every time balances of packages were worked out again: of which, by whom, when.';
comment on column private.credit_rebuilds.purchase_ids is 'The purchases whose balances, status and last day were worked out again.';

create function private.rebuild_credits() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_credits_of(p.profile_id)
  from (select distinct p.profile_id from public.package_purchases p where p.id = any(new.purchase_ids) order by 1) p;
  perform from public.package_purchases p where p.id = any(new.purchase_ids) order by p.id for no key update;
  -- What happened is true, what it added up to is worked out; where that cannot be, a person has to look.
  with sums as (
    select s.purchase_id, s.entry_no, s.balance_after
    from private.credit_sums s
    where s.purchase_id = any(new.purchase_ids) and s.is_sound
  )
  update public.credit_entries e
  set balance_after = s.balance_after
  from sums s
  where s.purchase_id = e.purchase_id and s.entry_no = e.entry_no and s.balance_after <> e.balance_after;
  update public.package_purchases p
  set status = s.status, paused_on = s.paused_on, expires_on = s.expires_on
  from private.purchase_states s
  where s.purchase_id = p.id and p.id = any(new.purchase_ids)
    and (p.status, p.paused_on, p.expires_on) is distinct from (s.status, s.paused_on, s.expires_on);
  return null;
end;
$$;
comment on function private.rebuild_credits() is
  'Row trigger on credit_rebuilds: works out the balances, status and last day of the named purchases again, as far as their entries make sense.';

create trigger t50_rebuild after insert on private.credit_rebuilds
  for each row execute function private.rebuild_credits();
