create function private.check_prerequisites_in_a_circle() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'courses', c.id::text, format('Nobody can take %s: in the end it requires itself', c.code), jsonb_build_object('code', c.code)
  from private.required_by(array(select distinct p.course_id from public.course_prerequisites p)) r
  join public.courses c on c.id = r.course_id
  where r.required_course_id = r.course_id;
end;
comment on function private.check_prerequisites_in_a_circle() is
  'Finds courses that require themselves, as rows written around the triggers may. A person decides which requirement goes.';
