-- Class schedules: what they take is a weekly rule of 20_time with their id, which follows them.

create function private.complete_schedule(p_new public.class_schedules, p_old public.class_schedules) returns public.class_schedules
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_minutes integer;
begin
  p_new.notes := private.clean_text(p_new.notes);
  p_new.time_zone := coalesce(p_new.time_zone, private.resource_time_zone(p_new.location_id));
  -- Start and duration are as good as start and end. Where both are there, a changed duration moves the end.
  if p_new.end_time is null or p_old.id is not null and p_new.duration_minutes is distinct from p_old.duration_minutes
    and (p_new.start_time, p_new.end_time) is not distinct from (p_old.start_time, p_old.end_time) then
    if p_new.duration_minutes is null and p_new.end_time is null then
      p_new.duration_minutes := (select t.duration_minutes from public.class_types t where t.id = p_new.class_type_id);
    end if;
    if p_new.duration_minutes between 1 and 1440 and p_new.start_time is not null
      and extract(epoch from p_new.start_time) / 60 + p_new.duration_minutes <= 1440 then
      p_new.end_time := case when extract(epoch from p_new.start_time) / 60 + p_new.duration_minutes = 1440 then time '24:00'
        else p_new.start_time + make_interval(mins => p_new.duration_minutes) end;
    end if;
  end if;
  v_minutes := extract(epoch from p_new.end_time - p_new.start_time) / 60;
  if p_old.id is not null and p_new.duration_minutes is not distinct from p_old.duration_minutes then
    p_new.duration_minutes := v_minutes;
  end if;
  p_new.duration_minutes := coalesce(p_new.duration_minutes, v_minutes);
  return p_new;
end;
$$;
comment on function private.complete_schedule(public.class_schedules, public.class_schedules) is
  'A schedule with what was left out worked out (end or duration, time zone); against what it was before.';

create function private.schedule_errors(p_new public.class_schedules, p_old public.class_schedules) returns jsonb
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_min constant integer := private.setting_integer('class_minutes_min');
  v_max constant integer := private.setting_integer('class_minutes_max');
  v_minutes constant integer := extract(epoch from p_new.end_time - p_new.start_time) / 60;
begin
  return private.input_error(p_new.class_type_id is null, 'class_type_id', 'Say which class type it is')
    || private.input_error(coalesce(p_new.day_of_week, -1) not between 0 and 6, 'day_of_week', 'A day is 0 (Sunday) to 6 (Saturday)')
    || private.input_error(p_new.start_time is null, 'start_time', 'Say when it starts')
    || private.input_error(p_new.start_time is not null and p_new.end_time is null, 'end_time', 'Say when it ends, on the same day, or how long it takes')
    || private.input_error(p_new.end_time <= p_new.start_time, 'end_time', 'The end must be after the start')
    || private.input_error(p_new.end_time > p_new.start_time and p_new.duration_minutes <> v_minutes, 'duration_minutes',
      format('From start to end it is %s minutes', v_minutes))
    || private.input_error(p_new.end_time > p_new.start_time and v_minutes not between v_min and v_max
        and (p_old.id is null or (p_new.start_time, p_new.end_time) is distinct from (p_old.start_time, p_old.end_time)),
      'duration_minutes', format('A class takes %s to %s minutes', v_min, v_max))
    || private.input_error(p_new.end_time > p_new.start_time and mod(extract(epoch from p_new.end_time - p_new.start_time), 60) <> 0, 'end_time', 'A class takes whole minutes')
    || private.input_error(not private.is_time_zone(p_new.time_zone), 'time_zone', 'A time zone is an IANA name, such as Europe/Paris')
    || private.input_error(p_new.max_participants not between 1 and 10000, 'max_participants', 'Between 1 and 10000 can take part')
    || private.input_error(p_new.effective_from is null, 'effective_from', 'Say from when')
    || private.input_error(p_new.effective_from not between date '1970-01-01' and date '2199-12-31', 'effective_from', 'A date lies between 1970 and 2199')
    || private.input_error(p_new.effective_until not between date '1970-01-01' and date '2199-12-31', 'effective_until', 'A date lies between 1970 and 2199')
    || private.input_error(p_new.effective_until < p_new.effective_from, 'effective_until', 'The last day must not be before the first')
    || private.input_error(length(p_new.notes) > 1000, 'notes', 'Notes have at most 1000 characters')
    || private.input_error(
      p_new.is_active and p_new.instructor_id is not null
        and (p_old.id is null or (p_new.instructor_id, p_new.is_active) is distinct from (p_old.instructor_id, p_old.is_active))
        and exists (select from public.user_profiles p where p.id = p_new.instructor_id and not p.is_active),
      'instructor_id', 'This instructor has left')
    || private.input_error(
      p_new.instructor_id is not null and p_new.instructor_id is distinct from p_old.instructor_id
        and not exists (select from public.user_profiles p where p.id = p_new.instructor_id),
      'instructor_id', 'There is no such instructor');
end;
$$;
comment on function private.schedule_errors(public.class_schedules, public.class_schedules) is
  'What is wrong with a schedule by itself, every field at once; against what it was before, so that old rows may stay as they are.';

create function private.check_schedule() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  new := private.complete_schedule(new, case tg_op when 'UPDATE' then old end);
  perform private.fail_input(private.schedule_errors(new, case tg_op when 'UPDATE' then old end));
  return new;
end;
$$;
comment on function private.check_schedule() is
  'Row trigger: works out what was left out (end or duration, time zone), and names every bad field.';

create trigger t10_keep_version before update on public.class_schedules
  for each row execute function private.keep_version();
create trigger t20_check before insert or update on public.class_schedules
  for each row execute function private.check_schedule();

-- What each schedule promises, in the words of 20_time.
create view private.class_schedule_rules as
select s.id, t.name as title, 'class_schedule' as kind, s.day_of_week as weekday, s.start_time, s.end_time, s.time_zone,
  daterange(s.effective_from, s.effective_until, '[]') as effective, 'class_schedules' as source_table
from public.class_schedules s
join public.class_types t on t.id = s.class_type_id;
comment on view private.class_schedule_rules is 'The weekly rule each class schedule is.';

create view private.class_schedule_resources as
select s.id as rule_id, u.resource_id
from public.class_schedules s
cross join lateral (select s.instructor_id as resource_id union select s.location_id) u
where s.is_active and u.resource_id is not null;
comment on view private.class_schedule_resources is 'Who and what each active class schedule takes.';

-- Exceptions, then rules, then resources are locked before anything changes; what a schedule no longer takes goes before
-- what it takes anew comes.
create function private.sync_schedules(p_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_read_committed();
  perform private.ensure_people(array(select s.instructor_id from public.class_schedules s where s.id = any(p_ids) and s.is_active));
  perform private.lock_rules(p_ids, array(select w.resource_id from private.class_schedule_resources w where w.rule_id = any(p_ids)));
  if exists (select from public.weekly_rules r where r.id = any(p_ids) and r.source_table is distinct from 'class_schedules') then
    perform private.fail('duplicate', 'There is a weekly rule with this id', 'id', jsonb_build_object('ids', to_jsonb(p_ids)));
  end if;
  delete from public.weekly_rules r
  where r.id = any(p_ids) and r.source_table = 'class_schedules'
    and not exists (select from public.class_schedules s where s.id = r.id);
  delete from public.weekly_rule_resources r
  where r.rule_id = any(p_ids)
    and not exists (select from private.class_schedule_resources w where w.rule_id = r.rule_id and w.resource_id = r.resource_id);
  insert into public.weekly_rules as r (id, title, kind, weekday, start_time, end_time, time_zone, effective, source_table, source_id)
  select w.id, w.title, w.kind, w.weekday, w.start_time, w.end_time, w.time_zone, w.effective, w.source_table, w.id
  from private.class_schedule_rules w
  where w.id = any(p_ids)
  order by w.id
  on conflict (id) do update
  set title = excluded.title, weekday = excluded.weekday, start_time = excluded.start_time, end_time = excluded.end_time,
    time_zone = excluded.time_zone, effective = excluded.effective
  where (r.title, r.weekday, r.start_time, r.end_time, r.time_zone, r.effective)
    is distinct from (excluded.title, excluded.weekday, excluded.start_time, excluded.end_time, excluded.time_zone, excluded.effective);
  insert into public.weekly_rule_resources (rule_id, resource_id)
  select w.rule_id, w.resource_id
  from private.class_schedule_resources w
  where w.rule_id = any(p_ids)
    and not exists (select from public.weekly_rule_resources r where r.rule_id = w.rule_id and r.resource_id = w.resource_id)
  order by w.rule_id, w.resource_id;
end;
$$;
comment on function private.sync_schedules(uuid[]) is 'Makes the weekly rules of these class schedules what the schedules say.';

create function private.follow_schedules() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  execute case tg_op
      when 'INSERT' then 'select array_agg(n.id order by n.id) from new_rows n'
      when 'DELETE' then 'select array_agg(o.id order by o.id) from old_rows o'
      else 'select array_agg(u.id order by u.id) from (select n.id from new_rows n union select o.id from old_rows o) u'
    end into v_ids;
  if v_ids is not null then
    perform private.sync_schedules(v_ids);
  end if;
  return null;
end;
$$;
comment on function private.follow_schedules() is 'Statement trigger on class_schedules: their weekly rules follow.';

create trigger t00_read_committed before insert or update or delete on public.class_schedules
  for each statement execute function private.refuse_other_isolation();
create trigger t00_no_truncate before truncate on public.class_schedules
  for each statement execute function private.refuse_truncate();
create trigger t50_follow_insert after insert on public.class_schedules
  referencing new table as new_rows for each statement execute function private.follow_schedules();
create trigger t50_follow_update after update on public.class_schedules
  referencing old table as old_rows new table as new_rows for each statement execute function private.follow_schedules();
create trigger t50_follow_delete after delete on public.class_schedules
  referencing old table as old_rows for each statement execute function private.follow_schedules();

-- A class type's name is what its classes are called in the ledger.
create function private.rename_schedules() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.sync_schedules(array(select s.id from public.class_schedules s where s.class_type_id = new.id order by s.id));
  return null;
end;
$$;
comment on function private.rename_schedules() is 'Row trigger on class_types: weekly rules of its schedules carry its name.';

create trigger t60_rename_schedules after update of name on public.class_types
  for each row when (old.name is distinct from new.name) execute function private.rename_schedules();

-- Whoever changes such a rule itself is sent to the schedule. Sync writes what the schedule says, so it passes.
create function private.keep_schedule_rule() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if (case tg_op
      when 'DELETE' then exists (select from public.class_schedules s where s.id = old.id)
      else not exists (
        select from private.class_schedule_rules w
        where (w.id, w.title, w.kind, w.weekday, w.start_time, w.end_time, w.time_zone, w.effective, w.source_table, w.id)
          = (new.id, new.title, new.kind, new.weekday, new.start_time, new.end_time, new.time_zone, new.effective, new.source_table, new.source_id)
      )
    end) then
    perform private.fail('forbidden', 'This weekly rule follows a class schedule', 'source_table',
      jsonb_build_object('source_table', 'class_schedules', 'source_id', coalesce(new.id, old.id)), 'Change the class schedule.');
  end if;
  return null;
end;
$$;
comment on function private.keep_schedule_rule() is 'Row trigger on weekly_rules: the rule of a class schedule says what the schedule says.';

create trigger t70_keep_schedule_rule_new after insert or update on public.weekly_rules
  for each row when (new.source_table = 'class_schedules') execute function private.keep_schedule_rule();
create trigger t70_keep_schedule_rule_old after update or delete on public.weekly_rules
  for each row when (old.source_table = 'class_schedules') execute function private.keep_schedule_rule();

create function private.keep_schedule_resource() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[] := array_remove(array[case when tg_op <> 'INSERT' then old.rule_id end, case when tg_op <> 'DELETE' then new.rule_id end], null);
begin
  if exists (select from public.weekly_rules r where r.id = any(v_ids) and r.source_table = 'class_schedules')
    and (
      tg_op <> 'INSERT' and exists (
        select from private.class_schedule_resources w where w.rule_id = old.rule_id and w.resource_id = old.resource_id
      )
      or tg_op <> 'DELETE' and not exists (
        select from private.class_schedule_resources w where w.rule_id = new.rule_id and w.resource_id = new.resource_id
      )
    ) then
    perform private.fail('forbidden', 'This weekly rule follows a class schedule', 'rule_id',
      jsonb_build_object('source_table', 'class_schedules', 'source_id', v_ids[1]), 'Change the class schedule.');
  end if;
  return null;
end;
$$;
comment on function private.keep_schedule_resource() is 'Row trigger on weekly_rule_resources: a class schedule''s rule takes what the schedule takes.';

create trigger t70_keep_schedule_resource after insert or update or delete on public.weekly_rule_resources
  for each row execute function private.keep_schedule_resource();
