create function private.check_student_class_instants_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  with times as materialized (
    select t.*, private.local_to_instant(t.date, t.start_time, t.time_zone) as starts_at, private.local_end_to_instant(t.date, t.end_time, t.time_zone) as ends_at
    from (
      select distinct c.date, c.start_time, c.end_time, c.time_zone from public.classes c where private.is_time_zone(c.time_zone)
    ) t
  )
  select 'classes', c.id::text, format('The class of %s %s is not at the instant its wall-clock time is', c.date, left(c.start_time::text, 5)),
    jsonb_build_object('starts_at', c.starts_at, 'ends_at', c.ends_at, 'expected_starts_at', t.starts_at, 'expected_ends_at', t.ends_at)
  from public.classes c
  join times t on (t.date, t.start_time, t.end_time, t.time_zone) = (c.date, c.start_time, c.end_time, c.time_zone)
  where t.starts_at is not null and t.ends_at is not null and (c.starts_at, c.ends_at) is distinct from (t.starts_at, t.ends_at);
end;
comment on function private.check_student_class_instants_differ() is 'Finds classes whose instants are not those of their date, times and zone.';

create function private.fix_student_class_instants_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
  v_fixed integer := 0;
begin
  -- One by one, so that one whose teacher is taken then does not keep the others as they are.
  for v_id in select u.id from unnest(p_entity_ids::uuid[]) as u(id) order by u.id loop
    begin
      update public.classes c set date = c.date where c.id = v_id;
      v_fixed := v_fixed + 1;
    exception when exclusion_violation or sqlstate 'PGRST' then
      null;
    end;
  end loop;
  return v_fixed;
end;
$$;
comment on function private.fix_student_class_instants_differ(text[]) is 'Works the instants out again, where student and teacher are free then.';
