create function private.check_dates_taken_for_nothing() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', f.assignment_id::text,
    format('%s on %s does not take place for a class that %s', r.title, f.occurs_on,
      case a.class_status when 'cancelled' then 'was cancelled' else 'stands for another date' end),
    jsonb_build_object('schedule_id', f.rule_id, 'occurs_on', f.occurs_on)
  from private.taken_date_faults f
  join public.weekly_rules r on r.id = f.rule_id
  join public.class_assignments a on a.id = f.assignment_id
  where f.is_taken;
end;
comment on function private.check_dates_taken_for_nothing() is 'Finds dates of schedules that a class took over which is cancelled or stands for another date.';

create function private.fix_dates_taken_for_nothing(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.settle_taken_dates(p_entity_ids, true);
comment on function private.fix_dates_taken_for_nothing(text[]) is
  'Gives these dates back to their schedules; leaves them cancelled where they are over or their class was called off.';
