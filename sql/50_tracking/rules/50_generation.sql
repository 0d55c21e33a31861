-- Generation. A row in private.generation_runs generates: the triggers of students, the weekly run and every repair write
-- one, so that all of them do the same. Rerun, late, or twenty at once, it ends in the same rows: it locks the students,
-- takes away what is untouched and no longer promised, and adds what is promised and not there.
--
-- Teachers are claimed first, since the ledger alone knows who is taken by what: whoever loses there gets no class, and
-- the date is reported. A student who is taken loses at the class's own constraint, and the claim is given back.

create type private.new_class as (
  id uuid, student_id uuid, slot_id uuid, occurs_on date, start_time time, end_time time, time_zone text,
  starts_at timestamptz, ends_at timestamptz, course_id uuid, teacher_id uuid, price numeric, teacher_pay numeric, title text
);
comment on type private.new_class is 'A class about to be made, with its terms as they are now.';

-- What is there during time off that was approved later stays: somebody may cover it, as cover_requests say. So does what
-- a zone that does not exist says nothing about.
create function private.obsolete_classes(p_student_ids uuid[], p_promised private.promised_class[], p_through date) returns uuid[]
language sql stable security definer set search_path = ''
begin atomic
  select array_agg(c.id order by c.id)
  from public.classes c
  left join unnest(p_promised) p on p.slot_id = c.slot_id and p.occurs_on = c.occurs_on and (
    p.reason = 'time_zone' or coalesce(p.reason, 'time_off') = 'time_off'
    and (p.start_time, p.end_time, p.time_zone) = (c.start_time, c.end_time, c.time_zone)
    and (p.course_id, p.teacher_id) is not distinct from (c.course_id, c.teacher_id)
  )
  where c.student_id = any(p_student_ids) and c.date >= private.today() - 1 and p.slot_id is null and private.is_untouched(c)
    and (c.date <= p_through or not exists (
      select from public.student_schedule_slots s
      join public.students t on t.id = s.student_id
      where s.id = c.slot_id and s.effective @> c.occurs_on and coalesce(c.occurs_on <= t.end_date, true)
        and coalesce(c.occurs_on < t.inactive_since, true)
    ));
end;
comment on function private.obsolete_classes(uuid[], private.promised_class[], date) is
  'The untouched classes to come that are promised no longer, or otherwise than they are.';

create function private.classes_to_make(p_promised private.promised_class[], p_obsolete uuid[]) returns private.new_class[]
language sql volatile security definer set search_path = ''
begin atomic
  select array_agg(
    row(gen_random_uuid(), p.student_id, p.slot_id, p.occurs_on, p.start_time, p.end_time, p.time_zone, p.starts_at, p.ends_at,
      p.course_id, p.teacher_id, coalesce(s.class_price, k.price), coalesce(s.teacher_pay, r.rate),
      left(concat(coalesce(k.title, 'Class'), ', ', concat_ws(' ', s.first_name, s.last_name)), 500))::private.new_class)
  from unnest(p_promised) p
  join public.students s on s.id = p.student_id
  left join public.courses k on k.id = p.course_id
  left join public.instructor_rates r on r.instructor_id = p.teacher_id and r.class_type_id is null and r.payment_type = 'per_class'
    and daterange(r.effective_from, r.effective_until, '[]') @> p.occurs_on
  left join public.classes c on c.slot_id = p.slot_id and c.student_id = p.student_id and c.occurs_on = p.occurs_on
  where p.reason is null and (c.id is null or c.id = any(p_obsolete))
    and not exists (
      select from public.classes o
      where o.student_id = p.student_id and o.date = p.occurs_on and o.start_time = p.start_time and not coalesce(o.id = any(p_obsolete), false)
    );
end;
comment on function private.classes_to_make(private.promised_class[], uuid[]) is
  'What is promised and not there, as the classes that will be; what is about to be taken away does not count.';

create function private.what_is_in_the_way(p_class private.new_class, out reason text, out detail text)
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
comment on function private.what_is_in_the_way(private.new_class) is 'Why a class that is promised cannot be made.';

-- Returns those that could not be made. A teacher's horizon or another use of their time is in the way, or the student is.
create function private.make_classes(p_new private.new_class[]) returns private.promised_class[]
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_caller constant uuid := private.caller_id();
  v_now constant timestamptz := private.now();
  v_made uuid[];
  v_left private.promised_class[];
begin
  with won as (
    insert into public.claims (resource_id, during, share_key, source_table, source_id, occurs_on, kind, title)
    select n.teacher_id, tstzrange(n.starts_at, n.ends_at), private.happening_key('classes', n.id, n.occurs_on), 'classes', n.id, n.occurs_on,
      'class', n.title
    from unnest(p_new) n
    join public.resource_horizons h on h.resource_id = n.teacher_id and n.ends_at <= h.claimed_until
    left join public.student_schedule_slots s on s.id = n.slot_id
    order by n.teacher_id, n.starts_at, s.created_at, n.slot_id
    on conflict do nothing
    returning source_id
  ), made as (
    insert into public.classes (id, student_id, course_id, teacher_id, date, start_time, end_time, time_zone, starts_at, ends_at, status,
      payment_status, source, slot_id, occurs_on, price, teacher_pay, is_charged, is_teacher_paid, version, created_by, created_at, updated_at)
    select n.id, n.student_id, n.course_id, n.teacher_id, n.occurs_on, n.start_time, n.end_time, n.time_zone, n.starts_at, n.ends_at, 'scheduled',
      'pending', 'generated', n.slot_id, n.occurs_on, n.price, n.teacher_pay, true, true, 1, v_caller, v_now, v_now
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
  select array_agg(row(n.student_id, n.slot_id, n.occurs_on, n.start_time, n.end_time, n.time_zone, n.starts_at, n.ends_at, n.course_id, n.teacher_id,
    w.reason, w.detail)::private.promised_class)
  into v_left
  from unnest(p_new) n
  left join unnest(v_made) as m(id) on m.id = n.id
  cross join lateral private.what_is_in_the_way(n) w
  where m.id is null;
  return v_left;
end;
$$;
comment on function private.make_classes(private.new_class[]) is
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
  p_run private.generation_runs, p_promised private.promised_class[], p_left private.promised_class[], p_made private.new_class[], p_removed uuid[]
) returns void
language sql volatile security definer set search_path = ''
begin atomic
  insert into public.class_generation_logs (student_id, operation, status, message, classes_created, classes_removed, error_details, run_id)
  select t.student_id, p_run.operation,
    case when coalesce(l.count, 0) > 0 then 'partial' when coalesce(m.made, 0) + coalesce(r.removed, 0) > 0 then 'success' else 'skipped' end,
    concat_ws(', ', coalesce(m.made, 0) || ' created', r.removed || ' removed', s.count || ' skipped', l.count || ' not possible'),
    coalesce(m.made, 0), coalesce(r.removed, 0),
    jsonb_strip_nulls(jsonb_build_object('count', coalesce(s.count, 0) + coalesce(l.count, 0), 'skipped', s.rows, 'not_possible', l.rows)),
    p_run.run_id
  from unnest(p_run.student_ids) as t(student_id)
  left join (
    select n.student_id, count(*) as made from unnest(p_made) n group by n.student_id
  ) a on a.student_id = t.student_id
  left join (
    select p.student_id, count(*) as count, private.skipped_rows(array_agg(p order by p.occurs_on, p.start_time)) as rows
    from unnest(p_left) p group by p.student_id
  ) l on l.student_id = t.student_id
  left join (
    select p.student_id, count(*) as count, private.skipped_rows(array_agg(p order by p.occurs_on, p.start_time)) as rows
    from unnest(p_promised) p where p.reason is not null group by p.student_id
  ) s on s.student_id = t.student_id
  left join (
    select u.student_id, count(*) as removed from unnest(p_removed) as u(student_id) group by u.student_id
  ) r on r.student_id = t.student_id
  cross join lateral (select coalesce(a.made, 0) - coalesce(l.count, 0) as made) m
  where p_run.operation <> 'scheduled' or coalesce(m.made, 0) > 0 or r.removed > 0;
end;
comment on function private.log_generation(private.generation_runs, private.promised_class[], private.promised_class[], private.new_class[], uuid[]) is
  'Writes down what a run did for each student; the weekly run only for those whose classes it changed.';

create function private.generate_classes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_promised private.promised_class[];
  v_obsolete uuid[];
  v_new private.new_class[];
  v_left private.promised_class[];
  v_removed uuid[];
  v_created integer;
begin
  perform private.require_read_committed();
  perform from public.students t where t.id = any(new.student_ids) order by t.id for no key update;
  if new.syncs_slots then
    perform private.sync_slots(new.student_ids);
  end if;
  v_promised := array(select p from private.promised_classes(new.student_ids, new.since_start, new.through_date) p);
  v_obsolete := private.obsolete_classes(new.student_ids, v_promised, new.through_date);
  v_new := private.classes_to_make(v_promised, v_obsolete);
  if v_new is not null or v_obsolete is not null then
    perform private.ensure_people(array(
      select distinct n.teacher_id from unnest(v_new) n
      where n.teacher_id is not null and not exists (select from public.resources r where r.id = n.teacher_id)
    ));
    perform private.lock_sources('classes', v_obsolete);
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
  if v_new is not null then
    v_left := private.make_classes(v_new);
  end if;
  v_created := coalesce(cardinality(v_new), 0) - coalesce(cardinality(v_left), 0);
  insert into private.student_generation as g (student_id, generated_through)
  select t.id, new.through_date from public.students t where t.id = any(new.student_ids)
  on conflict (student_id) do update set generated_through = excluded.generated_through
  where g.generated_through < excluded.generated_through;
  perform private.log_generation(new, v_promised, v_left, v_new, v_removed);
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
