create function private.check_bookings_pending_but_served() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'bookings', b.id::text, format('Booking %s is pending, and a class serves it', b.booking_id), jsonb_build_object('booking_id', b.booking_id)
  from public.bookings b
  where b.status = 'pending' and exists (select from private.served_bookings s where s.booking_id = b.booking_id);
end;
comment on function private.check_bookings_pending_but_served() is 'Finds pending bookings that a class serves.';

create function private.fix_bookings_pending_but_served(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.settle_bookings(p_entity_ids);
comment on function private.fix_bookings_pending_but_served(text[]) is 'Confirms them.';
