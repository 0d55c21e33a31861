-- Dates of schedules against the classes that stand for them. Repairs go through a table of their own, so that
-- exceptions are still given away by triggers only, and each repair is on record.

create view private.taken_date_faults as
select e.rule_id, e.occurs_on, e.taken_by_id as assignment_id, true as is_taken
from public.weekly_rule_exceptions e
join public.class_assignments a on a.id = e.taken_by_id
where e.taken_by_table = 'class_assignments' and e.kind = 'taken_over'
  and (a.class_status = 'cancelled' or (a.schedule_id, a.occurs_on) is distinct from (e.rule_id, e.occurs_on))
union all
select a.schedule_id, a.occurs_on, a.id, false
from public.class_assignments a
left join public.weekly_rule_exceptions e on e.rule_id = a.schedule_id and e.occurs_on = a.occurs_on
where a.schedule_id is not null and a.class_status <> 'cancelled'
  and (e.taken_by_table, e.taken_by_id) is distinct from ('class_assignments', a.id);
comment on view private.taken_date_faults is
  'Dates of schedules that a class took over without standing for them (is_taken), and those a class stands for without having taken them over.';

create table private.taken_date_rebuilds (
  id bigint generated always as identity primary key,
  rule_ids uuid[] not null,
  dates date[] not null,
  rebuilt_by text not null default private.calling(),
  rebuilt_at timestamptz not null default private.now()
);
comment on table private.taken_date_rebuilds is 'Every time it was worked out again which class stands for a date of a schedule: which dates, by whom, when.';
comment on column private.taken_date_rebuilds.dates is 'The dates, in the order of rule_ids.';

-- A date nobody stands for is the schedule's again, unless it is over, was called off, or somebody else stands for it.
create function private.rebuild_taken_dates() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform from public.weekly_rule_exceptions e
  where (e.rule_id, e.occurs_on) in (select u.rule_id, u.occurs_on from unnest(new.rule_ids, new.dates) as u(rule_id, occurs_on))
  order by e.rule_id, e.occurs_on
  for update;
  update public.weekly_rule_exceptions e
  set kind = 'cancelled', taken_by_table = null, taken_by_id = null
  from private.taken_date_faults f
  where f.is_taken and f.rule_id = e.rule_id and f.occurs_on = e.occurs_on
    and (e.rule_id, e.occurs_on) in (select u.rule_id, u.occurs_on from unnest(new.rule_ids, new.dates) as u(rule_id, occurs_on))
    and (
      e.occurs_on < private.today()
      or exists (select from public.class_assignments a where a.id = e.taken_by_id and a.class_status = 'cancelled')
      or exists (
        select from public.class_assignments a where a.schedule_id = e.rule_id and a.occurs_on = e.occurs_on and a.class_status <> 'cancelled'
      )
    );
  delete from public.weekly_rule_exceptions e
  using private.taken_date_faults f
  where f.is_taken and f.rule_id = e.rule_id and f.occurs_on = e.occurs_on
    and (e.rule_id, e.occurs_on) in (select u.rule_id, u.occurs_on from unnest(new.rule_ids, new.dates) as u(rule_id, occurs_on));
  perform private.take_over('class_assignments', t.ids, t.schedule_ids, t.dates, t.resource_ids, true)
  from (
    select array_agg(a.id order by a.id) as ids, array_agg(a.schedule_id order by a.id) as schedule_ids,
      array_agg(a.occurs_on order by a.id) as dates, array_agg(a.instructor_id) || array_remove(array_agg(a.location_id), null) as resource_ids
    from private.taken_date_faults f
    join public.class_assignments a on a.id = f.assignment_id
    where not f.is_taken
      and (f.rule_id, f.occurs_on) in (select u.rule_id, u.occurs_on from unnest(new.rule_ids, new.dates) as u(rule_id, occurs_on))
  ) t
  where t.ids is not null;
  return null;
end;
$$;
comment on function private.rebuild_taken_dates() is
  'Row trigger on taken_date_rebuilds: makes these dates of schedules what the classes that stand for them say; raises time_conflict where somebody has the time.';

create trigger t50_rebuild after insert on private.taken_date_rebuilds
  for each row execute function private.rebuild_taken_dates();

create function private.settle_taken_dates(p_entity_ids text[], p_are_taken boolean) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fault record;
begin
  begin
    insert into private.taken_date_rebuilds (rule_ids, dates)
    select array_agg(f.rule_id), array_agg(f.occurs_on)
    from private.taken_date_faults f
    where f.is_taken = p_are_taken and f.assignment_id = any(p_entity_ids::uuid[])
    having count(*) > 0;
  exception when sqlstate 'PGRST' then
    -- Somebody has the time of one of them meanwhile: that one stays a finding.
    for v_fault in
      select f.rule_id, f.occurs_on from private.taken_date_faults f
      where f.is_taken = p_are_taken and f.assignment_id = any(p_entity_ids::uuid[])
    loop
      begin
        insert into private.taken_date_rebuilds (rule_ids, dates) values (array[v_fault.rule_id], array[v_fault.occurs_on]);
      exception when sqlstate 'PGRST' then
        continue;
      end;
    end loop;
  end;
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.settle_taken_dates(text[], boolean) is 'Works out again which class stands for these dates of schedules, where nobody else has the time.';
