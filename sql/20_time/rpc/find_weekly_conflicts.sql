create function private.weekly_conflicts(
  p_resource_ids uuid[], p_rule public.weekly_rules, p_limit integer
) returns table (
  resource_id uuid, resource_name text, conflict_type text, source_table text, source_id uuid, occurs_on date,
  starts_at timestamptz, ends_at timestamptz, message text
)
language plpgsql stable security definer set search_path = ''
as $$
declare
  v_sees_all boolean;
  v_self uuid;
begin
  if private.caller_id() is null and not private.is_trusted() then
    perform private.fail('forbidden', 'Sign in to see who is free');
  end if;
  v_sees_all := private.has_permission('read:calendar');
  v_self := private.current_profile_id();
  return query
    with hits as (
      -- Up to the horizon everything is claimed.
      select h.resource_id, c.kind, c.source_table, c.source_id, c.title, o.occurs_on, c.during
      from public.resource_horizons h
      cross join lateral private.rule_occurrences(p_rule, null, h.claimed_until) o
      join public.claims c on c.resource_id = h.resource_id and c.during && o.during
      where h.resource_id = any(p_resource_ids)
      union
      -- Beyond it there are rules only; the first date on which two of them meet says enough.
      select h.resource_id, q.kind, 'weekly_rules', q.id, q.title, m.occurs_on, m.other_during
      from public.resource_horizons h
      join public.weekly_rule_resources p on p.resource_id = h.resource_id
      join public.weekly_rules q on q.id = p.rule_id
      cross join lateral (
        select m.occurs_on, m.other_during
        from private.rule_meets(p_rule, q, h.claimed_until) m
        where lower(m.during) >= h.claimed_until or lower(m.other_during) >= h.claimed_until
        order by m.occurs_on
        limit 1
      ) m
      where h.resource_id = any(p_resource_ids)
    )
    select x.resource_id, r.name,
      case when t.is_told then x.kind else 'busy' end,
      case when t.is_told then x.source_table end,
      case when t.is_told then x.source_id end,
      x.occurs_on, lower(x.during), upper(x.during),
      format('%s is already %s, %s', r.name, case when t.is_told then 'in ' || x.title else 'taken' end, private.describe_range(x.during))
    from hits x
    join public.resources r on r.id = x.resource_id
    cross join lateral (select v_sees_all or x.resource_id = v_self as is_told) t
    order by lower(x.during), r.name, x.source_id
    limit p_limit;
end;
$$;
comment on function private.weekly_conflicts(uuid[], public.weekly_rules, integer) is
  'What a weekly rule would run into: claims up to the horizons, other rules beyond.';

create function public.find_weekly_conflicts(
  p_resource_ids uuid[],
  p_weekday integer,
  p_start_time time,
  p_end_time time,
  p_time_zone text default null,
  p_from date default null,
  p_until date default null,
  p_limit integer default 200
) returns table (
  resource_id uuid, resource_name text, conflict_type text, source_table text, source_id uuid, occurs_on date,
  starts_at timestamptz, ends_at timestamptz, message text
)
language plpgsql stable set search_path = ''
as $$
declare
  v_rule public.weekly_rules;
begin
  v_rule.time_zone := coalesce(p_time_zone, private.setting_text('organisation_time_zone'));
  perform private.fail_input(
    private.input_error(coalesce(cardinality(p_resource_ids), 0) not between 1 and 100, 'p_resource_ids', 'Name 1 to 100 resources')
    || private.input_error(coalesce(p_weekday, -1) not between 0 and 6, 'p_weekday', 'A weekday is 0 (Sunday) to 6 (Saturday)')
    || private.input_error(p_start_time is null, 'p_start_time', 'Say when it starts')
    || private.input_error(p_end_time is null, 'p_end_time', 'Say when it ends')
    || private.input_error(p_end_time <= p_start_time, 'p_end_time', 'The end must be after the start')
    || private.input_error(not private.is_time_zone(v_rule.time_zone), 'p_time_zone', 'That is no IANA time zone')
    || private.input_error(p_from not between date '1970-01-01' and date '2199-12-31', 'p_from', 'A date lies between 1970 and 2199')
    || private.input_error(p_until not between date '1970-01-01' and date '2199-12-31', 'p_until', 'A date lies between 1970 and 2199')
    || private.input_error(p_until < coalesce(p_from, private.today()), 'p_until', 'The last day must not be before the first')
    || private.input_error(coalesce(p_limit, 0) not between 1 and 1000, 'p_limit', 'Ask for 1 to 1000 rows')
  );
  v_rule.weekday := p_weekday;
  v_rule.start_time := p_start_time;
  v_rule.end_time := p_end_time;
  v_rule.effective := daterange(coalesce(p_from, private.today()), p_until, '[]');
  return query select * from private.weekly_conflicts(p_resource_ids, v_rule, p_limit);
end;
$$;
comment on function public.find_weekly_conflicts(uuid[], integer, time, time, text, date, date, integer) is
  'What a weekly rule would run into before it is made: weekday 0 Sunday to 6 Saturday, wall-clock times in p_time_zone (the organisation''s by default), from p_from (today) to p_until (included; null: for ever). Every clash up to the horizon and, beyond it, the first with each other rule; at most p_limit rows. Raises invalid_input naming every bad field.';
