create function private.check_generation_late() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'scheduled_jobs', 'generate_weekly_classes',
    format('The weekly run is late: %s students have classes through %s only', count(*), min(g.generated_through)),
    jsonb_build_object('students', count(*), 'generated_through', min(g.generated_through), 'expected', private.generation_through() - 7)
  from public.students s
  join private.student_generation g on g.student_id = s.id
  -- Who starts later than the weekly run looks ahead is not its business yet.
  where s.is_active and g.generated_through < (select private.generation_through()) - 7 and coalesce(g.generated_through < s.end_date, true)
    and s.start_date <= (select private.generation_through()) - 7
    and exists (select from public.student_schedule_slots k where k.student_id = s.id and upper_inf(k.effective))
  having count(*) > 0;
end;
comment on function private.check_generation_late() is 'Finds out whether the weekly run was missed for more than a week.';

create function private.fix_generation_late(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
begin atomic
  select (private.generate_for_everyone()).classes_created;
end;
comment on function private.fix_generation_late(text[]) is 'Does what the weekly run would have done.';
