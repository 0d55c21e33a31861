-- Generation. A row in private.generation_runs generates: the triggers of students, the weekly run and every repair write
-- one, so that all of them do the same. Rerun, late, or twenty at once, it ends in the same rows: it locks the students,
-- takes away what is untouched and no longer promised, and adds what is promised and not there.
--
-- Teachers are claimed first, since the ledger alone knows who is taken by what: whoever loses there gets no class, and
-- the date is reported. A student who is taken loses at the class's own constraint, and the claim is given back.

-- What is promised against what is there, in one pass. What is there during time off that was approved later stays:
-- somebody may cover it, as cover_requests say. So does what a zone that does not exist says nothing about.
--
-- is_promised is a column, and not asked where it is used, because the planner takes hardly any row to have no reason: it
-- would look up student, course and rate class by class.
create function private.plan_generation(
  p_student_ids uuid[], p_since_start boolean, p_through date,
  out skipped private.promised_class[], out added public.classes[], out obsolete uuid[]
)
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
begin
  with promised as materialized (
    select p.* from private.promised_classes(p_student_ids, p_since_start, p_through) p
  ),
  moment as materialized (
    select private.now() as instant, private.today() - 1 as yesterday
  ),
  compared as materialized (
    select p.student_id, p.slot_id, p.occurs_on, p.start_time, p.end_time, p.time_zone, p.starts_at, p.ends_at, p.course_id, p.teacher_id,
      p.student_id is not null and p.reason is null as is_promised, c.id as class_id,
      c.id is not null and c.date >= m.yesterday
        and (p.student_id is null and (c.date <= p_through or private.has_ended(c.c))
          or p.reason not in ('time_off', 'time_zone')
          or p.reason is null and (
            (p.start_time, p.end_time, p.time_zone) <> (c.start_time, c.end_time, c.time_zone)
            or (p.course_id, p.teacher_id) is distinct from (c.course_id, c.teacher_id)
          ))
        and c.source = 'generated' and c.status = 'scheduled' and c.edited_at is null and c.starts_at > m.instant
        and private.is_untouched(c.c) as is_obsolete
    from promised p
    full join (
      select c.id, c.student_id, c.slot_id, c.occurs_on, c.date, c.start_time, c.end_time, c.time_zone, c.course_id, c.teacher_id, c.source,
        c.status, c.edited_at, c.starts_at, c
      from public.classes c
      where c.student_id = any(p_student_ids) and c.slot_id is not null
        and (p_since_start or c.occurs_on >= (select least((select min(q.occurs_on) from promised q), m.yesterday - 399) from moment m))
    ) c on c.slot_id = p.slot_id and c.student_id = p.student_id and c.occurs_on = p.occurs_on
    cross join moment m
    where p.student_id is null or c.id is null or p.reason is not null
      or (p.start_time, p.end_time, p.time_zone) <> (c.start_time, c.end_time, c.time_zone)
      or (p.course_id, p.teacher_id) is distinct from (c.course_id, c.teacher_id)
  ),
  gone as materialized (
    select array_agg(x.class_id order by x.class_id) as ids from compared x where x.is_obsolete
  )
  select
    (select array_agg(p::private.promised_class) from promised p where p.reason is not null),
    (
      select array_agg(
        row(gen_random_uuid(), x.student_id, x.course_id, x.teacher_id, x.occurs_on, x.start_time, x.end_time, x.time_zone, x.starts_at, x.ends_at,
          'scheduled', 'pending', 'generated', x.slot_id, x.occurs_on, null, coalesce(s.class_price, k.price), coalesce(s.teacher_pay, r.rate),
          null, null, null, true, true, null, null, 1, m.instant, m.instant)::public.classes
        order by x.student_id, x.starts_at)
      from compared x
      cross join moment m
      join public.students s on s.id = x.student_id
      left join public.courses k on k.id = x.course_id
      left join public.instructor_rates r on r.instructor_id = x.teacher_id and r.class_type_id is null and r.payment_type = 'per_class'
        and daterange(r.effective_from, r.effective_until, '[]') @> x.occurs_on
      where s.id = any(p_student_ids) and x.is_promised and (x.class_id is null or x.is_obsolete)
        and not exists (
          select from public.classes o
          where o.student_id = x.student_id and o.date = x.occurs_on and o.start_time = x.start_time
            and o.id <> all(coalesce((select g.ids from gone g), '{}'))
        )
    ),
    (select g.ids from gone g)
  into skipped, added, obsolete;
end;
$$;
comment on function private.plan_generation(uuid[], boolean, date) is
  'What generation has to do for these students: the dates it leaves out, the classes to add (with their terms as they are now), and the untouched ones to come that are promised no longer, or otherwise.';

-- The share key is what private.happening_key says, without calling it for each class.
create function private.claims_of(p_new public.classes[]) returns setof public.claims
language sql stable security definer set search_path = ''
begin atomic
  select n.teacher_id, tstzrange(n.starts_at, n.ends_at), md5('classes' || n.id::text || (n.date - date '1970-01-01'))::uuid, 'classes', n.id, n.date, 'class',
    left(concat(coalesce(k.title, 'Class'), ', ', concat_ws(' ', t.first_name, t.last_name)), 500)
  from unnest(p_new) n
  join public.resource_horizons h on h.resource_id = n.teacher_id and n.ends_at <= h.claimed_until
  join public.students t on t.id = n.student_id
  left join public.courses k on k.id = n.course_id
  left join public.student_schedule_slots s on s.id = n.slot_id
  order by n.starts_at, n.teacher_id, s.created_at, n.slot_id;
end;
comment on function private.claims_of(public.classes[]) is
  'What these classes will claim, as private.classes_claims will have it; whose weekly time was there first comes first.';

create function private.what_is_in_the_way(p_class public.classes, out reason text, out detail text)
language sql stable security definer set search_path = ''
begin atomic
  select w.reason, w.detail
  from (
    select 1 as rank, 'student_taken' as reason,
      format('The student has another class, %s', private.describe_range(tstzrange(c.starts_at, c.ends_at), c.time_zone)) as detail
    from public.classes c
    where c.student_id = p_class.student_id and c.status in ('scheduled', 'completed', 'missed')
      and tstzrange(c.starts_at, c.ends_at) && tstzrange(p_class.starts_at, p_class.ends_at)
    union all
    select 2, 'teacher_taken', format('%s is already in %s, %s', r.name, c.title, private.describe_range(c.during, p_class.time_zone))
    from public.claims c
    join public.resources r on r.id = c.resource_id
    where c.resource_id = p_class.teacher_id and c.during && tstzrange(p_class.starts_at, p_class.ends_at) and c.source_id <> p_class.id
    union all
    select 3, 'beyond_horizon', format('%s can be booked until %s only', r.name, h.claimed_until)
    from public.resource_horizons h
    join public.resources r on r.id = h.resource_id
    where h.resource_id = p_class.teacher_id and h.claimed_until < p_class.ends_at
    union all
    select 4, 'teacher_taken', 'Somebody else was there a moment ago'
  ) w
  order by w.rank
  limit 1;
end;
comment on function private.what_is_in_the_way(public.classes) is 'Why a class that is promised cannot be made.';

-- Returns those that could not be made: a teacher's horizon or another use of their time is in the way, or the student is.
-- As a rule nothing is, and to go without looking at each is much faster; only when something is are they tried one by one.
create function private.make_classes(p_new public.classes[]) returns private.promised_class[]
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_claims integer;
  v_made uuid[];
  v_left private.promised_class[];
begin
  begin
    insert into public.claims select c.* from private.claims_of(p_new) c;
    get diagnostics v_claims = row_count;
    if v_claims < (select count(n.teacher_id) from unnest(p_new) n) then
      raise exclusion_violation;
    end if;
    insert into public.classes select n.* from unnest(p_new) n;
    return '{}';
  exception when unique_violation or exclusion_violation then
    null;
  end;
  with won as (
    insert into public.claims select c.* from private.claims_of(p_new) c
    on conflict do nothing
    returning source_id
  ), made as (
    insert into public.classes
    select n.*
    from unnest(p_new) n
    left join won w on w.source_id = n.id
    where n.teacher_id is null or w.source_id is not null
    order by n.student_id, n.starts_at
    on conflict do nothing
    returning id
  )
  select array_agg(m.id) into v_made from made m;
  if cardinality(v_made) = cardinality(p_new) then
    return '{}';
  end if;
  -- The claims of those that the class's own constraints left out.
  delete from public.claims c
  using unnest(p_new) n
  left join unnest(v_made) as m(id) on m.id = n.id
  where m.id is null and c.source_table = 'classes' and c.source_id = n.id and c.resource_id = n.teacher_id and c.occurs_on = n.occurs_on;
  select array_agg(row(n.student_id, n.slot_id, n.occurs_on, n.start_time, n.end_time, n.time_zone, n.starts_at, n.ends_at, n.course_id,
    n.teacher_id, w.reason, w.detail)::private.promised_class)
  into v_left
  from unnest(p_new) n
  left join unnest(v_made) as m(id) on m.id = n.id
  cross join lateral private.what_is_in_the_way(n) w
  where m.id is null;
  return v_left;
end;
$$;
comment on function private.make_classes(public.classes[]) is
  'Makes these classes, as many as fit, and returns the others with what is in the way; the caller holds the locks.';

create function private.skipped_rows(p_rows private.promised_class[]) returns jsonb
language sql stable set search_path = ''
return (
  select jsonb_agg(jsonb_build_object('date', r.occurs_on, 'start_time', left(r.start_time::text, 5), 'reason', r.reason, 'detail', r.detail) order by r.n)
  from unnest(p_rows[1:100]) with ordinality as r(student_id, slot_id, occurs_on, start_time, end_time, time_zone, starts_at, ends_at, course_id,
    teacher_id, reason, detail, n)
);
comment on function private.skipped_rows(private.promised_class[]) is 'Dates that were left out, the first hundred, as JSON.';

create function private.log_generation(
  p_run private.generation_runs, p_skipped private.promised_class[], p_left private.promised_class[], p_added_for uuid[], p_removed_for uuid[]
) returns void
language sql volatile security definer set search_path = '' set enable_nestloop = off
begin atomic
  insert into public.class_generation_logs (student_id, operation, status, message, classes_created, classes_removed, error_details, run_id)
  select t.student_id, p_run.operation,
    case when l.count > 0 then 'partial' when m.made + coalesce(r.removed, 0) > 0 then 'success' else 'skipped' end,
    concat_ws(', ', m.made || ' created', r.removed || ' removed', s.count || ' skipped', l.count || ' not possible'),
    m.made, coalesce(r.removed, 0),
    jsonb_strip_nulls(jsonb_build_object('count', coalesce(s.count, 0) + coalesce(l.count, 0), 'skipped', s.rows, 'not_possible', l.rows)),
    p_run.run_id
  from unnest(p_run.student_ids) as t(student_id)
  left join (select u.student_id, count(*) as added from unnest(p_added_for) as u(student_id) group by u.student_id) a on a.student_id = t.student_id
  left join (select u.student_id, count(*) as removed from unnest(p_removed_for) as u(student_id) group by u.student_id) r on r.student_id = t.student_id
  left join (
    select p.student_id, count(*) as count, private.skipped_rows(array_agg(p order by p.occurs_on, p.start_time)) as rows
    from unnest(p_left) p group by p.student_id
  ) l on l.student_id = t.student_id
  left join (
    select p.student_id, count(*) as count, private.skipped_rows(array_agg(p order by p.occurs_on, p.start_time)) as rows
    from unnest(p_skipped) p group by p.student_id
  ) s on s.student_id = t.student_id
  cross join lateral (select coalesce(a.added, 0) - coalesce(l.count, 0) as made) m
  where p_run.operation <> 'scheduled' or m.made > 0 or r.removed > 0;
end;
comment on function private.log_generation(private.generation_runs, private.promised_class[], private.promised_class[], uuid[], uuid[]) is
  'Writes down what a run did for each student; the weekly run only for those whose classes it changed. p_added_for and p_removed_for name each class''s student.';

-- With work_mem as small as it may be, a hundred thousand classes would be written to disk and read back a dozen times: each
-- trigger of classes reads them all.
create function private.generate_classes() returns trigger
language plpgsql volatile security definer set search_path = '' set work_mem = '64MB'
as $$
declare
  v_plans constant text := current_setting('plan_cache_mode');
  v_are_many constant boolean := cardinality(new.student_ids) > 100;
  v_skipped private.promised_class[];
  v_obsolete uuid[];
  v_new public.classes[];
  v_left private.promised_class[];
  v_removed uuid[];
  v_created integer;
begin
  perform private.require_read_committed();
  -- Plans made for one student would look up everybody's rows one by one; and for one student, planning takes longer than
  -- what is planned.
  perform set_config('plan_cache_mode', case when v_are_many then 'force_custom_plan' else 'force_generic_plan' end, true);
  perform from public.students t where t.id = any(new.student_ids) order by t.id for no key update;
  if new.syncs_slots then
    perform private.sync_slots(new.student_ids);
  end if;
  select p.skipped, p.added, p.obsolete into v_skipped, v_new, v_obsolete
  from private.plan_generation(new.student_ids, new.since_start, new.through_date) p;
  if v_new is not null or v_obsolete is not null then
    perform private.ensure_teachers(array(select n.teacher_id from unnest(v_new) n));
    if v_obsolete is not null then
      perform private.lock_sources('classes', v_obsolete);
    end if;
    perform private.lock_resources(array(
      select n.teacher_id from unnest(v_new) n where n.teacher_id is not null
      union
      select c.teacher_id from public.classes c where c.id = any(v_obsolete) and c.teacher_id is not null
    ));
  end if;
  if v_obsolete is not null then
    -- What somebody touched while this waited for its lock stays.
    with gone as (
      delete from public.classes c where c.id = any(v_obsolete) and private.is_untouched(c) returning c.student_id
    )
    select array_agg(g.student_id) into v_removed from gone g;
  end if;
  -- What is looked up for each row that is written, such as what its keys refer to, would be planned anew for every row.
  perform set_config('plan_cache_mode', v_plans, true);
  if v_new is not null then
    v_left := private.make_classes(v_new);
  end if;
  v_created := coalesce(cardinality(v_new), 0) - coalesce(cardinality(v_left), 0);
  insert into private.student_generation as g (student_id, generated_through)
  select t.id, new.through_date from public.students t where t.id = any(new.student_ids)
  on conflict (student_id) do update set generated_through = excluded.generated_through
  where g.generated_through < excluded.generated_through;
  perform private.log_generation(new, v_skipped, v_left, array(select n.student_id from unnest(v_new) n), v_removed);
  update private.generation_runs r set classes_created = v_created, classes_removed = coalesce(cardinality(v_removed), 0) where r.id = new.id;
  return null;
end;
$$;
comment on function private.generate_classes() is 'Row trigger on generation_runs: makes the classes of these students what is promised.';

create trigger t50_generate after insert on private.generation_runs
  for each row execute function private.generate_classes();

create function private.run_generation(
  p_operation text, p_student_ids uuid[], p_since_start boolean default false, p_through date default null, p_run_id bigint default null,
  p_syncs_slots boolean default false
) returns private.generation_runs
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_run private.generation_runs;
begin
  insert into private.generation_runs (run_id, operation, student_ids, since_start, syncs_slots, through_date)
  values (coalesce(p_run_id, nextval('private.generation_run_ids')), p_operation, p_student_ids, p_since_start, p_syncs_slots,
    coalesce(p_through, private.generation_through()))
  returning * into v_run;
  select r.* into v_run from private.generation_runs r where r.id = v_run.id;
  return v_run;
end;
$$;
comment on function private.run_generation(text, uuid[], boolean, date, bigint, boolean) is 'Generates the classes of these students, up to the horizon by default, and returns the run with its figures.';
