create function public.list_entries(p_from integer default 0, p_class integer default 1000) returns setof public.sample_entries
language sql stable set search_path = ''
begin atomic
  select e.* from public.sample_entries e order by e.title offset p_from limit p_class;
end;
