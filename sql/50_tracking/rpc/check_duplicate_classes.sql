create function private.duplicates_found() returns table (student_id uuid, student_name text, date date, start_time time, kept_id uuid, duplicate_ids uuid[])
language plpgsql stable security definer set search_path = ''
as $$
begin
  if not private.has_permission('generate:classes') then
    perform private.require_permission('read:diagnostics');
  end if;
  return query
    select d.student_id, concat_ws(' ', s.first_name, s.last_name), d.date, d.start_time, d.kept_id, array_agg(d.id order by d.id)
    from private.duplicated_classes() d
    join public.students s on s.id = d.student_id
    group by d.student_id, s.first_name, s.last_name, d.date, d.start_time, d.kept_id
    order by 2, d.date, d.start_time;
end;
$$;
comment on function private.duplicates_found() is 'Classes that are there twice, for holders of generate:classes or read:diagnostics.';

create function public.check_duplicate_classes() returns table (
  student_id uuid, student_name text, date date, start_time time, kept_id uuid, duplicate_ids uuid[]
)
language sql stable set search_path = ''
begin atomic
  select * from private.duplicates_found();
end;
comment on function public.check_duplicate_classes() is
  'Classes that are there more than once: whose and when, the oldest (which remove_duplicate_classes() keeps) and the others. No rows is good news. For holders of generate:classes or read:diagnostics.';
