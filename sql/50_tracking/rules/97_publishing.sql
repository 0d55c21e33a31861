-- What students' classes tell the feed, and who may follow it: those who may read the rows.

create function private.may_follow_classes(p_id text) returns boolean
language sql stable security definer set search_path = ''
return private.has_permission('read:student')
  and (private.has_permission('read:calendar') or coalesce(p_id = private.current_profile_id()::text, false));
comment on function private.may_follow_classes(text) is 'Who may read the classes of a teacher, or with an empty id everybody''s.';

create function private.may_follow_student(p_id text) returns boolean
language sql stable security definer set search_path = ''
return private.has_permission('read:student') and private.has_permission('read:calendar')
  or exists (
    select from public.students s
    where s.id::text = p_id
      and (s.user_id = private.caller_id() or s.teacher_id = private.current_profile_id() and private.has_permission('read:student'))
  );
comment on function private.may_follow_student(text) is 'Who may read the classes of a student: the student, the teacher, who may read everyone''s calendar.';

select private.attach_publishing('public.classes', 'changes_from_tracking', 'class', 'classes', 'teacher:teacher_id', 'student:student_id');
