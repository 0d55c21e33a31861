create function private.check_schedules_of_people_who_left() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_schedules', s.id::text,
    format('%s on %ss at %s is planned with %s, who left', t.name, (array['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'])[s.day_of_week + 1],
      to_char(s.start_time, 'HH24:MI'), p.full_name),
    jsonb_build_object('instructor_id', s.instructor_id, 'class_type_id', s.class_type_id)
  from public.class_schedules s
  join public.class_types t on t.id = s.class_type_id
  join public.user_profiles p on p.id = s.instructor_id
  where s.is_active and not p.is_active and coalesce(s.effective_until >= private.today(), true);
end;
comment on function private.check_schedules_of_people_who_left() is 'Finds weekly templates in force whose instructor is no longer active.';

create function private.fix_schedules_of_people_who_left(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.class_schedules s set instructor_id = null where s.id = any(p_entity_ids::uuid[]);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_schedules_of_people_who_left(text[]) is
  'Takes the instructor off, so that the template keeps its room and shows as needing somebody.';
