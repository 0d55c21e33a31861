create function private.check_dates_not_taken_over() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', f.assignment_id::text,
    format('The class on %s stands for %s of its schedule and did not take it over, so that it is promised twice', a.date, f.occurs_on),
    jsonb_build_object('schedule_id', f.rule_id, 'occurs_on', f.occurs_on)
  from private.taken_date_faults f
  join public.class_assignments a on a.id = f.assignment_id
  where not f.is_taken;
end;
comment on function private.check_dates_not_taken_over() is 'Finds classes made from a schedule whose date is still the schedule''s, or another''s.';

create function private.fix_dates_not_taken_over(p_entity_ids text[]) returns integer
language sql volatile security definer set search_path = ''
return private.settle_taken_dates(p_entity_ids, false);
comment on function private.fix_dates_not_taken_over(text[]) is 'Takes these dates over for their classes, where no other class has them.';
