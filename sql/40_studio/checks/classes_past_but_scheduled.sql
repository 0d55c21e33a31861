-- That somebody taught follows from their having said they would, as the daily job assumes as well. Where nobody
-- answered, or somebody declined and nobody else was asked, only a person can know.
create function private.check_classes_past_but_scheduled() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', a.id::text,
    format('The class of %s on %s is over and still scheduled%s', p.full_name, a.date,
      case a.instructor_status when 'accepted' then '' when 'rejected' then '; it was declined' else '; they never answered' end),
    jsonb_build_object('instructor_id', a.instructor_id, 'date', a.date, 'instructor_status', a.instructor_status)
  from public.class_assignments a
  join public.user_profiles p on p.id = a.instructor_id
  where a.class_status = 'scheduled' and a.date < private.today() and coalesce(a.ends_at < private.now(), true);
end;
comment on function private.check_classes_past_but_scheduled() is 'Finds classes of days that are over which are neither completed nor cancelled.';

create function private.fix_classes_past_but_scheduled(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  update public.class_assignments a set class_status = 'completed'
  where a.id = any(p_entity_ids::uuid[]) and a.class_status = 'scheduled' and a.instructor_status = 'accepted'
    and not exists (select from public.pay_periods p where p.status = 'closed' and a.date between p.starts_on and p.ends_on);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_classes_past_but_scheduled(text[]) is
  'Completes those their instructor accepted, outside closed pay periods; about the others a person decides.';
