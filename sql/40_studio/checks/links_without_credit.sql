create view private.links_without_credit as
select l.id as link_id, l.assignment_id, l.booking_id, b.profile_id, b.class_package_id, a.date
from public.assignment_bookings l
join public.bookings b on b.booking_id = l.booking_id and b.uses_credits and b.status <> 'cancelled'
join public.class_assignments a on a.id = l.assignment_id and a.class_status <> 'cancelled'
where not exists (
  select from public.credit_entries u
  where u.source_id = l.id and u.source_table = 'assignment_bookings' and u.kind = 'used'
    and not exists (
      select from public.credit_entries r where r.purchase_id = u.purchase_id and r.used_entry_no = u.entry_no and r.kind = 'returned'
    )
);
comment on view private.links_without_credit is 'Classes that serve a booking which uses credits, without using one.';

create function private.check_links_without_credit() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'assignment_bookings', d.link_id::text, format('The class on %s serves booking %s and uses no credit of it', d.date, d.booking_id),
    jsonb_build_object('assignment_id', d.assignment_id, 'booking_id', d.booking_id, 'profile_id', d.profile_id)
  from private.links_without_credit d;
end;
comment on function private.check_links_without_credit() is 'Finds classes that serve a booking which uses credits, without using one.';

create function private.fix_links_without_credit(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_link record;
  v_fixed integer := 0;
begin
  for v_link in
    select d.* from private.links_without_credit d where d.link_id = any(p_entity_ids::uuid[]) order by d.profile_id, d.date, d.link_id
  loop
    begin
      perform private.use_credit(v_link.profile_id, v_link.class_package_id, v_link.date, 'assignment_bookings', v_link.link_id);
      v_fixed := v_fixed + 1;
    exception when sqlstate 'PGRST' then
      -- They have none that is good on the day: that one stays a finding.
      continue;
    end;
  end loop;
  return v_fixed;
end;
$$;
comment on function private.fix_links_without_credit(text[]) is
  'Uses a credit as linking would have, where the customer has one that is good on the day; about the others a person decides.';
