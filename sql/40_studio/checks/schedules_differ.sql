create function private.check_schedules_differ() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_schedules', d.id::text,
    case when bool_or(d.what = 'gone') then 'A weekly rule stands for a class schedule that is gone'
      else format('%s promises otherwise than its weekly rule: %s', max(t.name), string_agg(distinct d.what, ' and ')) end,
    jsonb_build_object('weekly_rule_id', d.id)
  from (
    select coalesce(w.id, r.id) as id, case when w.id is null then 'gone' when r.id is null then 'there is none' else 'its day or times' end as what
    from private.class_schedule_rules w
    full join (select * from public.weekly_rules x where x.source_table = 'class_schedules') r on r.id = w.id
    where (w.title, w.kind, w.weekday, w.start_time, w.end_time, w.time_zone, w.effective, w.id)
      is distinct from (r.title, r.kind, r.weekday, r.start_time, r.end_time, r.time_zone, r.effective, r.source_id)
    union all
    select coalesce(w.rule_id, r.rule_id), 'whom it takes'
    from private.class_schedule_resources w
    full join (
      select p.rule_id, p.resource_id
      from public.weekly_rule_resources p
      join public.weekly_rules x on x.id = p.rule_id and x.source_table = 'class_schedules'
    ) r on r.rule_id = w.rule_id and r.resource_id = w.resource_id
    where w.rule_id is null or r.rule_id is null
  ) d
  left join public.class_schedules s on s.id = d.id
  left join public.class_types t on t.id = s.class_type_id
  group by d.id;
end;
comment on function private.check_schedules_differ() is 'Finds class schedules whose weekly rule is not what they say, so that the ledger promises something else.';

create function private.fix_schedules_differ(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_id uuid;
begin
  begin
    perform private.sync_schedules(p_entity_ids::uuid[]);
  exception when sqlstate 'PGRST' then
    -- Somebody has the time of one of them meanwhile: that one stays a finding.
    foreach v_id in array p_entity_ids::uuid[] loop
      begin
        perform private.sync_schedules(array[v_id]);
      exception when sqlstate 'PGRST' then
        continue;
      end;
    end loop;
  end;
  return cardinality(p_entity_ids);
end;
$$;
comment on function private.fix_schedules_differ(text[]) is 'Makes the weekly rules what the schedules say, where nobody else has the time.';
