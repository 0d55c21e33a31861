create function public.diagnose_students(p_student_id uuid default null) returns table (
  student_id uuid, student_name text, status text, message text, classes integer, missing integer, missing_dates jsonb, problems text[]
)
language sql stable set search_path = ''
begin atomic
  select * from private.diagnosed_students(p_student_id);
end;
comment on function public.diagnose_students(uuid) is
  'One row a student, or the one: status valid, missing (classes that ought to exist since the start date and do not: how many, and the first hundred dates) or invalid (data no class can be made from: problems), with a message in words. For holders of generate:classes or read:diagnostics. Raises not_found.';
