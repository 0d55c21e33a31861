create function private.check_students_missing_classes() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'students', s.id::text,
    format('%s misses %s: %s', concat_ws(' ', s.first_name, s.last_name),
      case m.count when 1 then 'a class' else m.count || ' classes' end, m.shown || case when m.count > 3 then ', …' else '' end),
    jsonb_build_object('missing', m.count, 'dates', m.dates)
  from (
    select m.student_id, count(*) as count, private.skipped_rows(array_agg(m.m order by (m.m).starts_at)) as dates,
      array_to_string((array_agg((m.m).occurs_on || ' ' || left((m.m).start_time::text, 5) order by (m.m).starts_at))[1:3], ', ') as shown
    from (select m.student_id, m as m from private.missing_classes() m) m
    group by m.student_id
  ) m
  join public.students s on s.id = m.student_id;
end;
comment on function private.check_students_missing_classes() is 'Finds students who were promised classes that are not there.';

create function private.fix_students_missing_classes(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
begin atomic
  select (private.generate_for_many('backfill', p_entity_ids::uuid[], true, private.generation_through(), nextval('private.generation_run_ids'))).classes_created;
end;
comment on function private.fix_students_missing_classes(text[]) is 'Makes the missing classes of these students, where student and teacher are free.';
