-- No course requires itself, over however many others.

-- Two statements that each add one half of a circle have no row in common that either could lock: all of them queue
-- for one lock instead. Requirements change rarely. It is taken before any row is touched, and what is there is read in
-- a later statement.
create function private.lock_prerequisites() returns trigger
language plpgsql volatile set search_path = ''
as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('course_prerequisites', 0));
  return null;
end;
$$;
comment on function private.lock_prerequisites() is 'Statement trigger: one transaction at a time changes what courses require.';

create function private.required_by(p_course_ids uuid[]) returns table (course_id uuid, required_course_id uuid)
language sql stable security definer set search_path = ''
begin atomic
  -- Pairs, not paths: however many ways lead from one course to another, it is reached once.
  with recursive reached as (
    select p.course_id, p.required_course_id
    from public.course_prerequisites p
    where p.course_id = any(p_course_ids)
    union
    select r.course_id, p.required_course_id
    from reached r
    join public.course_prerequisites p on p.course_id = r.required_course_id
  )
  select r.course_id, r.required_course_id from reached r;
end;
comment on function private.required_by(uuid[]) is 'Everything these courses require, directly or over others.';

create function private.refuse_circle() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_course public.courses;
  v_others text[];
begin
  select c.* into v_course
  from private.required_by(array(select distinct n.course_id from new_rows n)) r
  join public.courses c on c.id = r.course_id
  where r.required_course_id = r.course_id
  order by c.code
  limit 1;
  if not found then
    return null;
  end if;
  select array_agg(o.code order by o.code) into v_others
  from private.required_by(array[v_course.id]) r
  join public.courses o on o.id = r.required_course_id and o.id <> v_course.id
  where exists (select from private.required_by(array[o.id]) b where b.required_course_id = v_course.id);
  perform private.fail('invalid_input',
    format('%s would require itself, by way of %s', v_course.code, array_to_string(v_others, ', ')), 'required_course_id',
    jsonb_build_object('course_id', v_course.id, 'by_way_of', to_jsonb(v_others), 'errors', jsonb_build_array(jsonb_build_object(
      'field', 'required_course_id', 'message', 'A course cannot require itself, not over others either'))));
  return null;
end;
$$;
comment on function private.refuse_circle() is 'Statement trigger: refuses requirements by which a course would require itself.';

create trigger t00_read_committed before insert or update or delete on public.course_prerequisites
  for each statement execute function private.refuse_other_isolation();
create trigger t10_one_at_a_time before insert or update on public.course_prerequisites
  for each statement execute function private.lock_prerequisites();
create trigger t50_no_circle_insert after insert on public.course_prerequisites
  referencing new table as new_rows for each statement execute function private.refuse_circle();
create trigger t50_no_circle_update after update on public.course_prerequisites
  referencing new table as new_rows for each statement execute function private.refuse_circle();
