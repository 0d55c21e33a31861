create view public.finding_history with (security_invoker = true) as
select f.id, f.check_name, c.module, f.severity, f.entity, f.entity_id, f.message, f.detail, f.first_seen_at,
  coalesce(f.last_seen_at, (
    select r.checked_at from public.check_results r where r.check_name = f.check_name and r.failure is null order by r.id desc limit 1
  )) as last_seen_at,
  f.resolved_at, f.resolved_at - f.first_seen_at as time_to_repair, f.fix_id
from public.findings f
left join public.integrity_checks c on c.name = f.check_name;
comment on view public.finding_history is 'Findings with when each was first and last seen, when it was put right, by which repair, and how long that took.';

create view public.check_overview with (security_invoker = true) as
select c.name as check_name, c.module, c.category, c.severity, c.description, c.fix_description, c.is_active, c.auto_fix, l.checked_at as last_checked_at, l.looked_at, l.found as open_findings, l.appeared, l.failure,
  (select min(f.first_seen_at) from public.findings f where f.check_name = c.name and f.resolved_at is null) as oldest_open_at,
  t.resolved_findings, t.mean_time_to_repair
from public.integrity_checks c
left join lateral (
  select r.checked_at, r.looked_at, r.found, r.appeared, r.failure from public.check_results r where r.check_name = c.name order by r.id desc limit 1
) l on true
left join lateral (
  select count(*) as resolved_findings, avg(f.resolved_at - f.first_seen_at) as mean_time_to_repair
  from public.findings f
  where f.check_name = c.name and f.resolved_at is not null
) t on true;
comment on view public.check_overview is 'Each check with what it last said, since when its oldest finding is open, and how long putting right took so far.';
