-- What the checks about bookings compare with, for all of them at once; private.is_served() says it of one.

create view private.served_bookings as
select l.booking_id
from public.assignment_bookings l
join public.class_assignments a on a.id = l.assignment_id
where a.class_status <> 'cancelled'
union
select b.booking_id
from public.class_assignments_archive a
cross join lateral unnest(a.booking_ids) as b(booking_id)
where a.class_status <> 'cancelled';
comment on view private.served_bookings is 'The codes of bookings that a class which is not cancelled serves or served.';

create function private.settle_bookings(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.confirm_bookings(array(select b.booking_id from public.bookings b where b.id = any(p_entity_ids::uuid[]) order by b.booking_id));
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.settle_bookings(text[]) is 'Makes these bookings confirmed or pending, as their classes say.';
