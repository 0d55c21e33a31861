-- Classes wherever they are kept; one that stands in both places counts once.
create view private.paid_classes as
select a.id, a.instructor_id, a.date, a.starts_at, a.ends_at, a.schedule_type, a.class_status, a.instructor_status, a.payment_status, a.payment_amount
from public.class_assignments a
union all
select a.id, a.instructor_id, a.date, a.starts_at, a.ends_at, a.schedule_type, a.class_status, a.instructor_status, a.payment_status, a.payment_amount
from public.class_assignments_archive a
where not exists (select from public.class_assignments l where l.id = a.id);
comment on view private.paid_classes is 'All classes, archived ones included, as far as pay and numbers go.';
