-- Weekly rules become dated claims, up to each resource's horizon. Whoever writes a rule, an exception to one, or a
-- horizon holds the resources' locks and reads rules and horizons in a later statement.

-- Dates, never instants, are stepped through: a week is not always 168 hours. Ends may be 24:00.
create function private.regular_occurrences(p_rule public.weekly_rules, p_from timestamptz, p_until timestamptz)
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
    offset 0 -- or the planner works the range out anew for each mention of it
  ) o
  where lower(o.during) < p_until and upper(o.during) is not null
    and (p_from is null or lower(o.during) >= p_from);
end;
comment on function private.regular_occurrences(public.weekly_rules, timestamptz, timestamptz) is
  'When a rule happens as it says, start from p_from (null: ever) and before p_until: without exceptions and dates the clock skips.';

-- A date that was moved while the rule still had it is not held any more once the rule has it no longer.
create function private.moved_occurrences(p_rule public.weekly_rules)
returns table (occurs_on date, during tstzrange)
language sql stable set search_path = ''
begin atomic
  select o.occurs_on, o.during
  from (
    select e.occurs_on,
      tstzrange(
        private.local_to_instant(e.moved_to_date, e.moved_start_time, p_rule.time_zone),
        private.local_end_to_instant(e.moved_to_date, e.moved_end_time, p_rule.time_zone)
      ) as during
    from public.weekly_rule_exceptions e
    where e.rule_id = p_rule.id and e.kind = 'moved'
      and e.occurs_on <@ p_rule.effective and extract(dow from e.occurs_on) = p_rule.weekday
    offset 0
  ) o
  where lower(o.during) is not null and upper(o.during) is not null;
end;
comment on function private.moved_occurrences(public.weekly_rules) is 'The dates of a rule that were moved, and where to.';

create function private.rule_occurrences(p_rule public.weekly_rules, p_from timestamptz, p_until timestamptz)
returns table (occurs_on date, during tstzrange)
language sql stable set search_path = ''
begin atomic
  select r.occurs_on, r.during from private.regular_occurrences(p_rule, p_from, p_until) r
  union all
  select m.occurs_on, m.during
  from private.moved_occurrences(p_rule) m
  where lower(m.during) < p_until and (p_from is null or lower(m.during) >= p_from);
end;
comment on function private.rule_occurrences(public.weekly_rules, timestamptz, timestamptz) is
  'When a rule happens, start from p_from (null: ever) and before p_until: without exceptions and dates the clock skips, with moved ones where they moved to.';

-- In one zone rules meet on their weekday or not at all, and for their whole common time. Between zones clocks are at
-- most 26 hours apart, so a date meets only the other rule's nearest date; and what does not meet within 28 years never
-- does, since the calendar of weekdays and clock changes repeats. Moved dates are few, and are compared with everything.
create function private.rule_meets(
  p_rule public.weekly_rules, p_other public.weekly_rules, p_from timestamptz
) returns table (occurs_on date, during tstzrange, other_occurs_on date, other_during tstzrange)
language sql stable set search_path = ''
begin atomic
  with common as materialized (
    select s.since,
      least(s.since + 10240 * interval '24 hours', (upper(p_rule.effective * p_other.effective) + 2)::timestamp at time zone 'UTC') as until
    from (
      select greatest(p_from, lower(p_rule.effective * p_other.effective)::timestamp at time zone 'UTC') - interval '48 hours' as since
    ) s
    where p_rule.id is distinct from p_other.id and p_rule.effective && p_other.effective
      and case
        when p_rule.time_zone = p_other.time_zone then
          p_rule.weekday = p_other.weekday and p_rule.start_time < p_other.end_time and p_other.start_time < p_rule.end_time
        else
          (p_other.weekday - p_rule.weekday + 10) % 7 - 3 between -2 and 2
      end
  ), ours as materialized (
    select o.* from common c cross join lateral private.regular_occurrences(p_rule, c.since, c.until) o
  ), theirs as materialized (
    select o.* from common c cross join lateral private.regular_occurrences(p_other, c.since, c.until) o
  )
  select a.occurs_on, a.during, b.occurs_on, b.during
  from ours a
  join theirs b on b.occurs_on = a.occurs_on + ((p_other.weekday - p_rule.weekday + 10) % 7 - 3)
  where a.during && b.during and greatest(upper(a.during), upper(b.during)) > p_from
  union all
  select a.occurs_on, a.during, b.occurs_on, b.during
  from private.moved_occurrences(p_rule) a
  cross join lateral private.rule_occurrences(p_other, lower(a.during) - interval '48 hours', upper(a.during)) b
  where a.during && b.during and greatest(upper(a.during), upper(b.during)) > p_from
    and (p_rule.id is distinct from p_other.id or b.occurs_on <> a.occurs_on)
  union all
  select a.occurs_on, a.during, b.occurs_on, b.during
  from private.moved_occurrences(p_other) b
  cross join lateral private.regular_occurrences(p_rule, lower(b.during) - interval '48 hours', upper(b.during)) a
  where a.during && b.during and greatest(upper(a.during), upper(b.during)) > p_from
    and p_rule.id is distinct from p_other.id;
end;
comment on function private.rule_meets(public.weekly_rules, public.weekly_rules, timestamptz) is
  'The occurrences, ending after an instant, in which two weekly rules overlap, or a moved date of one rule its other dates.';

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
  join public.weekly_rule_resources b on b.resource_id = a.resource_id
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
  where r.id = any(p_rule_ids)
    -- Most pairs are told apart at a glance.
    and (
      r.time_zone <> q.time_zone or r.weekday = q.weekday and r.start_time < q.end_time and q.start_time < r.end_time
      or exists (
        select from public.weekly_rule_exceptions e
        where e.rule_id in (r.id, q.id) and e.kind = 'moved' and e.moved_to_date > (h.claimed_until at time zone 'UTC')::date - 3
      )
    );
end;
comment on function private.rules_that_meet(uuid[]) is
  'With which rule of the same resource (itself, where a date was moved) each of these rules meets beyond the horizon, and when first, unless an override lets them.';

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

create function private.lock_rules(p_rule_ids uuid[], p_resource_ids uuid[]) returns void
language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform private.lock_sources('weekly_rules', p_rule_ids);
  perform private.lock_resources(p_resource_ids || array(
    select r.resource_id from public.weekly_rule_resources r where r.rule_id = any(p_rule_ids)
  ));
end;
$$;
comment on function private.lock_rules(uuid[], uuid[]) is 'Locks rules, then in one go their resources and further ones.';

select private.compare_claims_of('weekly_rules');

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
  if v_ids is null then
    return null;
  end if;
  perform private.lock_sources('weekly_rules', v_ids);
  if tg_op = 'INSERT' and tg_relid = 'public.weekly_rules'::regclass then
    perform private.lock_memberships('weekly_rules', v_ids);
  end if;
  perform private.derive_weekly_rules(v_ids, array_remove(v_resource_ids, null));
  if tg_op = 'DELETE' and tg_relid = 'public.weekly_rules'::regclass then
    perform private.forget_memberships('weekly_rules', v_ids);
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
  execute format('create trigger t00_read_committed before insert or update or delete on %s
    for each statement execute function private.refuse_other_isolation()', p_table);
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
  if new.kind = 'moved' then
    if new.moved_to_date not between date '1970-01-01' and date '2199-12-31' then
      perform private.fail('invalid_input', 'A date lies between 1970 and 2199', 'moved_to_date');
    end if;
    if private.local_to_instant(new.moved_to_date, new.moved_start_time, v_rule.time_zone) is null then
      perform private.fail_local_time(new.moved_to_date, new.moved_start_time, v_rule.time_zone, 'moved_start_time');
    end if;
    if private.local_end_to_instant(new.moved_to_date, new.moved_end_time, v_rule.time_zone) is null then
      perform private.fail_local_time(new.moved_to_date, new.moved_end_time, v_rule.time_zone, 'moved_end_time');
    end if;
  end if;
  if new.kind = 'taken_over' and new.taken_by_table not in (select s.source_table from private.claim_sources() s) then
    perform private.fail('invalid_input', format('%s is no table of happenings', new.taken_by_table), 'taken_by_table');
  end if;
  return new;
end;
$$;
comment on function private.check_weekly_rule_exception() is
  'Row trigger: an exception is to a date the rule has, a moved one goes to a time that exists, and what took one over is a happening.';

create trigger t20_check before insert or update on public.weekly_rule_exceptions
  for each row execute function private.check_weekly_rule_exception();
