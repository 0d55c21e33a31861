-- The archive: what is long over is moved out of the way, with its links, its pay and what its bookings became.

-- A row is there once. Whoever moves it deletes the live one in the same transaction, and the triggers that see it go
-- find it in the archive already.
create function private.keep_archived_apart() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if exists (select from public.class_assignments_archive r where r.id = new.id) then
    perform private.fail('duplicate', 'This class is in the archive', 'id', jsonb_build_object('id', new.id));
  end if;
  return new;
end;
$$;
comment on function private.keep_archived_apart() is 'Row trigger on class_assignments: what was archived does not come again.';

create trigger t21_keep_archived_apart before insert or update of id on public.class_assignments
  for each row execute function private.keep_archived_apart();

create function private.archive_classes(p_ids uuid[]) returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_count integer;
begin
  perform from public.class_assignments a where a.id = any(p_ids) order by a.id for update;
  insert into public.class_assignments_archive
  select a.*, array(select l.booking_id from public.assignment_bookings l where l.assignment_id = a.id order by l.booking_id),
    private.caller_id(), private.now()
  from public.class_assignments a
  where a.id = any(p_ids)
  order by a.id;
  delete from public.class_assignments a where a.id = any(p_ids);
  get diagnostics v_count = row_count;
  return v_count;
end;
$$;
comment on function private.archive_classes(uuid[]) is 'Moves these classes into the archive.';

create trigger t10_only_added_to before update or delete or truncate on public.class_assignments_archive
  for each statement execute function private.refuse_direct_write('Classes in the archive stay as they were.');
