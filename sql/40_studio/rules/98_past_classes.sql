-- Jobs about classes that are over: they are completed, and much later moved out of the way.

-- That somebody taught follows from their having said they would; about others a person decides (see the check
-- classes_past_but_scheduled). What is paid for in a closed pay period stays as it is. A class somebody is changing just
-- now waits for the next run.
create function private.complete_past_classes() returns integer
language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_hours constant integer := private.setting_integer('complete_classes_after_hours');
  v_completed integer;
begin
  if v_hours = 0 then
    return 0;
  end if;
  with over as (
    select a.id
    from public.class_assignments a
    where a.class_status = 'scheduled' and a.instructor_status = 'accepted' and a.date <= private.today() + 1
      -- One without a time is over when its day is.
      and coalesce(a.ends_at, private.local_end_to_instant(a.date, time '24:00', a.time_zone), (a.date + 1) at time zone a.time_zone)
        < private.now() - make_interval(hours => v_hours)
      and not exists (select from public.pay_periods p where p.status = 'closed' and a.date between p.starts_on and p.ends_on)
    order by a.id
    for no key update of a skip locked
  )
  update public.class_assignments a set class_status = 'completed' from over where a.id = over.id;
  get diagnostics v_completed = row_count;
  return v_completed;
end;
$$;
comment on function private.complete_past_classes() is
  'Job: completes accepted classes that ended more than complete_classes_after_hours ago, outside closed pay periods; returns how many.';

create function private.archive_older(p_months integer, p_statuses text[]) returns integer
language sql volatile security definer set search_path = ''
begin atomic
  select private.archive_classes(array(
    select a.id from public.class_assignments a
    where a.date < (private.today() - make_interval(months => p_months))::date and a.class_status = any(p_statuses)
    order by a.date, a.id
    limit 20000
    for no key update skip locked
  ));
end;
comment on function private.archive_older(integer, text[]) is
  'Moves classes of these statuses that are older than so many months into the archive, the oldest first, at most 20000 a time.';

create function private.archive_cancelled_classes() returns integer
language sql volatile security definer set search_path = ''
begin atomic
  select private.archive_older(private.setting_integer('archive_cancelled_after_months'), '{cancelled}');
end;
comment on function private.archive_cancelled_classes() is 'Job: moves classes that were cancelled, and are long over, into the archive; returns how many.';

create function private.archive_old_classes() returns integer
language sql volatile security definer set search_path = ''
begin atomic
  select private.archive_older(private.setting_integer('archive_after_months'), '{completed,cancelled}');
end;
comment on function private.archive_old_classes() is 'Job: moves classes that are over for even longer into the archive; returns how many.';
