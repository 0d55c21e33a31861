-- What students (or who pays for them) and teachers are told of classes. What generation makes and takes away is no news:
-- it follows from a schedule they know.

create function private.student_class_news(p_kind text, p_row public.classes, p_before text default null) returns setof private.news
language sql stable security definer set search_path = '' set enable_nestloop = on
begin atomic
  select p.id, p_kind,
    case p_kind when 'class_cancelled' then format('%s was cancelled', w.name) else format('%s was moved', w.name) end || ': ' || w.at,
    case p_kind when 'class_cancelled' then '%s classes were cancelled' else '%s classes were moved' end,
    format('%s, %s', w.name, w.at) || coalesce('; before: ' || p_before, '')
      || case when p_kind = 'class_cancelled' then coalesce(': ' || p_row.cancellation_reason, '') else '' end,
    p_row.starts_at, 'classes', p_row.id::text
  from public.students s
  left join public.courses c on c.id = p_row.course_id
  cross join lateral (
    select concat_ws(' ', coalesce(c.title, 'The class'), 'of', s.first_name, s.last_name) as name,
      private.when_in_words(p_row.date, p_row.start_time, p_row.end_time, p_row.time_zone) as at
  ) w
  join public.user_profiles p on p.id in (s.profile_id, p_row.teacher_id) or p.user_id = s.user_id
  where s.id = p_row.student_id;
end;
comment on function private.student_class_news(text, public.classes, text) is 'What a student, who pays for them, and the teacher are told about a class.';

-- The class that was moved stands there as rescheduled; what is new is the one that stands for it.
create function private.tell_of_replaced_classes() returns trigger
language plpgsql volatile security definer set search_path = ''
as $$
begin
  if not exists (select from new_rows n where n.source = 'rescheduled') then
    return null;
  end if;
  perform private.tell_people(array(
    select private.student_class_news('class_rescheduled', n::public.classes, private.when_in_words(o.date, o.start_time, o.end_time, o.time_zone))
    from new_rows n
    join public.classes o on o.id = n.rescheduled_from
    where n.source = 'rescheduled' and n.status = 'scheduled' and n.ends_at > private.now()
  ));
  return null;
end;
$$;
comment on function private.tell_of_replaced_classes() is 'Statement trigger: tells students and teachers of classes that were moved.';

create trigger t95_tell_insert after insert on public.classes
  referencing new table as new_rows for each statement execute function private.tell_of_replaced_classes();

-- Old and new rows meet by key, however few there were when this was planned.
create function private.tell_of_changed_classes() returns trigger
language plpgsql volatile security definer set search_path = '' set enable_nestloop = off
as $$
begin
  perform private.tell_people(array(
    select private.student_class_news('class_cancelled', n::public.classes)
    from new_rows n
    join old_rows o on o.id = n.id
    where o.status = 'scheduled' and n.status = 'cancelled' and n.ends_at > private.now()
    union all
    select private.student_class_news('class_rescheduled', n::public.classes, private.when_in_words(o.date, o.start_time, o.end_time, o.time_zone))
    from new_rows n
    join old_rows o on o.id = n.id
    where o.status = 'scheduled' and n.status = 'scheduled' and greatest(n.ends_at, o.ends_at) > private.now()
      and (n.date, n.start_time, n.end_time, n.time_zone) is distinct from (o.date, o.start_time, o.end_time, o.time_zone)
  ));
  return null;
end;
$$;
comment on function private.tell_of_changed_classes() is 'Statement trigger: tells students and teachers of classes that were cancelled, or moved where they are.';

create trigger t95_tell_update after update on public.classes
  referencing old table as old_rows new table as new_rows for each statement execute function private.tell_of_changed_classes();
