-- Generating for many: bad data of one student never keeps the others from their classes.

create function private.end_try() returns void
language plpgsql volatile set search_path = ''
as $$
begin
  raise sqlstate 'UNDO1' using message = 'A try is over, and undone';
end;
$$;
comment on function private.end_try() is 'Undoes what was done since the block began that catches UNDO1; nobody else ever sees that.';

-- Each try is undone, so that nothing is held while the next one waits for its locks.
create function private.students_in_error(p_operation text, p_student_ids uuid[], p_since_start boolean, p_through date, p_run_id bigint)
returns table (student_id uuid, code text, message text)
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_half constant integer := cardinality(p_student_ids) / 2;
  v_state text;
  v_message text;
begin
  begin
    perform private.run_generation(p_operation, p_student_ids, p_since_start, p_through, p_run_id);
    perform private.end_try();
  exception
    when sqlstate 'UNDO1' then
      null;
    when sqlstate 'PGRST' or data_exception or integrity_constraint_violation or syntax_error_or_access_rule_violation then
      get stacked diagnostics v_state = returned_sqlstate, v_message = message_text;
  end;
  if v_half = 0 and v_state is not null then
    if v_state = 'PGRST' then
      v_state := v_message::jsonb ->> 'code';
      v_message := v_message::jsonb ->> 'message';
    end if;
    return query select p_student_ids[1], v_state, v_message;
  elsif v_state is not null then
    return query select * from private.students_in_error(p_operation, p_student_ids[:v_half], p_since_start, p_through, p_run_id);
    return query select * from private.students_in_error(p_operation, p_student_ids[v_half + 1:], p_since_start, p_through, p_run_id);
  end if;
end;
$$;
comment on function private.students_in_error(text, uuid[], boolean, date, bigint) is
  'Those of these students whose classes cannot be generated, with the error each meets; found by halves.';

-- All at once; after an error, all but those it is about, who are written down.
create function private.generate_for(
  p_operation text, p_student_ids uuid[], p_since_start boolean, p_through date, p_run_id bigint,
  out created integer, out removed integer, out failed integer
)
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_run private.generation_runs;
  v_bad uuid[];
begin
  failed := 0;
  begin
    v_run := private.run_generation(p_operation, p_student_ids, p_since_start, p_through, p_run_id);
  exception when sqlstate 'PGRST' or data_exception or integrity_constraint_violation or syntax_error_or_access_rule_violation then
    with bad as (
      select e.* from private.students_in_error(p_operation, p_student_ids, p_since_start, p_through, p_run_id) e
    ), written as (
      insert into public.class_generation_logs (student_id, operation, status, message, error_details, run_id)
      select b.student_id, p_operation, 'failed', left(b.message, 1000), jsonb_build_object('code', b.code, 'message', b.message), p_run_id
      from bad b
    )
    select array_agg(b.student_id) into v_bad from bad b;
    failed := coalesce(cardinality(v_bad), 0);
    v_run := private.run_generation(p_operation, array(
      select u.id from unnest(p_student_ids) as u(id) where u.id <> all(coalesce(v_bad, '{}'))
    ), p_since_start, p_through, p_run_id);
  end;
  created := v_run.classes_created;
  removed := v_run.classes_removed;
end;
$$;
comment on function private.generate_for(text, uuid[], boolean, date, bigint) is
  'Generates for these students, those with bad data left out and logged; returns how many classes were created and removed, and for how many students it failed.';

create function private.generate_for_many(p_operation text, p_student_ids uuid[], p_since_start boolean, p_through date, p_run_id bigint)
returns public.class_generation_logs
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_started constant timestamptz := private.stopwatch();
  v_ids constant uuid[] := coalesce(p_student_ids, '{}');
  v_done record;
  v_log public.class_generation_logs;
begin
  perform private.lock_all_students();
  select g.* into v_done from private.generate_for(p_operation, v_ids, p_since_start, p_through, p_run_id) g;
  insert into public.class_generation_logs (operation, status, message, classes_created, classes_removed, error_details, duration_ms, run_id)
  select p_operation,
    case
      when v_done.failed > 0 and v_done.failed = cardinality(v_ids) then 'failed'
      when v_done.failed > 0 or l.partial > 0 then 'partial'
      when v_done.created + v_done.removed > 0 then 'success'
      else 'skipped'
    end,
    format('%s students: %s classes created, %s removed, %s students failed', cardinality(v_ids), v_done.created, v_done.removed, v_done.failed),
    v_done.created, v_done.removed,
    jsonb_build_object('students', cardinality(v_ids), 'failed', v_done.failed, 'partial', l.partial, 'changed', l.changed, 'through', p_through),
    extract(epoch from private.stopwatch() - v_started) * 1000, p_run_id
  from (
    select count(*) filter (where g.status = 'partial') as partial, count(*) filter (where g.classes_created + g.classes_removed > 0) as changed
    from public.class_generation_logs g
    where g.run_id = p_run_id and g.student_id is not null
  ) l
  returning * into v_log;
  return v_log;
end;
$$;
comment on function private.generate_for_many(text, uuid[], boolean, date, bigint) is 'Generates for these students and writes the row of the run, which it returns.';

-- One run at a time: a second one waits, and then finds nothing to do.
create function private.generate_for_everyone(p_through date default null) returns public.class_generation_logs
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_through constant date := coalesce(p_through, private.generation_through());
begin
  perform pg_advisory_xact_lock(hashtextextended('private.generate_for_everyone', 0));
  return private.generate_for_many('scheduled', array(
    select t.id
    from public.students t
    where t.is_active and t.start_date <= v_through and exists (select from public.student_schedule_slots s where s.student_id = t.id)
    order by t.id
  ), false, v_through, nextval('private.generation_run_ids'));
end;
$$;
comment on function private.generate_for_everyone(date) is
  'Makes every active student''s classes up to the horizon, and what an outage left out; returns the row it logged.';

create function private.weekly_generation() returns text
language sql volatile security definer set search_path = ''
begin atomic
  select (private.generate_for_everyone()).message;
end;
comment on function private.weekly_generation() is 'Job: generates for everyone, and says in a sentence what came of it.';

create function private.clean_generation_logs(p_days integer default 30) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_deleted integer;
begin
  delete from public.class_generation_logs g where g.trigger_time < private.now() - make_interval(days => p_days);
  get diagnostics v_deleted = row_count;
  delete from private.generation_runs r where r.started_at < private.now() - make_interval(days => p_days);
  return v_deleted;
end;
$$;
comment on function private.clean_generation_logs(integer) is 'Job: deletes what generation logged more than so many days ago; returns how many rows.';

create function private.complete_past_student_classes() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_hours constant integer := private.setting_integer('complete_student_classes_after_hours');
  v_completed integer;
begin
  update public.classes c set status = 'completed'
  from (
    select k.id from public.classes k
    where k.status = 'scheduled' and k.ends_at < private.now() - make_interval(hours => v_hours) and v_hours > 0
    order by k.id
    for no key update
  ) w
  where c.id = w.id and c.status = 'scheduled';
  get diagnostics v_completed = row_count;
  return v_completed;
end;
$$;
comment on function private.complete_past_student_classes() is
  'Job: completes students'' classes that were over so many hours ago (a setting; 0 never) and of which nobody said otherwise; returns how many.';
