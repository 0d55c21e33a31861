create function private.check_students_invalid() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'students', s.id::text, format('%s: %s', concat_ws(' ', s.first_name, s.last_name), array_to_string(p.problems, '; ')),
    jsonb_build_object('problems', p.problems)
  from public.students s
  cross join lateral (select private.student_problems(s) as problems offset 0) p
  where cardinality(p.problems) > 0;
end;
comment on function private.check_students_invalid() is 'Finds students whose data no class can be made from, or not the right ones.';

create function private.fix_students_invalid(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  -- A schedule that cannot be read has no weekly times to be put right: those that are there stay until somebody looks.
  v_ids uuid[] := array(
    select s.id from public.students s
    where s.id = any(p_entity_ids::uuid[]) and private.is_time_zone(s.time_zone)
      and private.schedule_problems(s.fixed_schedule, private.class_minutes(s.course_id)) = '[]'
  );
begin
  perform private.run_generation('backfill', v_ids, true, p_syncs_slots => true);
  return cardinality(v_ids);
end;
$$;
comment on function private.fix_students_invalid(text[]) is
  'Makes the weekly times of these students what their schedules say, where these can be read; about anything else a person decides.';
