-- What frontends list, and what those see who may not read the tables themselves.

create view public.assignment_details with (security_invoker = true) as
select a.id, a.class_type_id, a.package_id, a.instructor_id, a.location_id, a.date, a.start_time, a.end_time, a.time_zone,
  a.starts_at, a.ends_at, a.payment_amount, a.payment_type, a.schedule_type, a.booking_type, a.class_status, a.payment_status,
  a.instructor_status, a.instructor_response_at, a.notes, a.assigned_by, a.assigned_at, a.schedule_id, a.occurs_on, a.plan_id,
  a.rate, a.rate_id, a.version, a.created_at, a.updated_at,
  t.name as class_type_name, t.difficulty_level, p.name as package_name, p.class_count, p.validity_days,
  i.full_name as instructor_name, i.email as instructor_email, l.name as location_name, b.booking_count, b.booking_ids
from public.class_assignments a
left join public.class_types t on t.id = a.class_type_id
left join public.packages p on p.id = a.package_id
left join public.locations l on l.id = a.location_id
left join private.directory i on i.id = a.instructor_id
cross join lateral (
  select count(*)::integer as booking_count, coalesce(array_agg(x.booking_id order by x.booking_id), '{}') as booking_ids
  from public.assignment_bookings x
  where x.assignment_id = a.id
) b;
comment on view public.assignment_details is 'Classes with the names of everything they refer to, and the bookings they serve. Rows as in class_assignments.';
comment on column public.assignment_details.class_count is 'How many classes the package is good for.';
comment on column public.assignment_details.validity_days is 'For how many days the package is valid.';
comment on column public.assignment_details.instructor_email is 'In full for oneself and for holders of read:contact, masked for others.';
comment on column public.assignment_details.booking_count is 'How many bookings the class serves.';
comment on column public.assignment_details.booking_ids is 'Their codes.';

-- Definers' views, since customers may not read classes (they say what instructors are paid), nor instructors bookings
-- (they say how to reach customers). Each hands out only rows that are the caller's own business.
create view private.customer_classes as
select a.id as assignment_id, b.booking_id, a.date, a.start_time, a.end_time, a.time_zone, a.starts_at, a.ends_at, a.class_status,
  t.name as class_type_name, t.difficulty_level, p.name as package_name, i.full_name as instructor_name, l.name as location_name, l.address as location_address
from public.bookings b
join public.assignment_bookings x on x.booking_id = b.booking_id
join public.class_assignments a on a.id = x.assignment_id
left join public.class_types t on t.id = a.class_type_id
left join public.packages p on p.id = a.package_id
left join public.locations l on l.id = a.location_id
left join public.user_profiles i on i.id = a.instructor_id
where b.profile_id = (select private.current_profile_id()) or b.user_id = (select private.caller_id()) or (select private.is_trusted());
comment on view private.customer_classes is 'The classes that serve the caller''s bookings, all for servers; read through public.my_classes.';

create view public.my_classes with (security_invoker = true) as
select c.assignment_id, c.booking_id, c.date, c.start_time, c.end_time, c.time_zone, c.starts_at, c.ends_at, c.class_status,
  c.class_type_name, c.difficulty_level, c.package_name, c.instructor_name, c.location_name, c.location_address
from private.customer_classes c;
comment on view public.my_classes is 'The classes that serve the caller''s own bookings: when, what, with whom and where. Without pay.';
comment on column public.my_classes.booking_id is 'The code of the caller''s booking.';

create view private.class_rosters as
select a.id as assignment_id, b.booking_id, b.first_name, b.last_name, b.status, b.booking_type
from public.class_assignments a
join public.assignment_bookings x on x.assignment_id = a.id
join public.bookings b on b.booking_id = x.booking_id
where a.instructor_id = (select private.current_profile_id()) or (select private.has_permission('read:booking'));
comment on view private.class_rosters is 'Who takes part in the caller''s classes; read through public.class_participants.';

create view public.class_participants with (security_invoker = true) as
select r.assignment_id, r.booking_id, r.first_name, r.last_name, r.status, r.booking_type
from private.class_rosters r;
comment on view public.class_participants is 'Who takes part in the classes one teaches, by name; in all classes for holders of read:booking.';
