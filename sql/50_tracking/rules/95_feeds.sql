-- Students' classes in calendar feeds: their teacher's, and those of everything.

-- Called off and moved ones stay, so that a calendar that shows them already learns of it. Whose class it is, its price and
-- notes are nobody's who has the address.
create function private.feed_class_events(p_resource_id uuid, p_from date) returns setof private.feed_event
language sql stable security definer set search_path = ''
begin atomic
  select format('classes-%s@classbase', c.id), c.version - 1, case when c.status in ('cancelled', 'rescheduled') then 'CANCELLED' else 'CONFIRMED' end,
    coalesce(k.title, 'Class'), 'class', null::text, t.full_name,
    date_trunc('second', c.created_at at time zone 'UTC'), date_trunc('second', c.updated_at at time zone 'UTC'),
    c.time_zone, c.starts_at at time zone c.time_zone, c.ends_at at time zone c.time_zone,
    null::date, null::timestamp, null::integer, null::timestamp, null::timestamp[]
  from public.classes c
  left join public.courses k on k.id = c.course_id
  left join public.user_profiles t on t.id = c.teacher_id
  where c.date >= p_from and (p_resource_id is null or c.teacher_id = p_resource_id);
end;
comment on function private.feed_class_events(uuid, date) is 'Students'' classes as events of a feed: those of a teacher (null: all) since a date.';
