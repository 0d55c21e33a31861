create function private.check_links_to_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'assignment_bookings', l.id::text,
    case when a.id is null then format('Booking %s is linked to a class that is gone', l.booking_id)
      else format('The class on %s is linked to a booking %s that there is not', a.date, l.booking_id) end,
    jsonb_build_object('assignment_id', l.assignment_id, 'booking_id', l.booking_id)
  from public.assignment_bookings l
  left join public.class_assignments a on a.id = l.assignment_id
  left join public.bookings b on b.booking_id = l.booking_id
  where a.id is null or b.id is null;
end;
comment on function private.check_links_to_nothing() is
  'Finds links to bookings or classes that are gone, which is possible only where keys were not enforced, as in a restore.';

create function private.fix_links_to_nothing(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  delete from public.assignment_bookings l where l.id = any(p_entity_ids::uuid[]);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_links_to_nothing(text[]) is
  'Removes these links. Undoing it puts them back only once what they refer to is there again.';
