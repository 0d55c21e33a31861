create function private.check_bookings_confirmed_by_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'bookings', b.id::text, format('Booking %s is confirmed, and no class serves it', b.booking_id), jsonb_build_object('booking_id', b.booking_id)
  from public.bookings b
  where b.status = 'confirmed' and not exists (select from private.served_bookings s where s.booking_id = b.booking_id);
end;
comment on function private.check_bookings_confirmed_by_nothing() is 'Finds confirmed bookings that no class serves which is not cancelled.';

create function private.fix_bookings_confirmed_by_nothing(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.settle_bookings(p_entity_ids);
comment on function private.fix_bookings_confirmed_by_nothing(text[]) is 'Makes them pending again, so that they show as waiting for a class.';
