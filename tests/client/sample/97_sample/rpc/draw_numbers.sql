create function public.draw_numbers(p_count integer) returns setof bigint
language sql volatile set search_path = ''
begin atomic
  select nextval('public.sample_attempts') from generate_series(1, p_count);
end;
comment on function public.draw_numbers is 'So many numbers that nobody had before.';
