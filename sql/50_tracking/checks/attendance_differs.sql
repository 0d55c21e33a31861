create function private.check_attendance_differs() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'classes', c.id::text,
    format('Attendance of the class of %s %s says %s, the class is %s', c.date, left(c.start_time::text, 5), a.status, c.status),
    jsonb_build_object('student_id', c.student_id, 'attendance', a.status, 'status', c.status)
  from public.class_attendance a
  join public.classes c on c.id = a.class_id
  where c.status <> case when a.status in ('present', 'late') then 'completed' else 'missed' end and c.status <> 'cancelled';
end;
comment on function private.check_attendance_differs() is 'Finds classes that became something else than their attendance says.';

create function private.fix_attendance_differs(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.classes c set status = case when a.status in ('present', 'late') then 'completed' else 'missed' end
  from public.class_attendance a
  where a.class_id = c.id and c.id = any(p_entity_ids::uuid[]) and c.status in ('scheduled', 'completed', 'missed') and c.starts_at <= private.now();
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_attendance_differs(text[]) is 'Makes the classes what their attendance says, unless another stands for them.';
