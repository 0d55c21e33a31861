create function public.offer_makeup(
  p_class_id uuid, p_from timestamptz default null, p_to timestamptz default null, p_teacher_id uuid default null,
  p_respect_availability boolean default true, p_limit integer default 50
) returns table (starts_at timestamptz, ends_at timestamptz, date date, start_time time, end_time time, teacher_id uuid)
language plpgsql volatile set search_path = ''
as $$
begin
  perform private.fail_input(private.input_error(coalesce(p_limit, 0) not between 1 and 500, 'p_limit', 'Ask for 1 to 500 times'));
  return query
    select m.starts_at, m.ends_at, m.date, m.start_time, m.end_time, m.teacher_id
    from private.makeup_times(p_class_id, coalesce(p_from, private.now()), coalesce(p_to, coalesce(p_from, private.now()) + interval '28 days'),
      p_teacher_id, p_respect_availability, p_limit) m
    order by m.starts_at;
end;
$$;
comment on function public.offer_makeup(uuid, timestamptz, timestamptz, uuid, boolean, integer) is
  'When a class could be made up for: times from p_from (now) to p_to (four weeks on) in which its teacher, or p_teacher_id, is free as free_slots() says, and the student has no other class and does not pause; as instants, and as date and times in the class''s zone. p_respect_availability false asks no working hours. For the class''s student and teacher, and holders of create:class. Raises not_found, invalid_input, limit_exceeded.';
