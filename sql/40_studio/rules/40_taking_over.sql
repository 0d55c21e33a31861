-- Classes in the ledger: they take their instructor and their room, and the dates of the schedules they were made from.
-- The triggers' names say in which order they run: dates are taken over before claims are derived, and given back after.

create view private.class_assignments_claims as
select a.id as source_id, u.resource_id, tstzrange(a.starts_at, a.ends_at) as during, a.date as occurs_on,
  'class_assignment' as kind, coalesce(t.name, p.name, 'Class') as title
from public.class_assignments a
left join public.class_types t on t.id = a.class_type_id
left join public.packages p on p.id = a.package_id
cross join lateral (values (case when a.instructor_status <> 'rejected' then a.instructor_id end), (a.location_id)) as u (resource_id)
where a.starts_at is not null and a.class_status <> 'cancelled' and u.resource_id is not null;
comment on view private.class_assignments_claims is
  'What classes take: the room unless they are cancelled, the instructor unless cancelled or rejected; nothing without times.';

create function private.prepare_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_unknown constant uuid[] := array(
    select distinct n.instructor_id from new_rows n
    where not exists (select from public.resources r where r.id = n.instructor_id)
    order by n.instructor_id
  );
begin
  -- Writing nobody down would set off all that follows resources.
  if v_unknown <> '{}' then
    perform private.ensure_people(v_unknown);
  end if;
  return null;
end;
$$;
comment on function private.prepare_assignments() is 'Statement trigger: who is to teach a class can be planned with from then on.';

create trigger t30_prepare_insert after insert on public.class_assignments
  referencing new table as new_rows for each statement execute function private.prepare_assignments();
create trigger t30_prepare_update after update on public.class_assignments
  referencing new table as new_rows for each statement execute function private.prepare_assignments();

-- Classes that leave dates they took over: the dates, then their rules, then everybody the rules and the classes take are
-- locked, before any claim goes.
create function private.lock_taken_dates(p_ids uuid[], p_all_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_rule_ids uuid[];
begin
  select array_agg(distinct t.rule_id) into v_rule_ids
  from (
    select e.rule_id
    from public.weekly_rule_exceptions e
    where e.taken_by_id = any(p_ids) and e.taken_by_table = 'class_assignments'
    order by e.rule_id, e.occurs_on
    for update
  ) t;
  if v_rule_ids is not null then
    perform private.lock_rules(v_rule_ids, private.resources_of_assignments(p_all_ids));
  end if;
end;
$$;
comment on function private.lock_taken_dates(uuid[], uuid[]) is
  'Locks what these classes are about to leave, and whatever else the classes of the same statement take, in the order everybody locks it in.';

create function private.resources_of_assignments(p_ids uuid[]) returns uuid[]
language sql stable security definer set search_path = ''
return array(
  select c.resource_id from public.claims c where c.source_id = any(p_ids) and c.source_table = 'class_assignments'
  union select a.instructor_id from public.class_assignments a where a.id = any(p_ids)
  union select a.location_id from public.class_assignments a where a.id = any(p_ids) and a.location_id is not null
);
comment on function private.resources_of_assignments(uuid[]) is 'Whom and what these classes take, or are about to.';

-- The rows are read again by id, since a later trigger may have changed them. All resources the statement's classes will
-- claim are locked together with those of the schedules.
create function private.take_over_for_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_taken_ids uuid[];
  v_cancelled_ids uuid[];
  v_left_ids uuid[];
  v_all_ids uuid[];
begin
  if tg_op = 'DELETE' then
    select array_agg(o.id) filter (where o.schedule_id is not null and o.class_status <> 'cancelled'), array_agg(o.id)
    into v_left_ids, v_all_ids
    from old_rows o;
  elsif tg_op = 'INSERT' then
    select array_agg(n.id) filter (where n.schedule_id is not null and n.class_status <> 'cancelled'), array_agg(n.id)
    into v_taken_ids, v_all_ids
    from new_rows n;
  else
    select
      array_agg(n.id) filter (where n.class_status <> 'cancelled' and n.schedule_id is not null
        and (n.schedule_id, n.occurs_on) is distinct from (o.schedule_id, o.occurs_on)),
      array_agg(n.id) filter (where n.class_status = 'cancelled' and o.class_status <> 'cancelled' and o.schedule_id is not null),
      array_agg(n.id) filter (where o.schedule_id is not null and o.class_status <> 'cancelled'
        and (n.class_status = 'cancelled' or (n.schedule_id, n.occurs_on) is distinct from (o.schedule_id, o.occurs_on))),
      array_agg(n.id)
    into v_taken_ids, v_cancelled_ids, v_left_ids, v_all_ids
    from new_rows n
    join old_rows o on o.id = n.id;
  end if;
  if v_left_ids is not null then
    perform private.lock_taken_dates(v_left_ids, v_all_ids);
  end if;
  if v_cancelled_ids is not null then
    perform private.cancel_taken_dates(v_cancelled_ids);
  end if;
  if v_taken_ids is not null then
    perform private.take_over('class_assignments', t.ids, t.schedule_ids, t.dates, t.resource_ids, true)
    from (
      select array_agg(a.id order by a.id) as ids, array_agg(a.schedule_id order by a.id) as schedule_ids,
        array_agg(a.occurs_on order by a.id) as dates, private.resources_of_assignments(v_all_ids) as resource_ids
      from public.class_assignments a
      where a.id = any(v_taken_ids)
    ) t;
  end if;
  return null;
end;
$$;
comment on function private.take_over_for_assignments() is
  'Statement trigger: classes made from a schedule take those dates of it over; a cancelled class leaves its date cancelled; what a class leaves is locked.';

-- The date of a class that was called off does not come back by itself; another class may take it.
create function private.cancel_taken_dates(p_ids uuid[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  update public.weekly_rule_exceptions e
  set kind = 'cancelled', taken_by_table = null, taken_by_id = null
  from (
    select x.rule_id, x.occurs_on
    from public.weekly_rule_exceptions x
    where x.taken_by_id = any(p_ids) and x.taken_by_table = 'class_assignments'
    order by x.rule_id, x.occurs_on
    for update
  ) t
  where e.rule_id = t.rule_id and e.occurs_on = t.occurs_on;
end;
comment on function private.cancel_taken_dates(uuid[]) is 'Leaves the dates these classes took over cancelled.';

create trigger t40_take_over_insert after insert on public.class_assignments
  referencing new table as new_rows for each statement execute function private.take_over_for_assignments();
create trigger t40_take_over_update after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.take_over_for_assignments();

create trigger t40_leave_delete after delete on public.class_assignments
  referencing old table as old_rows for each statement execute function private.take_over_for_assignments();

select private.attach_claims('public.class_assignments');

-- No promised class is ever missing: a date to come that its class leaves, or that loses its class, is the schedule's
-- again. One that is past, nobody promises any more.
create function private.give_back_for_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_schedule_ids uuid[];
  v_dates date[];
  v_past_ids uuid[];
begin
  if tg_op = 'DELETE' then
    -- A class that moves to the archive was held, perhaps before the date it stood for.
    select array_agg(o.id) filter (where not o.is_over), array_agg(o.schedule_id) filter (where not o.is_over),
      array_agg(o.occurs_on) filter (where not o.is_over), array_agg(o.id) filter (where o.is_over)
    into v_ids, v_schedule_ids, v_dates, v_past_ids
    from (
      select d.id, d.schedule_id, d.occurs_on,
        d.occurs_on < private.today() or exists (select from public.class_assignments_archive r where r.id = d.id) as is_over
      from old_rows d
      where d.schedule_id is not null and d.class_status <> 'cancelled'
    ) o;
  else
    select array_agg(o.id), array_agg(o.schedule_id), array_agg(o.occurs_on) into v_ids, v_schedule_ids, v_dates
    from old_rows o
    left join new_rows n on n.id = o.id and n.schedule_id = o.schedule_id and n.occurs_on = o.occurs_on
    where o.schedule_id is not null and o.class_status <> 'cancelled' and n.id is null;
  end if;
  if v_past_ids is not null then
    perform private.cancel_taken_dates(v_past_ids);
  end if;
  if v_ids is not null then
    perform private.give_back('class_assignments', v_ids, v_schedule_ids, v_dates);
  end if;
  return null;
end;
$$;
comment on function private.give_back_for_assignments() is
  'Statement trigger: a date its class no longer stands for goes back to the schedule; raises time_conflict when somebody it needs is taken meanwhile.';

create trigger t60_give_back_update after update on public.class_assignments
  referencing old table as old_rows new table as new_rows for each statement execute function private.give_back_for_assignments();
create trigger t60_give_back_delete after delete on public.class_assignments
  referencing old table as old_rows for each statement execute function private.give_back_for_assignments();

-- A class type's or package's name is what its classes are called in the ledger.
create function private.rename_assignments() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
begin
  execute format('select array_agg(a.id order by a.id) from public.class_assignments a where a.%I = $1 and a.class_status <> ''cancelled''', tg_argv[0])
    into v_ids using new.id;
  if v_ids is not null then
    perform private.lock_sources('class_assignments', v_ids);
    perform private.derive_claims('class_assignments', v_ids);
  end if;
  return null;
end;
$$;
comment on function private.rename_assignments() is 'Row trigger on class_types and packages: its classes carry the name in the ledger. The argument is the column that refers to it.';

create trigger t60_rename_assignments after update of name on public.class_types
  for each row when (old.name is distinct from new.name) execute function private.rename_assignments('class_type_id');
create trigger t60_rename_assignments after update of name on public.packages
  for each row when (old.name is distinct from new.name) execute function private.rename_assignments('package_id');
