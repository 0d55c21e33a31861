-- For the modules whose rows use credits: their triggers call these two, after all rows of the statement are written
-- (and so locked), in the order of the people whose credits change. Then no two statements wait for each other.

create function private.use_credit(
  p_profile_id uuid, p_package_id uuid, p_used_on date, p_source_table text, p_source_id uuid
) returns public.credit_entries
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_entry public.credit_entries;
  v_purchase public.package_purchases;
begin
  perform private.lock_credits_of(p_profile_id);
  v_entry := private.credit_in_use(p_source_table, p_source_id);
  if v_entry.purchase_id is not null then
    select p.* into v_purchase from public.package_purchases p where p.id = v_entry.purchase_id;
    if v_purchase.profile_id is distinct from p_profile_id or v_purchase.package_id <> coalesce(p_package_id, v_purchase.package_id) then
      perform private.fail('duplicate', 'A credit of another package is used for this already', 'source_id',
        jsonb_build_object('source_table', p_source_table, 'source_id', p_source_id, 'purchase_id', v_purchase.id));
    end if;
    -- What is forfeited stays as it is: the row has had its credit.
    if v_entry.occurs_on = p_used_on or private.is_credit_forfeited(v_entry) then
      return v_entry;
    end if;
    -- It is about another day now, for which that lot may not be good.
    insert into public.credit_entries (purchase_id, kind, source_table, source_id)
    values (v_entry.purchase_id, 'returned', p_source_table, p_source_id);
  end if;
  -- All lots that might do, in one order; which of them does is read in the next statement.
  perform from public.package_purchases p
  where p.profile_id = p_profile_id and (p_package_id is null or p.package_id = p_package_id) and p.status = 'active'
  order by p.id
  for no key update;
  select p.* into v_purchase
  from public.package_purchases p
  cross join lateral (
    select e.balance_after from public.credit_entries e where e.purchase_id = p.id order by e.entry_no desc limit 1
  ) b
  where p.profile_id = p_profile_id and (p_package_id is null or p.package_id = p_package_id) and p.status = 'active'
    and p_used_on between p.purchased_on and p.expires_on and not private.is_paused_on(p.id, p_used_on) and b.balance_after > 0
  order by p.expires_on, p.purchased_on, p.id
  limit 1;
  if not found then
    perform private.fail('limit_exceeded', 'No credits left', 'package_id',
      jsonb_build_object('profile_id', p_profile_id, 'package_id', p_package_id, 'used_on', p_used_on, 'limit', 0),
      'Sell a package, resume a paused one, or choose a day on which one is valid.');
  end if;
  insert into public.credit_entries (purchase_id, kind, occurs_on, source_table, source_id)
  values (v_purchase.id, 'used', p_used_on, p_source_table, p_source_id)
  returning * into v_entry;
  return v_entry;
end;
$$;
comment on function private.use_credit(uuid, uuid, date, text, uuid) is
  'Uses a credit of this person for a row of another table, on that day: of the lot that expires first, of this package or (null) of any. A row that has a credit for that day keeps it; one that moved to another day gets its credit back and uses one that is good then; a forfeited credit stays the row''s. Raises limit_exceeded when none is left, duplicate when the row has a credit of somebody else or of another package, illegal_transition when it moves and its package was refunded.';

create function private.return_credit(p_source_table text, p_source_id uuid, p_starts_at timestamptz) returns public.credit_entries
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_entry public.credit_entries := private.credit_in_use(p_source_table, p_source_id);
  v_purchase public.package_purchases;
  v_is_late boolean;
begin
  if v_entry.purchase_id is null then
    return null;
  end if;
  perform private.lock_credits_of(p.profile_id) from public.package_purchases p where p.id = v_entry.purchase_id;
  -- Again, now that nobody else can have returned it meanwhile.
  v_entry := private.credit_in_use(p_source_table, p_source_id);
  if v_entry.purchase_id is null or private.is_credit_forfeited(v_entry) then
    return null;
  end if;
  select p.* into v_purchase from public.package_purchases p where p.id = v_entry.purchase_id for no key update;
  v_is_late := coalesce(private.now() > p_starts_at - make_interval(hours => v_purchase.late_cancel_hours), false);
  insert into public.credit_entries (purchase_id, kind, source_table, source_id)
  values (v_purchase.id, case when v_is_late or v_purchase.status = 'refunded' then 'forfeited' else 'returned' end, p_source_table, p_source_id)
  returning * into v_entry;
  return v_entry;
end;
$$;
comment on function private.return_credit(text, uuid, timestamptz) is
  'Gives the credit back that a row uses: returned, or forfeited when what starts at p_starts_at (null: no time was set) was cancelled too late by the package''s rule, or the package was refunded meanwhile. Gives the entry, or null when no credit is in use or it is forfeited already.';
