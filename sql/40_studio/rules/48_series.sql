-- Editing a class that repeats: this one, from here on, or all of it. What somebody changed by hand on a single class stays
-- as they left it, field by field; what follows its template goes along.

-- A series goes on under a schedule of its own where dates before it stay as they were, or where it changes its weekday,
-- so that every date belongs to the schedule that says so.
create function private.continue_schedule(p_schedule public.class_schedules, p_from date, p_shift integer, p_changes jsonb) returns uuid
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_next public.class_schedules;
begin
  if p_from > p_schedule.effective_from then
    update public.class_schedules s set effective_until = p_from - 1 where s.id = p_schedule.id;
  else
    update public.class_schedules s set is_active = false where s.id = p_schedule.id;
  end if;
  v_next := jsonb_populate_record(p_schedule, p_changes || '{"duration_minutes": null}');
  -- Not active yet: it takes no time until its classes have taken their dates over.
  insert into public.class_schedules (class_type_id, day_of_week, start_time, end_time, time_zone, instructor_id, location_id, max_participants,
    is_active, effective_from, effective_until, notes)
  values (v_next.class_type_id, v_next.day_of_week, v_next.start_time, v_next.end_time, v_next.time_zone, v_next.instructor_id, v_next.location_id,
    v_next.max_participants, false, greatest(p_from, p_schedule.effective_from) + p_shift, p_schedule.effective_until + p_shift, v_next.notes)
  returning * into v_next;
  insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, moved_to_date, moved_start_time, moved_end_time, reason)
  select v_next.id, e.occurs_on + p_shift, e.kind, e.moved_to_date, e.moved_start_time, e.moved_end_time, e.reason
  from public.weekly_rule_exceptions e
  where e.rule_id = p_schedule.id and e.occurs_on >= p_from and e.kind in ('cancelled', 'moved')
    and extract(dow from e.occurs_on) = p_schedule.day_of_week
    and e.occurs_on + p_shift <@ daterange(v_next.effective_from, v_next.effective_until, '[]')
  order by e.occurs_on;
  return v_next.id;
end;
$$;
comment on function private.continue_schedule(public.class_schedules, date, integer, jsonb) is
  'Ends a schedule before a date and makes the one that goes on from there, so many days later in the week, with these changes; not active yet. Its called-off and moved dates come along.';

-- Class types, classes, dates, the rule, and everybody they take now or will take: all there is to lock, in the order everybody locks
-- it in, before anything changes. Whoever writes a class by itself holds that before the date it stands for.
create function private.lock_series(p_schedule_id uuid, p_from date, p_ids uuid[], p_changes jsonb) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  -- Its next schedule will refer to one, while who gives a class type less room holds it and waits for the classes.
  perform from public.class_types t
  where t.id in (
    select s.class_type_id from public.class_schedules s where s.id = p_schedule_id
    union select a.class_type_id from public.class_assignments a where a.id = any(p_ids)
    union select (p_changes ->> 'class_type_id')::uuid
  )
  order by t.id
  for key share;
  perform private.lock_sources('class_assignments', p_ids);
  perform from public.weekly_rule_exceptions e
  where e.rule_id = p_schedule_id and e.occurs_on >= p_from
  order by e.rule_id, e.occurs_on
  for update;
  perform private.lock_rules(array_remove(array[p_schedule_id], null), private.resources_of_assignments(p_ids)
    || array_remove(array[(p_changes ->> 'instructor_id')::uuid, (p_changes ->> 'location_id')::uuid], null));
end;
$$;
comment on function private.lock_series(uuid, date, uuid[], jsonb) is 'Locks a series from a date on, with what changes in it.';

-- p_template is what the classes were like; p_changes what of it changes.
create function private.change_series(
  p_ids uuid[], p_template public.class_assignments, p_changes jsonb, p_shift integer, p_schedule_id uuid
) returns setof public.class_assignments
language sql volatile security definer set search_path = ''
begin atomic
  update public.class_assignments a
  set schedule_id = coalesce(p_schedule_id, a.schedule_id),
    occurs_on = a.occurs_on + p_shift,
    date = case when f.follows_time then a.date + p_shift else a.date end,
    start_time = case when f.follows_time and p_changes ? 'start_time' then (p_changes ->> 'start_time')::time else a.start_time end,
    end_time = case when f.follows_time and p_changes ? 'end_time' then (p_changes ->> 'end_time')::time else a.end_time end,
    instructor_id = case when p_changes ? 'instructor_id' and a.instructor_id = p_template.instructor_id
      then coalesce((p_changes ->> 'instructor_id')::uuid, a.instructor_id) else a.instructor_id end,
    location_id = case when p_changes ? 'location_id' and a.location_id is not distinct from p_template.location_id
      then (p_changes ->> 'location_id')::uuid else a.location_id end,
    class_type_id = case when p_changes ? 'class_type_id' and a.class_type_id is not distinct from p_template.class_type_id
      then (p_changes ->> 'class_type_id')::uuid else a.class_type_id end,
    notes = case when p_changes ? 'notes' and a.notes is not distinct from p_template.notes then p_changes ->> 'notes' else a.notes end
  from (
    select c.id, (c.start_time, c.end_time) is not distinct from (p_template.start_time, p_template.end_time)
      and c.date = coalesce(c.occurs_on, c.date) and extract(dow from c.date) = extract(dow from p_template.date) as follows_time
    from public.class_assignments c
    where c.id = any(p_ids)
    order by c.id
  ) f
  where a.id = f.id
  returning a.*;
end;
comment on function private.change_series(uuid[], public.class_assignments, jsonb, integer, uuid) is
  'Changes classes in one statement where they are still like the template; the others keep what was changed by hand.';

create function private.edit_series(
  p_scope text, p_changes jsonb, p_assignment_id uuid, p_schedule_id uuid, p_occurs_on date
) returns table (schedule_id uuid, assignment_ids uuid[], kept jsonb)
language plpgsql volatile security definer set search_path = ''
as $$
#variable_conflict use_column
declare
  v_class public.class_assignments;
  v_schedule public.class_schedules;
  v_template public.class_assignments;
  v_from date;
  v_shift integer := 0;
  v_next_id uuid;
  v_ids uuid[];
  v_changed public.class_assignments[];
begin
  perform private.require_permission('update:assignment');
  select a.* into v_class from public.class_assignments a
  where a.id = p_assignment_id or p_assignment_id is null and a.schedule_id = p_schedule_id and a.occurs_on = p_occurs_on and a.class_status <> 'cancelled';
  if p_assignment_id is not null and not found then
    perform private.fail('not_found', 'There is no such class', 'p_assignment_id', jsonb_build_object('id', p_assignment_id));
  end if;
  select s.* into v_schedule from public.class_schedules s where s.id = coalesce(v_class.schedule_id, p_schedule_id);
  if p_schedule_id is not null and not found then
    perform private.fail('not_found', 'There is no such schedule', 'p_schedule_id', jsonb_build_object('schedule_id', p_schedule_id));
  end if;
  if v_schedule.id is null and v_class.plan_id is null and p_scope <> 'this' then
    perform private.fail('invalid_input', 'This class does not repeat', 'p_scope');
  end if;
  perform private.fail_input(private.input_error(v_schedule.id is null and p_changes ? 'max_participants', 'p_changes.max_participants',
    'These classes have no schedule that says how many can take part'));
  if v_schedule.id is not null and p_scope <> 'this' then
    perform private.require_permission('manage:schedules');
  end if;
  v_from := case p_scope when 'all' then private.today() else coalesce(v_class.occurs_on, v_class.date, p_occurs_on) end;
  if p_changes ? 'day_of_week' then
    v_shift := (p_changes ->> 'day_of_week')::integer - extract(dow from coalesce(v_class.occurs_on, v_class.date, p_occurs_on))::integer;
  end if;
  -- How its classes were, as far as they follow something.
  v_template := v_class;
  if v_schedule.id is not null then
    v_template.start_time := v_schedule.start_time;
    v_template.end_time := v_schedule.end_time;
    v_template.instructor_id := v_schedule.instructor_id;
    v_template.location_id := v_schedule.location_id;
    v_template.class_type_id := v_schedule.class_type_id;
    v_template.notes := v_schedule.notes;
    v_template.date := coalesce(v_class.occurs_on, p_occurs_on);
  end if;

  if p_scope = 'this' then
    if v_class.id is null then
      v_class := private.read_draft(jsonb_build_object('schedule_id', p_schedule_id, 'occurs_on', p_occurs_on));
      perform private.fail_input(private.draft_errors(v_class));
      -- Written as the changed class it is meant to be, so that it claims only that.
      v_class := jsonb_populate_record(v_class, p_changes - array['day_of_week', 'max_participants']);
      insert into public.class_assignments (id, class_type_id, instructor_id, location_id, date, start_time, end_time, time_zone, schedule_type, notes, schedule_id, occurs_on)
      values (v_class.id, v_class.class_type_id, v_class.instructor_id, v_class.location_id, v_class.date + v_shift, v_class.start_time, v_class.end_time,
        v_class.time_zone, 'weekly', v_class.notes, v_class.schedule_id, v_class.occurs_on);
    else
      perform private.apply_changes(array[v_class.id], (p_changes - array['day_of_week', 'max_participants'])
        || case when v_shift <> 0 then jsonb_build_object('date', v_class.date + v_shift) else '{}' end);
    end if;
    return query select v_schedule.id, array[v_class.id], '[]'::jsonb;
    return;
  end if;

  if v_from < private.today() then
    perform private.fail('illegal_transition', 'This class is past: change the series from a class to come', 'p_scope', jsonb_build_object('from', v_from));
  end if;
  if v_schedule.id is not null then
    perform from public.class_schedules s where s.id = v_schedule.id for no key update;
    select s.* into v_schedule from public.class_schedules s where s.id = v_schedule.id;
    v_from := greatest(v_from, v_schedule.effective_from);
    if v_from + v_shift < private.today() and v_shift < 0 then
      v_from := v_from + 7;
    end if;
    v_ids := array(
      select a.id from public.class_assignments a
      where a.schedule_id = v_schedule.id and a.occurs_on >= v_from and a.class_status = 'scheduled'
      order by a.id
    );
  else
    v_ids := array(
      select a.id from public.class_assignments a
      where a.plan_id = v_class.plan_id and a.date >= v_from and a.class_status = 'scheduled'
      order by a.id
    );
  end if;
  perform private.lock_series(v_schedule.id, v_from, v_ids, p_changes);
  if v_schedule.id is not null then
    if v_from > v_schedule.effective_from or v_shift <> 0 then
      v_next_id := private.continue_schedule(v_schedule, v_from, v_shift, p_changes);
    else
      update public.class_schedules s
      set (class_type_id, start_time, end_time, instructor_id, location_id, max_participants, notes)
        = (select c.class_type_id, c.start_time, c.end_time, c.instructor_id, c.location_id, c.max_participants, c.notes
          from jsonb_populate_record(v_schedule, p_changes) c)
      where s.id = v_schedule.id;
    end if;
  end if;
  v_changed := array(select c from private.change_series(v_ids, v_template, p_changes, v_shift, v_next_id) c);
  if v_next_id is not null then
    update public.class_schedules s set is_active = v_schedule.is_active where s.id = v_next_id and v_schedule.is_active;
  end if;
  return query
    select coalesce(v_next_id, v_schedule.id), v_ids, coalesce((
      select jsonb_agg(jsonb_build_object('id', c.id, 'date', c.date, 'field', k.key) order by c.date, k.key)
      from unnest(v_changed) c
      cross join lateral jsonb_object_keys(p_changes - array['day_of_week', 'max_participants']) as k(key)
      where to_jsonb(c) ->> k.key is distinct from (to_jsonb(jsonb_populate_record(c, p_changes - array['day_of_week', 'max_participants'])) ->> k.key)
    ), '[]');
end;
$$;
comment on function private.edit_series(text, jsonb, uuid, uuid, date) is 'What public.edit_repeating_class does, for a holder of update:assignment, and of manage:schedules for more than one class.';
