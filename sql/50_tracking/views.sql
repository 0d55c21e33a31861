-- What frontends list, and what students see, who may not read the tables themselves: these say what teachers are paid.

create view public.class_details with (security_invoker = true) as
select c.id, c.student_id, c.course_id, c.teacher_id, c.date, c.start_time, c.end_time, c.time_zone, c.starts_at, c.ends_at, c.status,
  c.payment_status, c.source, c.slot_id, c.occurs_on, c.rescheduled_from, c.price, c.teacher_pay, c.cancelled_by, c.cancellation_reason,
  c.cancelled_at, c.is_charged, c.is_teacher_paid, c.edited_at, c.notes, c.version, c.created_at, c.updated_at,
  concat_ws(' ', s.first_name, s.last_name) as student_name, k.title as course_title, t.full_name as teacher_name,
  a.status as attendance, a.minutes_late, r.id as replaced_by
from public.classes c
left join public.students s on s.id = c.student_id
left join public.courses k on k.id = c.course_id
left join private.directory t on t.id = c.teacher_id
left join public.class_attendance a on a.class_id = c.id
left join public.classes r on r.rescheduled_from = c.id and r.status <> 'cancelled';
comment on view public.class_details is 'Students'' classes with the names of everybody in them, their attendance, and the class that stands for them. Rows as in classes.';
comment on column public.class_details.replaced_by is 'The class it was moved to, or that makes up for it.';

create view private.students_own_classes as
select c.id, c.student_id, concat_ws(' ', s.first_name, s.last_name) as student_name, k.title as course_title, t.full_name as teacher_name,
  c.date, c.start_time, c.end_time, c.time_zone, c.starts_at, c.ends_at, c.status, c.payment_status, c.price, c.is_charged,
  c.cancelled_by, c.cancellation_reason, c.cancelled_at, c.rescheduled_from
from public.classes c
join public.students s on s.id = c.student_id
left join public.courses k on k.id = c.course_id
left join public.user_profiles t on t.id = c.teacher_id
where s.user_id = (select private.caller_id()) or (select private.is_trusted());
comment on view private.students_own_classes is 'The classes the caller takes, all for servers; read through public.my_student_classes.';

create view public.my_student_classes with (security_invoker = true) as
select c.id, c.student_id, c.student_name, c.course_title, c.teacher_name, c.date, c.start_time, c.end_time, c.time_zone, c.starts_at, c.ends_at,
  c.status, c.payment_status, c.price, c.is_charged, c.cancelled_by, c.cancellation_reason, c.cancelled_at, c.rescheduled_from
from private.students_own_classes c;
comment on view public.my_student_classes is 'The classes the caller takes as a student: when, what, with whom, what they cost. Without what teachers are paid.';
