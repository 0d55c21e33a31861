-- A class that went to the archive keeps the credits it used, and its links are gone: there, the person and the day say
-- whether there was something to use a credit for.
create function private.check_credits_used_for_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'assignment_bookings', e.source_id::text,
    format('A credit of %s was used for %s, and %s', u.full_name, e.occurs_on,
      case when l.id is null then 'no class serves them then' else 'the class was cancelled' end),
    jsonb_build_object('purchase_id', e.purchase_id, 'entry_no', e.entry_no, 'profile_id', p.profile_id)
  from public.credit_entries e
  join public.package_purchases p on p.id = e.purchase_id
  join public.user_profiles u on u.id = p.profile_id
  left join public.assignment_bookings l on l.id = e.source_id
  left join public.class_assignments a on a.id = l.assignment_id
  where e.source_table = 'assignment_bookings' and e.kind = 'used'
    and not exists (
      select from public.credit_entries r
      where r.purchase_id = e.purchase_id and r.used_entry_no = e.entry_no and r.kind in ('returned', 'forfeited')
    )
    and case when l.id is not null then a.class_status = 'cancelled' else (p.profile_id, e.occurs_on) not in (
      select b.profile_id, r.date
      from public.class_assignments_archive r
      cross join lateral unnest(r.booking_ids) as i(booking_id)
      join public.bookings b on b.booking_id = i.booking_id
      where r.class_status <> 'cancelled' and b.profile_id is not null
    ) end;
end;
comment on function private.check_credits_used_for_nothing() is 'Finds credits used for a class that is cancelled or no longer serves the customer.';

create function private.fix_credits_used_for_nothing(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.return_credit('assignment_bookings', u.source_id, null)
  from (
    select distinct p.profile_id, e.source_id
    from public.credit_entries e
    join public.package_purchases p on p.id = e.purchase_id
    where e.source_id = any(p_entity_ids::uuid[]) and e.source_table = 'assignment_bookings' and e.kind = 'used'
    order by p.profile_id, e.source_id
    offset 0
  ) u;
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.fix_credits_used_for_nothing(text[]) is 'Gives these credits back.';
