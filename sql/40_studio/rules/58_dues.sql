-- A booking of a package costs what the package does, unless its classes use credits, which were paid for when they were
-- bought. Who it is for has to be known; a booking that was cancelled costs nothing.

create view private.bookings_dues as
select b.id as source_id, b.profile_id, p.price as amount, p.name || ', booking ' || b.booking_id as title
from public.bookings b
join public.packages p on p.id = b.class_package_id
where b.profile_id is not null and not b.uses_credits and b.status <> 'cancelled';
comment on view private.bookings_dues is 'What bookings cost: the price of their package, for those that use no credits.';

select private.attach_dues('public.bookings');
