-- Weekly rules become dated claims, up to each resource's horizon. Whoever writes a rule, an exception to one, or a
-- horizon holds the resources' locks and reads rules and horizons in a later statement.

-- Dates, never instants, are stepped through: a week is not always 168 hours. Ends may be 24:00.
create function private.rule_occurrences(p_rule public.weekly_rules, p_from timestamptz, p_until timestamptz)
returns table (occurs_on date, during tstzrange)
language sql stable set search_path = ''
begin atomic
  select o.occurs_on, o.during
  from (
    select d.day as occurs_on,
      tstzrange(
        private.local_to_instant(d.day, p_rule.start_time, p_rule.time_zone),
        private.local_end_to_instant(d.day, p_rule.end_time, p_rule.time_zone)
      ) as during
    from (
      select generate_series(
        f.first + ((p_rule.weekday - extract(dow from f.first)::integer + 7) % 7),
        least(upper(p_rule.effective) - 1, (p_until at time zone p_rule.time_zone)::date + 1)::timestamp,
        interval '7 days'
      )::date as day
      from (
        select greatest(lower(p_rule.effective), (p_from at time zone p_rule.time_zone)::date - 1) as first
      ) f
    ) d
    where not exists (
      select from public.weekly_rule_exceptions e where e.rule_id = p_rule.id and e.occurs_on = d.day
    )
    union all
    select e.occurs_on,
      tstzrange(
        private.local_to_instant(e.moved_to_date, e.moved_start_time, p_rule.time_zone),
        private.local_end_to_instant(e.moved_to_date, e.moved_end_time, p_rule.time_zone)
      )
    from public.weekly_rule_exceptions e
    where e.rule_id = p_rule.id and e.kind = 'moved'
  ) o
  where lower(o.during) < p_until and upper(o.during) is not null
    and (p_from is null or lower(o.during) >= p_from);
end;
comment on function private.rule_occurrences(public.weekly_rules, timestamptz, timestamptz) is
  'When a rule happens, start from p_from (null: ever) and before p_until: without exceptions and dates the clock skips, with moved ones where they moved to.';

create function private.rule_meets(
  p_rule public.weekly_rules, p_other public.weekly_rules, p_from timestamptz
) returns table (occurs_on date, during tstzrange, other_occurs_on date, other_during tstzrange)
language sql stable set search_path = ''
begin atomic
  select a.occurs_on, a.during, b.occurs_on, b.during
  from (
    -- The calendar of weekdays and clock changes repeats after 28 years.
    select least(
      p_from + interval '28 years 7 days',
      coalesce(upper(p_rule.effective * p_other.effective) + 2, 'infinity'::date)::timestamp at time zone 'UTC'
    ) as until
  ) u
  cross join lateral private.rule_occurrences(p_rule, p_from - interval '1 day', u.until) a
  join lateral private.rule_occurrences(p_other, p_from - interval '1 day', u.until) b on a.during && b.during
  where p_rule.effective && p_other.effective
    -- In one zone rules meet on their weekday or not at all; between zones the clocks are at most 26 hours apart.
    and case
      when p_rule.time_zone = p_other.time_zone then
        p_rule.weekday = p_other.weekday and p_rule.start_time < p_other.end_time and p_other.start_time < p_rule.end_time
      else
        least((p_rule.weekday - p_other.weekday + 7) % 7, (p_other.weekday - p_rule.weekday + 7) % 7) <= 2
    end;
end;
comment on function private.rule_meets(public.weekly_rules, public.weekly_rules, timestamptz) is
  'The occurrences, from an instant on, in which two weekly rules overlap.';

-- Inside the horizon the constraint on claims decides. Beyond it nothing is claimed yet, so rules are compared.
create function private.rules_that_meet(p_rule_ids uuid[]) returns table (
  resource_id uuid, resource_name text, rule_id uuid, during tstzrange,
  with_id uuid, with_title text, with_kind text, with_occurs_on date, with_during tstzrange
)
language sql stable security definer set search_path = ''
begin atomic
  select s.id, s.name, r.id, m.during, q.id, q.title, q.kind, m.other_occurs_on, m.other_during
  from public.weekly_rules r
  join public.weekly_rule_resources a on a.rule_id = r.id
  join public.weekly_rule_resources b on b.resource_id = a.resource_id and b.rule_id <> r.id
  join public.weekly_rules q on q.id = b.rule_id
  join public.resources s on s.id = a.resource_id
  join public.resource_horizons h on h.resource_id = a.resource_id
  left join public.override_members mr on mr.source_table = 'weekly_rules' and mr.source_id = r.id
  left join public.override_members mq on mq.source_table = 'weekly_rules' and mq.source_id = q.id
  left join public.overrides o on o.id = mr.override_id and o.id = mq.override_id
  cross join lateral (
    select m.*
    from private.rule_meets(r, q, h.claimed_until) m
    where (lower(m.during) >= h.claimed_until or lower(m.other_during) >= h.claimed_until)
      and (o.id is null
        or greatest(lower(m.during), lower(m.other_during)) >= coalesce(least(o.expires_at, o.revoked_at), 'infinity'))
    order by m.during
    limit 1
  ) m
  where r.id = any(p_rule_ids);
end;
comment on function private.rules_that_meet(uuid[]) is
  'With which other rule of the same resource each of these rules meets beyond the horizon, and when first, unless an override lets them.';

create function private.refuse_rules_that_meet(p_rule_ids uuid[]) returns void
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_clash record;
  v_is_told boolean;
begin
  select m.* into v_clash
  from private.rules_that_meet(p_rule_ids) m
  order by lower(m.during), m.resource_name
  limit 1;
  if not found then
    return;
  end if;
  v_is_told := private.has_permission('read:calendar') or v_clash.resource_id = private.current_profile_id();
  perform private.fail('time_conflict',
    format('%s will be %s, %s', v_clash.resource_name,
      case when v_is_told then 'in ' || v_clash.with_title else 'taken' end, private.describe_range(v_clash.with_during)),
    p_details => jsonb_build_object('count', 1, 'conflicts', jsonb_build_array(jsonb_build_object(
      'resource_id', v_clash.resource_id, 'resource_name', v_clash.resource_name,
      'source_table', 'weekly_rules', 'source_id', v_clash.rule_id,
      'starts_at', lower(v_clash.during), 'ends_at', upper(v_clash.during),
      'conflicts_with', jsonb_build_object('starts_at', lower(v_clash.with_during), 'ends_at', upper(v_clash.with_during))
        || case when v_is_told then jsonb_build_object(
          'source_table', 'weekly_rules', 'source_id', v_clash.with_id, 'occurs_on', v_clash.with_occurs_on,
          'kind', v_clash.with_kind, 'title', v_clash.with_title) else '{}' end))),
    p_hint => 'The two rules meet beyond the dates that are claimed so far; end one before that, or choose another time.');
end;
$$;
comment on function private.refuse_rules_that_meet(uuid[]) is
  'Raises time_conflict when one of these rules meets another of the same resource anywhere beyond the horizon.';

create function private.derive_weekly_rules(p_rule_ids uuid[], p_resource_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.require_read_committed();
  perform private.lock_resources(array(
    select r.resource_id from public.weekly_rule_resources r where r.rule_id = any(p_rule_ids)
    union select c.resource_id from public.claims c where c.source_table = 'weekly_rules' and c.source_id = any(p_rule_ids)
    union select unnest(p_resource_ids)
  ));
  perform private.derive_claims('weekly_rules', p_rule_ids);
  perform private.refuse_rules_that_meet(p_rule_ids);
end;
$$;
comment on function private.derive_weekly_rules(uuid[], uuid[]) is
  'Makes the claims of these rules what they promise, with their resources (and those just left) locked first.';

-- Arguments: the column that holds the rule's id, and the column that holds a resource's, where there is one.
create function private.follow_weekly_rule() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_ids uuid[];
  v_resource_ids uuid[];
begin
  execute case tg_op
      when 'INSERT' then format('select array_agg(distinct %I), array_agg(distinct %s) from new_rows', tg_argv[0], tg_argv[1])
      when 'DELETE' then format('select array_agg(distinct %I), array_agg(distinct %s) from old_rows', tg_argv[0], tg_argv[1])
      else format('select array_agg(distinct %1$I), array_agg(distinct %2$s) from
        (select * from new_rows union all select * from old_rows) u', tg_argv[0], tg_argv[1])
    end into v_ids, v_resource_ids;
  if v_ids is not null then
    perform private.lock_sources('weekly_rules', v_ids);
    perform private.derive_weekly_rules(v_ids, array_remove(v_resource_ids, null));
  end if;
  return null;
end;
$$;
comment on function private.follow_weekly_rule() is 'Statement trigger of weekly rules, their resources and exceptions: derives the claims of the changed rules.';

create function private.attach_weekly_rules(p_table regclass, p_key text, p_resource text) returns void
language plpgsql volatile set search_path = ''
as $$
declare
  v_call text := format('for each statement execute function private.follow_weekly_rule(%L, %L)', p_key, p_resource);
begin
  execute format('create trigger t50_claims_insert after insert on %s referencing new table as new_rows %s', p_table, v_call);
  execute format('create trigger t50_claims_update after update on %s referencing old table as old_rows new table as new_rows %s', p_table, v_call);
  execute format('create trigger t50_claims_delete after delete on %s referencing old table as old_rows %s', p_table, v_call);
  execute format('create trigger t00_no_truncate before truncate on %s for each statement execute function private.refuse_truncate()', p_table);
end;
$$;
comment on function private.attach_weekly_rules(regclass, text, text) is 'Makes claims follow one of the three tables weekly rules are written in.';

select private.attach_weekly_rules('public.weekly_rules', 'id', 'null::uuid');
select private.attach_weekly_rules('public.weekly_rule_resources', 'rule_id', 'resource_id');
select private.attach_weekly_rules('public.weekly_rule_exceptions', 'rule_id', 'null::uuid');

create trigger t10_keep_version before update on public.weekly_rules
  for each row execute function private.keep_version();

create function private.check_weekly_rule_exception() returns trigger
language plpgsql security definer set search_path = ''
as $$
declare
  v_rule public.weekly_rules;
begin
  select r.* into v_rule from public.weekly_rules r where r.id = new.rule_id;
  if not found then
    return new;
  end if;
  if extract(dow from new.occurs_on) <> v_rule.weekday or not new.occurs_on <@ v_rule.effective then
    perform private.fail('invalid_input', format('%s does not happen on %s', v_rule.title, new.occurs_on), 'occurs_on',
      jsonb_build_object('rule_id', v_rule.id));
  end if;
  if new.kind = 'moved' and private.local_to_instant(new.moved_to_date, new.moved_start_time, v_rule.time_zone) is null then
    perform private.fail_local_time(new.moved_to_date, new.moved_start_time, v_rule.time_zone, 'moved_start_time');
  end if;
  if new.kind = 'moved' and private.local_end_to_instant(new.moved_to_date, new.moved_end_time, v_rule.time_zone) is null then
    perform private.fail_local_time(new.moved_to_date, new.moved_end_time, v_rule.time_zone, 'moved_end_time');
  end if;
  return new;
end;
$$;
comment on function private.check_weekly_rule_exception() is
  'Row trigger: an exception is to a date the rule has, and a moved one goes to a time that exists.';

create trigger t20_check before insert or update on public.weekly_rule_exceptions
  for each row execute function private.check_weekly_rule_exception();

-- For happenings made from a rule: the date becomes theirs, once.
create function private.take_over(p_rule_id uuid, p_occurs_on date, p_source_table text, p_source_id uuid) returns void
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_standing public.weekly_rule_exceptions;
begin
  insert into public.weekly_rule_exceptions (rule_id, occurs_on, kind, taken_by_table, taken_by_id)
  values (p_rule_id, p_occurs_on, 'taken_over', p_source_table, p_source_id)
  on conflict (rule_id, occurs_on) do nothing;
  if found then
    return;
  end if;
  select e.* into v_standing
  from public.weekly_rule_exceptions e where e.rule_id = p_rule_id and e.occurs_on = p_occurs_on;
  if v_standing.taken_by_table = p_source_table and v_standing.taken_by_id = p_source_id then
    return;
  end if;
  perform private.fail('time_conflict',
    format('%s of this rule is already %s', p_occurs_on, replace(v_standing.kind, '_', ' ')), 'occurs_on',
    jsonb_build_object('rule_id', p_rule_id, 'occurs_on', p_occurs_on, 'kind', v_standing.kind,
      'taken_by_table', v_standing.taken_by_table, 'taken_by_id', v_standing.taken_by_id));
end;
$$;
comment on function private.take_over(uuid, date, text, uuid) is
  'Gives one date of a rule to a happening of its own, in the same transaction as its claims; the second taker gets time_conflict.';
