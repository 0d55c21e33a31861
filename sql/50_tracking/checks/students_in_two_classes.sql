create function private.check_students_in_two_classes() returns table (entity text, entity_id text, message text, detail jsonb)
language sql stable security definer set search_path = ''
begin atomic
  select 'classes', n.id::text,
    format('%s is in two classes at once, %s', concat_ws(' ', s.first_name, s.last_name), private.describe_range(tstzrange(n.starts_at, n.ends_at), n.time_zone)),
    jsonb_build_object('student_id', n.student_id, 'other_id', n.other_id)
  from (
    -- Where the key is lost there may be no index: each class is held against the one before it.
    select c.id, c.student_id, c.starts_at, c.ends_at, c.time_zone, lag(c.id) over w as other_id,
      max(c.ends_at) over (partition by c.student_id order by c.starts_at, c.id rows between unbounded preceding and 1 preceding) as busy_until
    from public.classes c
    where c.status in ('scheduled', 'completed', 'missed')
    window w as (partition by c.student_id order by c.starts_at, c.id)
  ) n
  join public.students s on s.id = n.student_id
  where n.busy_until > n.starts_at;
end;
comment on function private.check_students_in_two_classes() is 'Finds classes that begin while the student is still in another.';
