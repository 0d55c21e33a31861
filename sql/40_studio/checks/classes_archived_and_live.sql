-- Moving a class to the archive copies it and deletes it. Where the two differ in what is paid for, or the live one
-- serves somebody the copy does not, nobody can tell from here which of them is right.
create view private.classes_archived_and_live as
select a.id, a.instructor_id, a.date,
  private.pay_facts(to_jsonb(a)) = private.pay_facts(to_jsonb(r)) and not exists (
    select from public.assignment_bookings l where l.assignment_id = a.id and l.booking_id <> all(r.booking_ids)
  ) as is_alike
from public.class_assignments a
join public.class_assignments_archive r on r.id = a.id;
comment on view private.classes_archived_and_live is 'Classes that are in the archive and among the live ones, and whether they are the same in what matters.';

create function private.check_classes_archived_and_live() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'class_assignments', d.id::text,
    format('The class of %s on %s is in the archive and still live%s', p.full_name, d.date, case when d.is_alike then '' else ', and the two differ' end),
    jsonb_build_object('instructor_id', d.instructor_id, 'is_alike', d.is_alike)
  from private.classes_archived_and_live d
  join public.user_profiles p on p.id = d.instructor_id;
end;
comment on function private.check_classes_archived_and_live() is 'Finds classes that were moved to the archive and are still there.';

create function private.fix_classes_archived_and_live(p_entity_ids text[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_fixed integer;
begin
  delete from public.class_assignments a
  using private.classes_archived_and_live d
  where d.id = a.id and d.is_alike and a.id = any(p_entity_ids::uuid[]);
  get diagnostics v_fixed = row_count;
  return v_fixed;
end;
$$;
comment on function private.fix_classes_archived_and_live(text[]) is
  'Finishes the move of those that are alike in both places; where they differ, a person decides which is right.';
