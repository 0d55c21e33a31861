-- Of classes that are over, nobody takes anybody out any more; and later they may have been given less room.
create function private.check_classes_overfull() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', a.id::text,
    format('The class on %s has room for %s, and %s take part', a.date, coalesce(s.max_participants, t.max_participants), c.participants),
    jsonb_build_object('instructor_id', a.instructor_id, 'limit', coalesce(s.max_participants, t.max_participants), 'participants', c.participants)
  from public.class_assignments a
  join private.participant_counts c on c.assignment_id = a.id
  left join public.class_schedules s on s.id = a.schedule_id
  left join public.class_types t on t.id = coalesce(a.class_type_id, s.class_type_id)
  where a.class_status = 'scheduled' and a.date >= private.today() and c.participants > coalesce(s.max_participants, t.max_participants);
end;
comment on function private.check_classes_overfull() is
  'Finds classes to come that serve more bookings than they have room for. A person decides who comes another day, or makes room.';
