create function private.check_student_classes_past_but_scheduled() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'classes', c.id::text,
    format('The class of %s on %s %s is over and still scheduled', concat_ws(' ', s.first_name, s.last_name), c.date, left(c.start_time::text, 5)),
    jsonb_build_object('student_id', c.student_id, 'date', c.date)
  from public.classes c
  join public.students s on s.id = c.student_id
  where c.status = 'scheduled' and c.ends_at < private.now() - interval '48 hours';
end;
comment on function private.check_student_classes_past_but_scheduled() is 'Finds classes that were over two days ago and are neither completed, missed nor cancelled.';

create function private.fix_student_classes_past_but_scheduled(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.classes c set status = 'completed'
  where c.id = any(p_entity_ids::uuid[]) and c.status = 'scheduled' and c.ends_at < private.now();
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_student_classes_past_but_scheduled(text[]) is 'Completes them, as the daily job does.';
