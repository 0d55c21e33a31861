alter table public.students enable row level security;
alter table public.student_schedule_slots enable row level security;
alter table public.student_pauses enable row level security;
alter table public.classes enable row level security;
alter table public.class_attendance enable row level security;
alter table public.cancellation_rules enable row level security;
alter table public.class_generation_logs enable row level security;

-- Whose students they are. Definers, because policies of the tables below ask them.
create function private.own_student_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select s.id from public.students s where s.user_id = private.caller_id() and s.user_id is not null;
end;
comment on function private.own_student_ids() is 'The students the caller is.';

create function private.taught_student_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select s.id from public.students s where s.teacher_id = private.current_profile_id();
end;
comment on function private.taught_student_ids() is 'The students the caller teaches.';

create function private.own_class_ids() returns setof uuid
language sql stable security definer set search_path = ''
begin atomic
  select c.id from public.classes c
  where c.teacher_id = private.current_profile_id() and private.has_permission('read:student')
    or c.student_id in (select s.id from public.students s where s.user_id = private.caller_id());
end;
comment on function private.own_class_ids() is 'The classes the caller teaches or takes.';

grant select on public.class_details, public.my_student_classes, private.students_own_classes to authenticated, service_role;

grant execute on function private.own_student_ids(), private.taught_student_ids(), private.own_class_ids() to authenticated;

-- Students: those one teaches, all for who may read everyone's calendar as well. Who is one reads my_student_classes:
-- the tables say what teachers are paid. What follows from the rest is nobody's to write.
grant select, delete on public.students to authenticated, service_role;
grant insert (id, first_name, last_name, email, phone, user_id, profile_id, course_id, teacher_id, start_date, end_date, fixed_schedule, time_zone,
  class_price, teacher_pay, is_active, notes) on public.students to authenticated;
grant update (first_name, last_name, email, phone, user_id, profile_id, course_id, teacher_id, start_date, end_date, fixed_schedule, time_zone,
  class_price, teacher_pay, is_active, notes, version) on public.students to authenticated;
grant insert, update on public.students to service_role;
create policy "teachers see their students, planners all" on public.students for select to authenticated
  using (
    (select private.has_permission('read:student'))
      and (teacher_id = (select private.current_profile_id()) or (select private.has_permission('read:calendar')))
  );
create policy "holders of create:student add students" on public.students for insert to authenticated
  with check ((select private.has_permission('create:student')));
create policy "holders of update:student change students" on public.students for update to authenticated
  using ((select private.has_permission('update:student')));
create policy "holders of delete:student delete students" on public.students for delete to authenticated
  using ((select private.has_permission('delete:student')));

-- Written by the triggers of students.
grant select on public.student_schedule_slots to authenticated, service_role;
create policy "weekly times are seen with the student" on public.student_schedule_slots for select to authenticated
  using (
    (select private.has_permission('read:student')) and (select private.has_permission('read:calendar'))
    or student_id = any(array(select private.own_student_ids()))
    or (select private.has_permission('read:student')) and student_id = any(array(select private.taught_student_ids()))
  );

grant select, delete on public.student_pauses to authenticated, service_role;
grant insert (student_id, starts_on, ends_on, reason) on public.student_pauses to authenticated;
grant update (starts_on, ends_on, reason, version) on public.student_pauses to authenticated;
grant insert, update on public.student_pauses to service_role;
create policy "pauses are seen with the student" on public.student_pauses for select to authenticated
  using (
    (select private.has_permission('read:student')) and (select private.has_permission('read:calendar'))
    or student_id = any(array(select private.own_student_ids()))
    or (select private.has_permission('read:student')) and student_id = any(array(select private.taught_student_ids()))
  );
create policy "holders of update:student add pauses" on public.student_pauses for insert to authenticated
  with check ((select private.has_permission('update:student')));
create policy "holders of update:student change pauses" on public.student_pauses for update to authenticated
  using ((select private.has_permission('update:student')));
create policy "holders of update:student end pauses" on public.student_pauses for delete to authenticated
  using ((select private.has_permission('update:student')));

-- Classes: those one teaches; teachers and students change theirs through functions, which know what each may.
grant select, delete on public.classes to authenticated, service_role;
grant insert (id, student_id, course_id, teacher_id, date, start_time, end_time, time_zone, payment_status, price, teacher_pay, notes)
  on public.classes to authenticated;
grant update (course_id, teacher_id, date, start_time, end_time, time_zone, status, payment_status, price, teacher_pay, cancelled_by,
  cancellation_reason, notes, version) on public.classes to authenticated;
grant insert, update on public.classes to service_role;
create policy "teachers see the classes they teach, planners all" on public.classes for select to authenticated
  using (
    (select private.has_permission('read:student'))
      and (teacher_id = (select private.current_profile_id()) or (select private.has_permission('read:calendar')))
  );
create policy "holders of create:class add classes" on public.classes for insert to authenticated
  with check ((select private.has_permission('create:class')));
create policy "holders of update:class change classes" on public.classes for update to authenticated
  using ((select private.has_permission('update:class')));
create policy "holders of delete:class delete classes" on public.classes for delete to authenticated
  using ((select private.has_permission('delete:class')));

-- Attendance is recorded through record_attendance(), which knows whose class it is; corrections too.
grant select on public.class_attendance to authenticated, service_role;
grant insert, update, delete on public.class_attendance to service_role;
grant insert (class_id, status, minutes_late, note), delete on public.class_attendance to authenticated;
grant update (status, minutes_late, note, version) on public.class_attendance to authenticated;
create policy "attendance is seen with the class" on public.class_attendance for select to authenticated
  using (
    (select private.has_permission('read:student')) and (select private.has_permission('read:calendar'))
    or class_id = any(array(select private.own_class_ids()))
  );
create policy "holders of update:class record attendance" on public.class_attendance for insert to authenticated
  with check ((select private.has_permission('update:class')));
create policy "holders of update:class correct attendance" on public.class_attendance for update to authenticated
  using ((select private.has_permission('update:class')));
create policy "holders of update:class delete attendance" on public.class_attendance for delete to authenticated
  using ((select private.has_permission('update:class')));

grant select, delete on public.cancellation_rules to authenticated, service_role;
grant insert (cancelled_by, notice_hours, is_charged, is_teacher_paid) on public.cancellation_rules to authenticated;
grant update (is_charged, is_teacher_paid, version) on public.cancellation_rules to authenticated;
grant insert, update on public.cancellation_rules to service_role;
create policy "signed-in people see what cancelling costs" on public.cancellation_rules for select to authenticated using (true);
create policy "holders of manage:tracking add cancellation rules" on public.cancellation_rules for insert to authenticated
  with check ((select private.has_permission('manage:tracking')));
create policy "holders of manage:tracking change cancellation rules" on public.cancellation_rules for update to authenticated
  using ((select private.has_permission('manage:tracking')));
create policy "holders of manage:tracking delete cancellation rules" on public.cancellation_rules for delete to authenticated
  using ((select private.has_permission('manage:tracking')));

-- Written by generation.
grant select on public.class_generation_logs to authenticated, service_role;
create policy "holders of generate:classes or read:diagnostics see what generation did" on public.class_generation_logs for select to authenticated
  using ((select private.has_permission('generate:classes')) or (select private.has_permission('read:diagnostics')));

grant execute on function
  public.generate_weekly_classes(date, text), public.generate_missing_classes(uuid, text), public.diagnose_students(uuid),
  public.check_duplicate_classes(), public.class_statistics(date, date), public.clean_old_class_generation_logs(integer, text),
  public.cancel_class(uuid, text, text, text), public.reschedule_class(uuid, date, time, time, uuid, text),
  public.offer_makeup(uuid, timestamptz, timestamptz, uuid, boolean, integer), public.book_makeup(uuid, date, time, time, uuid, text),
  public.record_attendance(uuid, text, integer, text, text)
  to authenticated, service_role;
grant execute on function
  private.generate_weekly(date), private.generate_missing(uuid), private.diagnosed_students(uuid), private.duplicates_found(),
  private.class_figures(date, date), private.clean_logs(integer), private.cancel_one(uuid, text, text), private.move_one(uuid, date, time, time, uuid),
  private.makeup_times(uuid, timestamptz, timestamptz, uuid, boolean, integer), private.make_up_for(uuid, date, time, time, uuid),
  private.record_one(uuid, text, integer, text)
  to authenticated, service_role;
