create function private.check_package_credits_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  with balances as (
    select p.id as purchase_id,
      count(e.entry_no) = 0 or not bool_and(s.is_sound) as is_broken,
      count(*) filter (where e.balance_after <> s.balance_after) as wrong_balances,
      coalesce(max(e.change) filter (where e.kind = 'granted'), 0) as granted
    from public.package_purchases p
    left join public.credit_entries e on e.purchase_id = p.id
    left join private.credit_sums s on s.purchase_id = e.purchase_id and s.entry_no = e.entry_no
    group by p.id
  )
  select 'package_purchases', p.id::text,
    format('The %s of %s: %s', k.name, u.full_name, array_to_string(array_remove(array[
      case when b.is_broken then 'its entries make no sense, so that one may be missing' end,
      case when b.wrong_balances > 0 then format('%s balance(s) are not what the entries add up to', b.wrong_balances) end,
      case when b.granted <> p.credits then format('%s credits were granted instead of %s', b.granted, p.credits) end,
      case when (p.status, p.paused_on) is distinct from (s.status, s.paused_on) then format('it is %s, and %s by its entries', p.status, s.status) end,
      case when p.expires_on <> s.expires_on then format('it expires on %s, and on %s by its entries', p.expires_on, s.expires_on) end
    ], null), '; ')),
    jsonb_build_object('profile_id', p.profile_id, 'package_id', p.package_id, 'is_broken', b.is_broken)
  from public.package_purchases p
  join public.packages k on k.id = p.package_id
  join public.user_profiles u on u.id = p.profile_id
  join balances b on b.purchase_id = p.id
  join private.purchase_states s on s.purchase_id = p.id
  where b.is_broken or b.wrong_balances > 0 or b.granted <> p.credits
    or (p.status, p.paused_on, p.expires_on) is distinct from (s.status, s.paused_on, s.expires_on);
end;
comment on function private.check_package_credits_differ() is
  'Finds packages people bought whose balances, status or last day are not what their entries add up to.';

create function private.fix_package_credits_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  insert into private.credit_rebuilds (purchase_ids) values (p_entity_ids::uuid[]);
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.fix_package_credits_differ(text[]) is
  'Works balances, status and last day out again; where an entry is missing, a person has to decide.';
