-- What ought to be there and is not, and whose data is not as it should be.

-- As far as generation got, or should have got if it ran a week ago at the latest.
create function private.missing_classes(p_student_id uuid default null) returns setof private.promised_class
language sql stable security definer set search_path = ''
begin atomic
  select p.*
  from private.promised_classes(
    array(select t.id from public.students t where p_student_id is null or t.id = p_student_id), true,
    (select greatest(max(g.generated_through), private.generation_through()) from private.student_generation g)
  ) p
  left join private.student_generation g on g.student_id = p.student_id
  where p.reason is null and p.occurs_on <= greatest(g.generated_through, (select private.generation_through()) - 7)
    and not exists (select from public.classes c where c.slot_id = p.slot_id and c.student_id = p.student_id and c.occurs_on = p.occurs_on)
    and not exists (select from public.classes c where c.student_id = p.student_id and c.date = p.occurs_on and c.start_time = p.start_time);
end;
comment on function private.missing_classes(uuid) is 'The classes of a student, or of all, that are promised since the start and not there.';

create function private.student_problems(p_student public.students) returns text[]
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_read constant private.schedule_slot[] := array(
    select w from private.read_schedule(p_student.fixed_schedule, private.class_minutes(p_student.course_id)) w
  );
  v_problems text[] := array(select format('fixed_schedule%s: %s', w.place, w.problem) from unnest(v_read) w where w.problem is not null);
begin
  if coalesce(jsonb_typeof(p_student.fixed_schedule), 'null') not in ('array', 'object') then
    v_problems := v_problems || 'fixed_schedule: A schedule is a list of objects with day, start_time and duration_minutes'::text;
  end if;
  if (
    select array_agg(row(w.weekday, w.start_time, w.end_time, p_student.time_zone)::text order by w.weekday, w.start_time)
    from unnest(v_read) w
    where w.problem is null
  ) is distinct from (
    select array_agg(row(s.weekday, s.start_time, s.end_time, s.time_zone)::text order by s.weekday, s.start_time)
    from public.student_schedule_slots s
    where s.student_id = p_student.id and upper_inf(s.effective)
  ) then
    v_problems := v_problems || 'The weekly times are not what the schedule says'::text;
  end if;
  if private.clean_text(p_student.first_name) is null then
    v_problems := v_problems || 'The first name is missing'::text;
  end if;
  if p_student.end_date < p_student.start_date then
    v_problems := v_problems || 'The last day is before the first'::text;
  end if;
  if not private.is_time_zone(p_student.time_zone) then
    v_problems := v_problems || format('There is no time zone %s', p_student.time_zone);
  end if;
  if p_student.is_active and coalesce(p_student.end_date >= private.today(), true) and p_student.teacher_id is not null
    and not exists (select from public.user_profiles p where p.id = p_student.teacher_id and p.is_active) then
    v_problems := v_problems || 'The teacher left'::text;
  end if;
  if p_student.course_id is not null and not exists (select from public.courses c where c.id = p_student.course_id) then
    v_problems := v_problems || 'There is no such course'::text;
  end if;
  if not coalesce(p_student.class_price between 0 and 9999999999.99, true) or not coalesce(p_student.teacher_pay between 0 and 9999999999.99, true) then
    v_problems := v_problems || 'A class can neither cost nor pay such an amount'::text;
  end if;
  return v_problems;
end;
$$;
comment on function private.student_problems(public.students) is 'What is wrong with a student''s data, in sentences; empty when nothing is.';

create function private.diagnosed_students(p_student_id uuid) returns table (
  student_id uuid, student_name text, status text, message text, classes integer, missing integer, missing_dates jsonb, problems text[]
)
language plpgsql stable security definer set search_path = ''
as $$
begin
  if not private.has_permission('generate:classes') then
    perform private.require_permission('read:diagnostics');
  end if;
  if p_student_id is not null and not exists (select from public.students s where s.id = p_student_id) then
    perform private.fail('not_found', 'There is no such student', 'p_student_id', jsonb_build_object('id', p_student_id));
  end if;
  return query
    with missing as materialized (
      select m.student_id, count(*)::integer as count, private.skipped_rows(array_agg(m.m order by (m.m).starts_at)) as dates
      from (select m.student_id, m as m from private.missing_classes(p_student_id) m) m
      group by m.student_id
    ), counted as materialized (
      select c.student_id, count(*)::integer as count
      from public.classes c
      where p_student_id is null or c.student_id = p_student_id
      group by c.student_id
    )
    select s.id, concat_ws(' ', s.first_name, s.last_name),
      case when cardinality(d.problems) > 0 then 'invalid' when m.count > 0 then 'missing' else 'valid' end,
      case
        when cardinality(d.problems) > 0 then array_to_string(d.problems, '; ')
        when m.count > 0 then format('%s of %s classes missing', m.count, m.count + coalesce(k.count, 0))
        when k.count is null then case when s.fixed_schedule in ('[]', '{}') then 'No weekly schedule, no classes' else 'No classes yet' end
        else format('%s classes', k.count)
      end,
      coalesce(k.count, 0), coalesce(m.count, 0), coalesce(m.dates, '[]'), d.problems
    from public.students s
    cross join lateral (select private.student_problems(s) as problems offset 0) d
    left join missing m on m.student_id = s.id
    left join counted k on k.student_id = s.id
    where p_student_id is null or s.id = p_student_id
    order by s.last_name, s.first_name, s.id;
end;
$$;
comment on function private.diagnosed_students(uuid) is 'One row a student, for holders of generate:classes or read:diagnostics.';

-- By grouping, since where a key was lost there is no index to look up.
create function private.duplicated_classes() returns table (id uuid, kept_id uuid, student_id uuid, date date, start_time time)
language sql stable security definer set search_path = ''
begin atomic
  with groups as (
    select array_agg(c.id order by c.created_at, c.id) as ids, c.student_id, c.date, c.start_time
    from public.classes c
    group by c.student_id, c.date, c.start_time
    having count(*) > 1
    union all
    select array_agg(c.id order by c.created_at, c.id), c.student_id, min(c.date), min(c.start_time)
    from public.classes c
    where c.slot_id is not null
    group by c.student_id, c.slot_id, c.occurs_on
    having count(*) > 1
  )
  select distinct on (d.id) d.id, g.ids[1], g.student_id, g.date, g.start_time
  from groups g
  cross join lateral unnest(g.ids[2:]) as d(id)
  order by d.id, g.date, g.start_time;
end;
comment on function private.duplicated_classes() is 'Classes that are there twice (at one start, or of one weekly time and date), with the oldest, which stays.';

create function private.lost_class_keys() returns table (name text)
language sql stable set search_path = ''
begin atomic
  select k.name
  from unnest(array['classes_one_a_start', 'classes_one_a_slot_and_date', 'no_student_is_in_two_classes']) as k(name)
  where not exists (
    select
    from pg_catalog.pg_constraint c
    join pg_catalog.pg_index i on i.indexrelid = c.conindid and i.indisvalid
    where c.conrelid = 'public.classes'::regclass and c.conname = k.name and c.convalidated
  );
end;
comment on function private.lost_class_keys() is
  'Of the keys that keep a class from being there twice, and a student from being in two, those that are gone or do not hold.';

create function private.restore_class_keys() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_name text;
  v_restored integer := 0;
begin
  for v_name in select k.name from private.lost_class_keys() k loop
    begin
      execute format('alter table public.classes drop constraint if exists %1$I; drop index if exists public.%1$I', v_name);
      case v_name
        when 'classes_one_a_start' then
          alter table public.classes add constraint classes_one_a_start unique (student_id, date, start_time);
        when 'classes_one_a_slot_and_date' then
          alter table public.classes add constraint classes_one_a_slot_and_date unique (slot_id, student_id, occurs_on);
        when 'no_student_is_in_two_classes' then
          alter table public.classes add constraint no_student_is_in_two_classes
            exclude using gist (student_id with operator(pg_catalog.=), tstzrange(starts_at, ends_at) with operator(pg_catalog.&&))
            where (status in ('scheduled', 'completed', 'missed'));
      end case;
      v_restored := v_restored + 1;
    exception when unique_violation or exclusion_violation then
      null; -- what is in the way is found by other checks
    end;
  end loop;
  return v_restored;
end;
$$;
comment on function private.restore_class_keys() is 'Puts lost keys of classes back, where nothing is in the way; returns how many.';
