-- What the rows of each source table claim. Read by private.derive_claims; the names are <table>_claims.

create view private.meetings_claims as
select m.id as source_id, p.resource_id, tstzrange(m.starts_at, m.ends_at) as during, m.date as occurs_on, m.kind, m.title
from public.meetings m
join public.meeting_participants p on p.meeting_id = m.id
where m.status = 'scheduled';
comment on view private.meetings_claims is 'What meetings claim: each participant, from start to end, unless cancelled.';

create view private.weekly_rules_claims as
select r.id as source_id, p.resource_id, o.during, o.occurs_on, r.kind, r.title
from public.weekly_rules r
join public.weekly_rule_resources p on p.rule_id = r.id
join public.resource_horizons h on h.resource_id = p.resource_id
cross join lateral private.rule_occurrences(r, null, h.claimed_until) o;
comment on view private.weekly_rules_claims is 'What weekly rules claim: each resource, every occurrence up to its horizon.';

create view public.skipped_occurrences with (security_invoker = true) as
select r.id as rule_id, r.title, d.day::date as occurs_on,
  format('%s does not exist in %s on %s: the clock skips it',
    case when private.local_to_instant(d.day::date, r.start_time, r.time_zone) is null then r.start_time else r.end_time end,
    r.time_zone, d.day::date) as reason
from public.weekly_rules r
cross join lateral (
  select max(h.claimed_until) as claimed_until
  from public.weekly_rule_resources p
  join public.resource_horizons h on h.resource_id = p.resource_id
  where p.rule_id = r.id
) h
cross join lateral generate_series(
  lower(r.effective) + ((r.weekday - extract(dow from lower(r.effective))::integer + 7) % 7),
  least(upper(r.effective) - 1, (h.claimed_until at time zone r.time_zone)::date)::timestamp,
  interval '7 days'
) as d(day)
where (
    private.local_to_instant(d.day::date, r.start_time, r.time_zone) is null
    or private.local_end_to_instant(d.day::date, r.end_time, r.time_zone) is null
  )
  and not exists (select from public.weekly_rule_exceptions e where e.rule_id = r.id and e.occurs_on = d.day::date);
comment on view public.skipped_occurrences is
  'Every date a weekly rule leaves out because its wall-clock time does not exist on it, and why.';
