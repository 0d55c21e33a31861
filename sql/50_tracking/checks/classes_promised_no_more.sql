create function private.check_classes_promised_no_more() returns table (entity text, entity_id text, message text, detail jsonb)
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[] := array(select t.id from public.students t);
  v_obsolete uuid[] := (select p.obsolete from private.plan_generation(v_ids, false, private.generation_through()) p);
begin
  return query
    select 'classes', c.id::text,
      format('The class of %s on %s %s is promised no longer', concat_ws(' ', s.first_name, s.last_name), c.date, left(c.start_time::text, 5)),
      jsonb_build_object('student_id', c.student_id, 'date', c.date, 'start_time', c.start_time)
    from unnest(v_obsolete) as o(id)
    join public.classes c on c.id = o.id
    join public.students s on s.id = c.student_id;
end;
$$;
comment on function private.check_classes_promised_no_more() is
  'Finds classes to come that nobody touched and no schedule promises: of a weekly time that ended, on a closed day, during a pause.';

create function private.fix_classes_promised_no_more(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[] := array(select distinct c.student_id from public.classes c where c.id = any(p_entity_ids::uuid[]) order by 1);
begin
  return (private.run_generation('backfill', v_ids)).classes_removed;
end;
$$;
comment on function private.fix_classes_promised_no_more(text[]) is 'Generates for their students, which takes such classes away.';
