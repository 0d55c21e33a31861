create function public.count_up(p_until integer) returns setof integer
language sql stable set search_path = ''
begin atomic
  select generate_series(1, p_until);
end;
comment on function public.count_up is 'The numbers from one to p_until.';
