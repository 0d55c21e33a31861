-- Dates of weekly rules that happenings of their own stand in for.

-- One taker wins: a date somebody stands in for is not given away behind their back. Triggers may, since they know
-- that the stand-in has left.
create function private.keep_taken_over() returns trigger
language plpgsql security definer set search_path = ''
as $$
begin
  if pg_catalog.pg_trigger_depth() < 2 and private.happening_exists(old.taken_by_table, old.taken_by_id) then
    perform private.fail('illegal_transition', format('A happening of its own took %s over', old.occurs_on), 'occurs_on',
      jsonb_build_object('rule_id', old.rule_id, 'occurs_on', old.occurs_on, 'taken_by_table', old.taken_by_table,
        'taken_by_id', old.taken_by_id),
      'Cancel, move or delete that happening instead.');
  end if;
  return case tg_op when 'DELETE' then old else new end;
end;
$$;
comment on function private.keep_taken_over() is 'Row trigger on weekly_rule_exceptions: a date stays with the happening that took it over while that is there.';

create trigger t10_keep_taken_over before update or delete on public.weekly_rule_exceptions
  for each row when (old.kind = 'taken_over') execute function private.keep_taken_over();

-- For happenings made from a rule: the date becomes theirs, once. Arrays go together, one element a date; p_resource_ids
-- are those the happenings will claim themselves.
--
-- Exceptions come first, then rules, then resources. The locks are taken within the statement that writes the
-- exceptions, before its triggers run: those would lock the rules' resources alone, and the others would come out of turn.
create function private.take_over(
  p_source_table text, p_source_ids uuid[], p_rule_ids uuid[], p_dates date[], p_resource_ids uuid[] default '{}',
  p_cancelled_too boolean default false
) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_standing public.weekly_rule_exceptions;
  v_taken integer;
begin
  perform private.require_read_committed();
  for attempt in 1..5 loop
    with revived as (
      update public.weekly_rule_exceptions e
      set kind = 'taken_over', taken_by_table = p_source_table, taken_by_id = t.source_id, reason = null
      from (
        select e.rule_id, e.occurs_on, t.source_id
        from unnest(p_source_ids, p_rule_ids, p_dates) as t(source_id, rule_id, occurs_on)
        join public.weekly_rule_exceptions e on e.rule_id = t.rule_id and e.occurs_on = t.occurs_on and e.kind = 'cancelled'
        where p_cancelled_too
        order by e.rule_id, e.occurs_on
        for update of e
      ) t
      where e.rule_id = t.rule_id and e.occurs_on = t.occurs_on
      returning e.rule_id
    ),
    taken as (
      insert into public.weekly_rule_exceptions as e (rule_id, occurs_on, kind, taken_by_table, taken_by_id)
      select t.rule_id, t.occurs_on, 'taken_over', p_source_table, t.source_id
      from unnest(p_source_ids, p_rule_ids, p_dates) as t(source_id, rule_id, occurs_on)
      order by t.rule_id, t.occurs_on
      on conflict (rule_id, occurs_on) do nothing
      returning e.rule_id
    ),
    counted as (
      select (select count(*) from taken) + (select count(*) from revived) as dates
    ),
    locked as (
      select case when c.dates > 0 then private.lock_rules(p_rule_ids, p_resource_ids)::text end from counted c
    )
    select c.dates into v_taken from counted c cross join locked;
    -- Nothing taken and nothing standing: what stood there has gone this moment. Nothing is locked yet, so go again.
    exit when v_taken > 0 or not exists (
      select from unnest(p_rule_ids, p_dates) as t(rule_id, occurs_on)
      where not exists (
        select from public.weekly_rule_exceptions e where e.rule_id = t.rule_id and e.occurs_on = t.occurs_on
      )
    );
  end loop;
  select t.rule_id, t.occurs_on, coalesce(e.kind, 'being changed'), e.taken_by_table, e.taken_by_id
  into v_standing.rule_id, v_standing.occurs_on, v_standing.kind, v_standing.taken_by_table, v_standing.taken_by_id
  from unnest(p_source_ids, p_rule_ids, p_dates) as t(source_id, rule_id, occurs_on)
  left join public.weekly_rule_exceptions e on e.rule_id = t.rule_id and e.occurs_on = t.occurs_on
  where (e.taken_by_table, e.taken_by_id) is distinct from (p_source_table, t.source_id)
  order by t.occurs_on
  limit 1;
  if found then
    perform private.fail('time_conflict',
      format('%s of this rule is already %s', v_standing.occurs_on, replace(v_standing.kind, '_', ' ')), 'occurs_on',
      jsonb_build_object('rule_id', v_standing.rule_id, 'occurs_on', v_standing.occurs_on, 'kind', v_standing.kind,
        'taken_by_table', v_standing.taken_by_table, 'taken_by_id', v_standing.taken_by_id));
  end if;
end;
$$;
comment on function private.take_over(text, uuid[], uuid[], date[], uuid[], boolean) is
  'Gives dates of rules to happenings of their own, in the same transaction as their claims, cancelled dates only where p_cancelled_too; the second taker gets time_conflict.';

create function private.give_back(p_source_table text, p_source_ids uuid[], p_rule_ids uuid[], p_dates date[]) returns void
language sql volatile security definer set search_path = ''
begin atomic
  delete from public.weekly_rule_exceptions e
  using (
    select e.rule_id, e.occurs_on
    from unnest(p_source_ids, p_rule_ids, p_dates) as t(source_id, rule_id, occurs_on)
    join public.weekly_rule_exceptions e on e.rule_id = t.rule_id and e.occurs_on = t.occurs_on
      and e.taken_by_table = p_source_table and e.taken_by_id = t.source_id
    order by e.rule_id, e.occurs_on
    for update of e
  ) given
  where e.rule_id = given.rule_id and e.occurs_on = given.occurs_on;
end;
comment on function private.give_back(text, uuid[], uuid[], date[]) is
  'Gives dates back to their rules that these happenings no longer stand in for; raises time_conflict when their time is taken.';
